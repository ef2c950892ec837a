"""What the loss becomes when channels are silent."""

import numpy as np

from rrelu_tf.pruning.silencing import Silenced
from rrelu_tf.scoring.compiled import compiled
from rrelu_tf.scoring.examples import Examples
from rrelu_tf.scoring.forward import Forward


class LossChanges:
    """Changes of a model's loss without some channels, each measured once.

    Attributes:
        loss: mean cross-entropy with every channel, in nats.
    """

    def __init__(self, model, keys, data, *, samples, batch_size):
        """Measures the loss.

        Args:
            model: a functional or built Sequential `keras.Model` of logits or
                their softmax; it is left as it is.
            keys: of the layers whose channels are to be silenced.
            data: as of `rrelu_tf.score`; all that is used is held in memory.
            samples: int, the most examples to use.
            batch_size: int, examples in a batch that is cut from a tuple.

        Raises:
            UserError: as `rrelu_tf.score` of a model or data.
        """
        self._silenced = Silenced(model, keys)
        forward = Forward(self._silenced.model, {})
        self._batches = list(
            Examples(data, forward, samples=samples, batch_size=batch_size)
        )
        self._logits = compiled(forward)
        self._known = {}
        self.loss = self._mean()

    def without(self, channels):
        """The loss without these channels, minus that with all of them.

        Args:
            channels: list of (key, channel).
        """
        channels = frozenset(channels)
        if channels not in self._known:
            self._silenced.silence(channels)
            self._known[channels] = self._mean() - self.loss
        return self._known[channels]

    def _mean(self):
        total, count = 0.0, 0
        for images, labels in self._batches:
            logits = self._logits(images).numpy().astype("float64")
            logits -= logits.max(axis=1, keepdims=True)
            right = logits[np.arange(len(labels)), labels.numpy()]
            total += (np.log(np.exp(logits).sum(axis=1)) - right).sum()
            count += len(labels)
        return float(total / count)
