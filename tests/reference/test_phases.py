"""Layouts of prefill and decode against counts by hand: transfers, pools that balance, shares of a device, queues."""

from __future__ import annotations

from dataclasses import replace
from math import exp

import pytest

from roofsim.engine.passes import run_pass
from roofsim.foundation.errors import InputError
from roofsim.model.split import Split
from roofsim.model.step import Pass, together
from roofsim.prediction.fitted import chosen
from roofsim.prediction.request import settled
from roofsim.prediction.setup import ALONE, Setup, setup
from roofsim.serving import phases as layouts
from roofsim.serving.apart import (
    Apart,
    Pools,
    Slow,
    Wire,
    batch_within,
    most,
    most_promised,
    pools,
    step_promised,
    waiting,
)
from roofsim.serving.inside import PER_CLOCK, Inside, part_of
from roofsim.serving.phases import beside, found, laid, phases, wire_of
from roofsim.serving.slo import promises
from roofsim.specs.workload import Workload, workload

EXACT = pytest.approx
LINK = Wire(25e9, 1e-3)


def asked(model: str = "Llama-3.1-8B", split: Split = ALONE, **words: object) -> tuple[Setup, Workload]:
    s = chosen(setup(model, "a100-sxm-80gb", "vllm", split=split), "none")
    return s, settled(s, workload(**{"prompt": 2000, "generate": 101, "dtype": "bf16", **words}))


def test_a_request_hands_over_what_its_prompt_holds() -> None:
    apart = Apart(*asked(), LINK)
    assert apart.moved == 2000 * 32 * 2 * 8 * 128 * 2
    assert apart.transfer == EXACT(1e-3 + apart.moved / 25e9)
    states = 24 * (32 * 128 * 128 * 4 + (2 * 16 * 128 + 32 * 128) * 4 * 2)
    hybrid = Apart(*asked("Qwen3.5-4B"), LINK)
    assert hybrid.moved == 2000 * 8 * 2 * 4 * 256 * 2 + states


def test_one_server_answers_as_many_as_wait_no_longer_than_promised() -> None:
    assert waiting(2.0, 0.25) == 0.25 * 4 / (2 * 0.5)
    assert waiting(2.0, 0.5) == float("inf")
    rate = most(2.0, 3.0)
    assert waiting(2.0, rate) == EXACT(1.0)
    assert (most(2.0, None), most(2.0, 1.9)) == (0.5, 0.0)
    # half of those that come wait; of these a share e^-x longer than x means
    assert waiting(2.0, 0.25, 1 - 0.5 * exp(-3)) == EXACT(6.0)  # of two seconds each
    assert waiting(2.0, 0.25, 0.4) == 0.0
    slo = promises("ttft=3s,ttft.p95=9s,itl=50ms,itl.p99=40ms")
    assert most_promised(2.0, slo) == min(most(2.0, 3.0), most(2.0, 9.0, 0.95))
    assert most_promised(2.0, slo, 0.5) == min(most(2.0, 2.5), most(2.0, 8.5, 0.95))
    assert most_promised(2.0, ()) == 0.5
    assert (step_promised(slo), step_promised(())) == (0.04, None)


def test_a_batch_is_as_large_as_its_step_and_memory_allow() -> None:
    assert batch_within(lambda batch: batch / 10, 1.25, 100) == 12
    assert batch_within(lambda batch: batch / 10, 1.25, 7) == 7
    assert batch_within(lambda batch: batch / 10, None, 7) == 7
    assert batch_within(lambda batch: batch / 10, 0.01, 7) == 0
    assert batch_within(lambda batch: batch / 10, 1.0, 0) == 0
    assert batch_within(lambda batch: batch / 10, None, 1) == 1


