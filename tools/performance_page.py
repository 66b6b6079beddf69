"""Writes docs/performance.md, in a few minutes, on a machine that does nothing else.

    python tools/performance_page.py

Measured here: points per second, the processor time of commands, the memory of studies. The peers' part is that of
docs/peers.json, which `tools/compare_peers.py` writes. `--runs 3` is quicker; `--peers` writes that part alone anew.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import module_from_spec, spec_from_file_location
from math import sqrt
from pathlib import Path
from statistics import median
from textwrap import fill
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

import roofsim  # noqa: E402
from roofsim.foundation.units import significant  # noqa: E402
from roofsim.prediction.evaluation import FIGURES  # noqa: E402
from roofsim.reports.formats import FORMATS  # noqa: E402
from roofsim.reports.table import Column, Table  # noqa: E402

PAGE = ROOT / "docs" / "performance.md"
PEERS = ROOT / "docs" / "peers.json"
BEGIN = "## Beside other programs"
RUNS = 5


def beside(path: str) -> ModuleType:
    """A script of this checkout as a module."""
    spec = spec_from_file_location(Path(path).stem, ROOT / path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    made = module_from_spec(spec)
    sys.modules[spec.name] = made
    spec.loader.exec_module(made)
    return made


compiled = beside("tests/benchmarks/bench_compiled.py")
startup = beside("tests/benchmarks/bench_startup.py")
peers = beside("tools/compare_peers.py")

STACKS: Sequence[tuple[str, str, str]] = (
    ("Qwen2.5-0.5B", "rtx-4090", "transformers-4.52-eager"),
    ("Llama-3.1-8B", "h100-sxm", "vllm"),
    ("mamba2-780m", "orin", "transformers-4.52-eager"),
    ("Zamba2-1.2B", "rtx-4090", "transformers-4.52-eager"),
)
COUNTS = (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000)
MANY = 100_000
"""Points for the table of figures."""
LEAST, CALLS = 50_000, 200
"""A timed piece of work has at least so many points, or is so many calls."""
PLAIN = 100_000
"""Elements of the plain NumPy pass beside it."""
FIGURE_SETS: Mapping[str, tuple[str, ...]] = {
    "TTFT": ("ttft",),
    "TPOT": ("tpot",),
    "peak memory": ("memory",),
    "TTFT, TPOT, memory, energy": ("ttft", "tpot", "memory", "energy"),
    f"all {len(FIGURES)}": tuple(FIGURES),
}


AT = compiled.points(PLAIN)


def rate(work: Callable[[], Any], points: int, runs: int) -> str:
    """Points per second of processor time, and in brackets passes of plain NumPy that a point costs."""
    calls = max(min(LEAST // points, CALLS), 1)
    done = points * calls

    def plain() -> None:
        compiled.plain(AT["prompt"], AT["batch"])

    took, ratio = compiled.in_turns(lambda: [work() for _ in range(calls)], plain, runs)
    return f"{spoken(done / took)} ({significant(ratio * PLAIN / done, 2)})"


def spoken(per_second: float) -> str:
    """A rate in words."""
    for size, word in ((1e6, " M"), (1e3, " k")):
        if per_second >= size:
            return f"{significant(per_second / size, 2)}{word}"
    return significant(per_second, 2)


def function(stack: Sequence[str], figures: Sequence[str], over: Sequence[str] = ("prompt", "batch")) -> Any:
    """A compiled request of a stack."""
    return roofsim.compile(*stack, figures=list(figures), over=list(over), dtype="bf16")


def by_number(runs: int) -> Table:
    """Points per second against their number."""
    functions = [function(stack, ("ttft",)) for stack in STACKS]
    rows = []
    for count in COUNTS:
        cells = []
        for f in functions:
            if count == 1:
                cells.append(rate(lambda f=f: f.at(4096.0, 4.0), 1, runs))
                continue
            at = compiled.points(count)
            cells.append(rate(lambda f=f, at=at: f(prompt=at["prompt"], batch=at["batch"]), count, runs))
        rows.append([count, *cells])
    side = round(sqrt(COUNTS[-2]))
    at = compiled.mesh(compiled.points(COUNTS[-2]), ("prompt", "batch"))
    cells = [rate(lambda f=f: f(**at), side * side, runs) for f in functions]
    rows.append([f"{side} × {side}, mesh", *cells])
    return Table("", [Column("points", "count"), *(Column(", ".join(stack)) for stack in STACKS)], rows)


def by_figures(runs: int) -> Table:
    """Points per second against what is asked for."""
    at = compiled.points(MANY)
    rows = []
    for name, figures in FIGURE_SETS.items():
        functions = [function(stack, figures) for stack in STACKS]
        rows.append([name, *(rate(lambda f=f: f(prompt=at["prompt"], batch=at["batch"]), MANY, runs)
                             for f in functions)])  # fmt: skip
    return Table("", [Column("figures"), *(Column(", ".join(stack)) for stack in STACKS)], rows)


def scalars(runs: int) -> Table:
    """Single predictions in one process, per second, by how they are asked for."""
    rows = []
    for stack in STACKS:
        f = function(stack, FIGURE_SETS["TTFT, TPOT, memory, energy"])

        def predicted(stack: Sequence[str] = stack) -> Any:
            return roofsim.predict(*stack, prompt=4096)

        works: Sequence[tuple[int, Callable[[], Any]]] = (
            (CALLS, lambda f=f: f.at(4096.0, 4.0)),
            (CALLS, lambda f=f: f(prompt=4096, batch=4)),
            (5, predicted),
            (5, lambda predicted=predicted: predicted().to_dict()),
        )
        rows.append([", ".join(stack), *(spoken(n / compiled.seconds(lambda n=n, work=work: [work() for _ in range(n)],
                                                                     runs)) for n, work in works)])  # fmt: skip
    heads = ("`f.at(...)`", "`f(...)`", "`roofsim.predict`", "with operators, limits and intervals")
    return Table("", [Column("stack"), *(Column(head) for head in heads)], rows)


AXES: Sequence[tuple[str, str, Sequence[str]]] = (
    ("--prompt", "", ("16..160+16", "16..1600+16", "16..1600+16", "16..16000+16", "16..16000+16")),
    ("--batch", "", ("1..10+1", "1..10+1", "1..100+1", "1..100+1", "1..100+1")),
    ("--set", "device.memory.bandwidth=", ("0.5x..1.4x+0.1x",) * 5),
    ("--set", "host.dispatch=", (*("0.6x..1.5x+0.1x",) * 4, "0.51x..1.5x+0.01x")),
)
"""Axes of studies of 10⁴, 10⁵ ... points: option, path, values."""
STUDIES = tuple(10 ** (4 + i) for i in range(len(AXES[0][2])))
ONE_IS_ENOUGH = 10**7
"""Points from which on a study is run once."""
AT_MOST_ALONE = 10**7
"""The largest study that one process does alone here."""


FIRST = """
import json, resource, subprocess, sys, time
start = time.perf_counter()
subprocess.run(sys.argv[1:], check=True)
wall, used = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024]))
"""
"""A small process that starts another one: the memory of a process counts that of the one that it was forked from."""


@dataclass(frozen=True)
class Done:
    """Wall clock and processor seconds of a process with those that it started, and the memory of the largest."""

    wall: float
    processor: float
    memory: int


def study(size: int, workers: int, folder: str) -> Done:
    """A sweep of so many points to Parquet, as the command does it."""
    place = STUDIES.index(size)
    words = [word for option, path, values in AXES for word in (option, path + values[place])]
    target = os.path.join(folder, "study.parquet")
    asked = ("sweep", STACKS[0][0], "-d", STACKS[0][1], "-r", STACKS[0][2], *words, "--figures", "ttft,memory_peak",
             "--workers", str(workers), "-o", target, "-q")  # fmt: skip
    command = [sys.executable, "-c", FIRST, sys.executable, *startup.program(*asked)]
    done = subprocess.run(command, env=environment(os.environ), stdout=subprocess.PIPE, text=True, check=True)
    os.unlink(target)
    return Done(*json.loads(done.stdout))


def by_size(runs: int) -> Table:
    """What studies take against their size, in one process and with one for each core."""
    cores = os.cpu_count() or 1
    rows, least = [], [0.0, 0.0]
    with tempfile.TemporaryDirectory() as folder:
        study(STUDIES[0], 1, folder)  # compiles modules, keeps specs
        for size in STUDIES:
            alone, several = [], []
            for _ in range(1 if size >= ONE_IS_ENOUGH else runs):
                alone += [study(size, 1, folder)] if size <= AT_MOST_ALONE else []
                several.append(study(size, cores, folder))
            if size == STUDIES[0]:
                least = [median(one.processor for one in done) for done in (alone, several)]
            faster = [one.wall / other.wall for one, other in zip(alone, several, strict=False)]
            rate = size / median(one.wall for one in several)
            both = zip((alone, several), least, strict=True)
            rows.append([size, *(each for done, first in both for each in cells(done, size, first)), rate,
                         median(faster) if faster else None])  # fmt: skip
    each = (("{}", "s"), ("ns a further point", "rate"), ("memory", "B"))
    heads = [Column(name.format(kind), unit) for kind in ("one process", f"{cores} processes") for name, unit in each]
    last = [Column("points per second", "short"), Column("times as fast as one", "ratio")]
    return Table("", [Column("points", "count"), *heads, *last], rows)


def cells(done: Sequence[Done], size: int, least: float) -> list[float | None]:
    """Processor time of studies of a size, nanoseconds for each point beyond the smallest study, memory."""
    if not done:
        return [None] * 3
    took = median(one.processor for one in done)
    further = 1e9 * (took - least) / (size - STUDIES[0]) if size > STUDIES[0] else None
    return [took, further, max(one.memory for one in done)]


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """Variables for a process that runs this checkout."""
    return {**given, "PYTHONPATH": str(ROOT)}


TWO = ("Qwen2.5-0.5B", "mamba2-780m")
COMMANDS: Sequence[tuple[str, ...]] = (
    ("--help",),
    ("predict", "mamba2-780m", "--device", "orin"),
    ("predict", "mamba2-780m", "--device", "orin", "--format", "json"),
    ("predict", "mamba2-780m", "--device", "orin", "--set", "device.memory.bandwidth=2x"),
    ("predict", "Llama-3.1-70B", "--device", "rtx-4090", "--runtime", "llama.cpp", "--offload", "auto"),
    ("limits", "mamba2-780m", "--device", "orin"),
    ("crossover", *TWO, "--device", "orin"),
    ("crossover", "--device", "orin"),
    ("explain", "mamba2-780m", "--device", "orin"),
    ("roofline", "mamba2-780m", "--device", "orin"),
    ("show", "mamba2-780m"),
    ("devices",),
    ("models",),
    ("runtimes",),
    ("calibrations",),
    ("clusters",),
    ("compare", *TWO, "--device", "orin"),
    ("compare", "--device", "orin"),
    ("sampling", "Qwen2.5-0.5B", "--device", "orin", "--trials", "16", "--tokens", "1k"),
    ("sampling", "Qwen2.5-0.5B", "--device", "orin", "--budget", "10s"),
    ("phases", "Qwen2.5-0.5B", "--device", "a100-sxm-80gb", "--prompt", "2k"),
    ("reload", "Qwen2.5-0.5B", "--device", "rtx-4090"),
    ("speculate", "Qwen2.5-0.5B", "--device", "orin", "--draft", "ngram", "--accept", "0.6"),
    ("steps", "Qwen2.5-0.5B", "--device", "h100-sxm"),
    ("simulate", "Qwen2.5-0.5B", "--device", "h100-sxm", "--rate", "8", "--requests", "100"),
    ("sweep", "mamba2-780m", "--device", "orin", "--prompt", "1k..64k*2"),
    ("pareto", *TWO, "--device", "orin", "--prompt", "1k..16k*2", "--objectives", "ttft,tokens_per_second"),
    ("sensitivity", "mamba2-780m", "--device", "orin"),
    ("serve", "Llama-3.1-8B", "--device", "h100-sxm", "--slo", "ttft=1s,itl=50ms", "--find", "concurrency"),
    ("advise", "--family", "qwen", "--device", "orin", "--prompt", "4k", "--ttft", "1s", "--rank", "parameters"),
    ("search", "dense", "--device", "orin", "--over", "depth=8..32+4", "width=512..1536+128"),
)
"""Commands as users type them."""
NOT_TIMED = ("calibrate", "completion", "doctor", "explore", "import", "measure", "new", "report", "validate")
"""Commands whose time is that of the runs or the file that they are given, and those typed once;
that of `report` is that of its figures, that of `explore` that of its functions."""


def commands(runs: int) -> Table:
    """Processor time of commands, as ratios to that of Python's own start."""
    rows = []
    with startup.environments() as (warm, cold):
        for words, kept in (*((words, warm) for words in COMMANDS), (startup.PREDICT, cold)):
            took, ratio = startup.in_turns(startup.program(*words), environment(kept), runs)
            name = f"`roofsim {' '.join(words)}`" + (", for the first time" if kept is cold else "")
            rows.append([name, ratio, took])
    heads = [Column("command"), Column("times `python -c pass`", "ratio"), Column("processor time", "s")]
    return Table("", heads, rows)


