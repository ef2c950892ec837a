"""What scores are made of, computed once for all that ask for it."""

import functools

from rrelu_tf.scoring import scored, taylor
from rrelu_tf.scoring.examples import Examples
from rrelu_tf.scoring.forward import Forward
from rrelu_tf.scoring.workers import Workers


class Passes:
    """A model, the data to score it by, and passes over them.

    Attributes:
        model: the functional `keras.Model`.
        samples: int, the most examples to use.
        batch_size: int, examples in a batch that is cut from a tuple.
        kernels: dict: key -> convolution or dense layer that has a score.
        norms: dict: key -> batch normalisation that has one.
    """

    def __init__(
        self, model, data=None, samples=10_000, *, batch_size=128, whole=False
    ):
        """Nothing is computed yet.

        Args:
            model: a functional or built Sequential `keras.Model`.
            data: as of `Examples`, or None.
            samples: int, the most examples to use.
            batch_size: int, examples in a batch cut from a tuple.
            whole: as `whole_batches` of `Examples`.
        """
        self.model = model
        self._data = data
        self.samples = samples
        self.batch_size = batch_size
        self._whole = whole

    @functools.cached_property
    def kernels(self):
        """Key -> convolution or dense layer."""
        return scored.kernels(self.model)

    @functools.cached_property
    def norms(self):
        """Key -> batch normalisation with a scale."""
        return scored.norms(self.model)

    @functools.cached_property
    def workers(self):
        """The `Workers` that go over the examples together."""
        return Workers(self.model)

    @functools.cached_property
    def forward(self):
        """The model in evaluation mode, a `Forward` that sees all of these."""
        return Forward(self.model, {**self.kernels, **self.norms})

    def examples(self, samples=None):
        """The examples, an `Examples`; at most `samples` if given."""
        return Examples(
            self._data,
            self.forward,
            samples=self.samples if samples is None else samples,
            batch_size=self.batch_size,
            whole_batches=self._whole,
        )

    @functools.cached_property
    def taylor(self):
        """First-order terms of the loss, a `taylor.Taylor`."""
        return taylor.measure(
            *(self.forward, self.kernels, self.norms),
            *(self.examples(), self.workers),
        )
