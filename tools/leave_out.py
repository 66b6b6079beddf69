"""How sure calibrations are of what they were not measured with: parts of the data left out, and predicted by a fit to
the rest.

usage: python tools/leave_out.py FOLDER [NAME ...]

FOLDER holds the files of runs of tools/calibrate_shipped.py, whose calibrations (or those named) are fitted without
each format of weights, without each model (or a sixth of them), without the longer and the shorter half of the lengths,
the larger batches, and each kind of operator that not all rows have. Prints how many times of whole passes lie in their
95 % intervals, and how wide half of one is as a factor in the median: as if everything had been measured, and as they
are. Takes some ten minutes; needs SciPy.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import get_args

import numpy as np
from calibrate_shipped import ROOT, SHIPPED, Shipped

from roofsim import library
from roofsim.fitting.run import Options, calibrate
from roofsim.foundation.errors import RoofsimError
from roofsim.foundation.schema import variant
from roofsim.model.weights import read_as
from roofsim.ops.base import Kind
from roofsim.runs.cases import WHOLE_PASS, Case, Reader, Skip
from roofsim.runs.importers import read_all
from roofsim.runs.names import made_with
from roofsim.runs.reading import Runs
from roofsim.runs.where import parse
from roofsim.specs.calibration import PHASES, SEVERAL, TIMES, Calibration
from roofsim.studies.validate import Row, validate_runs

MOST = 700
"""Rows of a stack, evenly spread over its file."""
FOLDS = 6
WITHOUT_LIMITS = (0, 10**12)
Part = tuple[str, str, Callable[[Case], bool]]


def main() -> None:
    """Print a line for each part of each stack, and one for each kind of part."""
    folder, names = Path(sys.argv[1]), sys.argv[2:]
    found: dict[str, list[tuple[Row, Row]]] = {}
    for each in SHIPPED:
        if names and each.name not in names:
            continue
        reader, runs, cases = read(each, folder)
        for part, name, left_out in parts(cases):
            what = f"{each.name} without {part}: {name}"
            try:
                pairs = scored(each, reader, runs, cases, left_out)
            except RoofsimError as error:
                print(f"{what}: {str(error).splitlines()[0]}", file=sys.stderr)
                continue
            print(told(what, pairs), flush=True)
            found.setdefault(part, []).extend(pairs)
    for part, pairs in found.items():
        for phase in PHASES:
            print(told(f"all without {part}, {phase}", [pair for pair in pairs if pair[0].phase == phase]))


def read(each: Shipped, folder: Path) -> tuple[Reader, Runs, Sequence[Case]]:
    """The rows of a calibration."""
    own, device = ROOT.parent / "data", library.device(each.device)
    runs = read_all([str(own / f if (own / f).is_file() else folder / f) for f in each.files])
    reader = Reader(each.runtime, device, device.host)
    keep, cases = parse(each.where, runs.runs) if each.where else None, []
    for run in runs.runs:
        try:
            mine = not keep or keep(run)
            if mine and made_with(run, reader.runtime) and reader.device(run).id == device.id:
                cases.append(reader.case(run))
        except Skip:
            continue
    known = [case for case in cases if not case.flags]
    return reader, runs, known[:: -(-len(known) // MOST)]


def parts(cases: Sequence[Case]) -> Iterator[Part]:
    """What can be left out, so that passes are left: the kind of part, its name, and which cases are of it."""
    passes = [case.kinds for case in cases if case.run.op in WHOLE_PASS]
    if not passes:
        return
    formats = {read_as(case.weights) for case in cases if case.weights}
    for name in sorted(formats) if len(formats) > 1 else ():
        yield "a format", name, lambda case, name=name: bool(case.weights) and read_as(case.weights) == name
    models = sorted({case.model for case in cases if case.model})
    folds = min(len(models), FOLDS)
    few = len(models) - len(models[::folds]) < SEVERAL if models else False
    for fold in range(folds) if folds > 1 else ():
        of = frozenset(models[fold::folds])
        yield f"models, {'few' if few else 'several'} known", ", ".join(of), lambda case, of=of: case.model in of
    lengths, batches = (sorted({getattr(case.reach, name) for case in cases}) for name in ("prompt", "batch"))
    if len(lengths) > 3:
        middle = lengths[len(lengths) // 2]
        yield "lengths", f"from {middle}", lambda case: case.reach.prompt >= middle
        yield "lengths", f"below {middle}", lambda case: case.reach.prompt < middle
    if len(batches) > 1:
        most = batches[(len(batches) - 1) // 2]
        yield "batches", f"beyond {most}", lambda case: case.reach.batch > most
    for kind in sorted(frozenset.union(*passes) - frozenset.intersection(*passes)):
        yield "a kind of operator", kind, lambda case, kind=kind: kind in case.kinds


def scored(
    each: Shipped, reader: Reader, runs: Runs, cases: Sequence[Case], left_out: Callable[[Case], bool]
) -> list[tuple[Row, Row]]:
    """Rows of whole passes that were left out: as if all had been measured, and as they are."""
    rest, others = ([case.run for case in cases if left_out(case) == out] for out in (False, True))
    device = library.device(each.device)
    host = library.host(device.host) if device.host else None
    c = calibrate(Runs(runs.file, runs.digest, tuple(rest)), device, reader.runtime, host, Options()).calibration
    both = (validate_runs(Runs(runs.file, runs.digest, tuple(others)), reader.runtime, x, device=device).rows
            for x in (sure(c), c))  # fmt: skip
    return [pair for pair in zip(*both, strict=True) if pair[0].phase in PHASES and pair[0].metric in TIMES]


def sure(c: Calibration) -> Calibration:
    """The calibration, as if its data had reached everything."""
    all_of_it = {"batch": WITHOUT_LIMITS, "tokens": WITHOUT_LIMITS, "models": (), "kinds": get_args(Kind)}
    return variant(c, covered=variant(c.covered, **all_of_it, weights=None, caches=None))


def told(what: str, pairs: Sequence[tuple[Row, Row]]) -> str:
    """Rows, median error, and coverage and width before and now."""
    if not pairs:
        return f"{what}: no rows"
    error = np.median([row.error for row, _ in pairs])
    sides = [f"{np.mean([row.covered for row in side]):.0%} x{np.median([width(row) for row in side]):.2f}"
             for side in zip(*pairs, strict=True)]  # fmt: skip
    return f"{what}: {len(pairs)} rows, {error:+.0%}, covered {sides[0]}, now {sides[1]}"


def width(row: Row) -> float:
    """Half of an interval, as a factor."""
    return float((row.interval[1] / row.interval[0]) ** 0.5)


if __name__ == "__main__":
    main()
