"""What pruning in rounds is asked for, and whether that makes sense."""

import dataclasses

from rrelu_tf import amounts, seed_protocol
from rrelu_tf.errors import UserError
from rrelu_tf.rounds import entries, shares

AMOUNTS = ("sparsity", "thresholds", "flops", "params", "latency")
_BUDGETS = ("flops", "params", "latency")
_PROTOCOLS = ("correct", "seed")


@dataclasses.dataclass(frozen=True)
class Plan:
    """The choices that decide a pruning in rounds, plain values for JSON.

    Exactly one of `AMOUNTS` says how much goes.

    Attributes:
        score: what the channels are judged by, as of `rrelu_tf.score`.
        samples: the most training images that a score is computed from.
        sparsity: share of the channels that goes in all, in (0, 1).
        thresholds: percent of the channels that are gone after each round.
        flops: budget as of `rrelu_tf.select`; so `params` and `latency`.
        rounds: how many; None: as many as thresholds, or 1.
        scope: as of `rrelu_tf.select`; so `min_fraction` and `round_to`, of
            the channels that the round finds, and `align`.
        protocol: "correct", or "seed": as the OrthoReg authors' code scores and
            chooses, for their nets, by sparsity or thresholds.
        recalibrate: training images that batch normalisations get their
            statistics from before retraining, `rrelu_tf.recalibrate`; 0: none.
        which: "last" or "best": the epoch of the first net that is pruned.
        retrain_which: the epoch of a retraining that goes on; None: as `which`.
        retrain_epochs: texts, one a round, the last one for all that follow:
            epochs of retraining, "40", or "40+20", the second with OrthoReg.
            Empty: as many as the run had.
        retrain_milestones: texts likewise, of the schedule multistep: "35,70",
            or "35,70+24". Empty: the run's, moved with the epochs.
        retraining: dict of `Recipe` fields that retraining has of its own.
    """

    score: str = "slope"
    samples: int = 10_000
    sparsity: float | None = None
    thresholds: tuple[float, ...] = ()
    flops: float | None = None
    params: float | None = None
    latency: float | None = None
    rounds: int | None = None
    scope: str = "global"
    min_fraction: float = 0.05
    round_to: int = 1
    align: str = "gather"
    protocol: str = "correct"
    recalibrate: int = 0
    which: str = "last"
    retrain_which: str | None = None
    retrain_epochs: tuple[str, ...] = ()
    retrain_milestones: tuple[str, ...] = ()
    retraining: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        asked = {name: getattr(self, name) for name in AMOUNTS}
        asked["thresholds"] = self.thresholds or None
        name, value = amounts.only(asked)
        if name != "thresholds":
            amounts.check(name, value)
        amounts.check_options(
            self.scope, self.align, self.min_fraction, self.round_to
        )
        for name, (rule, holds) in _RULES.items():
            value = getattr(self, name)
            if value not in _UNSET and not holds(value):
                shown = _shown(name, self)
                raise UserError(
                    f"{name} must be {rule}. Received: {name}={shown}"
                )
        self._check_rounds()
        self._check_protocol()

    def _check_protocol(self):
        if self.protocol == "correct":
            return
        if self.amount != "sparsity":
            raise UserError(
                "protocol=seed prunes by sparsity or thresholds. Received: "
                f"{self.amount}={getattr(self, self.amount)}"
            )
        decided = ("scope", "min_fraction", "round_to", "align")
        seed_protocol.check(
            "seed", **{n: (getattr(self, n), getattr(Plan, n)) for n in decided}
        )

    def _check_rounds(self):
        steps = len(self.thresholds)
        if steps and self.rounds not in (None, steps):
            raise UserError(
                f"{steps} thresholds are {steps} rounds. "
                f"Received: rounds={self.rounds}"
            )
        if self.count > 1 and self.latency is not None and self.latency > 1:
            raise UserError(
                "A latency budget of several rounds must be a fraction in "
                f"(0, 1). Received: latency={self.latency}"
            )
        for name in ("retrain_epochs", "retrain_milestones"):
            if len(getattr(self, name)) > self.count:
                raise UserError(
                    f"{name} has one entry for each of {self.count} rounds at "
                    f"the most. Received: {name}={_shown(name, self)}"
                )

    @property
    def count(self):
        """How many rounds there are."""
        return self.rounds or len(self.thresholds) or 1

    @property
    def amount(self):
        """What `rrelu_tf.select` calls the amount."""
        budgets = [n for n in _BUDGETS if getattr(self, n) is not None]
        return budgets[0] if budgets else "sparsity"

    @property
    def aim(self):
        """The amount for people: `sparsity 0.5`, `flops 0.3`, `80 %`."""
        if self.thresholds:
            return f"sparsity {self.thresholds[-1] / 100:g}"
        return f"{self.amount} {getattr(self, self.amount):g}"

    @property
    def given(self):
        """The amount as an error tells it: `thresholds=10,50,80`."""
        name = "thresholds" if self.thresholds else self.amount
        return f"{name}={_shown(name, self)}"

    def epochs(self, number):
        """(epochs of plain retraining, epochs with OrthoReg) of a round.

        None where the run's recipe says it. Rounds count from 1.
        """
        if not self.retrain_epochs:
            return None
        return entries.epochs(self.retrain_epochs, number)

    def milestones(self, number):
        """(plain, with OrthoReg) milestones of a round; None: the recipe's."""
        if not self.retrain_milestones:
            return None
        return entries.milestones(self.retrain_milestones, number)

    @property
    def goes_on(self):
        """Which epoch of a retraining goes on, "last" or "best"."""
        return self.retrain_which or self.which

    @property
    def has_ortho(self):
        """Whether any round has a training with OrthoReg."""
        rounds = range(1, self.count + 1)
        return any((self.epochs(number) or (0, 0))[1] for number in rounds)

    def amount_of(self, number, found, first):
        """What a round asks of `rrelu_tf.select`.

        Args:
            number: of the round, from 1.
            found: channels that it finds.
            first: dict of what there was at first: "channels", and for
                budgets "flops" and "params".

        Returns:
            dict of one of select's amounts; with protocol "seed" that of all
            rounds, and `seed_round`.
        """
        value = None if self.thresholds else getattr(self, self.amount)
        if self.protocol == "seed":
            of = self.thresholds or self.count
            total = self.thresholds[-1] / 100 if self.thresholds else value
            return {"sparsity": total, "seed_round": (number, of)}
        if self.amount in _BUDGETS and number == self.count == 1:
            return {self.amount: value}
        if self.amount in _BUDGETS:
            return {self.amount: self._budget(number, value, first)}
        steps = [0.0, *(percent / 100 for percent in self.thresholds)]
        if not self.thresholds:
            steps = [0.0, *shares.gone(value, self.count)]
        before, after = steps[number - 1 : number + 1]
        share = shares.of_what_is_left(before, after, found, first["channels"])
        return {"sparsity": round(share, 12)}

    def _budget(self, number, value, first):
        whole = first.get(self.amount)
        fraction = value if value < 1 else value / whole
        if fraction >= 1:
            raise UserError(
                f"A budget must be below the model's own {whole:,} "
                f"{self.amount}. Received: {self.amount}={value:g}"
            )
        steps = [0.0, *shares.gone(1 - fraction, self.count)]
        before, after = steps[number - 1 : number + 1]
        if self.amount == "latency":
            return (1 - after) / (1 - before)  # in turns with what it finds
        return (1 - after) * whole

    def to_dict(self):
        """Plain values by name, as they come back from JSON."""
        values = dataclasses.asdict(self)
        return {
            k: list(v) if isinstance(v, tuple) else v for k, v in values.items()
        }


_UNSET = (None, (), [])


_RULES = {
    "samples": ("at least 1", lambda value: value >= 1),
    "sparsity": ("above 0 where channels are to go", lambda value: value > 0),
    "thresholds": (
        "increasing percents, above 0 and below 100",
        seed_protocol.rise,
    ),
    "rounds": ("at least 1", lambda value: value >= 1),
    "protocol": ("correct or seed", lambda value: value in _PROTOCOLS),
    "recalibrate": ("at least 0", lambda value: value >= 0),
    "retrain_epochs": (
        "numbers of epochs between commas, 40 or 40+20",
        lambda texts: all(map(entries.EPOCHS.fullmatch, texts)),
    ),
    "retrain_milestones": (
        "epochs between commas, and between semicolons those of each round, "
        "35,70 or 35,70+24;40,80",
        lambda texts: all(map(entries.MILESTONES.fullmatch, texts)),
    ),
}


def _shown(name, plan):
    value = getattr(plan, name)
    if isinstance(value, tuple):
        texts = [x if isinstance(x, str) else f"{x:g}" for x in value]
        return (";" if name == "retrain_milestones" else ",").join(texts)
    return value
