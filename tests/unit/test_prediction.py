from __future__ import annotations

import json
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest

from roofsim import library, predict
from roofsim.engine.compiled import CHUNK
from roofsim.engine.passes import operators, run_pass
from roofsim.foundation.errors import InputError, Unsupported
from roofsim.foundation.schema import variant
from roofsim.foundation.units import MAX_COUNT
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.fitted import chosen
from roofsim.prediction.limits import cache_capacity, cache_room, fits, largest
from roofsim.prediction.request import detailed_prefill, predict_request
from roofsim.prediction.server import engine_of
from roofsim.prediction.setup import setup
from roofsim.prediction.steps import decode, most_tokens, pieces, prefill
from roofsim.specs.workload import workload

NOT_FIGURES = ("_table", "_bound", "binding")


def figures(value: Any, where: str = "") -> dict[str, Any]:
    """Every number of a prediction by its path."""
    if is_dataclass(value):
        inside = ((each.name, getattr(value, each.name)) for each in fields(value) if each.name not in NOT_FIGURES)
        return {path: number for name, each in inside for path, number in figures(each, f"{where}.{name}").items()}
    return {where: value}


def all_figures(p: Any) -> dict[str, Any]:
    return {
        path: n
        for part in ("prefill", "decode", "request", "memory")
        for path, n in figures(getattr(p, part), part).items()
    }


def test_a_prediction_of_arrays_is_that_of_each_number(covering_stack: tuple[str, str]) -> None:
    model, runtime = covering_stack
    batch, prompt = np.array([1, 3, 2, 1]), np.array([1, 257, 32767, 32768])
    s = chosen(setup(model, "rtx-4090", runtime))
    arrays = all_figures(predict(model, "rtx-4090", runtime, batch=batch, prompt=prompt))
    for i in range(4):
        one = all_figures(predict_request(s, workload(batch=batch[i], prompt=prompt[i])))
        assert {path: figure[i] for path, figure in arrays.items()} == pytest.approx(one, rel=1e-9)


def test_every_figure_of_an_array_has_its_shape() -> None:
    p = predict("Qwen2.5-0.5B", "rtx-4090", batch=np.array([[1], [3]]), prompt=np.array([1, 2, 3]))
    assert {path: np.shape(number) for path, number in all_figures(p).items() if np.shape(number) != (2, 3)} == {}
    assert p.fits.shape == (2, 3)
    assert (p.limits, p.prefill.operators) == (None, ())


def test_an_array_longer_than_a_chunk_is_predicted_like_its_pieces() -> None:
    prompt = np.arange(1, CHUNK + 5)
    whole = all_figures(predict("mamba-130m", "rtx-4090", prompt=prompt))
    for piece in (slice(None, CHUNK), slice(CHUNK, None)):
        for path, number in all_figures(predict("mamba-130m", "rtx-4090", prompt=prompt[piece])).items():
            np.testing.assert_allclose(
                np.broadcast_to(whole[path], prompt.shape)[piece], number, rtol=1e-12, err_msg=path
            )


@pytest.mark.parametrize("generate", [0, 1, 2, 3, 128])
@pytest.mark.parametrize("batch", [1, 4])
def test_a_request_is_its_prefill_and_one_step_for_every_token_after_the_first(generate: int, batch: int) -> None:
    p = predict("Qwen2.5-0.5B", "rtx-4090", batch=batch, prompt=500, generate=generate)
    steps, r = max(generate - 1, 0), p.request
    assert r.ttft == p.prefill.time
    assert r.total_time == pytest.approx(r.ttft + steps * r.tpot)
    assert r.tokens_per_second == pytest.approx(batch * max(generate, 1) / r.total_time)
    assert r.energy >= p.prefill.energy + steps * p.decode.energy * (1 - 1e-9)


@pytest.mark.parametrize("model", ["Qwen2.5-0.5B", "Zamba2-1.2B", "mamba2-780m"])
@pytest.mark.parametrize("runtime", ["ideal", "transformers-4.52-eager"])
def test_the_time_per_token_is_the_mean_over_all_steps(model: str, runtime: str) -> None:
    s, w = setup(model, "orin", runtime), workload(prompt=3000, generate=200)
    steps = [run_pass(s.stack(w.dtype), decode(s, w, done)) for done in range(199)]
    request = predict_request(s, w).request
    # Simpson's rule is exact but for a change of bound between the first step and the last
    assert request.tpot == pytest.approx(np.mean([step.time for step in steps]), rel=1e-3)
    energy = request.energy - run_pass(s.stack(w.dtype), prefill(s, w)).energy
    assert energy == pytest.approx(np.sum([step.energy for step in steps]), rel=1e-3)


