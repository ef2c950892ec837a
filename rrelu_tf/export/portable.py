"""Files for other runtimes: LiteRT, ONNX, OpenVINO, each proven by its own."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rrelu_tf import atomic, silence
from rrelu_tf.errors import UserError, first_line
from rrelu_tf.export import (
    examples,
    fitting,
    litert,
    onnx,
    openvino,
    packages,
    versions,
    written,
)
from rrelu_tf.export.fresh_process import ExportError
from rrelu_tf.export.pixels import from_pixels


class Format(NamedTuple):
    """A kind of file.

    Attributes:
        file: its name.
        needs: modules that write and run it, besides TensorFlow.
        write: function of (model, path, representative images).
        load: function of a path to a function of images to logits.
        tolerance: largest difference of a logit, of the largest logit; of
            int8, noise of that share of the logits' power.
    """

    file: str
    needs: tuple[str, ...]
    write: Callable
    load: Callable
    tolerance: float


_LITERT = ("ai_edge_litert",)
_FLOAT32 = 1e-4
_INT8 = "litert_int8"
FORMATS = {
    "litert": Format(
        "model.tflite", _LITERT, litert.write, litert.load, _FLOAT32
    ),
    "litert_float16": Format(
        "model_float16.tflite",
        _LITERT,
        functools.partial(litert.write, weights="float16"),
        litert.load,
        2e-2,
    ),
    # Signal to quantisation noise of 10 dB: less is no use as a classifier.
    _INT8: Format(
        "model_int8.tflite",
        _LITERT,
        functools.partial(litert.write, weights="int8"),
        litert.load,
        0.1,
    ),
    "onnx": Format(
        "model.onnx",
        ("onnx", "onnxruntime", "tf2onnx"),
        onnx.write,
        onnx.load,
        _FLOAT32,
    ),
    "openvino": Format(
        "model.xml",
        ("openvino",),
        openvino.write,
        openvino.load,
        _FLOAT32,
    ),
}


def write(
    model, out, formats, *, preprocessing, representative=None, version=None
):
    """Writes `<out>/<version>/` with a file per format.

    Each takes `images`, float32 `(batch, *image_shape)` of values 0..255 (int8:
    uint8), normalises inside, and gives `logits`, float32 `(batch, classes)`.
    The folder appears only after each file was loaded by its own runtime and
    gave the source's logits: relative to the largest within 1e-4, with float16
    weights 2e-2; of int8, quantisation noise may have a tenth of the logits'
    power on the representative images (10 dB).

    Args:
        model: a `keras.Model` from normalised images to logits.
        out: folder of the versions; made if it is missing.
        formats: keys of `FORMATS`.
        preprocessing: a `rrelu_tf.data.Preprocessing`; images that it would
            resize have to come in its `image_shape`.
        representative: `(n, *image_shape)` of values 0..255: real images that
            int8 takes its ranges from; the others are compared on them, too.
        version: int of at least 1; None takes the next after those in `out`.

    Returns:
        List of `rrelu_tf.export.written.Written`, in the order of `formats`.

    Raises:
        UserError: for a model of several ends, without a graph or of tf_keras;
            for an unknown format or one that lacks a package or cannot
            hold the model; for representative images that are missing, of
            another shape or out of 0..255; if the folder cannot be written.
        ExportError: if a file gives other logits. Nothing is left behind then,
            as with every other error.
    """
    _check_formats(formats, representative)
    images = examples.images(representative, preprocessing.image_shape)
    fitting.check_ends(model)
    fitting.check(model, preprocessing.image_shape, model.output_shape[-1])
    source = from_pixels(model, preprocessing)
    expected = examples.logits(model, preprocessing, images)
    with versions.folder(out) as out:
        final = out / str(versions.number(out, version))
        with atomic.path(final) as temporary:
            temporary.mkdir()
            return [
                _written(name, source, temporary, final, images, expected)
                for name in formats
            ]


def _written(name, source, temporary, final, images, expected):
    """Writes one file, compares it, and says what it is."""
    kind = FORMATS[name]
    path, others = temporary / kind.file, set(temporary.iterdir())
    with silence.held_back():
        try:
            kind.write(source, path, images)
            logits = np.array(kind.load(path)(images))
        except (OSError, MemoryError):  # the machine's, not the format's
            raise
        except Exception as error:  # whatever a converter or runtime raises
            raise UserError(
                "The format must be able to hold every operation of the "
                f"model, but: {first_line(error)}. Received: format={name}"
            ) from error
    files = set(temporary.iterdir()) - others
    found = written.compared(
        *(name, final / kind.file),
        sum(file.stat().st_size for file in files),
        functools.partial(kind.load, final / kind.file),
        logits=logits,
        expected=expected,
    )
    error = found.difference
    if name == _INT8:
        error = np.square(logits - expected).mean() / np.var(expected)
    if not error <= kind.tolerance:
        raise ExportError(
            f"A file must give the source model's logits, within "
            f"{kind.tolerance:g}. Received: {name}={error:.3g}"
        )
    return found


def _check_formats(formats, representative):
    if isinstance(formats, str):
        raise UserError(
            f"Formats must be a list of names. Received: formats={formats}"
        )
    for name in formats:
        if name not in FORMATS:
            raise UserError(
                f"A format must be one of {', '.join(FORMATS)}. "
                f"Received: format={name}"
            )
        packages.check(FORMATS[name].needs, f"format={name}")
    if _INT8 in formats and representative is None:
        raise UserError(
            "int8 takes its ranges from representative images. "
            "Received: representative=None"
        )
