from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from roofsim import library
from roofsim.engine.passes import run_pass
from roofsim.engine.roofline import terms
from roofsim.foundation.errors import Unsupported
from roofsim.foundation.schema import variant
from roofsim.lowering.step import NEVER, lower, mask_bytes, mask_from, module, plans
from roofsim.model.architecture import Architecture
from roofsim.model.step import Pass, Precision
from roofsim.ops import attention, gemm
from roofsim.ops.base import Role
from roofsim.prediction.setup import setup
from roofsim.prediction.steps import decode, prefill
from roofsim.specs.runtime import Runtime
from roofsim.specs.workload import workload

QWEN, ZAMBA, MAMBA = (library.architecture(name) for name in ("Qwen2.5-0.5B", "Zamba2-1.2B", "mamba2-130m"))
LLAMA = library.architecture("Llama-3.2-1B")
PAPER, IDEAL = (library.runtime(name) for name in ("transformers-4.52-eager", "ideal"))


@pytest.mark.parametrize("name", ["vllm", "", "kernels", "lowering", "__init__", "os"])
def test_an_unknown_lowering_is_told_which_there_are(name: str) -> None:
    there = "eager, fused, ggml, ggml_cpu, ggml_cuda, mamba_ssm"
    with pytest.raises(Unsupported, match=f"no lowering '{name}'; there are {there}"):
        module(name)


@pytest.mark.parametrize("model", library.names("models"))
def test_the_ideal_is_one_kernel_with_the_cost_of_its_operator(model: str) -> None:
    for row in lower(library.architecture(model), IDEAL, Pass(2, 100, 50)):
        for operator, lowered in row:
            assert [kernel.cost for kernel in lowered.kernels] == [operator.cost]
            assert lowered.temporary == 0


@pytest.mark.parametrize(
    ("architecture", "runtime", "start"),
    [(QWEN, PAPER, 32768), (ZAMBA, PAPER, 1), (MAMBA, PAPER, NEVER), (QWEN, IDEAL, NEVER)],
)
def test_a_mask_is_built_from_the_length_that_the_stack_and_the_model_say(
    architecture: Architecture, runtime: Runtime, start: int
) -> None:
    assert mask_from(architecture, runtime) == start


def test_a_stack_that_always_masks_does_so_where_there_is_attention() -> None:
    always = variant(IDEAL, attention=variant(IDEAL.attention, mask="always"))
    assert mask_from(QWEN, always) == 1
    assert mask_from(MAMBA, always) == NEVER


def test_a_mask_has_a_cell_for_every_query_and_key_from_its_length_on() -> None:
    lengths = np.array([1.0, 32767, 32768, 40000])
    kept, building = mask_bytes(QWEN, PAPER, Pass(1, lengths, 0))
    np.testing.assert_array_equal(kept, 2 * np.array([0, 0, 32768**2, 40000**2]))
    np.testing.assert_array_equal(building, 3 * kept)


@pytest.mark.parametrize(("new", "names"), [(32767, {"attention"}), (32768, {"masked attention"})])
def test_with_a_mask_attention_leaves_the_flash_kernel(new: int, names: set[str]) -> None:
    kernels = [
        kernel
        for row in lower(QWEN, PAPER, Pass(1, new, 0))
        for operator, lowered in row
        if operator.function is attention.causal_attention
        for kernel in lowered.kernels
    ]
    assert {kernel.name for kernel in kernels if kernel.count and "attention" in kernel.name} == names


def test_repeated_heads_are_copied_and_grouped_ones_are_not() -> None:
    grouped = variant(PAPER, attention=variant(PAPER.attention, kv_heads="grouped"))
    p = Pass(1, 1000, 0)
    repeating, grouping = (
        {kernel.name for row in lower(QWEN, runtime, p) for _, lowered in row for kernel in lowered.kernels}
        for runtime in (PAPER, grouped)
    )
    assert repeating == grouping | {"repeat heads"}
    assert "repeat heads" not in grouping


def test_attention_is_planned_once_per_shape_and_decode_step_where_device_and_stack_both_plan() -> None:
    def planned(model: str, device: str, stack: str) -> tuple[int, int]:
        s = setup(model, device, stack)
        w = workload(prompt=512, dtype="bf16")
        return tuple(plans(s.architecture, s.runtime, s.device, p) for p in (prefill(s, w), decode(s, w)))

    assert planned("Qwen2.5-0.5B", "h100-sxm", "transformers-5-eager") == (0, 1)
    assert planned("Gemma-4-26B-A4B", "h100-sxm", "transformers-5-eager") == (0, 2)  # heads of two widths
    assert planned("mamba2-780m", "h100-sxm", "transformers-5-eager") == (0, 0)
    assert planned("Qwen2.5-0.5B", "rtx-4090", "transformers-5-eager") == (0, 0)
    assert planned("Qwen2.5-0.5B", "h100-sxm", "vllm") == (0, 0)


def test_a_plan_is_time_of_the_host_before_the_first_kernel() -> None:
    s = setup("Qwen2.5-0.5B", "h100-sxm", "transformers-5-eager")
    w = workload(prompt=512, dtype="bf16")
    step = run_pass(s.stack("bf16"), decode(s, w))
    without = replace(s, device=variant(s.device, plans_attention=False))
    assert step.host_time - run_pass(without.stack("bf16"), decode(s, w)).host_time == pytest.approx(
        s.machine("bf16")["attention_plan"]
    )


def kernels_of(runtime: str, model: str, p: Pass, operator: str):
    (found,) = {
        lowered.kernels
        for row in lower(library.architecture(model), library.runtime(runtime), p)
        for each, lowered in row
        if each.name == operator
    }
    return found


