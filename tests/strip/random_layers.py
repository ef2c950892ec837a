"""The menu of random graphs: layers and operations behind any tensor."""

from keras import layers, ops
from random_layers_by_rank import ByRank

from rrelu_tf.layers import (
    RGELU,
    BatchNormalization,
    ChannelGather,
    RReLU,
    RSiLU,
)

_FUNCTIONS = ("relu", "elu", "sigmoid", "silu", "tanh", "softplus", "gelu")


class Menu(ByRank):
    """Draws options and layers.

    Args:
        rng: NumPy's generator.
        depth: how many models this one is nested in.
        count: layers named so far.
    """

    def __init__(self, rng, depth=0, count=0):
        self.rng = rng
        self.depth = depth
        self.count = count
        self.tensors = []

    def name(self, kind):
        self.count += 1
        return f"{kind}{self.count}"

    def chance(self, p):
        return self.rng.random() < p

    def pick(self, options):
        return options[self.rng.integers(len(options))]

    def width(self):
        return int(self.rng.integers(2, 7))

    def array(self, *shape):
        values = self.rng.normal(size=shape)
        return values * (self.rng.random(shape) > 0.3)

    def like(self, x):
        """Another tensor of the same shape."""
        found = [t for t in self.tensors if t.shape == x.shape]
        if found and self.chance(0.7):
            return self.pick(found)
        return layers.Dense(x.shape[-1], name=self.name("like"))(x)

    def flat(self, x):
        rank = len(x.shape) - 2
        if rank and self.chance(0.4):
            kind = getattr(layers, f"GlobalAveragePooling{rank}D")
            return kind(name=self.name("gap"))(x)
        return layers.Flatten(name=self.name("flat"))(x)

    def linear(self, x):
        rank = len(x.shape) - 2
        options = {
            "use_bias": self.chance(0.5),
            "activation": self.pick([None, None, *_FUNCTIONS, "softmax"]),
            "name": self.name("linear"),
        }
        kinds = ["Dense", "Einsum", "Spectral"]
        if rank:
            kinds += ["Conv", "Conv", "Depthwise", "Separable", "Transposed"]
        if rank == 3:  # Keras has no others
            kinds = [k for k in kinds if k not in ("Depthwise", "Separable")]
        kind = self.pick(kinds)
        if kind == "Dense":
            return layers.Dense(self.width(), **options)(x)
        if kind == "Spectral":
            dense = layers.Dense(self.width(), **options)
            wrapper = layers.SpectralNormalization
            return wrapper(dense, name=self.name("spectral"))(x)
        if kind == "Einsum":
            return self.einsum(x)
        return self.convolution(x, rank, kind, options)

    def einsum(self, x):
        axes = "abc"[: len(x.shape) - 2]
        return layers.EinsumDense(
            f"n{axes}x,xy->n{axes}y",
            (*x.shape[1:-1], self.width()),
            bias_axes=self.pick([None, "y"]),
            activation=self.pick([None, "sigmoid"]),
            name=self.name("einsum"),
        )(x)

    def convolution(self, x, rank, kind, options):
        size = {"kernel_size": self.pick([1, 2, 3]), "padding": "same"}
        size["strides"] = self.pick([1, 1, 2])
        if kind == "Depthwise":
            made = getattr(layers, f"DepthwiseConv{rank}D")
            multiple = self.pick([1, 1, 2, 3])
            return made(depth_multiplier=multiple, **size, **options)(x)
        if kind == "Separable":
            made = getattr(layers, f"SeparableConv{rank}D")
            return made(self.width(), **size, **options)(x)
        if kind == "Transposed":
            made = getattr(layers, f"Conv{rank}DTranspose")
            return made(self.width(), **size, **options)(x)
        groups = [g for g in (1, 1, 2, 3) if x.shape[-1] % g == 0]
        groups = self.pick(groups)
        filters = groups * int(self.rng.integers(1, 4))
        made = getattr(layers, f"Conv{rank}D")
        return made(filters, groups=groups, **size, **options)(x)

    def rotated(self, x):
        return self.pick([RReLU, RReLU, RGELU, RSiLU])(name=self.name("act"))(x)

    def norm(self, x):
        size = x.shape[-1]
        options = {"name": self.name("norm")}
        both = {"scale": self.chance(0.7), "center": self.chance(0.7)}
        divisors = [g for g in range(1, size + 1) if size % g == 0]
        mean = self.array(size).tolist()
        return self.pick(
            [
                lambda: BatchNormalization(**both, **options),
                lambda: layers.BatchNormalization(**both, **options),
                lambda: layers.LayerNormalization(**both, **options),
                lambda: layers.RMSNormalization(**options),
                lambda: layers.UnitNormalization(**options),
                lambda: layers.GroupNormalization(
                    self.pick(divisors), **both, **options
                ),
                lambda: layers.Normalization(
                    mean=mean, variance=[1.5] * size, **options
                ),
                lambda: layers.Rescaling(mean, self.pick([0, mean]), **options),
            ]
        )()(x)

    def channels_apart(self, x):
        """An element-wise layer or operation."""
        name = self.name("apart")
        made = self.pick(
            [
                layers.Activation(self.pick(_FUNCTIONS), name=name),
                layers.ReLU(0.8, 0.1, self.pick([0, 0.2]), name=name),
                layers.LeakyReLU(name=name),
                layers.PReLU(name=name),
                layers.Dropout(0.5, name=name),
                layers.Softmax(name=name),
                ops.relu,
                ops.gelu,
                ops.negative,
                lambda x: ops.clip(x, -0.4, 0.4),
                lambda x: ops.add(x, self.pick([0.5, self.array(x.shape[-1])])),
                lambda x: ops.multiply(self.array(x.shape[-1]), x),
                lambda x: ops.subtract(1.0, x),
                lambda x: ops.divide(x, 2.0),
                lambda x: ops.maximum(x, self.array(1, x.shape[-1])),
            ]
        )
        return made(x)

    def join(self, x):
        """Two or three tensors element by element."""
        tensors = [x, self.like(x)]
        if self.chance(0.3):
            tensors.append(self.like(x))
        tensors = [tensors[i] for i in self.rng.permutation(len(tensors))]
        kinds = ["Add", "Average", "Multiply", "Maximum", "Minimum"]
        if len(tensors) == 2:
            kinds.append("Subtract")
            if self.chance(0.3):
                function = self.pick([ops.add, ops.multiply, ops.subtract])
                return function(*tensors)
        kind = self.pick(kinds)
        return getattr(layers, kind)(name=self.name(kind.lower()))(tensors)

    def residual(self, x):
        branch = self.norm(x)
        for _ in range(self.rng.integers(1, 3)):
            branch = self.rotated(self.linear(branch))
        if branch.shape[1:-1] != x.shape[1:-1]:
            return branch
        if branch.shape != x.shape:
            skip = layers.Dense(branch.shape[-1], name=self.name("skip"))
            x = skip(x)
        return layers.Add(name=self.name("add"))([branch, x])

    def two_of(self, x):
        """Concatenated, dotted or split and put together again."""
        axis = self.pick([-1, -1, 1])
        size = x.shape[axis]
        cut = int(self.rng.integers(1, size)) if size > 1 else 1
        y = self.like(x)
        return self.pick(
            [
                lambda: layers.Concatenate(axis, name=self.name("cat"))([x, y]),
                lambda: ops.concatenate([y, x], axis=axis),
                lambda: (
                    ops.concatenate(
                        ops.split(x, [cut], axis=axis)[::-1], axis=axis
                    )
                    if size > 1
                    else x * 2.0
                ),
                lambda: (
                    ops.add(*ops.split(x, 2, axis=axis))
                    if size % 2 == 0
                    else ops.add(x, y)
                ),
                lambda: (
                    layers.Dot(axis, name=self.name("dot"))([x, y])
                    if len(x.shape) < 4
                    else layers.Multiply(name=self.name("times"))([x, y])
                ),
            ]
        )()

    def move(self, x):
        """Elements of a tensor picked, repeated, put in."""
        size = x.shape[-1]
        start = int(self.rng.integers(size))
        taken = self.rng.integers(size, size=self.width()).tolist()
        gathered = self.rng.integers(-1, size, size=self.width())
        free = [(0, 0)] * (len(x.shape) - 1)
        return self.pick(
            [
                lambda: x[..., start : start + 3],
                lambda: x[..., ::-1],
                lambda: ops.take(x, taken, axis=-1),
                lambda: ops.pad(x, [*free, (0, 2)]),
                lambda: ops.pad(x, [(0, 0), (1, 0), *free[1:]]),
                lambda: ops.repeat(x, 2, axis=-1),
                lambda: ops.roll(x, 1, axis=-1),
                lambda: ops.squeeze(ops.expand_dims(x, 1), 1),
                lambda: ChannelGather(gathered, name=self.name("gather"))(x),
            ]
        )()

    def shared(self, x):
        """A layer called twice, side by side or in a row."""
        size, rank = x.shape[-1], len(x.shape) - 2
        name = self.name("shared")
        kinds = [
            layers.Dense(size, name=name),
            layers.PReLU(name=name),
            BatchNormalization(name=name),
            layers.Activation("sigmoid", name=name),
        ]
        if rank:
            conv = getattr(layers, f"Conv{rank}D")
            kinds.append(conv(size, 2, padding="same", name=name))
        layer = self.pick(kinds)
        if self.chance(0.5):
            return layer(self.rotated(layer(x)))
        made = [layer(x), layer(self.like(x))]
        self.tensors.extend(made)
        kind = self.pick([layers.Add, layers.Concatenate])
        return kind(name=self.name("both"))(made)

    def odd(self, x):
        """What no rule knows."""
        return self.pick(
            [
                lambda: ops.softmax(x, axis=-1),
                lambda: ops.cumsum(x, axis=-1),
                lambda: ops.mean(x, axis=-1, keepdims=True),
                lambda: ops.where(x > 0.1, x, 0.5),
                lambda: ops.stack([x, x], axis=-1)[..., 1],
            ]
        )()
