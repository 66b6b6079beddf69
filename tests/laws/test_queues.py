"""Queues of requests at a rate: against formulas that are exact, laws, and schedules gone through one by one."""

from __future__ import annotations

from math import exp, factorial, sqrt
from statistics import fmean
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from roofsim.foundation.errors import InputError
from roofsim.prediction.loop import Engine
from roofsim.serving.arrivals import Constant, Lengths, Poisson, arrive
from roofsim.serving.chain import Chain, counted, cut, poisson, spread_points
from roofsim.serving.events import simulated
from roofsim.serving.open import Solved, Steps
from roofsim.serving.queue import Beside, Sample, shared
from roofsim.serving.scheduler import Rules

approx = pytest.approx


def chain(rate, times, parts=1, ahead=0, **more):
    return Chain(rate, np.array(times, dtype=float), parts, ahead, **more)


@pytest.mark.parametrize(
    ("fit", "whole", "expected"),
    [
        (40.5, False, (1, 40)),
        (4.0, False, (1, 4)),
        (2.5, False, (2, 5)),  # two prompts and a half: five halves
        (0.4, False, (5, 2)),  # a prompt is five parts, of which a step takes two
        (0.25, False, (4, 1)),
        (0.01, False, (100, 1)),
        (2.9, True, (1, 2)),
        (0.4, True, (1, 1)),  # a whole prompt goes alone, however long
    ],
)
def test_prompts_are_cut_into_parts_that_fill_steps(fit, whole, expected):
    assert cut(fit, whole) == expected


@given(st.floats(0.05, 15.9))
def test_parts_fill_a_step_but_for_little(fit):
    parts, most = cut(fit, whole=False)
    assert most <= parts * fit * (1 + 1e-9)
    assert most >= 0.95 * parts * fit or parts == 32 or fit < 1 / 16


def test_chances_of_arrivals_are_poissons_and_what_is_beyond_counts_as_the_last():
    found = poisson(np.array([0.0, 2.0]), 4)
    assert found[0] == approx([1, 0, 0, 0])
    assert found[1] == approx([exp(-2), 2 * exp(-2), 2 * exp(-2), 1 - 5 * exp(-2)])


@given(st.floats(0.001, 0.999), st.floats(0, 50))
def test_a_count_is_the_least_that_is_not_exceeded_by_its_share(share, mean):
    k = int(counted(np.array([share]), np.array([mean]))[0])
    sums = [exp(-mean) * sum(mean**i / factorial(i) for i in range(n + 1)) for n in (k - 1, k)]
    assert sums[0] <= share + 1e-9
    assert sums[1] >= share - 1e-9


def test_points_fill_every_dimension_evenly():
    for each in spread_points(1024, 5):
        assert np.histogram(each, 16, (0, 1))[0] == approx(64, abs=6)


@settings(deadline=None, max_examples=40)
@given(
    st.floats(1e-3, 0.1), st.floats(1e-3, 1), st.integers(1, 12), st.integers(1, 4), st.integers(0, 1),
    st.floats(0.05, 0.7),
)  # fmt: skip
def test_as_many_prompts_go_through_steps_as_come_in_them(alone, each, most, parts, ahead, busy):
    times = [alone + each * s for s in range(most + 1)]
    one = chain(busy * most / parts / times[-1], times, parts, ahead)
    assert one.taken.sum() == approx(1)
    assert one.taken @ np.arange(most + 1) / parts == approx(one.rate * one.mean, rel=0.02)
    assert one.taken @ np.array(times) == approx(one.mean, rel=0.02)
    assert (one.first.times > times[1]).all()


@pytest.mark.parametrize("ahead", [0, 1])
@given(st.floats(0.01, 0.6))
@settings(deadline=None, max_examples=10)
def test_steps_that_add_up_have_the_mean_of_a_gate(ahead, busy):
    # T = v + N(T) d: the mean is v / (1 - rate d), however steps are laid out
    one = chain(busy / 0.05, [0.2 + 0.05 * s for s in range(80)], 1, ahead)
    assert one.mean == approx(0.2 / (1 - busy), rel=1e-2)


@pytest.mark.parametrize("busy", [0.3, 0.6, 0.8])
def test_one_prompt_at_a_time_waits_as_m_d_1(busy):
    one = chain(busy, [5.0, 1.0], rests=True)
    assert one.mean == approx(1)
    assert one.rested == approx(1 - busy, rel=1e-2)
    wait = busy * (one.first.times.mean() - 1)
    assert wait == approx(busy / (2 * (1 - busy)), rel=0.05)


