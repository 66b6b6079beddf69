"""What devices do together, step by step and byte by byte: algorithms of sums, on links within and between nodes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from roofsim.engine.graph import Graph
from roofsim.engine.network import Group, Level, Network, exchange_time, group, light_time, network_of
from roofsim.engine.symbolic import expression
from roofsim.foundation.parameters import priors
from roofsim.foundation.quantity import Bandwidth, Time
from roofsim.foundation.schema import assembled
from roofsim.lowering.kernels import Exchange
from roofsim.specs.cluster import Cluster, Levels, Link, Reached
from roofsim.specs.runtime import Way

NEAR = Level(rate=100e9, latency=1e-6, peak=125e9, reduces=True)
FAR = Level(rate=10e9, latency=3e-6, peak=12.5e9, direct=False)
NODE = Network(8, NEAR)
NODES = Network(8, NEAR, FAR)
P = {**priors(), "collective_time": 6.6e-6, "peer_time": 2e-6, "peer_efficiency": 0.5}
US, MB = 1e-6, 1e6


def time(what: str, payload: float, ranks: int, *ways: Way, on: Network = NODE, stride: int = 1) -> float:
    return float(exchange_time(Exchange(what, payload, ranks, stride, ways), on, P))


def test_a_ring_of_few_bytes_is_its_steps_in_the_protocol_with_the_cheapest_ones() -> None:
    assert time("all_reduce", 0, 4, "ring") == pytest.approx(6.6 * US + 6 * US)
    assert time("all_gather", 0, 4) == time("reduce_scatter", 0, 4) == pytest.approx(6.6 * US + 3 * US)


def test_a_ring_of_many_bytes_moves_all_but_a_share_twice_in_the_protocol_that_wastes_no_bandwidth() -> None:
    """And each device copies a share in its own memory, in half the time that it takes over a link."""
    first, steps = 8.4 * US, 6 * (1 + 2.8) * US
    assert time("all_reduce", 800 * MB, 4, "ring") == pytest.approx(first + steps + 6.5 * 200 * MB / 100e9)
    assert time("all_gather", 800 * MB, 4) == pytest.approx(8.4 * US + 3 * 3.8 * US + 3.5 * 200 * MB / 100e9)
    assert time("reduce_scatter", 800 * MB, 2) == pytest.approx(8.4 * US + 3.8 * US + 1.5 * 400 * MB / 100e9)


def test_between_the_two_a_ring_sends_a_flag_with_every_line() -> None:
    middle = 14 * US + 14 * (1 + 1.3) * US + 7.25 * MB / 100e9 * 128 / 120
    assert time("all_reduce", 4 * MB, 8, "ring") == pytest.approx(middle)
    few = 6.6 * US + 2 * US + 0.375 * MB / 100e9 * 8 / 3
    assert time("all_reduce", 0.3 * MB, 2, "ring") == pytest.approx(few)


def test_a_ring_over_nodes_crosses_each_border_twice_and_every_device_has_a_card() -> None:
    assert time("all_reduce", 0, 16, "ring", on=NODES) == pytest.approx((6.6 + 28 * 1 + 2 * 3) * US)
    moved = 30.5 / 16 * 8000 * MB
    on_the_wire = max(moved / 100e9, moved / 8 / 10e9)
    steps = (28 * (1 + 2.8) + 2 * (3 + 11.3)) * US
    assert time("all_reduce", 8000 * MB, 16, "ring", on=NODES) == pytest.approx(8.4 * US + steps + on_the_wire)


def test_a_tree_goes_along_a_chain_in_a_node_and_doubles_over_nodes() -> None:
    assert time("all_reduce", 0, 8, "tree") == pytest.approx((6.8 + 14) * US)
    assert time("all_reduce", 0, 32, "tree", on=NODES) == pytest.approx((6.8 + 14 + 4 * (3 + 2.3)) * US)
    assert time("all_reduce", 0, 24, "tree", on=NODES) == time("all_reduce", 0, 32, "tree", on=NODES)
    many = 8.4 * US + 6 * (1 + 3.4) * US + 2 * 4000 * MB / (0.92 * 100e9)
    assert time("all_reduce", 4000 * MB, 4, "tree") == pytest.approx(many)
    middle = 14 * US + 14 * (1 + 0.65) * US + 2 * 2 * MB / (0.92 * 7 / 9 * 100e9)
    assert time("all_reduce", 2 * MB, 8, "tree") == pytest.approx(middle)
    few = 6.8 * US + 2 * US + 2 * 0.1 * MB / (0.92 / 3.8 * 100e9)
    assert time("all_reduce", 0.1 * MB, 2, "tree") == pytest.approx(few)
    over = 8.4 * US + (14 * (1 + 3.4) + 2 * (3 + 11.3)) * US + 2 * 8000 * MB / 8 / (0.92 * 10e9)
    assert time("all_reduce", 8000 * MB, 16, "tree", on=NODES) == pytest.approx(over)
    far = time("all_reduce", 0, 16, "tree", on=NODES)
    assert far == pytest.approx((6.8 + 14 + 2 * (3 + 2.3)) * US)


def chunked(payload: float, chunk: float, ranks: int, channels: float = 100 / 23.2) -> float:
    """Seconds of a reduction in the switch, two turns more than there are chunks on so many channels of 23.2 GB/s.

    In a turn a device signals for each device, 1 us each, and sends a chunk for each and the sum of its own.
    """
    turns = payload / (ranks * channels * chunk) + 2
    return turns * (ranks * US + (ranks + 1) * channels * chunk / 100e9)


def test_a_switch_that_adds_up_gets_all_data_once_and_hands_out_the_sum_of_each_share() -> None:
    for payload, chunk in ((0.1 * MB, 16384), (2 * MB, 32768), (8 * MB, 65536)):
        assert time("all_reduce", payload, 8, "nvls") == pytest.approx(6.6 * US + chunked(payload, chunk, 8))
    assert time("all_reduce", 1 * MB, 3, "nvls") == pytest.approx(6.6 * US + chunked(1 * MB, 32768, 3))
    over = (6.6 + 2 * 3) * US + max(chunked(8 * MB, 65536, 8), 2 * 8 * MB / 8 / 10e9)
    assert time("all_reduce", 8 * MB, 16, "nvls", on=NODES) == pytest.approx(over)
    four = (6.6 + 4 * 3) * US + max(chunked(8 * MB, 65536, 8), 2 * MB / 10e9)
    assert time("all_reduce", 8 * MB, 32, "nvls", on=NODES) == pytest.approx(four)
    slow = replace(NODES, between=replace(FAR, rate=1e9))
    assert time("all_reduce", 8 * MB, 16, "nvls", on=slow) == pytest.approx((6.6 + 2 * 3) * US + 2 * MB / 1e9)
    sent = 8 * MB + 8 * MB / 8
    assert time("all_reduce", 8 * MB, 8, "multimem") == pytest.approx(3 * US + 5 * US + sent / (0.5 * 100e9))


def test_one_shot_reads_all_of_all_others_and_two_shot_a_share_of_each_twice() -> None:
    assert time("all_reduce", 1 * MB, 4, "one_shot") == pytest.approx(2 * US + 4 * US + 3 * MB / 100e9)
    assert time("all_reduce", 1 * MB, 4, "two_shot") == pytest.approx(4 * US + 6 * US + 2 * 0.75 * MB / 50e9)


def test_of_one_other_device_a_kernel_reads_what_its_threads_ask_for_in_a_round_trip() -> None:
    """36 x 512 threads ask for 16 bytes each, 294,912 in all, and get them 2 us later; the link would take less."""
    fast = Network(8, replace(NEAR, rate=400e9))
    parts = 8 * MB / 294912
    assert time("all_reduce", 8 * MB, 2, "one_shot", on=fast) == pytest.approx((2 + 4) * US + parts * 2 * US)
    assert time("all_reduce", 8 * MB, 8, "one_shot", on=fast) == pytest.approx((2 + 4) * US + 56 * MB / 400e9)


def test_devices_that_cannot_read_each_other_have_no_kernels_that_do() -> None:
    for two in (NEAR, replace(NEAR, direct=False)):
        apart = Network(2, replace(two, peers=False))
        assert time("all_reduce", 1000, 2, "one_shot", "ring", on=apart) == time(
            "all_reduce", 1000, 2, "ring", on=apart
        )
    file = assembled(
        Cluster, name="two", device="d", per_node=2, links=assembled(Levels, node=link("pcie", peers=False))
    )
    assert network_of(file) == Network(2, Level(100e9, 2e-6, 200e9, False, peers=False))


def test_a_sum_in_two_levels_is_one_in_each_node_and_one_of_shares_between_nodes() -> None:
    near, far = 2 * 7 / 8 * 80 * MB / 100e9, 2 * 1 / 2 * 10 * MB / 10e9
    expected = 3 * 6.6 * US + 14 * US + 2 * 3 * US + near + far
    assert time("all_reduce", 80 * MB, 16, "two_level", on=NODES) == pytest.approx(expected)
    three = 3 * 6.6 * US + 14 * US + 4 * 3 * US + near + 2 * 2 / 3 * 10 * MB / 10e9
    assert time("all_reduce", 80 * MB, 24, "two_level", on=NODES) == pytest.approx(three)


def test_all_to_all_sends_to_each_what_is_for_it_over_the_network_only_what_leaves_the_node() -> None:
    """With what a device keeps copied in its own memory; the network's kernels flush nothing."""
    assert time("all_to_all", 80 * MB, 8) == pytest.approx((8.4 + 1 + 2.8) * US + 75 * MB / 100e9)
    assert time("all_to_all", 131072, 8) == pytest.approx((6.6 + 1) * US + 7.5 * 16384 / 100e9 * 8 / 3)
    assert time("all_to_all", 131080, 8) == pytest.approx((8.4 + 1 + 2.8) * US + 7.5 * 16385 / 100e9)
    near, far = 7.5 / 16 * 160 * MB / 100e9, 8 / 16 * 160 * MB / 10e9
    assert time("all_to_all", 160 * MB, 16, on=NODES) == pytest.approx(6.6 * US + 3 * US + max(near, far))
    three = max(7.5 / 24 * 240 * MB / 100e9, 16 / 24 * 240 * MB / 10e9)
    assert time("all_to_all", 240 * MB, 24, on=NODES) == pytest.approx(6.6 * US + 3 * US + three)
    assert time("all_to_all", 80 * MB, 8, on=Network(8, replace(NEAR, parts=7))) == time("all_to_all", 80 * MB, 8)


