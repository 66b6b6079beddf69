"""Kernels that a profiler saw beside those that are predicted: by what they are for, and one by one where they pair."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from roofsim.foundation.arith import Number
from roofsim.foundation.errors import InputError
from roofsim.foundation.values import dataclass
from roofsim.foundation.version import SCHEMA
from roofsim.lowering.kernels import Kernel
from roofsim.lowering.step import LoweredRow, lower
from roofsim.model.architecture import Architecture
from roofsim.model.step import Pass, Phase
from roofsim.ops.base import Operator
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.fitted import reach, unsure
from roofsim.prediction.intervals import Interval, scatter, with_slopes, within
from roofsim.prediction.request import settled
from roofsim.prediction.results import plain
from roofsim.prediction.setup import Setup
from roofsim.prediction.steps import decode, pieces
from roofsim.runs.traces import Group, Launch, Trace, group_of
from roofsim.specs.workload import Workload

PRODUCTS = frozenset(
    ("gemm", "vector_product", "row_product", "packed_product", "quantised_tiles", "block_product", "dot_product",
     "repacked_product", "unpacked_product")
)  # fmt: skip
ATTENTION = frozenset(("attention", "masked_attention", "narrow_masked_attention", "row_attention"))
SUMS = re.compile("splitkreduce|splitk_reduce|reduce_splitk")
"""In the names of kernels that add up the parts of a product: predicted products are one kernel with them."""

OF_KIND: Mapping[str, Group] = {"scan": "scan", "conv": "convolution", "collective": "collective"}


@dataclass(frozen=True, slots=True)
class Predicted:
    """A kernel that is launched `count` times in a pass, for `time` seconds in all (a number that may carry slopes)."""

    layer: str
    operator: str
    kernel: str
    group: Group
    count: Number
    time: Number


@dataclass(frozen=True, slots=True)
class OfGroup:
    """Kernels of one group in a pass: launches and seconds, measured and predicted, with the 95 % interval."""

    group: Group
    launches: float
    predicted_launches: float
    measured: float
    predicted: float
    interval: Interval

    @property
    def error(self) -> float | None:
        """Relative error of the predicted time; None where nothing was measured."""
        return self.predicted / self.measured - 1 if self.measured else None


@dataclass(frozen=True, slots=True)
class Pair:
    """Launches of a kernel by the name that the trace gives it, and the predicted kernel that they are, in one pass."""

    layer: str
    operator: str
    kernel: str
    measured_name: str
    group: Group
    launches: float
    measured: float
    predicted: float

    @property
    def error(self) -> float:
        """Relative error of the predicted time."""
        return self.predicted / self.measured - 1


@dataclass(frozen=True, slots=True)
class Compared:
    """A trace against a prediction. `pairs` are of groups with as many launches in the trace as predicted; of others
    `unpaired` are the trace's kernels by name. Times are seconds of one pass; `device` is what the trace says it is."""

    file: str
    device: str
    phase: Phase
    passes: int
    wall: float | None
    predicted_wall: float
    groups: tuple[OfGroup, ...]
    pairs: tuple[Pair, ...]
    unpaired: tuple[Launch, ...]

    @property
    def measured(self) -> float:
        """Seconds of all kernels."""
        return sum(each.measured for each in self.groups)

    @property
    def predicted(self) -> float:
        """The same as predicted."""
        return sum(each.predicted for each in self.groups)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, SI units."""
        data: dict[str, Any] = plain(self)
        for name in ("groups", "pairs"):
            for row, each in zip(data[name], getattr(self, name), strict=True):
                row["error"] = each.error
        return {"schema": SCHEMA, **data, "measured": self.measured, "predicted": self.predicted}


def compare_kernels(
    trace: Trace, s: Setup, w: Workload, phase: Phase = "prefill", passes: int | None = None
) -> Compared:
    """The kernels of a trace beside those of such a pass.

    `passes` is how many passes it is of, where it does not say itself; raises InputError if it says another number.
    """
    if passes and trace.stated and passes != trace.passes:
        raise InputError(f"{trace.file}: its schedule recorded {trace.passes} steps, not {passes}")
    n = passes or trace.passes
    w = settled(s, w)
    s = unsure(s, reach(s, w))
    e = Evaluation(with_slopes(s, w), w)
    sigma = scatter(s, ("device_time_s", phase))
    done = [(1, decode(s, w))] if phase == "decode" else list(pieces(s, w))
    expected = [each for times, p in done for each in _kernels(e, p, times)]
    ordered = len(done) == 1 and float(done[0][0]) == 1
    groups: list[OfGroup] = []
    pairs: list[Pair] = []
    unpaired: list[Launch] = []
    launches = _joined(trace.launches)
    for group in dict.fromkeys([*(x.group for x in launches), *(x.group for x in expected)]):
        seen = [each for each in launches if each.group == group]
        mine = [each for each in expected if each.group == group]
        time: Number = sum(each.time for each in mine)
        count, wanted = sum(each.count for each in seen), sum(float(each.count) for each in mine)
        groups.append(
            OfGroup(group, count / n, wanted, sum(x.time for x in seen) / n, float(time), within(s, time, sigma))
        )
        single = all(each.count == 1 for each in seen)
        if ordered and single and count == n * wanted and all(float(x.count) == int(float(x.count)) for x in mine):
            pairs += _paired(seen, mine, n)
        else:
            unpaired += _by_name(seen, n)
    groups.sort(key=lambda each: -max(each.measured, each.predicted))
    wall = e.decode if phase == "decode" else e.prefill
    return Compared(
        trace.file, trace.device, phase, n, trace.wall, float(wall.time), tuple(groups),
        tuple(sorted(pairs, key=lambda each: -each.measured)), tuple(sorted(unpaired, key=lambda each: -each.time)),
    )  # fmt: skip


def _kernels(e: Evaluation, p: Pass, times: Number) -> Iterator[Predicted]:
    """The kernels of a pass in the order in which layers are run."""
    s, m = e.s, e.stack.machine
    for row in in_order(s.architecture, lower(s.architecture, s.runtime, p, s.device)):
        for operator, lowered in row:
            for k in lowered.kernels:
                count = 0 if k.joined else k.count
                time = k.count * e.stack.terms(k, m).time
                yield Predicted(row.row.layer, operator.name, k.name, _group(operator, k), times * count, times * time)


def in_order(architecture: Architecture, rows: Sequence[LoweredRow]) -> Iterator[LoweredRow]:
    """One row for every layer, as they follow each other: rows of a pass are those of equal layers together."""
    named = {row.row.layer: row for row in rows}
    layers = [name for stretch in architecture.layout for _ in range(stretch.repeat) for name in stretch.of]
    last = f"last {layers[-1]}"
    if last in named:
        layers[-1] = last
    yield from (named[name] for name in ("embedding", *layers, "head"))


def _group(operator: Operator, k: Kernel) -> Group:
    """What a predicted kernel is for, as the name of a real one tells it."""
    if k.like in PRODUCTS:
        return "product"
    if k.like in ATTENTION or (operator.kind == "attention" and k.name.startswith("sum of")):
        return "attention"
    own = OF_KIND.get(operator.kind)
    main = k.like in ("scan", "ssd", "delta", "loop", "scalar_loop", "collective") or k.name == operator.name
    return own if own and (main or group_of(k.name) == own) else "element-wise"


def _joined(launches: Sequence[Launch]) -> list[Launch]:
    """The launches with the sums of products that were split counted to these."""
    found: list[Launch] = []
    for each in launches:
        if SUMS.search(each.name.lower()) and found and found[-1].count == each.count:
            last = found.pop()
            found.append(Launch(last.name, last.time + each.time, last.count))
        else:
            found.append(each)
    return found


def _paired(seen: Sequence[Launch], mine: Sequence[Predicted], passes: int) -> Iterator[Pair]:
    """The launches of every pass beside the predicted ones, in order; those of the same kernel and name added up."""
    one = [each for each in mine for _ in range(int(float(each.count)))]
    found: dict[tuple[str, str, str, str], list[float]] = {}
    for i, launch in enumerate(seen):
        p = one[i % len(one)]
        row = found.setdefault((p.layer, p.operator, p.kernel, launch.name), [0.0, 0.0, 0.0])
        row[0] += 1
        row[1] += launch.time
        row[2] += float(p.time) / float(p.count)
    for (layer, operator, kernel, name), (count, measured, predicted) in found.items():
        yield Pair(layer, operator, kernel, name, mine[0].group, count / passes, measured / passes, predicted / passes)


def _by_name(seen: Sequence[Launch], passes: int) -> Iterator[Launch]:
    """Launches of one pass by name: seconds in all; their number is rounded."""
    found: dict[str, list[float]] = {}
    for each in seen:
        row = found.setdefault(each.name, [0.0, 0.0])
        row[0] += each.time
        row[1] += each.count
    for name, (time, count) in found.items():
        yield Launch(name, time / passes, round(count / passes))
