"""Pages: one about one prediction, to attach to a ticket, and one to explore on."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import field, fields, replace
from typing import TYPE_CHECKING, Any, Self, TypeVar

from roofsim.api import checked
from roofsim.api.asked import CALLED, Asked
from roofsim.api.results import OfOne
from roofsim.api.words import (
    AnyPath,
    CalibrationLike,
    Changes,
    ClusterLike,
    Counts,
    DeviceLike,
    HostLike,
    Logits,
    ModelLike,
    RuntimeLike,
    Several,
)
from roofsim.foundation import writing
from roofsim.foundation.values import dataclass
from roofsim.model.architecture import Architecture
from roofsim.prediction.setup import DEFAULT_RUNTIME
from roofsim.specs.device import Device
from roofsim.specs.runtime import Runtime

if TYPE_CHECKING:
    from roofsim.reports.onepage.gathered import Gathered
    from roofsim.reports.table import Table


@dataclass(frozen=True, repr=False)
class Report(OfOne):
    """A page about a prediction: answers, cautions, figures, tables, what was assumed, and where numbers are from.

    A notebook shows it; `html()` and `markdown()` are its text, `save` writes it.
    """

    against: tuple[str | Architecture, ...]
    _found: Gathered = field(compare=False)

    @classmethod
    def of(cls, asked: Asked, against: Sequence[str | Architecture]) -> Self:
        """The page that was asked for."""
        from roofsim.reports.onepage.again import asked as again
        from roofsim.reports.onepage.gathered import gathered

        s = asked.setup()
        w = asked.single(s.device)
        others = [replace(asked, model=each).setup() for each in against]
        given = _given(asked, against)
        found = gathered(s, w, others, again(given, s, w) if given is not None else None)
        return cls(tuple(against), found, asked=asked, on=s)

    def _again(self, asked: Asked) -> Self:
        return self.of(asked, self.against)

    def _short(self) -> str:
        return f"a page about {self._where}"

    def _data(self) -> Mapping[str, Any]:
        return self._found.to_dict()

    def _tables(self) -> Sequence[Table]:
        from roofsim.reports.prediction import prediction_tables

        return prediction_tables(self._found.prediction, *self._names, operators=True)

    def _records(self) -> Table:
        from roofsim.reports.prediction import prediction_records

        return prediction_records([self._found.prediction])

    def _repr_html_(self) -> str:
        from roofsim.reports.onepage import html
        from roofsim.reports.onepage.sections import page

        return html.inside(page(self._found))

    def html(self) -> str:
        """The page as one HTML file, which needs nothing else."""
        return self._written("html")

    def markdown(self) -> str:
        """The page as Markdown, without its figures."""
        return self._written("markdown")

    def _written(self, form: str) -> str:
        from roofsim.reports.onepage.forms import written

        return written(self._found, form)

    def save(self, path: AnyPath) -> None:
        """Write it as HTML or Markdown, by the ending of the path; the figures of Markdown are SVG files beside it.

        Either all of it appears, or nothing.
        """
        from roofsim.reports.onepage.forms import form_of, save

        target = checked.path("path", path)
        save(self._found, form_of("path", target), target)


@dataclass(frozen=True, repr=False)
class Page:
    """A page to explore models, devices and runtimes on, in a browser: `html()` is its text, `save` writes it."""

    models: tuple[str, ...]
    devices: tuple[str, ...]
    runtimes: tuple[str, ...]
    _text: str = field(compare=False)

    def __repr__(self) -> str:
        many = (f"{len(self.models)} models", f"{len(self.devices)} devices", f"{len(self.runtimes)} runtimes")
        return f"a page of {', '.join(many)}, {len(self._text.encode()) / 1e6:.2f} MB"

    def html(self) -> str:
        """The page as one HTML file, which needs nothing else."""
        return self._text

    def save(self, path: AnyPath) -> None:
        """Write it as an HTML file, which appears whole or not at all."""
        writing.text(checked.path("path", path), self._text)


def explore(
    *models: ModelLike, device: Several[DeviceLike] = (), runtime: Several[RuntimeLike] = (),
    weights: Several[str] = (), tp: Counts | None = None,
) -> Page:  # fmt: skip
    """Make one page to explore on, which needs no server and no network: `roofsim.explore(...).save("page.html")`.

    Without models, devices or runtimes the usual ones are taken (20, 8 and 4: minutes of work). `weights` are formats
    beside the dtype of activations, those that are usual with a runtime if none are named. `tp` says among how many
    devices a model can be divided, where these stand in a cluster: 1, 2, 4 and 8 with runtimes that serve, one with
    others, unless it is given. Raises InputError.
    """
    from roofsim.web.choices import chosen, named
    from roofsim.web.page import page

    choices = chosen(
        _several("models", models, Architecture), _several("device", device, Device),
        _several("runtime", runtime, Runtime), [] if _none(weights) else checked.names("weights", weights),
        () if tp is None else checked.counts("tp", tp),
    )  # fmt: skip
    return Page(
        tuple(map(named, choices.models)), tuple(map(named, choices.devices)), tuple(map(named, choices.runtimes)),
        page(choices, lambda done, size: None),
    )  # fmt: skip


S = TypeVar("S", Architecture, Device, Runtime)


def _none(value: object) -> bool:
    return isinstance(value, list | tuple) and not value


def _several(word: str, value: object, kind: type[S]) -> list[str | S]:
    """Specs, which may be none."""
    return [] if _none(value) else checked.specs(word, value, kind)


def _given(asked: Asked, against: Sequence[str | Architecture]) -> dict[str, Any] | None:
    """The words of a command that asks for the same, None if there is none: specs in memory have no name for it."""
    words = {each.name: getattr(asked, each.name) for each in fields(asked)}
    words = {CALLED.get(name, name): value for name, value in words.items() if value is not None}
    words["set"] = checked.changes(asked.set)
    words["against"] = tuple(against)
    if asked.calibration is None:
        words["calibration"] = "none"
    named = [words.get(name, "") for name in ("model", "device", "runtime", "host", "calibration")]
    if not all(isinstance(each, str | os.PathLike) for each in (*named, *against)):
        return None
    return words


def report(
    model: ModelLike, device: DeviceLike, runtime: RuntimeLike = DEFAULT_RUNTIME, *,
    against: Several[ModelLike] = (), prompt: int | str = 1024, batch: int | str = 1, generate: int | str = 128,
    dtype: str | None = None, weights: str | None = None, cache: str | None = None, logits: Logits | None = None,
    host: HostLike = None, calibration: CalibrationLike = "auto", transfer: bool = False, set: Changes = (),
    weight_format: str | None = None, cache_dtype: str | None = None,
    tp: int = 1, pp: int = 1, ep: int = 1, dp: int = 1, cp: int = 1, cluster: ClusterLike = None,
) -> Report:  # fmt: skip
    """Make one page about a prediction, to attach to a ticket: `roofsim.report(...).save("report.html")`.

    `against` are models that it is compared with over the length of the prompt; the rest is as for `predict`. Raises
    InputError.
    """
    asked = Asked(model, device, runtime, prompt, batch, generate, dtype, weights, cache, logits, host, calibration,
                  transfer, set, weight_format, cache_dtype, tp, pp, ep, dp, cp, cluster)  # fmt: skip
    return Report.of(asked, _several("model", against, Architecture))
