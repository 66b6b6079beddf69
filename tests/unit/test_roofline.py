from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from roofsim import library
from roofsim.engine.network import Level, Network, network_of
from roofsim.engine.roofline import (
    LATENCY,
    RESIDENT,
    Machine,
    Terms,
    deciding_parameter,
    gap_time,
    graphs,
    launch_time,
    light_time,
    machine,
    matrix_time,
    terms,
)
from roofsim.engine.schedule import Stretch, times
from roofsim.foundation.cost import COLUMNS, Cost
from roofsim.foundation.errors import InputError, Unsupported
from roofsim.foundation.parameters import PARAMETERS, priors
from roofsim.foundation.schema import variant
from roofsim.lowering.kernels import Class, Exchange, Kernel
from roofsim.specs.runtime import Runtime

ONE = ("cache_speed", "unpacked_bytes", "unpacked_per_flop", "row_bytes", "indexed_elements")
PERFECT = {
    name: 1.0 if name.endswith(("_efficiency", "_flops")) or name in ONE else 0.0
    for name in PARAMETERS
}  # fmt: skip
RIDGE, VECTOR_RIDGE = 128, 8
IDEAL = Machine(matrix_rate=1024.0, vector_rate=64.0, bandwidth=8.0, cache=0.0, units=4, parameters=PERFECT, clock=1e9)
PRIOR = replace(IDEAL, cache=1000.0, parameters=priors())

PRODUCTS = (
    "gemm", "attention", "masked_attention", "narrow_masked_attention", "ssd", "packed_product", "quantised_tiles",
    "vector_product", "row_product", "block_product", "dot_product", "repacked_product", "row_attention",
)  # fmt: skip

amounts = st.floats(0, 1e9)
kernels = st.builds(
    Kernel,
    st.just("kernel"),
    st.sampled_from(get_args(Class)),
    st.builds(Cost, amounts, amounts, amounts, amounts, amounts),
    fill=st.floats(0, 1e6),
    blocks=st.none() | st.integers(1, 100),
)


@example(moved=8, intensity=RIDGE)
@example(moved=8, intensity=RIDGE - 1)
@given(moved=st.integers(1, 2**20), intensity=st.integers(1, 2 * RIDGE))
def test_the_bound_of_matrix_work_changes_exactly_at_the_ridge_point(moved: int, intensity: int) -> None:
    t = terms(Kernel("product", "gemm", Cost(matrix=moved * intensity, weights=moved)), IDEAL)
    assert t.bound == ("compute" if intensity >= RIDGE else "memory")
    assert t.time == max(moved * intensity / 1024, moved / 8)


@example(moved=8, intensity=VECTOR_RIDGE)
@example(moved=8, intensity=VECTOR_RIDGE - 1)
@given(moved=st.integers(1, 2**20), intensity=st.integers(1, 2 * VECTOR_RIDGE))
def test_the_bound_of_vector_work_changes_exactly_at_its_ridge_point(moved: int, intensity: int) -> None:
    t = terms(Kernel("sum", "stream", Cost(vector=moved * intensity, activations=moved)), IDEAL)
    assert t.bound == ("compute" if intensity >= VECTOR_RIDGE else "memory")


@pytest.mark.parametrize(
    ("parts", "bound"),
    [
        ((3, 2, 1), "launch"), ((2, 2, 2), "launch"), ((1, 2, 2), "compute"), ((1, 3, 2), "compute"),
        ((1, 2, 3), "memory"), ((1, 2, 1, 2), "launch"), ((1, 4, 1, 2), "compute"), ((1, 2, 5, 2), "memory"),
        ((1, 0, 5, 9), "launch"),
    ],
)  # fmt: skip
def test_the_bound_is_the_largest_term_and_a_device_not_yet_full_counts_as_launch(
    parts: tuple[int, ...], bound: str
) -> None:
    assert Terms(*parts).bound == bound


