"""One training, or two: first the slopes alone, then the rest without them."""

import dataclasses

import numpy as np

from rrelu_tf.errors import UserError
from rrelu_tf.layers import Rotated
from rrelu_tf.strip.graph import layers_of, trace
from rrelu_tf.strip.liveness import analyse


@dataclasses.dataclass(frozen=True)
class Phase:
    """Epochs that share an optimizer and a schedule.

    Attributes:
        start: epochs done when it begins.
        end: epochs done when it ends.
        step: 1 or 2 in two-step training, else None.
        zeta: |slope| up to which step 2 silences a channel.
    """

    start: int
    end: int
    step: int | None = None
    zeta: float = 0.0

    @property
    def epochs(self):
        """How many epochs it has."""
        return self.end - self.start

    def is_ahead(self, checkpoint, epochs):
        """Whether epochs of it are left, or it is the last of the run's."""
        done = checkpoint.epoch if checkpoint else 0
        return done < self.end or done == self.end == epochs

    def prepare(self, model, trainable):
        """Silences and freezes what the step says; before `compile`.

        `trainable` are the variables of the model that a step may train.

        Step 1 trains the slopes alone: all other weights stay at their random
        initialisation, and only the statistics of normalisations move. Step 2
        begins with the slopes of step 1, those up to zeta at 0, and freezes
        them; all other weights train. Source: the RReLU authors' code, which
        takes the slopes of step 1's best epoch, on the test set; here it is
        the last one's, which need no data to be chosen on.
        """
        if self.step is None:
            return
        slopes = [layer.slope for layer in layers_of(model, Rotated).values()]
        if not slopes:
            raise UserError(
                "Two-step training needs slopes, and the model has none. "
                f"Received: model={model.name}"
            )
        ids = {id(slope) for slope in slopes}
        for variable in trainable:
            variable.trainable = (id(variable) in ids) == (self.step == 1)
        if not any(variable.trainable for variable in trainable):
            raise UserError(
                "Each of two steps needs weights that it may train; those of "
                f"step {self.step} are frozen. Received: model={model.name}"
            )
        if self.step == 2:
            for slope in slopes:
                values = slope.numpy()
                slope.assign(np.where(np.abs(values) > self.zeta, values, 0))
            if not analyse(trace(model)).connected:
                raise UserError(
                    "two_step_zeta must leave a way from the input to the "
                    "output, and this one silences every channel of a layer "
                    f"on it. Received: two_step_zeta={self.zeta}"
                )


def of(recipe):
    """The phases of a `Recipe`, in order."""
    first, last = recipe.two_step_epochs, recipe.epochs
    if not first:
        return [Phase(0, last)]
    return [Phase(0, first, 1), Phase(first, last, 2, recipe.two_step_zeta)]
