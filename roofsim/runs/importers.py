"""Outputs of other tools as runs: llama.cpp's benchmarks, optimum-benchmark, load generators, vLLM's start-up logs.

What a file is shows in its content, not in its name. Anything else is read as a CSV of the schema.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from roofsim.foundation.errors import InputError, SpecError
from roofsim.foundation.units import finite
from roofsim.runs import load_tests
from roofsim.runs.columns import METRICS
from roofsim.runs.fields import count, number, run, stated
from roofsim.runs.llama_tables import INSERTED, TABLE, inserted, tables
from roofsim.runs.reading import Bad, Run, Runs, digest, read_csv, refusal
from roofsim.specs.json_text import parsed
from roofsim.specs.text import read_text, regular

MAX_BYTES = 200_000_000
"""Outputs of these tools are a few megabytes; a CSV of the schema may be of any size."""


def read_runs(path: str, *, skip_bad_rows: bool = False) -> Runs:
    """The runs in a file, whichever tool wrote it; raises InputError as `read_csv` does."""
    head = _head(path)
    if head.lstrip("\ufeff \t\r\n")[:1] in ("{", "["):
        return _made(path, skip_bad_rows, _from_json(path, _text(path)))
    first = head.splitlines()[0] if head.strip() else ""
    if {"n_prompt", "n_gen", "avg_ns"} <= {cell.strip().strip('"') for cell in first.split(",")}:
        return _made(path, skip_bad_rows, llama_bench(csv.DictReader(_text(path).splitlines())))
    if TABLE.search(text := _text(path) if _is_log(path) else head):
        return _made(path, skip_bad_rows, _llama(tables(text if _is_log(path) else _text(path))))
    if INSERTED.search(head):
        return _made(path, skip_bad_rows, llama_bench(inserted(_text(path))))
    if head.startswith(":::MLLOG"):
        entries = [parsed(line, path) for line in load_tests.MLPERF.findall(_text(path))]
        return _made(path, skip_bad_rows, load_tests.mlperf(entries))
    if _is_log(path) and re.search(r"KV cache size|LLM engine|[Mm]odel (loading|weights) took", text):
        return _made(path, skip_bad_rows, _vllm_log(text))
    return read_csv(path, skip_bad_rows=skip_bad_rows)


def read_all(paths: Sequence[str], *, skip_bad_rows: bool = False) -> Runs:
    """The runs of several files as one; their digest is that of their digests."""
    found = [read_runs(path, skip_bad_rows=skip_bad_rows) for path in paths]
    if len(found) == 1:
        return found[0]
    digest = hashlib.sha256("".join(each.digest for each in found).encode()).hexdigest()
    runs = tuple(run for each in found for run in each.runs)
    return Runs(" + ".join(each.file for each in found), digest, runs, tuple(b for each in found for b in each.bad))


def _head(path: str) -> str:
    regular(path)
    try:
        with open(path, "rb") as file:
            return file.read(65_536).decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None


def _is_log(path: str) -> bool:
    return path.endswith((".log", ".txt", ".out", ".md"))


def _text(path: str) -> str:
    return read_text(path, MAX_BYTES, "the output of a benchmark")


def _made(path: str, skip_bad_rows: bool, found: Iterator[Run | Bad]) -> Runs:
    """The runs of a file of another tool, with the same rules as for a CSV."""
    runs: list[Run] = []
    bad: list[Bad] = []
    try:
        for number, each in enumerate(found, 1):
            if isinstance(each, Bad):
                bad.append(each)
                continue
            row = METRICS[each.metric]
            if row.low <= each.value <= row.high:
                runs.append(each._replace(line=each.line or number))
            else:
                bad.append(Bad(number, f"{each.metric}: {each.value:g} {row.unit} is not plausible"))
    except (ValueError, csv.Error) as error:
        raise InputError(f"{path}: {error}") from None
    except KeyError as error:
        raise InputError(f"{path}: not an output that can be read: {error} is not there") from None
    except (TypeError, AttributeError, IndexError):
        raise InputError(f"{path}: not an output that can be read: it is not laid out as this tool does it") from None
    if bad and not skip_bad_rows:
        raise InputError(refusal(path, bad))
    if not runs:
        raise InputError(f"{path}: holds no measured figure")
    return Runs(Path(path).name, digest(path), tuple(runs), tuple(bad))


def _from_json(path: str, text: str) -> Iterator[Run | Bad]:
    try:
        data = parsed(text, path)
    except SpecError:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2 or not all(line.lstrip()[:1] == "{" for line in lines):
            raise
        data = [parsed(line, path) for line in lines]
    first = data[0] if isinstance(data, list) and data else data
    if isinstance(first, dict) and {"avg_ns", "t_pp"} & set(first):
        return _llama(data if isinstance(data, list) else [data])
    if isinstance(data, dict) and ("report" in data or {"prefill", "decode"} & set(data)):
        return _optimum(path, data)
    if (found := load_tests.reader_of(path, data)) is not None:
        return found
    raise InputError(
        f"{path}: JSON of no kind that is known: llama-bench, optimum-benchmark, vLLM's and SGLang's benchmarks, "
        "AIPerf, guidellm, inference-perf"
    )


TRUE = ("1", "true", "True")
"""How llama.cpp's programs write what is so."""