def test_tokens_go_to_nodes_once_and_there_to_each_rank_that_has_experts_of_them() -> None:
    """Two nodes of eight: of 16 experts in two groups, one a node, a token chooses two of one group."""
    x = Exchange("to_experts", 160 * MB, 16, 1, (), (16, 2, 1, 2))
    near, far = 160 * MB * 2 * 7.5 / 8 / 100e9, 160 * MB * 1 * 1 / 2 / 10e9
    assert float(exchange_time(x, NODES, P)) == pytest.approx(6.6 * US + 3 * US + max(near, far))
    inside = float(exchange_time(replace(x, ranks=8), NODES, P))
    ranks = 8 / 2 * (1 - 6 / 8 * 5 / 7)
    assert inside == pytest.approx(6.6 * US + 1 * US + 160 * MB * ranks * 7.5 / 8 / 100e9)
    assert float(light_time(x, NODES)) == pytest.approx(max(160 * MB * 2 * 7 / 8 / 125e9, 160 * MB / 2 / 12.5e9))
    with pytest.raises(ValueError, match="nothing says which experts"):
        exchange_time(replace(x, chosen=None), NODES, P)


def test_a_send_is_one_message_over_the_slowest_link_of_its_row() -> None:
    long = (8.4 + 2.8) * US
    assert time("send", 10 * MB, 2) == pytest.approx(long + 1 * US + 10 * MB / 100e9)
    assert time("send", 16384, 2) == pytest.approx(6.6 * US + 1 * US + 16384 / 100e9 * 8 / 3)
    far = (8.4 + 3 + 11.3) * US
    assert time("send", 10 * MB, 2, on=NODES, stride=8) == pytest.approx(far + 10 * MB / 10e9)
    assert time("send", 0, 2, on=NODES, stride=8) == pytest.approx((6.6 + 3) * US)
    in_a_mesh = time("send", 10 * MB, 2, on=Network(8, replace(NEAR, parts=7)))
    assert in_a_mesh == pytest.approx(long + 1 * US + 10 * MB / (100e9 / 7))
    assert time("send", 10 * MB, 1) == 0


