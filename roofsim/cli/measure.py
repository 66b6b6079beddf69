"""Measure models with random weights on this machine, into a CSV that validate reads."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from roofsim.cli import _options as o
from roofsim.cli import _types as t
from roofsim.cli._click import click
from roofsim.foundation import writing
from roofsim.foundation.errors import InputError
from roofsim.measure.runs import MODES
from roofsim.reports.formats import FORMATS

if TYPE_CHECKING:
    from roofsim.measure.build import Subject
    from roofsim.measure.passes import Protocol
    from roofsim.measure.runs import Case, Row, Runs
    from roofsim.measure.stack import Stack

PHASES = ("prefill", "decode")
STACKS = ("transformers", "transformers-static", "llama.cpp", "vllm")
"""What can be measured."""


class Words(click.ParamType[list[str]]):
    """Some of a few words, set off by commas."""

    name = "words"

    def __init__(self, *words: str) -> None:
        self.words = words

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        """Each word once."""
        if isinstance(value, list):
            return value
        words = [each.strip() for each in value.split(",")]
        if not set(words) <= set(self.words) or len(set(words)) < len(words):
            self.fail(f"'{value}' should be {', '.join(self.words)} or {','.join(self.words)}", param, ctx)
        return words


class Formats(click.ParamType[list[str]]):
    """Formats of weights, set off by commas."""

    name = "formats"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        """Each format once."""
        from roofsim.adapters.gguf.write import FORMATS as WRITTEN
        from roofsim.measure.llamacpp import QUANTISED
        from roofsim.measure.vllm import WEIGHTS

        if isinstance(value, list):
            return value
        words = [each.strip().lower() for each in value.split(",")]
        for word in words:
            if word not in (known := dict.fromkeys((*WRITTEN, *QUANTISED, *WEIGHTS))):
                self.fail(f"'{word}' is none of {', '.join(known)}", param, ctx)
        return list(dict.fromkeys(words))


class Folder(click.ParamType[str]):
    """A folder that is there and can be written to."""

    name = "folder"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The path as given."""
        if not os.path.isdir(value):
            self.fail(f"there is no folder '{value}'", param, ctx)
        if not os.access(value, os.W_OK):
            self.fail(f"the folder '{value}' cannot be written to", param, ctx)
        return str(value)