def _llama(rows: Any) -> Iterator[Run | Bad]:
    """Rows of llama-bench, and of llama-batched-bench."""
    for line, row in enumerate(rows, 2):
        told = {"line": line, **row}
        yield from batched_bench(told) if "t_pp" in row else llama_bench([told])


def batched_bench(row: Mapping[str, Any]) -> Iterator[Run | Bad]:
    """A row of llama-batched-bench: seconds of the prompts of all sequences, and of so many steps of all."""
    if str(row.get("is_tg_separate", "0")) in TRUE:
        yield Bad(row["line"], "sequences that generate one after another (-tgs) are no batch")
        return
    batch, prompt, steps = (count(row, name, least=1) for name in ("pl", "pp", "tg"))
    common = {
        "line": row["line"], "device": _device(row.get("gpu_info")), "framework": "llama.cpp", "dtype": "f16",
        "prompt": prompt, "metric": "latency_s", "note": f"tool=llama-batched-bench;n_ubatch={row.get('n_ubatch', '')}",
    }  # fmt: skip
    read = 1 if str(row.get("is_pp_shared", "0")) in TRUE else batch
    yield run(**common, phase="prefill", batch=read, context=0, value=number(row, "t_pp"))
    value = number(row, "t_tg") / steps
    yield run(**common, phase="decode", batch=batch, context=prompt, generated=steps, value=value)


def llama_bench(rows: Any) -> Iterator[Run | Bad]:
    """llama-bench -o csv or json: `pp` is the time of a prompt, `tg` that of so many tokens, `pp+tg` of both."""
    for number_of_row, row in enumerate(rows, 2):
        line = int(row.get("line", number_of_row))
        prompt, generated, depth = (count(row, name, 0) for name in ("n_prompt", "n_gen", "n_depth"))
        if not prompt and not generated:
            yield Bad(line, "a test of no tokens")
            continue
        request = bool(prompt and generated)  # -pg: the time of a prompt and of so many steps after it
        seconds = number(row, "avg_ns") * 1e-9
        name = Path(str(row["model_filename"])).stem
        flash = str(row.get("flash_attn", "0")).lower()
        notes = [
            "tool=llama-bench",
            f"fa={int(flash in ('1', 'true', 'on'))}",
            f"n_ubatch={row.get('n_ubatch', '')}",
            f"model_bytes={count(row, 'model_size', least=1, most=10**15)}B",
        ]
        yield run(
            line=line,
            device=_device(row.get("gpu_info")) or str(row.get("cpu_info") or ""),
            framework=f"llama.cpp b{row.get('build_number', '')} ({row.get('backends', '')})",
            model=_without_format(name) or str(row.get("model_name", "")),
            phase="request" if request else "prefill" if prompt else "decode",
            dtype="f16",
            weight_dtype=_ggml_format(str(row.get("model_type", "")), name),
            batch=1,
            prompt=prompt,
            context=depth,
            generated=generated + request,  # the first comes with the prompt
            metric="latency_s",
            value=seconds if prompt else seconds / generated,
            note=";".join(notes),
        )


def _device(words: Any) -> str:
    """The first of several devices, without its maker."""
    first = str(words or "").split(",")[0]
    return re.sub(r"^(NVIDIA|AMD|Intel)( GeForce)? ", "", first).strip()


_FORMAT = re.compile(r"[-._ ]((?:I?Q\d[\w]*|F16|BF16|F32))$", re.IGNORECASE)


def _without_format(stem: str) -> str:
    """`Meta-Llama-3-8B-Instruct-Q4_K_M` without its last part."""
    return _FORMAT.sub("", stem)


def _ggml_format(kind: str, stem: str) -> str:
    """`llama 8B Q4_K - Medium` is q4_k_m, `gpt-oss 20B MXFP4 MoE` mxfp4_moe."""
    if "MXFP4 MoE" in kind:
        return "mxfp4_moe"
    match = re.search(r"(NVFP4|[IT]?Q\d\w*|BF16|F16|all F32)(?: - (Small|Medium|Large))?", kind)
    if match:
        size = f"_{match[2][0]}" if match[2] else ""
        return f"{match[1].removeprefix('all ')}{size}".lower()
    found = _FORMAT.search(stem)
    return found[1].lower() if found else ""


