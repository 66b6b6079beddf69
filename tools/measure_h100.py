"""Measure the set of models that the calibration of an H100 is fitted to, the most telling configurations first.

usage: python tools/measure_h100.py RUNS.csv [--kernels KERNELS.jsonl] [--max-seconds S]

Needs roofsim, PyTorch with CUDA and transformers, and for all but transformers the kernels that
tools/build_mamba_kernels.sh builds. What is in RUNS.csv already is not measured again: the same command goes on.
The work is done in a process of its own. If that dies or hangs, the configuration that it was at is written down as
failed and another process goes on with the rest.

    --max-seconds S      begin nothing after so many seconds (default 840)
    --without-kernels    transformers only
    --models A B ...     other models, for a rehearsal
    --shrink N           all lengths divided by N, for a rehearsal on a small machine
    --on cpu             on the processor
    --device-name TEXT   device of the rows
"""

import argparse
import json
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TRANSFORMERS = ("Qwen2.5-0.5B", "Llama-3.2-1B", "Qwen2.5-1.5B", "Phi-3-mini", "Llama-3.1-8B")
MODELS = (
    "Qwen2.5-0.5B", "mamba2-780m", "Falcon-H1-0.5B", "Llama-3.2-1B", "mamba-790m", "Zamba2-1.2B",
    "Qwen2.5-1.5B", "mamba2-1.3b", "Falcon-H1-1.5B", "Phi-3-mini", "mamba-130m", "Granite-4.0-H-Tiny", "Llama-3.1-8B",
)  # fmt: skip
"""All of them, the kinds in turn, so that whenever time is up each kind has been measured."""
LARGE = ("Phi-3-mini", "Granite-4.0-H-Tiny", "Llama-3.1-8B", "Qwen2.5-7B", "Bamba-9B", "Falcon-Mamba-7B", "mamba2-2.7b")
"""Models too large for a prefill of the longest prompts to be worth its time."""

BOTH = ("prefill", "decode")
FIRST = [(1, 512, BOTH, "last"), (1, 8192, BOTH, "last"), (1, 32768, BOTH, "last")]
"""Batch, tokens, phases, logits: short, medium and long."""
REST = [
    (1, 2048, BOTH, "last"), (8, 1024, BOTH, "last"), (1, 128, BOTH, "last"), (1, 131072, BOTH, "last"),
    (8, 8192, BOTH, "last"), (32, 1024, BOTH, "last"), (1, 1024, ("prefill",), "all"), (1, 8192, ("prefill",), "all"),
    (32, 8192, ("decode",), "last"), (1, 65536, BOTH, "last"), (1, 16384, BOTH, "last"), (1, 1024, BOTH, "last"),
    (1, 4096, BOTH, "last"),
]  # fmt: skip
LONG = 65536

