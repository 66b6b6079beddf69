"""Every public function with arguments of every kind that it takes: what type checkers must pass, and what runs.

`mypy --strict` reads this file as a user's would be (tests/check.py, types); test_typed.py runs it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import roofsim
from roofsim import plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MODEL, OTHER, DEVICE = "Qwen2.5-0.5B", "mamba2-780m", "orin"
MEASURED, STACK = "h100-sxm", "transformers-5-eager"


def one_model() -> list[str]:
    device: roofsim.Device = roofsim.device(DEVICE)
    model: roofsim.Architecture = roofsim.architecture(MODEL)
    runtime: roofsim.Runtime = roofsim.runtime("ideal")
    host: roofsim.Host = roofsim.host("desktop")
    p: roofsim.Prediction = roofsim.predict(
        model, device, "transformers-4.52-eager", prompt="2k", batch=np.int64(2), generate=16, dtype="fp16",
        weights="int4-g128", cache="fp16", logits="last", host=host, calibration=None, transfer=False,
        set={"device.memory.bandwidth": "2x", "parameters.gemm_efficiency": 0.8},
    )  # fmt: skip
    asked: roofsim.Workload = p.workload
    seconds: float = asked.generate * float(p.request.ttft) + float(p.prefill.time) + float(p.memory.peak)
    faster: roofsim.Prediction = p.with_(device="memory.bandwidth=2x", prompt=4096)
    grid = roofsim.predict(
        MODEL, DEVICE, runtime, prompt=[1024, 2048], batch=np.array([[1], [8]]), generate=range(1, 3)
    )
    limits: roofsim.LimitsResult = roofsim.limits(MODEL, DEVICE, lengths="1k..4k*2", batch=1)
    longest: int = limits.limits.max_prompt
    divided: roofsim.Prediction = roofsim.predict("OLMoE-1B-7B", "rtx-4060", "llama.cpp", prompt=64, offload="auto")
    assert divided.offload
    assert roofsim.limits("OLMoE-1B-7B", "rtx-4060", "llama.cpp", offload="layers=9").limits.max_batch > 0
    rows = roofsim.compare("OLMoE-1B-7B", device="rtx-4060", runtime="llama.cpp", prompt=64, offload=["9", "experts"])
    assert [row.chosen["offload"] for row in rows.rows] == ["layers=9", "experts"]
    assert roofsim.serve("Llama-3.1-8B", "h100-sxm", concurrency=4, offload="stream=9").rows[0].itl["mean"] > 0
    why: roofsim.Explanation = roofsim.explain(MODEL, DEVICE, metric="tpot", prompt=2048)
    f: roofsim.Compiled = roofsim.compile(MODEL, DEVICE, figures=["ttft"], over=["prompt", "device.memory.bandwidth"])
    number: float = f(prompt=1024, **{"device.memory.bandwidth": 1e11})["ttft"]
    many = f(prompt=np.array([1024, 2048]), **{"device.memory.bandwidth": 1e11})["ttft"].shape
    pull = f.elasticity("ttft", "prompt")(prompt=1024, **{"device.memory.bandwidth": 1e11})
    what: roofsim.Sensitivities = roofsim.sensitivity(MODEL, DEVICE, figure="tpot", over=["host"])
    trials: roofsim.Sampled = roofsim.sampling(MODEL, DEVICE, trials=[1, 4], budget="20s", share="copied", prompt=512)
    kept: roofsim.Reloaded = roofsim.reload(MODEL, "rtx-4090", tiers=["host", "2GB/s"], lengths="1k,4k", batch=2)
    assert [turn.tier for turn in kept.with_(batch=1).turns] == ["host", "2GB/s"]
    drafts: roofsim.Speculated = roofsim.speculate(
        MODEL, DEVICE, draft="ngram", accept=[0.8, 0.5], draft_tokens=2, rollback="replay", overhead="1ms", prompt=512
    )
    assert drafts.row.speedup > 0
    laid: roofsim.Phased = roofsim.phases(MODEL, "a100-sxm-80gb", prompt=[512], link="25GB/s", calibration="none")
    assert laid.rows[0].moved > 0
    served: roofsim.Serving = roofsim.serve(
        OTHER, MEASURED, "vllm", concurrency=[1, 8], slo="itl=50ms", sequences=16, rounds=10, prompt="2k", generate=64
    )
    assert served.row.itl["mean"] < served.rows[1].itl["mean"]
    drawn: roofsim.Simulation = roofsim.simulate(
        OTHER, MEASURED, users=2, requests=4, generate=8, draft="ngram", accept=0.5, draft_tokens=2
    )
    assert drawn.drafts
    fast: roofsim.Serving = roofsim.serve(
        OTHER, MEASURED, concurrency=4, draft="eagle", accept=[0.8, 0.5], draft_tokens=2, rollback="replay"
    )
    assert fast.row.drafts is not None
    assert fast.server.drafts is not None
    assert fast.row.drafts.made == 1 + 0.8 + 0.5
    most: roofsim.Serving = roofsim.serve(OTHER, MEASURED, slo="ttft.p95=1s", find="rate", weights="bf16", tp=2)
    assert most.found is not None
    assert most.found.interval[0] <= most.found.value
    fronts: roofsim.ServingFront = roofsim.serve_front(
        MODEL,
        MEASURED,
        objectives=["user", "usd_per_million"],
        weights=["bf16", "fp8"],
        cache="fp8",
        concurrency="1..64*2",
        sequences=[8, 64],
        slo="itl=50ms",
        tp=[1, 2],
    )
    assert fronts.points[0].user > fronts.points[-1].user
    drafted: roofsim.ServingFront = roofsim.serve_front(
        MODEL, MEASURED, concurrency=[1, 8], draft="ngram", accept=0.8, draft_tokens=2, prefix="512", hit_rate=0.5
    )
    assert {each.choice["draft"] for each in drafted.points} == {"ngram"}
    t: roofsim.StepTime = roofsim.step_time(MODEL, DEVICE, "ideal", dtype="fp16")
    step, joules = t.of(8, 1000.0, 1, 512)
    steps, _ = t.of(np.array([1, 8]), 1000)
    assert t([(8, 1, 1000), (1, 512, 0)]) > 0 < t.batch([(1, 1000), (512, 0)])
    assert min(step, joules, float(steps[0])) > 0
    events: roofsim.Simulation = roofsim.simulate(
        MODEL, DEVICE, "ideal", users=2, think="10ms", requests=4, prompt="1k", generate=2, tokens=512, sequences=2
    )
    assert events.with_(generate=3).result.tokens_per_second > 0
    rates: list[float] = [each.tokens_per_second for each in trials.rows]
    assert min(rates) > 0
    paper: roofsim.Report = roofsim.report(MODEL, DEVICE, against=OTHER, prompt=2048, set="device.memory.bandwidth=2x")
    assert paper.with_(batch=2).markdown().startswith("# ")
    page: roofsim.Page = roofsim.explore(MODEL, device=[device], runtime="ideal", weights="int4-g128", tp=[1])
    assert len(page.html()) > len(repr(page)) > 0
    help_: list[str] = [each.change for each in p.remedies()]
    assert help_
    assert min(seconds, longest, number, pull) > 0
    assert many == (2,)
    return [repr(each) for each in (p, faster, grid, limits, why, what, what.with_(batch=2))]


def several_models(folder: Path) -> list[str]:
    crossing: roofsim.Crossover = roofsim.crossover(MODEL, OTHER, device=DEVICE, metric="ttft", longest="64k")
    lengths: list[int] = [crossing.length for pair in crossing.pairs for crossing in pair.crossings]
    table: roofsim.Comparison = roofsim.compare(
        MODEL, OTHER, device=["orin", roofsim.device("rtx-4090")], prompt=range(1024, 4096, 1024), fits=True,
        set={"device.memory.bandwidth": ["1x", "2x"]}, max_memory="6GiB", sort="tpot", transfer=False,
    )  # fmt: skip
    study: roofsim.Swept = roofsim.sweep(
        MODEL, device=DEVICE, prompt="1k..4k*2", figures=["ttft", "energy"], derive={"per_token": "energy / generate"},
        where="ttft < 1 s",
    )  # fmt: skip
    study.save(folder / "study.csv")
    same: roofsim.Swept = roofsim.sweep({"model": MODEL, "device": DEVICE, "prompt": [1024, 2048]})
    front: roofsim.Front = roofsim.pareto(
        MODEL, OTHER, device=DEVICE, batch=[1, 2, 4], objectives={"ttft": "min", "tokens_per_second": "max"}
    )
    advice: roofsim.Advice = roofsim.advise(MODEL, device=DEVICE, tpot="50ms", max_memory=6e9, runtime="llama.cpp")
    found: roofsim.SearchResult = roofsim.search(
        "dense", DEVICE, over={"depth": [8, 16], "width": "512..1024*2"}, where="tpot < 100 ms", against=MODEL
    )
    assert lengths
    assert len(table) == 24
    assert len(same) == 2
    return [repr(each) for each in (crossing, table, study, front, advice, found)]


def measured(runs: Path, calibration: Path) -> list[str]:
    fit: roofsim.Calibrated = roofsim.calibrate(runs, device=MEASURED, runtime=STACK, folds=3)
    made: roofsim.Calibration = fit.calibration
    fit.save(calibration)
    p = roofsim.predict(MODEL, MEASURED, STACK, calibration=made)
    same = roofsim.predict(MODEL, MEASURED, STACK, calibration=calibration)
    score: roofsim.Validated = roofsim.validate(runs, calibration=roofsim.calibration(calibration))
    assert p.request == same.request
    trace: roofsim.Traced = roofsim.validate_trace(trace_in(runs.parent), MODEL, DEVICE, passes=1)
    return [repr(each) for each in (fit, score, trace)]


def trace_in(folder: Path) -> Path:
    """A trace of one kernel."""
    path = folder / "trace.json"
    kernel = {"ph": "X", "cat": "kernel", "name": "gemm", "ts": 0, "dur": 100}
    path.write_text(json.dumps({"traceEvents": [kernel]}), encoding="utf-8")
    return path


def shown() -> list[str]:
    p = roofsim.predict(MODEL, DEVICE)
    record: object = p.to_dict()["request"]
    html: str = p._repr_html_()
    dollars: object = roofsim.predict(MODEL, DEVICE, price="1599USD", utilisation=0.5).cost.usd_per_million_output
    assert dollars
    assert record
    assert html.startswith("<p>")
    return list(p.to_pandas().columns)


def drawn(folder: Path) -> list[Figure]:
    p = roofsim.predict(MODEL, DEVICE)
    figures = [p.plot(), p.plot("memory"), plots.roofline(p), plots.memory(p)]
    figures += [plots.limits(roofsim.limits(MODEL, DEVICE, lengths=[1024, 2048]))]
    figures += [plots.breakdown(p, lengths="1k,4k", theme="dark"), plots.energy(p, lengths=[1024])]
    figures += [plots.attribution(p, p.with_(runtime="ideal")), plots.show(roofsim.show(DEVICE))]
    mesh = roofsim.sweep(MODEL, device=DEVICE, prompt=[1024, 2048], batch=[1, 2], figures=["ttft", "fits"])
    figures += [mesh.plot("heat"), plots.heat(mesh, "ttft"), roofsim.explain(MODEL, DEVICE).plot(theme="dark")]
    figures += [roofsim.advise(MODEL, device=DEVICE, tpot="50ms").plot()]
    figures += [roofsim.sampling(MODEL, DEVICE, trials=[1, 2], tokens=64).plot()]
    figures += [roofsim.predict("OLMoE-1B-7B", "rtx-4060", "llama.cpp", prompt=64, offload="experts=cpu").plot("tiers")]
    figures += [roofsim.reload(MODEL, "rtx-4090").plot(), plots.reload(roofsim.reload(MODEL, "rtx-4090", tiers="disk"))]
    drafts = roofsim.speculate(MODEL, DEVICE, draft=MODEL, accept="rate=0.5", draft_tokens=2)
    figures += [drafts.plot(), plots.speculate(drafts, theme="dark")]
    figures += [roofsim.phases(MODEL, "a100-sxm-80gb", prompt=[512], slo="itl=1s").plot()]
    served = roofsim.serve(OTHER, MEASURED, rate=2, slo="itl=50ms")
    fronts = roofsim.serve_front(MODEL, MEASURED, concurrency=[1, 8])
    figures += [served.plot(), plots.serve(served), fronts.plot(), plots.serve_front(fronts, theme="dark")]
    events = roofsim.simulate(MODEL, DEVICE, "ideal", rate=5.0, requests=5, generate=3)
    figures += [events.plot(), plots.simulate(events, theme="dark")]
    plots.save(figures[0], folder / "roofline.png")
    return figures


def listed() -> list[str]:
    lists: list[tuple[str, ...]] = [
        roofsim.devices(), roofsim.models(), roofsim.models(kind="ssm", max_size="1B"), roofsim.runtimes(),
        roofsim.hosts(), roofsim.calibrations(), roofsim.families(), roofsim.clusters(),
    ]  # fmt: skip
    sheet: roofsim.Sheet = roofsim.show("Zamba2-1.2B", dtype="fp16")
    cluster: roofsim.Cluster = roofsim.cluster("dgx-h100")
    assert cluster.devices > 1
    return [each[0] for each in lists] + [sheet.spec.name]


def fetched() -> Path:
    """Is read by mypy alone: it uses the network."""
    return roofsim.download("Qwen/Qwen2.5-0.5B")


def refused() -> str:
    try:
        roofsim.predict(MODEL, DEVICE, prompt=0)
    except roofsim.InputError as error:
        return str(error)
    raise AssertionError