def test_the_operators_add_up_to_their_pass(stack: tuple[str, str]) -> None:
    s, w = setup(stack[0], "rtx-4090", stack[1]), workload(prompt=300)
    for p in (prefill(s, w), decode(s, w)):
        whole = run_pass(s.stack(w.dtype), p)
        table = list(operators(s.stack(w.dtype), p, s.basis))
        for figure in ("matrix_flops", "vector_flops", "kernels"):
            assert sum(getattr(row, figure) for row in table) == pytest.approx(getattr(whole, figure))
        moved = sum(row.bytes_weights + row.bytes_activations + row.bytes_state for row in table)
        assert moved == pytest.approx(whole.bytes)
        assert sum(row.time for row in table) == pytest.approx(whole.device_time)


def test_the_limits_are_the_last_that_fit(stack: tuple[str, str]) -> None:
    model, runtime = stack
    s, w = setup(model, "rtx-4070-ti", runtime), workload(prompt=700)
    limits = predict_request(s, w).limits
    assert limits
    positions = s.architecture.positions - w.generate + 1 if s.architecture.positions else MAX_COUNT
    for field, most in (("prompt", min(limits.memory_prompt, positions)), ("batch", limits.max_batch)):
        assert most == 0 or fits(s, variant(w, **{field: most}))
        assert most == MAX_COUNT or not fits(s, variant(w, **{field: most + 1}))


@pytest.mark.parametrize(
    ("model", "device", "longest", "by"),
    [
        ("Qwen2.5-0.5B", "rtx-4090", 32_768, "context window"),
        ("Qwen2.5-0.5B", "orin", None, "memory"),
        ("mamba2-780m", "rtx-4090", None, "memory"),
        ("GPT-Neo-125M", "rtx-4090", 2048, "context window"),
        ("Llama-3.1-8B", "orin", 0, "memory"),
    ],
)
def test_the_longest_prompt_ends_with_memory_or_the_context_window_whichever_comes_first(model, device, longest, by):
    found = predict(model, device, generate=1).limits
    assert found.prompt_bound == by
    assert found.max_prompt == (found.memory_prompt if longest is None else longest)
    assert found.max_prompt <= found.memory_prompt


def test_what_is_generated_needs_positions_of_the_window_too():
    assert predict("Qwen2.5-0.5B", "rtx-4090", generate=101).limits.max_prompt == 32_768 - 100


def test_beyond_the_context_window_a_prompt_can_be_run_and_it_is_said():
    p = predict("Qwen2.5-0.5B", "rtx-4090", prompt=40_000)
    assert p.fits
    assert "beyond the context window of Qwen2.5-0.5B, 32,768 tokens" in p.assumptions
    assert p.limits.batch_bound == "memory"
    assert p.limits.max_batch == 1


def test_beyond_a_table_of_positions_no_batch_can_be_run():
    found = predict("GPT-Neo-125M", "rtx-4090", prompt=4096).limits
    assert (found.max_batch, found.batch_bound) == (0, "context window")


def test_less_than_all_of_the_memory_is_said():
    assert "6.00 GiB of 8.00 GiB of memory usable" in predict("mamba2-780m", "orin").assumptions
    assert not any("usable" in said for said in predict("mamba2-780m", "mi325x").assumptions)


@pytest.mark.parametrize(
    ("device", "usable", "taken"),
    [
        ("h100-sxm", 79.18, 0.9 * 79.18),  # the driver shows what is usable
        ("orin", 6.0, 6.0),  # 0.9 of the 8 GiB that are there are more than can be had
        ("jetson-agx-orin-64gb", 60.0, 0.9 * 64),
    ],
)
def test_vllm_takes_its_share_of_the_total_that_it_is_shown_and_no_more_than_there_is(device, usable, taken):
    memory = predict("mamba2-130m", device, "vllm", prompt=64, generate=1).memory
    assert library.device(device).capacity == pytest.approx(usable * 2**30)
    assert memory.reserved == pytest.approx(taken * 2**30)