PATIENCE = 240.0
"""Seconds after which one configuration counts as hung."""
ATTEMPTS = 12
"""Processes at most."""
LOST = 3
"""Exit code of a process whose device no longer answers."""


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(usage=__doc__, add_help=False)
    parser.add_argument("runs")
    parser.add_argument("--kernels")
    parser.add_argument("--max-seconds", type=float, default=840.0)
    parser.add_argument("--without-kernels", action="store_true")
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--shrink", type=int, default=1)
    parser.add_argument("--on", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--device-name")
    parser.add_argument("--skip-micro", action="store_true")
    parser.add_argument("--worker", type=float)  # when to stop, of a process that measures
    return parser.parse_args()


def place(runs: str) -> Path:
    """Where a process writes down what it is at."""
    return Path(f"{runs}.now")


def work(options: argparse.Namespace) -> int:
    """Measure until the time is up."""
    from roofsim.cli.measure import Book, read_runs
    from roofsim.foundation.errors import InputError
    from roofsim.measure import stack as stacks
    from roofsim.measure.build import fallbacks, made, subject
    from roofsim.measure.passes import Protocol
    from roofsim.measure.runs import Case, runs

    stack = stacks.load(options.on)
    called = stacks.device_name(stack)
    name = options.device_name or {"H100 80GB HBM3": "H100 SXM 80GB"}.get(called, called)
    book = Book(stack, runs(name, read_runs(options.runs), options.runs), options.runs, options.kernels, "bf16", False)
    now = place(options.runs)

    def in_time() -> bool:
        return time.time() < options.worker

    def may_begin(case: Case) -> bool:
        now.write_text(json.dumps({"device": name, "row": case.row("failed", 1.0, f"logits={case.logits}")}))
        return in_time()

    def measure(models: list[str], points: list[tuple], protocol: Protocol) -> None:
        for words in models:
            each = subject(words)
            cases = [
                Case(each.name, phase, "bf16", batch, max(tokens // options.shrink, 8), logits)
                for batch, tokens, phases, logits in points
                for phase in phases
                if words not in LARGE or (batch * tokens < LONG and batch < 32)
            ]
            now.write_text(json.dumps({}))
            start = time.time()
            try:
                if stack.on == "cuda" and (slow := fallbacks(made(stack, each, "bf16", "meta"))):
                    print(f"!! {each.name} left out: reference code in place of {', '.join(slow)}", flush=True)
                    continue
                book.models([each], {each.name: cases}, protocol, may_begin)
            except InputError as error:
                print(f"!! {error}", flush=True)
            print(f"-- {each.name}: {time.time() - start:.0f} s, {options.worker - time.time():.0f} s left", flush=True)
            if book.lost or not in_time():
                return

    models = [m for m in options.models if not options.without_kernels or m in TRANSFORMERS]
    # 2 s: in 0.5 s the counter, with its steps of 100 ms, is off by up to 30 %
    measure(models, FIRST, Protocol(warmup=2, repeats=5, energy=2.0 if options.on == "cuda" else 0, enough=1.5))
    if not options.skip_micro and not book.lost and in_time():
        now.write_text(json.dumps({"micro": True}))
        book.operators(in_time)
    if not book.lost and in_time():
        measure(models, REST, Protocol(warmup=1, repeats=3, energy=0, enough=1.5))
    now.unlink(missing_ok=True)
    return LOST if book.lost else 0


def write_failure(runs_path: str, reason: str) -> bool:
    """Put down as failed what a process was at when it ended; whether that was the single operators."""
    from roofsim.cli.measure import read_runs
    from roofsim.foundation import writing
    from roofsim.measure.runs import runs

    at = json.loads(place(runs_path).read_text()) if place(runs_path).exists() else {}
    if "row" in at:
        row = {**at["row"], "source": "tools/measure_h100.py", "note": f"{at['row']['note']};{reason}"}
        file = runs(at["device"], read_runs(runs_path), runs_path).plus([row])
        writing.text(runs_path, file.text, at_once=True)
        print(f"!! {row['model']} {row['phase']} {row['batch']} x {row['prompt_len']}: {reason}", flush=True)
    return bool(at.get("micro"))


def missing(options: argparse.Namespace) -> str:
    """What is not installed or cannot be loaded."""
    absent = [name for name in ("click", "pydantic", "yaml", "torch", "transformers") if find_spec(name) is None]
    if absent:
        return f"not installed: {', '.join(absent)}"
    if options.on == "cpu" or options.without_kernels:
        return ""
    script = "import mamba_ssm, causal_conv1d, mamba_ssm.ops.triton.ssd_combined"
    tried = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    return tried.stderr[-2000:] if tried.returncode else ""


def watch(options: argparse.Namespace) -> int:
    """Keep a process at work until all is done or the time is up."""
    stop = time.time() + options.max_seconds
    more = []
    environment = {
        **os.environ, "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }  # fmt: skip
    for _ in range(ATTEMPTS):
        place(options.runs).unlink(missing_ok=True)
        command = [sys.executable, __file__, *sys.argv[1:], *more, "--worker", str(stop)]
        worker = subprocess.Popen(command, env=environment)
        began = time.time()
        while worker.poll() is None:
            time.sleep(1)
            at = place(options.runs)
            last = max((path.stat().st_mtime for path in (at, Path(options.runs)) if path.exists()), default=began)
            if time.time() - max(last, began) > PATIENCE:
                worker.kill()
                worker.wait()
        if worker.returncode in (0, 2) or time.time() >= stop:
            return worker.returncode
        if worker.returncode == LOST:  # written down already
            continue
        if write_failure(options.runs, f"process ended with {worker.returncode}"):
            more = ["--skip-micro"]
    return 1


def main() -> int:
    """Check what is needed, then measure."""
    options = arguments()
    if options.worker is not None:
        return work(options)
    if absent := missing(options):
        print(f"{absent}\nsee the head of {__file__}", file=sys.stderr)
        return 2
    sys.path.insert(0, str(ROOT))
    return watch(options)


if __name__ == "__main__":
    sys.exit(main())
