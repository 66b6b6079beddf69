"""Anything that can be read is tried with anything that can stand in it.

Each target takes what is right, puts something odd in a few places, and holds the program to three laws: it answers
or refuses with an InputError (never another exception), it does so soon, and an answer has no figure that is
negative, missing or not finite. `ROOFSIM_FUZZ=100000 pytest tests/fuzz` tries that many cases of each target, others
every time, which takes hours; without it a few are tried, always the same.
"""

from __future__ import annotations

import copy
import functools
import json
import math
import os
import random
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from alarm import no_longer
from click.testing import CliRunner
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import roofsim
from roofsim import library
from roofsim.adapters.gguf.read import read_gguf
from roofsim.cli import group
from roofsim.foundation.errors import InputError
from roofsim.foundation.problems import build
from roofsim.model.architecture import Architecture
from roofsim.runs.importers import read_runs

ASKED = int(os.environ.get("ROOFSIM_FUZZ", 0))
CASES = ASKED or 40
SECONDS = 60
"""A case that takes longer hangs."""

CHECKS = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
tried = settings(
    max_examples=CASES,
    deadline=None,
    derandomize=not ASKED,
    suppress_health_check=CHECKS,
    print_blob=True,
    database=None,
)


def some(share: float) -> settings:
    """For targets whose cases take longer: a share of the cases."""
    return settings(tried, max_examples=max(int(CASES * share), 5))


# --- what is odd ---

NUMBERS: list[Any] = [
    0, -1, 1, 2, 7, 10**9, 10**12, 10**30, int("9" * 400), 0.0, -0.5, 0.1, 1.5, 1e-320, 1e30, 1e308, math.inf,
    -math.inf, math.nan, True, False, None,
]  # fmt: skip
WORDS = [
    "", " ", "x", "1²", "١٢", "9" * 400, "9" * 5000, "-1", "+1", "nan", "inf", "1e400", "1e5", "0x10", "1_000", "1,000",
    "1.2.3GB", "24 GiB", "1 TB/s", "0 B", "50ms", "2x", "0x", "1e308x", "4k", "1..4k", "1k..1", "true", "none", "auto",
    "bf16", "fp8", "q4_k_m", "attention", "é", "🙂", "a" * 300, "../x", "/dev/null", "{}", "[", "'", '"', "%s", "{0}",
    "\0", "a\nb", "=", ";", "@", "a@b", ":", "..", "\u202e", "~", "~nobody/x", "-", "--", "*",
]  # fmt: skip
odd = st.one_of(
    st.sampled_from([*NUMBERS, *WORDS, [], {}, [[]], [1, 2], {"a": 1}, {"value": 1}, {"kind": "attention"}]),
    st.integers(-5, 10**13),
    st.floats(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
).map(copy.deepcopy)  # lists among them are put into what others are put into
words = st.one_of(st.sampled_from(WORDS), st.from_regex(r"[0-9a-zA-Z.,*=:@ +-]{0,12}", fullmatch=True))


@st.composite
def mutated(draw: Any, tree: Any) -> Any:
    """A tree of mappings and lists with something odd in one to three places, left out, twice, or added."""
    tree = copy.deepcopy(tree)
    for _ in range(draw(st.integers(1, 3))):
        node = tree
        while isinstance(node, dict | list) and node:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            key = draw(st.sampled_from(keys))
            below = node[key]
            if isinstance(below, dict | list) and below and draw(st.integers(0, 9)):
                node = below
                continue
            match draw(st.sampled_from(["set", "set", "set", "drop", "twice", "add"])):
                case "set":
                    node[key] = draw(odd)
                case "drop":
                    del node[key]
                case "twice" if isinstance(node, list):
                    node.insert(key, below)
                case "add" if isinstance(node, dict):
                    node[draw(st.sampled_from(["unknown", "value", "kind", "window", ""]))] = draw(odd)
            break
    return tree


@st.composite
def scrambled(draw: Any, data: bytes) -> bytes:
    """Bytes of which a few are others, missing, or there again."""
    made = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(made) - 1, 0)))
        match draw(st.sampled_from(["set", "cut", "drop", "insert"])):
            case "set" if made:
                made[at] = draw(st.integers(0, 255))
            case "cut":
                del made[at:]
            case "drop":
                del made[at : at + draw(st.integers(1, 20))]
            case "insert":
                made[at:at] = draw(st.binary(min_size=1, max_size=12))
    return bytes(made)