HEAD = """Written by `python tools/performance_page.py`; do not edit. Measured on {date} with Python {python} and
NumPy {numpy}, {cores} cores of {processor}. Times are the processor's. What a table is about is its ratios: both
sides of one are measured in turns, {runs} times each, and the median is shown."""

POINTS = """Of `roofsim.compile`, on one core, for TTFT over prompts and batches at random (*mesh*: every one of a row
with every one of a column). In brackets what a point costs in passes of {operations} element-wise NumPy operations;
one point is `f.at`, which calls no NumPy."""

SWEPT = """`roofsim sweep` to Parquet: TTFT and peak memory of {stack} over prompt × batch × bandwidth × cost of a
launch, the whole command with its start; `a further point` is beyond the smallest study, memory that of the largest
process. Points per second are of wall clock."""

PROCESSES = """Whole processes, user and system time, as ratios to `python -c pass`. Modules are compiled and specs
kept, as for a user's second command."""

ASKED = """By `python tools/compare_peers.py -o docs/peers.json`, which installs each program from the package index
into an environment of its own and asks all of them the same: {model} in 16 bits, {generated} tokens generated.
Measured on {date} with Python {python}, {cores} cores of {processor}; programs take turns, {rounds} rounds, ratios
are medians of rounds, in brackets the least and the largest."""

