"""SavedModels as TensorFlow Serving takes them, with preprocessing inside."""

import json

import keras
import numpy as np
import tensorflow as tf

from rrelu_tf import atomic
from rrelu_tf.errors import UserError
from rrelu_tf.export import (
    fitting,
    fresh_process,
    serving_warmup,
    versions,
)
from rrelu_tf.export.fresh_process import ExportError

# How far a reloaded model's outputs may lie from the source's: the same
# operations, which the graph compiler may fuse, or keep wider in 16 bits.
_TOLERANCE = {"float16": 2e-2, "bfloat16": 1e-1}
_DEFAULT_TOLERANCE = 1e-4


def write(
    model,
    out,
    *,
    preprocessing,
    class_names,
    version=None,
    in_fresh_process=True,
):
    """Writes `<out>/<version>/`, a SavedModel that TensorFlow Serving takes.

    Signatures:
        serving_default: `images`, uint8 `(batch, height, width, channels)`,
            of any height and width where the preprocessing resizes.
        normalized: `images`, float32 `(batch, *image_shape)`, normalised.
    Both give `classes`, int64 `(batch,)`, indices into the class names, and
    `probabilities`, float32 `(batch, classes)`; `normalized` also gives
    `logits`, float32 `(batch, classes)`. Batches are of any size.

    `assets.extra/` holds `labels.txt` (a class name per line), an example
    request for the REST API (`request.json`) and the warm-up requests.

    The folder appears only after it was loaded again, here and in a process
    that cannot import rrelu_tf, and gave the source's outputs both times.

    Args:
        model: a `keras.Model` from normalised images to logits.
        out: folder of the model's versions; made if it is missing.
        preprocessing: a `rrelu_tf.data.Preprocessing`.
        class_names: list of str.
        version: int of at least 1; None takes the next after those in `out`.
        in_fresh_process: False saves the seconds that the check in another
            process takes.

    Returns:
        `pathlib.Path` of the version's folder.

    Raises:
        UserError: if the model does not fit the images and classes or gives
            values that are not finite, if the version exists, or if the
            folder cannot be written.
        ExportError: if the reloaded model gives other outputs. Nothing is
            left behind then, as with every other error.
    """
    fitting.check(model, preprocessing.image_shape, len(class_names))
    _check_names(class_names)
    examples = _examples(preprocessing)
    expected = _expected(model, preprocessing, examples)
    with versions.folder(out) as out:
        final = out / str(versions.number(out, version))
        with atomic.path(final) as temporary:
            _save(model, preprocessing, temporary)
            _write_extra(
                temporary / "assets.extra", model, class_names, examples
            )
            _verify(temporary, expected, _tolerance(model), in_fresh_process)
    return final


def _save(model, preprocessing, folder):
    """Writes the SavedModel; what TensorFlow cannot write is an OSError."""
    try:
        _archive(model, preprocessing).write_out(str(folder), verbose=False)
    except tf.errors.OpError as error:
        raise OSError(None, error.message) from error


def _archive(model, preprocessing):
    """An `ExportArchive` with both signatures."""
    height, width, channels = preprocessing.image_shape
    raw = (None, None) if preprocessing.resize else (height, width)

    def normalized(images):
        logits = tf.cast(model(images, training=False), tf.float32)
        return {
            "classes": tf.argmax(logits, axis=-1, output_type=tf.int64),
            "probabilities": tf.nn.softmax(logits),
            "logits": logits,
        }

    def serving_default(images):
        outputs = normalized(preprocessing.apply(images))
        del outputs["logits"]
        return outputs

    # add_endpoint finds the variables; `track` would write each one twice.
    archive = keras.export.ExportArchive()
    for function, shape, dtype in (
        (serving_default, (None, *raw, channels), tf.uint8),
        (normalized, (None, height, width, channels), tf.float32),
    ):
        archive.add_endpoint(
            function.__name__,
            function,
            input_signature=[tf.TensorSpec(shape, dtype, name="images")],
        )
    return archive


def _write_extra(folder, model, class_names, examples):
    folder.mkdir()
    raw, normalized = examples
    labels = "".join(f"{name}\n" for name in class_names)
    (folder / "labels.txt").write_text(labels, encoding="utf-8")
    request = json.dumps({"instances": raw[:1].tolist()})
    (folder / "request.json").write_text(request + "\n")
    serving_warmup.write(
        folder / serving_warmup.FILE,
        model.name,
        [
            ("serving_default", {"images": raw[:1]}),
            ("normalized", {"images": normalized[:1]}),
        ],
    )


def _examples(preprocessing):
    """A raw batch of random pixels, and the same, normalised."""
    height, width, channels = preprocessing.image_shape
    if preprocessing.resize:
        height = width = preprocessing.resize
    shape = (3, height, width, channels)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    return pixels, preprocessing.apply(tf.constant(pixels)).numpy()


def _expected(model, preprocessing, examples):
    """The source's probabilities, by signature, with the inputs."""
    raw, normalized = examples
    logits = model(preprocessing.apply(tf.constant(raw)), training=False)
    logits = tf.cast(logits, tf.float32)
    if not np.isfinite(logits).all():
        raise UserError(
            "A model must give finite logits to be exported. "
            f"Received: logits={np.ravel(logits)[:3]}"
        )
    probabilities = tf.nn.softmax(logits).numpy()
    return {
        "serving_default": (raw, {"probabilities": probabilities}),
        "normalized": (
            normalized,
            {"probabilities": probabilities, "logits": logits.numpy()},
        ),
    }


def _verify(folder, expected, tolerance, in_fresh_process):
    """Loads the folder, here and if asked for elsewhere, and compares."""
    _verify_here(folder, expected, tolerance)
    if in_fresh_process:
        raw, outputs = expected["serving_default"]
        fresh_process.check(
            folder, raw, outputs["probabilities"], tolerance=tolerance
        )


def _verify_here(folder, expected, tolerance):
    loaded = tf.saved_model.load(str(folder))
    for signature, (images, outputs) in expected.items():
        given = loaded.signatures[signature](images=tf.constant(images))
        for name, values in outputs.items():
            scale = max(1.0, float(np.abs(values).max()))
            error = float(np.abs(given[name].numpy() - values).max()) / scale
            if not error <= tolerance:
                raise ExportError(
                    f"The reloaded SavedModel's {name} differ from the source "
                    f"model's by more than {tolerance:g}. Received: "
                    f"{signature}={error:.3g}"
                )


def _tolerance(model):
    types = {layer.compute_dtype for layer in model.layers}
    return max(_TOLERANCE.get(name, _DEFAULT_TOLERANCE) for name in types)


def _check_names(class_names):
    for name in class_names:
        if len(name.splitlines()) != 1:
            raise UserError(
                "A class name must be one line, as labels.txt has it. "
                f"Received: class_name={name!r}"
            )
