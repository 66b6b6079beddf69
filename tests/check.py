"""Runs every check that a change must pass: `python tests/check.py [CHECK ...]`, by default all.

A check is one entry of CHECKS. Each prints one line with its time, and what it said only if it failed; they run two at
a time, as the tests do, which come last and are shown as they run. All run even if one fails; the exit code is 1 if any
did.
"""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COVERED = {"units": "foundation", "arith": "foundation", "cost": "foundation", "roofline": "engine"}
"""Modules whose own tests must reach every branch, and the room of each."""


def script(name: str) -> str:
    """The program `name` of the environment that runs this file."""
    return str(Path(sys.executable).with_name(name))


def module(name: str, *arguments: str) -> list[str]:
    """`python -m name arguments` in that environment."""
    return [sys.executable, "-m", name, *arguments]


CHECKS = {
    "lint": [script("ruff"), "check"],
    "format": [script("ruff"), "format", "--check"],
    "types": module("mypy", "--strict", "roofsim", "tests/api/every_function.py"),
    "layers": [script("lint-imports"), "--no-cache"],
    "docs": module("roofsim.reports.docs", "--check"),
    # apart from the other tests, which take half as long again when every call is traced
    "coverage": module(
        "pytest", "-q", *(f"tests/unit/test_{name}.py" for name in COVERED),
        *(f"--cov=roofsim.{room}.{name}" for name, room in COVERED.items()), "--cov-branch", "--cov-fail-under=100",
    ),
    "tests": module("pytest", "-q", "-n", "2", "--dist", "loadgroup"),
}  # fmt: skip
AT_ONCE = 2
SHOWN = "tests"  # its output is shown as it comes; it stays last, so that a log ends with pytest's summary


def passes(name: str, command: list[str]) -> bool:
    """Runs one check and reports it."""
    start = time.perf_counter()
    live = name == SHOWN
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            check=False,
            text=True,
            stdout=None if live else subprocess.PIPE,
            stderr=None if live else subprocess.STDOUT,
        )
        ok, said = done.returncode == 0, done.stdout or ""
    except FileNotFoundError as error:
        ok, said = False, f"{error}; install the `dev` extra"
    line = f"{'ok' if ok else 'FAILED':8}{name:10}{time.perf_counter() - start:6.1f} s"
    print("\n".join([line, *([said.rstrip()] if not ok and said else [])]), flush=True)
    return ok


def main(names: list[str]) -> int:
    """Runs the named checks, or all of them."""
    if unknown := set(names) - set(CHECKS):
        print(f"no check {', '.join(sorted(unknown))}; there are: {', '.join(CHECKS)}", file=sys.stderr)
        return 2
    asked = {name: command for name, command in CHECKS.items() if not names or name in names}
    shown = asked.pop(SHOWN, None)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(passes, asked, asked.values()))
    if shown:
        results.append(passes(SHOWN, shown))
    print(f"checks: {sum(results)} passed, {results.count(False)} failed")
    return int(not all(results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