def test_what_comes_with_a_prompt_makes_the_steps_after_it_longer():
    one = chain(1.0, [0.1, 1.0, 1.1, 1.2, 1.3])
    seconds, close = one.decode(50)
    assert seconds > 50 * one.mean
    assert close > 0
    # where all steps take equally long, nothing is close to anything
    even = chain(0.4, [1.0] * 12)
    seconds, close = even.decode(50)
    assert seconds == approx(50, rel=1e-6)
    assert close == approx(0, abs=0.05)


def constant(seconds, to=60, close=0.0):
    return {0: Beside(0, 0, 0), **{n: Beside(0, seconds, close) for n in range(1, to)}}


NOTHING = np.zeros(400)


def test_times_that_do_not_depend_on_others_make_the_number_of_sequences_poisson():
    found = shared(2.0, constant(3.0), NOTHING, float("inf"))
    assert found.chances[:20] == approx([exp(-6) * 6**n / factorial(n) for n in range(20)], rel=1e-6)
    assert found.mean == approx(6)
    assert found.waits == 0


def test_times_in_proportion_to_the_number_make_it_geometric():
    # one processor that all share: M/G/1-PS
    found = shared(0.5, {0: Beside(0, 0, 0), 1: Beside(1, 0, 0), 99: Beside(1, 0, 0)}, np.arange(100.0), float("inf"))
    assert found.chances[:10] == approx([0.5**n / 2 for n in range(10)], rel=1e-6)


def test_bursts_are_as_large_as_they_make_each_other_close():
    # sequences of a burst begin and end together: the variance is that of bursts times E(K^2) / E(K)
    found = shared(2.0, constant(3.0, 200, close=4.0), NOTHING, float("inf"))
    n = found.numbers
    assert found.mean == approx(6, rel=1e-4)
    assert found.chances @ (n - found.mean) ** 2 == approx(6 * (1 + 4), rel=1e-3)


def test_who_finds_all_places_taken_waits_as_erlang_says():
    # 3 places of which 2 are taken in the mean: 4 / 9 wait; of exponential services for 1 / (3 - 2) of one
    found = shared(2.0, constant(1.0, 4), NOTHING, 3)
    assert found.waits == approx(4 / 9)
    # M/D/3: (1 + (1 / 3) 2 (sqrt(19) - 2) / (16 (2 / 3) 3)) / 2 of that (Cosmetatos 1976)
    assert found.wait == approx((1 + 2 * (sqrt(19) - 2) / 96) / 2)
    # of M/D/1 half
    assert shared(0.5, constant(1.0, 2), NOTHING, 1).wait == approx(1 / 2 / (1 - 0.5))
    assert found.mean == approx(2)
    assert shared(3.0, constant(1.0, 4), NOTHING, 3) is None


def test_percentiles_count_shares():
    one = Sample(np.array([3.0, 1.0, 2.0]), np.array([0.02, 0.6, 0.38]))
    assert one.mean == approx(0.06 + 0.6 + 0.76)
    assert one.percentiles == {"p50": 1.0, "p95": 2.0, "p99": 3.0}
    later = one.delayed(0.5, 10.0)
    assert later.shares.sum() == approx(1)
    assert later.mean > one.mean


def step(alone, each, launch, token):
    """Seconds of a step: weights, one for each sequence, launches of prompts, and their tokens."""

    def of(decodes, held=0, pieces=0, new=0, context=0):
        decodes, pieces = np.asarray(decodes, dtype=float), np.asarray(pieces, dtype=float)
        some = (pieces > 0) * 1.0
        seconds = np.maximum((decodes > 0) * alone, some * launch) + each * decodes + token * pieces * new
        return seconds + 0 * held, 0 * seconds

    return of


def server(of, prompt, generate, tokens=1000, most=64, **more):
    """What the closed form asks of a server."""
    found = SimpleNamespace(
        engine=Engine(tokens, most, **more), prompt=prompt, whole=prompt, most=most, lanes=1, capacity=float("inf"),
        w=SimpleNamespace(generate=generate), steps=SimpleNamespace(of=of), later=generate - 1, each=1, between=1.0,
        drafts=None,
    )  # fmt: skip
    found.open_steps = Steps(found)
    return found


