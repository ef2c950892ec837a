"""What a run ran on: versions and kind of machine, no names of machines."""

import importlib.metadata
import os
import platform

import tensorflow as tf

_PACKAGES = ("tensorflow", "keras", "tensorflow-datasets", "numpy")


def describe():
    """Dict with `versions` and `machine`, plain values for JSON."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        versions[package] = importlib.metadata.version(package)
    return {"versions": versions, "machine": _machine()}


def _machine():
    gpus = tf.config.list_physical_devices("GPU")
    details = map(tf.config.experimental.get_device_details, gpus)
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "gpus": [each.get("device_name", "GPU") for each in details],
    }
