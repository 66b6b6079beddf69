"""Traces of PyTorch's profiler: what is read, and how kernels are held against predicted ones."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from roofsim.foundation.errors import InputError
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.request import settled
from roofsim.prediction.setup import setup
from roofsim.prediction.steps import prefill
from roofsim.runs.traces import Launch, Trace, group_of, is_trace, read_trace
from roofsim.specs.workload import workload
from roofsim.studies.kernels import compare_kernels

NAMES = {
    "product": "nvjet_sm90_tst_320x128_64x3_1x2_h_bz_coopB_TNT",
    "attention": "void flash::flash_fwd_kernel<Flash_fwd_kernel_traits<64>>(flash::Flash_fwd_params)",
    "element-wise": "void at::native::vectorized_elementwise_kernel<4, at::native::BinaryFunctor<float>>",
}
KERNELS = Path(__file__).parents[3] / "shared/data/h100_kernels.jsonl"


def event(name: str, dur: float, ts: float = 0.0, cat: str = "kernel", **more: object) -> dict:
    return {"ph": "X", "cat": cat, "name": name, "ts": ts, "dur": dur, **more}


@pytest.fixture
def write(tmp_path):
    def written(*events: dict, name: str = "trace.json", **more: object) -> str:
        path = tmp_path / name
        text = json.dumps({"schemaVersion": 1, **more, "traceEvents": list(events)})
        if name.endswith(".gz"):
            path.write_bytes(gzip.compress(text.encode()))
        else:
            path.write_text(text, encoding="utf-8")
        return str(path)

    return written


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("void cutlass::Kernel2<cutlass_80_tensorop_bf16_s16816gemm_relu_bf16>", "product"),
        ("ampere_fp16_s16816gemm_fp16_64x64_sliced1x2_ldg8_f2f_stages_64x5_tn", "product"),
        ("void marlin::Marlin<nv_bfloat16, 256, 1, 8, 8, 4>", "product"),
        ("fused_moe_kernel", "product"),
        ("Cijk_Alik_Bljk_BBS_BH_MT128x128x32", "product"),
        ("fmha_cutlassF_bf16_aligned_64x64_rf_sm80(PyTorchMemEffAttention)", "attention"),
        ("void cutlass::device_kernel<flash::FlashAttnFwdSm90<...>>", "attention"),
        ("_chunk_scan_fwd_kernel", "scan"),
        ("fused_recurrent_gated_delta_rule_fwd_kernel", "scan"),
        ("void causal_conv1d_fwd_kernel<...>", "convolution"),
        ("ncclDevKernel_AllReduce_Sum_bf16_RING_LL(ncclDevKernelArgsStorage<4096ul>)", "collective"),
        ("void vllm::cross_device_reduce_1stage<__nv_bfloat16, 8>", "collective"),
        ("void vllm::rms_norm_kernel<c10::BFloat16>", "element-wise"),
        ("triton_red_fused__to_copy_add_mean_mul_pow_rsqrt_0", "element-wise"),
        ("Memcpy DtoD (Device -> Device)", "element-wise"),
        ("void at::native::tensor_kernel_scan_innermost_dim<float>", "element-wise"),
        ("my_own_thing", "other"),
    ],
)
def test_names_tell_what_kernels_are_for(name, group):
    assert group_of(name) == group


def test_kernels_are_read_in_their_order_with_the_steps_of_the_schedule(write):
    path = write(
        event("late", 2.0, ts=20.0), event("Memset (Device)", 1.0, ts=5.0, cat="gpu_memset"),
        event("early", 3.0, ts=1.0),
        event("aten::mm", 9.0, cat="cpu_op"), event("ProfilerStep#3", 40.0, cat="user_annotation"),
        event("ProfilerStep#3", 39.0, cat="gpu_user_annotation"), event("ProfilerStep#4", 60.0, cat="user_annotation"),
        {"ph": "M", "name": "process_name"}, deviceProperties=[{"id": 0, "name": "NVIDIA L4"}],
    )  # fmt: skip
    assert is_trace(path)
    trace = read_trace(path)
    assert [(x.name, x.time) for x in trace.launches] == [
        ("early", pytest.approx(3e-6)), ("Memset (Device)", pytest.approx(1e-6)), ("late", pytest.approx(2e-6))
    ]  # fmt: skip
    assert (trace.device, trace.passes, trace.stated, trace.wall) == ("NVIDIA L4", 2, True, pytest.approx(50e-6))


def test_a_packed_trace_is_read_and_one_without_steps_is_of_one_pass(write):
    path = write(event("gemm", 2.0), name="trace.json.gz")
    assert is_trace(path)
    trace = read_trace(path)
    assert (len(trace.launches), trace.passes, trace.stated, trace.wall) == (1, 1, False, None)


def test_other_files_are_no_traces(tmp_path):
    (tmp_path / "runs.json").write_text('[{"avg_ns": 1}]')
    (tmp_path / "bad.json.gz").write_bytes(b"no gzip")
    (tmp_path / "runs.csv").write_text('"traceEvents"')
    assert not any(is_trace(str(tmp_path / name)) for name in ("runs.json", "bad.json.gz", "runs.csv"))


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([], "no kernel of a device"),
        ([event("aten::mm", 1.0, cat="cpu_op")], "no kernel of a device"),
        ([event("gemm", "long")], "a duration in numbers"),
        ([{"ph": "X", "cat": "kernel", "name": "gemm", "dur": 1.0}], "without a name, a start or a duration"),
    ],
)
def test_a_trace_that_lacks_something_is_refused(write, events, reason):
    with pytest.raises(InputError, match=reason):
        read_trace(write(*events))
    Path(write(name="list.json")).write_text('{"traceEvents": 3}')


def test_a_file_that_holds_no_list_of_events_is_refused(tmp_path):
    (tmp_path / "t.json").write_text('{"traceEvents": 3}')
    with pytest.raises(InputError, match="not a list"):
        read_trace(str(tmp_path / "t.json"))
    (tmp_path / "t.json.gz").write_bytes(b"no gzip")
    with pytest.raises(InputError, match="cannot be unpacked"):
        read_trace(str(tmp_path / "t.json.gz"))


ASKED = ("Qwen2.5-0.5B", "h100-sxm", "transformers-5-eager")


@pytest.fixture(scope="module")
def case():
    s = setup(*ASKED)
    return s, settled(s, workload(prompt=512, logits="last"))


@pytest.fixture(scope="module")
def slower(case):
    """A trace of two passes in which every kernel takes 1.25 times as long as predicted."""
    from roofsim.studies.kernels import _kernels

    s, w = case
    once = [
        Launch(NAMES[k.group], float(k.time) / float(k.count) * 1.25)
        for k in _kernels(Evaluation(s, w), prefill(s, w), 1)
        for _ in range(int(float(k.count)))
    ]
    return Trace("trace.json", "NVIDIA H100", tuple(once * 2), passes=2, stated=True, wall=0.01)


def test_launches_pair_with_predicted_kernels_in_their_order(case, slower):
    found = compare_kernels(slower, *case)
    assert not found.unpaired
    assert {g.group: g.launches - g.predicted_launches for g in found.groups} == dict.fromkeys(NAMES, 0)
    assert [g.error for g in found.groups] == [pytest.approx(-0.2)] * 3
    assert all(g.interval[0] < g.predicted < g.interval[1] for g in found.groups)
    products = {p.operator: p.launches for p in found.pairs if p.group == "product"}
    linear = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    assert products == {**dict.fromkeys(linear, 24), "lm_head": 1}
    assert [p.error for p in found.pairs] == [pytest.approx(-0.2)] * len(found.pairs)
    assert found.predicted == pytest.approx(0.8 * found.measured)
    assert sum(p.measured for p in found.pairs) == pytest.approx(found.measured)
    assert found.predicted == pytest.approx(float(Evaluation(*case).prefill.device_time))


def test_a_group_with_other_launches_than_predicted_is_shown_by_name(case, slower):
    more = (*slower.launches, Launch(NAMES["product"], 1e-3), Launch("my_own_thing", 2e-3))
    found = compare_kernels(Trace("t", "", more, passes=2, stated=True), *case)
    assert {p.group for p in found.pairs} == {"attention", "element-wise"}
    assert [(x.name, x.count) for x in found.unpaired] == [(NAMES["product"], 170), ("my_own_thing", 0)]
    other = next(g for g in found.groups if g.group == "other")
    assert (other.launches, other.predicted, other.error, other.interval) == (0.5, 0, -1, (0, 0))


def test_sums_of_split_products_count_to_the_product(case, slower):
    split = []
    for each in slower.launches:
        split.append(each)
        if each.group == "product":
            split.append(Launch("void cublasLt::splitKreduce_kernel<32, 16>", each.time))
    found = compare_kernels(Trace("t", "", tuple(split), passes=2, stated=True), *case)
    product = next(g for g in found.groups if g.group == "product")
    assert (product.launches, product.error) == (product.predicted_launches, pytest.approx(0.4 - 1))


def test_passes_of_a_trace_without_steps_are_told(case, slower):
    plain = Trace("t", "", slower.launches)
    assert compare_kernels(plain, *case, passes=2).groups == compare_kernels(slower, *case).groups
    with pytest.raises(InputError, match="recorded 2 steps, not 3"):
        compare_kernels(slower, *case, passes=3)


def test_layers_of_a_hybrid_are_in_the_order_in_which_they_run():
    from roofsim.lowering.step import lower
    from roofsim.studies.kernels import in_order

    s = setup("RecurrentGemma-2B", "h100-sxm", "transformers-5-eager")
    rows = lower(s.architecture, s.runtime, prefill(s, settled(s, workload(logits="last"))), s.device)
    names = [row.row.layer for row in in_order(s.architecture, rows)]
    layers = [name for stretch in s.architecture.layout for _ in range(stretch.repeat) for name in stretch.of]
    assert [name.removeprefix("last ") for name in names] == ["embedding", *layers, "head"]
    assert sum(row.row.count for row in rows) == len(names)


@pytest.mark.skipif(not KERNELS.exists(), reason="the measured kernels are not beside this checkout")
def test_every_measured_kernel_has_a_group_and_products_are_predicted():
    for line in KERNELS.read_text().splitlines():
        d = json.loads(line)
        launches = tuple(Launch(name, time, int(count)) for name, time, count in d["kernels"])
        assert "other" not in {each.group for each in launches}
        if d["phase"] == "decode":
            continue  # sums of split products are counted apart in this file
        s = setup(d["model"], "h100-sxm", "transformers-5-eager")
        found = compare_kernels(Trace("k", "", launches), s, workload(prompt=d["L"], logits="last"))
        product = next(g for g in found.groups if g.group == "product")
        assert product.launches == pytest.approx(product.predicted_launches, abs=1)
        assert product.interval[0] <= product.measured <= product.interval[1]