# --- the laws ---


MOST_LETTERS = 6_000


def answer(call: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """What a call gives; None if it refuses, with words that can be read and printed."""
    with no_longer(SECONDS):
        try:
            return call(*given, **named)
        except InputError as error:
            said = str(error)
            assert said.strip(), "a refusal says why"
            assert len(said) < MOST_LETTERS, f"{len(said)} letters"
            said.encode()
            return None


SIGNED = re.compile(r"error|bias|slope|elasticit|change|saving|headroom|share|difference|log|correlation")
"""Figures that may be below nought."""


def sound(value: Any, where: str = "") -> None:
    """Raises AssertionError if there is a number below nought or none in an answer."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            sound(each, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for i, each in enumerate(value):
            sound(each, f"{where}[{i}]")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        assert math.isfinite(value), f"{where} is {value}"
        assert value >= 0 or SIGNED.search(where), f"{where} is {value}"


FIGURES = ("prefill", "decode", "request", "memory", "limits")


def predicted(*given: Any, **named: Any) -> Any:
    """A prediction that keeps the laws, or None if it is refused."""
    found = answer(roofsim.predict, *given, **named)
    if found is not None:
        shown = found.to_dict()
        for name in FIGURES:
            assert shown[name], f"{name} is missing"
        for name in ("ttft", "total_time"):
            assert shown["request"][name] > 0, name
        sound(shown)
        assert repr(found)
    return found


# --- spec files ---

MODEL, DEVICE, RUNTIME, HOST = "Qwen2.5-0.5B", "rtx-4090", "vllm", "desktop"


def tree(kind: str, name: str) -> Any:
    return yaml.safe_load(library.names(kind)[name].read_text(encoding="utf-8"))


SPECS = {
    **{f"model {name}": (tree("models", name), (DEVICE,)) for name in ("Qwen2.5-0.5B", "Zamba2-1.2B", "Mixtral-8x7B")
       if name in library.names("models")},
    "device": (tree("hardware", "jetson-orin-nano-8gb"), (MODEL,)),
    "cpu": (tree("hardware", "raspberry-pi-5"), (MODEL,)),
    "runtime": (tree("runtimes", "vllm"), (MODEL, DEVICE)),
    "host": (tree("hardware/hosts", HOST), (MODEL, DEVICE)),
    "cluster": (tree("hardware/clusters", "dgx-h100"), (MODEL, "h100-sxm")),
    "calibration": (tree("hardware/calibrated", sorted(library.names("hardware/calibrated"))[0]), (MODEL, DEVICE)),
}  # fmt: skip


def with_file(kind: str, path: Path, others: tuple[str, ...]) -> Any:
    """A prediction with a spec file in the place of one that is shipped."""
    match kind.split()[0]:
        case "model":
            return predicted(str(path), *others)
        case "device" | "cpu":
            return predicted(*others, str(path))
        case "runtime":
            return predicted(*others, str(path))
        case "host":
            return predicted(*others, host=str(path))
        case "cluster":
            return predicted(*others, cluster=str(path), tp=2)
    return predicted(*others, calibration=str(path), transfer=True)


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOFSIM_CACHE", "off")


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """Writes a file."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.mark.parametrize("kind", SPECS)
@some(0.25)
@given(data=st.data())
def test_a_spec_with_something_odd_in_it(file, kind, data):
    values, others = SPECS[kind]
    with_file(kind, file("odd.yaml", yaml.safe_dump(data.draw(mutated(values)), sort_keys=False)), others)


@some(0.5)
@given(data=st.data())
def test_the_bytes_of_a_spec(file, data):
    text = library.names("hardware")["raspberry-pi-5"].read_bytes()
    predicted(MODEL, str(file("odd.yaml", data.draw(scrambled(text)))))


YAML = st.sampled_from(
    ["!!bool maybe", "!!int x", "!!set {a}", "!!binary x", "&a 1", "*a", "<<: {a: 1}", "? [a]\n: 1", "2024-13-45",
     ".inf", ".nan", "0b2", "1:99", "~", "|", ">\n x", "- - - 1", "{", "[", "---", "...", "%YAML 9", "\t", "yes",
     "=", "@", "`"]
)  # fmt: skip


@tried
@given(lines=st.lists(st.one_of(YAML, words, st.from_regex(r"[a-z_]{1,8}: .{0,12}", fullmatch=True)), max_size=8))
def test_lines_that_may_be_yaml(file, lines):
    path = str(file("odd.yaml", "\n".join(lines)))
    predicted(MODEL, path)
    answer(library.architecture, path)


@pytest.mark.parametrize("kind", ["device", "model Qwen2.5-0.5B", "runtime", "host"])
@some(0.1)
@given(name=st.from_regex(r"[a-z]{3,8}(_[a-z]{3,8})?", fullmatch=True), value=odd)
def test_a_field_that_is_not_known_is_refused(file, kind, name, value):
    values, others = SPECS[kind]
    if name not in values:
        path = file("odd.yaml", yaml.safe_dump({**values, f"{name}_": value}, sort_keys=False))
        assert with_file(kind, path, others) is None


# --- published configs ---

CONFIGS = json.loads((Path(__file__).parents[1] / "data" / "configs.json").read_text(encoding="utf-8"))["configs"]
CONFIGS = {str(i): each for i, each in enumerate(CONFIGS)} if isinstance(CONFIGS, list) else CONFIGS


@tried
@given(data=st.data())
def test_a_config_with_something_odd_in_it(file, data):
    config = data.draw(st.sampled_from(sorted(CONFIGS)).map(CONFIGS.__getitem__))
    predicted(str(file("config.json", json.dumps(data.draw(mutated(config))))), DEVICE)


@some(0.5)
@given(data=st.data(), name=st.from_regex(r"[a-z]{4,9}", fullmatch=True), value=odd)
def test_a_field_of_a_config_that_is_not_known_is_refused_or_noted(file, data, name, value):
    config = data.draw(st.sampled_from(sorted(CONFIGS)).map(CONFIGS.__getitem__))
    path = file("config.json", json.dumps({**config, f"zz_{name}": value}))
    found = answer(library.read_published, path)
    if found is not None:
        assert f"zz_{name}" in found.ignored or any(f"zz_{name}" in note for note in found.notes)


@some(0.5)
@given(data=st.data())
def test_the_bytes_of_a_config(file, data):
    text = json.dumps(data.draw(st.sampled_from(sorted(CONFIGS)).map(CONFIGS.__getitem__)))
    predicted(str(file("config.json", data.draw(scrambled(text.encode())))), DEVICE)


# --- GGUF ---

HEADERS = list(map(json.loads, (Path(__file__).parents[1] / "validation/gguf_headers.jsonl").read_text().splitlines()))
LLAMA = next(each for each in HEADERS if each["architecture"] == "llama")


def tensors(lines: list[str]) -> dict[str, tuple[tuple[int, ...], str]]:
    """Name, shape and type of the tensors in a line each."""
    found = {}
    for line in lines:
        name, _, shape, kind = line.split(" ")
        found[name] = (tuple(map(int, shape.split("x"))), kind)
    return found


@some(0.5)
@given(data=st.data())
def test_the_bytes_of_a_gguf_file(file, write_gguf, tmp_path, data):
    path = tmp_path / "right.gguf"
    if not path.exists():
        write_gguf(path, "llama", LLAMA["metadata"], tensors(LLAMA["tensors"]))
    content = path.read_bytes()
    head = content[:12_000]  # the rest are holes
    odd_file = file("odd.gguf", data.draw(scrambled(head)) + content[12_000:])
    found = answer(read_gguf, odd_file)
    if found is not None:
        predicted(str(odd_file), DEVICE, "llama.cpp")


@some(0.5)
@given(data=st.data())
def test_the_fields_of_a_gguf_file(write_gguf, tmp_path, data):
    header = data.draw(st.sampled_from(HEADERS))
    numbers = st.one_of(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 3, 2**31]), st.floats(width=32), words)
    metadata = dict(header["metadata"])
    for key in data.draw(st.lists(st.sampled_from(sorted(metadata)), min_size=1, max_size=2)):
        value = data.draw(numbers)
        metadata[key] = value if isinstance(value, int | float) else value.replace("\0", "")
    path = tmp_path / "odd.gguf"
    write_gguf(path, header["architecture"], metadata, tensors(header["tensors"]))
    predicted(str(path), DEVICE, "llama.cpp")


