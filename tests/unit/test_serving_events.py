"""Serving event by event: against schedules written down by hand, queues with closed forms, and laws of all queues."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from statistics import mean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roofsim.foundation.errors import InputError, Unsupported
from roofsim.prediction.loop import Engine, Loop, over
from roofsim.prediction.server import Room
from roofsim.prediction.setup import setup
from roofsim.serving.arrivals import Arrival, Constant, Lengths, Poisson, Users, arrive, asked
from roofsim.serving.events import capacity, serve_events, simulated
from roofsim.serving.outcome import Simulated, Spread
from roofsim.serving.prefix import Prefix
from roofsim.serving.scheduler import Rules, rules
from roofsim.serving.server import Server
from roofsim.serving.steady import closed, open_loop
from roofsim.serving.step import StepTime
from roofsim.specs.workload import workload

pytest.importorskip("simpy", reason="SimPy is not installed: the extra `serving`")


class Recorded:
    """A step that takes a second, and what each was asked for."""

    def __init__(self, seconds: float = 1.0) -> None:
        self.asked: list[tuple[float, ...]] = []
        self.seconds = seconds

    def __call__(self, *sizes: float) -> tuple[float, float]:
        self.asked.append(sizes)
        return self.seconds, 2.0


def added(decodes: float, held: float, pieces: float, new: float, context: float) -> tuple[float, float]:
    """A step whose parts add up: weights once, 0.1 ms for each sequence, 10 us for each token of a prompt."""
    return (5e-3 + 1e-4 * decodes if decodes else 0) + 1e-5 * pieces * new, 1.0


def times(found: Simulated) -> list[tuple[float, float]]:
    return [(each.first, each.last) for each in found.requests]


def test_running_requests_go_before_those_that_wait() -> None:
    step = Recorded()
    found = simulated(step, [Arrival(0, 10, 3), Arrival(0.5, 6, 2), Arrival(2.5, 2, 1)], Rules(tokens=8, sequences=2))
    assert step.asked == [
        (0, 0, 1, 8, 0),  # the first prompt fills a step
        (0, 0, 2, 4, 2.5),  # its last 2 see 9 and 10, 6 of the second 1 to 6: 40 in all, as two times 3.5 to 6.5
        (2, 8, 0, 0, 0),  # 10 and 6 held; the third waits for a place
        (1, 11, 1, 2, 0),
    ]
    assert sorted(times(found)) == [(2, 3), (2, 4), (4, 4)]
    assert (found.steps, found.duration, found.energy) == (4, 4, 8)
    assert found.computed == 10 + 6 + 2
    assert sorted(found.gaps) == [1, 1, 1]


def test_pieces_are_as_equal_ones_that_see_as_many_tokens() -> None:
    step = Recorded()
    simulated(step, [Arrival(0, 10, 1), Arrival(0, 6, 1), Arrival(0, 2, 1)], Rules())
    ((decodes, _, pieces, new, context),) = step.asked
    assert (decodes, pieces, new) == (0, 3, 6)
    assert pieces * new * (context + (new + 1) / 2) == pytest.approx(10 * 11 / 2 + 6 * 7 / 2 + 2 * 3 / 2)


def test_the_last_that_began_gives_up_its_blocks_and_is_computed_anew() -> None:
    """Eight blocks of two tokens: two prompts of six take six of them, and grow by one each; then one must go."""
    step = Recorded()
    limits = Rules(tokens=100, sequences=9, room=8, block=2, need=lambda tokens: tokens / 2)
    found = simulated(step, [Arrival(0, 6, 5), Arrival(0, 6, 4)], limits)
    assert step.asked == [
        (0, 0, 2, 6, 0),
        (2, 6, 0, 0, 0),  # seven tokens each: four blocks
        (2, 7, 0, 0, 0),
        (1, 8, 0, 0, 0),  # a ninth token needs a fifth block, which the second gives up with all that it has
        (1, 9, 0, 0, 0),
        (0, 0, 1, 9, 0),  # its prompt and the three tokens that it has made, for the fourth
    ]
    assert found.preemptions == 1
    assert [each.preempted for each in found.requests] == [0, 1]
    assert times(found) == [(1, 5), (1, 6)]
    assert found.computed == 6 + 6 + 6
    assert found.most["cache"] == 1


def test_a_preempted_request_is_the_next_and_nothing_begins_in_that_step() -> None:
    step = Recorded()
    limits = Rules(tokens=100, sequences=9, room=8, block=2, need=lambda tokens: tokens / 2)
    found = simulated(step, [Arrival(0, 6, 5), Arrival(0, 6, 4), Arrival(2.5, 2, 1)], limits)
    assert step.asked[3] == (1, 8, 0, 0, 0)
    # the two of the third would fit from the fifth step on, but it came last
    assert step.asked[4] == (1, 9, 0, 0, 0)
    assert [each.prompt for each in found.requests] == [6, 6, 2]


def test_a_step_that_is_laid_out_ahead_does_not_know_what_comes_meanwhile() -> None:
    step = Recorded()
    found = simulated(step, [Arrival(0, 4, 4), Arrival(0.5, 2, 1)], Rules(ahead=1))
    assert step.asked == [
        (0, 0, 1, 4, 0),
        (1, 4, 0, 0, 0),  # laid out before the second request came
        (1, 5, 1, 2, 0),
        (1, 6, 0, 0, 0),
    ]
    assert sorted(times(found)) == [(1, 4), (3, 3)]
    at_once = simulated(Recorded(), [Arrival(0, 4, 4), Arrival(0.5, 2, 1)], Rules())
    assert sorted(times(at_once)) == [(1, 4), (2, 2)]


def test_a_request_put_back_while_a_step_runs_gets_the_token_of_that_step() -> None:
    limits = Rules(tokens=100, sequences=9, room=8, block=2, need=lambda tokens: tokens / 2, ahead=1)
    step = Recorded()
    found = simulated(step, [Arrival(0, 6, 5), Arrival(0, 6, 4)], limits)
    assert step.asked[:4] == [(0, 0, 2, 6, 0), (2, 6, 0, 0, 0), (2, 7, 0, 0, 0), (1, 8, 0, 0, 0)]
    # what the first holds is free when its last step has ended, and a step is laid out before that
    assert times(found)[0] == (1, 5)
    assert sum(d.generate for d in found.requests) == 9
    assert len(found.gaps) == 7


def test_stages_have_as_many_steps_on_their_way() -> None:
    """Two stages of half a second: a step begins every half second, and takes one; no request is in two."""
    step = Recorded()
    found = simulated(step, [Arrival(0, 4, 3), Arrival(0.25, 2, 2)], Rules(stages=2))
    assert step.asked == [(0, 0, 1, 4, 0), (0, 0, 1, 2, 0), (1, 4, 0, 0, 0), (1, 2, 0, 0, 0), (1, 5, 0, 0, 0)]
    assert sorted(times(found)) == [(1, 3), (1.5, 2.5)]
    # pieces of one prompt follow each other through the stages
    pieces = Recorded()
    cut = simulated(pieces, [Arrival(0, 6, 1)], Rules(tokens=2, stages=2))
    assert times(cut) == [(2, 2)]
    assert [each[4] for each in pieces.asked] == [0, 2, 4]


def test_prompts_go_before_others_where_steps_are_not_mixed() -> None:
    step = Recorded()
    found = simulated(step, [Arrival(0, 4, 3), Arrival(1.5, 6, 2)], Rules(tokens=4, mixed=False))
    assert step.asked == [
        (0, 0, 1, 4, 0), (1, 4, 0, 0, 0),
        (0, 0, 1, 4, 0), (0, 0, 1, 2, 4),  # the first waits for both pieces of the second
        (2, 5.5, 0, 0, 0),
    ]  # fmt: skip
    assert sorted(times(found)) == [(1, 5), (4, 5)]


def test_whole_prompts_go_into_a_step_if_they_fit_it_or_nothing_is_in_it() -> None:
    step = Recorded()
    requests = [Arrival(0, 5, 2), Arrival(0, 4, 1), Arrival(0, 12, 1)]
    simulated(step, requests, Rules(tokens=8, whole=True))
    assert step.asked == [(0, 0, 1, 5, 0), (1, 5, 1, 4, 0), (0, 0, 1, 12, 0)]


def test_room_for_all_tokens_means_that_none_is_put_back() -> None:
    limits = Rules(room=20, all=True)
    step = Recorded()
    found = simulated(step, [Arrival(0, 6, 5), Arrival(0, 6, 6)], limits)
    assert found.preemptions == 0
    assert times(found) == [(1, 5), (6, 11)]  # ten and eleven tokens do not fit together
    grown = simulated(Recorded(), [Arrival(0, 6, 5), Arrival(0, 6, 6)], Rules(room=20))
    assert grown.requests[0].last == 5
    assert grown.requests[1].first == 1


@pytest.mark.parametrize(("kept", "begins"), [(0.0, 0), (0.5, 0), (1.0, 4)])
def test_who_begins_has_room_beside_a_part_of_what_others_may_still_make(kept: float, begins: int) -> None:
    """Of 18 tokens a request of 6 + 4 takes 6, and 3 more later: one of 7 + 4 needs 10 of 12, or waits for the 3."""
    limits = Rules(tokens=100, sequences=9, room=18, need=float, kept=kept)
    found = simulated(Recorded(), [Arrival(0, 6, 4), Arrival(0, 7, 4)], limits)
    first = {each.prompt: each.first for each in found.requests}
    assert first == {6: 1, 7: begins + 1}
    # together they come to hold 19
    assert found.preemptions == (0 if begins else 1)


def test_who_begins_waits_for_room_for_all_of_it() -> None:
    step = Recorded()
    limits = Rules(tokens=100, sequences=9, room=15, need=float, kept=0.1)
    found = simulated(step, [Arrival(0, 6, 4), Arrival(0, 6, 4)], limits)
    # nine of nine free ones, but for a tenth of the three that the first may make
    assert sorted(each.first for each in found.requests) == [1, 5]
    # a server that gives room as requests grow lets both begin
    assert sorted(
        each.first for each in simulated(step, [Arrival(0, 6, 4)] * 2, replace(limits, kept=None)).requests
    ) == [1, 1]


def test_cached_tokens_of_a_prompt_are_held_and_not_computed() -> None:
    step = Recorded()
    found = simulated(step, [Arrival(0, 10, 2, cached=8)], Rules(room=12))
    assert step.asked == [(0, 0, 1, 2, 8), (1, 10, 0, 0, 0)]
    assert found.computed == 2
    assert found.most["cache"] == pytest.approx(11 / 12)


def test_what_all_prompts_begin_with_is_computed_and_held_once() -> None:
    step = Recorded()
    limits = Rules(tokens=100, room=24, block=4).sharing(10)  # two whole blocks of it are held once
    assert (limits.room, limits.bytes_of(12), limits.bytes_of(13), limits.bytes_of(13, False)) == (16, 4, 8, 16)
    requests = [Arrival(0, 12, 1), Arrival(1.5, 12, 1, cached=10), Arrival(3.5, 12, 1)]
    found = simulated(step, requests, limits)
    assert step.asked == [(0, 0, 1, 12, 0), (0, 0, 1, 2, 10), (0, 0, 1, 12, 0)]
    assert found.most["cache"] == 12 / 16  # of the third, which did not find it
    assert found.mean["cache"] == pytest.approx((4 / 16 + 4 / 16 + 12 / 16) / 4.5)
    state = Rules(room=100, need=lambda tokens: 30 + tokens).sharing(10)
    assert (state.room, state.bytes_of(12)) == (90, 32)  # a recurrent state is each sequence's own


def test_users_ask_again_when_they_have_their_answer() -> None:
    """The first finds an idle engine; the second comes meanwhile; both ask again half a step after their answer."""
    found = simulated(Recorded(), asked(Lengths(4, 2), 4), Rules(), Users(2, think=0.5))
    assert times(found) == [(1, 2), (2, 3), (4, 5), (5, 6)]
    assert [each.arrived for each in found.requests] == [0, pytest.approx(0, abs=1e-5), 2.5, 3.5]
    assert found.mean["in_system"] == pytest.approx((2 + 3 + 2.5 + 2.5) / 6, rel=1e-5)


def test_who_asks_again_at_once_has_missed_the_next_step() -> None:
    found = simulated(Recorded(), asked(Lengths(4, 2), 4), Rules(), Users(2))
    assert times(found) == [(1, 2), (2, 3), (4, 5), (5, 6)]
    assert [round(each.arrived, 3) for each in found.requests] == [0, 0, 2, 3]


def test_an_engine_without_work_waits_for_the_next_request() -> None:
    found = simulated(Recorded(), [Arrival(3, 4, 1), Arrival(10, 4, 1)], Rules())
    assert times(found) == [(4, 4), (11, 11)]
    assert (found.mean["in_system"], found.mean["waiting"]) == (pytest.approx(2 / 11), 0)


def test_percentiles_lie_between_neighbours() -> None:
    assert Spread.of([4, 1, 3, 2, 5]) == Spread(3, 3, pytest.approx(4.8), pytest.approx(4.96))
    assert Spread.of([7]) == Spread(7, 7, 7, 7)
    assert Spread.of([]) is None
    values = np.random.default_rng(0).exponential(size=101)
    found = Spread.of(values.tolist())
    assert found == Spread(pytest.approx(values.mean()), *map(pytest.approx, np.percentile(values, [50, 95, 99])))


def lindley(arrivals: np.ndarray, service: np.ndarray) -> np.ndarray:
    """Waits in a queue of one server: what the one before waited and took, less the time since it came."""
    steps = service[:-1] - np.diff(arrivals)
    walk = np.concatenate([[0.0], np.cumsum(steps)])
    return np.asarray(walk - np.minimum.accumulate(walk))


@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_one_at_a_time_waits_as_pollaczek_and_khinchine_say(spread: float) -> None:
    """M/G/1: the engine waits as Lindley's recursion, and that in the mean λ E[S²] / 2 (1 − ρ)."""
    rate, lengths, limits = 6.0, Lengths(4000, 12, spread), Rules(sequences=1)

    few = arrive(Poisson(rate), lengths, 300, seed=5)
    sizes = np.array([(each.time, each.prompt, each.generate) for each in few]).T
    prefill, decode = 1e-5, 5e-3 + 1e-4
    found = simulated(added, few, limits)
    waited = [each.ttft - prefill * each.prompt for each in found.requests]
    assert waited == pytest.approx(lindley(sizes[0], prefill * sizes[1] + decode * (sizes[2] - 1)), abs=1e-9)
    random, many = np.random.default_rng(6), 200_000
    prompts, answers = (n * random.uniform(1 - spread, 1 + spread, many) for n in (4000, 12))
    service = prefill * prompts + decode * (answers - 1)
    load = rate * service.mean()
    assert 0.5 < load < 0.7
    expected = rate * (service**2).mean() / (2 * (1 - load))
    assert lindley(random.exponential(1 / rate, many).cumsum(), service).mean() == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("users", [4, 32])
