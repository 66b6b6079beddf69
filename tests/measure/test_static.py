"""A static cache on the processor: what its steps give, where they stand, and the rows that come of them."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from roofsim.cli import group
from roofsim.measure.runs import MODES, ROOM, Case, Mode, runs

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")  # those of PyTorch and transformers are not ours

ATTENTION = {"kind": "attention", "heads": 4, "kv_heads": 2, "head_dim": 16}
FIELDS = {
    "name": "Tiny", "family": "llama", "d_model": 64, "vocab": 96, "tied_embeddings": True,
    "layers": {"a": [ATTENTION, {"kind": "gated_mlp", "width": 96}]}, "layout": [{"repeat": 2, "of": ["a"]}],
    "sources": {"none": "made for a test"},
}  # fmt: skip
MEASURE = ("measure", "tiny.yaml", "-o", "my.csv", "--stack", "transformers-static", "--on", "cpu", "-q",
           "--repeats", "2", "--device-name", "RTX 4090", "-f", "json")  # fmt: skip


@pytest.fixture
def roofsim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(json.dumps(FIELDS))  # JSON is YAML

    def run(*words: str, code: int = 0) -> str:
        result = CliRunner().invoke(group, words, prog_name="roofsim")
        assert result.exit_code == code, (result.output, result.exception)
        return result.stdout or result.output

    return run


@pytest.fixture
def bench(roofsim: Callable[..., str]) -> Any:
    from roofsim.measure.build import built, subject
    from roofsim.measure.meters import Counter
    from roofsim.measure.passes import Bench
    from roofsim.measure.stack import load

    stack = load("cpu")
    return Bench(stack, built(stack, subject("tiny.yaml"), "fp32"), Counter(stack))


def rows() -> list[dict[str, str]]:
    with open("my.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_a_step_sees_the_context_and_the_tokens_before_it_and_no_room(bench: Any) -> None:
    from roofsim.measure import static

    prompt, token = bench.tokens(2, 12), bench.tokens(2, 1)
    grown = bench.forward(prompt).past_key_values
    cache = static.empty(bench, 12)
    bench.forward(prompt, cache)
    expected, found = bench.forward(token, grown).logits, bench.forward(token, cache).logits
    torch.testing.assert_close(found, expected)
    static.rewind(bench, cache, 12)
    torch.testing.assert_close(bench.forward(token, cache).logits, expected)
    assert cache.layers[0].keys.shape[2] == 12 + ROOM


def test_a_filled_cache_holds_its_context_and_is_set_back_before_it_is_full(bench: Any) -> None:
    from roofsim.measure import static

    cache, token = static.filled(bench, 3, 20), bench.tokens(3, 1)
    assert int(cache.get_seq_length()) == 20
    assert cache.layers[0].keys.shape[0] == 3
    assert bool(cache.layers[1].values[:, :, :20].any(dim=-1).all())
    steps = static.Steps(lambda: bench.forward(token, cache), lambda: static.rewind(bench, cache, 20))
    lengths = []
    for _ in range(2 * ROOM):
        steps()
        lengths.append(int(cache.get_seq_length()))
    assert max(lengths) == 20 + steps.most < 20 + ROOM
    assert lengths[: steps.most + 1] == [*range(21, 21 + steps.most), 21]


def test_what_is_measured_is_told_apart_and_gone_on_with(roofsim: Callable[..., str]) -> None:
    roofsim("measure", "tiny.yaml", "-o", "my.csv", "--on", "cpu", "-q", "--repeats", "1", "--prompts", "8",
            "--device-name", "RTX 4090")  # fmt: skip
    told = json.loads(roofsim(*MEASURE, "--prompts", "8,16", "--batch", "1,2"))
    assert {row["framework"] for row in told["rows"]} == {"transformers static cache, eager"}
    assert all("torch" in row["source"] and "transformers" in row["source"] for row in told["rows"])
    found = [row for row in told["rows"] if row["metric"] == "latency_s"]
    assert {(row["phase"], row["batch"], row["prompt_len"], row["context_len"]) for row in found} == {
        (phase, batch, n, n if phase == "decode" else "0")
        for phase in ("prefill", "decode") for batch in ("1", "2") for n in ("8", "16")
    }  # fmt: skip
    assert all("static cache of context + 64" in row["note"] for row in found if row["phase"] == "decode")
    assert json.loads(roofsim(*MEASURE, "--prompts", "8,16", "--batch", "1,2"))["rows"] == []
    scored = json.loads(roofsim("validate", "my.csv", "-f", "json"))["rows"]
    runtimes = [row["runtime"] for row in scored if row["metric"] == "latency_s"]
    assert runtimes.count("transformers-5-static-eager") == len(found)
    assert len(runtimes) == len(found) + 2
    again = roofsim("measure", "tiny.yaml", "-o", "my.csv", "--on", "cpu", "-q", "--prompts", "8", "--plan", "-f",
                    "json", "--device-name", "RTX 4090")  # fmt: skip
    assert [case["state"] for case in json.loads(again)["cases"]] == ["done", "done"]


def test_a_compiled_step_is_measured(roofsim: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    # traced as ever, and run without a compiler, which takes a minute
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    told = json.loads(roofsim(*MEASURE, "--prompts", "8", "--modes", "eager,compile"))
    compiled = [row for row in told["rows"] if row["framework"] == "transformers static cache, torch.compile"]
    assert [(row["phase"], row["metric"]) for row in compiled] == [("decode", "latency_s")]


def test_the_tool_measures_in_processes_of_its_own(roofsim: Callable[..., str]) -> None:
    tool = Path(__file__).resolve().parents[2] / "tools" / "measure_stacks.py"
    command = [
        sys.executable, str(tool), "my.csv", "--stack", "transformers-static", "--models", "tiny.yaml",
        "--shrink", "1024", "--minutes", "3", "--on", "cpu", "--device-name", "RTX 4090",
    ]  # fmt: skip
    first = subprocess.run(command, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stderr
    assert "all is done" in first.stdout
    assert {row["metric"] for row in rows()} >= {"latency_s", "weights_bytes"}
    assert {row["batch"] for row in rows() if row["metric"] == "latency_s"} >= {"1", "8", "256"}
    assert not Path("my.csv.now").exists()


def test_a_graph_needs_a_gpu(roofsim: Callable[..., str], bench: Any) -> None:
    from roofsim.foundation.errors import Unsupported
    from roofsim.measure import static
    from roofsim.measure.passes import Protocol

    assert "--modes eager" in roofsim(*MEASURE, "--modes", "graph", code=2)
    with pytest.raises(Unsupported, match="on a GPU only"):
        static.measured(bench, "graph", "decode", 1, 8, Protocol(1, 1, 0))
    with pytest.raises(Unsupported, match="mode eager"):
        static.measured(bench, "graph", "prefill", 1, 8, Protocol(1, 1, 0))


def test_a_captured_step_runs_first_on_a_stream_of_its_own(bench: Any) -> None:
    """With a card that only takes notes."""
    from dataclasses import replace

    from roofsim.measure import static

    notes: list[str] = []

    class Noted:
        def __init__(self, name: str) -> None:
            self.name = name

        def wait_stream(self, other: Any) -> None:
            notes.append(f"{self.name} waits for {other.name}")

        def replay(self) -> None:
            notes.append("replay")

        def __enter__(self) -> None:
            notes.append(f"begin {self.name}")

        def __exit__(self, *_: object) -> None:
            notes.append(f"end {self.name}")

    cuda = SimpleNamespace(
        Stream=lambda: Noted("side"), current_stream=lambda: Noted("main"), stream=lambda each: each,
        CUDAGraph=lambda: Noted("graph"), graph=lambda each: each,
    )  # fmt: skip
    card = replace(bench, stack=replace(bench.stack, torch=SimpleNamespace(cuda=cuda)))
    replay = static._captured(card, lambda: notes.append("step"))
    replay()
    assert notes == [
        "side waits for main", "begin side", "step", "step", "step", "end side", "main waits for side",
        "begin graph", "step", "end graph", "replay",
    ]  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
def test_rows_of_a_mode_are_known_again(mode: Mode) -> None:
    case = Case("Tiny", "decode", "bf16", 2, 1024, mode=mode)
    file = runs("H100").plus([case.row("latency_s", 0.1)])
    assert file.cases == {case: "done"}
    assert not case.beyond(Case("Tiny", "decode", "bf16", 1, 512))
    assert case.beyond(Case("Tiny", "decode", "bf16", 1, 512, mode=mode))