MEANS = """*Start*: processor time of a fresh Python that imports the program and predicts one point; *command*: that
of its own command. *Points/s*: of processor time in one process, over lengths of 512 to 4,607 tokens. Ratios are to
roofsim, of rates to its arrays: above 1 the other one takes longer to start, or is faster. *Installed*: what it adds
to an empty environment, with all that it depends on."""


def prose(text: str, **values: Any) -> str:
    """A paragraph with its values, in lines as long as those of other pages."""
    return fill(text.format(**values), 120, break_long_words=False, break_on_hyphens=False)


def sections(runs: int) -> Iterator[str]:
    """The page but for the peers."""
    yield "# Performance"
    yield prose(
        HEAD, date=datetime.now(UTC).date().isoformat(), python=platform.python_version(), numpy=np.__version__,
        cores=os.cpu_count(), processor=peers.processor(), runs=runs,
    )  # fmt: skip
    yield "## Points per second"
    yield prose(POINTS, operations=compiled.OPERATIONS)
    yield markdown(by_number(runs))
    yield f"By what is asked for, {MANY:,} points at once:"
    yield markdown(by_figures(runs))
    yield "One prediction after another in one process, per second:"
    yield markdown(scalars(runs))
    yield "## Studies"
    yield prose(SWEPT, stack=", ".join(STACKS[0]))
    yield markdown(by_size(runs))
    yield "## Commands"
    yield prose(PROCESSES)
    yield markdown(commands(runs))