def test_the_fastest_way_is_taken_and_a_ring_where_no_other_goes() -> None:
    ways: tuple[Way, ...] = ("ring", "one_shot", "two_shot", "multimem")
    alone = {way: time("all_reduce", 10_000, 8, way) for way in ways}
    assert time("all_reduce", 10_000, 8, *ways) == min(alone.values()) == alone["one_shot"]
    large = {way: time("all_reduce", 100 * MB, 8, way) for way in ways}
    assert time("all_reduce", 100 * MB, 8, *ways) == min(large.values()) == large["ring"]
    only: tuple[Way, ...] = ("one_shot", "two_shot", "multimem", "two_level")
    for on, ranks in ((NODES, 16), (Network(8, replace(NEAR, direct=False, reduces=False)), 4)):
        there = [way for way in only if not (way == "two_level" and ranks == 16)]
        assert time("all_reduce", 1 * MB, ranks, *there, on=on) == time("all_reduce", 1 * MB, ranks, "ring", on=on)
    for way in ("two_level", "nvls", "multimem"):
        apart = time("all_reduce", 1 * MB, 4, way, on=NODES, stride=8)
        assert apart == time("all_reduce", 1 * MB, 4, "ring", on=NODES, stride=8)
    pair = Network(2, replace(NEAR, direct=False))
    assert time("all_reduce", 1 * MB, 2, "one_shot", on=pair) == time("all_reduce", 1 * MB, 2, "one_shot")
    without = Network(8, replace(NEAR, reduces=False))
    for way in ("nvls", "multimem"):
        assert time("all_reduce", 1 * MB, 8, way, on=without) == time("all_reduce", 1 * MB, 8, "ring")
    assert time("all_reduce", 1 * MB, 2, "nvls") == time("all_reduce", 1 * MB, 2, "ring")


