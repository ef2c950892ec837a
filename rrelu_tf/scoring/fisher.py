"""The Fisher score: the squared first-order change of the loss."""

import numpy as np


def fisher(passes, *, per_sample=True):
    """The square of sum(w * dL/dw) over a filter and its bias.

    That sum is how the loss changes, to first order, when the filter is
    scaled: minus it, when the filter goes.

    Source: Theis et al. (2018), "Faster gaze prediction with dense networks
    and Fisher pruning", section 2: the sum over positions of activation times
    gradient, squared for each example (times 1/2, which ranks nothing). The
    OrthoReg authors' code squares after the mean over the examples, so that
    examples that pull in opposite directions cancel: `per_sample=False`.

    Args:
        passes: the `Passes` over a model and its data.
        per_sample: whether examples' squares are averaged; if not, the
            examples' average is squared.

    Returns:
        dict: key of each convolution or dense layer -> float64 (channels,),
        in squared nats.
    """
    return {
        key: (
            moments.squares / moments.examples
            if per_sample
            else np.square(moments.total / moments.examples)
        )
        for key, moments in passes.taylor.kernels.items()
    }