# --- files of runs ---

HEAD = ["source", "device", "framework", "model", "phase", "op", "dtype", "weight_dtype", "batch", "prompt_len",
        "context_len", "gen_len", "metric", "value", "note"]  # fmt: skip
ROWS = [
    ["x", "RTX 4090", "", MODEL, "prefill", "e2e", "bf16", "", "1", "1024", "0", "", "latency_s", "0.0143", ""],
    ["x", "RTX 4090", "vllm", MODEL, "decode", "e2e", "bf16", "", "4", "", "2048", "64", "latency_s", "0.01", "std=1"],
    ["x", "H100 SXM", "llama.cpp", MODEL, "decode", "e2e", "f16", "Q4_K - Medium", "1", "", "512", "", "energy_j", "1",
     ""],
    ["", "RTX 4090", "", "", "prefill", "gemm", "bf16", "", "", "", "", "", "latency_s", "1e-4", "m=64;n=64;k=64"],
    ["", "RTX 4090", "", "", "decode", "attention_decode", "bf16", "", "2", "", "512", "", "device_time_s", "1e-4",
     "heads=8;kv_heads=2;head_dim=64"],
    ["", "RTX 4090", "", "", "prefill", "ssd_chunk_scan", "", "", "1", "512", "", "", "latency_s", "1e-4",
     "nheads=8;head_dim=64;d_state=64"],
    ["", "RTX 4090", "vllm", MODEL, "load", "e2e", "", "", "1", "", "", "", "kv_tokens", "100000", ""],
    ["", "orin", "", MODEL, "prefill", "e2e", "", "", "1", "256", "", "", "peak_mem_bytes", "2e9", "power_mode=15W"],
]  # fmt: skip
cells = st.one_of(
    words, st.sampled_from([str(each) for each in NUMBERS]),
    st.sampled_from(["m=;n=2", "m=0;n=0;k=0", "model_bytes=1.2.3GB", "threads=9" + "9" * 30, "kv_dtype=x", "tp=0",
                     "max_num_seqs=0", "suspect=1", "op:aten::linear", "forward_gpu_busy", "selective_scan", "copy"]),
)  # fmt: skip


