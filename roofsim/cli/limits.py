"""Show the longest prompt and the largest batch that fit, and what fills the memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roofsim.cli import _options as o
from roofsim.cli import _studies
from roofsim.cli import _types as t
from roofsim.cli._click import click

if TYPE_CHECKING:
    from roofsim.prediction.setup import Setup
    from roofsim.specs.workload import Workload
    from roofsim.studies.limits import LimitsResult

WITHIN = "x1.01: the 95 % interval, this factor up and down."


@click.command()
@_studies.case_options
@click.option("--lengths", type=t.Range(), default=None, metavar="RANGE", help="Prompts to list: 1k..256k*2 or 1k,32k.")
@o.offload_option
@o.plot_option
@o.output_options
def command(
    models: tuple[str, ...], lengths: list[int] | None, plot: o.Plot | None, format_: str, output: str | None,
    quiet: bool, **options: Any,
) -> None:  # fmt: skip
    """Say what fits: the longest prompt at this batch, the largest batch at this prompt, memory against length.

    Several values of anything, set off by commas, are a table with a row for each combination, and a panel each of the
    figure.

    \b
    Example: roofsim limits Qwen2.5-0.5B --device orin --plot memory.png
    Example: roofsim limits Qwen2.5-0.5B mamba2-780m -d orin,rtx-4090 --weights bf16,q8_0 -r llama.cpp
    """
    from roofsim.reports.limits import limits_records, limits_row, limits_tables
    from roofsim.studies.limits import limits, listed, spread

    listed(lengths or ())

    def found_of(s: Setup, w: Workload) -> tuple[LimitsResult, Setup]:
        return limits(s, w, lengths), s

    out = o.Output(format_, output, quiet)
    chosen = _studies.single(models, options)
    if chosen is None:
        _studies.refuse_of_many(plot, models, options)
        from roofsim.reports.several import joined, titles_of

        every = _studies.answers_of(models, options, found_of, out.quiet)
        found = every.map(lambda each: each[0])
        more = []
        if lengths:
            more = [joined(found, lambda r: limits_tables(r, r.device, r.runtime)[0], "Peak memory of a prefill")]
        _studies.write_several(
            out, found, "Longest prompt and largest batch that fit", limits_row, limits_records,
            data=lambda r: r.to_dict(), cautions=lambda r: r.cautions, notes=[WITHIN], more=more,
        )  # fmt: skip
        cases = [(titles_of(every)(row), *each) for row, each in every.given]
    else:
        s, w = _studies.one_case(chosen, options)
        r = limits(s, w, lengths)
        out.write(limits_tables(r, s.device_name, s.runtime.name), r.to_dict(), lambda: limits_records(r))
        cases = [("", r, s)]
    if plot:
        from roofsim.reports.figures.limits import Held
        from roofsim.reports.figures.limits import limits as figure

        held = [Held(limits(s, r.workload, spread(r)), s, title) for title, r, s in cases]
        out.draw(plot, figure(held, theme=plot.theme))
