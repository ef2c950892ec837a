"""What is installed only for those who export."""

import importlib.util

from rrelu_tf.errors import UserError


def check(modules, received):
    """Refuses to begin what would lack a package in the end.

    Args:
        modules: names of what will be imported.
        received: "name=value" of what was asked for.

    Raises:
        UserError: if one is not installed.
    """
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise UserError(
                f"The format needs the package {module}, which `pip install "
                f"rrelu_tf[export]` brings along. Received: {received}"
            )