@st.composite
def tables(draw: Any) -> str:
    """A CSV of rows with odd cells."""
    import csv
    import io

    head, rows = list(HEAD), [list(draw(st.sampled_from(ROWS))) for _ in range(draw(st.integers(1, 4)))]
    for _ in range(draw(st.integers(0, 4))):
        row = draw(st.sampled_from(rows))
        row[draw(st.integers(0, len(row) - 1))] = draw(cells)
    if not draw(st.integers(0, 9)):
        draw(st.sampled_from([head, *rows])).pop()
    if not draw(st.integers(0, 9)):
        head[draw(st.integers(0, len(head) - 1))] = draw(words)
    text = io.StringIO()
    csv.writer(text).writerows([head, *rows])
    return text.getvalue()


def validated(path: Path, **more: Any) -> None:
    """A validation that keeps the laws: every row is predicted or counted with its reason."""
    found = answer(roofsim.validate, path, **more)
    if found is not None:
        result = found.validation if hasattr(found, "validation") else found
        shown = result.to_dict()
        sound(shown)
        assert shown["scored"] + sum(shown["skipped"].values()) == shown["figures"]
        assert all(row["predicted"] > 0 for row in shown["rows"])


@tried
@given(text=tables(), skip=st.booleans())
def test_a_table_of_runs_with_odd_cells(file, text, skip):
    validated(file("odd.csv", text), skip_bad_rows=skip, device=DEVICE)


