"""More of the menu: volumes, sequences, channels first, noise, own layers."""

import keras
from keras import layers, ops
from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

import rrelu_tf


@rrelu_tf.strip.register
@keras.saving.register_keras_serializable("random_layers_wide")
class Scaled(layers.Layer):
    """A layer of a user's own: `x * gamma`."""

    def build(self, shape):
        self.gamma = self.add_weight(shape=(shape[-1],), name="gamma")

    def call(self, x):
        return x * self.gamma


class WideMenu:
    """Layers that `Menu` and `ByRank` do without, to be mixed in."""

    def own(self, x):
        if x.sparse:  # as Keras 3.15 takes `array * x` to be: of no known shape
            return x
        return Scaled(name=self.name("scaled"))(x)

    def dead_branch(self, x):
        """A branch that may be wholly dead, joined in any way."""
        if x.sparse or None in x.shape[1:]:
            return x
        made = layers.Dense(x.shape[-1], name=self.name("branch"))
        dead = self.rotated(made(x))
        if self.chance(0.3):
            dead = self.norm(dead)
        if self.chance(0.3):
            dead = ops.sigmoid(dead)
        if self.chance(0.2) and len(x.shape) == 4:
            pool = layers.GlobalAveragePooling2D(keepdims=True)
            dead = pool(dead)
        kinds = ("Add", "Subtract", "Average", "Multiply", "Maximum", "Minimum")
        both = [x, dead][:: self.pick([1, -1])]
        if self.chance(0.2) and x.shape == dead.shape:
            return CustomScaleLayer(0.3, name=self.name("join"))(both)
        kind = getattr(layers, self.pick(kinds))
        return kind(name=self.name("join"))(both)

    def noise(self, x):
        """What does nothing at inference."""
        name = self.name("noise")
        by_example = (None, *[1] * (len(x.shape) - 1))
        return self.pick(
            [
                layers.Dropout(0.5, noise_shape=by_example, name=name),
                layers.GaussianDropout(0.5, name=name),
                layers.GaussianNoise(0.5, name=name),
                layers.AlphaDropout(0.5, name=name),
                layers.ActivityRegularization(0.1, name=name),
                layers.Identity(name=name),
            ]
        )(x)

    def activation_layer(self, x):
        name = self.name("function")
        functions = ("relu6", "selu", "softsign", "mish", "hard_sigmoid")
        return self.pick(
            [
                layers.ELU(name=name),
                layers.ReLU(6.0, name=name),
                layers.Activation(self.pick(functions), name=name),
                layers.Activation("log_softmax", name=name),
                layers.GroupNormalization(-1, name=name),
                ops.tanh,
                ops.square,
                ops.abs,
                lambda x: ops.exp(ops.negative(ops.abs(x))),
                lambda x: ops.leaky_relu(x, 0.3),
            ]
        )(x)

    def operation(self, x):
        """More of `keras.ops` of one tensor."""
        return self.pick(
            [
                ops.arctan,
                ops.floor,
                ops.stop_gradient,
                ops.hard_shrink,
                ops.tanh_shrink,
                ops.sparse_sigmoid,
                lambda x: ops.power(ops.tanh(x), 3),
                lambda x: ops.threshold(x, 0.2, -0.3),
                lambda x: ops.cast(ops.sign(x), "float64"),
            ]
        )(x)

    def along(self, x):
        """Mixed along one axis or more, the channels' among them or not."""
        rank = len(x.shape)
        axis = self.pick(range(1, rank))
        some = sorted({axis, self.pick(range(1, rank))})
        keep = self.chance(0.5) or len(some) == rank - 1
        reduce = self.pick([ops.mean, ops.sum, ops.max, ops.min, ops.var])
        return self.pick(
            [
                lambda: layers.Softmax(axis, name=self.name("softmax"))(x),
                lambda: ops.softmax(x, axis=axis),
                lambda: ops.log_softmax(x, axis=axis),
                lambda: reduce(x, axis=some, keepdims=keep),
                lambda: reduce(x, axis=some, keepdims=keep),
                lambda: reduce(x, axis=axis, keepdims=True),
            ]
        )()

    def stacked(self, x):
        """Stacked, sliced, taken apart."""
        rank, size = len(x.shape), x.shape[-1]
        new = self.pick(range(1, rank + 1))
        start = int(self.rng.integers(size))
        other = self.like(x)
        shape = (-1, *x.shape[1:-1], size - start)
        begin = (*[0] * (rank - 1), start)
        axis = self.pick(range(1, rank))
        return self.pick(
            [
                lambda: (
                    ops.stack([x, other], axis=new)
                    if rank < 5
                    else ops.hstack([x, other])
                ),
                lambda: ops.stack([x, other], axis=new)[
                    (*[slice(None)] * new, self.pick([0, 1]))
                ],
                lambda: ops.hstack([other, x]),
                lambda: ops.slice(x, begin, shape),
                lambda: self.pick(ops.array_split(x, 2, axis=axis)[:1]),
                lambda: ops.stack(ops.unstack(x, axis=axis)[::-1], axis=axis),
                lambda: ops.add(*ops.unstack(ops.stack([x, other], -1), 2, -1)),
            ]
        )()

    def turn(self, x):
        """Axes and elements moved about."""
        rank = len(x.shape) - 1
        order = [0, *(1 + self.rng.permutation(rank))]
        order = tuple(int(axis) for axis in order)
        return self.pick(
            [
                lambda: ops.transpose(x, order),
                lambda: ops.flip(x, axis=-1),
                lambda: ops.moveaxis(x, 1, -1),
                lambda: ops.swapaxes(x, 1, rank),
                lambda: ops.tile(x, [1] * rank + [2]),
                lambda: ops.reshape(x, (-1, *reversed(x.shape[1:]))),
                lambda: layers.Permute(order[1:], name=self.name("turn"))(x),
            ]
        )()

    def sequence(self, x):
        name = self.name("sequence")
        return self.pick(
            [
                layers.AveragePooling1D(2, padding="same", name=name),
                lambda x: ops.max_pool(x, 2, padding="same"),
                layers.AdaptiveMaxPooling1D(2, name=name),
                layers.GlobalMaxPooling1D(keepdims=True, name=name),
                layers.GlobalAveragePooling1D(name=name),
                layers.ZeroPadding1D(1, name=name),
                layers.Cropping1D(
                    (0, 1) if x.shape[1] > 1 else (0, 0), name=name
                ),
                layers.UpSampling1D(2, name=name),
                layers.SpatialDropout1D(0.5, name=name),
                layers.PReLU(shared_axes=[1], name=name),
                layers.Flatten("channels_first", name=name),
            ]
        )(x)

    def masked(self, x):
        """The mean over the steps that are left."""
        if x.sparse:
            return x
        mask = ops.concatenate(
            [ops.ones_like(x[:, :1, 0]), ops.sign(x[:, 1:, 0])], axis=1
        )
        name = self.name("masked")
        pool = layers.GlobalAveragePooling1D(name=name)
        return pool(x, mask=ops.greater(mask, 0.5))

    def grouped(self, x):
        """Grouped queries with keys of their own."""
        layer = layers.GroupQueryAttention(2, 2, 1, name=self.name("grouped"))
        return layer(x, self.like(x), key=self.like(x))

    def recurrent(self, x):
        """Opaque to strip: kept whole."""
        name = self.name("recurrent")
        return layers.SimpleRNN(3, return_sequences=True, name=name)(x)

    def first(self, x):
        """Channels taken to lie on the first axis."""
        name, first = self.name("first"), {"data_format": "channels_first"}
        size = x.shape[1]
        divisors = [g for g in range(1, size + 1) if size % g == 0]
        values = {"mean": [0.4] * size, "variance": [1.5] * size}
        return self.pick(
            [
                layers.ZeroPadding2D(1, **first, name=name),
                layers.UpSampling2D(2, **first, name=name),
                layers.SpatialDropout2D(0.5, **first, name=name),
                layers.GlobalAveragePooling2D(
                    **first, keepdims=True, name=name
                ),
                layers.GlobalMaxPooling2D(**first, name=name),
                layers.GroupNormalization(
                    self.pick(divisors), axis=1, name=name
                ),
                layers.LayerNormalization(axis=1, name=name),
                layers.UnitNormalization(axis=1, name=name),
                layers.Normalization(1, **values, name=name),
                layers.Softmax(axis=1, name=name),
                layers.Flatten(**first, name=name),
            ]
        )(x)

    def volume(self, x):
        """TensorFlow pools no volumes in float64 on a CPU."""
        name = self.name("volume")
        depth, height, width, size = x.shape[1:]
        crop = ((0, 1), (0, 0), (0, 0)) if depth > 1 else 0
        return self.pick(
            [
                layers.GlobalMaxPooling3D(keepdims=True, name=name),
                layers.GlobalAveragePooling3D(name=name),
                layers.ZeroPadding3D((1, 0, 0), name=name),
                layers.Cropping3D(crop, name=name),
                layers.UpSampling3D((2, 1, 1), name=name),
                layers.SpatialDropout3D(0.5, name=name),
                layers.PReLU(shared_axes=[1, 2, 3], name=name),
                layers.Reshape((depth, height, width * size), name=name),
                layers.Reshape((depth * height * width, size), name=name),
            ]
        )(x)