def test_in_a_closed_loop_each_token_waits_for_a_share_of_the_other_prompts(users: int) -> None:
    """TPOT = decode(B) + (B − 1) · prefill(1) / G, where sequences are not in step with each other."""
    prompt, generate = 600, 100
    found = simulated(added, asked(Lengths(prompt, generate, 0.5), 12 * users, seed=1), Rules(), Users(users))
    settled = found.requests[4 * users : 10 * users]  # past the beginning in step, and while all still ask
    tpot = sum(each.last - each.first for each in settled) / sum(each.generate - 1 for each in settled)
    decode, prefill = added(users, 0, 0, 0, 0)[0], added(0, 0, 1, prompt, 0)[0]
    assert tpot == pytest.approx(decode + (users - 1) * prefill / generate, rel=0.05)


def test_a_model_on_a_device_serves_as_the_steady_state_says() -> None:
    """The same with times of the engine, where a piece beside decoding sequences costs what it adds to a step."""
    t, users, prompt, generate = (
        StepTime(setup("Llama-3.1-8B", "h100-sxm", "vllm"), workload(dtype="bf16")),
        16,
        512,
        64,
    )
    found = serve_events(t, asked(Lengths(prompt, generate, 0.5), 12 * users, seed=1), users=Users(users))
    settled = found.requests[4 * users : 10 * users]
    tpot = sum(each.last - each.first for each in settled) / sum(each.generate - 1 for each in settled)
    held = prompt + generate / 2
    decode = t.of(users, held)[0]
    beside = t.of(users - 1, held, 1, prompt, 0)[0] - t.of(users - 1, held)[0]
    assert tpot == pytest.approx(decode + (users - 1) * beside / generate, rel=0.05)
    assert found.rate is found.capacity is None
    assert not found.overloaded


