"""What the OrthoReg authors' code does, written out plainly, on all four nets.

Their own numbers are of ResNet-56 and VGG-13. What is written out here gives
these, and is then what MobileNet-V1 and ResNet-34 are compared with.
"""

import numpy as np
import pytest
import tensorflow as tf

import rrelu_tf
from rrelu_tf.pruning import seed_parameters, seed_pruned
from rrelu_tf.scoring import scores

ARCHS = ["vgg13", "resnet56_b", "resnet34", "mobilenet_v1"]
STORED = ARCHS[:2]
CLASSES, TEMPERATURE = 3, 200


def written_out(arch, values, sparsity, number=1, of=1, widths=None):
    """Round `number` of `of`: list of bool arrays, one a unit.

    `values` are the units' scores in forward order, `widths` the first net's.
    """
    values = [np.array(own, "float64") for own in values]
    widths = widths or [len(own) for own in values]
    resnet = arch.startswith("resnet")
    if arch == "mobilenet_v1":
        for i in range(1, len(values), 2):
            values[i] = values[i - 1].copy()
    if resnet:
        values[0][:] = 1e7
    else:
        for own, width in zip(values, widths, strict=True):
            own[-(int(0.05 * width) + 1) :] = 1e7
    total, percent = sum(map(len, values)), 100
    for k in range(1, number + 1):
        ratio = sparsity / (k * sparsity + of * (1 - sparsity))
        percent = int(percent * (1 - ratio))
    goes = int(ratio * 100 / 100 * total)
    if resnet:
        goes = int((1 - percent / 100 * sum(widths) / total) * total)
    rows = sorted(
        (score, unit, index)
        for unit, own in enumerate(values)
        for index, score in enumerate(own)
    )
    counts = [0] * len(values)
    for _, unit, _ in rows[:goes]:
        counts[unit] += 1
    if arch == "mobilenet_v1":  # the odd units' counts are ignored
        counts[1::2] = counts[0:-1:2]
    stays = []
    for own, count in zip(values, counts, strict=True):
        order = np.argsort(own, kind="stable")
        keep = np.ones(len(own), bool)
        keep[order[: min(count, len(own) - 1) if resnet else count]] = False
        stays.append(keep)
    if resnet:
        stays[0][:] = True
    return stays


@pytest.mark.parametrize("arch", STORED)
def test_it_gives_the_authors_masks(shared, arch):
    name = {"resnet56_b": "resnet56"}.get(arch, arch)
    stored = np.load(shared / "fixtures" / "orthoreg" / f"{name}.npz")
    ends = np.cumsum(stored["exp/layer_sizes"])
    for method in ("bn", "fisher", "tfo", "l1", "sfp", "rdt", "grasp"):
        values = np.split(stored[f"exp/imp/{method}"], ends[:-1])
        for percent in (25, 50, 75):
            found = np.concatenate(written_out(arch, values, percent / 100))
            packed = stored[f"exp/mask/{method}/{percent}"]
            truth = np.unpackbits(packed)[: ends[-1]] == 1
            assert np.array_equal(found, truth), (method, percent)


def create(arch):
    """A small-image net in float64, nothing of it special, and 6 images."""
    import keras

    keras.config.set_dtype_policy("float64")
    side = {"vgg13": 32, "mobilenet_v1": 9}.get(arch, 8)
    model = rrelu_tf.models.create(
        arch, num_classes=CLASSES, input_shape=(side, side, 3)
    )
    rng = np.random.default_rng(0)
    for variable in model.weights:
        shape = variable.shape
        if variable.name.endswith("gamma"):
            sign = rng.choice([-1, 1], shape, p=[0.1, 0.9])
            variable.assign(sign * rng.uniform(0.5, 1.5, shape))
        elif variable.name.endswith("variance"):
            variable.assign(rng.uniform(0.5, 1.5, shape))
        elif len(shape) == 1:
            variable.assign(rng.normal(0, 0.1, shape))
    images = rng.normal(size=(6, side, side, 3))
    return model, (images, np.arange(6) % CLASSES)


@pytest.mark.parametrize("arch", ARCHS)
def test_masks_of_both_rounds_are_what_is_written_out(arch):
    model, _ = create(arch)
    rng, widths = np.random.default_rng(1), None
    for number in (1, 2):
        drawn = {
            key: rng.random(len(values))
            for key, values in rrelu_tf.score(model, "l1").items()
        }
        widths = widths or [len(own) for own in drawn.values()]
        for sparsity in (0.25, 0.75, 0.5):
            keep = rrelu_tf.select(
                drawn,
                sparsity=sparsity,
                model=model,
                protocol="seed",
                seed_round=(number, 2),
            )
            wanted = written_out(
                arch, drawn.values(), sparsity, number, 2, widths
            )
            for found, truth in zip(keep.values(), wanted, strict=True):
                assert np.array_equal(found, truth)
        small = seed_pruned(model, keep)
        rrelu_tf.verify(rrelu_tf.mask(model, keep), small)
        assert seed_parameters(small) == parameters(arch, keep, model)
        model = small


