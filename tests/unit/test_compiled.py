from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy

import roofsim
from roofsim.foundation.errors import InputError, UnknownName
from roofsim.prediction.compiled import Compiled, compiled
from roofsim.prediction.evaluation import FIGURES
from roofsim.prediction.metrics import METRICS
from roofsim.prediction.request import predict_request, settled
from roofsim.prediction.setup import setup
from roofsim.specs.workload import workload

POINTS = 200


@cache
def compiled_stack(model: str, runtime: str) -> Compiled:
    """All figures of a stack over prompts and batches."""
    s = setup(model, "h100-sxm", runtime)
    w = settled(s, workload(generate=32, dtype="bf16"))
    return compiled(s, w, tuple(dict.fromkeys((*FIGURES, *METRICS))), ("prompt", "batch"))


def test_a_compiled_figure_is_that_of_a_prediction(covering_stack: tuple[str, str]) -> None:
    stack = covering_stack
    f = compiled_stack(*stack)
    s = setup(stack[0], "h100-sxm", stack[1])
    for prompt, batch in ((1, 1), (700, 3), (40_000, 1), (9000, 64)):
        p = predict_request(s, workload(prompt=prompt, batch=batch, generate=32, dtype="bf16"))
        known = {
            "ttft": p.request.ttft, "tpot": p.request.tpot, "memory": p.memory.peak, "energy": p.request.energy,
            "throughput": p.request.tokens_per_second, "total": p.request.total_time, "cost": p.cost.request,
            "prefill.kernels": p.prefill.kernels, "decode.device_time": p.decode.device_time,
            "memory.state": p.memory.state, "memory.grown": p.grown,
        }  # fmt: skip
        found = f(prompt=prompt, batch=batch)
        assert {name: found[name] for name in known} == pytest.approx(known, rel=1e-10)


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("device.memory.bandwidth", "device.memory.bandwidth"),
        ("device.peak.matrix.bf16", "device.peak.matrix.bf16"),
        ("device.power.tdp", "device.power.tdp"),
        ("host.dispatch", "host.dispatch"),
        ("parameters.gemm_efficiency", "device.parameters.gemm_efficiency"),
    ],
)
def test_a_what_if_is_an_argument_like_any_other(path: str, change: str) -> None:
    s = setup("Qwen2.5-0.5B", "rtx-4090", "transformers-5-eager")
    f = roofsim.compile(
        s.architecture, s.device, s.runtime, figures=["ttft", "tpot", "energy"], over=["prompt", path], generate=32
    )
    from dataclasses import replace

    from roofsim.prediction.places import with_value

    old = {"parameters": s.machine("bf16").parameters}.get(path.split(".")[0])
    part = path.split(".")[0]
    node = None if part == "parameters" else getattr(s, part)
    value = old[path.split(".")[1]] if old else node
    for step in [] if old else path.split(".")[1:]:
        value = value[step] if isinstance(value, dict) else getattr(value, step)
    number = float(getattr(value, "value", value))
    for factor in (0.5, 1.0, 1.2):
        if part == "parameters":
            other = replace(s, parameters={path.split(".")[1]: factor * number})
        else:
            other = replace(s, **{part: with_value(node, path.split(".")[1:], factor * number, path)})
        p = predict_request(other, workload(prompt=3000, generate=32, dtype="bf16"))
        found = f(**{"prompt": 3000, path: factor * number})
        assert found == pytest.approx(
            {"ttft": p.request.ttft, "tpot": p.request.tpot, "energy": p.request.energy}, rel=1e-10
        ), change


@pytest.mark.parametrize(
    ("path", "low", "high"),
    [("runtime.memory.chunk", 256, 4096), ("model.d_model", 1024, 4096), ("model.layers.decoder.1.width", 4096, 16384)],
)
def test_numbers_of_runtime_and_model_may_vary(path: str, low: int, high: int) -> None:
    f = roofsim.compile("Llama-3.2-1B", "rtx-4090", "vllm", figures=["memory"], over=[path], prompt=9000)
    assert f(**{path: low})["memory"] < f(**{path: high})["memory"]


