"""What load generators write about a server: TTFT and TPOT at a concurrency or a rate, as runs.

Fields are those that the tools write: vLLM's and SGLang's `bench_serving` (one lays out its result as the other),
AIPerf and its forerunner GenAI-Perf (`profile_export_aiperf.json`), guidellm (`benchmarks.json`), inference-perf
(`stage_0_lifecycle_metrics.json`), and MLPerf's LoadGen (`mlperf_log_detail.txt`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from roofsim.foundation.errors import InputError
from roofsim.foundation.units import finite
from roofsim.runs.fields import count, number, run, stated
from roofsim.runs.reading import Bad, Run

Found = Iterator[Run | Bad]


def reader_of(path: str, data: Any) -> Found | None:
    """The runs in JSON of one of these tools; None for that of another. Raises InputError for what says too little."""
    first = data[0] if isinstance(data, list) and data else data
    if not isinstance(first, Mapping):
        return None
    if "mean_ttft_ms" in first or "median_ttft_ms" in first:
        return (each for result in _several(data) for each in _bench_serving(result))
    if isinstance(first.get("time_to_first_token"), Mapping) and "avg" in first["time_to_first_token"]:
        return (each for result in _several(data) for each in _aiperf(result))
    if isinstance(first.get("benchmarks"), list):
        return (each for result in _several(data) for each in _guidellm(result))
    if "load_summary" in first and "successes" in first:
        return (each for result in _several(data) for each in _inference_perf(result))
    if "avg_latency" in first:
        return (_bench_latency(result) for result in _several(data))
    if {"elapsed_time", "total_num_tokens"} <= set(first):
        raise InputError(
            f"{path}: vLLM's throughput benchmark writes how long all requests took together, of what lengths it does "
            "not; save the result of `vllm bench serve` or of `vllm bench latency` instead"
        )
    return None


def _several(data: Any) -> Sequence[Mapping[str, Any]]:
    return data if isinstance(data, list) else [data]


def _served(
    *, framework: str, model: str, concurrency: int, prompt: int | None, generated: int | None, ttft: float | None,
    tpot: float | None, **notes: object,
) -> Found:  # fmt: skip
    """The rows of one load: `concurrency` is 0 where requests come at a rate, times are in seconds.

    One request at a time is a plain run, more are serving.
    """
    alone = concurrency == 1
    note = ";".join(f"{key}={value}" for key, value in notes.items() if value not in (None, ""))
    common = {
        "framework": framework.strip(),
        "model": model,
        "op": "e2e" if alone else "e2e_serving",
        "batch": concurrency or None,
        "prompt": prompt,
        "generated": generated,
        "metric": "latency_s",
        "note": note,
    }
    if ttft is not None:
        yield run(**common, phase="prefill", context=0, value=ttft)
    if tpot is not None and generated != 1:  # there is no step after a single token
        yield run(**common, phase="decode", context=prompt, value=tpot)


def _bench_latency(data: Mapping[str, Any]) -> Run:
    """`vllm bench latency --output-json`: seconds of a batch from its prompts to its last tokens; no more is told."""
    times = [stated(finite, "latencies", each) for each in data.get("latencies") or ()]
    value = median(times) if times else number(data, "avg_latency")
    return run(framework="vllm", phase="request", metric="latency_s", value=value)


def _rate(value: object) -> str:
    """A request rate for a note; empty where all requests are sent at once."""
    if value in (None, "", "inf", math.inf):
        return ""
    return f"{stated(finite, 'request_rate', value):g}"


def _bench_serving(data: Mapping[str, Any]) -> Found:
    """`vllm bench serve --save-result` and `sglang.bench_serving --output-file`."""
    done = count(data, "completed", least=1)
    prompt, generated = (round(count(data, name) / done) for name in ("total_input_tokens", "total_output_tokens"))
    concurrency = count(data, "max_concurrency", 0)
    told = data.get("server_info")
    server: Mapping[str, Any] = told if isinstance(told, Mapping) else {}
    # of one request at a time the median is the plain run; under load it is means that a steady state predicts
    order = ("median", "mean") if concurrency == 1 else ("mean", "median")
    backend = str(data.get("backend", ""))
    yield from _served(
        framework=backend if "sglang" in backend else f"vllm {backend}",
        model=str(data.get("model_id") or server.get("model_path") or ""),
        concurrency=concurrency,
        prompt=prompt,
        generated=generated,
        ttft=_milliseconds(data, *(f"{each}_ttft_ms" for each in order)),
        tpot=_milliseconds(data, *(f"{each}_tpot_ms" for each in order)),
        request_rate=_rate(data.get("request_rate")),
        burstiness=data.get("burstiness", ""),
        requests=done,
        tp=server.get("tp_size", ""),
    )


def _milliseconds(data: Mapping[str, Any], *names: str) -> float | None:
    """The first of several fields that is there, in seconds."""
    name = next((each for each in names if data.get(each) is not None), None)
    return None if name is None else number(data, name) * 1e-3


SECONDS = {"s": 1.0, "sec": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
"""What one of a unit that AIPerf states is in seconds."""


def _aiperf(data: Mapping[str, Any]) -> Found:
    """AIPerf's and GenAI-Perf's summary: a block of statistics for each metric, beside the configuration."""
    asked = data.get("input_config") or {}
    model = _named(asked, "model_names", "model_name", "models", "model")
    load = asked.get("loadgen") or asked.get("perf_analyzer") or asked
    concurrency = _found(load, "concurrency", 0)
    rate = _found(load, "request_rate", "")
    lengths = [round(_mean(data, f"{name}_sequence_length", "avg")) for name in ("input", "output")]
    yield from _served(
        framework=str(_named(asked, "backend", "service_kind")),
        model=model,
        concurrency=count({"concurrency": concurrency}, "concurrency", 0),
        prompt=lengths[0],
        generated=lengths[1],
        ttft=_timed(data, "time_to_first_token"),
        tpot=_timed(data, "inter_token_latency"),
        request_rate=_rate(rate),
        requests=round(_mean(data, "request_count", "avg")) if data.get("request_count") else "",
    )


def _named(asked: Mapping[str, Any], *names: str) -> str:
    """The first of several settings, wherever in the configuration, the first of a list of values."""
    value = next((found for name in names if (found := _found(asked, name, None)) not in (None, "", [])), "")
    return str(value[0] if isinstance(value, list) else value)


def _found(asked: Any, name: str, default: Any) -> Any:
    """A setting in a configuration or one of its sections."""
    if not isinstance(asked, Mapping):
        return default
    if asked.get(name) is not None:
        return asked[name]
    return next((each for part in asked.values() if (each := _found(part, name, None)) is not None), default)


def _mean(data: Mapping[str, Any], name: str, statistic: str) -> float:
    """A mean in a block of statistics; raises KeyError, ValueError."""
    return stated(finite, f"{name}.{statistic}", data[name][statistic])


def _timed(data: Mapping[str, Any], name: str) -> float | None:
    """The mean of a time, in seconds; None if it was not measured, as without streaming."""
    if not data.get(name):
        return None
    unit = str(data[name].get("unit", "ms"))
    if unit not in SECONDS:
        raise ValueError(f"{name}: the unit '{unit}' is not known; one of {', '.join(SECONDS)}")
    return _mean(data, name, "avg") * SECONDS[unit]


def _guidellm(data: Mapping[str, Any]) -> Found:
    """guidellm's report: one benchmark for each rate, with distributions by how requests ended."""
    for each in data["benchmarks"]:
        measured, config = each["metrics"], each.get("config") or each.get("args") or {}
        strategy = config.get("strategy") or {}
        kind = strategy.get("type_", "")
        concurrency = 1 if kind == "synchronous" else _found(strategy, "streams", 0) if kind == "concurrent" else 0
        yield from _served(
            framework=_named(config.get("backend") or {}, "engine", "type_", "kind"),
            model=_named(config.get("backend") or config, "model") or _named(data, "model"),
            concurrency=count({"streams": concurrency}, "streams", 0),
            prompt=round(_successful(measured, "prompt_token_count", "prompt_tokens")),
            generated=round(_successful(measured, "output_token_count", "output_tokens")),
            ttft=_successful(measured, "time_to_first_token_ms") * 1e-3,
            tpot=_successful(measured, "inter_token_latency_ms", "time_per_output_token_ms") * 1e-3,
            request_rate=_rate(strategy.get("rate")),
            arrivals=kind if kind in ("poisson", "constant") else "",
            requests=_found(measured.get("request_totals") or {}, "successful", ""),
        )


