"""What decides a run's result: every choice, its default and its rule."""

import dataclasses
import math
import pathlib

from rrelu_tf.errors import UserError


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The choices that two runs must share to end bit for bit alike.

    Where the data lie and where the run is written are not part of it. The
    defaults train any architecture on the embedded digits in a few minutes on
    two cores. Every field is a plain value, so that a recipe fits in JSON.

    Raises:
        UserError: if a value breaks its rule in `RULES`, or would have no
            effect beside the others.
    """

    arch: str = "resnet20"
    arch_options: tuple[str, ...] = ()
    activation: str = "rrelu"
    dataset: str = "digits"
    image_size: int | None = None
    augmentation: str = "auto"
    normalization: str = "auto"
    cache: str = "auto"
    validation_split: float = 0.1
    batch_size: int = 128
    epochs: int = 12
    optimizer: str = "sgd"
    learning_rate: float = 0.1
    schedule: str = "cosine_epoch"
    warmup_epochs: int = 0
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 5e-4
    slope_decay: float = 1.0
    slope_learning_rate: float = 1.0
    slope_l1: float = 0.0
    gamma_l1: float = 0.0
    orthoreg: float = 0.0
    protocol: str = "correct"
    two_step_epochs: int = 0
    two_step_zeta: float = 0.03
    early_bird: str = "none"
    early_bird_score: str = "bn"
    early_bird_sparsity: float = 0.5
    early_bird_epochs: int = 25
    start: str = ""
    label_smoothing: float = 0.0
    mixed_precision: str = "none"
    jit_compile: bool = False
    steps_per_execution: int = 1
    strategy: str = "auto"
    virtual_devices: int = 0
    sync_batch_norm: bool = False
    fused: bool = True
    seed: int = 0
    deterministic: bool = True
    monitor_zeta: float = 0.1

    def __post_init__(self):
        for name, (rule, holds) in RULES.items():
            value = getattr(self, name)
            if not holds(value):
                raise UserError(
                    f"{name} must be {rule}. Received: {name}={value}"
                )
        if self.two_step_epochs >= self.epochs:
            raise UserError(
                f"The first of two steps must end before the run's "
                f"{self.epochs} epochs do. "
                f"Received: two_step_epochs={self.two_step_epochs}"
            )
        least = {"fixed": self.early_bird_epochs, "distance": QUEUE}
        if self.epochs < least.get(self.early_bird, 0):
            raise UserError(
                f"early_bird={self.early_bird} draws no ticket before epoch "
                f"{least[self.early_bird]}. Received: epochs={self.epochs}"
            )
        for name, rule, chosen in _WITHOUT_EFFECT:
            value = getattr(self, name)
            if value != getattr(Recipe, name) and chosen(self):
                raise UserError(f"{name} {rule}. Received: {name}={value}")

    @property
    def network(self):
        """The architecture, or the name of the file that the run started from.

        A path's last part, without its suffix; `Run.network` knows more.
        """
        return pathlib.PurePath(self.start or self.arch).stem

    @property
    def ortho_protocol(self):
        """What `rrelu_tf.orthogonalize` and `score` call the protocol."""
        return None if self.protocol == "correct" else self.protocol

    def to_dict(self):
        """Plain values by name, as they come back from JSON."""
        values = dataclasses.asdict(self)
        return values | {name: list(values[name]) for name in _TUPLES}

    @classmethod
    def from_dict(cls, values):
        """The recipe of `to_dict`; names that are no field are left out.

        Fields that are younger than what was written have their defaults.

        Raises:
            ValueError: if one of `_NEVER_MISSING` is missing, or a value is of
                another type than its field.
            UserError: if a value breaks its rule.
        """
        fields = {
            field.name: field.default for field in dataclasses.fields(cls)
        }
        chosen = {k: v for k, v in values.items() if k in fields}
        wrong = [k for k, v in chosen.items() if not _fits(v, fields[k])]
        wrong += [name for name in _NEVER_MISSING if name not in chosen]
        if wrong:
            raise ValueError(f"missing, or of another type: {', '.join(wrong)}")
        return cls(
            **chosen | {name: tuple(chosen.get(name, ())) for name in _TUPLES}
        )


# Lists in JSON and on the command line.
_TUPLES = ("arch_options", "milestones")
# Without these nobody knows what was run.
_NEVER_MISSING = ("arch", "activation", "dataset", "epochs", "seed")


def _fits(value, default):
    """Whether a value from JSON is of its field's type."""
    if default is None:
        return value is None or type(value) is int
    if isinstance(default, tuple):
        return isinstance(value, (list, tuple))
    if isinstance(default, float):
        return type(value) in (int, float)
    return type(value) is type(default)


def _finite_above_zero(value):
    return math.isfinite(value) and value > 0