@pytest.mark.parametrize("m", [IDEAL, PRIOR])
@given(kernel=kernels)
def test_a_kernel_takes_no_less_than_work_and_traffic_at_the_peaks(m: Machine, kernel: Kernel) -> None:
    t, cost = terms(kernel, m), kernel.cost
    slack = 1 - 1e-12
    assert t.fixed + max(t.compute + t.filling, t.memory) == t.time
    assert t.time >= slack * (cost.weights + cost.state) / m.bandwidth
    if kernel.like in PRODUCTS:
        assert t.time >= slack * cost.matrix / m.matrix_rate
    elif kernel.like != "unpacked_product":
        assert t.time >= slack * cost.vector / m.vector_rate


@given(kernel=kernels, grown=st.sampled_from(COLUMNS), by=st.floats(1, 10))
def test_more_of_any_cost_is_never_faster(kernel: Kernel, grown: str, by: float) -> None:
    more = replace(kernel, cost=replace(kernel.cost, **{grown: by * getattr(kernel.cost, grown)}))
    assert terms(more, PRIOR).time >= terms(kernel, PRIOR).time * (1 - 1e-12)


def test_matrix_and_vector_work_of_attention_wait_for_each_other_and_of_a_product_overlap() -> None:
    cost = Cost(matrix=1024, vector=64)
    seconds = {like: terms(Kernel("kernel", like, cost), IDEAL).compute for like in get_args(Class)}
    assert seconds == {
        "gemm": 1, "packed_product": 16, "vector_product": 1, "row_product": 1, "quantised_tiles": 1,
        "attention": 2, "masked_attention": 17, "narrow_masked_attention": 17, "delta": 1, "ssd": 16,
        "scan": 1, "stream": 1, "strided": 1, "transpose": 1, "replay": 1, "loop": 1, "scalar_loop": 1,
        "block_product": 16, "dot_product": 2, "repacked_product": 16, "unpacked_product": 0, "row_attention": 16,
        "collective": 1,
    }  # fmt: skip


@pytest.mark.parametrize("like", ["ssd", "masked_attention", "packed_product"])
def test_products_at_the_vector_peak_are_never_faster_than_the_matrix_unit(like: Class) -> None:
    fast = replace(IDEAL, vector_rate=10 * IDEAL.matrix_rate)
    assert terms(Kernel("kernel", like, Cost(matrix=1024)), fast).compute == 1


@pytest.mark.parametrize(("blocks", "slower"), [(1, 4), (2, 2), (4, 1), (8, 1), (None, 1)])
def test_fewer_blocks_than_units_leave_units_idle(blocks: int | None, slower: float) -> None:
    t = terms(Kernel("attention", "masked_attention", Cost(matrix=64, state=8), blocks=blocks), IDEAL)
    assert (t.compute, t.memory) == (slower, slower)


@pytest.mark.parametrize(("blocks", "splits", "compute", "fixed"), [(1, 1, 4, 2), (1, 4, 1, 2), (8, 1, 1, 4)])
def test_tiles_wait_for_their_first_data_and_leave_units_idle_unless_they_are_cut(
    blocks: int, splits: int, compute: float, fixed: float
) -> None:
    m = replace(IDEAL, parameters=PERFECT | {"tile_time": 2.0})
    t = terms(Kernel("attention", "attention", Cost(matrix=1024, state=8), blocks=blocks, spread=splits), m)
    assert (t.compute, t.fixed, t.memory) == (compute, fixed, 1)


def test_the_softmax_hides_behind_the_products_where_the_device_overlaps_them() -> None:
    m = replace(IDEAL, softmax_overlap=1)
    assert terms(Kernel("attention", "attention", Cost(matrix=1024, vector=32)), m).compute == 1
    assert terms(Kernel("attention", "attention", Cost(matrix=1024, vector=192)), m).compute == 3


