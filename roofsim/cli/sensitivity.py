"""Say what moves a figure: its elasticity by every number, and how far each is from another regime."""

from __future__ import annotations

from typing import Any

from roofsim.cli import _options as o
from roofsim.cli._click import click
from roofsim.foundation.errors import InputError


@click.command()
@o.model_argument
@o.device_option
@o.prompt_option
@click.option(
    "--figure",
    "-m",
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
@o.workload_options
@o.stack_options
@o.plot_option
@o.output_options
def command(
    model: str, device: str, runtime: str | None, host: str | None, calibration: str,
    transfer: bool, changes: tuple[str, ...], figure: str, over: str | None, heat: str | None,
    plot: str | None, format_: str, output: str | None, quiet: bool, **options: Any,
) -> None:  # fmt: skip
    """Say by how much each number of the device, host, runtime, model and workload moves a figure, and how far it is
    from a change of regime.

    With --plot a tornado: the figure at half and twice each number; with --heat a heat map.

    \b
    Example: roofsim sensitivity Qwen2.5-0.5B --device orin --figure tpot --plot tornado.png
    """
    from roofsim.explore.sensitivity import heat_map, sensitivities
    from roofsim.report import sensitivity as report

    s = o.changed_setup(model, device, runtime, host, changes, calibration, transfer)
    w = o.workload_of(s, options)
    out, names = o.Output(format_, output, quiet), (s.device.name, s.runtime.name)
    if heat:
        if over:
            raise InputError("--heat, --over: a heat map is over its two axes")
        drawn = heat_map(s, w, figure, _spans(heat))
        out.write(report.heat_tables(drawn, *names), drawn.to_dict(), lambda: report.heat_records(drawn))
    else:
        found = sensitivities(s, w, figure, [each.strip() for each in over.split(",")] if over else ())
        out.write(report.sensitivity_tables(found, *names), found.to_dict(), lambda: report.sensitivity_records(found))
    if plot:
        from roofsim.report import plots_of_studies as plots

        plots.save(plots.heat(drawn, *names) if heat else plots.tornado(found, *names), plot)
        out.say(f"drew {plot}")


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
