"""Random functional models over all that strip has rules for, from a seed."""

import keras
import numpy as np
from keras import layers, ops
from random_layers import Menu
from random_layers_wide import WideMenu

import rrelu_tf
from rrelu_tf.layers import Rotated


class Grower(Menu):
    """Grows a graph, layer by layer, from one seed.

    The seeds of the faults once found mean the graphs of this menu.
    """

    shapes = ((3,), (4, 3), (4, 4, 3))

    def steps(self, x):
        """What may follow a tensor of this rank."""
        shape = x.shape[1:]
        steps = [self.linear, self.linear, self.rotated, self.rotated]
        steps += [self.channels_apart, self.join, self.move, self.two_of]
        steps += [self.norm, self.residual, self.shared, self.odd]
        if self.depth < 2:
            steps.append(self.nested)
        if len(shape) == 3:
            steps += [self.spatial, self.spatial, self.excite, self.shuffle]
        if len(shape) == 2:
            steps += [self.attention, self.steps_of_time]
        if len(shape) == 1:
            steps.append(self.spread)
        return steps

    def grow(self, tensors, count):
        """Adds steps behind any of the tensors; the list grows."""
        x = tensors[-1]
        for _ in range(count):
            self.tensors = tensors
            x = self.pick(self.steps(x))(x)
            if np.prod(x.shape[1:]) > 400:  # keep it tiny
                x = layers.Dense(2, name=self.name("small"))(self.flat(x))
            tensors.append(x)
            if self.chance(0.2):  # go on from an earlier place
                x = self.pick(tensors)
        return tensors[-1]

    def nested(self, x):
        """A model as a layer, called once or twice."""
        inputs = keras.Input(x.shape[1:], dtype="float64")
        inner = type(self)(self.rng, self.depth + 1, self.count)
        made = inner.grow([inputs], int(self.rng.integers(1, 4)))
        outputs = [made]
        if self.chance(0.3):
            outputs.append(self.pick(inner.tensors))
        self.count = inner.count
        model = keras.Model(inputs, outputs, name=self.name("nested"))
        calls = [x]
        if self.chance(0.4):
            calls.append(self.like(x))
        found = [tensor for call in calls for tensor in model(call)]
        self.tensors.extend(found)
        alike = [t for t in found if t.shape == found[0].shape]
        if len(alike) > 1 and self.chance(0.7):
            return layers.Add(name=self.name("add"))(alike)
        return found[0]

    def model(self):
        """One to three inputs, one to three outputs."""
        shapes = [
            self.pick(self.shapes) for _ in range(self.rng.integers(1, 4))
        ]
        inputs = [
            keras.Input(shape, name=self.name("input"), dtype="float64")
            for shape in shapes
        ]
        tensors = list(inputs)
        if self.chance(0.25):
            tokens = keras.Input((4,), dtype="int32", name=self.name("tokens"))
            table = layers.Embedding(5, 4, name=self.name("table"))
            inputs.append(tokens)
            tensors.append(table(tokens))
        self.grow(tensors, int(self.rng.integers(3, 9)))
        last = tensors[-1]
        outputs = [layers.Dense(3, name=self.name("head"))(self.flat(last))]
        for _ in range(self.rng.integers(0, 3)):
            outputs.append(self.pick(tensors))
        return keras.Model(inputs, outputs)


class WideGrower(Grower, WideMenu):
    """As `Grower`, with volumes and all other layers that have a rule."""

    shapes = (*Grower.shapes, (2, 3, 2, 3))

    def steps(self, x):
        rank = len(x.shape) - 2
        more = [self.noise, self.activation_layer, self.own, self.turn]
        more += [self.dead_branch, self.operation, self.along, self.stacked]
        steps = [self.sequence, self.recurrent, self.masked, self.grouped]
        more += {1: steps, 2: [self.first]}.get(rank, [])
        more += [self.volume, self.volume] if rank == 3 else []
        return super().steps(x) + more


def planted(seed, kind=WideGrower):
    """A random model in float64 with random weights and dead channels."""
    grower = kind(np.random.default_rng(seed))
    model = grower.model()
    for variable in model.variables:
        if variable.dtype == "float64":
            variable.assign(_drawn(variable, grower.rng))
    for layer in model._flatten_layers():
        if isinstance(layer, Rotated):
            rate = grower.pick([0.0, 0.3, 0.6, 1.0])
            alive = grower.rng.random(layer.slope.shape) >= rate
            layer.slope.assign(layer.slope.numpy() * alive)
            continue
        for variable in layer._trainable_variables:
            if grower.chance(0.4):
                alive = _alive(variable.shape, grower)
                variable.assign(variable.numpy() * alive)
    return model


def _drawn(variable, rng):
    """Numbers none of which is special; variances are positive."""
    values = rng.uniform(0.4, 1.1, variable.shape)
    if "variance" not in variable.name:
        values *= rng.choice((-1.0, 1.0), variable.shape)
    if len(variable.shape) > 1:
        values /= np.sqrt(np.prod(variable.shape[:-1]))
    return values


def _alive(shape, grower):
    """Zeros for whole indices of one axis, or anywhere."""
    if not shape or grower.chance(0.3):
        return grower.rng.random(shape) >= 0.5
    axis = grower.rng.integers(len(shape))
    mask = [1] * len(shape)
    mask[axis] = shape[axis]
    return grower.rng.random(mask) >= grower.pick([0.3, 0.6, 1.0])


def holds(seed, kind=WideGrower):
    """Checks strip on one graph, and that a second strip changes nothing.

    Args:
        seed: of the graph, its weights and the inputs.
        kind: `Grower` or `WideGrower`.

    Returns:
        How many parameters went.

    Raises:
        AssertionError: the stripped model differs, is larger, or can be
            stripped further.
    """
    keras.config.set_dtype_policy("float64")
    model = planted(seed, kind)
    small = rrelu_tf.strip(model)
    inputs = [_example(tensor, seed) for tensor in model.inputs]
    source = _values(model, inputs)
    _assert_equal(source, _values(small, inputs))
    before, after = model.count_params(), small.count_params()
    assert after <= before
    again = rrelu_tf.strip(small)
    _assert_equal(source, _values(again, inputs))
    assert again.count_params() == after, "a second strip removes more"
    assert _names(again) == _names(small), "a second strip leaves others"
    return before - after


# Outputs below it are 0 but for rounding, as a norm of equal numbers is.
_LEAST = 1e-4


def _assert_equal(source, outputs):
    for x, y in zip(source, outputs, strict=True):
        assert x.shape == y.shape and x.dtype == y.dtype
        assert np.isfinite(x).all()
        apart = np.abs(x - y).max() / max(np.abs(x).max(), _LEAST)
        assert apart < 1e-9, f"differs by {apart:g}"


def _values(model, inputs):
    """Every output at inference: by itself Keras's Resizing would train."""
    made = model(inputs, training=False)
    return [ops.convert_to_numpy(x) for x in keras.tree.flatten(made)]


def _names(model):
    """Layers with weights, in an order of no meaning."""
    return sorted(layer.name for layer in model.layers if layer.weights)


def _example(tensor, seed):
    rng = np.random.default_rng(seed)
    shape = (2, *tensor.shape[1:])
    if tensor.dtype == "int32":
        return rng.integers(5, size=shape)
    return rng.normal(0, 1.5, shape)