def test_without_a_published_power_there_is_no_energy():
    p = predict("mamba2-130m", "tpu-v5e", "ideal", prompt=64)
    assert p.to_dict()["request"]["energy"] is None
    assert p.request.tpot > 0
    assert "no energy: the power that tpu-v5e draws is not published" in p.assumptions


@pytest.mark.parametrize("most", [1, 2, 3, 1023, 1024, 1025, MAX_COUNT - 1])
def test_the_largest_number_is_found_exactly(most: int) -> None:
    assert largest(lambda n: n <= most) == most


def test_nothing_may_fit_and_everything_may() -> None:
    assert largest(lambda n: False) == 0
    assert largest(lambda n: True) == MAX_COUNT
    assert largest(lambda n: True, ceiling=100) == 100


def test_a_model_larger_than_the_memory_fits_nothing() -> None:
    p = predict("Llama-3.1-8B", "orin")
    assert not p.fits
    assert (p.limits.max_prompt, p.limits.max_batch) == (0, 0)


def test_a_model_with_a_table_of_positions_ends_with_it() -> None:
    p = predict("GPT-Neo-125M", "rtx-4090", generate=1)
    assert p.limits.max_prompt == 2048
    assert not predict("GPT-Neo-125M", "rtx-4090", prompt=2000, generate=100).fits


def test_the_energy_of_a_pass_is_between_idle_and_full_power() -> None:
    device = library.device("h100-sxm")
    for runtime in ("ideal", "cuda-graph", "transformers-4.52-eager"):
        p = predict("Llama-3.1-8B", device, runtime, prompt=4096)
        for phase in (p.prefill, p.decode):
            assert device.power.idle.value * phase.time <= phase.energy <= device.power.tdp.value * phase.time


@pytest.mark.parametrize(("device", "dtype"), [("rtx-4090", "bf16"), ("t4", "fp16"), ("apple-m1", "fp16")])
def test_the_dtype_is_the_best_that_the_device_has_a_unit_for(device: str, dtype: str) -> None:
    assert predict("mamba-130m", device, "ideal").workload.dtype == dtype