def test_of_a_mesh_a_group_has_the_links_between_its_own_devices() -> None:
    mesh = Network(8, replace(NEAR, parts=7))
    assert time("all_reduce", 1 * MB, 8, "one_shot", on=mesh) == time("all_reduce", 1 * MB, 8, "one_shot")
    three = 2 * US + 4 * US + 3 * MB / (100e9 * 3 / 7)
    assert time("all_reduce", 1 * MB, 4, "one_shot", on=mesh) == pytest.approx(three)


@pytest.mark.parametrize(
    ("ranks", "stride", "inside", "nodes"),
    [(8, 1, 8, 1), (4, 1, 4, 1), (4, 2, 4, 1), (16, 1, 8, 2), (12, 1, 8, 2), (4, 4, 2, 2), (2, 8, 1, 2), (4, 16, 1, 4)],
)
def test_a_group_lies_in_as_few_nodes_as_hold_it(ranks: int, stride: int, inside: int, nodes: int) -> None:
    near, far = NEAR if inside > 1 else None, FAR if nodes > 1 else None
    assert group(Exchange("send", 1, ranks, stride, ()), NODES) == Group(inside, nodes, near, far)


def test_a_group_beyond_the_cluster_is_an_error_and_one_device_of_each_node_is_not() -> None:
    with pytest.raises(ValueError, match="a group of 16 devices, each 1 from the next, is larger than the cluster"):
        group(Exchange("send", 1, 16, 1, ()), NODE)
    assert group(Exchange("send", 1, 2, 1, ()), Network(1, None, FAR)) == Group(1, 2, None, FAR)


def test_at_the_speed_of_light_the_bytes_that_must_leave_do_at_the_peak() -> None:
    def light(what: str, payload: float, ranks: int, on: Network = NODE, stride: int = 1) -> float:
        return float(light_time(Exchange(what, payload, ranks, stride, ("ring",)), on))

    assert light("all_reduce", 80 * MB, 8) == pytest.approx(90 * MB / 125e9)  # the switch adds up
    assert light("all_reduce", 80 * MB, 2) == pytest.approx(80 * MB / 125e9)
    assert light("all_reduce", 80 * MB, 8, Network(8, replace(NEAR, reduces=False))) == pytest.approx(140 * MB / 125e9)
    assert light("all_gather", 80 * MB, 8) == light("all_to_all", 80 * MB, 8) == pytest.approx(70 * MB / 125e9)
    assert light("send", 10 * MB, 2) == pytest.approx(10 * MB / 125e9)
    assert light("all_reduce", 80 * MB, 16, NODES) == pytest.approx(max(90 * MB / 125e9, 10 * MB / 12.5e9))
    assert light("all_reduce", 80 * MB, 24, NODES) == pytest.approx(2 * 2 / 3 * 80 * MB / 8 / 12.5e9)
    assert light("all_to_all", 160 * MB, 16, NODES) == pytest.approx(max(70 * MB / 125e9, 80 * MB / 12.5e9))
    assert light("send", 10 * MB, 2, NODES, 8) == pytest.approx(10 * MB / 12.5e9)


