"""The time of a pass against a host that fills a queue and a device that drains it, simulated event by event."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from random import Random

import numpy as np
import pytest
from counting.queue import Piece, simulated

from roofsim.engine.schedule import Stretch, times


def taken(pieces: list[Piece], start: float, inline: bool = False) -> float:
    found = times([Stretch(*piece) for piece in pieces], start, inline)
    assert found.host == start + sum(host * count for host, _, count in pieces)
    assert found.device == sum(device * count for _, device, count in pieces)
    return found.wall


def drawn(seed: int) -> Iterator[tuple[list[Piece], float]]:
    random = Random(seed)
    for _ in range(200):
        pieces = [
            (random.choice([0, 1, 2, 5, 0.5]), random.choice([0, 1, 3, 4, 0.25]), random.choice([1, 2, 3, 7]))
            for _ in range(random.randint(1, 5))
        ]
        yield pieces, random.choice([0, 0, 3, 20])


def test_a_pass_takes_as_long_as_host_and_device_simulated_event_by_event() -> None:
    for pieces, start in drawn(seed=1):
        assert taken(pieces, start) == pytest.approx(simulated(pieces, start)), (pieces, start)


@pytest.mark.parametrize(
    ("pieces", "start", "seconds"),
    [
        ([(1, 4, 3)], 0, 1 + 12),  # bound by the device, after the first launch
        ([(4, 1, 3)], 0, 12 + 1),  # by the host, before the last kernel
        ([(1, 4, 2), (10, 1, 1)], 0, 2 + 10 + 1),  # the device waits for the host in the end
        ([(10, 1, 1), (1, 4, 2)], 0, 10 + 1 + 8),  # and in the beginning
        ([(0, 2, 5)], 3, 3 + 10),
        ([(2, 0, 5)], 3, 3 + 10),
    ],
)
def test_a_pass_is_what_working_it_out_by_hand_gives(pieces: list[Piece], start: float, seconds: float) -> None:
    assert simulated(pieces, start) == taken(pieces, start) == seconds


def test_on_the_host_itself_everything_waits_for_everything() -> None:
    assert taken([(1, 4, 2), (10, 1, 3)], 5, inline=True) == 5 + 5 * 2 + 11 * 3


@pytest.mark.parametrize(("host", "seconds"), [(1, 2 + 12), (3, 2 + 7 + 9), (5 / 3, 2 + 12)])
def test_of_equal_passes_whose_host_is_one_ahead_the_slower_counts(host: float, seconds: float) -> None:
    found = times([Stretch(host, 4, 3)], 2, ahead=7)
    assert (found.wall, found.device, found.host) == pytest.approx((seconds, 12, 2 + 7 + 3 * host))
    assert times([Stretch(host, 4, 3)], 2, gaps=0.5, ahead=7).wall == pytest.approx(seconds + 0.5)


def test_gaps_between_kernels_come_on_top_and_keep_neither_busy() -> None:
    found = times([Stretch(1, 4, 3)], 2, gaps=0.5)
    assert (found.wall, found.device, found.host) == (2 + 1 + 12 + 0.5, 12, 2 + 3)
    assert times([Stretch(1, 4, 3)], 2, True, 0.5).wall == 2 + 15 + 0.5


def test_an_array_of_counts_takes_what_each_of_them_takes() -> None:
    counts = np.array([1.0, 2.0, 5.0])
    for host, device in product([1, 3], [2, 4]):
        many = times([Stretch(host, device, counts), Stretch(2, 1, 2)], 1).wall
        assert list(many) == [simulated([(host, device, int(count)), (2, 1, 2)], 1) for count in counts]