def test_a_variable_that_decides_what_is_run_is_told() -> None:
    with pytest.raises(InputError, match=r"one of model\.d_model decides what is run, and cannot vary"):
        roofsim.compile("Llama-3.2-1B", "h100-sxm", "transformers-5-eager", figures=["tpot"], over=["model.d_model"])


def test_a_size_that_equals_another_now_cannot_vary() -> None:
    over = ["model.layers.attention.attention.kv_heads", "batch"]
    with pytest.raises(InputError, match="equals another size of the model now"):
        roofsim.compile("Llama-2-7B", "rtx-4090", figures=["ttft"], over=over)


def test_generated_tokens_may_vary() -> None:
    f = roofsim.compile("mamba2-780m", "orin", figures=["total", "energy"], over=["generate"], prompt=2048)
    for n in (1, 2, 3, 100):
        p = roofsim.predict("mamba2-780m", "orin", prompt=2048, generate=n)
        assert f(generate=n) == pytest.approx({"total": p.request.total_time, "energy": p.request.energy}, rel=1e-10)


@pytest.mark.parametrize("figure", METRICS)
@pytest.mark.parametrize("variable", ["device.memory.bandwidth", "device.peak.matrix.bf16", "host.dispatch", "prompt"])
def test_elasticities_are_those_of_finite_differences(figure: str, variable: str) -> None:
    over = ["device.memory.bandwidth", "device.peak.matrix.bf16", "host.dispatch", "prompt"]
    f = roofsim.compile("Falcon-H1-0.5B", "rtx-4090", "transformers-5-eager", figures=[figure], over=over)
    at = {"device.memory.bandwidth": 9e11, "device.peak.matrix.bf16": 1.6e14, "host.dispatch": 1.1e-5}
    at["prompt"] = 256 * 75 if variable == "prompt" else 5000  # whole chunks, as far as a rounding counts as smooth
    h = 256 / at["prompt"] if variable == "prompt" else 1e-6
    up, down = (f(**{**at, variable: at[variable] * (1 + step)})[figure] for step in (h, -h))
    found = f.elasticity(figure, variable)(**at)
    assert found == pytest.approx((up - down) / (2 * h) / f(**at)[figure], rel=2e-3, abs=1e-6)


def test_the_same_request_is_compiled_once() -> None:
    s = setup("mamba-130m", "orin")
    one, two = (compiled(s, workload(prompt=n), ("ttft",), ("prompt",)) for n in (5, 50))
    assert one is two
    assert compiled(s, workload(batch=2), ("ttft",), ("prompt",)) is not one


def test_arrays_broadcast_over_any_variable() -> None:
    f = roofsim.compile("mamba-130m", "orin", over=["prompt", "device.memory.bandwidth"])
    found = f(prompt=np.array([100, 2000, 30_000]), **{"device.memory.bandwidth": np.array([[1e11], [2e11]])})
    assert {name: each.shape for name, each in found.items()} == dict.fromkeys(f.figures, (2, 3))
    assert f.variables == ("prompt", "device.memory.bandwidth")


@pytest.mark.parametrize(
    ("asked", "wrong"),
    [
        ({"figures": ["ttfd"]}, "no 'ttfd'; nearest: ttft"),
        ({"over": ["promt"]}, "no 'promt'; nearest: prompt"),
        ({"over": ["device.memory.bandwith"]}, "nearest: bandwidth"),
        ({"over": ["device.name"]}, "not a number"),
        ({"over": ["device.memory"]}, "not a number"),
        ({"over": ["parameters.gem_efficiency"]}, "nearest: gemm_efficiency"),
        ({"over": ["prompt", "prompt"]}, "twice"),
        ({"over": ["model.layers.mamba.0.d_stat"]}, "nearest: d_state"),
        ({"over": ["device.memory.bandwidth.value.x"]}, "is not a number|no 'x'"),
    ],
)
def test_a_wrong_figure_or_variable_is_told(asked: dict[str, list[str]], wrong: str) -> None:
    with pytest.raises(InputError, match=wrong):
        roofsim.compile("mamba-130m", "orin", **asked)