@pytest.mark.parametrize(
    ("fields", "error", "said"),
    [
        ({"dtype": "bf16", "device": "t4"}, Unsupported, "no matrix peak for bf16"),
        ({"dtype": "fp8", "device": "orin"}, Unsupported, "no matrix peak for fp8"),
        ({"batch": 0}, InputError, "batch"),
        ({"length": 5}, TypeError, "length"),
        ({"model": "qwen"}, InputError, "models: no 'qwen'; nearest"),
        ({"device": "orinn"}, InputError, "devices: no 'orinn'; nearest"),
        ({"runtime": "vlm"}, InputError, "runtimes: no 'vlm'"),
        ({"host": "laptop"}, InputError, "hosts: no 'laptop'"),
        ({"model": "Phi-3-mini", "runtime": "mamba-ssm"}, Unsupported, "mamba-ssm does not run phi3"),
    ],
)
def test_what_cannot_be_predicted_is_an_input_error(fields: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        predict(**{"model": "mamba-130m", "device": "rtx-4090", **fields})


def test_an_eager_runtime_needs_a_host_and_no_other_does() -> None:
    device = variant(library.device("rtx-4090"), host=None)
    with pytest.raises(Unsupported, match="names no host"):
        predict("mamba-130m", device, "transformers-5-eager")
    assert predict("mamba-130m", device, "ideal").host is None


def test_the_json_has_the_fields_of_the_contract() -> None:
    result = json.loads(json.dumps(predict("Qwen2.5-0.5B", "orin", prompt=1000).to_dict()))
    assert result["schema"] == 1
    assert result["device"] == "jetson-orin-nano-8gb@maxn"
    contract = {
        "workload": {"batch", "prompt", "generate", "dtype", "cache_dtype", "weight_format", "logits"},
        "prefill": {"time", "device_time", "host_time", "kernels", "matrix_flops", "vector_flops", "bytes", "network",
                    "bound", "mfu", "mbu", "energy", "operators"},
        "request": {"ttft", "tpot", "total_time", "tokens_per_second", "energy"},
        "memory": {"capacity", "weights", "state", "activations", "logits", "masks", "workspace", "peak", "reserved",
                   "fits"},
        "limits": {"max_prompt", "max_batch"},
    }  # fmt: skip
    contract["decode"] = contract["prefill"]
    assert {part: names - set(result[part]) for part, names in contract.items() if names - set(result[part])} == {}
    row = {"layer", "operator", "kind", "count", "kernels", "matrix_flops", "vector_flops", "bytes_weights",
           "bytes_activations", "bytes_state", "bytes_network", "time", "light_time", "host_time", "launch_bound_time",
           "bound", "basis"}  # fmt: skip
    assert all(set(each) == row for each in result["prefill"]["operators"])


def test_the_json_of_arrays_holds_lists() -> None:
    result = json.loads(json.dumps(predict("mamba-130m", "orin", prompt=np.array([10, 20])).to_dict()))
    assert len(result["request"]["ttft"]) == 2
    assert result["workload"]["prompt"] == [10, 20]


@pytest.mark.parametrize("runtime", ["vllm", "llama.cpp"])
def test_a_prompt_in_pieces_takes_as_long_as_its_pieces(runtime):
    s = setup("Llama-3.2-1B", "rtx-4090", runtime)
    chunk = s.runtime.memory.chunk
    w = workload(prompt=8 * chunk, dtype="bf16", logits="last")
    whole = prefill(s, w)
    scored = [None if whole.scored is None else i == 7 for i in range(8)]  # the last piece alone
    all_pieces = [replace(whole, new=chunk, context=i * chunk, scored=scored[i]) for i in range(8)]
    one_by_one = [run_pass(s.stack(w.dtype), p) for p in all_pieces]
    found = detailed_prefill(Evaluation(s, w))
    assert sum(n * p.new for n, p in pieces(s, w)) == pytest.approx(8 * chunk)
    assert found.time == pytest.approx(sum(p.time for p in one_by_one), rel=0.01)
    assert found.kernels == pytest.approx(sum(p.kernels for p in one_by_one))
    assert found.matrix_flops == pytest.approx(sum(p.matrix_flops for p in one_by_one), rel=1e-6)
    assert sum(o.time for o in found.operators) == pytest.approx(found.device_time)


@pytest.mark.parametrize(
    ("model", "runtime", "latents"),
    [
        ("DeepSeek-V3", "vllm", "expanded"), ("DeepSeek-V3.2", "vllm", "absorbed"),
        ("DeepSeek-V3.2", "transformers-5-eager", "expanded"), ("Llama-3.2-1B", "vllm", "expanded"),
    ],
)  # fmt: skip
def test_tokens_chosen_for_each_query_are_attended_to_as_latents_in_prompts_too(model, runtime, latents):
    s = setup(model, "h200-sxm", runtime)
    assert prefill(s, workload(prompt=100, dtype="bf16")).latents == latents


@pytest.mark.parametrize(
    ("model", "runtime", "bytes_each"),
    [
        ("mamba2-130m", "vllm", 2), ("Falcon-H1-0.5B", "vllm", 2), ("Nemotron-H-8B", "vllm", 4),
        ("Qwen3.5-4B", "vllm", 4), ("Qwen3-Next-80B-A3B", "vllm", 2), ("Nemotron-H-8B", "transformers-5-eager", 4),
        ("mamba2-130m", "transformers-5-eager", 4), ("mamba2-130m", "mamba-ssm", 2),
    ],
)  # fmt: skip
def test_recurrent_states_are_of_the_dtype_that_the_software_keeps_them_in(model, runtime, bytes_each):
    s = setup(model, "h100-sxm", runtime)
    assert s.precision(workload(dtype="bf16")).state == bytes_each
    assert s.precision(workload(dtype="bf16", weight_format="fp8" if runtime == "vllm" else None)).state == bytes_each


def test_prompts_that_fill_a_step_together_are_one_pass_of_all():
    s = setup("Llama-3.2-1B", "rtx-4090", "vllm")
    n = s.runtime.memory.chunk // 8
    together, twice = (workload(batch=b, prompt=n, dtype="bf16", logits="last") for b in (8, 16))
    assert pieces(s, together) == ((1, prefill(s, together)),)
    ((times, step),) = pieces(s, twice)
    assert (times, step.batch, step.new, step.context) == (2, 8, n, 0)
    assert Evaluation(s, twice).prefill.time == pytest.approx(2 * Evaluation(s, together).prefill.time)


def test_llama_cpp_takes_equal_parts_of_all_prompts_of_a_batch_of_2048_tokens():
    s = setup("Llama-3.2-1B", "rtx-4090", "llama.cpp")
    for batch, prompt, beside in ((16, 64, 16), (8, 512, 4), (2, 4096, 1)):
        *earlier, last = pieces(s, workload(batch=batch, prompt=prompt, dtype="bf16"))
        each = 512 / beside
        full = prompt / each - 1
        assert sum(times for times, _ in earlier) == pytest.approx(batch / beside * full)
        assert {(p.batch, p.new, p.scored) for _, p in earlier} <= {(beside, each, 0)}
        assert [p.context for _, p in earlier] == pytest.approx(
            [at * (full - 1) * each for at in (0, 1 / 2, 1)][: 3 if full > 1 else int(full)]
        )
        assert (last[0], last[1].batch, last[1].new, last[1].context) == (batch / beside, beside, each, full * each)
        assert last[1].scored == 1


@pytest.mark.parametrize(("prompt", "full", "rest"), [(512, 0, 512), (513, 1, 1), (1024, 1, 512), (1100, 2, 76)])
def test_a_prompt_goes_in_full_pieces_and_one_of_what_is_left(prompt: int, full: int, rest: int) -> None:
    s = setup("Llama-3.2-1B", "rtx-4090", "llama.cpp")
    *earlier, (times, last) = pieces(s, workload(prompt=prompt, dtype="bf16"))
    assert (times, last.new, last.context, last.scored) == (1, rest, 512 * full, 1)
    assert sum(times for times, _ in earlier) == pytest.approx(full)
    assert all((p.new, p.scored) == (512, 0) for _, p in earlier)


def test_only_scored_positions_go_on_after_the_last_mixer() -> None:
    """Llama-3.2-1B has 16 layers: fifteen dense layers see all 512 positions, one, and the head, only the last."""
    s = setup("Llama-3.2-1B", "rtx-4090", "llama.cpp")
    p = prefill(s, workload(prompt=512, dtype="bf16"))
    dense, attention, head = 3 * 2048 * 8192, 2 * 2048 * (2048 + 512), 2048 * 128256
    products = 2 * (512 * (15 * dense + 16 * attention) + dense + head)
    pairs = 16 * 4 * 2048 * 512 * 513 / 2
    assert run_pass(s.stack("bf16"), p).matrix_flops == pytest.approx(products + pairs)
    assert run_pass(s.stack("bf16"), replace(p, scored=0)).matrix_flops == pytest.approx(
        products + pairs - 2 * (dense + head)
    )
    everything = replace(s, runtime=variant(s.runtime, narrows=False))
    whole = prefill(everything, workload(prompt=512, dtype="bf16"))
    assert run_pass(everything.stack("bf16"), whole).matrix_flops == pytest.approx(products + pairs + 2 * 511 * dense)
    assert [row.layer for row in s.architecture.rows(p)] == ["embedding", "decoder", "last decoder", "head"]


@pytest.mark.parametrize("runtime", ["vllm", "llama.cpp"])
def test_activations_are_those_of_one_step_and_the_state_that_of_all_sequences(runtime):
    s = setup("Llama-3.2-1B", "h100-sxm", runtime)
    n = int(most_tokens(s))
    one, many = (Evaluation(s, workload(batch=b, prompt=n, dtype="bf16")).held for b in (1, 64))
    assert many.state == 64 * one.state
    assert many.activations == pytest.approx(one.activations)


def test_a_step_never_holds_more_tokens_than_the_runtime_schedules():
    s = setup("Llama-3.2-1B", "rtx-4090", "vllm")
    most = s.runtime.memory.chunk
    for batch in (1, 3, 64):
        for prompt in (1, 129, most - 1, most + 1, 5 * most + 7):
            w = workload(batch=batch, prompt=prompt)
            parts = pieces(s, w)
            assert all(p.tokens <= most * (1 + 1e-12) for _, p in parts)
            assert sum(n * p.tokens for n, p in parts) == pytest.approx(batch * prompt)


def test_a_prompt_as_long_as_one_piece_is_one_pass():
    s = setup("Llama-3.2-1B", "rtx-4090", "llama.cpp")
    w = workload(prompt=s.runtime.memory.chunk, logits="last")
    assert pieces(s, w) == ((1, prefill(s, w)),)
    assert Evaluation(s, w).prefill == run_pass(s.stack(w.dtype), prefill(s, w))


def test_arrays_of_prompts_in_pieces_are_as_single_ones():
    s = setup("Llama-3.2-1B", "rtx-4090", "llama.cpp")
    lengths = np.array([100.0, 512.0, 4096.0])
    many = Evaluation(s, workload(prompt=lengths, logits="last")).prefill.time
    each = [Evaluation(s, workload(prompt=int(n), logits="last")).prefill.time for n in lengths]
    assert many == pytest.approx(each)


def test_the_cache_that_fits_is_whole_blocks_and_less_than_memory():
    s = setup("Llama-3.1-8B", "rtx-4090", "vllm")
    tokens = cache_capacity(s, workload(logits="last"))
    assert tokens % s.runtime.memory.block == 0
    each = s.architecture.state_bytes(2, prefill(s, workload()).precision) - s.architecture.state_bytes(
        1, prefill(s, workload()).precision
    )
    assert 0 < tokens * each < s.device.capacity - 2 * s.architecture.total_parameters
    assert cache_capacity(setup("Llama-3.1-8B", "rtx-4090", "ideal"), workload()) is None


@pytest.mark.parametrize(("runtime", "passes"), [("transformers-4.52-eager", 4), ("llama.cpp", 5)])
def test_a_pass_is_lowered_once_for_figures_and_intervals(monkeypatch, runtime, passes):
    from roofsim.prediction import evaluation

    seen: list[tuple[str, object, object]] = []
    lower = evaluation.lower

    def counted(architecture, runtime, p, device):
        if isinstance(p.batch, int | float):  # limits trace
            seen.append((p.phase, p.new, p.context))
        return lower(architecture, runtime, p, device)

    monkeypatch.setattr(evaluation, "lower", counted)
    found = predict("Llama-3.2-1B", "rtx-4090", runtime, prompt=1024, generate=9)
    assert found.intervals
    # a prompt, in two pieces by llama.cpp; the first, the middle and the last of eight steps
    assert len(seen) == len(set(seen)) == passes


@pytest.mark.parametrize("runtime", ["llama.cpp", "llama.cpp-vulkan", "llama.cpp-cpu", "vllm"])
@pytest.mark.parametrize("prompt", [513, 1025, 8193])
def test_operators_of_pieces_of_which_one_is_a_single_token_add_up_to_the_prefill(runtime: str, prompt: int) -> None:
    p = predict(
        "Qwen2.5-0.5B", "ryzen-9-7950x" if runtime.endswith("cpu") else "rtx-4090", runtime, prompt=prompt
    ).prefill
    assert sum(o.time for o in p.operators) == pytest.approx(p.device_time, rel=1e-9)
    assert sum(o.kernels for o in p.operators) == pytest.approx(p.kernels, rel=1e-9)
    assert sum(o.matrix_flops for o in p.operators) == pytest.approx(p.matrix_flops, rel=1e-9)


@pytest.mark.parametrize(
    ("device", "of_a_call", "of_a_step", "sequences"),
    [("h100-sxm", 16384, 8192, 1024), ("a100-sxm-80gb", 8192, 2048, 256), ("rtx-4090", 8192, 2048, 256)],
)
def test_vllm_takes_an_a100_for_a_device_with_little_memory(
    device: str, of_a_call: int, of_a_step: int, sequences: int
) -> None:
    """get_batch_defaults of its engine/arg_utils.py, for LLM and for its server."""
    s = setup("Qwen2.5-0.5B", device, "vllm")
    engine = engine_of(s)
    assert (most_tokens(s), engine.tokens, engine.sequences) == (of_a_call, of_a_step, sequences)


def test_sglang_fills_its_share_of_what_the_driver_leaves_with_weights_and_cache():
    s = setup("Llama-3.1-8B", "h100-sxm", "sglang")
    left = 0.835 * (79.18 * 2**30 - 500e6) - 2 * 8_030_261_248
    tokens = cache_capacity(s, workload(dtype="bf16"))
    assert tokens == pytest.approx(left / (32 * 8 * 128 * 2 * 2), rel=1e-5)
    # whatever a step computes with lies beside it
    assert cache_room(s, workload(dtype="bf16"), 64) == cache_room(s, workload(dtype="bf16"), 8192)
