"""What studies give: the engine's results, which show themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any, Self

from roofsim.api import checked
from roofsim.api.asked import Asked
from roofsim.api.results import OfOne, as_engine
from roofsim.api.shown import Shown
from roofsim.api.words import AnyPath, Cell, Quantity
from roofsim.foundation.units import show
from roofsim.foundation.values import dataclass
from roofsim.prediction.results import columns
from roofsim.reports.choices import OF_SWEEP, OfSweep
from roofsim.spaces import advise as advising
from roofsim.spaces import compare as comparing
from roofsim.spaces import fronts, sensitivity, sweep
from roofsim.spaces import sampling as trying
from roofsim.spaces import search as searching
from roofsim.studies import crossover as crossing

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.figure import Figure

    from roofsim.reports.table import Table
    from roofsim.reports.theme import Theme


@dataclass(frozen=True, repr=False)
class Crossover(Shown, crossing.Comparison):
    """Pairs of models compared over length: `pairs` with their `crossings`, curves and bands.

    `names` are the device and the runtime in full.
    """

    names: tuple[str, str] = field(kw_only=True)

    def _short(self) -> str:
        several = f"{len(self.pairs)} pairs of models"
        who = f"{self.pairs[0].a} and {self.pairs[0].b}" if len(self.pairs) == 1 else several
        turns = [(each.length, *each.interval) for pair in self.pairs for each in pair.crossings]
        lengths = ", ".join(f"{at:,} [{low:,}-{high:,}]" for at, low, high in turns)
        said = f"crossing at {lengths}" if turns else "no crossing"
        if len(turns) > MOST_SAID:
            said = f"{len(turns)} crossings"
        return f"{self.pairs[0].metric} of {who} on {self.device} with {self.runtime}: {said}"

    def _data(self) -> Mapping[str, Any]:
        return as_engine(self, crossing.Comparison).to_dict()

    def _tables(self) -> Sequence[Table]:
        from roofsim.reports.crossover import crossover_tables

        return crossover_tables(self, *self.names)

    def _records(self) -> Table:
        from roofsim.reports.crossover import crossover_records

        return crossover_records([self])

    def plot(self, *, theme: Theme = "light") -> Figure:
        """The metric over length, a panel for each pair."""
        from roofsim.api import plots

        return plots.crossover(self, theme=theme)


MOST_SAID = 4
"""Crossings that a line says one by one."""


def limits_of(
    fits: bool, min_tps: float | None, context: int | str | None, max_memory: Quantity | None,
    max_ttft: Quantity | None, max_tpot: Quantity | None,
) -> dict[str, Any]:  # fmt: skip
    """What rows of a comparison must meet, in SI units; raises InputError."""
    found: dict[str, Any] = {"fits": checked.flag("fits", fits)}
    if context is not None:
        found["context"] = checked.count("context", context)
    given = (("min_tps", min_tps, ""), ("max_memory", max_memory, "B"), ("max_ttft", max_ttft, "s"),
             ("max_tpot", max_tpot, "s"))  # fmt: skip
    return found | {name: checked.number(name, each, unit) for name, each, unit in given if each is not None}


@dataclass(frozen=True, repr=False)
class Comparison(Shown, comparing.Comparison):
    """Combinations side by side: `rows` of what was chosen, figures and intervals, or why it cannot be run."""

    def __len__(self) -> int:
        return len(self.rows)

    def where(
        self, *, fits: bool = False, min_tps: float | None = None, context: int | str | None = None,
        max_memory: Quantity | None = None, max_ttft: Quantity | None = None, max_tpot: Quantity | None = None,
    ) -> Self:  # fmt: skip
        """Only rows that pass; whichever is asked for, what cannot be run and what does not fit does not.

        `min_tps` are output tokens a second, `context` tokens that a sequence can hold. Raises InputError.
        """
        asked = limits_of(fits, min_tps, context, max_memory, max_ttft, max_tpot)
        return comparing.Comparison.where(self, **asked)

    def sorted_by(self, name: str) -> Self:
        """Rows by a column, the best first, names in their order; raises InputError for one that there is not."""
        return comparing.Comparison.sorted_by(self, checked.text("sort", name))

    def _short(self) -> str:
        runs = sum(not row.refused for row in self.rows)
        fit = sum(row.fits for row in self.rows)
        return f"{len(self.rows):,} combinations: {runs:,} can be run, {fit:,} fit"

    def _data(self) -> Mapping[str, Any]:
        return comparing.Comparison.to_dict(self)

    def _tables(self) -> Sequence[Table]:
        from roofsim.reports.comparison import comparison_tables

        return comparison_tables(self)

    def _records(self) -> Table:
        from roofsim.reports.comparison import comparison_records

        return comparison_records(self)

    def plot(self, *, theme: Theme = "light") -> Figure:
        """Bars for each combination that can be run."""
        from roofsim.api import plots

        return plots.compare(self, theme=theme)


@dataclass(frozen=True, repr=False)
class Swept(Shown, sweep.Swept):
    """A study that was computed: `columns` are arrays by name, `rows()` the points, `units()` those of columns."""

    def _short(self) -> str:
        axes = ", ".join(f"{len(axis)} {axis.name}" for axis in self.study.space.axes if len(axis) > 1)
        return f"{len(self):,} points{f' of {axes}' if axes else ''}: {', '.join(self.study.columns)}"

    def _data(self) -> Mapping[str, Any]:
        return sweep.Swept.to_dict(self)

    def _tables(self) -> Sequence[Table]:
        from roofsim.reports.sweep import sweep_tables

        return sweep_tables(self)

    def _records(self) -> Table:
        from roofsim.reports.sweep import sweep_tables

        (table,) = sweep_tables(self, everything=True)
        return table

    def rows(self) -> Iterator[dict[str, Cell]]:
        """The points one by one, as plain values by column."""
        return sweep.Swept.rows(self)

    def save(self, path: AnyPath) -> None:
        """Write the study as Parquet, CSV, JSON lines or NetCDF, by the ending of the path; whole or not at all.

        Studies that are too large for memory are for `roofsim sweep --output`. Raises InputError.
        """
        sweep.save(self, checked.path("path", path))

    def to_pandas(self) -> pandas.DataFrame:
        """A data frame, a row a point; raises MissingExtra without pandas."""
        made = sweep.Swept.to_pandas(self)
        made.attrs["units"] = {name: unit for name, unit in self.units().items() if unit}
        return made

    def to_xarray(self) -> xarray.Dataset:
        """A labelled mesh, a dimension an axis; raises InputError for single points, MissingExtra without xarray."""
        return sweep.Swept.to_xarray(self)

    def plot(self, kind: OfSweep = "lines", *, theme: Theme = "light") -> Figure:
        """Figures over the longest axis, or the first of them over two axes."""
        from roofsim.api import plots

        checked.one_of("kind", kind, OF_SWEEP)
        return plots.heat(self, theme=theme) if kind == "heat" else plots.sweep(self, theme=theme)


@dataclass(frozen=True, repr=False)
class Front(Shown, fronts.Front):
    """The points of a study that none is better than in every objective, with what they were chosen from."""

    def _short(self) -> str:
        better = ", ".join(f"{name} {sense}" for name, sense in self.objectives.items())
        return f"{len(self):,} of {self.feasible:,} points that can be had: {better}"

    def _data(self) -> Mapping[str, Any]:
        return fronts.Front.to_dict(self)

    def _tables(self) -> Sequence[Table]:
        from roofsim.reports.fronts import front_tables

        return front_tables(self)

    def _records(self) -> Table:
        from roofsim.reports.fronts import front_records

        return front_records(self)

    def plot(self, *, theme: Theme = "light") -> Figure:
        """The front over its first two objectives, before some of the other points."""
        from roofsim.api import plots

        return plots.pareto(self, theme=theme)


@dataclass(frozen=True, repr=False)
class Sensitivities(OfOne, sensitivity.Sensitivities):
    """What moves a figure: a row for each number, what moves it most first."""

    over: tuple[str, ...] = field(default=(), kw_only=True)

    @classmethod
    def of(cls, asked: Asked, figure: str, over: Sequence[str]) -> Self:
        """The sensitivities that were asked for."""
        s = asked.setup()
        found = sensitivity.sensitivities(s, asked.single(s.device), figure, over)
        return cls(**columns(found), asked=asked, on=s, over=tuple(over))

    def _again(self, asked: Asked) -> Self:
        return self.of(asked, self.figure, self.over)

    def _short(self) -> str:
        first = ", ".join(f"{row.number} {row.elasticity:+.2f}" for row in self.rows[:3])
        return f"{self.figure} of {self._where}, {show(self.value, self.unit)}: {first}"

    def _data(self) -> Mapping[str, Any]:
        return as_engine(self, sensitivity.Sensitivities).to_dict()

    def _tables(self) -> Sequence[Table]:
        from roofsim.reports.sensitivity import sensitivity_tables

        return sensitivity_tables(self, *self._names)

    def _records(self) -> Table:
        from roofsim.reports.sensitivity import sensitivity_records

        return sensitivity_records(self)

    def plot(self, *, theme: Theme = "light") -> Figure:
        """A tornado: the figure at half and at twice each number."""
        from roofsim.api import plots

        return plots.sensitivity(self, theme=theme)


@dataclass(frozen=True, repr=False)
class Sampled(OfOne, trying.SamplingResult):
    """What trials of one prompt cost: a row for each number of them, `best` the place of the best split of a budget."""

    _given: Mapping[str, object] = field(kw_only=True, compare=False)

    @classmethod
    def of(cls, asked: Asked, given: Mapping[str, object]) -> Self:
        """The trials that were asked for; `given` is what the engine takes beside setup and workload."""
        s = asked.setup()
        more: Any = given
        found = trying.sampling(s, asked.single(s.device), **more)
        return cls(**columns(found), asked=asked, on=s, _given=given)

    def _again(self, asked: Asked) -> Self:
        return self.of(asked, self._given)

    def _short(self) -> str:
        if self.best is None:
            return f"{self._where}: {len(self.rows)} numbers of trials and tokens"
        best = self.rows[self.best]
        return f"{self._where}: best {best.trials:,} trials of {best.tokens:,} tokens"

    def _data(self) -> Mapping[str, Any]:
        return as_engine(self, trying.SamplingResult).to_dict()

    def _tables(self) -> Sequence[Table]:
        from roofsim.reports.sampling import sampling_tables

        return sampling_tables(self, *self._names)

    def _records(self) -> Table:
        from roofsim.reports.sampling import sampling_tables

        (table,) = sampling_tables(self, *self._names, everything=True)
        return table

    def plot(self, *, theme: Theme = "light") -> Figure:
        """What trials cost, or how the budget can be split."""
        from roofsim.api import plots

        return plots.sampling(self, theme=theme)


@dataclass(frozen=True, repr=False)
class Advice(Shown, advising.Advice):
    """Candidates: those that meet the budgets, the others by how little they miss, what cannot be run."""

    def _short(self) -> str:
        best = self.feasible[0].row.chosen if self.feasible else None
        said = f": {best['model']} on {best['device']} with {best['runtime']}" if best else ""
        return f"{len(self.feasible):,} of {len(self.candidates):,} candidates meet the budgets{said}"

    def _data(self) -> Mapping[str, Any]:
        return advising.Advice.to_dict(self)

    def _tables(self) -> Sequence[Table]:
        from roofsim.reports.advise import advice_tables

        return advice_tables(self)

    def _records(self) -> Table:
        from roofsim.reports.advise import advice_records

        return advice_records(self)

    def plot(self, *, theme: Theme = "light") -> Figure:
        """Candidates beside their budgets."""
        from roofsim.api import plots

        return plots.advise(self, theme=theme)


@dataclass(frozen=True, repr=False)
class SearchResult(Shown, searching.SearchResult):
    """What was searched of a family, and what was found: `members`, and the places of those on the `front`.

    `names` are the device and the runtime in full.
    """

    names: tuple[str, str] = field(kw_only=True)

    def _short(self) -> str:
        best = self.best()
        said = f", best {best.name}" if best else ""
        return f"{len(self.front):,} of {len(self.members):,} members of {self.family} on the front{said}"

    def _data(self) -> Mapping[str, Any]:
        return searching.SearchResult.to_dict(self)

    def _tables(self) -> Sequence[Table]:
        from roofsim.reports.search import MOST_SHOWN, search_tables

        return search_tables(self, *self.names, most=MOST_SHOWN)

    def _records(self) -> Table:
        from roofsim.reports.search import search_records

        return search_records(self)

    def rows(self) -> Iterator[dict[str, Cell]]:
        """A row for every member, whether it is kept or not."""
        return searching.SearchResult.rows(self)

    def plot(self, *, theme: Theme = "light") -> Figure:
        """The front of loss and latency."""
        from roofsim.api import plots

        return plots.search(self, theme=theme)