@some(0.5)
@given(text=tables().flatmap(lambda text: scrambled(text.encode())))
def test_the_bytes_of_a_table(file, text):
    validated(file("odd.csv", text), skip_bad_rows=True)


NAMES = ["batch", "prompt_len", "op", "model", "value", "nothing", "suspect", "m"]
OPERATORS = st.sampled_from(["+", "-", "*", "/", "//", "%", "**", "<", "==", "in", "and", "or"])
conditions = st.recursive(
    st.one_of(st.sampled_from([*NAMES, "1", "0", "-1", "1e400", "9**9**9", "'x'", "50ms", "4k", "()"]), words),
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, OPERATORS, inner),
        inner.map("not {}".format),
        st.builds("{}({})".format, st.sampled_from(["sqrt", "min", "log", "exp", "round", "f"]), inner),
    ),
    max_leaves=5,
)


@tried
@given(where=conditions)
@example(where="not " * 2500 + "batch")
def test_a_condition_on_rows(file, where):
    text = "\n".join(",".join(row) for row in [HEAD, *ROWS[:2]])
    validated(file("runs.csv", text), where=where)


# --- outputs of tools ---

TOOLS: dict[str, Any] = {
    "llama-bench": [
        {"build_number": 1, "backends": "CUDA", "gpu_info": "NVIDIA GeForce RTX 4090", "cpu_info": "x",
         "model_filename": "Meta-Llama-3-8B-Q4_K_M.gguf", "model_type": "llama 8B Q4_K - Medium",
         "model_size": 4912898304, "n_prompt": 512, "n_gen": 0, "n_depth": 0, "avg_ns": 1e8, "flash_attn": True},
    ],
    "vllm": {"backend": "vllm", "model_id": f"Qwen/{MODEL}", "completed": 10, "total_input_tokens": 10240,
             "total_output_tokens": 1280, "median_ttft_ms": 12.0, "median_tpot_ms": 5.0, "max_concurrency": 1},
    "optimum": {
        "config": {"name": "x", "backend": {"name": "pytorch", "version": "2", "model": f"Qwen/{MODEL}"},
                   "scenario": {"input_shapes": {"batch_size": 1, "sequence_length": 1024},
                                "generate_kwargs": {"max_new_tokens": 128}},
                   "environment": {"gpu": ["NVIDIA GeForce RTX 4090"]}},
        "report": {"prefill": {"latency": {"unit": "s", "mean": 0.01, "values": [0.01]},
                               "memory": {"unit": "MB", "max_allocated": 2000.0},
                               "energy": {"unit": "kWh", "gpu": 1e-6}},
                   "decode": {"latency": {"unit": "s", "mean": 1.0}}},
    },
}  # fmt: skip


@pytest.mark.parametrize("tool", TOOLS)
@some(0.4)
@given(data=st.data(), skip=st.booleans())
def test_an_output_of_a_tool(file, tool, data, skip):
    path = file("odd.json", json.dumps(data.draw(mutated(TOOLS[tool]))))
    found = answer(read_runs, str(path), skip_bad_rows=skip)
    if found is not None:
        assert all(run.value > 0 and math.isfinite(run.value) for run in found.runs)
        validated(path, skip_bad_rows=skip, device=DEVICE)