def _successful(measured: Mapping[str, Any], *names: str) -> float:
    """The mean over requests that succeeded, of the first of several names that is there; raises KeyError."""
    name = next((each for each in names if each in measured), names[0])
    return _mean(measured[name], "successful", "mean")


def _inference_perf(data: Mapping[str, Any]) -> Found:
    """inference-perf's lifecycle metrics of a stage; they do not name the model."""
    load, good = data["load_summary"], data["successes"]
    latency = good["latency"]
    rate = load.get("requested_rate") or load.get("achieved_rate")
    if rate is None and load.get("concurrency") is None:
        raise ValueError("load_summary: neither a rate nor a concurrency; give the file of a stage, not the summary")
    concurrency = count(load, "concurrency", 0)
    yield from _served(
        framework="",
        model="",
        concurrency=concurrency,
        prompt=round(_mean(good, "prompt_len", "mean")),
        generated=round(_mean(good, "output_len", "mean")),
        ttft=_mean(latency, "time_to_first_token", "mean") if latency.get("time_to_first_token") else None,
        tpot=_mean(latency, "time_per_output_token", "mean") if latency.get("time_per_output_token") else None,
        request_rate="" if concurrency else _rate(rate),
        requests=count(good, "count", least=1),
    )


MLPERF = re.compile(r"^:::MLLOG (\{.*\})\s*$", re.MULTILINE)
"""A line of LoadGen's detailed log, whose JSON has a key and a value."""

NANOSECOND = 1e-9


def mlperf(entries: Sequence[Mapping[str, Any]]) -> Found:
    """`mlperf_log_detail.txt` of a language model: it states neither the model nor the lengths of its data set."""
    told = {str(each.get("key")): each.get("value") for each in entries}
    scenario = str(told.get("effective_scenario") or told.get("requested_scenario") or "")
    if "result_first_token_mean_latency_ns" not in told:
        raise ValueError("no time to first token; LoadGen writes it where use_token_latencies is on")
    step = "result_time_to_output_token_mean"
    yield from _served(
        framework="",
        model="",
        concurrency=int(scenario == "SingleStream"),
        prompt=None,
        generated=None,
        ttft=number(told, "result_first_token_mean_latency_ns") * NANOSECOND,
        tpot=number(told, step) * NANOSECOND if step in told else None,
        request_rate=_rate(told.get("result_scheduled_samples_per_sec")),
        scenario=scenario,
    )