def served(found: Simulated, first: int, last: int) -> tuple[float, float]:
    """Mean time between tokens and to the first, of the requests that were answered in between."""
    some = found.requests[first:last]
    tokens = sum(each.last - each.first for each in some) / sum(each.generate - 1 for each in some)
    return tokens, mean(each.ttft for each in some)


@pytest.mark.parametrize(
    ("users", "prefix", "runtime"), [(16, 0, "vllm"), (64, 0, "vllm"), (16, 512, "vllm"), (32, 0, "sglang")]
)
def test_users_see_what_the_closed_form_of_a_round_says(users: int, prefix: int, runtime: str) -> None:
    s, w = setup("Llama-3.1-8B", "h100-sxm", runtime), workload(dtype="bf16", prompt=900, generate=128, logits="last")
    requests = asked(Lengths(900, 128, prefix=prefix), 7 * users)
    found = serve_events(StepTime(s, w), requests, users=Users(users), limits=rules(s, w).sharing(prefix))
    said = closed(Server(s, w, None, Prefix(prefix, 1.0) if prefix else None), users)
    assert served(found, 4 * users, 6 * users) == pytest.approx((said.itl["mean"], said.ttft["mean"]), rel=0.05)


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_who_comes_at_a_rate_sees_what_the_closed_form_of_the_queue_says(share: float) -> None:
    s, w = setup("Llama-3.1-8B", "h100-sxm", "vllm"), workload(dtype="bf16", prompt=1024, generate=32, logits="last")
    server = Server(s, w)
    rate = share * open_loop(server, 1).capacity
    found = simulated(StepTime(s, w).of, arrive(Poisson(rate), Lengths(1024, 32), 400, seed=2), rules(s, w))
    said = open_loop(server, rate)
    assert served(found, 40, 380) == pytest.approx((said.itl["mean"], said.ttft["mean"]), rel=0.05)


