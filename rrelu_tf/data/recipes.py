"""Which augmentation and normalisation each data set takes by default."""

import dataclasses

from rrelu_tf.errors import UserError


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Names of the defaults for one data set.

    Attributes:
        augmentation: a key of `augmentation.AUGMENTATIONS`.
        normalization: a key of `NORMALIZATIONS`, or "standard".
        mirrors: whether a mirrored image is still of its class. A mirrored
            digit is not.
        test_split: TFDS split to test on; None: `test`, else `validation`.
        streamed: never decoded into memory as a whole.
    """

    augmentation: str
    normalization: str
    mirrors: bool = True
    test_split: str | None = None
    streamed: bool = False


# cifar*, mnist: the authors' trainers. svhn_cropped: theirs mirrors digits;
# here it doesn't. imagenet2012: torchvision's reference; its TFDS `test` split
# has no labels.
RECIPES = {
    "digits": Recipe("crop", "unit", mirrors=False),
    "mnist": Recipe("none", "unit", mirrors=False),
    "fashion_mnist": Recipe("crop_flip", "standard"),
    "svhn_cropped": Recipe("crop", "standard", mirrors=False),
    "cifar10": Recipe("crop_flip", "imagenet"),
    "cifar100": Recipe("crop_flip", "imagenet"),
    "imagenet2012": Recipe(
        "inception", "imagenet", test_split="validation", streamed=True
    ),
}
OTHERS = Recipe("none", "standard")

# Mean and standard deviation per channel, for pixels scaled to 0..1. Both of
# CIFAR-10's are the RReLU authors': of their copy of network slimming, and of
# their WRN code.
NORMALIZATIONS = {
    "unit": ((0.0,), (1.0,)),
    "half": ((0.5,), (0.5,)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "cifar10_wrn": (
        (125.3 / 255, 123.0 / 255, 113.9 / 255),
        (63.0 / 255, 62.1 / 255, 66.7 / 255),
    ),
}


def recipe(name):
    """The data set's own recipe, or the one for all others."""
    return RECIPES.get(name, OTHERS)


def augmentation(recipe, choice, *, sized):
    """The augmentation's name, "auto" resolved.

    Args:
        recipe: the data set's `Recipe`.
        choice: what the user asked for.
        sized: whether an image size was asked for; then "auto" takes
            ImageNet's random-resized crop, except where mirrors harm.
    """
    if choice != "auto":
        return choice
    return "inception" if sized and recipe.mirrors else recipe.augmentation


def normalization(recipe, choice, *, split, positions, channels):
    """(mean, std) per channel, "auto" resolved.

    Args:
        recipe: the data set's `Recipe`.
        choice: what the user asked for.
        split: the train split, measured for "standard".
        positions: the training examples in it: validation stays unseen.
        channels: of the images.

    Raises:
        UserError: when the constants are for another number of channels.
    """
    resolved = recipe.normalization if choice == "auto" else choice
    if resolved == "standard":
        mean, std = split.mean_and_std(positions)
        # A channel that never varies would divide by zero.
        return mean, tuple(max(value, 1 / 255) for value in std)
    mean, std = NORMALIZATIONS[resolved]
    if len(mean) == 1:
        return mean * channels, std * channels
    if len(mean) != channels:
        raise UserError(
            f"{resolved!r} normalises {len(mean)} channels, and the images "
            f"have {channels}. Received: normalization={choice}"
        )
    return mean, std