def beside_peers(found: Mapping[str, Any]) -> Iterator[str]:
    """The part of the page that docs/peers.json holds."""
    yield BEGIN
    yield prose(ASKED, **found)
    yield markdown(speeds(found))
    yield prose(MEANS)
    yield "What they answer, as ratios to roofsim (prefill / step of decode); not the same question in every case:"
    yield markdown(answers(found))
    yield "\n".join(f"- {row['name']} {row['version']}: {row['says']}." for row in found["programs"] if "size" in row)


def speeds(found: Mapping[str, Any]) -> Table:
    """Cold start, rate and size of every program."""
    heads = ("program", "start", "ratio", "command", "ratio", "points/s", "ratio", "installed")
    rows = [
        [
            row["name"],
            *(cell for kind in ("start", "command")
              for cell in (seconds(row.get(kind)), ends(row.get(f"{kind}_ratio")))),
            spoken(row["rate"]), ends(row["rate_ratio"]),
            f"{significant(row['size'] / 1e6, 2)} MB" if "size" in row else None,
        ]
        for row in found["programs"]
    ]  # fmt: skip
    return Table("", [Column(head) for head in heads], rows)


def answers(found: Mapping[str, Any]) -> Table:
    """What every program says of every point, over what roofsim says."""
    ours = found["answers"]["roofsim"]
    others = [name for name in found["answers"] if name != "roofsim"]
    rows = []
    for i, point in enumerate(found["points"]):
        cells = [" / ".join("–" if theirs is None else f"{theirs / own:.2f}"
                            for theirs, own in zip(found["answers"][name][i], ours[i], strict=True))
                 for name in others]  # fmt: skip
        rows.append([point["device"], point["prompt"], point["batch"], *(f"{x * 1e3:.1f} ms" for x in ours[i]), *cells])
    heads = [Column("device"), Column("prompt", "count"), Column("batch", "count"), Column("prefill"), Column("step")]
    return Table("", [*heads, *(Column(name) for name in others)], rows)