def _optimum(path: str, data: Mapping[str, Any]) -> Iterator[Run | Bad]:
    """optimum-benchmark's benchmark.json: config beside report."""
    if "config" not in data:
        raise InputError(f"{path}: a report without its config; give the benchmark.json that holds both")
    config, report = data["config"], data["report"]
    backend, scenario = config["backend"], config["scenario"]
    shapes, asked = scenario["input_shapes"], scenario.get("generate_kwargs") or {}
    prompt, generated = count(shapes, "sequence_length", least=1), count(asked, "max_new_tokens", 1, least=1)
    gpus = (config.get("environment") or {}).get("gpu") or []
    common = {
        "source": str(data.get("name") or config.get("name") or ""),
        "device": _device(gpus[0] if isinstance(gpus, list) and gpus else gpus),
        "framework": f"{backend.get('name', 'pytorch')} {backend.get('version') or ''} (optimum-benchmark)".strip(),
        "model": str(backend["model"]),
        "dtype": str(backend.get("torch_dtype") or backend.get("dtype") or "").removeprefix("torch."),
        "batch": count(shapes, "batch_size", 1, least=1),
        "prompt": prompt,
    }
    for phase in ("prefill", "decode"):
        part = report.get(phase)
        if not part:
            continue
        steps = max(generated - 1, 1) if phase == "decode" else 1
        sizes = {"context": prompt, "generated": generated} if phase == "decode" else {"context": 0, "generated": 0}
        for metric, value in _optimum_figures(part, steps):
            yield run(**common, **sizes, phase=phase, metric=metric, value=value)


_TO_SI = {"s": 1, "ms": 1e-3, "MB": 1e6, "MiB": 2**20, "kWh": 3.6e6, "J": 1}


def _optimum_figures(part: Mapping[str, Any], steps: int) -> Iterator[tuple[str, float]]:
    """Means of latency (per step), peak memory and energy (per step) in SI units."""
    latency, memory, energy = (part.get(name) or {} for name in ("latency", "memory", "energy"))
    if latency:
        yield "latency_s", (_mean(latency)) * _si(latency, "s") / steps
    for key, metric in (("max_allocated", "peak_mem_bytes"), ("max_reserved", "peak_reserved_bytes")):
        if memory.get(key) is not None:
            yield metric, number(memory, key) * _si(memory, "MB")
    if energy.get("gpu"):  # nought where there is no GPU
        yield "energy_j", number(energy, "gpu") * _si(energy, "kWh") / steps


def _mean(latency: Mapping[str, Any]) -> float:
    """The mean that is stated, or that of the values."""
    if latency.get("mean") is not None:
        return number(latency, "mean")
    if not latency.get("values"):
        raise ValueError("latency: states neither a mean nor values")
    return fmean(stated(finite, "values", each) for each in latency["values"])


def _si(data: Mapping[str, Any], usual: str) -> float:
    """What one of the unit that is stated is in SI."""
    unit = str(data.get("unit", usual))
    if unit not in _TO_SI:
        raise ValueError(f"unit: '{unit}' is not known; one of {', '.join(_TO_SI)}")
    return _TO_SI[unit]


def _vllm_log(text: str) -> Iterator[Run | Bad]:
    """What an engine says at its start: the size of the weights and how many tokens of cache fit."""
    engine = re.search(r"LLM engine \(v?([\w.+]+)\)", text)
    model = re.search(r"model='([^']+)'", text)
    dtype = re.search(r"dtype=torch\.(\w+)", text)
    common = {
        "framework": f"vllm {engine[1] if engine else ''}".strip(),
        "model": model[1] if model else "",
        "dtype": dtype[1] if dtype else "",
        "phase": "load",
    }
    patterns: Sequence[tuple[str, str]] = (
        (r"(?:Model loading|[Ll]oading model weights) took ([\d.]+) (G|M)i?B", "weights_bytes"),
        (r"KV cache size: ([\d,]+) tokens", "kv_tokens"),
    )
    for pattern, metric in patterns:
        match = re.search(pattern, text)
        if match:
            number = stated(finite, metric, match[1].replace(",", ""))
            # the log says GB and GiB in turn for the same 2^30 bytes
            value = number * {"G": 2**30, "M": 2**20}[match[2]] if metric == "weights_bytes" else number
            yield run(**common, line=text[: match.start()].count("\n") + 1, metric=metric, value=value)