@pytest.mark.parametrize("blocks", [1, 4, 99])
def test_a_block_takes_its_clocks_however_many_there_are_and_moves_as_much(blocks: int) -> None:
    each = Kernel("attention", "masked_attention", Cost(matrix=64, state=8), blocks=blocks, clocks=2 * IDEAL.clock)
    t = terms(each, IDEAL)
    assert (t.compute, t.memory) == (2, 1)


@pytest.mark.parametrize(("like", "full"), [("gemm", 10 * 4), ("attention", 0), ("stream", 0), ("masked_attention", 0)])
def test_a_product_at_its_half_rate_size_takes_twice_its_time(like: Class, full: int) -> None:
    m = replace(IDEAL, parameters=PERFECT | {"gemm_fill": 10.0})
    work = max(full, 1)
    t = terms(Kernel("kernel", like, Cost(matrix=work), fill=1), m)
    assert t.filling == full / 1024
    assert t.time == t.compute + t.filling


@pytest.mark.parametrize(("whole", "lost"), [(None, 40), (50, 40), (100, 60)])
def test_a_product_loses_the_rest_of_its_last_tiles_or_what_fills_the_device_whichever_is_more(
    whole: int | None, lost: int
) -> None:
    m = replace(IDEAL, parameters=PERFECT | {"gemm_fill": 10.0})
    assert terms(Kernel("kernel", "gemm", Cost(matrix=40), fill=1, whole=whole), m).filling == lost / 1024


def test_activations_within_the_share_of_the_cache_move_at_its_speed_and_the_rest_at_memory_speed() -> None:
    m = replace(IDEAL, cache=100.0, parameters=PERFECT | {"cache_share": 0.5, "cache_speed": 2.0})
    small, large = (terms(Kernel("add", "stream", Cost(activations=moved)), m).memory for moved in (50, 130))
    assert (small, large) == (50 / 2 / 8, (50 / 2 + 80) / 8)


def test_weights_and_state_come_from_memory_however_large_the_cache() -> None:
    m = replace(IDEAL, cache=1e9, parameters=PERFECT | {"cache_share": 1.0, "cache_speed": 2.0})
    assert terms(Kernel("read", "stream", Cost(weights=8, state=8)), m).memory == 2


def test_a_calibration_wins_over_the_device_and_the_device_over_the_prior() -> None:
    device, host = library.device("rtx-4090"), library.host("desktop")
    stated = {name: value.value for name, value in device.parameters.items()}
    assert stated
    m = machine(device, host, "bf16")
    expected = dict(library.priors(device, None).values)
    expected |= {"dispatch": host.dispatch.value}
    expected["triton_dispatch"] *= host.dispatch.value / PARAMETERS["dispatch"].prior
    assert {name: m[name] for name in PARAMETERS} == expected | stated
    assert machine(device, host, "bf16", {"gemm_efficiency": 0.123})["gemm_efficiency"] == 0.123
    assert machine(device, None, "bf16")["dispatch"] == library.priors(device, None).values["dispatch"]
    served = library.runtime("vllm")
    found = machine(device, None, "bf16", None, served).parameters
    assert {**library.priors(device, served).values, **stated} == found


def test_a_dtype_without_a_unit_is_unsupported() -> None:
    with pytest.raises(Unsupported, match="t4: no matrix peak for bf16; it has fp16, int8"):
        machine(library.device("t4"), None, "bf16")


def test_the_host_pays_per_launch_in_eager_mode_only() -> None:
    kernel, triton = Kernel("add", "stream", Cost()), Kernel("scan", "ssd", Cost(), triton=True)
    m = replace(IDEAL, parameters=PERFECT | {"dispatch": 10e-6, "triton_dispatch": 60e-6})
    eager, graph, ideal = (library.runtime(name) for name in ("transformers-5-eager", "cuda-graph", "ideal"))
    for phase in ("prefill", "decode"):
        assert [launch_time(each, eager, m, phase) for each in (kernel, triton)] == pytest.approx([10e-6, 70e-6])
        assert [launch_time(each, graph, m, phase) for each in (kernel, triton)] == [1e-6, 1e-6]
        assert [launch_time(each, ideal, m, phase) for each in (kernel, triton)] == [0, 0]