LOG = ["LLM engine (v0.6)", f"model='Qwen/{MODEL}'", "dtype=torch.bfloat16", "Model loading took 1.2.3 GiB",
       "Model loading took 0.93 GiB", "KV cache size: ,,, tokens", "KV cache size: 1,234,567 tokens"]  # fmt: skip


@some(0.5)
@given(lines=st.lists(st.one_of(words, st.sampled_from(LOG)), max_size=8))
def test_a_log(file, lines):
    validated(file("odd.log", "\n".join(lines)), device=DEVICE, skip_bad_rows=True)


# --- command lines ---

COMMANDS: dict[str, tuple[str, list[str]]] = {
    "predict": (
        f"predict {MODEL} -d {DEVICE}",
        ["-p", "-b", "-g", "--dtype", "--cache", "--weights", "--logits", "-r", "--offload"],
    ),
    "limits": (f"limits {MODEL} -d {DEVICE}", ["-p", "-b", "-g", "--dtype", "--cache", "--weights", "--lengths", "-r"]),
    "explain": (f"explain {MODEL} -d {DEVICE}", ["-p", "-b", "-g", "-m", "-r", "--host", "--calibration"]),
    "compare": (f"compare {MODEL} -d {DEVICE}", ["-p", "-b", "-g", "-r", "--max-ttft", "--min-tps", "--sort"]),
    "sweep": (f"sweep {MODEL} -d {DEVICE}", ["-p", "-b", "--where", "--derive", "--figures", "--sample", "--weights"]),
    "sampling": (f"sampling {MODEL} -d {DEVICE}", ["-n", "-g", "-p", "--budget", "--share"]),
    "speculate": (
        f"speculate {MODEL} -d {DEVICE} --draft ngram --accept 0.5",
        ["--draft", "--accept", "-k", "-p", "-b", "-g", "--draft-weights", "--rollback", "--overhead"],
    ),
    "simulate": (
        f"simulate {MODEL} -d {DEVICE} -r ideal -n 5 -g 2",
        [
            "--rate",
            "--users",
            "--cv",
            "--on",
            "--off",
            "--think",
            "--spread",
            "--prefix",
            "--hit-rate",
            "--seed",
            "--tokens",
            "--sequences",
            "--speed",
            "-p",
        ],
    ),
    "steps": (
        f"steps {MODEL} -d {DEVICE} --decodes 1",
        ["--decodes", "--held", "--pieces", "--new", "--context", "-r"],
    ),
    "reload": (f"reload {MODEL} -d {DEVICE} --from 2GB/s", ["--from", "--lengths", "-b", "--cache", "--weights", "-r"]),
    "crossover": (f"crossover {MODEL} mamba2-780m -d {DEVICE}", ["-m", "-b", "-g", "--longest", "-r"]),
    "roofline": (f"roofline {MODEL} -d {DEVICE}", ["-p", "-b", "--dtype", "-r"]),
    "models": ("models", ["--min-size", "--max-size", "--kind", "--family"]),
    "show": ("show", []),
}
COMMON = ["--set", "--calibration", "--host"]
PATHS = ["device.memory.bandwidth", "device.memory.capacity", "device.peak.matrix.bf16", "model.d_model", "model.vocab",
         "model.layers.decoder.mixer.window", "model.layers.decoder.0.heads", "model.layout.0.repeat", "host.dispatch",
         "parameters.gemm_efficiency", "runtime.attention.mask", "model.positions", "device.name", "model"]  # fmt: skip
known = st.sampled_from(
    ["1", "1k", "4096", "1,2", "1k..64k*4", "llama.cpp", "vllm", "ideal", "bf16", "fp8", "q8_0", "q4_k_m", "int4-g128",
     "all", "last", "ttft", "tpot", "memory", "fits and tpot < 50ms", "a=ttft*2", "a=log(0-batch)", "10s",
     "500J", "auto", "none", DEVICE, "orin@15w"]
)  # fmt: skip


