"""Drafts in a server's steps, and trees of drafts, against counts by hand."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import product
from math import exp, log
from pathlib import Path
from random import Random
from runpy import run_path
from statistics import median, stdev

import numpy as np
import pytest

from roofsim.engine.passes import run_pass
from roofsim.foundation.errors import InputError, Unsupported
from roofsim.model.split import Split
from roofsim.model.step import Pass, together
from roofsim.prediction.fitted import chosen
from roofsim.prediction.loop import Kinds
from roofsim.prediction.setup import setup
from roofsim.serving.acceptance import Acceptance, acceptance
from roofsim.serving.arrivals import Arrival
from roofsim.serving.drafting import Drafting, Drafts
from roofsim.serving.drafts import drafter
from roofsim.serving.front import seen
from roofsim.serving.gained import with_gain
from roofsim.serving.rounds import Speculating, batches
from roofsim.serving.scheduler import Engine, Live, Rules, rules
from roofsim.serving.server import Server
from roofsim.serving.shapes import SIBLINGS, SIBLINGS_SPREAD, Shape, chain, levels, of_rank, tree
from roofsim.serving.simulation import Load, simulate
from roofsim.serving.slo import SEARCH, promises
from roofsim.serving.speculation import speculation
from roofsim.serving.states import again, copies, moved
from roofsim.serving.steady import closed, glance, open_loop
from roofsim.serving.timed import with_graphs, within_step
from roofsim.specs.workload import workload

EXACT = pytest.approx


@lru_cache
def server(model="Llama-3.1-8B", draft="eagle", k=3, alpha=0.7, prompt=1024, generate=128, **more) -> Server:
    s = chosen(setup(model, "h100-sxm", "vllm"), "none")
    w = workload(prompt=prompt, generate=generate)
    return Server(s, w, drafts=Drafts(draft, alpha, k, **more).on(s, w) if draft else None)


def seconds(s, w, p: Pass, graphs: int = 1) -> float:
    stack = s.stack(w.dtype)
    return float(run_pass(replace(stack, runtime=with_graphs(stack.runtime, graphs)), p).time)


def test_a_step_verifies_what_was_drafted_beside_prompts_and_drafts_anew() -> None:
    it = server()
    s, w, d = it.s, it.w, it.drafts.drafter
    own = replace(d.s, runtime=within_step(d.s.runtime))
    decoding, piece = it.steps.decoding(5, 900), it.steps.piece(2, 512, 256)
    verified = Pass(5, 4, 900, s.precision(w), "all", "decode", s.runtime.attention.latents)
    drafting = Pass(5, 1, 900, d.s.precision(d.w), "last", "decode", d.s.runtime.attention.latents)
    reading = replace(piece, precision=d.s.precision(d.w))
    first = replace(drafting, new=4)  # over all that may have been accepted
    drafts = seconds(own, d.w, first, 4) + 2 * seconds(own, d.w, drafting)
    alone = seconds(s, w, verified, 4) + drafts
    assert it.steps.of(5, 900)[0] == EXACT(alone, rel=1e-12)
    mixed = seconds(s, w, together([piece, verified]), 4) + seconds(own, d.w, together([reading, first]), 4)
    assert it.steps.of(5, 900, 2, 512, 256)[0] == EXACT(mixed + 2 * seconds(own, d.w, drafting), rel=1e-12)
    prompts = seconds(s, w, piece) + seconds(own, d.w, reading, 4)
    assert it.steps.of(0, 0, 2, 512, 256)[0] == EXACT(prompts, rel=1e-12)
    assert float(it.steps.run([decoding]).time) == EXACT(alone, rel=1e-12)


def test_a_step_is_the_round_of_speculation() -> None:
    """Of one length alone both are the same passes."""
    it = server("Qwen3.5-4B", "mtp", 4, 0.8, generate=1)
    for rollback in ("copies", "replay"):
        drafts = replace(it.drafts, rollback=rollback, overhead=1e-3)
        one = replace(it, drafts=drafts)
        spoken = Speculating(it.s, it.w, drafts.drafter, rollback, 1e-3)
        assert one.steps.of(6, 1024)[0] == EXACT(float(spoken.round(6, 4, Acceptance(0.8)).time), rel=1e-9)


def test_steps_of_a_request_are_those_that_renewals_take() -> None:
    two = server(k=2, alpha=0.5).drafts  # a step makes 1, 2, 3 tokens with chances of 1/2, 1/4, 1/4
    assert [two.steps(n) for n in range(4)] == EXACT([0, 1, 1.5, 1 + 1.5 / 2 + 1 / 4])
    assert server(k=4, alpha=1.0).drafts.steps(11) == 3
    assert server(k=4, alpha=0.0).drafts.steps(11) == 11
    sure, random = replace(two, accepted=Acceptance(0.7)), Random(1)
    tries = []
    for _ in range(4000):
        left, steps = 40, 0
        while left > 0:
            made = 1
            while made < 3 and random.random() < 0.7:
                made += 1
            left, steps = left - made, steps + 1
        tries.append(steps)
    assert sure.steps(40) == EXACT(np.mean(tries), rel=5e-3)
    # behind the tokens that are counted one by one, each takes as many steps as the mean has it
    assert sure.steps(700) - sure.steps(512) == EXACT(188 / sure.made)
    assert sure.steps(512) - sure.steps(511) == EXACT(1 / sure.made, rel=1e-9)


def test_tokens_of_a_step_are_equally_far_apart() -> None:
    it = server(k=2, alpha=0.5).drafts
    kinds = [(0.75, Kinds(4.0, 0, 0)), (0.25, Kinds(0, 8.0, 0))]
    gaps = [(share, float(sum(kind))) for share, kind in it.gaps(kinds)]
    counted = [[3 / 14, 4], [3 / 14, 2], [9 / 28, 4 / 3], [1 / 14, 8], [1 / 14, 4], [3 / 28, 8 / 3]]
    assert np.array(gaps) == EXACT(np.array(counted))
    assert sum(share for share, _ in gaps) == EXACT(1)
    assert sum(share * gap for share, gap in gaps) == EXACT(5 / 1.75)


def test_users_get_tokens_as_fast_as_their_steps_make_them() -> None:
    it, without = server(), server(draft=None)
    one = closed(it, 1)
    steps = it.drafts.steps(127)
    held = 1024 + 126 / 2
    assert one.itl["mean"] == EXACT(steps * it.steps.of(1, held)[0] / 127, rel=1e-9)
    assert one.rate == EXACT(1 / (it.steps.of(0, 0, 1, 1024)[0] + steps * it.steps.of(1, held)[0]), rel=1e-9)
    assert it.each == 4
    assert without.later == 127
    assert (without.between, it.between) == (1.0, EXACT(steps / 127))
    for users in (1, 100):
        found, plain = closed(it, users), closed(without, users)
        assert found.tokens_per_second.total == EXACT(found.rate * 128)
        gained = with_gain(it, found).drafts
        assert gained.gain == EXACT(found.rate / plain.rate)
        assert gained.interval[0] < gained.gain < gained.interval[1]


def test_a_step_has_room_for_fewer_tokens_of_prompts_beside_drafts() -> None:
    it, without = server(k=7), server(draft=None)
    tokens = it.engine.tokens
    assert it.loop(100)._full == int((tokens - 8 * 100) / 1024) * 1024
    assert without.loop(100)._full == int((tokens - 100) / 1024) * 1024
    assert replace(it, sequences=10**6, drafts=replace(it.drafts, drafted=chain(999))).most == tokens // 1000


def test_arrays_are_the_steady_state_with_drafts() -> None:
    it = server()
    found = seen(it, {}, [1, 8, 100], [1024, 4, 64])
    for i, (n, at_once) in enumerate(((1, 1024), (8, 4), (100, 64))):
        one = closed(replace(it, sequences=at_once), n)
        assert found.itl[i] == EXACT(one.itl["mean"], rel=1e-9)
        assert found.rate[i] == EXACT(one.rate, rel=1e-9)


def test_sequences_hold_the_draft_s_cache_and_states_beside_their_own() -> None:
    it, without = server("Qwen3.5-4B", "mtp", 4), server("Qwen3.5-4B", None)
    room, each = without.room.free, without.room.mean
    d, recurrent = it.drafts.drafter, 4 * float(it.s.stage.state_bytes(1024, replace(it.s.precision(it.w), cache=0)))
    own = d.state(1024 + 127 / 2 + 4)
    assert (it.room.free, it.room.mean) == EXACT((room - d.weights(chain(4)), each + own + recurrent))
    assert it.most == int((room - d.weights(chain(4))) // (each + own + recurrent))
    one = replace(it, drafts=replace(it.drafts, rollback="replay"))
    assert one.room.mean == EXACT(each + own + recurrent / 4)


def test_a_rate_that_is_next_to_none_is_one_user_alone() -> None:
    it = server()
    found = open_loop(it, 1e-6)
    assert found.itl["mean"] == EXACT(closed(it, 1).itl["mean"], rel=1e-3)
    assert found.running == EXACT(found.concurrency, rel=1e-6)
    gained = with_gain(it, found, rate=True).drafts
    assert gained.gain == EXACT(open_loop(server(draft=None), 1e-6).itl["mean"] / found.itl["mean"])


def test_drafts_pay_up_to_the_users_for_whom_they_gain() -> None:
    it, without = server(draft="ngram", k=8, alpha=0.3), server(draft=None)
    found = with_gain(it, closed(it, 4)).drafts

    def gain(users: int) -> float:
        return closed(it, users).rate / closed(without, users).rate

    assert 1 < found.pays_until < found.users
    assert gain(found.pays_until) > 1 >= gain(found.pays_until + 1)
    low, high = found.pays_within
    assert low < found.pays_until < high
    assert found.users == min(it.most, without.most)
    never = server(draft="ngram", k=8, alpha=0.0)
    assert with_gain(never, closed(never, 1)).drafts.pays_until is None


def test_what_is_promised_is_kept_with_drafts() -> None:
    slo = promises("itl=5ms")
    most, _ = SEARCH["concurrency"](server(), slo)
    assert glance(server(), int(most))["itl"]["mean"] <= 5e-3 < glance(server(), int(most) + 1)["itl"]["mean"]


def test_as_many_are_drafted_as_gain_most() -> None:
    s, w = server().s, server().w
    asked = Drafts("eagle", 0.7)
    for batch in (1, 128):
        best = Speculating(s, server().w, drafter(s, w, "eagle")).best(batch, Acceptance(0.7))
        assert asked.on(s, w, batch).drafted == chain(best)


def test_drafts_that_cannot_be_are_refused() -> None:
    s, w = server().s, server().w
    for asked, said in (
        (Drafts("eagle", 1.2), "1.2 is not a chance"),
        (Drafts("eagle", 0.7, 0x7FF), "is not a number of drafted tokens"),
        (Drafts("eagle", (0.9, 0.5), 3), "3 is not a number of drafted tokens; it lies from 1 to 2"),
        (Drafts("ngram", 0.7, tree=Shape(6, 2, 2)), "one way on"),
        (Drafts("eagle", 0.7, 3, Shape(6, 2, 2)), "give one of them"),
        (Drafts("eagle", (0.9, 0.5), tree=Shape(6, 3, 2)), "tree depth: 3; --accept speaks of 2 places"),
    ):
        with pytest.raises(InputError, match=said):
            asked.on(s, w)
    with pytest.raises(Unsupported, match="drafts in no pipeline"):
        Drafts("eagle", 0.7, 3).on(setup("Llama-3.1-8B", "h100-sxm", "vllm", split=Split(pp=2)), w)
    w = workload(prompt=262144, generate=128)
    large = Server(s, w, drafts=Drafts("Llama-3.1-8B", 0.7, 3).on(s, w))
    with pytest.raises(InputError, match="beside the weights of the draft"):
        closed(large, 1)


def test_of_the_candidates_at_a_place_at_most_one_is_accepted() -> None:
    assert of_rank(0.6, 1) == 0.6
    assert sum(of_rank(0.6, rank) for rank in range(1, 5)) == EXACT(1 - 0.4 * 4**-SIBLINGS)
    assert of_rank(0.6, 2) == EXACT(0.4 * (1 - 2**-SIBLINGS))


def test_a_tree_holds_its_likeliest_paths() -> None:
    a, width, depth, nodes = 0.6, 2, 3, 5
    paths = [p for n in range(1, depth + 1) for p in product((1, 2), repeat=n)]

    def chance(path) -> float:
        return float(np.prod([of_rank(a, rank) for rank in path]))

    best = sorted(paths, key=chance, reverse=True)[:nodes]
    found = levels((a,) * depth, width, nodes)
    assert found[0] == 1
    for place in range(1, depth + 1):
        assert found[place] == EXACT(sum(chance(p) for p in best if len(p) == place))
    shape = Shape(nodes, depth, width)
    assert shape.reached(Acceptance(a)) == found
    assert shape.made(Acceptance(a)) == EXACT(sum(found))
    assert sum(shape.ends(Acceptance(a))) == EXACT(1)
    assert shape.made(Acceptance(1.0)) == depth + 1
    assert shape.kept(Acceptance(0.9)) == 0
    assert chain(4).kept(Acceptance(0.5)) == 0.5**4
    assert chain(4).reached(Acceptance(0.5)) == (1, 0.5, 0.25, 0.125, 0.0625)


def test_no_more_paths_go_on_than_the_draft_takes() -> None:
    """All candidates are equally likely in the end: two of four go on, each to two more."""
    found = levels((0.5, 0.5), 2, 6)
    one, two = of_rank(0.5, 1), of_rank(0.5, 2)
    assert found == EXACT((1, one + two, (one + two) ** 2))
    assert Shape(6, 2, 2).ends_of_tokens == (2, 6)


def test_chances_by_place_are_those_of_a_tree_s_best_path() -> None:
    each = Acceptance(None, (0.9, 0.6, 0.3))
    shape = Shape(3, 3, 2)  # the best path is more likely than any sibling
    assert shape.reached(each) == EXACT((1, 0.9, 0.6, 0.3))
    assert acceptance(f"length={shape.made(Acceptance(0.8))}", shape).alpha == EXACT(0.8)


def test_a_tree_is_drafted_by_as_many_passes_as_it_is_deep() -> None:
    it = server()
    d, a = it.drafts.drafter, Acceptance(0.7)
    it = Speculating(it.s, replace(it.w, generate=1), d, tree=Shape(15, 4, 3))
    five, three = (
        Pass(2, new, 1024, d.s.precision(d.w), "last", "decode", d.s.runtime.attention.latents) for new in (5, 3)
    )
    own = replace(d.s, runtime=within_step(d.s.runtime))
    found = it.round(2, 15, a)
    wide = seconds(own, d.w, replace(three, logits="all"), 3)
    assert found.draft == EXACT(seconds(own, d.w, five, 5) + 3 * wide, rel=1e-9)
    verified = Pass(2, 16, 1024, it.s.precision(it.w), "all", "decode", it.s.runtime.attention.latents)
    assert found.verify == EXACT(seconds(it.s, it.w, verified, 16), rel=1e-9)
    assert it.drafted(2, 15, a).made == EXACT(Shape(15, 4, 3).made(a))
    step = Drafting(d, a, Shape(15, 4, 3))
    server_ = Server(it.s, it.w, drafts=step)
    assert server_.steps.of(2, 1024)[0] == EXACT(float(found.time), rel=1e-9)


def test_states_of_a_tree_are_read_from_the_token_before() -> None:
    a, line, shape = Acceptance(0.5), chain(4), Shape(8, 3, 2)
    assert (moved("copies", line, a), moved("copies", shape, a)) == (4, 16)
    assert moved("replay", line, a) == 2 * (1 + 1 - 0.5**4)
    assert moved("replay", shape, a) == 4
    assert [copies(how, shape) for how in ("copies", "replay")] == [8, 1]
    assert list(again("copies", line, a)) == []
    assert [made for _, made in again("replay", line, a)] == [1, 2, 3, 4]  # all five are at hand
    assert [made for _, made in again("replay", shape, a)] == [1, 2, 3, 4]
    assert sum(chance for chance, _ in again("replay", shape, a)) == EXACT(1)
    assert sum(chance for chance, _ in again("replay", line, a)) == EXACT(1 - 0.5**4)


def test_a_tree_is_read_as_it_is_written() -> None:
    assert tree("depth=5, top=8,nodes=63") == Shape(63, 5, 8)
    for text, said in (
        ("5", "write a tree like depth=5,top=8,nodes=63"),
        ("depth=5,top=8", "nodes missing"),
        ("depth=5", "top and nodes missing"),
        ("depth=5,depth=4,top=2,nodes=9", "depth is given twice"),
        ("depth=0,top=2,nodes=9", "'0' is not a whole number from 1 to 1,024"),
        ("depth=a,top=2,nodes=9", "'a' is not a whole number"),
        ("depth=5,top=1,nodes=9", "1 is a chain"),
        ("depth=5,top=2,nodes=4", "there are from 5 to 18"),
        ("depth=5,top=2,nodes=19", "there are from 5 to 18"),
    ):
        with pytest.raises(InputError, match=said):
            tree(text)


def test_sizes_of_trees_are_looked_at() -> None:
    it = Speculating(server().s, server().w, server().drafts.drafter, tree=Shape(20, 3, 4))
    assert it.lengths(Acceptance(0.5)) == [4, 8, 16, 20, 24, 32]  # from 3 to 36
    assert batches(3) == [1, 2, 3]


def test_chances_of_further_candidates_are_those_of_published_trees() -> None:
    path = Path(__file__).resolve().parents[2] / "tools" / "siblings.py"
    found = [exponent for _, exponent in run_path(str(path))["exponents"]()]
    assert EXACT(median(found), abs=5e-3) == SIBLINGS
    assert EXACT(stdev(map(log, found)), abs=5e-3) == SIBLINGS_SPREAD


def test_a_tree_is_in_doubt_unless_its_tokens_were_counted() -> None:
    a, shape = Acceptance(0.6), Shape(8, 3, 3)
    few, many = (replace(shape, siblings=SIBLINGS * exp(by * SIBLINGS_SPREAD)).made(a) for by in (-1, 1))
    assert shape.doubt(a) == EXACT(log(many / few) / 2)
    assert shape.doubt(acceptance(f"length={shape.made(a)}", shape)) == 0
    assert chain(4).doubt(a) == 0
    it = server()
    spoken = Speculating(it.s, replace(it.w, generate=1), it.drafts.drafter, tree=shape)
    sure, unsure = (spoken.intervals(1, 8, each)["speedup"] for each in (Acceptance(0.6, counted=True), a))
    widths = [log(high / low) / 2 / 1.959964 for low, high in (sure, unsure)]
    assert widths[1] ** 2 - widths[0] ** 2 == EXACT(shape.doubt(a) ** 2, rel=1e-3)


def test_a_crossover_lies_where_the_interval_of_the_gain_does() -> None:
    it = server(draft=None)
    spoken = Speculating(it.s, it.w, drafter(it.s, it.w, "ngram"))
    found = speculation(it.s, it.w, spoken.drafter, Acceptance(0.3), 8)
    low, high = found.pays_within
    assert low < found.pays_until < high
    off = found.intervals["speedup"][0] / found.row.speedup
    assert spoken.gain(low, 8, Acceptance(0.3)) * off > 1 >= spoken.gain(low + 1, 8, Acceptance(0.3)) * off


def live(generate: int, **more) -> tuple[Engine, Rules]:
    limits = Rules(tokens=100, sequences=8, each=4, **more)
    engine = Engine(lambda *sizes: (1.0, 1.0), limits)
    engine.waiting.append(Live(0, Arrival(0.0, 10, generate)))
    return engine, limits


def test_a_simulated_step_makes_as_many_tokens_as_are_drawn() -> None:
    engine, _ = live(9, ends=(0.0, 0.0, 1.0))  # three tokens of each step
    at, plans = 0.0, []
    while not engine.done:
        plan = engine.scheduled()
        plans.append([(new, before) for _, new, before in plan])
        at += engine.timed(plan)
        engine.finish(plan, at)
    # the prompt makes one, steps three, three, and the two that are left
    assert plans == [[(10, 0)], [(1, 10)], [(1, 13)], [(1, 16)]]
    assert list(engine.gaps) == EXACT([1 / 3] * 6 + [1 / 2] * 2)
    (done,) = engine.done
    assert (done.first, done.last) == (1.0, 4.0)


def test_tokens_are_drawn_with_the_chances_of_rounds() -> None:
    engine, _ = live(10**6, ends=(0.5, 0.3, 0.2))
    (plan,) = (engine.scheduled(),)
    engine.finish(plan, 1.0)
    request, drawn = engine.running[0], []
    for _ in range(20_000):
        before = request.made
        engine.finish(engine.scheduled(), 1.0)
        drawn.append(request.made - before)
        assert request.left == 1
    assert [drawn.count(n) / len(drawn) for n in (1, 2, 3)] == EXACT([0.5, 0.3, 0.2], abs=0.015)


def test_verified_tokens_take_the_room_of_a_step_and_of_the_cache() -> None:
    limits = Rules(tokens=10, sequences=8, room=20, need=float, each=4, ends=(1.0,))
    engine = Engine(lambda *sizes: (1.0, 1.0), limits)
    engine.waiting.extend(Live(i, Arrival(0.0, 8, 9)) for i in range(2))
    first = engine.scheduled()
    assert [(each.number, new) for each, new, _ in first] == [(0, 8), (1, 2)]
    second = engine.scheduled()  # 4 tokens of 10 are verified for the first, which holds 12 of 20 then
    assert [(each.number, new) for each, new, _ in second] == [(0, 1), (1, 6)]
    assert (engine.free, engine.preemptions) == (0, 0)


def test_what_drafts_hold_lies_beside_the_model_in_a_simulation() -> None:
    it = server("Qwen3.5-4B", "mtp", 4)
    with_, without = rules(it.s, it.w, drafts=it.drafts), rules(it.s, it.w)
    assert without.room - with_.room == EXACT(it.drafts.weights)
    assert with_.need(1000) - without.need(1000) == EXACT(it.drafts.held(it.s, it.w, 1000))
    assert (with_.each, with_.ends) == (5, it.drafts.ends)
    assert (without.each, without.ends) == (1, ())


def test_one_user_sees_in_events_what_the_closed_form_says() -> None:
    pytest.importorskip("simpy", reason="SimPy is not installed: the extra `serving`")
    it = server()
    found = simulate(it.s, it.w, Load(users=1, requests=60), drafts=it.drafts)
    one = closed(it, 1)
    assert found.result.itl.mean == EXACT(one.itl["mean"], rel=0.02)
    assert found.result.ttft.mean == EXACT(one.ttft["mean"], rel=1e-3)
    assert found.result.requests_per_second == EXACT(one.rate, rel=0.02)
    assert found.drafts[0].startswith("3 tokens of each sequence, drafted by an EAGLE head")
    assert found.to_dict()["drafts"] == list(found.drafts)
    low, high = found.intervals["itl"]
    assert low < found.result.itl.mean < high