def test_pools_balance_where_both_answer_as_many() -> None:
    made = Pools(3.0, 6.0, 1, 8, 0.3, 0.02, 1e9, 0.04)
    assert made.goodput == 2.0  # of three devices two run prompts: 6 requests a second
    assert made.prefill_share == EXACT(2 / 3)
    assert made.split(3) == (2, 6.0)
    assert made.split(4) == (2, 6.0)
    assert made.split(2) == (1, 3.0)
    assert Pools(0.0, 0.0, 1, 0, 1.0, 1.0, 1.0, 1.0).goodput == 0.0
    assert Pools(0.0, 0.0, 1, 0, 1.0, 1.0, 1.0, 1.0).prefill_share == 0.0


def test_pools_keep_what_is_promised() -> None:
    s, w = asked()
    apart = Apart(s, w, LINK)
    slo = promises("ttft=1s,itl=40ms")
    kept = apart.pools(slo)
    prompt = float(run_pass(s.stack("bf16"), apart.steps.piece(1, 2000)).time)
    assert apart.prompt(1) == EXACT(prompt)
    step = float(run_pass(s.stack("bf16"), apart.steps.decoding(kept.batch, 2050)).time)
    assert (kept.together, kept.prompt, kept.step) == (1, EXACT(prompt), EXACT(step))
    assert apart.step(kept.batch) <= 0.04 < apart.step(kept.batch + 1)
    assert kept.prefill_rate == EXACT(most(prompt, 1 - apart.transfer))
    assert kept.decode_rate == EXACT(kept.batch / (100 * step))
    slow = apart.pools(slo, Slow(2.0, 1.5))
    assert slow.prefill_rate == EXACT(most(2 * prompt, 1 - apart.transfer))
    assert 1.5 * apart.step(slow.batch) <= 0.04 < 1.5 * apart.step(slow.batch + 1)
    narrow = Apart(s, w, Wire(1e9)).pools()
    assert narrow.prefill_rate == narrow.decode_rate == EXACT(1e9 / apart.moved)
    assert Apart(s, w, LINK).pools(promises("ttft=1ms")).goodput == 0


