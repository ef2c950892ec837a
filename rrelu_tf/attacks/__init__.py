"""How much a classifier's accuracy is worth against an adversary.

Attacks are functions of a classifier, itself a function of images to logits.
Two protocols, `correct` and `seed` (the RReLU authors'), make lists of trials,
which `evaluate` runs over a data set; `masking` asks whether to believe them.
"""

from rrelu_tf.attacks.authors import seed
from rrelu_tf.attacks.correct import EPSILON, correct
from rrelu_tf.attacks.evaluation import Result, evaluate
from rrelu_tf.attacks.fgsm import fgsm
from rrelu_tf.attacks.lipschitz import local_lipschitz
from rrelu_tf.attacks.pgd import pgd
from rrelu_tf.attacks.pixels import of_normalized, of_pixels
from rrelu_tf.attacks.square import square
from rrelu_tf.attacks.trial import Trial
