"""Measure the set of models that a stack is calibrated with, the most telling configurations first.

usage: python tools/measure_stacks.py RUNS.csv --stack STACK [--minutes M] [options]

Each row is in RUNS.csv as soon as it is measured; what is there already is not measured again: the same command goes
on, and a file may hold several stacks. No network is needed, and no weights: all are random. What fails is written down
with its reason, and the rest goes on.

    --stack llama.cpp            llama-bench and llama-batched-bench on files that are written; needs of Python numpy,
                                 gguf, click, pydantic and PyYAML
    --stack vllm                 vLLM's offline engine; of Python click, pydantic, PyYAML
    --stack transformers-static  a static cache, eager, as a graph, compiled; of Python also PyTorch and transformers,
                                 for SSMs and hybrids mamba_ssm and causal_conv1d (tools/build_mamba_kernels.sh)
    --stack transformers         as tools/measure_h100.py, with mixtures of experts
    --minutes M                  end after so many minutes (default 8)
    --models A B ...             other models
    --weights f16 q8_0 ...       other formats, of llama.cpp and vLLM
    --memory GB                  leave out what needs more memory of the device (default 72)
    --shrink N                   all lengths divided by N, for a rehearsal on a small machine
    --device-name TEXT           device of the rows
    --list                       say what would be measured, in its order, and end
    --expect DEVICE              with --list, say how long it takes on a device as predicted: h100-sxm
    --llama-bench PATH           the program, or the folder of the programs, among which llama-quantize is needed too
    --scratch DIR                where files of weights lie meanwhile (default /dev/shm if there is one)
    --vllm-python PATH           the Python that has vLLM
    --on cpu                     transformers on the processor
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

MODELS = (
    "Llama-3.2-1B", "mamba2-780m", "Falcon-H1-0.5B", "OLMoE-1B-7B", "mamba-1.4b", "Qwen2.5-0.5B", "LFM2-1.2B",
    "Granite-4.0-H-Tiny", "Qwen3-1.7B", "mamba2-1.3b", "mamba-2.8b", "Llama-3.1-8B", "Qwen3-30B-A3B",
)  # fmt: skip
"""Four Transformers, two mixtures of experts, four SSMs of either kind and three hybrids; the kinds in turn, so that
whenever time is up each has been measured."""

LARGE = ("OLMoE-1B-7B", "Granite-4.0-H-Tiny", "Llama-3.1-8B", "Qwen3-30B-A3B")
"""Those whose files take long to write, and long prompts long to read."""

RECURRENT = ("mamba2-780m", "Falcon-H1-0.5B", "mamba-1.4b", "LFM2-1.2B", "mamba2-1.3b", "mamba-2.8b")

Wanted = Sequence[tuple[str, Sequence[int], Sequence[int]]]
"""Phase, batches, tokens."""


@dataclass(frozen=True)
class Plan:
    """What a stack is measured at: every model and format at `first` before any is at `rest`.

    Formats `late` of some models come after what is left of all, so that each model has been measured in one; models go
    through one format after the other in groups of `together`.
    """

    weights: Sequence[str]
    first: Wanted
    rest: Wanted
    needs: Sequence[str]
    of: dict[str, Sequence[str]] = field(default_factory=dict)
    """Formats of models that not all make sense of."""
    late: dict[str, Sequence[str]] = field(default_factory=dict)
    together: int = 1


PLANS = {
    "llama.cpp": Plan(
        ("f16", "q4_k_m", "q8_0"),
        [("prefill", [1], [512, 2048, 8192]), ("decode", [1], [0, 4096, 16384]), ("both", [8, 32], [512])],
        [
            ("prefill", [1], [128, 1024, 4096, 32768]),
            ("decode", [1], [1024, 32768, 65536]),
            ("both", [2, 4, 16, 64], [512]),
            ("both", [8, 32], [4096]),
            ("both", [128, 256], [128]),
            ("prefill", [1], [256, 16384]),
            ("decode", [1], [8192]),
            ("both", [128, 256], [512]),
        ],
        ("click", "pydantic", "yaml", "numpy", "gguf"),
        {"Qwen3-30B-A3B": ("q8_0",)},  # 61 GB in f16
        {"q8_0": [m for m in MODELS if m not in LARGE], "f16": LARGE, "q4_k_m": LARGE},  # q8_0 is written as it stands
    ),
    "vllm": Plan(
        ("bf16", "fp8"),
        [
            ("both", [1], [1024, 8192, 128]),
            ("both", [8], [1024]),
            ("both", [64], [512]),
            ("both", [256], [256]),
            ("both", [1], [32768]),
        ],
        [
            ("both", [32], [1024]),
            ("both", [128], [512]),
            ("both", [8], [8192]),
            ("decode", [1], [65536]),
            ("both", [1], [2048, 4096, 16384]),
            ("both", [2, 4, 16], [512]),
            ("both", [32], [4096]),
        ],
        ("click", "pydantic", "yaml"),
        late={"fp8": RECURRENT},
        together=4,  # an engine takes more than a minute to come up: not all formats before the next kind
    ),
    "transformers-static": Plan(
        ("bf16",),
        [("decode", [1], [1024, 8192, 32768]), ("decode", [8], [1024]), ("prefill", [1], [1024, 8192])],
        [
            ("decode", [32], [1024]),
            ("decode", [8], [8192]),
            ("decode", [1], [128, 4096, 65536]),
            ("decode", [2, 4, 16], [1024]),
            ("decode", [64, 128, 256], [512]),
            ("prefill", [8], [1024]),
            ("prefill", [1], [128, 4096]),
        ],
        ("click", "pydantic", "yaml", "torch", "transformers"),
    ),
    "transformers": Plan(
        ("bf16",),
        [("both", [1], [512, 8192, 32768])],
        [
            ("both", [1], [2048]),
            ("both", [8], [1024]),
            ("both", [1], [128]),
            ("both", [32], [1024]),
            ("both", [8], [8192]),
            ("both", [1], [65536, 16384, 1024, 4096]),
            ("decode", [64, 128, 256], [512]),
        ],
        ("click", "pydantic", "yaml", "torch", "transformers"),
    ),
}
COMPILED = [(1, 4096), (32, 1024)]
"""Batch and tokens of what is compiled too, of the small models: each takes a minute to compile."""

PATIENCE = {"llama.cpp": 150.0, "vllm": 300.0, "transformers-static": 150.0, "transformers": 150.0}
"""Seconds that one model in one format may take at a time."""
HUNG = 180.0
"""Seconds after which one configuration of transformers counts as hung."""
ROOM = 45e9
"""Bytes that stay free in the folder of files: those of other models are removed before."""
NAMES = {"H100 80GB HBM3": "H100 SXM 80GB", "H200": "H200 SXM 141GB"}
LOST = 3
"""Exit code of a process whose device no longer answers."""
LONG = 65536
"""Tokens of a prefill, all sequences together, that only small models are asked for."""


def arguments() -> argparse.Namespace:
    """The command line."""
    shm = "/dev/shm" if Path("/dev/shm").is_dir() else None
    parser = argparse.ArgumentParser(usage=__doc__, add_help=False)
    parser.add_argument("runs")
    parser.add_argument("--stack", choices=list(PLANS), default="llama.cpp")
    parser.add_argument("--llama-bench")
    parser.add_argument("--llama-batched-bench")
    parser.add_argument("--llama-quantize")
    parser.add_argument("--vllm-python")
    parser.add_argument("--on", choices=["cuda", "cpu"])
    parser.add_argument("--scratch", default=shm)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--models", nargs="+")
    parser.add_argument("--weights", nargs="+")
    parser.add_argument("--memory", type=float, default=72.0)
    parser.add_argument("--shrink", type=int, default=1)
    parser.add_argument("--device-name")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--expect")
    parser.add_argument("--worker", nargs=2)  # of a process that measures: what, as JSON, and until when
    return parser.parse_args()


def rounds(options: argparse.Namespace) -> Iterator[tuple[str, str, Wanted]]:
    """Model, format and what is wanted of them, in the order in which it is measured."""
    plan, models = PLANS[options.stack], options.models or MODELS

    def pairs(late: bool) -> Iterator[tuple[str, str]]:
        for start in range(0, len(models), plan.together):
            for weights in options.weights or plan.weights:
                for model in models[start : start + plan.together]:
                    fits = options.weights or weights in plan.of.get(model, plan.weights)
                    if fits and (model in plan.late.get(weights, ())) == late:
                        yield model, weights

    for wanted in (plan.first, plan.rest):
        for late in (False, True):
            for model, weights in pairs(late):
                yield model, weights, wanted


def places(options: argparse.Namespace, a: object, wanted: Wanted, share: float) -> Iterator[tuple[str, int, int]]:
    """Phase, batch and tokens of what fits the memory; `share` is the bytes of a weight."""
    from roofsim.measure.points import STEPS
    from roofsim.model.step import Precision

    for phase, batches, lengths in wanted:
        phases = ("prefill", "decode") if phase == "both" else (phase,)
        for batch in batches:
            for length in lengths:
                tokens = length // options.shrink
                held = share * a.total_parameters + batch * float(a.state_bytes(tokens + STEPS, Precision()))
                if held <= 1e9 * options.memory:
                    yield from ((each, batch, tokens) for each in phases)


@dataclass
class Clock:
    """When it began, when it must end, and how far it is."""

    start: float
    stop: float

    def say(self, said: str) -> None:
        """A line with the time."""
        print(f"{time.monotonic() - self.start:6.1f} s  {said}", flush=True)

    def until(self, patience: float) -> float:
        """When a piece of work must end that begins now."""
        return min(self.stop, time.monotonic() + patience)

    @property
    def over(self) -> bool:
        """Whether nothing more can be begun."""
        return time.monotonic() > self.stop - 2


def opened(options: argparse.Namespace, called: str, what: str) -> object:
    """The file of runs, for a device by what it calls itself."""
    from roofsim.cli._book import Book
    from roofsim.cli.measure import read_runs
    from roofsim.measure.runs import runs

    device = options.device_name or NAMES.get(called, called)
    book = Book(runs(device, read_runs(options.runs), options.runs), options.runs, what)
    print(f"-- {called} as {device}; {len(book.file.rows)} rows so far", flush=True)
    return book


def llama(options: argparse.Namespace, clock: Clock) -> int:
    """Measure llama.cpp until the time is up."""
    from roofsim.adapters.gguf.write import FORMATS
    from roofsim.cli._llamacpp import folder, named, programs
    from roofsim.foundation.errors import InputError
    from roofsim.measure.llamacpp import Files, Session
    from roofsim.measure.points import Point, known, state
    from roofsim.measure.programs import Ended

    tools = programs(options.llama_bench, options.llama_batched_bench, options.llama_quantize)()
    tools.batched()
    try:
        tools.quantize()
        made = None
    except InputError as error:  # formats that are written as they stand can be measured all the same
        clock.say(f"!! {error}")
        made = FORMATS
    book = opened(options, tools.device(), "llama.cpp")
    with folder(options.scratch, None) as place:
        files = Files(place, False, tools)
        for words, weights, wanted in rounds(options):
            if clock.over:
                break
            if made is not None and weights not in made:
                continue
            try:
                name, a = named(words)
                share = 1.1 if weights.startswith("q") else 2
                mine = [Point(name, weights, *each) for each in places(options, a, wanted, share)]
                if not any(state(point, known(book.file)) == "to do" for point in mine):
                    continue
                if shutil.disk_usage(place).free < ROOM:
                    files.forget()
                until = clock.until(PATIENCE["llama.cpp"])
                path = files.file(a, name, weights, until, clock.say)
                for done in Session(tools, 3, until=until).measure(path, mine, known(book.file)):
                    book.add(done.rows, a.kind)
                    clock.say(f"{done.point.said}: {done.said}")
            except Ended:
                clock.say(f"!! {words} {weights}: stopped, its time is up")
            except InputError as error:
                clock.say(f"!! {error}")
        files.forget()
    return 0


def vllm(options: argparse.Namespace, clock: Clock) -> int:
    """Measure vLLM until the time is up."""
    from roofsim import library
    from roofsim.cli._vllm import interpreter
    from roofsim.foundation.errors import InputError
    from roofsim.measure.build import subject
    from roofsim.measure.points import Done, Point, known
    from roofsim.measure.programs import Ended
    from roofsim.measure.vllm import Session

    session = Session(interpreter(options.vllm_python))
    book = opened(options, session.device(), "vllm")
    for words, weights, wanted in rounds(options):
        if clock.over:
            break
        try:
            each, a = subject(words), library.architecture(words)
            dtype = "bf16" if weights == "fp8" else weights
            share = 1 if weights == "fp8" else 2
            mine = [Point(each.name, weights, *p, "vllm", dtype) for p in places(options, a, wanted, share)]
            until = clock.until(PATIENCE["vllm"])
            asked = Session(session.python, until=until)
            for said in asked.measure(each, mine, known(book.file, "vllm"), clock.say):
                book.add(said.rows if isinstance(said, Done) else said, each.arch or "")
                if isinstance(said, Done):
                    clock.say(f"{said.point.said}: {said.said}")
        except Ended:
            clock.say(f"!! {words} {weights}: stopped, its time is up")
        except InputError as error:
            clock.say(f"!! {error}")
    return 0


def transformers(options: argparse.Namespace, clock: Clock) -> int:
    """Measure transformers until the time is up, each model in a process of its own that may die or hang."""
    sys.path.insert(0, str(ROOT / "tools"))
    from measure_h100 import place, write_failure

    environment = {
        **os.environ, "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }  # fmt: skip
    now = place(options.runs)
    for words, _, wanted in rounds(options):
        again = True
        while again and not clock.over:
            now.unlink(missing_ok=True)
            until = time.time() + clock.until(PATIENCE[options.stack]) - time.monotonic()
            command = [sys.executable, __file__, *sys.argv[1:], "--worker", json.dumps([words, wanted]), str(until)]
            worker, began = subprocess.Popen(command, env=environment), time.time()
            try:
                while worker.poll() is None:
                    time.sleep(0.5)
                    last = max([each.stat().st_mtime for each in (now, Path(options.runs)) if each.exists()] or [began])
                    if time.time() - max(last, began) > HUNG or time.monotonic() > clock.stop + 5:
                        worker.kill()
            finally:
                worker.kill()
                worker.wait()
            again = worker.returncode not in (0, 2) and time.monotonic() < clock.stop
            if again and worker.returncode != LOST:
                held = now.exists() and "row" in json.loads(now.read_text())
                write_failure(options.runs, f"process ended with {worker.returncode}")
                again = held  # else it died before its first configuration, and would again
    now.unlink(missing_ok=True)
    return 0


def work(options: argparse.Namespace) -> int:
    """Measure one model with transformers: what a process of its own does."""
    from measure_h100 import place

    from roofsim import library
    from roofsim.cli.measure import Book, read_runs
    from roofsim.foundation.errors import InputError
    from roofsim.measure import stack as stacks
    from roofsim.measure.build import fallbacks, made, subject
    from roofsim.measure.passes import Protocol
    from roofsim.measure.runs import Case, runs

    what, until = options.worker
    words, wanted = json.loads(what)
    stack = stacks.load(options.on)
    called = stacks.device_name(stack)
    device = options.device_name or NAMES.get(called, called)
    book = Book(stack, runs(device, read_runs(options.runs), options.runs), options.runs, None, "bf16", False)
    now, parent = place(options.runs), os.getppid()

    def may_begin(case: Case) -> bool:
        if os.getppid() != parent:  # killed: another may be at the same file by now
            return False
        now.write_text(json.dumps({"device": device, "row": case.row("failed", 1.0, f"logits={case.logits}")}))
        return time.time() < float(until)

    try:
        each, a = subject(words), library.architecture(words)
        cases = []
        for phase, batch, tokens in places(options, a, wanted, 2):
            if phase == "prefill" and batch * tokens >= LONG and words in LARGE:
                continue
            modes = [""]
            if options.stack == "transformers-static":
                modes = ["eager"] if phase == "prefill" or stack.on == "cpu" else ["graph", "eager"]
                small = words not in LARGE and stack.on == "cuda"
                if small and phase == "decode" and (batch, tokens * options.shrink) in COMPILED:
                    modes.append("compile")
            cases += [Case(each.name, phase, "bf16", batch, tokens, mode=mode) for mode in modes]
        if stack.on == "cuda" and (slow := fallbacks(made(stack, each, "bf16", "meta"))):
            print(f"!! {each.name} left out: reference code in place of {', '.join(slow)}", flush=True)
            return 0
        energy = 1.0 if stack.on == "cuda" else 0.0
        book.models([each], {each.name: cases}, Protocol(2, 5, energy, enough=1.5), may_begin)
    except InputError as error:
        print(f"!! {error}", flush=True)
        return 2
    now.unlink(missing_ok=True)
    return LOST if book.lost else 0


def listed(options: argparse.Namespace) -> int:
    """Say what would be measured, and how long it takes if a device is named."""
    from roofsim import library

    spent, made = 0.0, set[str]()
    for words, weights, wanted in rounds(options):
        share = 1.1 if weights.startswith("q") else 1 if weights == "fp8" else 2
        a = library.architecture(words)
        mine = list(places(options, a, wanted, share))
        line = f"{words} {weights}: {', '.join(f'{phase} {batch} x {tokens:,}' for phase, batch, tokens in mine)}"
        if options.expect:
            taken = expected(options, words, weights, mine)
            if options.stack == "llama.cpp":
                taken += written(a.total_parameters, words, weights, made)
            taken = min(taken, PATIENCE[options.stack])
            spent += taken
            line += f" | {taken:.0f} s, {spent / 60:.1f} min so far"
        print(line, flush=True)
    return 0


RUNTIMES = {
    "llama.cpp": "llama.cpp", "vllm": "vllm", "transformers-static": "transformers-5-static",
    "transformers": "transformers-5-eager",
}  # fmt: skip
STARTS = {"llama.cpp": 3.0, "vllm": 80.0, "transformers-static": 25.0, "transformers": 25.0}
"""Seconds until a process is ready, roughly: an engine of vLLM 0.23 took 70 to 90 on an H100."""
LOADED, WRITTEN, QUANTISED = 3e9, 0.6e9, 1e8
"""Bytes a second that llama.cpp loads and that a file is written with (two busy cores), and parameters a second that
llama-quantize works through on 16 cores: rough, for a plan."""


def expected(options: argparse.Namespace, words: str, weights: str, mine: list[tuple[str, int, int]]) -> float:
    """Seconds that a model in a format takes: passes as predicted, as often as each stack runs them, and starts."""
    import roofsim
    from roofsim.measure.points import STEPS

    if not mine:
        return 0.0
    request = roofsim.predict(
        words, options.expect, RUNTIMES[options.stack], prompt=[max(tokens, 1) for _, _, tokens in mine],
        batch=[batch for _, batch, _ in mine], generate=2,
        weights=None if options.stack.startswith("transformers") else weights,
    ).request  # fmt: skip
    taken = STARTS[options.stack]
    if options.stack == "llama.cpp":
        runs = {(phase, 1) if batch == 1 else (batch, tokens) for phase, batch, tokens in mine}
        taken = len(runs) * (taken + held_bytes(words, weights) / LOADED)
    times = {point: (float(t), float(s)) for point, t, s in zip(mine, request.ttft, request.tpot, strict=True)}
    for (phase, batch, tokens), (prompt, step) in times.items():
        decode = phase == "decode"
        if options.stack == "llama.cpp":  # a warm-up and three repeats; of a depth the cache is kept for them
            taken += prompt * (batch == 1) + 3 * STEPS * step if decode else 4 * prompt
        elif options.stack == "vllm":  # both phases come of the same calls: three that read the prompts, one with steps
            if decode or ("decode", batch, tokens) not in times:
                once = 3 * prompt + STEPS * step
                taken += prompt + once * min(3, 1 + 6.0 // once)
        else:  # some passes, a second of them for their energy, the profiler or a capture
            modes = 2 if decode and options.stack == "transformers-static" else 1
            one = step if decode else prompt
            taken += prompt * (decode and modes == 1) + modes * (min(8 * one, 3.0 + one) + 1.5)
    return taken


def held_bytes(words: str, weights: str) -> float:
    """Bytes of the weights of a model, roughly."""
    from roofsim import library

    return library.architecture(words).total_parameters * {"q4_k_m": 0.62, "q8_0": 1.07, "fp8": 1.0}.get(weights, 2.0)


def written(parameters: float, words: str, weights: str, made: set[str]) -> float:
    """Seconds until llama.cpp's file of a model is there: others are made from the one in f16."""
    if f"{words} {weights}" in made:
        return 0.0
    made.add(f"{words} {weights}")
    if weights.startswith("q") and weights != "q8_0":
        return parameters / QUANTISED + written(parameters, words, "f16", made)
    return held_bytes(words, weights) / WRITTEN


RUN: dict[str, Callable[[argparse.Namespace, Clock], int]] = {
    "llama.cpp": llama, "vllm": vllm, "transformers-static": transformers, "transformers": transformers,
}  # fmt: skip


def main() -> int:
    """Check what is needed, then measure."""
    options = arguments()
    absent = [name for name in PLANS[options.stack].needs if find_spec(name) is None]
    if absent and not options.list:
        print(f"not installed: {', '.join(absent)}\nsee the head of {__file__}", file=sys.stderr)
        return 2
    sys.path.insert(0, str(ROOT))
    from roofsim.foundation.errors import InputError
    from roofsim.measure.programs import told_to_end

    start = time.monotonic()
    clock = Clock(start, start + 60 * options.minutes)
    try:
        if options.worker:
            return work(options)
        if options.list:
            return listed(options)
        with told_to_end():
            code = RUN[options.stack](options, clock)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        clock.say("interrupted")
        return 130
    clock.say("the time is up" if clock.over else "all is done")
    return code


if __name__ == "__main__":
    sys.exit(main())
