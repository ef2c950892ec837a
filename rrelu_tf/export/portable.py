"""Files for other runtimes: LiteRT, ONNX, OpenVINO, each proven by its own."""

import dataclasses
import functools
import importlib.util
import pathlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rrelu_tf import atomic, silence
from rrelu_tf.errors import UserError, first_line
from rrelu_tf.export import fitting, litert, onnx, openvino, versions
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


@dataclasses.dataclass(frozen=True)
class Written:
    """A file that its runtime has loaded and run.

    Attributes:
        format: key of `FORMATS`.
        path: `pathlib.Path` of the file.
        bytes: its size, of all its parts.
        difference: largest of a logit, of the largest logit of the source.
        agreement: share of the compared images, in [0, 1], that it puts in
            the source's class.
    """

    format: str
    path: pathlib.Path
    bytes: int
    difference: float
    agreement: float

    def load(self):
        """A function of images `(batch, *image_shape)`, 0..255, to logits."""
        return FORMATS[self.format].load(self.path)


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
        List of `Written`, in the order of `formats`.

    Raises:
        UserError: for an unknown format or one that lacks a package or cannot
            hold the model; for representative images that are missing, of
            another shape or out of 0..255; if the folder cannot be written.
        ExportError: if a file gives other logits. Nothing is left behind then,
            as with every other error.
    """
    _check_formats(formats)
    images = _images(formats, representative, preprocessing.image_shape)
    fitting.check(model, preprocessing.image_shape, model.output_shape[-1])
    source = from_pixels(model, preprocessing)
    expected = _expected(model, preprocessing, images)
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
    difference = np.abs(logits - expected).max() / np.abs(expected).max()
    error = difference
    if name == _INT8:
        error = np.square(logits - expected).mean() / np.var(expected)
    if not error <= kind.tolerance:
        raise ExportError(
            f"A file must give the source model's logits, within "
            f"{kind.tolerance:g}. Received: {name}={error:.3g}"
        )
    files = set(temporary.iterdir()) - others
    return Written(
        format=name,
        path=final / kind.file,
        bytes=sum(file.stat().st_size for file in files),
        difference=float(difference),
        agreement=float(np.mean(logits.argmax(-1) == expected.argmax(-1))),
    )


def _check_formats(formats):
    for name in formats:
        if name not in FORMATS:
            raise UserError(
                f"A format must be one of {', '.join(FORMATS)}. "
                f"Received: format={name}"
            )
        for module in FORMATS[name].needs:
            if importlib.util.find_spec(module) is None:
                raise UserError(
                    f"The format needs the package {module}, which `pip "
                    "install rrelu_tf[export]` brings along. "
                    f"Received: format={name}"
                )


def _images(formats, representative, shape):
    """What the files are compared on, float32 `(n, *shape)`."""
    if representative is None:
        if _INT8 in formats:
            raise UserError(
                "int8 takes its ranges from representative images. "
                "Received: representative=None"
            )
        draw = np.random.default_rng(0)
        return draw.integers(0, 256, (8, *shape)).astype(np.float32)
    try:
        images = np.asarray(representative, np.float32)
    except (TypeError, ValueError) as error:
        raise UserError(
            "Representative images must be an array of numbers, or lists of "
            "equal lengths. "
            f"Received: representative={type(representative).__name__}"
        ) from error
    if images.shape[1:] != tuple(shape) or not len(images):
        raise UserError(
            "Representative images must be an array of shape (n, "
            f"{', '.join(map(str, shape))}), n at least 1. "
            f"Received: shape={images.shape}"
        )
    if not (images.min() >= 0 and images.max() <= 255):
        raise UserError(
            "Representative images must have pixels from 0 to 255. Received: "
            f"lowest={images.min():g}, highest={images.max():g}"
        )
    return images


def _expected(model, preprocessing, images):
    logits = model(preprocessing.normalize(images), training=False)
    logits = np.asarray(logits, np.float32)
    if not np.isfinite(logits).all():
        raise UserError(
            "A model must give finite logits to be exported. "
            f"Received: logits={np.ravel(logits)[:3]}"
        )
    return logits
