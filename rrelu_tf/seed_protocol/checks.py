"""Whether a protocol, and options beside it, may be asked for."""

from rrelu_tf.errors import UserError


def check(protocol, **options):
    """Refuses an unknown protocol, and options that "seed" decides itself.

    Args:
        protocol: None, the right one, or "seed".
        **options: (value, default) by name.

    Raises:
        UserError: for the first that breaks its rule.
    """
    if protocol not in (None, "seed"):
        raise UserError(
            f'protocol must be None or "seed". Received: protocol={protocol}'
        )
    for name, (value, default) in options.items():
        if protocol and value != default:
            raise UserError(
                f"protocol=seed decides {name} itself. Received: {name}={value}"
            )