@click.command()
@o.models_argument()
@click.option(
    "--output",
    "-o",
    type=t.Target((".csv",)),
    required=True,
    metavar="FILE",
    help="CSV of runs; what it lacks is measured and added.",
)
@click.option(
    "--prompts",
    "-p",
    type=t.Range(),
    default="128,1k,4k",
    metavar="RANGE",
    help="Tokens of the prompts, or in the cache when decoding.  [default: 128,1k,4k]",
)
@click.option(
    "--batch",
    "-b",
    "batches",
    type=t.Range(),
    default="1",
    metavar="RANGE",
    help="Sequences at once: 1,8.  [default: 1]",
)
@click.option(
    "--stack", type=t.Choice(STACKS), default="transformers", help="What runs the models.  [default: transformers]"
)
@click.option(
    "--weights",
    type=Formats(),
    default=None,
    metavar="FORMATS",
    help="Formats of weights: of llama.cpp f16,q8_0,q4_k_m, of vLLM bf16,fp8.  [default: f16 or bf16]",
)
@click.option(
    "--vllm-python", default=None, metavar="PATH", help="The Python that vLLM is installed in.  [default: this one]"
)
@click.option(
    "--batched-tokens",
    type=click.IntRange(min=1),
    default=16384,
    metavar="N",
    help="Tokens that vLLM's engine takes in a step.  [default: 16384]",
)
@click.option(
    "--gpu-memory-utilization",
    type=click.FloatRange(min=0, max=1, min_open=True),
    default=0.9,
    metavar="SHARE",
    help="Share of the device's memory that vLLM's engine takes.  [default: 0.9]",
)
@click.option(
    "--modes",
    type=Words(*MODES),
    default=None,
    metavar="MODES",
    help="How a static cache is run: eager, graph, compile.  [default: eager, on a GPU eager,graph]",
)
@click.option("--llama-bench", default=None, metavar="PATH", help="The program.  [default: on the path]")
@click.option("--llama-batched-bench", default=None, metavar="PATH", help="The program.  [default: on the path]")
@click.option("--llama-quantize", default=None, metavar="PATH", help="The program.  [default: on the path]")
@click.option(
    "--scratch", type=Folder(), default=None, metavar="DIR", help="Where files of weights lie meanwhile: /dev/shm."
)
@click.option("--keep-gguf", type=Folder(), default=None, metavar="DIR", help="Keep the files of weights here.")
@click.option(
    "--dtype",
    type=t.Choice(["bf16", "fp16", "fp32"]),
    default="bf16",
    help="Dtype of weights and activations.  [default: bf16]",
)
@click.option(
    "--phases",
    type=Words(*PHASES),
    default="prefill,decode",
    metavar="PHASES",
    help="prefill, decode or both.  [default: prefill,decode]",
)
@click.option(
    "--logits",
    type=t.Choice(["all", "last"]),
    default="last",
    help="Positions that a prefill scores.  [default: last]",
)
@click.option("--micro", is_flag=True, help="Measure single operators too, or only them without MODELS.")
@click.option(
    "--repeats", type=click.IntRange(min=1), default=5, metavar="N", help="Passes with the clock.  [default: 5]"
)
@click.option("--warmup", type=click.IntRange(min=1), default=2, metavar="N", help="Passes before them.  [default: 2]")
@click.option(
    "--energy",
    type=click.FloatRange(min=0),
    default=1.0,
    metavar="S",
    help="Seconds to run each pass for its energy; 0: none.  [default: 1]",
)
@click.option(
    "--max-seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=None,
    metavar="S",
    help="Begin nothing after so many seconds.",
)
@click.option("--again", is_flag=True, help="Measure once more what failed before.")
@click.option(
    "--on",
    type=t.Choice(["cuda", "cpu"]),
    default=None,
    help="What to measure on.  [default: the GPU if there is one]",
)
@click.option(
    "--device-name", default=None, metavar="TEXT", help="Device of the rows.  [default: what it calls itself]"
)
@click.option(
    "--kernels",
    type=t.Target((".jsonl",)),
    default=None,
    metavar="FILE",
    help="Add the longest kernels of each pass here, by name.",
)
@click.option("--plan", is_flag=True, help="Show what would be measured; needs no PyTorch.")
@click.option("--format", "-f", "format_", type=t.Choice(sorted(FORMATS)), default="table", help="Form of the summary.")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing on stderr.")
@click.pass_context
def command(
    ctx: click.Context, models: tuple[str, ...], output: str, prompts: list[int], batches: list[int], stack: str,
    weights: list[str] | None, vllm_python: str | None, batched_tokens: int, gpu_memory_utilization: float,
    modes: list[Any] | None, llama_bench: str | None, llama_batched_bench: str | None, llama_quantize: str | None,
    scratch: str | None, keep_gguf: str | None, dtype: str, phases: list[Any], logits: Any, micro: bool, repeats: int,
    warmup: int, energy: float, max_seconds: float | None, again: bool, on: str | None, device_name: str | None,
    kernels: str | None, plan: bool, format_: str, quiet: bool,
) -> None:  # fmt: skip
    """Build each of MODELS with random weights and measure its prefills and decode steps.

    A model is a name, a model file, a published config.json, a folder with one, or NAME=PATH to call it by a
    name of your own. Each configuration is written as soon as it is done; the same command goes on where it was
    stopped, and leaves out what is larger than what ran out of memory. Nothing is downloaded. Leave out --plan
    to measure; that needs the extra `measure` (PyTorch and transformers).

    \b
    Example: roofsim measure Qwen2.5-0.5B mamba2-780m -o my-runs.csv --prompts 1k,8k --plan
    """
    from roofsim.cli._book import untimed
    from roofsim.measure import session
    from roofsim.measure.build import checked, subject
    from roofsim.measure.passes import Protocol
    from roofsim.measure.runs import runs
    from roofsim.measure.stack import device_name as own_name
    from roofsim.measure.stack import load
    from roofsim.reports.measure import measured_tables, plan_tables
    from roofsim.reports.records import records

    if not models and not micro:
        raise InputError("measure: name MODELS, or --micro for single operators alone")
    started = monotonic()
    if stack == "llama.cpp":
        from roofsim.cli import _llamacpp

        if micro:
            raise InputError("--micro measures operators of PyTorch; leave out --stack llama.cpp")
        asked = _llamacpp.WithFiles(
            models,
            weights or ["f16"],
            phases,
            batches,
            prompts,
            repeats,
            max_seconds and started + max_seconds,
            again,
            scratch,
            keep_gguf,
        )
        paths = _llamacpp.programs(llama_bench, llama_batched_bench, llama_quantize)
        _llamacpp.measure(asked, paths, output, device_name, o.Output(format_, None, quiet), plan=plan, quiet=quiet)
        return
    if stack == "vllm":
        from roofsim.cli import _vllm
        from roofsim.cli._book import Asked

        if micro:
            raise InputError("--micro measures operators of PyTorch; leave out --stack vllm")
        until = max_seconds and started + max_seconds
        wish = Asked(models, weights or [dtype], phases, batches, prompts, repeats, until, again)
        out = o.Output(format_, None, quiet)
        how = (batched_tokens, gpu_memory_utilization)
        _vllm.measure(wish, how, vllm_python, output, device_name, out, plan=plan, quiet=quiet)
        return
    if weights:
        raise InputError(f"--weights goes with --stack llama.cpp and vllm, not {stack}; write --dtype")
    subjects = [subject(each) for each in models]
    running = None if plan else load(on)
    file = runs(device_name or own_name(running), read_runs(output), output, again=again)
    static = stack == "transformers-static"
    if static:
        modes = modes or (["eager"] if (running.on if running else on) == "cpu" else ["eager", "graph"])
        if "graph" in modes and running is not None and running.on == "cpu":
            raise InputError("--modes graph: a graph is captured on a GPU only; write --modes eager or eager,compile")
        if logits == "all" or micro:
            raise InputError("--logits all and --micro go with --stack transformers only; leave them out")
    elif modes:
        raise InputError(f"--modes goes with --stack transformers-static, not {stack}")
    wanted = {
        each.name: session.cases(each.name, phases, dtype, batches, prompts, logits, modes or ("",))
        for each in subjects
    }
    known = file.cases
    states = [(case, session.state(case, known)) for cases in wanted.values() for case in cases]
    out = o.Output(format_, None, quiet)
    if running is None:
        data = [{**_named(case), "state": state} for case, state in states]
        names = ("model", "phase", "dtype", "batch", "tokens", *(["mode"] if static else []), "state")
        out.write(plan_tables(file.device, names, data), {"device": file.device, "cases": data})
        return
    for each in subjects:  # all of them before any work is done
        checked(running, each, dtype)
    book = Book(running, file, output, kernels, dtype, quiet)

    def on_time() -> bool:
        return max_seconds is None or monotonic() - started < max_seconds

    book.models(subjects, wanted, Protocol(warmup, repeats, energy), lambda case: on_time())
    if micro and not book.lost:
        book.operators(on_time)
    now = book.file.cases
    left = sum(session.state(case, now) == "to do" and case not in book.impossible for case, _ in states)
    fresh = book.file.rows[len(file.rows) :]
    summary = {"device": file.device, "rows": fresh, "left": left}
    out.write(measured_tables(file.device, fresh, left), summary, lambda: records(fresh, dict.fromkeys(file.columns)))
    told = untimed(fresh)
    if book.lost:
        told.append(f"{file.device} no longer answers; the same command in a new process goes on.")
    if told:
        click.echo("\n".join(told), err=True)
        ctx.exit(1)