@pytest.mark.parametrize("runtime", ["transformers-5-eager", "mamba-ssm", "vllm"])
def test_a_short_scan_does_the_products_of_a_whole_chunk(runtime):
    short, chunk, two = (
        sum(k.cost.matrix for k in kernels_of(runtime, "mamba2-780m", Pass(2, new, 0), "scan"))
        for new in (16, 256, 512)
    )
    assert short == chunk
    assert two == 2 * chunk


def test_llama_cpp_unpacks_quantised_weights_as_it_goes_or_beforehand():
    quantised = replace(Pass(1, 512, 0), precision=Precision(weights=4.5 / 8))
    _, tiles, _ = kernels_of("llama.cpp", "Llama-3.2-1B", quantised, "down_proj")
    assert (tiles.like, tiles.unit) == ("quantised_tiles", "int8")
    copy, product = kernels_of("llama.cpp-b2824", "Llama-3.2-1B", quantised, "down_proj")
    weights = 2048 * 8192
    assert tiles.cost.weights == weights * 4.5 / 8
    assert copy.cost.bytes == weights * (4.5 / 8 + 2)
    assert product.cost.weights == 0
    assert product.cost.activations - tiles.cost.activations == 2 * weights
    step = replace(quantised, new=1, context=512, phase="decode")
    assert {k.like for r in ("llama.cpp", "llama.cpp-b2824") for k in kernels_of(r, "Llama-3.2-1B", step, "down_proj")
            if k.count} == {"stream", "packed_product"}  # fmt: skip
    plain = replace(step, precision=Precision(weights=2))
    assert {k.like for k in kernels_of("llama.cpp", "Llama-3.2-1B", plain, "down_proj")} == {"vector_product"}


def test_attention_that_is_written_out_moves_the_scores_of_all_pairs():
    p = Pass(1, 512, 1536)
    flash, _ = kernels_of("llama.cpp", "Llama-3.2-1B", p, "attention")
    written = kernels_of("llama.cpp-b2824", "Llama-3.2-1B", p, "attention")
    pairs = 32 * 512 * 2048
    assert flash.like == "attention"
    # fp32 out, in, out and in again, fp16 out and in
    assert sum(k.cost.activations for k in written if k.name != "merge heads") > 20 * pairs
    assert sum(k.cost.matrix for k in written) == 4 * pairs * 64


LIMITED = {"Llama-4-Scout-17B-16E": "chunked", "Gemma-3-1B": "windowed"}
"""Models with the layer whose cache is cut to a chunk or window."""


@pytest.mark.parametrize(("model", "layer"), LIMITED.items())
@pytest.mark.parametrize("context", [100, 8192, 32_768, 100_000])
def test_a_step_moves_no_more_keys_and_values_than_its_cache_holds(model: str, layer: str, context: int) -> None:
    known = library.architecture(model)
    for name in library.names("runtimes"):
        if (supports := library.runtime(name).supports) and known.family not in supports:
            continue
        s = setup(known, "h100-sxm", name)
        p = decode(s, workload(prompt=context))
        (part,) = (part for part in known.layers[layer] if part.kind == "attention")
        token = part.cached_width * p.precision.cache
        held = part.state_bytes(context + s.runtime.spare, p.precision)
        (row,) = (row for row in lower(known, s.runtime, p) if row.row.layer == layer)
        moved = {o.role: [k.cost.state * k.count for k in lowered.kernels if k.cost.state] for o, lowered in row}
        # a window sees the token beside those that are held, and its first one; llama.cpp's has room for a piece beside
        # it, in multiples of 256 cells
        room = 512 + 255 if part.window and s.runtime.lowering == "ggml_cuda" else 0
        assert max(moved[Role.ATTENTION]) <= held + (1 if part.chunk else 2 + room) * token, name
        # keys and values that are concatenated are read and written
        assert sum(moved[Role.CACHE]) <= 2 * held + token, name


LLAMA_CPP = [name for name in library.names("runtimes") if library.runtime(name).lowering == "ggml"]


@pytest.mark.parametrize("runtime", LLAMA_CPP)
@pytest.mark.parametrize("fmt", ["bf16", "q8_0", "q4_k_m"])
def test_a_product_takes_no_less_time_with_a_row_more(runtime: str, fmt: str) -> None:
    rows = np.array([*range(1, 70), 128.0, 256, 512])
    precision = workload(weight_format=fmt).precision("fp32", LLAMA)
    lowered = lower(LLAMA, library.runtime(runtime), Pass(1, rows, 100, precision, "last"))
    for device in library.all_devices():
        m = setup(LLAMA, device, runtime).machine(device.default_dtype)
        for row in lowered:
            for o, each in row:
                if o.function is gemm.linear and o.role is not Role.LOGITS:
                    times = sum(k.count * terms(k, m).time for k in each.kernels)
                    assert rows[1:][times[1:] < times[:-1] * (1 - 1e-12)].tolist() == [], (device.id, o.name)


def test_a_product_of_one_row_is_not_bounded_by_that_of_many() -> None:
    """A slow GPU unpacks each weight once whatever the rows: measured at one, so it holds for the first of many."""
    m = setup(LLAMA, "jetson-orin-nano-8gb@7w", "llama.cpp").machine("bf16")
    precision = Precision(weights=4.5 / 8)
    time = {}
    for rows in (1, 2, 8, 9, 64):
        _, kernel, *_ = kernels_of("llama.cpp", "Llama-3.2-1B", Pass(1, rows, 100, precision), "down_proj")
        time[rows] = terms(kernel, m).time
    assert time[1] == pytest.approx(9437184 / (5.6 * 4 * 408e6), rel=0.01)
    assert time[1] <= time[2] <= time[8] <= time[9] < time[64]
