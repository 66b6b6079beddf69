"""Wall time of a pass: the device works behind a queue that the host fills, one after the other, or a step behind."""

from __future__ import annotations

from collections.abc import Sequence

from roofsim.foundation.arith import Number, maximum, single
from roofsim.foundation.values import dataclass


@dataclass(frozen=True, slots=True)
class Stretch:
    """Equal pieces of a pass, in order: host and device time of each of `count`."""

    host: Number
    device: Number
    count: Number


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of a pass on the clock, of the device's work in it and of the host's."""

    wall: Number
    device: Number
    host: Number


def times(
    stretches: Sequence[Stretch], start: Number, inline: bool = False, gaps: Number = 0, ahead: Number | None = None
) -> Times:
    """The times of a pass whose host needs `start` seconds before its first kernel; with `inline` nothing is queued.

    `gaps` are the seconds in which the device only goes on from one kernel to the next, whoever is slower. Where the
    host prepares the next of many equal passes while the device is at this one, with work of `ahead` seconds beside
    its launches, whichever of the two takes longer counts.
    """
    device = sum(s.device * s.count for s in stretches)
    launches = sum(s.host * s.count for s in stretches)
    if ahead is not None:
        return Times(start + maximum(ahead + launches, device) + gaps, device, start + ahead + launches)
    host = start + launches
    return Times((host + device if inline else _queued(stretches, start)) + gaps, device, host)


def _queued(stretches: Sequence[Stretch], start: Number) -> Number:
    """Seconds from the call to the end of the last kernel, where the host launches ahead of the device.

    The device begins a piece when the host has launched it and the piece before is done. Along equal pieces one of
    the two is always the slower: the device waits for the first of them only, or for the last.
    """
    launched = done = start
    for s in stretches:
        behind = maximum(done, launched + s.host) + s.count * s.device
        launched = launched + s.count * s.host
        alone = single(s.count) and s.count == 1
        done = behind if alone else maximum(behind, launched + s.device)
    return maximum(done, launched)
