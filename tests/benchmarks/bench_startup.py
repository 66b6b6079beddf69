"""What commands cost beside Python's own start: ratios of processor time, user and system, to `python -c pass`.

Each command runs in a process of its own, with its modules compiled and its specs kept (`specs.cache`) beforehand, as
for a user's second command; `cold` is the first, which reads and checks YAML. Run it on a machine that does nothing
else:

    python tests/benchmarks/bench_startup.py

`--runs 5` is quicker.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from statistics import median

RUNS = 15
NOTHING = ("-c", "pass")
CLICK = ("-c", "import click")
PREDICT = ("predict", "mamba2-780m", "--device", "orin")
COMMANDS = (
    ("--help",),
    ("predict", "--help"),
    PREDICT,
    (*PREDICT, "--format", "json"),
    (*PREDICT, "--set", "device.memory.bandwidth=2x"),
    ("devices",),
    ("crossover", "--device", "orin"),
)


def program(*arguments: str) -> tuple[str, ...]:
    """The arguments of Python that run a command as its installed script does."""
    return "-c", "import sys; from roofsim.cli import main; sys.exit(main())", *arguments


def seconds(arguments: Sequence[str], environment: Mapping[str, str], runs: int) -> float:
    """Median processor time of Python with these arguments, after a run that is not counted."""
    times = []
    for _ in range(runs + 1):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], env=environment, stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return median(times[1:])


def main() -> None:
    """Print one line per command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=RUNS)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        warm = {**os.environ, "PYTHONPYCACHEPREFIX": folder, "ROOFSIM_CACHE": os.path.join(folder, "specs")}
        warm.pop("PYTHONDONTWRITEBYTECODE", None)
        cold = {**warm, "ROOFSIM_CACHE": "off"}
        nothing = seconds(NOTHING, warm, runs)
        print(f"python -c pass: {nothing * 1e3:.1f} ms")
        rows = [("python -c 'import click'", CLICK, warm)]
        rows += [(" ".join(("roofsim", *command)), program(*command), warm) for command in COMMANDS]
        rows += [(f"cold: roofsim {' '.join(PREDICT)}", program(*PREDICT), cold)]
        for name, arguments, environment in rows:
            took = seconds(arguments, environment, runs)
            print(f"{took / nothing:6.1f}  {took * 1e3:6.1f} ms  {name}", flush=True)


if __name__ == "__main__":
    main()
