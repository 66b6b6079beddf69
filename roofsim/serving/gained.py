"""What drafts gain a server: how much more it makes of a load, and up to how many users that is more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from roofsim.foundation.values import dataclass
from roofsim.prediction.intervals import Interval, scatter, within
from roofsim.serving.front import seen
from roofsim.serving.rounds import batches
from roofsim.serving.served import Served
from roofsim.serving.server import Server
from roofsim.serving.steady import closed, doubted_step, glance_at


@dataclass(frozen=True, slots=True)
class Gained:
    """What drafts gain: `made` tokens of a sequence in a step, of a load so many times the tokens, or the speed.

    `gain` is of tokens a second for users who ask again, of the time between tokens for requests at a rate (None where
    they are not answered without drafts). `pays_until` are the most users for whom it is above one, None if it is for
    none, `pays_within` what that may be by the interval of the gain; `users` are the most that are served at once.
    """

    draft: str
    tokens: int
    made: float
    gain: float | None
    interval: Interval | None
    pays_until: int | None
    pays_within: tuple[int, int]
    users: int


def with_gain(server: Server, served: Served, rate: bool = False) -> Served:
    """A load that was served with drafts, and what they gain of it."""
    drafts = server.drafts
    if drafts is None:
        return served
    without = replace(server, drafts=None)
    most = min(server.most, without.most) * server.lanes
    if rate:
        times = glance_at(without, served.rate)
        gain = None if times is None else times["itl"]["mean"] / served.itl["mean"]
        users = max(round(served.running), 1)
    else:
        users = int(served.concurrency)
        gain = served.rate / closed(without, users).rate
    ratio = doubted_step(without, users) / doubted_step(server, users)
    doubt = drafts.drafted.doubt(drafts.accepted)
    sigma = (2 * scatter(server.doubting, ("latency_s", "decode")) ** 2 + doubt**2) ** (1 / 2)
    low, high = (end / float(ratio) for end in within(server.doubting, ratio, sigma))
    over = _gains(server, without)
    until = {name: _until(over, most, 1 / by) for name, by in (("mean", 1.0), ("low", low), ("high", high))}
    return replace(
        served,
        drafts=Gained(
            drafts.drafter.name, drafts.drafted.tokens, drafts.made, gain,
            None if gain is None else (gain * low, gain * high), until["mean"] or None, (until["low"], until["high"]),
            most,
        ),
    )  # fmt: skip


def _gains(server: Server, without: Server) -> Callable[[Any], Any]:
    """Gains in tokens a second over arrays of users."""
    return lambda users: seen(server, {}, users, users).rate / seen(without, {}, users, users).rate


def _until(gains: Callable[[Any], Any], most: int, least: float) -> int:
    """The most users for whom a gain is above the least, behind the last of a grid for which it is; 0 if for none."""
    grid = batches(most)
    paying = [users for users, gain in zip(grid, gains(grid), strict=True) if gain > least]
    if not paying:
        return 0
    low, high = paying[-1], next((users for users in grid if users > paying[-1]), None)
    while high is not None and high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if gains([middle])[0] > least else (low, middle)
    return low