def test_the_rate_that_is_kept_is_that_of_the_closed_form() -> None:
    s, w = setup("Llama-3.1-8B", "h100-sxm", "vllm"), workload(dtype="bf16", prompt=1024, generate=32, logits="last")
    kept = capacity(StepTime(s, w).of, asked(Lengths(1024, 32), 1), rules(s, w, sequences=64))
    assert kept == pytest.approx(open_loop(Server(s, w, 64), 1).capacity, rel=0.05)


@pytest.mark.parametrize(("share", "overloaded"), [(0.9, False), (1.1, True), (10, True)])
def test_a_rate_above_what_the_engine_can_keep_is_said_and_ends(share: float, overloaded: bool) -> None:
    lengths, limits = Lengths(200, 20, 0.3), Rules(tokens=512, sequences=8)
    kept = capacity(added, asked(lengths, 100), limits)
    # of a request: twenty steps that it shares with seven others, and its prompt
    assert kept == pytest.approx(1 / (19 * (5e-3 / 8 + 1e-4) + 200e-5), rel=0.05)
    found = simulated(added, arrive(Poisson(share * kept), lengths, 400), limits)
    checked = replace(found, rate=share * kept, capacity=kept)
    assert checked.overloaded is overloaded
    assert len(found.requests) == 400
    assert found.requests_per_second < kept * 1.05


