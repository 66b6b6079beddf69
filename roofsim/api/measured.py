"""Predictions beside measurements: fitting to runs, and scoring against them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roofsim import library
from roofsim.api import checked
from roofsim.api.asked import device_of, runtime_of
from roofsim.api.results import as_engine
from roofsim.api.shown import Shown
from roofsim.api.words import AnyPath, CalibrationLike, DeviceLike, HostLike, ModelLike, RuntimeLike, Several
from roofsim.fitting import run as fitting
from roofsim.foundation import writing
from roofsim.foundation.errors import InputError
from roofsim.foundation.schema import plain, variant
from roofsim.foundation.values import dataclass
from roofsim.model.architecture import Architecture
from roofsim.prediction.results import columns
from roofsim.runs.importers import read_all
from roofsim.specs.calibration import Calibration
from roofsim.specs.device import Device
from roofsim.specs.host import Host
from roofsim.studies import validate as validating

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from roofsim.reports.choices import OfFit, OfValidation
    from roofsim.reports.table import Table
    from roofsim.reports.theme import Theme


@dataclass(frozen=True, repr=False)
class Calibrated(Shown, fitting.Result):
    """A fit: its `calibration`, which `predict` takes, the rows behind it, why others were left out."""

    def _short(self) -> str:
        c = self.calibration
        known = sum(each.determined for each in c.parameters.values())
        used = f"{c.dataset.used:,} rows of {c.dataset.file}"
        return f"{c.device} with {c.runtime}: {known} parameters fitted to {used}"

    def _data(self) -> Mapping[str, Any]:
        from roofsim.foundation.version import SCHEMA

        return {"schema": SCHEMA, **plain(self.calibration)}

    def _tables(self) -> Sequence[Table]:
        from roofsim.reports.calibration import result_tables

        return result_tables(self, self.calibration.device, self.calibration.runtime)

    def _records(self) -> Table:
        from roofsim.reports.calibrated import parameter_records

        return parameter_records(self.calibration)

    def save(self, path: AnyPath) -> None:
        """Write the calibration to a YAML file, which `calibration=` and --calibration take; whole or not at all."""
        from roofsim.specs.files import dump

        target = Path(checked.path("path", path))
        if target.suffix.lower() not in (".yaml", ".yml"):
            raise InputError(f"path: '{target}' should end in .yaml")
        writing.text(str(target), dump(variant(self.calibration, id=target.stem)))

    def plot(self, kind: OfFit = "predicted", *, theme: Theme = "light") -> Figure:
        """Predictions of rows that were held out over what was measured, their errors, or what was fitted."""
        from roofsim.api import plots

        return plots.calibrate(self, kind, theme=theme)


@dataclass(frozen=True, repr=False)
class Validated(Shown, validating.Validation):
    """Predictions beside measurements: `scores`, the `rows` behind them, and why others were skipped."""

    def _short(self) -> str:
        errors = sorted(abs(row.error) for row in self.rows if not row.flags)
        median = f", median error {errors[len(errors) // 2]:.1%}" if errors else ""
        return f"{self.file}: {self.scored:,} of {self.figures:,} rows scored{median}"

    def _data(self) -> Mapping[str, Any]:
        return as_engine(self, validating.Validation).to_dict()

    def _tables(self) -> Sequence[Table]:
        from roofsim.reports.validation import validation_tables

        return validation_tables(self, rows=False)

    def _records(self) -> Table:
        from roofsim.reports.validation import validation_records

        return validation_records(self, rows=True)

    def plot(self, kind: OfValidation = "predicted", *, theme: Theme = "light") -> Figure:
        """Predictions over what was measured, with their intervals, or their errors over length."""
        from roofsim.api import plots

        return plots.validate(self, kind, theme=theme)


def calibrate(
    *runs: AnyPath, device: DeviceLike, runtime: RuntimeLike, host: HostLike = None, where: str = "",
    folds: int = fitting.FOLDS, any_framework: bool = False, skip_bad_rows: bool = False, name: str = "",
    source: str = "", models: Several[ModelLike] = (),
) -> Calibrated:  # fmt: skip
    """Fit what a device and a host reach to measured runs, and say how far predictions can be trusted.

    `runs` are files: CSV, or what benchmarks of llama.cpp, vLLM and others wrote; several are fitted together. `models`
    are networks of your own that rows name, a single one that of rows that name none. `where` says which rows to use
    ("op == 'e2e' and batch == 1"), `folds` in how many parts rows are held out in turn. Rows of other devices and other
    software are left out, of other software not with `any_framework`. Raises InputError.
    """
    if not runs:
        raise InputError("runs: which files? A CSV of runs, or several")
    paths = [checked.path("runs", each) for each in runs]
    d, r = device_of(device), runtime_of(runtime)
    parts = checked.count("folds", folds, 2)
    options = fitting.Options(
        checked.text("where", where), parts, checked.flag("any_framework", any_framework), checked.text("name", name),
        checked.text("source", source), models=_own(models),
    )  # fmt: skip
    data = read_all(paths, skip_bad_rows=checked.flag("skip_bad_rows", skip_bad_rows))
    found = fitting.calibrate(data, d, r, _host(host, d), options)
    return Calibrated(**columns(found))


def validate(
    runs: AnyPath, runtime: RuntimeLike | None = None, calibration: CalibrationLike = "none", *,
    device: DeviceLike | None = None, models: Several[ModelLike] = (), where: str = "", transfer: bool = False,
    skip_bad_rows: bool = False,
) -> Validated:  # fmt: skip
    """Predict every row of a file of runs and score the predictions.

    `runtime` is that of all rows; without it each row says which. `calibration` is as for `predict`, but none unless
    it is asked for: a fit may have seen these rows. `device` is that of rows that name none, `models` are networks of
    your own that rows may name. `where` says which rows to look at. Raises InputError.
    """
    found = validating.validate(
        checked.path("runs", runs), None if runtime is None else runtime_of(runtime),
        "none" if calibration is None else checked.spec("calibration", calibration, Calibration),
        where=checked.text("where", where), transfer=checked.flag("transfer", transfer),
        skip_bad_rows=checked.flag("skip_bad_rows", skip_bad_rows),
        device=None if device is None else device_of(device), models=_own(models),
    )  # fmt: skip
    return Validated(**columns(found))


def _own(models: object) -> list[Architecture]:
    """Networks by name, by file or as they are; none for an empty sequence."""
    if isinstance(models, Sequence) and not models:
        return []
    found = checked.specs("models", models, Architecture)
    return [library.architecture(each) if isinstance(each, str) else each for each in found]


def _host(value: object, device: Device) -> Host | None:
    found = device.host if value is None else checked.spec("host", value, Host)
    return library.host(found) if isinstance(found, str) else found
