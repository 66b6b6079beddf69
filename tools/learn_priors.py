"""Learn what parameters are like in general, and how far predictions without a calibration are off.

usage: python tools/learn_priors.py FOLDER [--date YYYY-MM-DD] [-o FILE]

FOLDER holds files of runs besides our own in data/ and the published ones named below; a file of the same name there
is left out. Every stack in them is
fitted, and means, spreads and scatters of all classes of devices and runtimes go into hardware/priors/population.yaml,
with the error on stacks that were left out, which is put into docs/calibration.md as well.
Takes a minute or two; needs SciPy.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from importlib.metadata import version
from pathlib import Path

from learn_links import ROWS, with_links

from roofsim.fitting.links import read
from roofsim.fitting.population import learn, stacks
from roofsim.foundation.errors import InputError
from roofsim.foundation.version import __version__
from roofsim.runs.importers import read_runs
from roofsim.runs.reading import Runs
from roofsim.specs.calibration import Dataset
from roofsim.specs.files import dump
from roofsim.specs.population import Population

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "hardware" / "priors" / "population.yaml"
PUBLISHED = ("llamacpp_cuda.csv", "llamacpp_back_ends.csv", "products_amd.csv", "steps_amd.csv")
"""Runs of others in data/published, of devices or back ends that few of the other files have (data/README.md)."""
PAGE = ROOT / "docs" / "calibration.md"
BEGIN, END = (f"<!-- left out: {which} -->" for which in ("begin (tools/learn_priors.py)", "end"))
SHOWN = ("latency_s", "device_time_s", "peak_mem_bytes", "energy_j")
"""Metrics in the table of the page."""

# requests of a server are kept aside: they check sums over its steps. fp32 takes the vector unit in PyTorch, and cards
# that were measured with it state themselves what they reach; short prompts of SSM-Scope on the Orin Nano ran at half
# its clock, and small products in a captured graph overlap (tools/calibrate_shipped.py)
WHERE = (
    "not (op == 'linear' and timed == 'graph' and value < 2e-4) and "
    "op != 'e2e_serving' and dtype != 'fp32' and dtype != 'f32' and not ('Orin Nano' in device "
    "and 'mamba_ssm' in framework and metric != 'peak_mem_bytes' and prompt_len < 1024)"
)
METHOD = (
    "each stack fitted alone; per parameter random effects of device class, device, runtime class and stack about what "
    "was read by hand, sizes by marginal likelihood; scatter so that intervals hold 95 % of rows predicted without "
    "their device, of whole models and of single operators by kind (roofsim.fitting.population)"
)


def main() -> None:
    """Write the file, and print how stacks that were left out are predicted."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--date", default=dt.datetime.now(dt.UTC).date().isoformat())
    arguments.add_argument("-o", "--output", type=Path, default=FILE)
    given = arguments.parse_args()
    own = [*sorted((ROOT / "data").glob("*.csv")), *(ROOT / "data" / "published" / name for name in PUBLISHED)]
    names = {path.name for path in own}
    paths = [*own, *(path for path in sorted(given.folder.glob("*.csv")) if path.name not in names)]
    files = [read_runs(str(path), skip_bad_rows=True) for path in paths]
    found = stacks(files, WHERE)
    learnt = learn(found, lambda line: print(line, file=sys.stderr))
    lines = {(case.run.line, case.run.source, case.run.device) for stack in found for case in stack.cases}
    population = Population(
        name="What parameters of devices and runtimes are like", date=given.date,
        versions={"roofsim": __version__, **{name: version(name) for name in ("numpy", "scipy")}},
        method=METHOD, where=WHERE,
        datasets=tuple(dataset for runs in files if (dataset := _dataset(runs, lines))),
        shown=learnt.shown, groups=learnt.groups,
    )  # fmt: skip
    population = with_links(population, read(ROWS))
    given.output.write_text(dump(population), encoding="utf-8")
    print(f"wrote {given.output}", file=sys.stderr)
    if given.output == FILE:
        _write_page(table(population))
    print(table(population))


def _dataset(runs: Runs, lines: set[tuple[int, str, str]]) -> Dataset | None:
    """A file, if any of its rows was used."""
    used = sum((run.line, run.source, run.device) in lines for run in runs.runs)
    file = Path(runs.file).name
    return Dataset(file=file, sha256=runs.digest, rows=len(runs.runs), used=used) if used else None


def table(population: Population) -> str:
    """How stacks that were left out are predicted, as Markdown."""
    lines = ["| devices | runtimes | figure | left out | rows | of devices | bias | median error | covered | width |",
             "|---|---|---|---|---:|---:|---:|---:|---:|---:|"]  # fmt: skip
    for group in population.groups:
        lines += [
            f"| {group.devices} | {group.runtimes} | {each.phase} {each.metric} | {each.of} | {each.rows} | "
            f"{each.devices} | {each.bias:+.0%} | {each.median_error:.0%} | {each.coverage:.0%} | {each.width:.2f} |"
            for each in group.left_out
            if each.metric in SHOWN
        ]
    return "\n".join(lines)


def _write_page(text: str) -> None:
    """Put the table into the page, between its marks."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")
    print(f"wrote {PAGE}", file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(str(error))
