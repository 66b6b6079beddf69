"""What drafts gain, over the number of sequences and over how likely they are accepted."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator, PercentFormatter

from roofsim.prediction.setup import Setup
from roofsim.reports.figures.about import case
from roofsim.reports.figures.style import Dashes, Look, heading, ink, look, looks, subplots
from roofsim.reports.theme import Theme
from roofsim.serving.drafts import CALLED
from roofsim.serving.speculation import ALPHAS, Speculation

ROOM = 1.12
"""By what factor the axis of speedups goes on beyond them."""


def speculation(r: Speculation, s: Setup, *, theme: Theme = "light") -> Figure:
    """Speedup over the batch, with drafts as chosen and as is best at each; and over the chance of acceptance.

    The line at one is where drafts begin to pay. Bars are the 95 % interval of what was asked for.
    """
    with look(theme):
        figure, (left, right) = subplots(1, 2, figsize=(7.4, 3.7))
        found = looks([str(k) for k in r.over_alpha])
        _over_batch(left, r, found[str(r.chosen)].colour)
        _over_alpha(right, r, found)
        top = ROOM * max([*(at.best_speedup for at in r.over_batch), *map(max, r.over_alpha.values()), r.row.speedup])
        for axes in (left, right):
            axes.axhline(1, color=ink(0.6), lw=1, zorder=1)
            axes.set_ylim(0, top)
            axes.set_ylabel("speedup")
        heading(
            figure,
            f"What drafts by {CALLED.get(r.draft, r.draft)} gain",
            *case(s, r.workload, "batch", mark="bars"),
            *([r.drafted.words] if r.drafted.is_tree else []),
            r.acceptance.words,
        )
        handles = [*right.get_legend_handles_labels()[0], *left.get_legend_handles_labels()[0]]
        figure.legend(handles=handles, loc="outside lower center", ncols=6)
        return figure


def _over_batch(axes: Axes, r: Speculation, one: str) -> None:
    batches = [at.batch for at in r.over_batch]
    axes.plot(
        batches, [at.best_speedup for at in r.over_batch], color=ink(0.55), ls=(0, (5, 1.6)), lw=1.3,
        label="best at each batch",
    )  # fmt: skip
    axes.plot(batches, [at.speedup for at in r.over_batch], color=one)
    low, high = r.intervals["speedup"]
    axes.errorbar(
        [r.workload.batch], [r.row.speedup], [[r.row.speedup - low], [high - r.row.speedup]], color=one, capsize=3,
        marker="o", ms=4, lw=1.2,
    )  # fmt: skip
    axes.set_xscale("log", base=2)
    powers: list[float] = [each for each in batches if each & (each - 1) == 0] or [float(batches[0])]
    axes.xaxis.set_major_locator(FixedLocator(powers[:: -(-len(powers) // 8)]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("batch")
    axes.set_title("over sequences at once")


def _over_alpha(axes: Axes, r: Speculation, found: Mapping[str, Look]) -> None:
    for k, gains in r.over_alpha.items():
        dashes: Dashes = "-" if k == r.chosen else (0, (1.2, 1.2))
        axes.plot(ALPHAS, gains, color=found[str(k)].colour, lw=1.4, ls=dashes, label=f"{k} drafted")
    if r.acceptance.alpha is not None:
        axes.plot([r.acceptance.alpha], [r.row.speedup], marker="o", ms=5, color=found[str(r.chosen)].colour, ls="none")
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("chance that a drafted token is accepted")
    axes.set_title(f"over acceptance, batch {r.workload.batch:,}")