requests = st.lists(
    st.tuples(st.floats(0, 0.2), st.integers(1, 60), st.integers(1, 12), st.integers(0, 59)), min_size=1, max_size=20
)


@settings(max_examples=25, deadline=None)
@given(
    gaps=requests, tokens=st.integers(1, 64), sequences=st.integers(1, 6), room=st.integers(72, 400),
    block=st.sampled_from([1, 4, 16]),
    policy=st.tuples(st.integers(0, 2), st.booleans(), st.booleans(), st.integers(1, 3), st.booleans()),
    users=st.sampled_from([None, Users(1), Users(5, think=0.01)]),
)  # fmt: skip
def test_laws_of_queues_and_of_tokens(
    gaps: list[tuple[float, int, int, int]], tokens: int, sequences: int, room: int, block: int,
    policy: tuple[int, bool, bool, int, bool], users: Users | None,
) -> None:  # fmt: skip
    at, arrivals = 0.0, []
    for gap, prompt, generate, cached in gaps:
        at += gap
        arrivals.append(Arrival(at, prompt, generate, min(cached, prompt - 1)))
    ahead, whole, everything, stages, mixed = policy
    limits = Rules(
        tokens, sequences, max(room, 80), block, float, ahead if stages == 1 else 0, whole, everything, stages, mixed
    )
    found = simulated(added, arrivals, limits, users)
    done = found.requests
    # every request is answered, once
    assert Counter((d.prompt, d.generate) for d in done) == Counter((a.prompt, a.generate) for a in arrivals)
    assert all(d.arrived < d.first <= d.last for d in done)
    # Little's law: what is in the system in the mean is how often requests come times how long they stay
    assert found.mean["in_system"] * found.duration == pytest.approx(sum(d.e2e for d in done))
    assert found.mean["in_system"] == pytest.approx(found.mean["waiting"] + found.mean["running"])
    # tokens are neither lost nor made
    assert len(found.gaps) == sum(d.generate - 1 for d in done)
    assert sum(found.gaps) == pytest.approx(sum(d.last - d.first for d in done))
    uncached = sum(a.prompt - a.cached for a in arrivals)
    assert found.computed == uncached if not found.preemptions else found.computed >= uncached
    assert found.preemptions == sum(d.preempted for d in done)
    # limits are kept
    assert found.most["running"] <= sequences
    assert 0 < found.most["cache"] <= 1
    assert whole or found.steps * tokens >= uncached + sum(d.generate - 1 for d in done)
    # the same again
    assert times(simulated(added, arrivals, limits, users)) == times(found)


