"""What lies in the memory of the host and a pass over device, processor and link, counted and added up by hand."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from roofsim import library
from roofsim.engine.energy import Activity, activity, energy
from roofsim.engine.passes import Stack, pass_bound
from roofsim.engine.placement import Disk, Link, Placement, Tiers, evenly, fullest
from roofsim.engine.roofline import Machine, terms
from roofsim.engine.tiers import Tiered, run_tiers, tier_operators
from roofsim.foundation.errors import InputError
from roofsim.foundation.parameters import priors
from roofsim.foundation.schema import variant
from roofsim.lowering.step import LoweredRow, lower
from roofsim.model import layers
from roofsim.model.architecture import Architecture, Stretch
from roofsim.model.step import Pass, Precision
from roofsim.specs.files import build
from roofsim.specs.runtime import HostPolicy, Runtime

FAST = Machine(matrix_rate=4e9, vector_rate=3e8, bandwidth=2e8, cache=100, units=4, parameters=priors())
SLOW = Machine(matrix_rate=4e6, vector_rate=3e5, bandwidth=2e5, cache=100, units=4, parameters=priors())
BYTES = Precision(2, 2, 2, 2)
DENSE = 2 * (10 * 12 + 2 * 10 * 6 + 12 * 10 + 3 * 10 * 6 + 2 * 10)
"""Queries, keys and values, output; gate, up and down; two norms: elements of two bytes."""
EXPERT = 2 * 3 * 10 * 7
SPARSE = 2 * (10 * 12 + 2 * 10 * 6 + 12 * 10 + 10 * 8 + 2 * 10) + 8 * EXPERT
TABLE = HEAD = 2 * 7 * 10
STATE = 2 * 2 * 3 * 2
"""Bytes of a token in a layer: keys and values of two heads of three elements."""


def network(tied: bool = False) -> Architecture:
    attention = {"kind": "attention", "heads": 4, "kv_heads": 2, "head_dim": 3}
    values = {
        "name": "toy", "family": "toy", "d_model": 10, "vocab": 7, "tied_embeddings": tied,
        "layers": {"dense": [attention, {"kind": "gated_mlp", "width": 6}],
                   "sparse": [attention, {"kind": "moe", "experts": 8, "top_k": 2, "width": 7}]},
        "layout": [{"repeat": 1, "of": ["dense"]}, {"repeat": 3, "of": ["sparse"]}], "sources": {"here": "made up"},
    }  # fmt: skip
    return build(Architecture, values, "toy.yaml")


TOY = network()
IDEAL = library.runtime("ideal")
DEVICE = Stack(TOY, IDEAL, library.device("rtx-4090"), FAST)
PROCESSOR = Stack(TOY, IDEAL, library.device("ryzen-9-7950x"), SLOW)
STEP = Pass(1, 1, 6, BYTES, phase="decode")
PROMPT = Pass(2, 5, 0, BYTES)
ALL = {"embedding": 1, "dense": 1, "sparse": 3, "head": 1}
BY_EXPERTS = ("experts_up", "experts_act", "experts_down")


def tiers(link: Link, **placed: object) -> Tiers:
    where = Placement(**placed)  # type: ignore[arg-type]
    return Tiers(DEVICE, PROCESSOR, BYTES, where, link, TOY, (TOY, where))


def run(t: Tiers, p: Pass) -> Tiered:
    return run_tiers(t, p, *rows(t, p))


def rows(t: Tiers, p: Pass) -> tuple[Sequence[LoweredRow], Sequence[LoweredRow]]:
    there = t.processor or PROCESSOR
    return lower(TOY, t.device.runtime, p, t.device.device), lower(TOY, there.runtime, p, there.device)


def spent(
    m: Machine, p: Pass, counts: Mapping[str, int], *, experts: bool | None = None, runtime: Runtime = IDEAL
) -> float:
    """Seconds of the kernels of so many layers of each kind, of those of their experts alone, or of all but these."""
    return sum(
        counts.get(row.row.layer, 0) * kernel.count * terms(kernel, m).time
        for row in lower(TOY, runtime, p)
        for operator, lowered in row
        if experts is None or (operator.name in BY_EXPERTS) == experts
        for kernel in lowered.kernels
    )


def test_what_single_layers_hold_is_what_is_counted_by_hand() -> None:
    assert [layers.first_layers(TOY, n) for n in (0, 1, 3)] == [{}, {"dense": 1}, {"dense": 1, "sparse": 2}]
    assert (layers.layer_bytes(TOY, "dense", BYTES), layers.expert_bytes(TOY, "dense", BYTES)) == (DENSE, 0)
    assert (layers.layer_bytes(TOY, "sparse", BYTES), layers.expert_bytes(TOY, "sparse", BYTES)) == (SPARSE, 8 * EXPERT)
    assert TOY.weight_bytes(BYTES) == DENSE + 3 * SPARSE + TABLE + HEAD + 2 * 10
    assert layers.state_bytes(TOY, "sparse", 7, BYTES) == 7 * STATE
    assert layers.largest_matrix(TOY, "dense", BYTES) == 2 * 10 * 12
    assert layers.largest_matrix(TOY, "sparse", BYTES) == 2 * 8 * 10 * 14
    assert (layers.table_bytes(TOY, BYTES), layers.head_bytes(TOY, BYTES)) == (TABLE, HEAD)
    assert layers.table_bytes(network(tied=True), BYTES) == 0
    assert [
        o.name
        for row in TOY.rows(STEP)
        for o, of in zip(row.operators, layers.by_experts(row.operators), strict=True)
        if of
    ] == list(BY_EXPERTS)


def test_the_first_layers_are_counted_stretch_by_stretch() -> None:
    layout = Stretch(repeat=3, of=("dense", "sparse", "sparse")), Stretch(repeat=2, of=("dense",))
    mixed = variant(TOY, layout=layout)
    order = ["dense", "sparse", "sparse"] * 3 + ["dense"] * 2
    for n in range(len(order) + 1):
        assert layers.first_layers(mixed, n) == Counter(order[:n])


def test_formats_count_where_they_are_stored() -> None:
    packed = replace(BYTES, stored={"experts_up": 1, "lm_head": 0.5, "embedding": 4})
    assert layers.expert_bytes(TOY, "sparse", packed) == 8 * (10 * 14 + 2 * 7 * 10)
    assert layers.layer_bytes(TOY, "sparse", packed) == SPARSE - 8 * 10 * 14
    assert (layers.table_bytes(TOY, packed), layers.head_bytes(TOY, packed)) == (4 * 70, 70 / 2)


def test_what_lies_on_the_host_is_what_was_put_there() -> None:
    link = Link(1e6)
    for found in (tiers(link, computed={"dense": 1, "sparse": 2}),):
        behind = found.behind(BYTES, 7, 5, 5)
        assert (behind.weights, behind.state) == (DENSE + 2 * SPARSE + TABLE, 5 * 3 * 7 * STATE)
    away = tiers(link, computed={"dense": 1, "sparse": 2}).away(7, BYTES)
    assert (away.weights, away.state) == (DENSE + 2 * SPARSE + TABLE, 3 * 7 * STATE)
    away = tiers(link, computed={"dense": 1, "sparse": 3}, head=True).away(7, BYTES)
    assert (away.weights, away.state) == (DENSE + 3 * SPARSE + TABLE + HEAD, 4 * 7 * STATE)
    for words, table in (("experts", TABLE), ("streamed_experts", 0)):  # tokens are looked up where experts compute
        away = tiers(link, **{words: {"sparse": 2}}).away(7, BYTES)
        assert (away.weights, away.state) == (16 * EXPERT + table, 0)
    away = tiers(link, streamed={"dense": 1, "sparse": 1}).away(7, BYTES)
    assert (away.weights, away.state) == (DENSE + SPARSE, 0)


@pytest.mark.parametrize(
    ("link", "placed", "staged"),
    [
        (Link(1), {"streamed": {"dense": 1}}, 2 * 10 * 12),
        (Link(1), {"streamed": {"dense": 1, "sparse": 1}}, 2 * 8 * 10 * 14),
        (Link(1, streams="prefetched"), {"streamed": {"dense": 1, "sparse": 1}}, 2 * SPARSE),
        (Link(1, streams="prefetched"), {"streamed_experts": {"sparse": 1}}, 2 * 8 * EXPERT),
        (Link(1, streams="in_place"), {"streamed": {"dense": 1}}, 0),
        (Link(1), {"computed": {"dense": 1}}, 0),
        (Link(1, copies_from=32), {"computed": {"dense": 1}}, 2 * 10 * 12),
        (Link(1, copies_from=32), {"experts": {"sparse": 1}}, 2 * 8 * 10 * 14),
    ],
)
def test_weights_are_copied_to_as_many_bytes(link: Link, placed: Mapping[str, object], staged: float) -> None:
    assert tiers(link, **placed).staging(BYTES) == staged


@pytest.mark.parametrize("p", [STEP, PROMPT], ids=["step", "prompt"])
def test_layers_on_the_host_take_its_time_and_hand_over_once(p: Pass) -> None:
    found = run(tiers(Link(1e4, 3e-3), computed={"dense": 1, "sparse": 1}), p)
    here = spent(FAST, p, {"sparse": 2, "head": 1})
    there = spent(SLOW, p, {"embedding": 1, "dense": 1, "sparse": 1})
    handed = p.tokens * 10 * 4
    assert found.link_bytes == handed
    assert found.link_time == pytest.approx(handed / 1e4)
    assert found.link_wait == pytest.approx(3e-3 + handed / 1e4)
    assert found.processor_time == pytest.approx(there)
    assert found.device_time == pytest.approx(here + there)
    assert found.time == pytest.approx(here + there + 3e-3 + handed / 1e4)


def test_layers_of_a_kind_are_shared_out_among_all_that_is_asked() -> None:
    link = Link(1e4, 3e-3)
    found = run(tiers(link, computed={"sparse": 1}, experts={"sparse": 1}, streamed={"sparse": 1, "dense": 4}), PROMPT)
    there = spent(SLOW, PROMPT, {"embedding": 1, "sparse": 1}) + spent(SLOW, PROMPT, {"sparse": 1}, experts=True)
    here = spent(FAST, PROMPT, {"dense": 1, "sparse": 1, "head": 1}) + spent(FAST, PROMPT, {"sparse": 1}, experts=False)
    used = TOUCHED[10] * EXPERT
    copied = DENSE + SPARSE - 8 * EXPERT + used
    handed = 10 * 10 * 4 + 10 * (10 * 4 + 2 * 4 + 2 * 10 * 4)
    assert found.link_bytes == pytest.approx(copied + handed)
    assert found.time == pytest.approx(here + there + (copied + handed) / 1e4 + 3 * 3e-3)
    found = run(tiers(link, computed={"sparse": 2}, streamed_experts={"sparse": 1}), PROMPT)
    there = spent(SLOW, PROMPT, {"embedding": 1, "sparse": 2})
    here = spent(FAST, PROMPT, {"dense": 1, "sparse": 1, "head": 1})
    assert found.time == pytest.approx(here + there + (used + 10 * 10 * 4) / 1e4 + 3e-3)
    found = run(tiers(link, streamed={"sparse": 2}, streamed_experts={"sparse": 3}), PROMPT)
    assert found.link_bytes == pytest.approx(2 * (SPARSE - 8 * EXPERT + used) + used)
    found = run(tiers(link, computed={"sparse": 2}, experts={"sparse": 5}, streamed={"sparse": 5}), PROMPT)
    assert found.link_bytes == pytest.approx(handed)
    found = run(tiers(link, computed={"sparse": 1}, experts={"sparse": 1}, streamed={"sparse": 5}), PROMPT)
    assert found.link_bytes == pytest.approx(SPARSE - 8 * EXPERT + used + handed)
    found = run(tiers(link, computed={"sparse": 1}, experts={"sparse": 1}, streamed_experts={"sparse": 5}), PROMPT)
    assert found.link_bytes == pytest.approx(used + handed)


def test_the_last_layer_is_the_last_to_be_taken_where_only_scored_positions_go_on() -> None:
    p = replace(PROMPT, scored=1, logits="last")
    whole = {"embedding": 1, "dense": 1, "sparse": 2, "last sparse": 1, "head": 1}
    found = run(tiers(Link(1e4), computed={"dense": 1, "sparse": 2}), p)
    there = {"embedding": 1, "dense": 1, "sparse": 2}
    here = {name: n - there.get(name, 0) for name, n in whole.items()}
    assert found.processor_time == pytest.approx(spent(SLOW, p, there))
    assert found.time == pytest.approx(spent(FAST, p, here) + spent(SLOW, p, there) + 400 / 1e4)
    found = run(tiers(Link(1e4), computed={"sparse": 3}), p)
    assert found.processor_time == pytest.approx(spent(SLOW, p, {"embedding": 1, "sparse": 2, "last sparse": 1}))
    found = run(tiers(Link(1e4), streamed={"sparse": 3}), p)
    last = 8 * (1 - (6 / 8) ** 2) * EXPERT  # two sequences go on with a token each
    assert found.link_bytes == pytest.approx(3 * (SPARSE - 8 * EXPERT) + 2 * TOUCHED[10] * EXPERT + last)


def test_the_processor_runs_what_its_own_software_makes_of_a_layer() -> None:
    mine, its = (
        variant(library.runtime(name), host=HostPolicy()) for name in ("transformers-5-eager", "llama.cpp-cpu")
    )
    quiet = replace(DEVICE, runtime=mine), replace(PROCESSOR, runtime=its)
    t = replace(tiers(Link(1e4), computed={"dense": 1, "sparse": 1}), device=quiet[0], processor=quiet[1])
    found = run(t, STEP)
    there = spent(SLOW, STEP, {"embedding": 1, "dense": 1, "sparse": 1}, runtime=its)
    assert found.processor_time == pytest.approx(there)
    here = spent(FAST, STEP, {"sparse": 2, "head": 1}, runtime=mine)
    assert found.time == pytest.approx(here + there + 40 / 1e4)
    t = replace(tiers(Link(1e6, streams="prefetched"), streamed={"sparse": 3}), device=quiet[0], processor=None)
    one = (SPARSE - 6 * EXPERT) / 1e6, spent(FAST, STEP, {"sparse": 1}, runtime=mine)
    rest = spent(FAST, STEP, {**ALL, "sparse": 0}, runtime=mine)
    assert run(t, STEP).time == pytest.approx(rest + pipeline([one] * 3))


def test_operators_are_listed_where_they_run() -> None:
    t = tiers(Link(1e4), computed={"dense": 1}, experts={"sparse": 2})
    listed = tier_operators(t, STEP, *rows(t, STEP), lambda _: "prior", lambda _: "set")
    by_layer: dict[str, float] = {}
    for each in listed:
        by_layer[each.layer] = by_layer.get(each.layer, 0) + float(each.time)
        assert each.basis == ("set" if each.layer.endswith("(host)") else "prior")
    assert by_layer == {
        "sparse": pytest.approx(spent(FAST, STEP, {"sparse": 1}) + spent(FAST, STEP, {"sparse": 2}, experts=False)),
        "head": pytest.approx(spent(FAST, STEP, {"head": 1})),
        "embedding (host)": pytest.approx(spent(SLOW, STEP, {"embedding": 1})),
        "dense (host)": pytest.approx(spent(SLOW, STEP, {"dense": 1})),
        "sparse (host)": pytest.approx(spent(SLOW, STEP, {"sparse": 2}, experts=True)),
    }
    whole = tiers(Link(1e4), computed={"dense": 1, "sparse": 3}, head=True)
    listed = tier_operators(whole, STEP, *rows(whole, STEP), lambda _: "prior", lambda _: "set")
    assert all(each.layer.endswith("(host)") for each in listed)
    copied = replace(whole, link=Link(1e4, copies_from=1))
    layers_of = {
        each.layer for each in tier_operators(copied, STEP, *rows(t, STEP), lambda _: "prior", lambda _: "set")
    }
    assert layers_of == {"dense", "sparse", "embedding (host)", "head (host)"}


def test_of_many_batches_each_goes_the_way_of_its_tokens() -> None:
    t = tiers(Link(1e4, 3e-3, copies_from=10), computed={"dense": 1}, experts={"sparse": 2})
    batches = np.array([1.0, 2.0, 5.0])
    many = run(t, replace(PROMPT, batch=batches))
    for i, batch in enumerate(batches):
        one = run(t, replace(PROMPT, batch=batch))
        for name in ("time", "device_time", "processor_time", "link_bytes", "link_wait", "matrix_flops", "energy"):
            found = np.broadcast_to(getattr(many, name), batches.shape)[i]
            assert found == pytest.approx(float(getattr(one, name))), name


def test_all_of_it_on_the_host_is_a_pass_of_the_host() -> None:
    found = run(tiers(Link(1e4, 3e-3), computed={"dense": 1, "sparse": 3}, head=True), STEP)
    assert found.time == found.processor_time == pytest.approx(spent(SLOW, STEP, ALL))
    assert (found.link_bytes, found.link_wait) == (0, 0)


@pytest.mark.parametrize("p", [STEP, PROMPT], ids=["step", "prompt"])
def test_experts_on_the_host_get_tokens_and_choices_and_give_back_what_each_made(p: Pass) -> None:
    found = run(tiers(Link(1e4, 3e-3), experts={"sparse": 2}), p)
    there = spent(SLOW, p, {"embedding": 1}) + spent(SLOW, p, {"sparse": 2}, experts=True)
    here = spent(FAST, p, {"sparse": 2}, experts=False) + spent(FAST, p, {"dense": 1, "sparse": 1, "head": 1})
    handed = 2 * p.tokens * (10 * 4 + 2 * 4 + 2 * 10 * 4) + p.tokens * 10 * 4
    assert found.processor_time == pytest.approx(there)
    assert found.link_bytes == handed
    assert found.link_wait == pytest.approx(5 * 3e-3 + handed / 1e4)
    assert found.time == pytest.approx(here + there + 5 * 3e-3 + handed / 1e4)


TOUCHED = {1: 2, 10: 8 * (1 - (6 / 8) ** 10)}
"""Experts that so many tokens use on the average."""


@pytest.mark.parametrize("p", [STEP, PROMPT], ids=["step", "prompt"])
def test_what_is_copied_is_waited_for(p: Pass) -> None:
    whole = spent(FAST, p, ALL)
    used = TOUCHED[int(float(p.tokens))] * EXPERT
    copied = DENSE + 2 * (SPARSE - 8 * EXPERT + used)
    found = run(tiers(Link(1e5), streamed={"dense": 1, "sparse": 2}), p)
    assert found.link_bytes == pytest.approx(copied)
    assert found.time == pytest.approx(whole + copied / 1e5)
    assert found.processor_time == 0
    found = run(tiers(Link(1e5, used=False), streamed={"dense": 1, "sparse": 2}), p)
    assert found.time == pytest.approx(whole + (DENSE + 2 * SPARSE) / 1e5)
    found = run(tiers(Link(1e5), streamed_experts={"sparse": 2}), p)
    assert found.time == pytest.approx(whole + 2 * used / 1e5)
    found = run(tiers(Link(1e5, used=False), streamed_experts={"sparse": 2}), p)
    assert found.time == pytest.approx(whole + 2 * 8 * EXPERT / 1e5)


def pipeline(copies: list[tuple[float, float]]) -> float:
    """Seconds of layers whose copies go on one after the other while the layers before them run."""
    copied = done = 0.0
    for size, time in copies:
        copied += size
        done = max(done, copied) + time
    return done


@pytest.mark.parametrize("rate", [1e3, 1e6, 1e9])
def test_copies_that_are_ahead_hide_behind_the_layers_before_them(rate: float) -> None:
    found = run(tiers(Link(rate, streams="prefetched"), streamed={"sparse": 3}), STEP)
    one = (SPARSE - 6 * EXPERT) / rate, spent(FAST, STEP, {"sparse": 1})
    assert found.time == pytest.approx(spent(FAST, STEP, {**ALL, "sparse": 0}) + pipeline([one] * 3))
    assert found.link_time == pytest.approx(3 * one[0])


def test_a_kernel_that_reads_over_the_link_takes_the_longer_of_both() -> None:
    rate = 2e6
    found = run(tiers(Link(rate, streams="in_place"), streamed={"dense": 1}), STEP)
    rows = [row for row in lower(TOY, IDEAL, STEP) if row.row.layer == "dense"]
    timed = [(o.cost.weights, sum(k.count * terms(k, FAST).time for k in made.kernels)) for o, made in rows[0]]
    over = sum(max(size / rate - time, 0) for size, time in timed)
    assert 0 < over < DENSE / rate
    assert found.time == pytest.approx(spent(FAST, STEP, ALL) + over)
    beside = run(tiers(Link(rate, 3e-3, streams="in_place"), streamed={"dense": 1}, computed={"sparse": 1}), STEP)
    assert beside.link_wait == pytest.approx(over + 3e-3 + 40 / rate)
    only = run(tiers(Link(rate, streams="in_place"), streamed_experts={"sparse": 2}), STEP)
    rows = [row for row in lower(TOY, IDEAL, STEP) if row.row.layer == "sparse"]
    timed = [
        (o.cost.weights, sum(k.count * terms(k, FAST).time for k in made.kernels))
        for o, made in rows[0] if o.name in ("experts_up", "experts_down")
    ]  # fmt: skip
    assert only.link_wait == pytest.approx(2 * sum(max(size / rate - time, 0) for size, time in timed))


def test_from_so_many_tokens_on_the_device_computes_with_what_is_copied() -> None:
    link = Link(1e5, 3e-3, copies_from=10)
    found = run(tiers(link, computed={"dense": 1, "sparse": 1}), PROMPT)
    there = spent(SLOW, PROMPT, {"embedding": 1})
    here = spent(FAST, PROMPT, {"dense": 1, "sparse": 3, "head": 1})
    used = TOUCHED[10] * EXPERT
    copied = DENSE + SPARSE - 8 * EXPERT + used + 2 * 10 * STATE
    assert found.time == pytest.approx(here + there + copied / 1e5)
    later = replace(PROMPT, context=4)
    found = run(tiers(link, computed={"dense": 1}), later)
    assert found.link_bytes == pytest.approx(DENSE + 2 * (4 + 5) * STATE)
    found = run(tiers(link, experts={"sparse": 2}), PROMPT)
    looked_up = spent(SLOW, PROMPT, {"embedding": 1})
    assert found.time == pytest.approx(spent(FAST, PROMPT, {**ALL, "embedding": 0}) + looked_up + 2 * used / 1e5)
    fewer = run(tiers(replace(link, copies_from=11), experts={"sparse": 2}), PROMPT)
    assert fewer.processor_time == pytest.approx(looked_up + spent(SLOW, PROMPT, {"sparse": 2}, experts=True))


def test_work_and_joules_are_those_of_both_processors_for_as_long_as_the_pass_takes() -> None:
    t = tiers(Link(1e4), computed={"dense": 1})
    found = run(t, STEP)
    whole = [
        k.cost * (k.count * row.row.count) for row in lower(TOY, IDEAL, STEP) for _, made in row for k in made.kernels
    ]
    assert found.matrix_flops == pytest.approx(sum(c.matrix for c in whole))
    assert found.bytes == pytest.approx(sum(c.bytes for c in whole))
    joules = 0.0
    for s, counts in ((DEVICE, {"sparse": 3, "head": 1}), (PROCESSOR, {"embedding": 1, "dense": 1})):
        done = Activity()
        for row in lower(TOY, IDEAL, STEP):
            for _, lowered in row:
                for k in lowered.kernels:
                    done += activity(k, terms(k, s.machine), s.machine) * (k.count * counts.get(row.row.layer, 0))
        joules += float(energy(s.device, s.machine, found.time, done))
    assert found.energy == pytest.approx(joules)
    parts = (found.idle_energy, found.waiting_energy, found.active_energy, found.work_energy, found.traffic_energy)
    assert sum(parts) == pytest.approx(joules)


def test_a_pass_is_bound_by_what_takes_most_of_it() -> None:
    found = run(tiers(Link(1), streamed={"dense": 1}), STEP)
    assert pass_bound(found) == "network"
    assert found.network_time == found.link_wait
    assert pass_bound(run(tiers(Link(1e12), streamed={"dense": 1}), STEP)) == "launch"  # kernels take fixed times
    slow = replace(DEVICE, machine=replace(SLOW, bandwidth=1e3))
    assert pass_bound(run(replace(tiers(Link(1e12), streamed={"dense": 1}), device=slow), STEP)) == "memory"


def test_no_copy_takes_no_time() -> None:
    found = run(tiers(Link(1e5, streams="prefetched"), streamed={}), STEP)
    assert found.time == pytest.approx(spent(FAST, STEP, ALL))


ROOM = 1.5 * SPARSE
"""Of two layers with experts half a layer finds no room, nor does what comes before them."""


@pytest.mark.parametrize("placed", ["computed", "streamed"])
def test_layers_that_are_used_in_turn_come_from_the_disk_where_not_all_of_them_fit(placed: str) -> None:
    t = tiers(Link(1e4), **{placed: {"dense": 1, "sparse": 2}})
    table = TABLE if placed == "computed" else 0
    used = DENSE + 2 * (SPARSE - 6 * EXPERT)
    small, large = (replace(t, disk=Disk(1e3, room)) for room in (ROOM, DENSE + 2 * SPARSE + table))
    assert small.beyond(BYTES) == pytest.approx(DENSE + 0.5 * SPARSE + table)
    assert large.beyond(BYTES) == 0
    found = run(small, STEP)
    assert (found.disk_bytes, found.disk_time) == pytest.approx((used, used / 1e3))
    assert found.time == pytest.approx(run(t, STEP).time + used / 1e3)
    assert found.network_time == pytest.approx(found.link_wait + used / 1e3)
    assert (run(large, STEP).disk_bytes, run(large, STEP).time) == (0, run(t, STEP).time)


@pytest.mark.parametrize("placed", ["experts", "streamed_experts"])
def test_experts_come_from_the_disk_as_often_as_they_do_not_fit(placed: str) -> None:
    t = tiers(Link(1e4), **{placed: {"sparse": 3}})
    table = TABLE if placed == "experts" else 0
    small = replace(t, disk=Disk(1e3, 18 * EXPERT))
    assert small.beyond(BYTES) == 6 * EXPERT + table
    found = run(small, PROMPT)
    read = 3 * TOUCHED[10] * EXPERT * (6 * EXPERT + table) / (24 * EXPERT + table)
    assert found.disk_bytes == pytest.approx(read)
    assert found.time == pytest.approx(run(t, PROMPT).time + read / 1e3)
    assert run(t, PROMPT).disk_time == 0


@pytest.mark.parametrize(
    ("placed", "layers_here"),
    [({}, 4), ({"computed": {"sparse": 1}}, 3), ({"experts": {"sparse": 3}}, 4), ({"streamed": {"dense": 1}}, 4)],
)
@pytest.mark.parametrize("p", [STEP, PROMPT], ids=["step", "prompt"])
def test_caches_on_the_host_come_to_the_layers_of_the_device_and_go_back_by_what_is_new(
    p: Pass, placed: Mapping[str, object], layers_here: int
) -> None:
    link = Link(1e4, 3e-3)
    found, without = (run(tiers(link, **placed, cache=each), p) for each in (True, False))
    batch, new, context = float(p.batch), float(p.new), float(p.context)
    moved = layers_here * batch * STATE * ((context + new) + new)
    assert found.link_bytes == pytest.approx(without.link_bytes + moved)
    assert found.link_wait == pytest.approx(without.link_wait + moved / 1e4 + 2 * layers_here * 3e-3)
    assert found.time - found.link_wait == pytest.approx(without.time - without.link_wait)


def test_where_the_device_computes_with_what_is_copied_caches_come_to_it_once() -> None:
    link = Link(1e5, copies_from=10)
    found = run(tiers(link, computed={"dense": 1}, experts={"sparse": 1}, cache=True), PROMPT)
    without = run(tiers(link, computed={"dense": 1}, experts={"sparse": 1}), PROMPT)
    cached = 2 * 5 * STATE
    # the layer that is copied has brought its cache along already; of all four what is new goes back
    assert found.link_bytes == pytest.approx(without.link_bytes + 3 * cached + 4 * cached)


def test_weights_and_caches_that_are_fetched_ahead_hide_together() -> None:
    found = run(tiers(Link(1e6, streams="prefetched"), streamed={"sparse": 3}, cache=True), STEP)
    one = (SPARSE - 6 * EXPERT + 7 * STATE) / 1e6, spent(FAST, STEP, {"sparse": 1})
    back, first = 4 * STATE / 1e6, (7 * STATE / 1e6, spent(FAST, STEP, {"dense": 1}))
    ends = spent(FAST, STEP, {"embedding": 1, "head": 1})
    # the dense layer, whose cache alone is copied, is the first, before it nothing runs
    hidden = sum(max(size - time, 0) for size, time in (first, one, one, one)) + min(first)
    assert found.time == pytest.approx(ends + first[1] + 3 * one[1] + hidden + back)


def test_a_state_goes_there_and_back_whole() -> None:
    values = {
        "name": "toy", "family": "toy", "d_model": 10, "vocab": 7, "tied_embeddings": True,
        "layers": {"conv": [{"kind": "short_conv", "channels": 4, "d_conv": 3}]},
        "layout": [{"repeat": 5, "of": ["conv"]}], "sources": {"here": "made up"},
    }  # fmt: skip
    toy = build(Architecture, values, "toy.yaml")
    where = Placement(cache=True)
    t = Tiers(replace(DEVICE, architecture=toy), None, BYTES, where, Link(1e4), toy, (toy, where))
    found = run_tiers(t, STEP, lower(toy, IDEAL, STEP, DEVICE.device), ())
    held = layers.state_bytes(toy, "conv", 9, BYTES)
    assert held > 0
    assert found.link_bytes == pytest.approx(5 * 2 * held)
    assert (t.away(9, BYTES).weights, t.away(9, BYTES).state) == (0, 5 * held)
    assert t.behind(BYTES, 9, 3, 3).state == 3 * 5 * held


def test_room_for_a_cache_that_comes_is_that_of_one_layer_or_of_two() -> None:
    for link, layers_there in ((Link(1), 1), (Link(1, streams="prefetched"), 2), (Link(1, streams="in_place"), 0)):
        assert tiers(link, cache=True).staging(BYTES, 7, 3) == layers_there * 3 * 7 * STATE
    assert tiers(Link(1), streamed={"dense": 1}, cache=True).staging(BYTES, 7, 3) == 2 * 10 * 12 + 3 * 7 * STATE


def test_caches_of_layers_on_the_device_lie_beside_those_of_layers_on_the_host() -> None:
    t = tiers(Link(1), computed={"sparse": 2}, cache=True)
    assert t.behind(BYTES, 7, 5, 5).state == 5 * 4 * 7 * STATE
    assert t.away(7, BYTES).state == 4 * 7 * STATE


def test_several_devices_have_what_streams_each_for_itself_and_what_is_computed_once() -> None:
    t = replace(tiers(Link(1), computed={"dense": 1}, streamed={"sparse": 2}, cache=True), ranks=3)
    behind = t.behind(BYTES, 7, 6, 2)
    assert behind.weights == DENSE + TABLE + 3 * 2 * SPARSE
    assert behind.state == 6 * 7 * STATE + 3 * 2 * 3 * 7 * STATE


def test_the_joules_of_a_processor_are_shared_by_the_devices_that_wait_for_it() -> None:
    t = tiers(Link(1e4), computed={"dense": 1})
    one, two = run(t, STEP), run(replace(t, ranks=2), STEP)
    done = Activity()
    for row in lower(TOY, IDEAL, STEP):
        for _, lowered in row:
            for k in lowered.kernels if row.row.layer in ("embedding", "dense") else ():
                done += activity(k, terms(k, SLOW), SLOW) * k.count
    there = float(energy(PROCESSOR.device, SLOW, one.time, done))
    assert two.energy == pytest.approx(float(one.energy) - there / 2)
    parts = ("idle_energy", "waiting_energy", "active_energy", "work_energy", "traffic_energy")
    assert sum(getattr(two, each) for each in parts) == pytest.approx(float(two.energy))


@pytest.mark.parametrize(
    "sizes", [[1, 1, 1, 1], [5, 1, 1, 1, 1, 1], [1, 2, 3, 4, 5], [3, 1, 4, 1, 5, 9, 2, 6], [0, 0, 7]]
)
@pytest.mark.parametrize("parts", [1, 2, 3])
def test_runs_are_as_even_as_whole_layers_allow(sizes: list[float], parts: int) -> None:
    found = evenly(sizes, parts)
    assert [n for *_, n in found] == list(range(parts))
    assert [first for first, *_ in found] == [0, *(end for _, end, _ in found[:-1])]
    assert found[-1][1] == len(sizes)
    assert all(first < end for first, end, _ in found)
    every = (
        (0, *cuts, len(sizes)) for cuts in itertools.combinations(range(1, len(sizes)), parts - 1)
    )  # fmt: skip
    least = min(max(sum(sizes[a:b]) for a, b in itertools.pairwise(cuts)) for cuts in every)
    assert max(sum(sizes[a:b]) for a, b, _ in found) == least


def test_the_fullest_device_has_what_is_left_of_the_layers_by_their_bytes() -> None:
    # three layers with experts are left, the head stands behind the last: two and one
    stage, where = fullest(TOY, Placement(computed={"dense": 1}), 2)
    assert (stage.counts, stage.begins, stage.ends) == ({"sparse": 2}, False, False)
    assert where == Placement()
    # without the experts of two: 920, 920, 4,280 and the head of 140
    stage, where = fullest(TOY, Placement(computed={"dense": 1}, experts={"sparse": 2}), 2)
    assert (stage.counts, stage.begins, stage.ends) == ({"sparse": 1}, False, True)
    assert where == Placement()
    # the dense layer is the first, with the table; the one that is streamed goes with it: 1,260 and 4,280 against 4,420
    stage, where = fullest(TOY, Placement(streamed={"sparse": 1}, cache=True), 2)
    assert (stage.counts, stage.begins, stage.ends) == ({"dense": 1, "sparse": 2}, True, False)
    assert where == Placement(streamed={"sparse": 1}, cache=True)
    # 1,260 and 920 against 920 and 1,060
    stage, where = fullest(TOY, Placement(experts={"sparse": 3}), 2)  # the table is the host's: 1,120 and 920
    assert (stage.counts, stage.begins, where) == ({"dense": 1, "sparse": 1}, True, Placement(experts={"sparse": 1}))
    first = Tiers(DEVICE, PROCESSOR, BYTES, Placement(experts={"sparse": 3}), Link(1), TOY, (stage, where))
    assert first.away(0, BYTES).weights == 8 * EXPERT + TABLE
    last = replace(
        first, fullest=(TOY.between(["dense", *["sparse"] * 3], 2, 4, 1, 2), Placement(experts={"sparse": 2}))
    )
    assert last.away(0, BYTES).weights == 16 * EXPERT
    stage, where = fullest(TOY, Placement(streamed_experts={"sparse": 3}), 2)
    assert (stage.counts, stage.begins, stage.ends) == ({"dense": 1, "sparse": 1}, True, False)
    assert where == Placement(streamed_experts={"sparse": 1})
    with pytest.raises(InputError, match="1 layers are left for 2 devices"):
        fullest(TOY, Placement(computed={"dense": 1, "sparse": 2}), 2)
