"""What holds of every load of a serving engine."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise, product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from roofsim.engine.energy import idle_power
from roofsim.foundation.errors import InputError, Unsupported
from roofsim.model.split import Split
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.fitted import chosen
from roofsim.prediction.loop import ENDLESS, Apart, Engine, Loop, served
from roofsim.prediction.setup import setup
from roofsim.serving.quantiles import FIGURES
from roofsim.serving.server import Server
from roofsim.serving.slo import FINE, broken, find, promises
from roofsim.serving.steady import closed, figure, longer, open_loop
from roofsim.specs.workload import workload

approx = pytest.approx

counts = st.integers(1, 300)
engines = st.builds(Engine, st.integers(400, 20_000), st.just(300), st.integers(0, 2), st.booleans(), st.booleans())


@lru_cache
def server(prompt=1024, generate=128, model="Llama-3.1-8B", **more):
    s = chosen(setup(model, "h100-sxm", "vllm"), "none")
    return Server(s, workload(prompt=prompt, generate=generate), **more)


@given(engines, counts, counts, st.integers(1, 30_000), st.integers(1, 3000))
def test_a_round_puts_every_token_of_every_request_through_once(engine, users, running, prompt, generate):
    one = Loop(engine, users, min(users, running), prompt, generate)
    n, (first, others, alone) = one.running, one.steps
    assert first * one.new[0] == approx(prompt)
    if n > 1:
        assert others * one.pieces * one.new[1] == approx((n - 1) * prompt)
    made = one.mixed * one.decoding + alone * one.decoding_alone
    if alone:
        # as many as there are, unless some decode at the ends of a round, of which each has one
        assert made <= n * (generate - 1) * (1 + 1e-9) + alone
    else:
        assert made == approx(n * (generate - 1))


@given(engines, counts, st.integers(1, 30_000), st.integers(2, 3000))
def test_what_a_request_sees_is_the_round(engine, users, prompt, generate):
    one = Loop(engine, users, users, prompt, generate)
    before, after = one.until_first(float("inf")), one.between_tokens(float("inf"))
    if engine.mixed:
        assert sum(before) == approx(one.first + one.waits - (one.first - one.own) * (1 - 1 / users), rel=1e-6)
        assert sum(after) == approx(1)
    else:
        assert sum(before) + (generate - 1) * sum(after) == approx(one.round)
    assert min(*before, *after) >= -1e-9
    assert before.first <= one.first * (1 + 1e-9)


@given(engines, st.integers(1, 400), st.integers(1, 9), st.integers(1, 4000), st.integers(2, 500))
@example(Engine(400, 300, 2), 2, 2, 1, 2)
@example(Engine(400, 300, 2), 2, 2, 1, 4)
def test_littles_law_of_users_who_ask_again(engine, users, running, prompt, generate):
    n = min(users, running)
    one = Loop(engine, users, n, prompt, generate)
    seconds = (0.03, 0.05, 0.01)
    each = one.until_first(float("inf")).of(seconds)
    each += (generate - 1) * one.between_tokens(float("inf")).of(seconds)
    rate = n / one.steps.of(seconds)
    # prompts of several steps are not as long for the first as for others, nor do answers end where they are so short
    exact = prompt + n <= engine.tokens and generate > engine.ahead + 1
    assert rate * each == approx(users, rel=1e-6 if exact else 0.15)


@given(engines, counts, counts, st.integers(1, 30_000), st.integers(2, 3000), st.integers(-1, 2))
def test_users_who_drifted_apart_keep_littles_law(engine, users, running, prompt, generate, slip):
    one = Apart(engine, users, min(users, running), prompt, generate, slip)
    seconds = (0.05, 0.2, 0.01)
    each = one.until_first(ENDLESS).of(seconds) + (generate - 1) * one.between_tokens(ENDLESS).of(seconds)
    if one.waited.first + one.first <= one.mixed:  # of very short answers a request would meet more prompts than come
        assert one.running / one.steps.of(seconds) * each == approx(users, rel=1e-6)
    made = one.mixed * one.decoding + (one.round - one.mixed) * (one.decoding if engine.mixed else one.decoding_alone)
    assert made == approx(one.running * (generate - 1))


@given(st.sampled_from([Loop, Apart]), engines, counts, counts, st.integers(1, 30_000), st.integers(1, 300),
       st.sampled_from([1, 2, 10, ENDLESS]))  # fmt: skip
def test_the_mean_is_that_of_all_first_tokens(kind, engine, users, running, prompt, generate, rounds):
    one = kind(engine, users, min(users, running), prompt, generate)
    each = one.first_tokens(rounds)
    assert sum(share for share, _ in each) == approx(1)
    for i, n in enumerate(one.until_first(rounds)):
        # where a prompt fits a step, and answers are longer than what is laid out
        if prompt + one.running <= engine.tokens and generate > engine.ahead + 1:
            assert sum(share * steps[i] for share, steps in each) == approx(n, abs=1e-6)


@given(engines, counts, st.integers(1, 400), st.integers(1, 400), st.integers(3, 900), st.floats(0, 2))
def test_littles_law_of_users_of_whom_some_give_up_their_places(engine, users, most, prompt, generate, put_back):
    running = max(served(users, most, put_back), 1)
    one = Apart(engine, users, running, prompt, generate, put_back=put_back)
    if running < users / (1 + one.away) or running > 1:
        seconds = (0.03, 0.05, 0.01)
        each = one.until_first(ENDLESS).of(seconds) + (generate - 1) * one.between_tokens(ENDLESS).of(seconds)
        assert running / one.steps.of(seconds) * each == approx(users, rel=1e-6)


def test_one_user_has_the_times_of_a_request():
    # but for what a batch of one leaves to be done beforehand
    found, e = closed(server(), 1), Evaluation(server().s, server().w)
    assert found.ttft["mean"] == approx(float(e.prefill.time), rel=1e-9)
    assert found.itl["mean"] == approx(float(e.step[0]), rel=1e-3)
    assert found.running == 1


def test_a_rate_that_is_next_to_nothing_finds_what_one_user_does():
    alone, rare = closed(server(), 1), open_loop(server(), 1e-6)
    assert rare.itl["mean"] == approx(alone.itl["mean"], rel=1e-3)
    assert rare.ttft["mean"] == approx(alone.ttft["mean"], rel=1e-3)


@pytest.mark.parametrize("n", [1, 16, 200, 3000])
def test_users_are_as_many_as_come_in_the_time_that_each_takes(n):
    found = closed(server(), n)
    each = found.ttft["mean"] + 127 * found.itl["mean"]
    assert found.rate * each == approx(n, rel=1e-6)
    assert found.tokens_per_second.total == approx(128 * found.rate)


@pytest.mark.parametrize("rate", [0.1, 3, 20])
def test_requests_that_are_there_are_as_many_as_come_in_the_time_that_each_takes(rate):
    found = open_loop(server(), rate)
    assert found.concurrency == approx(rate * (found.ttft["mean"] + 127 * found.itl["mean"]))


def test_more_load_takes_longer_and_makes_more_until_it_ends():
    loads = [closed(server(), n) for n in (1, 4, 16, 64, 256)]
    for less, more in pairwise(loads):
        assert more.itl["mean"] > less.itl["mean"]
        assert more.tokens_per_second.total > less.tokens_per_second.total
        assert more.energy_per_token < less.energy_per_token
    assert closed(server(), 5000).rate == approx(loads[0].capacity)


def test_rates_take_longer_the_nearer_they_are_to_what_is_answered():
    most = server().capacity
    loads = [open_loop(server(), share * most) for share in (0.1, 0.5, 0.9)]
    for less, more in pairwise(loads):
        assert more.itl["mean"] > less.itl["mean"]
        assert more.ttft["p99"] > less.ttft["p99"] > less.ttft["p50"]


def test_a_rate_above_what_is_answered_is_said_to_be_so():
    with pytest.raises(InputError, match=r"more than .* answers once it is full: [\d.]+ \(ended by"):
        open_loop(server(), 1.01 * server().capacity)


def test_every_mean_is_within_its_interval():
    for found in (closed(server(), 64), open_loop(server(), 10)):
        for name, value in (("itl", found.itl["mean"]), ("ttft", found.ttft["mean"]), ("rate", found.rate),
                            ("energy_per_token", found.energy_per_token), ("capacity", found.capacity)):  # fmt: skip
            low, high = found.intervals[name]
            assert low <= value <= high, name


def test_what_is_promised_is_kept_at_what_is_found_and_not_beyond():
    slo = promises("ttft=1s,itl=30ms")
    most = find(server(), slo, "concurrency")
    n = int(most.value)
    assert broken(slo, {"itl": most.served.itl, "ttft": most.served.ttft}) is None
    after = closed(server(), n + 1)
    assert str(broken(slo, {"itl": after.itl, "ttft": after.ttft})) == most.binds
    assert most.interval[0] < n < most.interval[1]
    rate = find(server(), slo, "rate")
    assert 0.03 * (1 - 10 * FINE) < rate.served.itl["mean"] <= 0.03  # a thousandth of the rate is more of the time
    needed = find(server(), slo, "devices", rate=10 * rate.value)
    assert needed.value == 10
    assert needed.served.rate == approx(rate.value)


def test_a_batch_is_found_that_keeps_its_promise_however_many_wait():
    found = find(server(), promises("itl=30ms"), "batch")
    assert closed(Server(server().s, server().w, sequences=int(found.value)), 5000).itl["mean"] == approx(
        0.03, rel=0.05
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("ttft", "write it like ttft=1s"), ("tftt=1s", "nearest: ttft"), ("ttft=1kg", "--slo ttft"),
        ("ttft.p42=1s", "known: mean, p50"), ("ttft=1s,ttft=2s", "twice"), ("itl=0s", "above 0"),
    ],
)  # fmt: skip
def test_promises_that_are_none_are_refused(words, said):
    with pytest.raises(InputError, match=said):
        promises(words)


def test_a_promise_that_nobody_can_keep_is_said_to_be_so():
    with pytest.raises(InputError, match=r"not even one user keeps it: itl is .*, not itl 1\.00"):
        find(server(), promises("itl=1us"), "concurrency")


def test_a_runtime_that_serves_nobody_is_refused():
    s = setup("Llama-3.1-8B", "h100-sxm", "ideal")
    with pytest.raises(Unsupported, match="serves no requests"):
        Server(s, workload(prompt=1, generate=1))


def test_nothing_fits_is_said():
    with pytest.raises(InputError, match="nothing fits"):
        closed(server(prompt=2**20), 1)


@lru_cache
def divided(**ways):
    s = setup("Llama-3.1-8B", "h100-sxm", "vllm", split=Split(**ways))
    return Server(chosen(s, "none"), workload(prompt=1024, generate=128))


@pytest.mark.parametrize("users", [1, 2, 7, 64, 3000])
def test_groups_of_data_parallel_each_serve_their_share(users):
    # a dense model: the groups have nothing in common
    alone, both = closed(server(), users), closed(divided(dp=2), 2 * users)
    assert both.itl["mean"] == approx(alone.itl["mean"])
    assert both.ttft["mean"] == approx(alone.ttft["mean"])
    assert both.rate == approx(2 * alone.rate)
    assert both.tokens_per_second.device == approx(alone.tokens_per_second.device)
    assert both.energy_per_token == approx(alone.energy_per_token)
    assert both.capacity == approx(2 * alone.capacity)
    assert both.kv.sequences == 2 * alone.kv.sequences


def test_a_user_alone_fills_one_group():
    alone, spare = closed(server(), 1), closed(divided(dp=2), 1)
    assert spare.rate == approx(alone.rate)
    assert spare.tokens_per_second.device == approx(alone.tokens_per_second.device / 2)


def test_stages_make_room_for_more_and_each_has_batches_in_flight():
    alone, staged = server(), divided(pp=2)
    assert staged.lanes == 2
    # half the layers of each sequence, of twice as many, beside half the weights
    assert staged.most * staged.lanes > 2 * alone.most
    a, b = closed(alone, 64), closed(staged, 128)
    assert b.itl["mean"] == approx(a.itl["mean"], rel=0.05)  # but for what they send
    assert b.rate == approx(2 * a.rate, rel=0.05)
    assert b.energy_per_token == approx(a.energy_per_token, rel=0.1)


def test_requests_at_a_rate_are_spread_over_groups():
    alone, both = open_loop(server(), 5), open_loop(divided(dp=2), 10)
    assert both.itl["mean"] == approx(alone.itl["mean"])
    assert both.ttft["p95"] == approx(alone.ttft["p95"])
    assert both.concurrency == approx(2 * alone.concurrency)


@pytest.mark.parametrize("found", [lambda: closed(server(), 64), lambda: open_loop(server(), 10)])
def test_tokens_in_and_out_cost_what_the_seconds_do(found):
    r = found()
    rates = server().s.rates
    a_second = rates.dollars(1.0, r.energy_per_token * 128 * r.rate)
    said = r.cost["usd_per_million_output"] * 128 + r.cost["usd_per_million_input"] * 1024
    assert said * r.rate / 1e6 == approx(float(a_second))
    at_the_wall = r.cost["joules_per_token"] * 128 + r.cost["joules_per_input_token"] * 1024
    assert at_the_wall == approx(rates.overhead * r.energy_per_token * 128)
    assert min(r.cost.values()) > 0


def test_an_engine_without_requests_draws_what_a_device_does_that_waits():
    watts = [r.energy_per_token * 128 * r.rate for r in (open_loop(server(), x) for x in (1e-6, 0.02, 0.04))]
    idle = float(idle_power(server().s.device))
    assert watts[0] == approx(idle, rel=1e-4)
    # what each request more draws is above what waiting would
    e = Evaluation(server().s, server().w)
    more = float(e.energy - idle * e.total_time) * 0.02
    assert (watts[1] - watts[0], watts[2] - watts[1]) == (approx(more, rel=0.05), approx(more, rel=0.05))
    for ways in ({"dp": 2}, {"tp": 2}, {"pp": 2}):
        both = open_loop(divided(**ways), 1e-6)
        assert both.energy_per_token * 128 * both.rate == approx(2 * idle, rel=1e-4)


@pytest.mark.parametrize("ways", [{"tp": 2}, {"tp": 4}])
def test_one_user_of_several_devices_has_the_times_and_joules_of_a_request(ways):
    s = divided(**ways).s
    found, e = closed(divided(**ways), 1), Evaluation(s, divided(**ways).w)
    assert found.ttft["mean"] == approx(float(e.prefill.time), rel=1e-9)
    assert found.itl["mean"] == approx(float(e.step[0]), rel=1e-3)
    assert found.energy_per_token * 128 == approx(float(e.energy), rel=0.01)


def test_every_time_lies_in_its_interval():
    for found in (closed(server(), 16), closed(server(), 900), open_loop(server(), 9)):
        for name, at in product(("itl", "ttft"), FIGURES):
            low, high = found.intervals[figure(name, at)]
            assert 0 < low < getattr(found, name)[at] < high


def test_what_is_certain_of_a_percentile_is_what_is_of_the_steps_that_it_consists_of():
    # half of all steps are without prompts, and the mean of few users hardly has others
    sure = longer(server(), 2, arrivals=False)
    assert sure["itl_p50"] == approx(sure["itl"], rel=1e-2)
    assert sure["itl_p50"][0] * sure["itl_p50"][1] == approx(1)
    # when users come is not known of times to the first token, and of the time between tokens little
    off = longer(server(), 16)
    sure = longer(server(), 16, arrivals=False)
    wider = {name: (off[name][1] / off[name][0]) / (high / low) for name, (low, high) in sure.items()}
    assert wider["ttft"] > 2 > 1.1 > wider["itl"] > 1
    assert wider["energy_per_token"] == approx(1)


def test_of_one_user_nothing_is_otherwise():
    assert longer(server(), 1) == {name: approx(ends) for name, ends in longer(server(), 1, arrivals=False).items()}


def test_a_place_for_each_user_may_be_one_less_and_a_full_cache_hold_fewer():
    # who waits for another to end waits for all of it
    assert longer(server(sequences=16), 16)["ttft_p99"][1] > 4 > longer(server(sequences=17), 16)["ttft_p99"][1]
    full = server(2048, 1024)
    assert longer(full, full.most)["ttft"][1] > 1.2 * longer(full, full.most - 8)["ttft"][1]