@st.composite
def lines(draw: Any, command: str) -> list[str]:
    """A command with a few options, some of them odd."""
    start, options = COMMANDS[command]
    line = shlex.split(start)
    for option in draw(st.lists(st.sampled_from([*options, *COMMON] if options else ["-f"]), max_size=3)):
        value = draw(st.one_of(known, words))
        line += [option, f"{draw(st.sampled_from(PATHS))}={value}" if option == "--set" else value]
    if not draw(st.integers(0, 5)):
        line.insert(draw(st.integers(1, len(line))), draw(words))
    return [word.replace("\0", "") for word in line]


PRINTED = ("predict", "limits", "compare", "sampling", "crossover", "explain", "roofline")


@pytest.mark.parametrize("command", COMMANDS)
@some(0.25)
@given(data=st.data())
def test_a_command_line(command, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = data.draw(lines(command))
    as_data = command in PRINTED and "-f" not in line
    with no_longer(SECONDS):
        result = CliRunner().invoke(group, [*line, *(["-f", "json"] if as_data else [])], prog_name="roofsim")
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code in (0, 2), line
    if result.exit_code == 2:
        assert result.stdout == ""
        assert "Error: " in result.stderr
        assert len(result.stderr) < MOST_LETTERS
    elif as_data and result.stdout.startswith("{"):
        sound(json.loads(result.stdout))
    assert not [path for path in tmp_path.iterdir() if path.name != "same"], "nothing is written that was not asked for"


# --- Python ---

ARGUMENTS = ["prompt", "batch", "generate", "dtype", "weights", "cache", "logits", "host", "calibration", "transfer",
             "set", "runtime"]  # fmt: skip
python = st.one_of(
    odd, known, st.sampled_from([(), (1, 2), {1}, object, b"x", Path("x"), 1j, range(3), range(10, 0, -1), [1, 2, 4],
                                 {"device.memory.bandwidth": "2x"}, ["device.memory.bandwidth=2x"], "\ud800", random]),
)  # fmt: skip


def several(value: object) -> bool:
    """Whether a count is an array of them: then there are neither limits nor passes of one length."""
    return isinstance(value, list | tuple | range) or (isinstance(value, str) and ("," in value or ".." in value))


@tried
@given(named=st.dictionaries(st.sampled_from(ARGUMENTS), python, min_size=1, max_size=3))
def test_arguments_of_predict(named):
    found = answer(roofsim.predict, MODEL, DEVICE, **named)
    if found is not None and not any(several(named.get(each)) for each in ARGUMENTS[:3]):
        predicted(MODEL, DEVICE, **named)


@some(0.5)
@given(model=python, device=python)
def test_models_and_devices_of_predict(model, device):
    answer(roofsim.predict, model, DEVICE)
    answer(roofsim.predict, MODEL, device)


CALLS: dict[str, Callable[..., Any]] = {
    "limits": functools.partial(roofsim.limits, MODEL, DEVICE),
    "explain": functools.partial(roofsim.explain, MODEL, DEVICE),
    "compare": functools.partial(roofsim.compare, MODEL, device=DEVICE),
    "sweep": functools.partial(roofsim.sweep, MODEL, device=DEVICE),
}
OWN = {
    "limits": ["lengths", "prompt", "batch"],
    "explain": ["metric", "prompt"],
    "compare": ["prompt", "min_tps", "max_ttft", "sort", "weights"],
    "sweep": ["prompt", "figures", "where", "derive", "sample", "seed", "weights"],
}


@pytest.mark.parametrize("call", CALLS)
@some(0.2)
@given(data=st.data())
def test_arguments_of_other_functions(call, data):
    answer(CALLS[call], **data.draw(st.dictionaries(st.sampled_from(OWN[call]), python, min_size=1, max_size=2)))


@some(0.5)
@given(data=st.data())
def test_the_values_of_a_model(data):
    values = data.draw(mutated(SPECS[f"model {MODEL}"][0]))
    answer(build, Architecture, values if isinstance(values, dict) else {}, "here")
