"""Whether gradients mislead: then a robust accuracy means nothing.

After A. Athalye et al., "Obfuscated Gradients Give a False Sense of Security",
2018, and AutoAttack's checks: an attack of many steps is at least as strong as
one step, one that knows gradients as strong as one that only asks for outputs,
and gradients are there.
"""

import dataclasses

# What the square attack may do better than PGD, and how many images may be
# without a gradient, as shares: two searches differ by a few images.
MARGIN = 0.01


@dataclasses.dataclass(frozen=True)
class Masking:
    """What the checks found.

    Attributes:
        checked: tuple of str, what held.
        failed: tuple of str, what did not.
    """

    checked: tuple[str, ...]
    failed: tuple[str, ...]

    @property
    def text(self):
        """One line."""
        if self.failed:
            return "; ".join(self.failed)
        if not self.checked:
            return "not checked: that takes pgd, and fgsm or square"
        return f"no sign of it ({'; '.join(self.checked)})"


def check(figures, examples):
    """Compares the accuracies that attacks left.

    PGD is the stronger one of `pgd` and `margin`, where both were run. FGSM
    may leave one image fewer: PGD begins elsewhere, at random.

    Args:
        figures: dict of name to share in [0, 1], as in `Result`. A check whose
            figures are not all there is not made.
        examples: int, how many images they are shares of.

    Returns:
        A `Masking`.
    """
    outcomes = []
    left = [figures[name] for name in ("pgd", "margin") if name in figures]
    if left and "fgsm" in figures:
        one = 1 / examples
        outcomes.append(_as_strong("FGSM", figures["fgsm"], min(left), one))
    if left and "square" in figures:
        square = figures["square"]
        outcomes.append(_as_strong("square", square, min(left), MARGIN))
    if "zero_gradient" in figures:
        outcomes.append(_gradients(figures["zero_gradient"]))
    return Masking(
        tuple(text for held, text in outcomes if held),
        tuple(text for held, text in outcomes if not held),
    )


def _as_strong(name, other, left, margin):
    # Shares are counts over counts: forgive the last binary digit.
    if left - other <= margin + 1e-9:
        return True, f"PGD is as strong as {name}"
    return False, (
        f"{name} is stronger than PGD (accuracy {100 * other:.2f} % against "
        f"{100 * left:.2f} %)"
    )


def _gradients(share):
    if share <= MARGIN:
        return True, "there are gradients"
    return False, f"{100 * share:.2f} % of the images have no gradient"
