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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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


@contextmanager
def environments() -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """Environments of a user's second command, for which modules and specs are kept, and of a first, without specs."""
    with tempfile.TemporaryDirectory() as folder:
        warm = {**os.environ, "PYTHONPYCACHEPREFIX": folder, "ROOFSIM_CACHE": os.path.join(folder, "specs")}
        warm.pop("PYTHONDONTWRITEBYTECODE", None)
        yield warm, {**warm, "ROOFSIM_CACHE": "off"}


def seconds(arguments: Sequence[str], environment: Mapping[str, str]) -> float:
    """Processor time of Python with these arguments."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], env=environment, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def in_turns(arguments: Sequence[str], environment: Mapping[str, str], runs: int) -> tuple[float, float]:
    """Median processor time, and its median ratio to `python -c pass` run just before; the first run is not counted."""
    found = [(seconds(NOTHING, environment), seconds(arguments, environment)) for _ in range(runs + 1)][1:]
    return median(took for _, took in found), median(took / nothing for nothing, took in found)


def main() -> None:
    """Print one line per command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=RUNS)
    runs = parser.parse_args().runs
    with environments() as (warm, cold):
        rows = [("python -c pass", NOTHING, warm), ("python -c 'import click'", CLICK, warm)]
        rows += [(" ".join(("roofsim", *command)), program(*command), warm) for command in COMMANDS]
        rows += [(f"cold: roofsim {' '.join(PREDICT)}", program(*PREDICT), cold)]
        for name, arguments, environment in rows:
            took, ratio = in_turns(arguments, environment, runs)
            print(f"{ratio:6.1f}  {took * 1e3:6.1f} ms  {name}", flush=True)


if __name__ == "__main__":
    main()
