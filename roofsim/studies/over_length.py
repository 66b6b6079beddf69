"""Figures of one setup over prompt length: at which lengths, with which intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from roofsim.foundation.errors import InputError
from roofsim.foundation.schema import variant
from roofsim.foundation.values import dataclass
from roofsim.lowering.step import mask_from
from roofsim.prediction.compiled import compiled
from roofsim.prediction.fitted import Doubt, doubt, doubted, reach
from roofsim.prediction.intervals import Interval, logs, scatter, variance
from roofsim.prediction.limits import longest_prompt
from roofsim.prediction.metrics import metric_named
from roofsim.prediction.request import settled
from roofsim.prediction.setup import Setup
from roofsim.specs.calibration import HOST_MATTERS, interval
from roofsim.specs.workload import Workload

SHORTEST, LONGEST = 128, 2**18
"""Lengths between which something is looked at unless others are asked for."""

PER_DOUBLING = 2
"""Lengths looked at for each doubling."""

MOST = 200
"""Lengths that are looked at together at most: at each the operators of two passes are worked out."""


def lengths_of(
    s: Setup, w: Workload, asked: Sequence[int] | None = None, per_doubling: int = PER_DOUBLING
) -> tuple[int, ...]:
    """The lengths asked for in order; else from the shortest up to the longest prompt that can be run, or to the prompt
    if that is longer, and around where a mask is built. Raises InputError for too many.
    """
    if asked is not None:
        found = sorted(set(asked))
        if not 0 < len(found) <= MOST:
            raise InputError(f"lengths: 1 to {MOST} can be looked at together, not {len(found):,}")
        return tuple(found)
    end = max(min(longest_prompt(s, w), LONGEST), w.prompt)
    first = min(SHORTEST, w.prompt, end)
    step = 2 ** (1 / per_doubling)
    powers = [first]
    while powers[-1] * step < end:
        powers.append(powers[-1] * step)
    start = mask_from(s.architecture, s.runtime) - s.architecture.prefix_tokens
    switch = [n for n in (start - 1, start) if first < n < end]
    return tuple(sorted({*map(round, powers), *switch, end}))


def bands(
    s: Setup, w: Workload, lengths: Sequence[int], figure: str, measured: tuple[str, str], waits: Sequence[bool]
) -> tuple[Interval, ...]:
    """The 95 % interval of a figure at each length; `waits` says at which the host is what counts."""
    import numpy as np

    values, slopes = logs(s, variant(w, prompt=np.array(lengths, dtype=float)), figure)
    asked = reach(s, w)
    doubts = [doubt(s, replace(asked, prompt=n)) for n in lengths]
    found: dict[Doubt, Any] = {}
    for each in set(doubts):
        known = doubted(s, each)
        sigma = np.where(waits, scatter(known, measured, True), scatter(known, measured, False))
        found[each] = np.broadcast_to(np.asarray(variance(known, slopes)) + sigma**2, (len(lengths),))
    every = np.broadcast_to(np.asarray(values), (len(lengths),))
    return tuple(
        interval(float(x), float(found[each][i])) for i, (x, each) in enumerate(zip(every, doubts, strict=True))
    )


@dataclass(frozen=True, slots=True)
class Curve:
    """A metric over prompt length, and its 95 % interval at each."""

    lengths: tuple[int, ...]
    values: tuple[float, ...]
    intervals: tuple[Interval, ...]


FINE = 8
"""Lengths of a curve for each doubling."""


def curve(s: Setup, w: Workload, metric: str) -> Curve:
    """A metric from the shortest to the longest prompt that can be run; raises InputError for one that there is not."""
    import numpy as np

    row, w = metric_named(metric), settled(s, w)
    lengths = lengths_of(s, w, per_doubling=FINE)
    passed = row.measured[1] if not row.decoding else "decode"
    names = (row.figure, f"{passed}.host_time", f"{passed}.device_time")
    found = compiled(s, variant(w, prompt=1), names, ("prompt",))(prompt=np.array(lengths, dtype=float))
    values, host, device = (np.broadcast_to(found[name], (len(lengths),)).tolist() for name in names)
    waits = [h > HOST_MATTERS * d for h, d in zip(host, device, strict=True)]
    return Curve(lengths, tuple(values), bands(s, w, lengths, row.figure, row.measured, waits))
