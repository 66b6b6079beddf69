"""Learn what parameters of links are like from published all-reduces, and how far machines left out are off.

usage: python tools/learn_links.py [-o FILE]

Means and spreads go into hardware/priors/population.yaml beside what tools/learn_priors.py learns, the error on
machines that were left out into docs/several.md. Takes two minutes; needs SciPy.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from roofsim import library
from roofsim.fitting.links import NAMES, Left, Machine, learn, leave_each_out, read
from roofsim.foundation.schema import assembled
from roofsim.specs.calibration import Dataset
from roofsim.specs.files import dump
from roofsim.specs.population import Group, Population, Typical

ROOT = Path(__file__).resolve().parents[1]
ROWS = ROOT / "data" / "published" / "all_reduce.csv"
FILE = ROOT / "hardware" / "priors" / "population.yaml"
PAGE = ROOT / "docs" / "several.md"
BEGIN, END = (f"<!-- machines left out: {which} -->" for which in ("begin (tools/learn_links.py)", "end"))


def main() -> None:
    """Write the file and the table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("-o", "--output", type=Path, default=FILE)
    given = arguments.parse_args()
    machines = read(ROWS)
    found = with_links(library.population(), machines)
    given.output.write_text(dump(found), encoding="utf-8")
    print(f"wrote {given.output}", file=sys.stderr)
    text = table(leave_each_out(machines))
    if given.output == FILE:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")
        print(f"wrote {PAGE}", file=sys.stderr)
    print(text)


def with_links(population: Population, machines: Sequence[Machine]) -> Population:
    """The same with what these machines say of links, as it holds for any device and runtime."""
    learnt = learn(machines).typical()
    rows = sum(machine.rows for machine in machines)
    own = assembled(
        Dataset, file=f"published/{ROWS.name}", sha256=sha256(ROWS.read_bytes()).hexdigest(), rows=rows, used=rows
    )
    kept = tuple(each for each in population.datasets if each.file != own.file)
    groups = tuple(_with(each, learnt) for each in population.groups)
    return replace(population, datasets=(*kept, own), groups=groups)


def _with(group: Group, learnt: dict[str, Typical]) -> Group:
    """A group without what whole steps seem to say of links, which exchanges alone say better; that of all has it."""
    others = {name: each for name, each in group.parameters.items() if name not in NAMES}
    return replace(group, parameters=others if group.devices or group.runtimes else {**others, **learnt})


def table(left: Sequence[Left]) -> str:
    """How machines that were left out are predicted, as Markdown."""
    lines = [
        "| machine | devices | rows | bias | median error | covered | width |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {each.machine.name} | {each.machine.device} | {each.machine.rows} | {each.bias:+.0%} | "
        f"{each.median_error:.0%} | {each.coverage:.0%} | {each.width:.2f} |"
        for each in left
    ]
    covered = sum(each.coverage * each.machine.rows for each in left) / sum(each.machine.rows for each in left)
    return "\n".join([*lines, "", f"Covered of all rows: {covered:.0%}."])


if __name__ == "__main__":
    main()