def test_long_prompts_go_in_pieces_and_short_ones_together() -> None:
    s, w = asked()
    long = Apart(s, replace_prompt(w, 20000), LINK)
    budget = 2048  # of an A100
    cut = [long.steps.prompts(1, budget, i * budget)[0] for i in range(20000 // budget)]
    rest = long.steps.prompts(1, 20000 % budget, 20000 // budget * budget)[0]
    assert long.prompt(1) == EXACT(sum(cut) + rest)
    assert long.together() == [1]
    assert Apart(s, replace_prompt(w, 2 * budget), LINK).prompt(1) == EXACT(
        sum(long.steps.prompts(1, budget, i * budget)[0] for i in range(2))
    )
    short = Apart(s, replace_prompt(w, 100), LINK)
    assert short.together() == [2**k for k in range(20) if 2**k * 100 <= budget]
    assert short.prompt(4) == EXACT(short.steps.prompts(4, 100, 0)[0])


def replace_prompt(w: Workload, prompt: int) -> Workload:
    return workload(prompt=prompt, generate=w.generate, dtype=w.dtype, logits="last")


def test_a_share_of_units_has_that_share_of_their_rates() -> None:
    m = asked()[0].machine("bf16")
    part = part_of(m, 0.25, 1e12)
    assert (part.matrix_rate, part.vector_rate) == (m.matrix_rate / 4, m.vector_rate / 4)
    assert (part.units, part.bandwidth) == (m.units / 4, 1e12)
    assert part.peaks["int8"] == m.peaks["int8"] / 4
    inside = Inside(*asked())
    assert inside.reach(0.1) == EXACT(0.1 * 108 * PER_CLOCK * float(m.clock))
    assert inside.reach(0.9) == float(m.bandwidth)


def test_both_phases_share_the_memory_in_proportion_to_what_they_ask_for() -> None:
    s, w = asked(prompt=100)
    inside, m, stack = Inside(s, w), s.machine("bf16"), s.stack("bf16")
    prompt = Pass(1, 100, 0, s.precision(w), "last", latents="expanded")
    step = Pass(64, 1, 150, s.precision(w), "last", "decode", s.runtime.attention.latents)
    alone = []
    for p, share in ((prompt, 0.6), (step, 0.4)):
        alone.append(run_pass(replace(stack, machine=part_of(m, share, inside.reach(share))), p))
    asks = [float(each.bytes) / float(each.time) for each in alone]
    over = sum(asks) / float(m.bandwidth)
    at = inside.at(0.6, 64)
    assert over > 1
    slow = [
        float(run_pass(replace(stack, machine=part_of(m, share, min(inside.reach(share), ask / over))), p).time)
        for p, share, ask in ((prompt, 0.6, asks[0]), (step, 0.4, asks[1]))
    ]
    assert (at.prompt, at.step) == EXACT(tuple(slow))
    assert at.slowed == EXACT((slow[0] / float(alone[0].time), slow[1] / float(alone[1].time)))
    assert inside.rate(at) == EXACT(min(1 / slow[0], 64 / (100 * slow[1])))
    few = inside.at(0.05, 1)
    assert min(few.slowed) >= 1


def test_the_best_share_answers_most() -> None:
    inside = Inside(*asked())
    best = inside.best(32)
    assert inside.rate(best) == max(inside.rate(inside.at(i / 20, 32)) for i in range(1, 20))


def test_mixed_steps_have_as_many_pieces_as_prompts_need() -> None:
    s, w = asked()
    inside, stack = Inside(s, w), s.stack("bf16")
    piece = Pass(1, 1008, 496, s.precision(w), "last", latents="expanded", begins=1008 / 2000)
    step = Pass(16, 1, 2050, s.precision(w), "last", "decode", s.runtime.attention.latents)
    alone, both = (float(run_pass(stack, p).time) for p in (step, together([piece, step])))
    mixed = inside.mixed(16, 1024)
    often = 16 * 2000 / 1008 / 100
    assert (mixed.step, mixed.longest) == EXACT((alone + often * (both - alone), both))
    assert mixed.rate == EXACT(16 / (100 * mixed.step))
    full = inside.mixed(64, 1024)  # prompts of 64 need more steps than their tokens take
    assert full.step == full.longest
    assert full.rate == EXACT(1 / (2000 / 960 * full.longest))
    with pytest.raises(InputError, match="leave nothing for prompts beside 64"):
        inside.mixed(64, 64)


def test_sharing_a_device_answers_most_where_both_phases_keep_up() -> None:
    s, w = asked()
    apart, inside, slo = Apart(s, w, LINK), Inside(s, w), promises("ttft=1s,itl=40ms")
    at, rate = beside(inside, apart, slo)
    assert at is not None
    assert at.step <= 0.04
    assert rate == EXACT(min(most(at.prompt, 1.0), at.batch / (100 * at.step)))
    every = [
        min(most(x.prompt, 1.0), batch / (100 * x.step))
        for share in (at.share - 0.05, at.share, at.share + 0.05) for batch in range(1, int(at.batch) + 40)
        if (x := inside.at(share, batch)).step <= 0.04
    ]  # fmt: skip
    assert rate == EXACT(max(every))
    assert beside(inside, apart, promises("ttft=1ms"))[1] == 0
    assert beside(inside, apart, promises("itl=1us")) == (None, 0.0)


def test_layouts_are_compared_at_each_length(monkeypatch) -> None:
    def mixed(server, slo):
        return 1e6 if server.w.prompt >= 700 else 1.0

    monkeypatch.setattr(layouts, "_mixed", mixed)
    monkeypatch.setattr(layouts, "_ends_of_mixed", lambda server, slo: (0.5, 1e7))
    s, w = asked("Qwen3-0.6B", prompt=1)
    slo = promises("itl=20ms,ttft=2s")
    r = phases([s], w, [1024, 512], slo, LINK, "a link")
    one = laid([s], replace_prompt(w, 512), slo, LINK)
    assert [(row.prompt, row.mixed) for row in r.rows] == [(512, 1.0), (1024, 1e6)]
    assert (one.inside, one.apart) == EXACT((r.rows[0].inside, r.rows[0].apart))
    here = found([s], replace_prompt(w, 512), slo, LINK)
    assert here.best == one.best == max(here.rates, key=lambda name: here.rates[name])
    ((turn, best),) = r.crossings
    assert 700 <= turn <= 700 * 1.06
    assert best == r.rows[1].best == "mixed"
    for name in ("mixed", "inside", "apart"):
        low, high = one.intervals[name]
        assert low < getattr(one, name) < high
    assert (r.link, r.latency, r.linked) == (25e9, 1e-3, "a link")


def test_pools_of_replicas_count_by_device() -> None:
    one, four = (asked(split=Split(tp=tp))[0] for tp in (1, 4))
    w, slo = asked()[1], promises("ttft=1s,itl=40ms")
    first, second = Apart(one, w, LINK), Apart(four, w, LINK)
    assert (second.ranks, second.part) == (4, 0.25)
    assert second.transfer == EXACT(1e-3 + first.moved / 4 / 25e9)
    assert first.sent(second) == second.sent(first) == first.transfer
    both = pools(first, second, slo)
    assert (both.prefill, both.decode) == (Split(), Split(tp=4))
    assert both.prefill_rate == first.pools(slo).prefill_rate
    assert both.decode_rate == EXACT(both.batch / (100 * second.step(both.batch)) / 4)
    rates = [k * most(second.prompt(k), 1 - second.transfer) / 4 for k in second.together()]
    assert second.pools(slo).prefill_rate == EXACT(max(rates))
    narrow = [Apart(each.s, w, Wire(1e9)) for each in (first, second)]
    # a device that decodes gets a fourth of each request, and has a request's place in a fourth of them
    ends = pools(narrow[0], narrow[1])
    assert ends.prefill_rate == ends.decode_rate == EXACT(1e9 / first.moved)
    lanes = Apart(asked(split=Split(dp=4))[0], w, LINK)
    assert (lanes.ranks, lanes.part) == (1, 1.0)
    # of nine, three run prompts and four decode; two more at either would change nothing
    made = Pools(3.0, 2.0, 1, 8, 0.3, 0.02, 1e9, 0.04, decode=Split(tp=4))
    assert (made.split(5), made.split(9), made.split(11)) == ((1, 3.0), (3, 8.0), (3, 9.0))


def test_of_several_setups_each_layout_has_its_best() -> None:
    setups = [asked(split=Split(tp=tp))[0] for tp in (1, 2, 4)]
    w, slo = replace_prompt(asked()[1], 1000), promises("ttft=200ms,itl=15ms")
    best = laid(setups, w, slo, LINK)
    every = [laid([s], w, slo, LINK) for s in setups]
    assert best.mixed == max(each.mixed for each in every)
    assert best.inside == max(each.inside for each in every)
    assert best.apart >= max(each.apart for each in every)
    assert {each.divided["mixed"] for each in every} == {"one device", "TP 2", "TP 4"}
    assert best.divided["mixed"] == max(every, key=lambda each: each.mixed).divided["mixed"]
    for name in ("mixed", "inside", "apart"):
        low, high = best.intervals[name]
        assert low < getattr(best, name) < high
    # weights that leave no room for a sequence run no prompts either
    large = chosen(setup("Llama-3.1-70B", "a100-sxm-80gb", "vllm"), "none")
    assert Apart(large, w, LINK).pools(promises("ttft=1h")).prefill_rate == 0


def test_what_cannot_be_is_told() -> None:
    s, w = asked(generate=1)
    for kind in (lambda: Apart(s, w, LINK), lambda: Inside(s, w)):
        with pytest.raises(InputError, match="one token is made by the prompt"):
            kind()
    with pytest.raises(InputError, match="a rate above 0"):
        Wire(0.0)
    with pytest.raises(InputError, match="3 devices: pools of 1 and 4 at least take 5"):
        Pools(3.0, 6.0, 1, 8, 0.3, 0.02, 1e9, 0.04, decode=Split(tp=4)).split(3)
    assert wire_of(s, 1e9) == (Wire(1e9), "")
    wire, name = wire_of(s)
    assert (wire.rate, "A100" in name) == (EXACT(24e9), True)
