"""Installs rrelu_tf and its commands: `pip install -e .[test]`."""

import pathlib
import re

import setuptools

ROOT = pathlib.Path(__file__).parent
VERSION = re.search(
    r'^__version__ = "(.+)"$',
    (ROOT / "rrelu_tf" / "__init__.py").read_text(),
    re.MULTILINE,
).group(1)

setuptools.setup(
    name="rrelu_tf",
    version=VERSION,
    description=(
        "Train Keras 3 models with rotated activations, strip their dead "
        "channels exactly, serve what is left"
    ),
    long_description=(ROOT / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=setuptools.find_packages(include=["rrelu_tf", "rrelu_tf.*"]),
    install_requires=[
        "absl-py",
        # TFDS asks for it on Python 3.11 and does not bring it along.
        "importlib_resources",
        "keras>=3.15,<3.16",  # the graph's private attributes, strip/graph.py
        "matplotlib",
        "numpy",
        # Progress bars with time left, and tables on the terminal.
        "rich",
        # The embedded data set: handwritten digits.
        "scikit-learn",
        # TensorFlow 2.21 no longer brings it along.
        "tensorboard",
        "tensorflow>=2.21,<2.22",
        "tensorflow-datasets>=4.9.10",
        "tensorflow-model-optimization>=0.8",
        # TFMOT's Keras, of TensorFlow's version.
        "tf_keras>=2.21,<2.22",
    ],
    extras_require={
        # The authors' checkpoints, for bin/import_checkpoint.
        "torch": ["torch"],
        # The formats of bin/export besides SavedModel: what converts to them,
        # and the runtimes that each file is checked with.
        "export": [
            *("ai-edge-litert", "onnx", "onnxruntime", "openvino", "tf2onnx")
        ],
        "test": [
            # A second implementation of the attacks, to compare with.
            "adversarial-robustness-toolbox",
            # Seeds of random graphs for strip, the same ones in every run.
            "hypothesis",
            "openvino",
            "pytest",
            "pytest-xdist",
            "ruff",
        ],
    },
    entry_points={
        "console_scripts": [
            f"rrelu-{command} = rrelu_tf.commands.{command}:main"
            for command in (
                *("train", "prune", "export", "evaluate"),
                *("attack", "report", "import_checkpoint"),
            )
        ]
    },
)