def test_the_work_of_a_host_scales_its_launches_and_a_graph_without_replay_time_is_free() -> None:
    kernel = Kernel("add", "stream", Cost())
    m = replace(IDEAL, parameters=PERFECT | {"dispatch": 10e-6})
    assert launch_time(kernel, hosted(work=0.5), m, "decode") == pytest.approx(5e-6)
    assert launch_time(kernel, hosted(mode="graph", replay=None), m, "decode") == 0


def test_a_host_may_do_otherwise_in_prefill() -> None:
    kernel = Kernel("add", "stream", Cost())
    m = replace(IDEAL, parameters=PERFECT | {"dispatch": 10e-6})
    runtime = hosted(mode="none", prefill="eager")
    assert launch_time(kernel, runtime, m, "prefill") == pytest.approx(10e-6)
    assert launch_time(kernel, runtime, m, "decode") == 0


def test_a_part_of_a_launch_is_not_launched() -> None:
    m = replace(IDEAL, parameters=PERFECT | {"dispatch": 10e-6, "tensor_kernel_time": 3e-6})
    part = Kernel("k_proj", "gemm", Cost(), joined=True)
    assert launch_time(part, hosted(), m, "prefill") == 0
    assert (terms(part, m).fixed, terms(replace(part, joined=False), m).fixed) == (0, 3e-6)


def hosted(**changes: object) -> Runtime:
    runtime = library.runtime("transformers-5-eager")
    return variant(runtime, host=variant(runtime.host, **changes))


durations = st.floats(0, 1)
stretches = st.lists(st.builds(Stretch, durations, durations, st.integers(1, 20)), min_size=1, max_size=8)


@given(pieces=stretches, start=durations)
def test_the_device_works_off_a_queue_that_the_host_fills(pieces: list[Stretch], start: float) -> None:
    launched = free = start
    for piece in pieces:
        for _ in range(piece.count):
            launched += piece.host
            free = max(free, launched) + piece.device
    assert times(pieces, start).wall == pytest.approx(free)


@given(pieces=stretches, start=durations)
def test_a_pass_lasts_between_the_longer_and_the_sum_of_host_and_device(pieces: list[Stretch], start: float) -> None:
    host = start + sum(piece.count * piece.host for piece in pieces)
    device = sum(piece.count * piece.device for piece in pieces)
    assert max(host, device) * (1 - 1e-9) <= times(pieces, start).wall <= (host + device) * (1 + 1e-9)


@given(matrix=amounts, vector=amounts, weights=amounts)
def test_light_takes_the_longest_of_both_kinds_of_work_and_the_traffic(
    matrix: float, vector: float, weights: float
) -> None:
    longest = max(matrix / IDEAL.matrix_rate, vector / IDEAL.vector_rate, weights / IDEAL.bandwidth)
    assert light_time(Cost(matrix, vector, weights), IDEAL) == pytest.approx(longest)


@given(
    like=st.sampled_from(get_args(Class)),
    indexed=st.sampled_from([None, 1]),
    bound=st.sampled_from(["compute", "memory", "launch"]),
    weights=st.sampled_from([0, 1]),
)
def test_what_decides_a_kernels_time_is_a_parameter_that_moves_it(
    like: Class, indexed: int | None, bound: str, weights: int
) -> None:
    kernel = Kernel("kernel", like, Cost(weights=weights), indexed=indexed)
    assert deciding_parameter(kernel, bound, IDEAL) in PARAMETERS  # type: ignore[arg-type]


@given(stretches=st.lists(st.builds(Stretch, st.floats(0, 1), st.floats(0, 1), st.integers(1, 9)), min_size=1))
def test_without_a_queue_host_and_device_take_turns(stretches: list[Stretch]) -> None:
    total = sum((s.host + s.device) * s.count for s in stretches)
    assert times(stretches, 0.5, inline=True).wall == pytest.approx(0.5 + total)
    assert times(stretches, 0.5).wall <= times(stretches, 0.5, inline=True).wall * (1 + 1e-9)