def test_first_come_is_first_served() -> None:
    found = simulated(added, arrive(Constant(1000), Lengths(300, 5, 0.5), 60), Rules(tokens=512, sequences=4))
    firsts = {each.arrived: each.first for each in found.requests}
    ordered = [firsts[time] for time in sorted(firsts)]
    assert ordered == sorted(ordered)


def test_a_request_that_never_fits_is_refused() -> None:
    with pytest.raises(InputError, match=r"request 2: 60 tokens and 20 more never fit the cache"):
        simulated(added, [Arrival(0, 10, 1), Arrival(0, 60, 20)], Rules(room=78))
    simulated(added, [Arrival(0, 60, 20)], Rules(room=79))


def test_limits_are_those_of_the_server_on_the_device() -> None:
    s, w = setup("Llama-3.1-8B", "h100-sxm", "vllm"), workload(dtype="bf16")
    found = rules(s, w)
    assert (found.tokens, found.sequences, found.block) == (8192, 1024, 16)
    assert (found.ahead, found.whole, found.all, found.mixed, found.stages) == (1, False, False, True, 1)
    assert found.bytes_of(17) == found.bytes_of(32) == 32 * 32 * 2 * 8 * 128 * 2
    assert rules(s, w, tokens=2048, sequences=256).tokens == 2048
    assert rules(s, w, tokens=2048, sequences=256).sequences == 256
    # 90 % of what the device has, less 16.06 GB of weights and what a step of 8,192 tokens takes
    assert 0 < 0.9 * float(s.device.capacity) - 16.06e9 - found.room < 5e9
    whole = rules(setup("Llama-3.1-8B", "h100-sxm", "tensorrt-llm"), w)
    assert (whole.whole, whole.all) == (True, True)
    small = rules(setup("Llama-3.2-1B", "rtx-4090", "vllm"), w)
    assert (small.tokens, small.sequences) == (2048, 256)


def test_a_runtime_without_a_server_takes_what_its_steps_take() -> None:
    w = workload(dtype="bf16")
    ideal = rules(setup("mamba2-2.7b", "h100-sxm", "ideal"), w)
    assert ideal.tokens == ideal.sequences == float("inf")
    assert ideal.bytes_of(1) == ideal.bytes_of(1000)
    cut = rules(setup("Qwen2.5-0.5B", "rtx-4090", "llama.cpp"), w, sequences=4)
    assert (cut.tokens, cut.sequences) == (512, 4)
    with pytest.raises(Unsupported, match="leaves no room"):
        rules(setup("Llama-3.1-8B", "orin", "ideal"), w)


@pytest.mark.parametrize("rounds", [1, 4, 12])
def test_prompts_that_are_cut_part_one_round_after_the_other(rounds: int) -> None:
    # two of 4,096 tokens fill a step of 8,192 all but for those that decode
    step = Recorded()
    simulated(step, [Arrival(0, 4096, 128)] * (32 * rounds), Rules(tokens=8192, sequences=32, ahead=1), Users(32))
    loop = over(Loop(Engine(8192, 32, ahead=1), 32, 32, 4096, 128), rounds)
    assert sum(pieces > 0 for _, _, pieces, _, _ in step.asked) / rounds == pytest.approx(loop.mixed, abs=0.5)


@pytest.mark.parametrize(("prompt", "generate", "most"), [(64, 32, 27), (32, 64, 33)])
def test_users_who_outgrow_the_room_give_it_up_as_often_as_the_closed_form_has_it(
    prompt: int, generate: int, most: int
) -> None:
    mean = prompt + generate / 2
    room = Room(most * mean, mean, prompt, prompt + generate, most * mean)
    limits = Rules(tokens=10**6, sequences=999, room=room.free, need=float, ahead=1)
    for users in (int(room.free / room.ended), most, round(1.6 * most)):
        found = simulated(Recorded(), [Arrival(0, prompt, generate)] * (9 * users), limits, Users(users))
        # as many as fit at their end, as many as fit in the mean, and so many that there is always too little room
        assert found.preemptions / (9 * users) == pytest.approx(float(room.put_back(users)), rel=0.3)
