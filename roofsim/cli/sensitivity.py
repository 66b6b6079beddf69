"""Say what moves a figure: its elasticity by every number, and how far each is from another regime."""

from __future__ import annotations

from typing import Any

from roofsim.cli import _options as o
from roofsim.cli import _studies
from roofsim.cli._click import click
from roofsim.foundation.errors import InputError


@click.command()
@_studies.case_options
@o.cost_options
@click.option(
    "--figure",
    "-m",
    type=_studies.COLUMNS,
    metavar="NAME",
    default="ttft",
    help="What is moved: ttft, tpot, total, memory, energy, throughput, or a column of sweep.  [default: ttft]",
)
@click.option(
    "--over", metavar="PATHS", default=None,
    help="Only these numbers, or those below a path or of a group: device,host,model.layers,workload.",
)  # fmt: skip
@click.option(
    "--heat", metavar="A=..,B=..", default=None,
    help="The figure over two numbers instead: device.memory.bandwidth=0.5x..4x,prompt=1k..64k.",
)  # fmt: skip
@o.plot_option
@o.output_options
def command(
    models: tuple[str, ...], figure: str, over: str | None, heat: str | None, plot: o.Plot | None, format_: str,
    output: str | None, quiet: bool, **options: Any,
) -> None:  # fmt: skip
    """Say by how much each number of the device, host, runtime, model and workload moves a figure, and how far it is
    from a change of regime.

    With --plot a tornado: the figure at half and twice each number; with --heat a heat map. Several values of anything,
    set off by commas, are a table with a row for each combination, with what moves its figure most.

    \b
    Example: roofsim sensitivity Qwen2.5-0.5B --device orin --figure tpot --plot tornado.png
    Example: roofsim sensitivity Qwen2.5-0.5B mamba2-780m -d orin -m tpot --over device
    """
    from roofsim.reports import sensitivity as report
    from roofsim.spaces.sensitivity import heat_map, sensitivities

    out, paths = o.Output(format_, output, quiet), [each.strip() for each in over.split(",")] if over else ()
    chosen = _studies.single(models, options)
    if chosen is None:
        _studies.refuse_of_several({"--heat": heat, "--plot": plot})
        found = _studies.answers_of(models, options, lambda s, w: sensitivities(s, w, figure, paths), out.quiet)
        _studies.write_several(
            out, found, f"What moves the {figure}", report.sensitivity_row, report.sensitivity_records,
            data=lambda r: r.to_dict(), cautions=lambda r: r.cautions, notes=[report.ROW_NOTE],
        )  # fmt: skip
        return
    s, w = _studies.one_case(chosen, options)
    names = (s.device_name, s.runtime.name)
    if heat:
        if over:
            raise InputError("--heat, --over: a heat map is over its two axes")
        drawn = heat_map(s, w, figure, _spans(heat))
        out.write(report.heat_tables(drawn, *names), drawn.to_dict(), lambda: report.heat_records(drawn))
    else:
        moved = sensitivities(s, w, figure, paths)
        out.write(report.sensitivity_tables(moved, *names), moved.to_dict(), lambda: report.sensitivity_records(moved))
    if plot:
        from roofsim.reports.figures.heat import heat as map_
        from roofsim.reports.figures.tornado import tornado

        theme = plot.theme
        out.draw(plot, map_(drawn, *names, theme=theme) if heat else tornado(moved, *names, theme=theme))


def _spans(text: str) -> dict[str, str]:
    """The axes of --heat."""
    found: dict[str, str] = {}
    for each in text.split(","):
        path, equals, span = (part.strip() for part in each.partition("="))
        if not equals or not path or not span:
            raise InputError(f"--heat {each}: write it like device.memory.bandwidth=0.5x..4x,prompt=1k..64k")
        if path in found:
            raise InputError(f"--heat {path}: is given twice")
        found[path] = span
    return found