def seconds(value: float | None) -> str | None:
    """A time of a start."""
    return None if value is None else f"{significant(value, 2)} s"


def ends(value: Sequence[float] | None) -> str | None:
    """A ratio with the least and the largest of the rounds."""
    if value is None:
        return None
    least, middle, most = (short(each) for each in value)
    return middle if least == most else f"{middle} ({least} to {most})"


def short(value: float) -> str:
    """A ratio in two digits, however small."""
    return f"{value:.1e}" if value < 0.001 else significant(value, 2)


def markdown(table: Table) -> str:
    """A table as the pages have it."""
    return FORMATS["markdown"]([table], {}, False)


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--peers", action="store_true", help="keep what was measured here, renew the peers' part")
    options = parser.parse_args()
    started = time.perf_counter()
    if options.peers:
        parts = [PAGE.read_text(encoding="utf-8").partition(f"\n{BEGIN}")[0].rstrip("\n")]
    else:
        parts = []
        for part in sections(options.runs):
            parts.append(part.rstrip("\n"))
            print(part, flush=True)
    text = "\n\n".join([*parts, *beside_peers(json.loads(PEERS.read_text(encoding="utf-8")))])
    PAGE.write_text(text + "\n", encoding="utf-8")
    print(f"wrote {PAGE} in {time.perf_counter() - started:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
