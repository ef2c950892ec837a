"""The menu of random graphs for images, for sequences, for vectors."""

from keras import layers, ops


class ByRank:
    """Layers of one rank of tensor, drawn by the methods of `Menu`."""

    def spatial(self, x):
        name = self.name("spatial")
        if x.shape[1] < 2 or x.shape[2] < 2:
            return layers.ZeroPadding2D(1, name=name)(x)
        height, width, size = x.shape[1:]
        return self.pick(
            [
                layers.MaxPooling2D(2, padding="same", name=name),
                layers.AveragePooling2D(2, 1, padding="same", name=name),
                layers.AdaptiveAveragePooling2D(2, name=name),
                layers.GlobalMaxPooling2D(keepdims=True, name=name),
                layers.ZeroPadding2D(1, name=name),
                layers.Cropping2D(((0, 1), (1, 0)), name=name),
                layers.UpSampling2D(2, name=name),
                layers.Resizing(3, 3, name=name),
                layers.SpatialDropout2D(0.5, name=name),
                layers.Permute((2, 1, 3), name=name),
                layers.Permute((3, 1, 2), name=name),
                layers.Reshape((height * width, size), name=name),
                layers.Reshape((height, width * size), name=name),
                layers.PReLU(shared_axes=[1, 2], name=name),
                layers.BatchNormalization(axis=1, name=name),
            ]
        )(x)

    def excite(self, x):
        """Squeeze-and-excite."""
        pool = layers.GlobalAveragePooling2D(keepdims=True, name=self.name("s"))
        s = self.rotated(layers.Dense(2, name=self.name("reduce"))(pool(x)))
        gate = layers.Dense(
            x.shape[-1], activation="sigmoid", name=self.name("excite")
        )
        return layers.Multiply(name=self.name("gated"))([x, gate(s)])

    def shuffle(self, x):
        height, width, size = x.shape[1:]
        groups = next(g for g in (2, 3, 5, size) if size % g == 0)
        split = (height, width, groups, size // groups)
        x = layers.Reshape(split, name=self.name("split"))(x)
        x = layers.Permute((1, 2, 4, 3), name=self.name("swap"))(x)
        return layers.Reshape((height, width, size), name=self.name("join"))(x)

    def attention(self, x):
        name = self.name("attention")
        other = self.like(x)
        if self.chance(0.3):
            return layers.GroupQueryAttention(2, 4, 2, name=name)(x, other)
        layer = layers.MultiHeadAttention(
            int(self.rng.integers(1, 4)),
            2,
            value_dim=self.width(),
            output_shape=self.pick([None, self.width()]),
            use_bias=self.chance(0.5),
            name=name,
        )
        key = [self.like(x)] if self.chance(0.3) else []
        return layer(x, other, *key)

    def steps_of_time(self, x):
        steps, size = x.shape[1:]
        return self.pick(
            [
                lambda: x[:, -1],
                lambda: layers.Permute((2, 1), name=self.name("turn"))(x),
                lambda: layers.Reshape((1, steps, size), name=self.name("up"))(
                    x
                ),
                lambda: layers.MaxPooling1D(2, padding="same")(x),
                lambda: ops.transpose(x, (0, 2, 1)),
            ]
        )()

    def spread(self, x):
        size = x.shape[-1]
        return self.pick(
            [
                layers.Reshape((1, 1, size), name=self.name("pixel")),
                layers.RepeatVector(3, name=self.name("repeat")),
                lambda x: ops.expand_dims(x, 1),
            ]
        )(x)