def test_a_product_runs_at_the_peak_of_its_unit_where_there_is_one() -> None:
    m = replace(IDEAL, peaks={"int8": 2048.0})
    product = Kernel("product", "gemm", Cost(matrix=4096.0))
    assert terms(product, m).compute == 4
    assert terms(replace(product, unit="int8"), m).compute == 2
    assert terms(replace(product, unit="fp4"), m).compute == 4


def test_a_kernel_takes_no_less_than_a_part_of_it_and_no_more_than_what_could_take_its_place() -> None:
    short, long = (Kernel("product", "gemm", Cost(matrix=work)) for work in (1024.0, 8192.0))
    assert terms(replace(short, beneath=long), IDEAL).time == terms(long, IDEAL).time
    assert terms(replace(long, beneath=short), IDEAL).time == terms(long, IDEAL).time
    instead = (replace(short, count=3), short)
    assert terms(replace(long, instead=instead), IDEAL).time == 4 * terms(short, IDEAL).time
    assert terms(replace(short, instead=instead), IDEAL).time == terms(short, IDEAL).time


@pytest.mark.parametrize(("blocks", "rounds"), [(1, 1), (64, 1), (128, 2)])
def test_steps_that_wait_for_each_other_take_their_time_in_every_round_of_resident_blocks(blocks, rounds):
    m = replace(IDEAL, parameters=PERFECT | {"step_time": 2.0})
    scan = Kernel("scan", "scan", Cost(vector=64), blocks=blocks, steps=100)
    assert terms(scan, m).time == rounds * 100 * 2.0


def test_the_time_at_work_is_what_is_beyond_the_fixed_time_and_never_less_than_none() -> None:
    assert Terms(fixed=3, compute=2, memory=1).working == 2
    assert Terms(fixed=3, compute=2, memory=1, most=4).working == 1
    assert Terms(fixed=3, compute=2, memory=1, most=2).working == 0


def test_an_element_that_is_found_by_divisions_takes_its_share_of_a_clock() -> None:
    m = replace(IDEAL, parameters={**PERFECT, "indexed_elements": 2.0})
    assert terms(Kernel("copy", "stream", Cost(), indexed=48e9), m).compute == 48e9 / (4 * 1e9 * 2)


def test_kernels_of_a_graph_are_apart_and_others_wait_for_their_host_alone() -> None:
    captured = library.runtime("transformers-5-static")
    assert captured.host.gap
    assert gap_time(captured, "decode") == captured.host.gap.value
    assert graphs(captured, "decode") == 1
    eager = library.runtime("transformers-5-static-eager")
    assert (gap_time(eager, "decode"), graphs(eager, "decode")) == (0, 0)
    serving = library.runtime("vllm")
    assert (graphs(serving, "prefill"), graphs(serving, "decode")) == (0, 1)


def test_matrix_work_takes_its_time_on_the_unit_that_does_it() -> None:
    m = replace(IDEAL, peaks={"int8": 2048.0})
    done = [
        (2, Cost(matrix=1024), None),
        (1, Cost(matrix=4096), "int8"),
        (5, Cost(), None),
        (1, Cost(matrix=2048), None),
    ]
    assert matrix_time(done, m) == 2 * 1024 / 1024 + 4096 / 2048 + 2048 / 1024


def test_bytes_that_others_read_at_the_same_time_come_from_the_cache() -> None:
    assert terms(Kernel("k", "stream", Cost(weights=8), again=8), IDEAL).memory == 2
    fast = replace(IDEAL, parameters={**PERFECT, "cache_speed": 4.0})
    assert terms(Kernel("k", "stream", Cost(weights=8), again=8), fast).memory == 1
    assert terms(Kernel("k", "stream", Cost(weights=8), again=56), fast).memory == 2
    # four units that take 64 bytes at each of their ticks, one in eight seconds, of 8 that memory moves a second
    slow = replace(IDEAL, clock=1 / 8)
    times = {like: terms(Kernel("k", like, Cost(weights=8), again=56), slow).memory for like in ("stream", "attention")}
    assert times == {"stream": 8, "attention": 2}