def test_a_wrong_name_in_a_derivative_is_told() -> None:
    f = roofsim.compile("mamba-130m", "orin", figures=["ttft"], over=["prompt"])
    for figure, variable in (("tpot", "prompt"), ("ttft", "batch")):
        with pytest.raises(UnknownName):
            f.derivative(figure, variable)


@pytest.mark.parametrize("runtime", ["ideal", "transformers-4.52-eager", "vllm"])
def test_sympy_gives_what_python_gives(runtime: str) -> None:
    over = ["prompt", "batch", "device.memory.bandwidth"]
    f = roofsim.compile("Qwen2.5-0.5B", "rtx-4090", runtime, figures=["ttft", "memory"], over=over)
    at = {"prompt": 33_000, "batch": 3, "device.memory.bandwidth": 1e12}
    for figure, value in f(**at).items():
        assert float(_evaluated(f.expression(figure), at, {})) == pytest.approx(value, rel=1e-12)


def _evaluated(e: Any, at: Mapping[str, float], known: dict[Any, Any]) -> Any:
    """A SymPy expression at a point, each part of it once: written out as a tree, vLLM's has 600,000."""
    if e.is_Symbol:
        return sympy.Float(at.get(e.name, 1e12), 20)
    if e not in known:
        known[e] = e.func(*(_evaluated(each, at, known) for each in e.args)).evalf(20) if e.args else e
    return known[e]


def test_machine_code_gives_the_same_bits() -> None:
    pytest.importorskip("numba", reason="numba is not installed")
    stack = ("Zamba2-1.2B", "rtx-4090", "transformers-4.52-eager")
    fast, plain = (roofsim.compile(*stack, numba=n) for n in (True, False))
    values = {"prompt": np.arange(1, 40_000.0, 7), "batch": np.array([[1.0], [3.0]])}
    for name, found in fast(**values).items():
        np.testing.assert_array_equal(found, plain(**values)[name], err_msg=name)


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
def test_javascript_gives_what_python_gives(tmp_path: Path, covering_stacks: list[tuple[str, str]]) -> None:
    """Random points of all figures, of every part with every lowering."""
    dice, stacks = random.Random(1), covering_stacks
    points = [(dice.randint(1, 200_000), dice.randint(1, 256)) for _ in range(POINTS)]
    functions = [compiled_stack(*stack) for stack in stacks]
    (tmp_path / "points.json").write_text(json.dumps(points))
    made = ",\n".join(f.javascript() for f in functions)
    (tmp_path / "run.js").write_text(
        f"const points = require('./points.json'), fs = require('fs'), all = [{made}];\n"
        "const rows = all.map(f => points.map(([prompt, batch]) => Object.values(f({prompt, batch}))));\n"
        "fs.writeFileSync('rows.json', JSON.stringify(rows));\n"
    )
    subprocess.run(["node", "run.js"], cwd=tmp_path, check=True, timeout=300)
    rows = json.loads((tmp_path / "rows.json").read_text())
    prompt, batch = np.array(points, dtype=float).T
    for stack, f, found in zip(stacks, functions, rows, strict=True):
        expected = f(prompt=prompt, batch=batch)
        for (name, figure), column in zip(expected.items(), np.array(found, dtype=float).T, strict=True):
            # idle time is a difference of two times, and as exact as they are
            size = expected[name.replace("idle_time", "time")] if name.endswith("idle_time") else figure
            assert np.all(np.abs(column - figure) <= 1e-12 * np.abs(size)), (stack, name)


def test_a_figure_that_nobody_knows_is_no_number_in_every_way_of_asking():
    import roofsim

    assert np.isnan(roofsim.predict("mamba-130m", "tpu-v6e", "ideal", prompt=[16, 32]).request.energy).all()
    f = roofsim.compile("mamba-130m", "tpu-v6e", "ideal", figures=["energy", "ttft"], over="prompt")
    assert f(prompt=16.0)["energy"] != f(prompt=16.0)["energy"]
    assert f.at(16.0)[1] > 0
    rows = roofsim.sampling("mamba-130m", "tpu-v6e", "ideal", trials=[1, 2], tokens=8).rows
    assert all(row.energy != row.energy and row.time > 0 for row in rows)