def gone_through(of, prompt, generate, rate, requests, tokens=1000, most=64, **more):
    """The mean times to the first token and between tokens of requests one by one."""

    def one(*sizes):
        seconds, joules = of(*sizes)
        return float(seconds), float(joules)

    found = simulated(
        one, arrive(Poisson(rate), Lengths(prompt, generate), requests, 3), Rules(tokens, most, **more)
    ).requests  # fmt: skip
    kept = sorted(found, key=lambda each: each.arrived)[requests // 10 : -requests // 20]
    return fmean(each.ttft for each in kept), fmean(each.tpot or 0.0 for each in kept)


AFFINE = step(5e-3, 1e-4, 5e-3, 1e-5)
LAUNCHED = step(5e-3, 1e-4, 100e-3, 1e-6)


@pytest.mark.parametrize(
    ("of", "prompt", "generate", "rate", "engine"),
    [
        (AFFINE, 100, 12, 60, {"ahead": 1}),
        (LAUNCHED, 100, 24, 4, {"ahead": 1}),  # steps with prompts take twenty times as long
        (AFFINE, 495, 12, 60, {"ahead": 1}),  # two prompts and a few sequences do not quite fit
        (AFFINE, 1700, 30, 15, {"ahead": 0}),  # prompts of several steps
        (AFFINE, 600, 8, 60, {"ahead": 1, "whole": True}),
        (AFFINE, 100, 30, 10, {"ahead": 1, "most": 4}),  # places are short
    ],
)
def test_means_are_those_of_requests_gone_through_one_by_one(of, prompt, generate, rate, engine):
    pytest.importorskip("simpy", reason="SimPy is not installed: the extra `serving`")
    found = Solved(server(of, prompt, generate, **engine), rate)
    first, later = gone_through(of, prompt, generate, rate, 1500, **engine)
    assert found.ttft["mean"] == approx(first, rel=0.05)
    assert found.itl["mean"] == approx(later, rel=0.05)


def test_answers_of_one_token_wait_for_prompts_alone():
    pytest.importorskip("simpy", reason="SimPy is not installed: the extra `serving`")
    found = Solved(server(AFFINE, 500, 1, ahead=1), 80)
    assert found.itl["mean"] == found.decoding == 0
    assert found.ttft["mean"] == approx(gone_through(AFFINE, 500, 1, 80, 1500, ahead=1)[0], rel=0.05)


def test_requests_that_come_now_and_then_find_nothing():
    found = Solved(server(AFFINE, 100, 20, ahead=1), 1e-6)
    assert found.ttft["mean"] == approx(6e-3, rel=1e-3)
    assert found.itl["mean"] == approx(5.1e-3, rel=1e-3)
    pytest.importorskip("simpy", reason="SimPy is not installed: the extra `serving`")
    far = simulated(lambda *sizes: tuple(map(float, AFFINE(*sizes))), arrive(Constant(1), Lengths(100, 20), 3), Rules())
    assert [each.ttft for each in far.requests] == approx([6e-3] * 3)
    assert [each.tpot for each in far.requests] == approx([5.1e-3] * 3)


@settings(deadline=None, max_examples=15)
@given(st.integers(20, 2000), st.integers(1, 30), st.floats(0.05, 0.5), st.integers(0, 1), st.booleans())
@example(1000, 1, 0.3, 1, False)
def test_littles_law_and_the_order_of_percentiles_at_any_rate(prompt, generate, busy, ahead, whole):
    one = server(AFFINE, prompt, generate, ahead=ahead, whole=whole)
    rate = busy / (prompt * 1e-5 + 5e-3 + (generate - 1) * (5e-3 / 16 + 1e-4))
    found = Solved(one, rate)
    assert found.present == approx(rate * (found.ttft["mean"] + (generate - 1) * found.itl["mean"]))
    assert found.decoding == approx(rate * (generate - 1) * found.itl["mean"])
    assert 0 <= found.running <= found.present * (1 + 1e-9)
    for times in (found.ttft, found.itl):
        assert times["p50"] <= times["p95"] <= times["p99"]
    alone, mixed = found.steps
    assert alone >= 0
    assert mixed > 0
    # an engine does not work more than all the time
    assert alone * 5e-3 + mixed * 5e-3 <= 1 + 1e-6


def test_more_requests_than_places_make_room_for_are_refused():
    with pytest.raises(InputError, match="but not if they come as they like"):
        Solved(server(LAUNCHED, 100, 200, most=8), 6).ttft["mean"]


def test_two_levels_of_sequences_are_told():
    # beyond some, steps take three times as long: few go on as few, many as many
    two = {n: Beside(0, 1.0 if n < 20 else 3.0, 0) for n in range(1, 80)}
    found = shared(12.0, {0: Beside(0, 0, 0), **two}, NOTHING, float("inf"))
    assert found.levels == [11, 35] or found.levels == [12, 36]
    assert shared(12.0, constant(1.0), NOTHING, float("inf")).levels in ([11], [12])
    wide = Solved(server(lambda n, *more: jumps(n, *more), 1, 101, most=256), 12.0)
    assert any("two levels" in said for said in wide.cautions)
    assert Solved(server(AFFINE, 100, 20, ahead=1), 5).cautions == ()


def jumps(decodes, held=0, pieces=0, new=0, context=0):
    """Steps that take three times as long from twenty sequences on."""
    seconds = 0.01 * np.where(np.asarray(decodes) < 20, 1.0, 3.0) + 0.0 * (held + np.asarray(pieces))
    return seconds, 0 * seconds
