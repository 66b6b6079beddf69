"""Explain a prediction: its formula, its regimes and what moves it."""

from __future__ import annotations

from functools import partial
from typing import Any

from roofsim.cli import _options as o
from roofsim.cli import _studies
from roofsim.cli import _types as t
from roofsim.cli._click import click
from roofsim.prediction.metrics import METRICS


@click.command()
@_studies.case_options
@o.cost_options
@click.option(
    "--metric", "-m", type=t.Choice(list(METRICS)), default="ttft",
    help="What is explained.  [default: ttft]",
)  # fmt: skip
@click.option("--formulas", is_flag=True, help="Also the cost formula of every operator.")
@click.option("--latex", is_flag=True, help="Formulas as LaTeX (implies --formulas).")
@o.plot_option
@o.output_options
def command(
    models: tuple[str, ...], metric: Any, formulas: bool, latex: bool, plot: o.Plot | None, format_: str,
    output: str | None, quiet: bool, **options: Any,
) -> None:  # fmt: skip
    """Say why a figure is what it is, as a polynomial in the prompt length N that holds around --prompt.

    Several values of anything, set off by commas, are a table with a row for each combination: the figure, what bounds
    the prefill there, and what moves it most. With --plot one case is drawn over length, with its regimes.

    \b
    Example: roofsim explain Qwen2.5-0.5B --device rtx-4090 --prompt 16k --metric ttft
    Example: roofsim explain Qwen2.5-0.5B -d rtx-4090 -p 16k --plot why.svg
    Example: roofsim explain Qwen2.5-0.5B mamba2-780m -d orin,rtx-4090 -m tpot
    """
    from roofsim.reports.explain import (
        explain_records,
        explain_row,
        explain_tables,
        formula_data,
        formula_records,
        formula_tables,
    )
    from roofsim.studies.explain import explain

    out = o.Output(format_, output, quiet)
    chosen = _studies.single(models, options)
    if chosen is None:
        _studies.refuse_of_several({"--formulas": formulas, "--latex": latex, "--plot": plot})
        found = _studies.answers_of(models, options, lambda s, w: explain(s, w, metric), out.quiet)
        _studies.write_several(
            out, found, METRICS[metric].words.capitalize(), explain_row, explain_records,
            data=lambda e: e.to_dict(), cautions=lambda e: e.cautions,
        )  # fmt: skip
        return
    s, w = _studies.one_case(chosen, options)
    result = explain(s, w, metric)
    tables = explain_tables(result, s.device_name, s.runtime.name)
    data = result.to_dict()
    rows = partial(explain_records, result)
    if formulas or latex:
        tables += formula_tables(result.functions, latex=latex)
        data["formulas"] = formula_data(result.functions, latex=latex)
        rows = partial(formula_records, data["formulas"])
    figure = None
    if plot:
        from roofsim.reports.figures.explain import explain as drawn
        from roofsim.studies.over_length import curve

        figure = drawn(result, curve(s, w, metric), s, w, theme=plot.theme)
    out.write(tables, data, rows)
    out.draw(plot, figure)
