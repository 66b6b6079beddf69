"""What products with quantised weights are computed in, launch by launch and byte by byte, written down by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from counting.launches import GATED, GQA, PREFILL, STEP, Expected, Launch, Own, check, each, network, runtime, tiny
from counting.rows import ACT, PRECISION, TOKENS, WEIGHT, D

from roofsim import library
from roofsim.engine.passes import Stack, run_pass
from roofsim.engine.roofline import Machine, light_time, matrix_time, terms
from roofsim.foundation.cost import Cost
from roofsim.foundation.errors import Unsupported
from roofsim.foundation.parameters import priors
from roofsim.foundation.schema import variant
from roofsim.lowering.kernels import Kernel
from roofsim.lowering.step import lower
from roofsim.model.step import Pass
from roofsim.specs.products import product_of

MOE = {"kind": "moe", "experts": 4, "top_k": 2, "width": 3}
MODEL = network(GQA, GATED)
UNPADDED: dict[str, Any] = {"captured": None}
"""Without graphs no token is added to the six."""
BYTES = {"fp8": 1, "int8": 1, "fp4": (4 + 8 / 16) / 8}  # nvfp4: an fp8 scale for 16 elements


def quantised(unit: str, p: Pass = PREFILL) -> Pass:
    """A pass whose linear layers are computed on a unit, but for the head."""
    return replace(p, precision=replace(PRECISION, products={"weights": unit, "lm_head": "weights_only"}))


def quantise(unit: str, elements: float) -> Launch:
    """Size, the largest, product, limit of every element, read as it is and written narrower."""
    return each("strided", elements, ACT, BYTES[unit], flops=4)


def after_quantising(unit: str, elements: float, product: Own) -> Expected:
    """A product and, before it, the kernel that quantises its input, whose result lives as long as the product."""
    return Expected([quantise(unit, elements), product], elements * BYTES[unit])


def narrow(unit: str, d_in: int, d_out: int, rows: int = TOKENS, **more: Any) -> Own:
    """A product that reads quantised activations and writes plain ones."""
    return Own("gemm", instead={"activations": rows * (d_in * BYTES[unit] + d_out * ACT)}, **more)


@pytest.mark.parametrize(
    ("unit", "apart"),
    # fp8 on the way in norms and activations, fp4 in activations
    [("fp8", ["o_proj"]), ("int8", ["q_proj", "o_proj", "gate_proj", "down_proj"]),
     ("fp4", ["q_proj", "o_proj", "gate_proj"])],
)  # fmt: skip
def test_a_serving_engine_quantises_what_a_product_reads_once(unit: str, apart: list[str]) -> None:
    inputs = {"q_proj": (10, 12), "o_proj": (12, 10), "gate_proj": (10, 6), "down_proj": (6, 10)}
    expected = {
        name: after_quantising(unit, TOKENS * d_in, product) if name in apart else Expected([product])
        for name, (d_in, d_out) in inputs.items()
        for product in [narrow(unit, d_in, d_out, fill=2 * d_in)]
    }
    expected |= {name: Expected([narrow(unit, 10, 6, joined=True)]) for name in ("k_proj", "v_proj", "up_proj")}
    check(MODEL, runtime("vllm", host=UNPADDED), quantised(unit), expected)
    assert units("vllm", unit) >= {("q_proj", unit), ("lm_head", None)}


def test_an_engine_whose_norms_do_not_quantise_has_a_kernel_for_each_input() -> None:
    inputs = {"q_proj": (10, 12), "o_proj": (12, 10), "gate_proj": (10, 6), "down_proj": (6, 10)}
    expected: dict[str, Any] = {
        name: after_quantising("fp8", TOKENS * d_in, narrow("fp8", d_in, d_out, fill=2 * d_in))
        for name, (d_in, d_out) in inputs.items()
    }
    expected |= {name: Expected([narrow("fp8", 10, 6, joined=True)]) for name in ("k_proj", "v_proj", "up_proj")}
    for engine in ("tensorrt-llm", "sglang"):
        check(MODEL, runtime(engine, host=UNPADDED), quantised("fp8"), expected)


@pytest.mark.parametrize("unit", BYTES)
def test_eager_code_quantises_in_every_linear_layer(unit: str) -> None:
    expected = {
        "q_proj": after_quantising(unit, TOKENS * D, narrow(unit, 10, 12, fill=2 * 10)),
        "k_proj": after_quantising(unit, TOKENS * D, narrow(unit, 10, 6, fill=2 * 10)),
        "lm_head": Expected([Own("gemm", fill=2 * 10)]),
    }
    check(MODEL, runtime("transformers-5-eager"), quantised(unit), expected)


def test_the_ideal_quantises_on_the_way() -> None:
    check(MODEL, runtime("ideal"), quantised("fp8"), {"q_proj": [narrow("fp8", 10, 12, fill=2 * 10)]})


def test_tokens_are_quantised_before_they_go_to_experts_and_afterwards_row_by_row() -> None:
    rows = 2 * TOKENS
    first, last = narrow("fp8", 10, 6, rows, fill=2 * 10), narrow("fp8", 3, 10, rows, fill=2 * 3)
    tiles = {"fill": 0, "triton": True}  # which are computed whole
    expected = {
        "experts_up": Expected([quantise("fp8", TOKENS * D), tiny(), replace(first, **tiles)], TOKENS * D),
        "experts_down": after_quantising("fp8", rows * 3, replace(last, **tiles)),
    }
    check(network(MOE), runtime("vllm", host=UNPADDED), quantised("fp8"), expected)
    moved, filled = each("stream", rows * D, ACT, ACT), each("strided", rows * D, ACT, ACT, indexed=1)
    halves = [each("stream", rows * 6, ACT, ACT), each("strided", rows * 6, ACT, ACT, indexed=1)]
    eager = {
        "experts_up": Expected(
            [tiny(), tiny(4), tiny(7), tiny(2), moved, filled, tiny(), quantise("fp8", rows * D), first, *halves],
            rows * D,
        ),
        "experts_down": Expected([tiny(), quantise("fp8", rows * 3), last, moved, filled], rows * 3),
    }
    check(network(MOE), runtime("transformers-5-eager"), quantised("fp8"), eager)
    # weights of experts are unpacked inside their products
    check(
        network(MOE),
        runtime("vllm", host=UNPADDED),
        quantised("copied_from_2"),
        {"experts_up": [tiny(), Own("gemm", triton=True)]},
    )


@pytest.mark.parametrize("name", ["vllm", "transformers-5-eager"])
def test_from_two_rows_on_weights_are_unpacked_to_a_copy(name: str) -> None:
    copy = 10 * 12 * ACT
    unpack = Launch("strided", weights=10 * 12 * WEIGHT, activations=copy)
    product = Own("gemm", fill=2 * 10, more=copy, instead={"weights": 0, "activations": TOKENS * 22 * ACT + copy})
    check(
        MODEL, runtime(name, host=UNPADDED), quantised("copied_from_2"), {"q_proj": Expected([unpack, product], copy)}
    )
    two = {"weights": 0, "activations": 2 * 22 * ACT + copy}
    step = Expected([unpack, Own("gemm", fill=2 * 10, instead=two)], copy)
    check(MODEL, runtime(name, host=UNPADDED), quantised("copied_from_2", STEP), {"q_proj": step})
    one = Pass(1, 1, 6, STEP.precision, phase="decode")
    check(MODEL, runtime(name, host=UNPADDED), quantised("copied_from_2", one), {"q_proj": [Own("gemm", fill=2 * 10)]})


def test_blocks_of_ggml_are_unpacked_to_a_copy_from_nine_rows_on() -> None:
    stack, copy = runtime("transformers-5-eager"), 10 * 12 * ACT
    for rows in (1, 8, 9):
        p = quantised("copied_from_9", Pass(rows, 1, 6, STEP.precision, phase="decode"))
        unpack = Launch("strided", weights=10 * 12 * WEIGHT, activations=copy)
        read = {"weights": 0, "activations": rows * 22 * ACT + copy}
        many = Expected([unpack, Own("gemm", fill=2 * 10, instead=read)], copy)
        check(MODEL, stack, p, {"q_proj": many if rows > 8 else Expected([Own("gemm", fill=2 * 10)])})


def test_a_serving_engine_unpacks_joined_weights_in_one_go() -> None:
    copy = 10 * 6 * ACT
    unpack = Launch("strided", weights=10 * 6 * WEIGHT, activations=copy, joined=True)
    product = Own("gemm", joined=True, instead={"weights": 0, "activations": TOKENS * 16 * ACT + copy})
    check(
        MODEL, runtime("vllm", host=UNPADDED), quantised("copied_from_2"), {"k_proj": Expected([unpack, product], copy)}
    )


@pytest.mark.parametrize("name", ["vllm", "transformers-5-eager", "ideal"])
def test_weights_unpacked_inside_a_product_change_no_kernel(name: str) -> None:
    plain, unpacked = (lower(MODEL, runtime(name), p) for p in (PREFILL, quantised("weights_only")))
    assert plain == unpacked


def units(name: str, unit: str) -> set[tuple[str, str | None]]:
    found = lower(MODEL, runtime(name), quantised(unit))
    return {(o.name, k.unit) for row in found for o, lowered in row for k in lowered.kernels if k.like == "gemm"}


@pytest.mark.parametrize("name", ["vllm", "transformers-5-eager", "ideal"])
def test_products_name_their_unit(name: str) -> None:
    linear = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    assert units(name, "fp8") == {*((each, "fp8") for each in linear), ("lm_head", None)}


WIDE = network(GQA, {"kind": "gated_mlp", "width": 300}, d_model=200)


@pytest.mark.parametrize(
    ("rows", "tiles", "tile"),
    # 300 columns are three tiles; up to 128 rows tiles have 64 of them
    [(65, 2 * 3, 64 * 128), (128, 2 * 3, 64 * 128), (129, 2 * 3, 128 * 128), (257, 3 * 3, 128 * 128)],
)
@pytest.mark.parametrize("name", ["vllm", "transformers-5-eager"])
def test_many_rows_on_a_narrower_unit_go_in_whole_tiles(name: str, rows: int, tiles: int, tile: int) -> None:
    def products(p: Pass) -> list[list[tuple[float | None, float, float, float, bool]]]:
        found = {o.name: lowered for row in lower(WIDE, runtime(name), p) for o, lowered in row}
        return [
            [(k.tiles, k.tile, k.fill, k.count, k.joined) for k in found[each].kernels if k.unit]
            for each in ("gate_proj", "up_proj")
        ]

    whole = [(tiles, 2 * tile * 200, 0, 1, False)]
    joined = [(None, 0, 0, 1, True)]  # columns of the product before it
    assert products(quantised("fp8", Pass(1, rows, 0, PRECISION))) == [whole, joined if name == "vllm" else whole]
    few = [(None, 0, 2 * 200, 1, False)]
    assert products(quantised("fp8", Pass(1, 64, 0, PRECISION))) == [few, joined if name == "vllm" else few]
    assert products(quantised("weights_only", Pass(1, rows, 0, PRECISION))) == [[], []]


@pytest.mark.parametrize("rows", [64, 65, 128, 129, 300])
def test_rows_as_arrays_choose_the_same_tiles(rows: int) -> None:
    one, many = (
        {o.name: lowered for row in lower(WIDE, runtime("vllm"), quantised("fp8", Pass(1, n, 0, PRECISION)))
         for o, lowered in row}["o_proj"].kernels
        for n in (rows, np.array([rows]))
    )  # fmt: skip
    m = replace(M, units=5)
    times = [sum(float(np.squeeze(k.count * terms(k, m).time)) for k in kernels) for kernels in (one, many)]
    assert times[0] == pytest.approx(times[1])
    assert len(many) == len(one) + 1  # few rows, and tiles


def test_units_take_tiles_round_by_round() -> None:
    kernel = Kernel("product", "gemm", Cost(matrix=3000), unit="fp8", tiles=5, tile=700)
    found = terms(kernel, M)
    assert (found.compute, found.filling) == (2 * 4 * 700 / (2000 / 2), 0)  # five tiles on four units
    assert terms(replace(kernel, tiles=4), M).compute == 4 * 700 / 1000
    assert terms(replace(kernel, tiles=1), M).compute == 4 * 700 / 1000


PARAMETERS = {**priors(), "gemm_efficiency": 1 / 2, "memory_efficiency": 1, "gemm_fill": 5, "tensor_kernel_time": 3}
M = Machine(1000, 100, 10, 0, 4, PARAMETERS, peaks={"fp8": 2000})


def test_a_product_computes_at_the_rate_of_its_unit_but_fills_it_in_the_same_time() -> None:
    kernel = Kernel("product", "gemm", Cost(matrix=3000), fill=2, unit="fp8")
    found = terms(kernel, M)
    assert (found.compute, found.filling) == (3000 / (2000 / 2), 5 * 2 * 4 / (1000 / 2))
    assert terms(replace(kernel, unit=None), M).compute == 3000 / 500
    assert terms(replace(kernel, unit="int8"), M).compute == 3000 / 500  # no such unit


def test_light_and_work_at_the_peak_go_by_the_unit() -> None:
    assert light_time(Cost(matrix=3000), M, "fp8") == 3000 / 2000
    assert light_time(Cost(matrix=3000), M) == 3000 / 1000
    done = [(2, Cost(matrix=3000), "fp8"), (1, Cost(matrix=500), None), (4, Cost(matrix=250), "fp8"), (3, Cost(), "x")]
    assert matrix_time(done, M) == 7000 / 2000 + 500 / 1000


def test_utilisation_and_energy_of_a_pass_count_work_by_its_unit() -> None:
    h100 = library.device("h100")
    ideal = variant(library.runtime("ideal"), logits="last")
    powers = {"waiting_power": 0, "active_power": 0, "flop_power": 1, "byte_power": 0}
    # one row of weights on the fp8 unit, everything else on the plain one, which is half as fast
    m = replace(M, parameters={**PARAMETERS, **powers}, bandwidth=1e9)
    stack = Stack(MODEL, ideal, h100, replace(m, vector_rate=1e30))
    linear = 2 * TOKENS * (10 * (12 + 6 + 6) + 12 * 10 + 10 * 6 * 2 + 6 * 10)
    plain, fp8 = run_pass(stack, PREFILL), run_pass(stack, quantised("fp8"))
    assert plain.model_matrix_time - fp8.model_matrix_time == pytest.approx(linear / 1000 - linear / 2000)
    assert plain.matrix_flops == fp8.matrix_flops
    idle, tdp = 70, 700
    spent = {p: p.energy - idle * p.time for p in (plain, fp8)}
    assert spent[plain] - spent[fp8] == pytest.approx((tdp - idle) * (linear / 1000 - linear / 2000))


@pytest.mark.parametrize(
    ("name", "stack", "device", "how"),
    [
        ("fp8", "vllm", "h100", "fp8"), ("fp8", "vllm", "a100-sxm-80gb", "weights_only"),
        ("fp8-block128", "vllm", "l40s", "fp8"), ("int8-channel", "vllm", "a100-sxm-80gb", "int8"),
        ("int4-g128", "vllm", "h100", "weights_only"), ("gptq-int4", "vllm", "b200", "weights_only"),
        ("nvfp4", "vllm", "b200", "fp4"), ("nvfp4", "vllm", "h100", "weights_only"),
        ("mxfp4", "vllm", "h100", "weights_only"), ("nf4", "vllm", "h100", "copied_from_2"),
        ("bf16", "vllm", "h100", "weights_only"), ("q4_k_m", "llama.cpp", "h100", "weights_only"),
        ("q8_0", "llama.cpp-b2824", "rtx-4090", "weights_only"), ("q4_k_m", "ideal", "h100", "weights_only"),
        ("fp8-block128", "transformers-5-eager", "h100", "fp8"), ("fp8", "transformers-5-eager", "h100", "fp8"),
        ("nvfp4", "transformers-5-eager", "b200", "fp4"),
        ("fp8-block128", "transformers-4.52-eager", "h100", "fp8"),
        ("fp8", "ideal", "rtx-4090", "fp8"),
        ("awq-int4", "transformers-5-eager", "a100-sxm-80gb", "weights_only"),
        ("nf4", "transformers-4.52-eager", "rtx-4090", "copied_from_2"),
        ("mxfp4_moe", "llama.cpp", "rtx-3090", "weights_only"), ("mxfp4", "llama.cpp", "rtx-3090", "weights_only"),
    ],
)  # fmt: skip
def test_a_runtime_says_how_a_device_multiplies_a_format(name: str, stack: str, device: str, how: str) -> None:
    assert product_of(name, library.runtime(stack), library.device(device)) == how


@pytest.mark.parametrize(
    ("name", "stack", "device", "lacks", "right"),
    [
        ("q4_k_m", "vllm", "h100", "no kernels for weights in q4_k_m", "fp8-block128"),
        ("fp8", "llama.cpp", "h100", "no kernels for weights in fp8", "q8_0"),
        ("fp8", "transformers-4.52-eager", "h100", "no kernels for weights in fp8", "fp8-block128"),
        ("q4_k_m", "transformers-4.52-eager", "h100", "no kernels for weights in q4_k_m (GGUF files are unpacked when",
         "int4-g128"),
        ("q4_k_m", "transformers-5-eager", "rtx-4090", "loaded, ask for --weights bf16)", "nf4"),
        ("mxfp4_moe", "transformers-5-eager", "rtx-4090", "mxfp4_moe (GGUF files are unpacked", "mxfp4"),
        ("q8_0", "cuda-graph", "rtx-4090", "no kernels for weights in q8_0", "bf16"),
        ("nvfp4", "llama.cpp", "b200", "nvfp4 (ggml has its blocks since March 2026, they are not", "q4_k_m"),
        ("nvfp4", "llama.cpp-b2824", "rtx-4090", "no kernels for weights in nvfp4", "q4_k_m"),
        ("fp8-block128", "transformers-5-eager", "a100-sxm-80gb", "on fp8 units, of which a100-sxm-80gb has none",
         "int4-g128"),
        ("int4-g128", "mamba-ssm", "h100", "no kernels for weights in int4-g128", "bf16"),
    ],
)  # fmt: skip
def test_what_a_stack_cannot_run_is_refused_with_what_it_can(
    name: str, stack: str, device: str, lacks: str, right: str
) -> None:
    with pytest.raises(Unsupported) as refused:
        product_of(name, library.runtime(stack), library.device(device))
    told, _, others = (
        str(refused.value).removesuffix(" (see --runtime for other stacks)").partition("; there it takes ")
    )
    assert lacks in told
    assert right in others.split(", ")
    assert name not in others.split(", ")


def test_a_runtime_that_says_nothing_unpacks_whatever_it_is_given() -> None:
    silent = variant(library.runtime("vllm"), products=None)
    assert product_of("q4_k_m", silent, library.device("h100")) == "weights_only"


@pytest.mark.parametrize(
    ("how", "units"), [("fp8", ("fp8",)), ("fp4", ("fp4",)), ("weights_only", ()), ("copied_from_2", ())]
)
def test_a_precision_names_the_narrower_units_that_it_needs(how: str, units: tuple[str, ...]) -> None:
    assert quantised(how).precision.units == units
    assert PRECISION.units == ()
