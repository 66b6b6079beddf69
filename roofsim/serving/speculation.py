"""What drafting tokens gains for one model on one device, by their length, over the batch and over acceptance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from roofsim.foundation.errors import InputError
from roofsim.foundation.units import show
from roofsim.foundation.values import dataclass
from roofsim.foundation.version import SCHEMA
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.results import Intervals, columns, interval_basis, plain
from roofsim.prediction.setup import Setup
from roofsim.prediction.words import MISFIT, assumptions, cautions, room
from roofsim.serving.acceptance import Acceptance
from roofsim.serving.drafts import Drafter, check_drafted
from roofsim.serving.rounds import LONGEST, Drafted, Speculating, batches
from roofsim.serving.shapes import Shape
from roofsim.serving.states import SAID, Rollback
from roofsim.specs.workload import Workload

ALPHAS = tuple(i / 20 for i in range(21))
"""Chances of acceptance over which gains are looked at."""

OF_WORKLOAD = ("batch", "prompt", "generate", "dtype", "weight_format", "cache_dtype")
"""What is said of a workload."""


@dataclass(frozen=True, slots=True)
class AtBatch:
    """What drafts gain with so many sequences: TPOT without and with them, and the best length of a draft there."""

    batch: int
    without: float
    tpot: float
    speedup: float
    best: int
    best_speedup: float


@dataclass(frozen=True, slots=True)
class Speculation:
    """What drafts gain for one model on one device, in SI units.

    `rows` are lengths of drafts, `chosen` the one that was asked for or is the best, `over_batch` the same drafts with
    other numbers of sequences, `over_alpha` speedups by length at the chances `ALPHAS`. `pays_until` is the largest
    batch at which they pay (None: at none, `most`: as many as there can be), but for those in `dips`; `pays_within` are
    the ends of what that may be by the interval of the speedup, 0 for none. `memory` are bytes by part.
    """

    model: str
    device: str
    runtime: str
    draft: str
    workload: Workload
    acceptance: Acceptance
    drafted: Shape
    rollback: Rollback
    recurrent: float
    without: float
    rows: tuple[Drafted, ...]
    chosen: int
    best: int
    over_batch: tuple[AtBatch, ...]
    over_alpha: Mapping[int, tuple[float, ...]]
    pays_until: int | None
    pays_within: tuple[int, int]
    dips: tuple[int, ...]
    most: int
    ttft: float
    memory: Mapping[str, float]
    capacity: float
    assumptions: tuple[str, ...]
    cautions: tuple[str, ...]
    calibration: str | None
    intervals: Intervals

    @property
    def row(self) -> Drafted:
        """The drafts that were asked for."""
        return next(row for row in self.rows if row.tokens == self.chosen)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "schema": SCHEMA, "model": self.model, "device": self.device, "runtime": self.runtime,
            "calibration": self.calibration, "draft": self.draft,
            "workload": {name: plain(getattr(self.workload, name)) for name in OF_WORKLOAD},
            "acceptance": {"alpha": self.acceptance.alpha, "places": list(self.acceptance.places)},
            "tree": {"depth": self.drafted.depth, "top": self.drafted.width} if self.drafted.is_tree else None,
            "rollback": self.rollback, "recurrent_bytes": self.recurrent,
            "tpot_without": self.without, "chosen": self.chosen, "best": self.best,
            "rows": [columns(row) for row in self.rows], "over_batch": [columns(row) for row in self.over_batch],
            "alphas": list(ALPHAS), "over_alpha": {str(k): list(gains) for k, gains in self.over_alpha.items()},
            "pays_until": self.pays_until, "pays_within": list(self.pays_within),
            "dips": list(self.dips), "largest_batch": self.most, "ttft": self.ttft,
            "memory": dict(self.memory), "capacity": self.capacity, "cautions": list(self.cautions),
            "assumptions": list(self.assumptions), "intervals": plain(self.intervals),
            "basis": interval_basis(self.calibration),
        }  # fmt: skip


def speculation(
    s: Setup, w: Workload, drafter: Drafter, a: Acceptance, tokens: int | None = None, *,
    rollback: Rollback = "copies", overhead: float = 0.0, tree: Shape | None = None,
) -> Speculation:  # fmt: skip
    """What drafts gain; `tokens` is their length, the best one if None, or `tree` what is drafted.

    `w` says how its logits and weights are (`prediction.request.settled`). Raises InputError for what cannot be.
    """
    it = Speculating(s, w, drafter, rollback, overhead, tree)
    check_drafted(drafter, a, tokens, tree)
    best = it.best(w.batch, a)
    chosen = tree.tokens if tree else tokens or best
    _check_room(it, chosen)
    shown = it.lengths(a) if tree else range(1, min(a.most or LONGEST, max(8, best + 2)) + 1)
    lengths = sorted({*shown, chosen})
    drawn = sorted({*((lengths[0], lengths[-1]) if tree else (1, 2, 4, 8)), chosen})
    most = it.most(chosen)
    over = [at for at in batches(max(most, w.batch)) if at <= 1024]
    ttft = Evaluation(s, w).prefill.time
    if drafter.s is not None and drafter.w is not None and drafter.state(1):
        ttft = ttft + Evaluation(drafter.s, drafter.w).prefill.time
    said = [*assumptions(s, w), a.words, *drafter.notes]
    if tree:
        said.append(f"{it.shape(chosen).words}; {OF_RANKS}")
    if float(it.recurrent):
        said.append(f"{SAID[rollback]} ({show(float(it.recurrent), 'B')})")
    without, until = float(it.without(w.batch)[0]), it.pays_until(chosen, a, max(most, 1))
    within = it.intervals(w.batch, chosen, a)
    off = [end / it.gain(w.batch, chosen, a) for end in within["speedup"]]
    low, high = (it.pays_until(chosen, a, max(most, 1), 1 / by) or 0 for by in off)
    return Speculation(
        s.model_name, s.device.id, s.runtime.id, drafter.name, w, a, it.shape(chosen), rollback, float(it.recurrent),
        without,
        tuple(it.drafted(w.batch, k, a) for k in lengths), chosen, best,
        tuple(_at_batch(it, batch, chosen, a) for batch in over),
        {k: tuple(it.gain(w.batch, k, Acceptance(alpha)) for alpha in ALPHAS) for k in drawn},
        until, (low, high), it.dips(chosen, a, until) if until else (), most, float(ttft), it.memory(w.batch, chosen),
        room(s).bytes, tuple(said), cautions(s, w), s.calibration_name, within,
    )  # fmt: skip


OF_RANKS = (
    "the next best candidates at a place are accepted as those of EAGLE's trees: of what the best leaves, by a power "
    "law of their number"
)


def _at_batch(it: Speculating, batch: int, tokens: int, a: Acceptance) -> AtBatch:
    best = it.best(batch, a)
    step, gain = float(it.without(batch)[0]), it.gain(batch, tokens, a)
    return AtBatch(batch, step, step / gain, gain, best, it.gain(batch, best, a))


def _check_room(it: Speculating, tokens: int) -> None:
    """Raises InputError where the draft, or what it needs of states, does not fit beside the model."""
    have, parts = room(it.s), it.memory(it.w.batch, tokens)
    if sum(parts.values()) <= have.bytes:
        return
    what = {
        "target": it.s.model_name, "draft_weights": f"weights of {it.drafter.name}",
        "draft_cache": f"its cache of {it.w.batch:,} sequences", "states": "states of all drafted tokens",
    }  # fmt: skip
    said = ", ".join(f"{what[name]} {show(size, 'B')}" for name, size in parts.items() if size)
    why = MISFIT.lower() if parts["target"] > have.bytes else "the draft does not fit beside the model: "
    raise InputError(f"{why}{said}; there are {have.words}")