def read_runs(path: str) -> str:
    """The text of the file of runs as it is, nothing if there is none yet."""
    from roofsim.runs.importers import MAX_BYTES
    from roofsim.specs.text import read_text

    return read_text(path, MAX_BYTES, "a file of runs") if os.path.lexists(path) else ""


def _named(case: Case) -> dict[str, Any]:
    return {
        "model": case.model, "phase": case.phase, "dtype": case.dtype, "batch": case.batch, "tokens": case.tokens,
        "logits": case.logits, **({"mode": case.mode} if case.mode else {}),
    }  # fmt: skip


class Book:
    """The files that a run adds to, as it goes."""

    def __init__(self, stack: Stack, file: Runs, path: str, kernels: str | None, dtype: str, quiet: bool) -> None:
        self.stack, self.file, self.path, self.dtype, self.quiet = stack, file, path, dtype, quiet
        self.kernels, self.lost = kernels, False
        self.impossible: set[Case] = set()

    def models(
        self,
        subjects: Sequence[Subject],
        wanted: Mapping[str, Sequence[Case]],
        protocol: Protocol,
        may_begin: Callable[[Case], bool],
    ) -> None:
        """Measure what is left of every model."""
        from roofsim.measure import session
        from roofsim.measure.stack import versions

        total = sum(map(len, wanted.values()))
        with _progress(total, self.quiet) as say:
            for each in subjects:
                for done in session.measure_model(
                    self.stack, each, wanted[each.name], self.file.cases, protocol, may_begin
                ):
                    self.add(done.rows, versions(models=True))
                    self.add_kernels(done.case, done.kernels)
                    case = done.case
                    what = (
                        case.model
                        if done.end == "built"
                        else f"{case.model} {case.phase} {case.mode} {case.batch} x {case.tokens:,}".replace("  ", " ")
                    )
                    say(f"{what}: {done.said or done.end}", done.end != "built")
                    self.lost = done.lost
                if self.lost:
                    return

    def operators(self, on_time: Callable[[], bool]) -> None:
        """Measure what is left of the single operators."""
        from roofsim.measure import micro
        from roofsim.measure.stack import versions

        known: dict[str, set[str]] = {}
        for op, dtype, sizes in self.file.operators:
            if dtype == self.dtype:
                known.setdefault(op, set()).add(sizes)
        frozen = {op: frozenset(sizes) for op, sizes in known.items()}
        with _progress(sum(1 for _ in micro.cases()), self.quiet) as say:
            for said, row in micro.measured(self.stack, self.dtype, frozen, on_time):
                self.add([row] if row else [], versions(models=False))
                say(said, True)

    def add(self, rows: Sequence[Row], framework: str) -> None:
        """Write the file anew with more rows: all of them are in it or none is."""
        if not rows:
            return
        source = f"roofsim measure {date.today().isoformat()}, random weights, published shapes"

        def whole(row: Row) -> Row:
            if "framework" in row:  # says how a static cache was run; the versions stand beside it
                return {"source": f"{source}, {framework.partition(';')[0]}", **row}
            return {"source": source, "framework": framework, **row}

        self.file = self.file.plus(map(whole, rows))
        writing.text(self.path, self.file.text, at_once=True)

    def add_kernels(self, case: Case, longest: Sequence[tuple[str, float, int]]) -> None:
        """Add a line of JSON with the kernels of a pass."""
        if self.kernels and longest:
            line = {
                "device": self.file.device, "model": case.model, "phase": case.phase, "batch": case.batch,
                "L": case.tokens, "kernels": longest,
            }  # fmt: skip
            before = Path(self.kernels).read_text(encoding="utf-8") if Path(self.kernels).is_file() else ""
            writing.text(self.kernels, before + json.dumps(line) + "\n", at_once=True)


@contextmanager
def _progress(total: int, quiet: bool) -> Iterator[Callable[[str, bool], None]]:
    """Say how far it is: a bar on a terminal, else a line each time."""
    if quiet:

        def nothing(said: str, step: bool) -> None:
            pass

        yield nothing
    elif sys.stderr is None or not sys.stderr.isatty():

        def line(said: str, step: bool) -> None:
            click.echo(said, err=True)

        yield line
    else:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task, show = bar.add_task("", total=total), bar.console.print

            def say(said: str, step: bool) -> None:
                bar.update(task, advance=int(step), description=said)
                if "reference code" in said or "out of memory" in said or "failed" in said:
                    show(said, highlight=False)

            yield say
