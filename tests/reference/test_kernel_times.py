"""Time of one kernel, of its launch and of light, worked out by hand in round numbers for every class of kernel."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest

from roofsim import library
from roofsim.engine.roofline import (
    Bound,
    Machine,
    Terms,
    deciding_parameter,
    gap_time,
    launch_time,
    light_time,
    machine,
    terms,
    traffic,
)
from roofsim.foundation.cost import Cost
from roofsim.foundation.schema import checked, variant
from roofsim.lowering.kernels import Class, Kernel
from roofsim.specs.runtime import HostPolicy, MatrixLibrary, Runtime

PARAMETERS = {
    "gemm_efficiency": 1 / 2, "attention_efficiency": 1 / 4, "softmax_efficiency": 1 / 5, "vector_efficiency": 1 / 2,
    "masked_attention_efficiency": 3, "narrow_masked_efficiency": 5 / 2,
    "quantised_efficiency": 1 / 5, "ssd_efficiency": 2, "scan_efficiency": 1 / 10,
    "memory_efficiency": 1 / 2, "strided_efficiency": 1 / 4, "transpose_efficiency": 1 / 8,
    "cache_share": 1 / 2, "cache_speed": 4, "gemm_fill": 5, "delta_efficiency": 1 / 8,
    "kernel_time": 1, "strided_kernel_time": 2, "tensor_kernel_time": 3, "attention_kernel_time": 4,
    "block_efficiency": 3 / 5, "dot_efficiency": 2 / 5, "repacked_efficiency": 3 / 4,
    "row_attention_efficiency": 1 / 20, "scalar_flops": 1 / 4,
    "unpacked_per_flop": 1 / 25, "barrier_time": 9, "tile_time": 11, "replay_time": 13,
    "unpacked_bytes": 1 / 2, "row_bytes": 1 / 8, "tile_flops": 5, "tile_columns": 7,
    "step_time": 6, "indexed_elements": 1 / 3, "dispatch": 7, "triton_dispatch": 80, "piece_gap": 3,
}  # fmt: skip
M = Machine(
    matrix_rate=1000, vector_rate=100, bandwidth=10, cache=50, units=4, parameters=PARAMETERS, clock=3, tile_rows=3
)
COST = Cost(matrix=3000, vector=200, weights=20, activations=60, state=30)
# 25 of the 60 bytes of activations come from the cache, at four times the speed: 6.25; 35 + 20 + 30 do not
MOVED = 91.25
STREAMED, STRIDED, TURNED = MOVED / 5, MOVED / 2.5, MOVED / 1.25
ROWS: dict[str, tuple[float, float, float, float]] = {
    # fixed; compute; memory; filling
    "gemm": (3, 3000 / 500, STREAMED, 5 * 2 * 4 / 500),  # per unit of the device
    "packed_product": (1, 3000 / 20, STREAMED, 0),  # more than 20 bytes at half a byte per unit and clock
    "vector_product": (1, 200 / 50, STREAMED, 0),
    "row_product": (1, 20 / (4 * 3 / 8), STREAMED, 0),  # an eighth of a byte per unit and clock
    "quantised_tiles": (3, 3000 / (5 * 4 * 3), STREAMED, STREAMED),  # data come in before they are computed with
    "attention": (4, 3000 / 250 + 200 / 20, STREAMED, 0),  # the softmax waits for the products
    "masked_attention": (4, 3000 / 300 + 200 / 20, STREAMED, 0),
    "narrow_masked_attention": (4, 3000 / 250 + 200 / 20, STREAMED, 0),
    "delta": (3, 3000 / 125, STREAMED, 0),
    "ssd": (3, 3000 / 200, STREAMED, 0),
    "scan": (3, 200 / 10, STREAMED, 0),
    "stream": (1, 200 / 50, STREAMED, 0),
    "strided": (2, 200 / 50, STRIDED, 0),
    "transpose": (2, 200 / 50, TURNED, 0),
    "replay": (13, 200 / 50, STREAMED, 0),
    "loop": (9, 200 / 50, STREAMED, 0),
    "scalar_loop": (9, 200 / (4 * 3 / 4), STREAMED, 0),  # a quarter per unit and clock
    "block_product": (9, 3000 / 60, STREAMED, 0),
    "dot_product": (9, (3000 / 1000 + 200 / 100) / 0.4, STREAMED, 0),  # products and scaling by the same pipes
    "repacked_product": (9, 3000 / 75, STREAMED, 0),
    "unpacked_product": (9, 20 / (100 / 25), STREAMED, 0),  # the weights alone
    "row_attention": (9, 3000 / 5, STREAMED, 0),
    "collective": (0, 200 / 50, STREAMED, 0),
}
TWICE = ("row_product", "packed_product")
"""Classes whose units take in more weights with a second block."""
TILED = ("attention", "delta")
"""Classes whose blocks wait for their first data one after the other; computing alone slows down with few of them."""


def kernel(like: Any, cost: Cost = COST, **more: Any) -> Kernel:
    return Kernel("kernel", like, cost, fill=2, **more)


def parts(each: Terms) -> tuple[float, float, float, float]:
    return each.fixed, each.compute, each.memory, each.filling


def test_every_class_of_kernel_is_worked_out() -> None:
    assert set(ROWS) == set(get_args(Class))


@pytest.mark.parametrize("like", ROWS)
def test_each_class_has_its_rates_and_its_fixed_time(like: str) -> None:
    fixed, compute, memory, filling = ROWS[like]
    assert parts(terms(kernel(like), M)) == pytest.approx((fixed, compute, memory, filling))
    assert parts(terms(kernel(like, joined=True), M)) == pytest.approx((0, compute, memory, filling))


@pytest.mark.parametrize("like", [each for each in ROWS if each not in TILED])
@pytest.mark.parametrize(
    ("blocks", "slower"),
    # four units: two blocks keep half of them busy
    [(2, 2), (1, 4), (4, 1), (16, 1)],
)
def test_units_without_a_block_idle(like: str, blocks: int, slower: float) -> None:
    fixed, compute, memory, filling = ROWS[like]
    found = terms(kernel(like, blocks=blocks), M)
    if like == "row_product" and blocks == 16:
        compute = compute / 2  # bound by the weights, with two blocks on each unit
    assert parts(found) == pytest.approx((fixed, compute * slower, memory * slower, filling * slower))


@pytest.mark.parametrize(("clocks", "compute"), [(59, 20), (60, 20), (66, 22)])
def test_a_block_goes_through_its_work_in_so_many_clocks_however_many_there_are(clocks: int, compute: float) -> None:
    # three clocks a second; products take ten seconds, the softmax ten more
    for blocks in (1, 99):
        found = terms(kernel("masked_attention", blocks=blocks, clocks=clocks), M)
        assert parts(found) == pytest.approx((4, compute, STREAMED, 0))


@pytest.mark.parametrize(("whole", "filling"), [(3000, 40 / 500), (3040, 40 / 500), (3100, 100 / 500)])
def test_whole_tiles_or_a_device_that_is_not_full_take_longer_whichever_is_more(whole: int, filling: float) -> None:
    found = terms(kernel("gemm", whole=whole), M)
    assert parts(found) == pytest.approx((3, 3000 / 500, STREAMED, filling))


@pytest.mark.parametrize("like", TILED)
@pytest.mark.parametrize(
    ("blocks", "more", "waves", "slower"),
    # four units: two blocks keep half of them busy unless each is cut in two; ten blocks are two and a half rounds
    [
        (2, {}, 1, 2), (2, {"spread": 2}, 1, 1), (1, {"spread": 3}, 1, 4 / 3), (1, {"spread": 9}, 1, 1),
        (4, {}, 1, 1), (10, {}, 2.5, 1), (10, {"spread": 7}, 2.5, 1),
        # tiles have three rows, two rows are a tile as well
        (2, {"rows": 9}, 1.5, 1), (1, {"rows": 6}, 1, 2), (1, {"rows": 2}, 1, 4),
        (1, {"rows": 6, "spread": 1.5}, 1, 4 / 3),
        (4, {"padding": 3}, 1, 3), (2, {"padding": 3}, 1, 6), (10, {"padding": 1.5}, 2.5, 1.5),
    ],
)  # fmt: skip
def test_a_unit_waits_for_the_first_data_of_each_of_its_blocks_and_computes_whole_ones(
    like: str, blocks: int, more: dict[str, float], waves: float, slower: float
) -> None:
    fixed, compute, memory, _ = ROWS[like]
    found = terms(kernel(like, blocks=blocks, **more), M)
    assert parts(found) == pytest.approx((fixed + 11 * waves, compute * slower, memory, 0))


@pytest.mark.parametrize(
    ("like", "compute"),
    [
        ("attention", 3000 / 250),
        ("masked_attention", 200 / 20),
        ("narrow_masked_attention", 3000 / 250),
        ("gemm", 3000 / 500),
    ],
)
def test_kernels_of_some_devices_compute_the_softmax_during_the_products(like: str, compute: float) -> None:
    assert terms(kernel(like), replace(M, softmax_overlap=1)).compute == pytest.approx(compute)


def test_packed_weights_come_in_by_bytes_per_unit_and_clock_where_that_takes_longest() -> None:
    assert terms(kernel("packed_product", Cost(matrix=300, weights=240)), M).compute == 240 / (4 * 3 / 2)


@pytest.mark.parametrize("like", TWICE)
@pytest.mark.parametrize(("blocks", "faster"), [(2, 1 / 2), (4, 1), (6, 3 / 2), (8, 2), (99, 2)])
def test_a_unit_takes_in_twice_the_weights_with_two_blocks(like: str, blocks: int, faster: float) -> None:
    alone = terms(kernel(like, Cost(weights=240)), M)
    assert terms(kernel(like, Cost(weights=240), blocks=blocks), M).compute == pytest.approx(alone.compute / faster)
    # but no more products than the matrix unit makes
    assert terms(kernel("row_product", Cost(matrix=5000), blocks=99), M).compute == 5000 / 1000


@pytest.mark.parametrize(("like", "rate"), [("row_product", 4 * 3 / 8), ("packed_product", 4 * 3 / 2)])
def test_weights_that_are_read_again_are_taken_in_again(like: str, rate: float) -> None:
    found = terms(kernel(like, Cost(weights=240), again=480), M)
    assert (found.compute, found.memory) == pytest.approx((720 / rate, 240 / 5))


@pytest.mark.parametrize("like", ["vector_product", "row_product"])
def test_products_of_few_rows_are_no_faster_than_the_matrix_peak(like: str) -> None:
    assert terms(kernel(like, Cost(matrix=5000, vector=200)), M).compute == 5000 / 1000


@pytest.mark.parametrize(
    ("tiles", "cuts", "rounds"),
    # four units: seven of eight places are not nine tenths, so that 7 * 3 cuts are shared out, six at most for a unit
    [(8, 3, 2), (7, 3, 6 / 3), (5, 3, 4 / 3), (1, 3, 1 / 3), (1, 8, 2 / 8), (5, 1, 2), (37, 3, 10), (36, 3, 9)],
)
def test_tiles_unpack_their_weights_before_they_multiply_and_are_shared_out_cut_by_cut(
    tiles: int, cuts: int, rounds: float
) -> None:
    found = terms(kernel("quantised_tiles", tiles=tiles, cuts=cuts, tile=300, unpacking=400), M)
    assert found.compute == pytest.approx(rounds * 4 * 300 / (5 * 4 * 3))
    # unpacking is waiting for memory as well
    assert found.filling == pytest.approx(max(rounds * 4 * 7 * 400 / (5 * 4 * 3), STREAMED))


@pytest.mark.parametrize(
    ("tiles", "moved"),
    # written and read by four units, two bytes each; as much again to add them to the results of as many tiles
    [(8, 0), (7, 2 * 2 * 8), (3, 2 * 2 * 7), (1, 2 * 2 * 5)],
)
def test_results_of_tiles_that_were_cut_are_added_up(tiles: int, moved: int) -> None:
    found = terms(kernel("quantised_tiles", tiles=tiles, cuts=3, tile=300, sums=2), M)
    # 25 bytes stay in the cache at four times the speed
    assert found.fixed == pytest.approx(3 + (moved - min(moved, 25) * 3 / 4) / 5 if moved > 25 else 3 + moved / 4 / 5)


def test_what_others_read_at_the_same_time_comes_from_the_cache() -> None:
    # at four times the speed, while memory moves what is read once
    slow = replace(M, clock=1 / 64)  # four units take a byte of it each, less than memory has
    assert terms(kernel("attention", again=3 * MOVED), slow).memory == pytest.approx(STREAMED)
    assert terms(kernel("attention", again=7 * MOVED), slow).memory == pytest.approx(2 * STREAMED)
    # or at 64 bytes for each unit and clock, in all 768 where memory has a peak of 10
    assert terms(kernel("attention", again=75.8 * MOVED), M).memory == pytest.approx(STREAMED)
    assert terms(kernel("attention", again=152.6 * MOVED), M).memory == pytest.approx(2 * STREAMED)


@pytest.mark.parametrize(
    ("blocks", "most", "parts"),
    # two blocks for each of four units make up to eight parts; more blocks than that have one each
    [(1, 99, 8), (2, 99, 4), (2, 3, 3), (1, 1 / 2, 1 / 2), (20, 99, 1)],
)
def test_parts_are_added_up_one_after_the_other(blocks: int, most: float, parts: float) -> None:
    found = terms(kernel("stream", Cost(), blocks=blocks, parts=most), M)
    assert found.fixed == pytest.approx(1 + parts * 280 / 3)  # 280 clocks of 1/3 s
    assert found.memory == 0


def test_elements_are_found_at_so_many_per_unit_and_clock_where_that_takes_longest() -> None:
    assert terms(kernel("strided", indexed=40), M).compute == 40 / (4 * 3 / 3)
    assert terms(kernel("strided", indexed=4), M).compute == 200 / 50


def test_each_piece_of_a_cache_costs_memory_some_bytes_more() -> None:
    assert terms(kernel("attention", pieces=4), M).memory == (MOVED + 4 * 3) / 5
    assert terms(kernel("attention", pieces=0), M).memory == MOVED / 5


def test_steps_that_wait_for_memory_take_their_time_however_little_they_move() -> None:
    assert terms(kernel("scan", Cost(), steps=7, blocks=64), M).compute == 7 * 6  # 16 blocks on each of 4 units
    assert terms(kernel("scan", Cost(), steps=7, blocks=160), M).compute == 7 * 6 * 160 / 64
    assert terms(kernel("scan", Cost(vector=4000), steps=7, blocks=64), M).compute == 4000 / 10


def test_reads_one_after_the_other_wait_for_the_cache_each() -> None:
    assert terms(kernel("scan", Cost(), waits=7, blocks=64), M).compute == pytest.approx(7 * 280 / 3)
    assert terms(kernel("scan", Cost(), waits=7, blocks=160), M).compute == pytest.approx(7 * 280 / 3 * 160 / 64)
    assert terms(kernel("scan", Cost(vector=40000), waits=7, blocks=64), M).compute == 40000 / 10


@pytest.mark.parametrize(
    "like", ["packed_product", "masked_attention", "narrow_masked_attention", "ssd", "repacked_product"]
)
def test_products_that_go_by_the_vector_peak_stop_at_the_matrix_peak(like: str) -> None:
    slow = Machine(matrix_rate=15, vector_rate=100, bandwidth=10, cache=50, units=4, parameters=PARAMETERS)
    assert terms(kernel(like, Cost(matrix=3000)), slow).compute == 3000 / 15


def test_loops_without_vectors_are_no_faster_than_those_with() -> None:
    assert terms(kernel("scalar_loop", Cost(vector=200)), replace(M, clock=1000)).compute == 200 / 100


@pytest.mark.parametrize(
    ("cost", "moved"),
    [
        (Cost(weights=20), 20), (Cost(state=30), 30),
        (Cost(activations=20), 5), (Cost(activations=25), 6.25), (Cost(activations=60), 6.25 + 35),
        (COST, MOVED),
    ],
)  # fmt: skip
def test_the_cache_serves_its_share_of_the_activations_at_its_speed(cost: Cost, moved: float) -> None:
    assert traffic(cost, M) == pytest.approx(moved)


def test_what_is_written_where_it_was_read_needs_half_of_the_cache() -> None:
    cost = Cost(activations=60)  # 30 bytes, of which 25 are in the cache: 50 of those that are moved
    assert traffic(cost, M, 2) == pytest.approx(50 / 4 + 10)
    assert terms(kernel("stream", cost, uses=2), M).memory == pytest.approx((50 / 4 + 10) / 5)


@pytest.mark.parametrize(
    ("cost", "seconds"),
    [
        (COST, 9.125),  # 3 for matrix, 2 for vector work, 9.125 for traffic
        (Cost(matrix=12000, vector=200, weights=20), 12),
        (Cost(matrix=3000, vector=800, weights=20), 8),
    ],
)
def test_light_needs_the_longest_of_matrix_work_vector_work_and_traffic_at_the_peaks(
    cost: Cost, seconds: float
) -> None:
    assert light_time(cost, M) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("fixed", "compute", "memory", "filling", "time", "bound"),
    [
        (1, 5, 3, 0, 6, "compute"), (1, 3, 5, 0, 6, "memory"), (4, 3, 2, 0, 7, "launch"),
        (1, 4, 4, 0, 5, "compute"), (4, 4, 3, 0, 8, "launch"), (4, 3, 4, 0, 8, "launch"),
        (1, 4, 5, 2, 7, "compute"),  # computing, with what it loses while filling, outlasts memory
        (1, 4, 7, 2, 8, "memory"),  # it does not
        (1, 4, 6, 2, 7, "compute"),  # as long as
        (2, 4, 5, 2, 8, "launch"),  # it outlasts memory, and 2 fixed and 2 filling are no less than 4
        (1, 1, 9, 3, 10, "memory"), (5, 1, 5, 3, 10, "launch"), (5, 1, 6, 4, 11, "memory"),
    ],
)  # fmt: skip
def test_the_longer_of_computing_and_moving_comes_on_top_of_what_is_fixed(
    fixed: float, compute: float, memory: float, filling: float, time: float, bound: str
) -> None:
    each = Terms(fixed, compute, memory, filling)
    assert (each.time, each.bound) == (time, bound)


@pytest.mark.parametrize(
    ("least", "most", "time"), [(None, None, 6), (5, None, 6), (7, None, 7), (None, 7, 6), (None, 5, 5), (2, 5, 5)]
)
def test_a_kernel_takes_no_less_than_its_least_and_no_more_than_its_most(
    least: float | None, most: float | None, time: float
) -> None:
    assert Terms(1, 5, 3, 0, least, most).time == time


@pytest.mark.parametrize(
    ("least", "most", "busy", "working"),
    [
        (None, None, None, 5), (8, None, None, 7), (None, 4, None, 3), (None, 1 / 2, None, 0),
        (None, 4, 2, 2), (None, 4, 9, 3), (None, 1 / 2, 2, 0),
    ],
)  # fmt: skip
def test_what_is_not_fixed_is_worked_in_as_far_as_what_takes_its_place_works(
    least: float | None, most: float | None, busy: float | None, working: float
) -> None:
    assert Terms(1, 5, 3, 0, least, most, busy).working == working


def test_a_kernel_takes_no_less_than_the_one_beneath_it_and_no_more_than_those_in_its_stead() -> None:
    slow, quick = kernel("stream", Cost(vector=1000)), kernel("stream", Cost(vector=50))
    assert (terms(slow, M).time, terms(quick, M).time) == (1 + 20, 1 + 1)
    own = kernel("stream", Cost(vector=400))
    assert terms(own, M).time == 1 + 8
    assert terms(replace(own, beneath=slow), M).time == 21
    assert terms(replace(own, beneath=quick), M).time == 9
    assert terms(replace(own, instead=(replace(quick, count=3),)), M).time == 3 * 2
    assert terms(replace(own, instead=(quick, slow)), M).time == 9
    # two launches of a second each, and two seconds in which each works
    halves = terms(replace(own, instead=(kernel("stream", Cost(vector=100), count=2),)), M)
    assert (halves.time, halves.working) == (2 * (1 + 2), 2 * 2)
    assert parts(terms(replace(own, beneath=slow, instead=(quick,)), M)) == parts(terms(own, M))


@pytest.mark.parametrize(
    ("like", "launch", "compute", "memory"),
    [
        ("gemm", "tensor_kernel_time", "gemm_efficiency", "memory_efficiency"),
        ("packed_product", "kernel_time", "quantised_efficiency", "memory_efficiency"),
        ("attention", "attention_kernel_time", "attention_efficiency", "memory_efficiency"),
        ("masked_attention", "attention_kernel_time", "masked_attention_efficiency", "memory_efficiency"),
        ("narrow_masked_attention", "attention_kernel_time", "narrow_masked_efficiency", "memory_efficiency"),
        ("delta", "tensor_kernel_time", "delta_efficiency", "memory_efficiency"),
        ("vector_product", "kernel_time", "vector_efficiency", "memory_efficiency"),
        ("replay", "replay_time", "vector_efficiency", "memory_efficiency"),
        ("ssd", "tensor_kernel_time", "ssd_efficiency", "memory_efficiency"),
        ("scan", "tensor_kernel_time", "scan_efficiency", "memory_efficiency"),
        ("stream", "kernel_time", "vector_efficiency", "memory_efficiency"),
        ("strided", "strided_kernel_time", "vector_efficiency", "strided_efficiency"),
        ("transpose", "strided_kernel_time", "vector_efficiency", "transpose_efficiency"),
        ("loop", "barrier_time", "vector_efficiency", "memory_efficiency"),
        ("scalar_loop", "barrier_time", "scalar_flops", "memory_efficiency"),
        ("block_product", "barrier_time", "block_efficiency", "memory_efficiency"),
        ("dot_product", "barrier_time", "dot_efficiency", "memory_efficiency"),
        ("repacked_product", "barrier_time", "repacked_efficiency", "memory_efficiency"),
        ("unpacked_product", "barrier_time", "unpacked_per_flop", "memory_efficiency"),
        ("row_attention", "barrier_time", "row_attention_efficiency", "memory_efficiency"),
    ],
)
def test_the_parameter_that_decides_is_the_one_in_the_term_that_decides(
    like: Any, launch: str, compute: str, memory: str
) -> None:
    bounds: tuple[Bound, ...] = ("launch", "compute", "memory")
    assert [deciding_parameter(kernel(like), bound, M) for bound in bounds] == [launch, compute, memory]
    found = [deciding_parameter(kernel(like, indexed=1), bound, M) for bound in bounds]
    assert found == [launch, "indexed_elements", memory]


@pytest.mark.parametrize(("like", "taken_in"), [("packed_product", "unpacked_bytes"), ("row_product", "row_bytes")])
def test_where_weights_come_in_slower_than_they_are_multiplied_that_decides(like: Any, taken_in: str) -> None:
    heavy, light = Cost(matrix=300, weights=240), Cost(matrix=300, weights=0)
    assert deciding_parameter(kernel(like, heavy), "compute", M) == taken_in
    assert deciding_parameter(kernel(like, light), "compute", M) != taken_in
    assert deciding_parameter(kernel(like, light, again=240), "compute", M) == taken_in


def hosted(**policy: Any) -> Runtime:
    return variant(library.runtime("ideal"), host=checked(HostPolicy, policy))


REPLAY = {"value": "2 us", "source": "made up"}


@pytest.mark.parametrize(
    ("policy", "prefill", "decode"),
    [
        ({"mode": "none"}, 0, 0),
        ({"mode": "eager"}, 7, 7),
        ({"mode": "eager", "work": 0.5}, 3.5, 3.5),
        ({"mode": "inline", "work": 2}, 14, 14),
        ({"mode": "graph", "replay": REPLAY}, 2e-6, 2e-6),
        ({"mode": "graph"}, 0, 0),
        ({"mode": "graph", "replay": REPLAY, "prefill": "eager"}, 7, 2e-6),
        ({"mode": "eager", "prefill": "none"}, 0, 7),
        ({"mode": "eager", "prefill": "graph", "replay": REPLAY}, 2e-6, 7),
    ],
)
def test_the_host_pays_for_a_launch_what_its_mode_says(policy: dict[str, Any], prefill: float, decode: float) -> None:
    runtime = hosted(**policy)
    assert launch_time(kernel("gemm"), runtime, M, "prefill") == pytest.approx(prefill)
    assert launch_time(kernel("gemm"), runtime, M, "decode") == pytest.approx(decode)
    assert launch_time(kernel("gemm", joined=True), runtime, M, "decode") == 0


def test_a_device_waits_between_the_kernels_of_a_graph_and_nowhere_else() -> None:
    gap = {"value": "3 us", "source": "made up"}
    stated = [
        ({"mode": "graph", "gap": gap}, 3e-6, 3e-6),
        ({"mode": "graph", "gap": gap, "prefill": "eager"}, 0, 3e-6),
        ({"mode": "eager", "gap": gap, "prefill": "graph"}, 3e-6, 0),
        ({"mode": "graph"}, 0, 0),
    ]
    for policy, prefill, decode in stated:
        found = [gap_time(hosted(**policy), phase) for phase in ("prefill", "decode")]
        assert found == pytest.approx([prefill, decode])


def test_the_host_launches_what_no_graph_brings_along() -> None:
    for policy in ({"mode": "graph", "captured": 8, "work": 2}, {"mode": "eager", "work": 2}):
        for replayed, seconds in ((0, 14), (1, 0), (0.5, 7)):
            found = launch_time(kernel("gemm", replayed=replayed), hosted(**policy), M, "decode")
            assert found == pytest.approx(seconds)


def test_a_launch_through_triton_costs_more_but_not_in_a_graph() -> None:
    triton = kernel("ssd", triton=True)
    assert launch_time(triton, hosted(mode="eager", work=0.5), M, "decode") == pytest.approx(7 / 2 + 80)
    assert launch_time(triton, hosted(mode="graph", replay=REPLAY), M, "decode") == pytest.approx(2e-6)


def test_a_kernel_runs_at_the_peak_of_its_unit_if_the_device_has_one() -> None:
    m = replace(M, peaks={"int8": 2000, "fp64": 7})
    assert terms(kernel("gemm", unit="int8"), m).compute == pytest.approx(3000 / (2000 / 2))
    for unit in (None, "fp8"):
        assert terms(kernel("gemm", unit=unit), m).compute == pytest.approx(3000 / (1000 / 2))


def test_products_on_the_vector_unit_have_an_efficiency_of_their_own() -> None:
    parameters = {**PARAMETERS, "gemm_efficiency": 1 / 2, "vector_product_efficiency": 1 / 4, "gemm_fill": 3}
    m = replace(M, matrix_rate=100, peaks={"fp32": 100, "int8": 2000}, parameters=parameters)
    by_vectors = replace(m, by_vectors=frozenset({None, "fp32"}))
    for unit in (None, "fp32"):
        assert terms(kernel("gemm", unit=unit), by_vectors).compute == pytest.approx(3000 / (100 / 4))
        assert terms(kernel("gemm", unit=unit), m).compute == pytest.approx(3000 / (100 / 2))
    assert terms(kernel("gemm", unit="int8"), by_vectors).compute == pytest.approx(3000 / (2000 / 2))
    # 3 elements of work 2 on each of 4 units, at the rate of the activations
    assert terms(kernel("gemm"), by_vectors).filling == pytest.approx(3 * 2 * 4 / (100 / 4))
    assert deciding_parameter(kernel("gemm"), "compute", by_vectors) == "vector_product_efficiency"
    assert deciding_parameter(kernel("gemm"), "compute", m) == "gemm_efficiency"
    assert deciding_parameter(kernel("attention"), "compute", by_vectors) == "attention_efficiency"


def test_a_machine_has_the_parameters_of_the_chip_and_the_peaks_of_the_device() -> None:
    runtime = library.runtime("vllm")
    here, there = (machine(library.device(name), None, "bf16", runtime=runtime) for name in ("h200-sxm", "h100-sxm"))
    assert here["attention_kernel_time"] == there["attention_kernel_time"] == 1.0e-6
    assert (here["tile_time"], here.bandwidth, there.bandwidth) == (3.3e-6, 4800e9, 3350e9)


def test_a_runtime_says_what_multiplies_fp32() -> None:
    """The A100: 19.5 TFLOP/s in fp32 by its vector unit, 156 in tf32, 312 in bf16; the T4 has no tf32."""
    expected = {
        ("transformers-5-eager", "a100-sxm-80gb", "fp32"): (19.5e12, 19.5e12, {None, "fp32"}),
        ("vllm", "a100-sxm-80gb", "bf16"): (312e12, 19.5e12, {"fp32"}),
        ("llama.cpp", "a100-sxm-80gb", "fp32"): (156e12, 156e12, set()),
        ("llama.cpp", "a100-sxm-80gb", "fp16"): (312e12, 156e12, set()),
        ("llama.cpp", "t4", "fp16"): (65e12, 8.1e12, {"fp32"}),
        ("transformers-5-cpu", "epyc-genoa-2-cores", "fp32"): (173e9, 173e9, set()),
        (None, "a100-sxm-80gb", "fp32"): (19.5e12, 19.5e12, {None, "fp32"}),
    }
    for (runtime, device, dtype), (rate, fp32, by_vectors) in expected.items():
        m = machine(library.device(device), None, dtype, runtime=runtime and library.runtime(runtime))
        assert (m.matrix_rate, m.rate("fp32"), m.by_vectors) == (rate, fp32, by_vectors), (runtime, device, dtype)


def test_a_machine_is_made_of_what_the_files_say() -> None:
    device, host = library.device("rtx-4090"), library.host("desktop")
    made = machine(device, host, "fp16", {"gemm_fill": 3})
    assert (made.matrix_rate, made.vector_rate, made.bandwidth) == (165.2e12, 82.6e12, 1008e9)
    assert (made.cache, made.units) == (72 * 2**20, 128)
    assert (made["gemm_fill"], made["tensor_kernel_time"], made["dispatch"]) == (3, 5.8e-6, host.dispatch.value)
    # a host of 12 us a launch is what 60 us of Triton's were measured on; one that is slower is so in both
    slow = variant(host, dispatch=variant(host.dispatch, value=30e-6))
    of_triton = library.priors(device, None).values["triton_dispatch"]
    assert machine(device, slow, "fp16")["triton_dispatch"] == pytest.approx(of_triton * 30 / 12)
    assert machine(device, slow, "fp16", {"triton_dispatch": 7e-6})["triton_dispatch"] == 7e-6
    tiles = [
        machine(library.device(name), None, "fp16", runtime=runtime and library.runtime(runtime)).tile_rows
        for name in ("h100-sxm", "rtx-4090") for runtime in ("vllm", "transformers-5-eager", None)
    ]  # fmt: skip
    assert tiles == [128, 64, 64, 64, 64, 64]
    assert made.softmax_overlap == 0
    assert machine(variant(device, overlaps_softmax=True), None, "fp16").softmax_overlap == 1
    assert made["scan_efficiency"] == library.priors(device, None).values["scan_efficiency"]
    assert made.clock == device.clock.value
    # without a clock: that at which 128 lanes of each unit, a multiply-add each, make the vector peak
    assert machine(variant(device, clock=None), None, "fp16").clock == pytest.approx(82.6e12 / (2 * 128 * 128))
    halves = variant(library.runtime("ideal"), matrix_library=MatrixLibrary(accumulates="fp16"))
    assert machine(device, None, "fp16", runtime=halves).matrix_rate == 330.3e12
    assert machine(device, None, "fp16", runtime=library.runtime("ideal")).matrix_rate == 165.2e12
    # a product that unpacks to fp16 adds up in what its library does, whatever activations are in
    assert machine(device, None, "bf16", runtime=halves).rate("fp16") == 330.3e12
    assert machine(device, None, "bf16", runtime=halves).matrix_rate == 165.2e12


def test_where_a_library_leaves_the_matrix_unit_alone_products_have_the_vector_unit_in_fp32() -> None:
    stack, card = library.runtime("llama.cpp-vulkan"), library.device("arc-a770")
    made = machine(card, None, "fp16", runtime=stack)
    assert {made.matrix_rate, *(made.rate(unit) for unit in (None, "fp16", "bf16", "int8"))} == {17.2e12}
    assert made.by_vectors == {None, "fp32", "fp16", "bf16", "int8"}
    assert card.matrix_path("fp16", by_vectors=True) == "peak.vector.fp32"
    product = Kernel("product", "gemm", Cost(matrix=17.2e12), unit="fp16")
    alone = terms(product, replace(made, parameters={**made.parameters, "vector_product_efficiency": 0.25}))
    assert alone.compute == pytest.approx(4)
    other = machine(library.device("arc-b580"), None, "fp16", runtime=stack)
    assert other.rate("fp16") == library.device("arc-b580").peak.matrix["fp16"].value
    assert "fp16" not in other.by_vectors
