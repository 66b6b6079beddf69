"""Measure the set of models that a stack is calibrated with, the most telling configurations first.

usage: python tools/measure_stacks.py RUNS.csv --stack llama.cpp --llama-bench PATH [--minutes M]

Needs of Python numpy, gguf, click, pydantic and PyYAML, and no network; of llama.cpp the programs
llama-bench, llama-batched-bench and llama-quantize, found beside the first. Each row is in RUNS.csv as soon as it is
measured; what is there already is not measured again: the same command goes on.

    --stack llama.cpp            what to measure
    --llama-bench PATH           the program, or the folder of the programs
    --llama-batched-bench PATH, --llama-quantize PATH
    --scratch DIR                where files of weights lie meanwhile (default /dev/shm if there is one)
    --minutes M                  end after so many minutes (default 8)
    --models A B ...             other models
    --weights f16 q8_0 q4_k_m    other formats
    --memory GB                  leave out what needs more memory of the device (default 72)
    --shrink N                   all lengths divided by N, for a rehearsal on a small machine
    --device-name TEXT           device of the rows
"""

import argparse
import shutil
import sys
import time
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

SMALL = (
    "Llama-3.2-1B", "mamba-1.4b", "Qwen2.5-0.5B", "mamba2-780m", "Falcon-H1-0.5B", "Qwen3-1.7B", "LFM2-1.2B",
    "mamba-2.8b",
)  # fmt: skip
LARGE = ("OLMoE-1B-7B", "Llama-3.1-8B", "Granite-4.0-H-Tiny")
WEIGHTS = ("f16", "q4_k_m", "q8_0")

Wanted = list[tuple[str, list[int], list[int]]]
FIRST: Wanted = [
    ("prefill", [1], [512, 2048, 8192]),
    ("decode", [1], [0, 4096, 16384]),
    ("both", [8, 32], [512]),
]
"""Phase, batches, tokens: what every model and format is measured at before any is at the rest."""
REST: Wanted = [
    ("prefill", [1], [128, 1024, 4096, 32768]),
    ("decode", [1], [1024, 32768, 65536]),
    ("both", [2, 4, 16, 64], [512]),
    ("both", [8, 32], [4096]),
    ("both", [128, 256], [128]),
    ("prefill", [1], [256, 16384]),
    ("decode", [1], [8192]),
    ("both", [128, 256], [512]),
]

PATIENCE = 150.0
"""Seconds that one model in one format may take at a time."""
ROOM = 45e9
"""Bytes that stay free in the folder of files: those of other models are removed before."""
NAMES = {"H100 80GB HBM3": "H100 SXM 80GB", "H200": "H200 SXM 141GB"}


def arguments() -> argparse.Namespace:
    """The command line."""
    shm = "/dev/shm" if Path("/dev/shm").is_dir() else None
    parser = argparse.ArgumentParser(usage=__doc__, add_help=False)
    parser.add_argument("runs")
    parser.add_argument("--stack", choices=["llama.cpp"], default="llama.cpp")
    parser.add_argument("--llama-bench")
    parser.add_argument("--llama-batched-bench")
    parser.add_argument("--llama-quantize")
    parser.add_argument("--scratch", default=shm)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--models", nargs="+")
    parser.add_argument("--weights", nargs="+", default=WEIGHTS)
    parser.add_argument("--memory", type=float, default=72.0)
    parser.add_argument("--shrink", type=int, default=1)
    parser.add_argument("--device-name")
    return parser.parse_args()


def llama(options: argparse.Namespace) -> int:
    """Measure llama.cpp until the time is up."""
    from roofsim.cli._book import Book
    from roofsim.cli._llamacpp import folder, named, programs
    from roofsim.cli.measure import read_runs
    from roofsim.foundation.errors import InputError
    from roofsim.measure.llamacpp import Files, Session
    from roofsim.measure.points import STEPS, Point, known, state
    from roofsim.measure.programs import Ended
    from roofsim.measure.runs import runs
    from roofsim.model.step import Precision

    start = time.monotonic()
    stop = start + 60 * options.minutes
    tools = programs(options.llama_bench, options.llama_batched_bench, options.llama_quantize)()
    tools.batched(), tools.quantize()
    called = tools.device()
    device = options.device_name or NAMES.get(called, called)
    book = Book(runs(device, read_runs(options.runs), options.runs), options.runs, "llama.cpp")
    print(f"-- {called} as {device}; {len(book.file.rows)} rows so far", flush=True)

    def say(said: str) -> None:
        print(f"{time.monotonic() - start:6.1f} s  {said}", flush=True)

    def points(name: str, a: object, weights: str, wanted: Wanted) -> list[Point]:
        found = []
        for phase, batches, lengths in wanted:
            for batch in batches:
                for length in lengths:
                    tokens = length // options.shrink
                    held = 2 * a.total_parameters + batch * float(a.state_bytes(tokens + STEPS, Precision()))
                    if held > 1e9 * options.memory:
                        continue
                    for each in ("prefill", "decode") if phase == "both" else (phase,):
                        found.append(Point(name, weights, each, batch, tokens))
        return found

    small, large = (options.models, ()) if options.models else (SMALL, LARGE)
    rounds = [(FIRST, small), (FIRST, large), (REST, (*small, *large))]
    with folder(options.scratch, None) as place:
        files = Files(place, False, tools)
        for wanted, models in rounds:
            for words in models:
                for weights in options.weights:
                    now = time.monotonic()
                    if now > stop - 2:
                        say("the time is up")
                        return 0
                    try:
                        name, a = named(words)
                        mine = points(name, a, weights, wanted)
                        if not any(state(point, known(book.file)) == "to do" for point in mine):
                            continue
                        if shutil.disk_usage(place).free < ROOM:
                            files.forget()
                        until = min(stop, now + PATIENCE)
                        path = files.file(a, name, weights, until, say)
                        for done in Session(tools, 3, until=until).measure(path, mine, known(book.file)):
                            book.add(done.rows, a.kind)
                            say(f"{done.point.said}: {done.said}")
                    except Ended as error:
                        say(f"!! {words} {weights}: stopped; {error.said[-200:]}")
                    except InputError as error:
                        say(f"!! {error}")
        files.forget()
    say("all is done")
    return 0


def main() -> int:
    """Check what is needed, then measure."""
    options = arguments()
    absent = [name for name in ("click", "pydantic", "yaml", "numpy", "gguf") if find_spec(name) is None]
    if absent:
        print(f"not installed: {', '.join(absent)}\nsee the head of {__file__}", file=sys.stderr)
        return 2
    sys.path.insert(0, str(ROOT))
    from roofsim.foundation.errors import InputError

    try:
        return llama(options)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
