"""How many channels must go for what is left to cost no more than asked."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np

from rrelu_tf.analysis import latency
from rrelu_tf.analysis.profile import profile
from rrelu_tf.errors import NothingGoes, UserError
from rrelu_tf.pruning.masking import mask
from rrelu_tf.strip import strip

BATCH = 8  # examples in the batch whose latency is measured
NOISE = 0.05  # medians of CPU time repeat within this, on a quiet machine
_REPEATS = 21
_SCAN = 4  # selections tried before a budget is called impossible


def meet(name, budget, model, order, *, align):
    """The selection that costs the most of those within a budget.

    The channels go in the given order. Their number is found by bisection,
    each probe measured on the model that `mask` and `strip` return. Where cost
    does not fall evenly (a gather costs, too), it is the best that was found.

    Args:
        name: "flops", "params" or "latency".
        budget: number in (0, 1): what is left, as a fraction of the model's;
            number above 1: what is left, in FLOPs (as `rrelu_tf.profile`
            counts), parameters, or milliseconds of CPU time for a batch of
            `BATCH` examples (or of the model's own, fixed batch size).
        model: the source `keras.Model`.
        order: the `groups.Order` of the channels.
        align: as in `rrelu_tf.strip`.

    Returns:
        dict: key -> bool array (channels,), True = keep. One step less would
        exceed the budget. A latency's search ends within `NOISE` below the
        budget, and what it measured may be off by as much.

    Raises:
        UserError: a budget that cannot be reached, or that nothing needs to
            go for; a FLOPs budget for a model with layers, such as attention,
            that `rrelu_tf.profile` does not count.
    """
    if name == "latency":
        measure = _latency(model, relative=budget < 1)
    else:
        measure = _count(name, model)
    aim = budget * measure.whole if budget < 1 else budget
    near = (1 - NOISE) * aim if name == "latency" else np.inf
    probes = _Probes(measure.cost, model, order, align)
    _check_ends(probes, name, budget, aim, measure.text, order.nothing())
    return order.keep(_bisect(probes, aim, near))


@dataclasses.dataclass(frozen=True)
class _Measure:
    """What a model costs.

    Attributes:
        cost: function of a model: its cost.
        whole: the source's cost.
        text: function of a cost: it and its unit.
    """

    cost: Callable
    whole: float
    text: Callable


def _count(name, source):
    """Parameters, which need no sizes of the inputs, or FLOPs."""
    if name == "flops":
        _check_counted(source)

    def cost(model):
        return (
            model.count_params() if name == "params" else profile(model).flops
        )

    whole = cost(source)

    def text(cost):
        share = f" ({cost / whole:.3g} of the model's)" if whole else ""
        return f"{cost:,} {name}{share}"

    return _Measure(cost, whole, text)


def _check_counted(source):
    uncounted = profile(source).uncounted
    if uncounted:
        raise UserError(
            "A FLOPs budget needs a model of which every layer with a kernel "
            "is counted: give params or latency. "
            f"Received: layers={', '.join(uncounted)}"
        )


def _latency(source, relative):
    """CPU time, measured in turns with the source's, which is 1 if relative."""
    batch = _batch(source)

    def cost(model):
        times = latency.compare(source, model, batch, repeats=_REPEATS)
        return times.cpu_ratio if relative else times.after.cpu_ms

    unit = "of the model's latency" if relative else "ms"
    return _Measure(cost, 1.0, lambda cost: f"{cost:.3g} {unit}")


class _Probes:
    """Costs by the number of groups that go, each measured once."""

    def __init__(self, cost, model, order, align):
        self.tried = {}
        self.most = len(order.sequence)
        self._cost = cost
        self._model = model
        self._order = order
        self._align = align
        self._known = {}

    def __call__(self, number):
        if number not in self.tried:
            keep = self._order.keep(number)
            # Rounding makes the same masks of neighbouring numbers.
            same = tuple(stays.tobytes() for stays in keep.values())
            if same not in self._known:
                small = strip(mask(self._model, keep), align=self._align)
                self._known[same] = self._cost(small)
            self.tried[number] = self._known[same]
        return self.tried[number]

    def within(self, aim):
        """The numbers tried whose cost is within the aim."""
        return [number for number, cost in self.tried.items() if cost <= aim]


def _check_ends(probes, name, budget, aim, text, nothing):
    """Refuses a budget above what is there, or below what can be reached."""
    if probes(0) <= aim:
        raise NothingGoes(
            "A budget must make channels go, and with all of them kept strip "
            f"leaves {text(probes(0))}, which is within it. "
            f"Received: {name}={budget}"
        )
    if nothing:
        raise UserError(
            f"A budget must make channels go, and {nothing}. "
            f"Received: {name}={budget}"
        )
    for part in range(_SCAN, 0, -1):
        if probes(probes.most * part // _SCAN) <= aim:
            return
    least = min(probes.tried.values())
    if name != "latency" and least >= probes(0):
        raise UserError(
            "A budget must make channels go, and all that can be masked saves "
            "nothing: rrelu_tf.explain(masked) says what still needs them. "
            f"Received: {name}={budget}"
        )
    raise UserError(
        f"A budget must be at least {text(least)}, the least that can be "
        "reached. "
        f"Received: {name}={budget}"
    )


def _bisect(probes, aim, near):
    """The number of groups to go, of the best probe within the aim."""
    high = min(probes.within(aim))
    low = 0
    while high - low > 1 and not near <= probes(high) <= aim:
        middle = (low + high) // 2
        if probes(middle) <= aim:
            high = middle
        else:
            low = middle
    return max(probes.within(aim), key=lambda number: (probes(number), -number))


def _batch(model):
    """Random examples for every input, in the structure of the model's."""
    made = [_examples(tensor) for tensor in model.inputs]
    return keras.tree.pack_sequence_as(model.input, made)


def _examples(tensor):
    """Random examples; zeros for whole numbers, which may be indices."""
    size, *shape = tensor.shape
    if None in shape:
        raise UserError(
            "A latency budget is measured on inputs of a known size. "
            f"Received: input_shape={(size, *shape)}"
        )
    shape, dtype = (size or BATCH, *shape), tensor.dtype
    if not keras.backend.is_float_dtype(dtype):
        return np.zeros(shape, dtype)
    values = np.random.default_rng(0).normal(size=shape).astype("float32")
    return keras.ops.cast(values, dtype)