def test_a_time_of_symbols_is_that_of_the_numbers_in_their_place() -> None:
    graph = Graph()
    rate, latency, payload = (graph.variable(name) for name in ("rate", "latency", "payload"))
    ways: tuple[Way, ...] = ("ring", "tree", "nvls", "two_level", "one_shot", "two_shot", "multimem")
    levels = {"near": replace(NEAR, rate=rate, latency=latency), "far": replace(FAR, rate=rate / 8)}
    for ranks in (2, 8, 16):
        x = Exchange("all_reduce", payload, ranks, 1, ways)
        made = expression(graph, exchange_time(x, Network(8, levels["near"], levels["far"]), P))
        for at in ((100e9, 1e-6, 1e4), (3e9, 5e-7, 3e6), (4e11, 2e-5, 1e9)):
            known = {symbol: dict(zip(("rate", "latency", "payload"), at, strict=True))[symbol.name]
                     for symbol in made.free_symbols}  # fmt: skip
            on = Network(8, replace(NEAR, rate=at[0], latency=at[1]), replace(FAR, rate=at[0] / 8))
            assert float(made.subs(known)) == pytest.approx(time("all_reduce", at[2], ranks, *ways, on=on), rel=1e-12)


def link(topology: str, **fields: Any) -> Link:
    return assembled(
        Link, bandwidth=assembled(Bandwidth, value=200e9), latency=assembled(Time, value=2e-6),
        efficiency=assembled(Reached, value=0.5), topology=topology, **fields,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("topology", "direct", "parts"), [("switch", True, 1), ("mesh", True, 3), ("ring", False, 1), ("pcie", False, 1)]
)
def test_links_are_as_fast_as_file_and_parameters_say(topology: str, direct: bool, parts: int) -> None:
    cluster = assembled(
        Cluster, name="four", device="d", per_node=4, nodes=2,
        links=assembled(Levels, node=link(topology, reduces=True), between=link("fabric")),
    )  # fmt: skip
    made = network_of(cluster)
    assert made == Network(4, Level(100e9, 2e-6, 200e9, direct, True, parts), Level(100e9, 2e-6, 200e9, False))
    slower = {**P, "link_speed": 0.8, "path_speed": 0.9, "link_delay": 3}
    sent = Exchange("send", 9 * MB, 2, 4, ())
    assert exchange_time(sent, made, slower) == pytest.approx(8.4 * US + 3 * (2 + 11.3) * US + 9 * MB / 90e9)
    near = Exchange("send", 9 * MB, 2, 1, ())
    more, speed = (2.8, 0.8) if direct else (4.7, 0.9)
    expected = 8.4 * US + 3 * (2 + more) * US + 9 * MB * parts / (speed * 100e9)
    assert exchange_time(near, made, slower) == pytest.approx(expected)


def test_more_than_two_devices_crowd_the_ways_through_a_processor() -> None:
    pcie = replace(NEAR, direct=False, reduces=False, crowded=0.25)
    on = Network(8, pcie)
    apart = Exchange("all_to_all", 8 * MB, 4, 1, ())
    assert exchange_time(apart, on, P) == pytest.approx((8.4 + 1 + 4.7) * US + 3.5 * 2 * MB / 25e9)
    assert time("all_to_all", 8 * MB, 2, on=on) == pytest.approx((8.4 + 1 + 4.7) * US + 1.5 * 4 * MB / 100e9)
    three = Exchange("all_to_all", 6 * MB, 3, 1, ())
    assert exchange_time(three, on, P) == pytest.approx((8.4 + 1 + 4.7) * US + 2.5 * 2 * MB / 25e9)
    assert light_time(apart, on) == pytest.approx(6 * MB / 125e9)
    file = assembled(
        Cluster, name="four", device="d", per_node=4,
        links=assembled(Levels, node=link("pcie", crowded=assembled(Reached, value=0.25))),
    )  # fmt: skip
    assert network_of(file) == Network(4, Level(100e9, 2e-6, 200e9, False, crowded=0.25))


def test_over_pcie_a_flag_goes_with_every_four_bytes_or_for_a_slice_never_with_a_line() -> None:
    on = Network(8, replace(NEAR, direct=False, reduces=False))
    assert time("all_reduce", 0.1 * MB, 4, "ring", on=on) == pytest.approx((6.6 + 6) * US + 6.5 * 0.025 * MB / 50e9)
    for payload in (4 * MB, 80 * MB):
        long = (8.4 + 14 * (1 + 4.7)) * US + 14.5 * payload / 8 / 100e9
        assert time("all_reduce", payload, 8, "ring", on=on) == pytest.approx(long)
    few = (6.8 + 6) * US + 2 * 0.1 * MB / (0.92 / 3.8 * 100e9)
    assert time("all_reduce", 0.1 * MB, 4, "tree", on=on) == pytest.approx(few)
    many = (8.4 + 6 * 4) * US + 2 * 80 * MB / (0.92 * 100e9)
    assert time("all_reduce", 80 * MB, 4, "tree", on=on) == pytest.approx(many)
    assert time("send", 16384, 2, on=on) == pytest.approx((6.6 + 1) * US + 16384 / 50e9)