def _finite_not_negative(value):
    return math.isfinite(value) and value >= 0


def _below_one(value):
    return 0 <= value < 1


# What a run that starts from a model takes from it.
OF_THE_START = (
    *("arch", "arch_options", "mixed_precision", "sync_batch_norm", "fused"),
)

CACHES = ("auto", "memory", "disk", "none")
PRECISIONS = ("none", "float16", "bfloat16")
PROTOCOLS = ("correct", "seed")
EARLY_BIRDS = ("none", "distance", "fixed")
QUEUE = 5  # masks that must lie close to each other: You et al. (2020)

RULES = {
    "image_size": ("at least 1", lambda value: value is None or value >= 1),
    "cache": ("one of " + ", ".join(CACHES), lambda value: value in CACHES),
    "validation_split": ("at least 0 and below 1", _below_one),
    "batch_size": ("at least 1", lambda value: value >= 1),
    "epochs": ("at least 1", lambda value: value >= 1),
    "learning_rate": ("a finite number above 0", _finite_above_zero),
    "warmup_epochs": ("at least 0", lambda value: value >= 0),
    "gamma": ("a finite number above 0", _finite_above_zero),
    "momentum": ("at least 0 and below 1", _below_one),
    "weight_decay": ("a finite number, at least 0", _finite_not_negative),
    "slope_decay": ("a finite factor, at least 0", _finite_not_negative),
    "slope_learning_rate": (
        "a finite factor, at least 0",
        _finite_not_negative,
    ),
    "slope_l1": ("a finite number, at least 0", _finite_not_negative),
    "gamma_l1": ("a finite number, at least 0", _finite_not_negative),
    "orthoreg": ("a finite number, at least 0", _finite_not_negative),
    "protocol": (
        "one of " + ", ".join(PROTOCOLS),
        lambda value: value in PROTOCOLS,
    ),
    "two_step_epochs": ("at least 0", lambda value: value >= 0),
    "two_step_zeta": ("a finite number, at least 0", _finite_not_negative),
    "early_bird": (
        "one of " + ", ".join(EARLY_BIRDS),
        lambda value: value in EARLY_BIRDS,
    ),
    "early_bird_sparsity": (
        "above 0 and below 1",
        lambda value: 0 < value < 1,
    ),
    "early_bird_epochs": ("at least 1", lambda value: value >= 1),
    "label_smoothing": ("at least 0 and below 1", _below_one),
    "mixed_precision": (
        "one of " + ", ".join(PRECISIONS),
        lambda value: value in PRECISIONS,
    ),
    "steps_per_execution": ("at least 1", lambda value: value >= 1),
    "virtual_devices": ("at least 0", lambda value: value >= 0),
    "seed": ("from 0 to 2147483647", lambda value: 0 <= value < 2**31),
    "monitor_zeta": ("a finite number, at least 0", _finite_not_negative),
}

# Options that another choice makes meaningless; their defaults are always fine.
_WITHOUT_EFFECT = (
    (
        "momentum",
        "is for the optimizer sgd, not for adam",
        lambda recipe: recipe.optimizer == "adam",
    ),
    (
        "gamma",
        "is for the schedule multistep alone",
        lambda recipe: recipe.schedule != "multistep",
    ),
    *(
        (
            name,
            "needs a rotated activation (rrelu, rgelu, rsilu), which has "
            "slopes",
            lambda recipe: recipe.activation in ("relu", "gelu", "silu"),
        )
        for name in (
            *("slope_l1", "slope_decay"),
            *("slope_learning_rate", "two_step_epochs"),
        )
    ),
    (
        "slope_decay",
        "multiplies --weight_decay, which is 0",
        lambda recipe: not recipe.weight_decay,
    ),
    (
        "protocol",
        "is for OrthoReg and early-bird tickets: give --orthoreg or "
        "--early_bird, too",
        lambda recipe: not recipe.orthoreg and recipe.early_bird == "none",
    ),
    (
        "two_step_zeta",
        "is for two-step training: give --two_step_epochs, too",
        lambda recipe: not recipe.two_step_epochs,
    ),
    (
        "two_step_epochs",
        "has no early-bird ticket: its masks are those of two trainings",
        lambda recipe: recipe.early_bird != "none",
    ),
    *(
        (
            name,
            "is for early-bird tickets: give --early_bird, too",
            lambda recipe: recipe.early_bird == "none",
        )
        for name in ("early_bird_score", "early_bird_sparsity")
    ),
    (
        "early_bird_epochs",
        "is for --early_bird=fixed",
        lambda recipe: recipe.early_bird != "fixed",
    ),
    *(
        (
            name,
            "is that of the model to start from",
            lambda recipe: bool(recipe.start),
        )
        for name in OF_THE_START
    ),
)