def parameters(arch, keep, model):
    """How many are left: of narrower kernels, their norms and the last layer.

    Of a ResNet's convolutions the first of each block alone gets narrower.
    """
    count, inputs = 0, 3
    for key, stays in keep.items():
        layer, left = model.get_layer(key), int(stays.sum())
        height, width, read, _ = layer.kernel.shape
        if not arch.startswith("resnet") or key.endswith("_conv2"):
            read = inputs
        if arch.startswith("resnet") and not key.endswith("_conv1"):
            left = len(stays)
        if arch == "mobilenet_v1" and key.endswith("_conv1"):
            read = 1
        of_each = height * width * read + 2 + (layer.bias is not None)
        count, inputs = count + left * of_each, left
    return count + CLASSES * (inputs + 1)


@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHS[2:])
def test_scores_and_their_masks_are_what_is_written_out(arch):
    model, data = create(arch)
    convs = [model.get_layer(key) for key in rrelu_tf.score(model, "l1")]
    norms = [model.get_layer(key) for key in rrelu_tf.score(model, "bn")]
    kernels = [conv.kernel.value for conv in convs]
    gammas = [norm.gamma.value for norm in norms]
    wanted = {
        "bn": [np.abs(gamma) for gamma in gammas],
        "l1": [by_filter(np.abs, kernel) for kernel in kernels],
        "sfp": [by_filter(np.square, kernel) ** 0.5 for kernel in kernels],
        **first_order(model, data, kernels, gammas),
        "rdt": rdt(model, data[0], kernels),
        "grasp": grasp(model, data, kernels),
    }
    wanted["orthoreg"] = wanted["fisher"]
    found = scores(
        model, [m for m in wanted if m != "grasp"], data, protocol="seed"
    )
    found["grasp"] = rrelu_tf.score(
        model,
        "grasp",
        data,
        protocol="seed",
        temperature=TEMPERATURE,
        classes=CLASSES,
        per_class=2,
    )
    for method, values in wanted.items():
        largest = max(own.max() for own in values)
        for own, truth in zip(found[method].values(), values, strict=True):
            np.testing.assert_allclose(own, truth, 1e-6, 1e-12 * largest)
        for percent in (25, 50, 75):
            keep = rrelu_tf.select(
                found[method],
                sparsity=percent / 100,
                model=model,
                protocol="seed",
            )
            truths = written_out(arch, values, percent / 100)
            for stays, truth in zip(keep.values(), truths, strict=True):
                assert np.array_equal(stays, truth), (method, percent)


def by_filter(function, kernel):
    """Sums over each filter; a depthwise kernel is (height, width, n, 1)."""
    values = function(np.asarray(kernel))
    if values.shape[-1] == 1:
        return values.sum((0, 1, 3))
    return values.sum((0, 1, 2))


def crossentropy(logits, labels):
    return tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    )


def first_order(model, data, kernels, gammas):
    images, labels = data
    with tf.GradientTape() as tape:
        loss = crossentropy(model(images, training=False), labels)
    of_kernels, of_gammas = tape.gradient(loss, [kernels, gammas])
    pairs = zip(kernels, of_kernels, strict=True)
    return {
        "fisher": [by_filter(np.asarray, w * g) ** 2 for w, g in pairs],
        "tfo": [
            np.square(w * g) for w, g in zip(gammas, of_gammas, strict=True)
        ],
    }


def rdt(model, images, kernels):
    total = [0.0] * len(kernels)
    with tf.GradientTape(persistent=True) as tape:
        logits = model(images, training=False)
        p = tf.reduce_mean(tf.nn.softmax(logits), 0)
        logs = tf.unstack(tf.reduce_mean(tf.nn.log_softmax(logits), 0))
    for share, log in zip(p, logs, strict=True):
        gradients = tape.gradient(log, kernels)
        for i, gradient in enumerate(gradients):
            total[i] += share * gradient**2 * len(images)
    return [by_filter(np.asarray, x / tf.reduce_mean(x)) for x in total]


def grasp(model, data, kernels):
    images, labels = data
    variables = [v.value for v in model.trainable_variables]
    places = [
        next(i for i, v in enumerate(variables) if v is kernel)
        for kernel in kernels
    ]

    def loss(label):
        logits = model(images[labels == label], training=False)
        return crossentropy(logits / TEMPERATURE, labels[labels == label])

    first = []
    for label in range(CLASSES):
        with tf.GradientTape() as tape:
            value = loss(label)
        first.append(tape.gradient(value, variables))
    mean = [sum(own) / CLASSES for own in zip(*first, strict=True)]
    total = [0.0] * len(kernels)
    for label in range(CLASSES):
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                value = loss(label)
            gradients = inner.gradient(value, variables)
            product = tf.add_n(
                [
                    tf.reduce_sum(a * b)
                    for a, b in zip(mean, gradients, strict=True)
                ]
            )
        second = outer.gradient(product, variables)
        for i, place in enumerate(places):
            total[i] += second[place] / CLASSES
    return [
        by_filter(np.asarray, w * h)
        for w, h in zip(kernels, total, strict=True)
    ]