def test_results_are_added_up_one_after_the_other_as_far_as_blocks_were_there_to_make_them() -> None:
    for most, added in ((3, 3), (100, 4)):  # two blocks on each of four units, shared by two
        found = terms(Kernel("k", "stream", Cost(), blocks=2, parts=most), IDEAL)
        assert found.fixed == pytest.approx(added * LATENCY / IDEAL.clock)


def test_blocks_that_wait_for_the_cache_do_so_in_every_round() -> None:
    for blocks, rounds in ((1, 1), (4 * RESIDENT, 1), (8 * RESIDENT, 2)):
        found = terms(Kernel("k", "stream", Cost(), blocks=blocks, waits=3), IDEAL)
        assert found.compute == pytest.approx(3 * LATENCY / IDEAL.clock * rounds)


@pytest.mark.parametrize(("tiles", "computed", "summed"), [(8, 8, 0), (5, 5, 2), (4.5, 5, 2), (3, 3, 1.75)])
def test_tiles_fill_rounds_or_are_shared_out_cut_by_cut_and_added_up(
    tiles: float, computed: float, summed: float
) -> None:
    found = terms(Kernel("k", "quantised_tiles", Cost(), tiles=tiles, cuts=4, tile=1024, sums=1), IDEAL)
    assert (found.compute, found.fixed) == pytest.approx((computed, summed))


def test_the_time_of_a_launch_is_that_of_the_term_that_decides_it():
    kernel = Kernel("k", "stream", Cost(vector=640.0, activations=16.0))
    assert terms(kernel, IDEAL).bound_times == {"compute": 10.0, "memory": 0.0, "launch": 0.0}
    assert terms(replace(kernel, cost=Cost(activations=16.0)), IDEAL).bound_times["memory"] == 2.0


LINKS = Network(8, Level(rate=4.0, latency=1.0, peak=5.0))


def sent(payload: float) -> Kernel:
    """Bytes that go to another device, of which as many are read from memory before."""
    return Kernel("send", "collective", Cost(activations=payload), exchange=Exchange("send", payload, 2, 1, ()))


def test_what_goes_to_other_devices_takes_its_time_on_the_links_or_in_memory_whichever_is_longer() -> None:
    m = replace(IDEAL, network=LINKS, parameters={**PERFECT, "link_speed": 1.0, "link_delay": 1.0})
    found = terms(sent(40.0), m)
    by_line = 1.0 + 40 / 4 * 8 / 3  # a few bytes go with a flag for each four
    assert (found.network, found.memory, found.time) == pytest.approx((by_line, 40 / 8, by_line))
    assert found.working == 5.0  # while the bytes go on, memory waits
    assert {name for name, decides in found.bounds.items() if decides} == {"network"}
    slow = terms(sent(40.0), replace(m, bandwidth=1.0))
    assert slow.time == 40.0
    assert {name for name, decides in slow.bounds.items() if decides} == {"memory"}
    assert light_time(sent(40.0).cost, m, exchange=sent(40.0).exchange) == 40 / 5
    assert light_time(sent(40.0).cost, replace(m, bandwidth=2.0), exchange=sent(40.0).exchange) == 40 / 2
    assert deciding_parameter(sent(40.0), "network", m) == "link_speed"


def test_devices_without_links_exchange_nothing() -> None:
    with pytest.raises(InputError, match="send of 2 devices: no cluster says how they are linked"):
        terms(sent(1.0), IDEAL)


def test_a_machine_has_the_links_of_its_cluster() -> None:
    h100 = library.device("h100-sxm")
    assert machine(h100, None, "bf16").network is None
    node = library.cluster("dgx-h100")
    assert machine(h100, None, "bf16", cluster=node).network == network_of(node)
