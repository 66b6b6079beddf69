"""Show the longest prompt and the largest batch that fit, and what fills the memory."""

from __future__ import annotations

from typing import Any

from roofsim.cli import _options as o
from roofsim.cli._click import click


@click.command()
@o.model_argument
@o.device_option
@o.prompt_option
@click.option("--lengths", type=o.Range(), default=None, metavar="RANGE", help="Prompts to list: 1k..256k*2 or 1k,32k.")
@o.workload_options
@o.stack_options
@o.plot_option
@o.output_options
def command(
    model: str, device: str, runtime: str | None, host: str | None, calibration: str,
    transfer: bool, changes: tuple[str, ...], lengths: list[int] | None,
    plot: str | None, format_: str, output: str | None, quiet: bool, **options: Any,
) -> None:  # fmt: skip
    """Say what fits: the longest prompt at this batch, the largest batch at this prompt, memory against length.

    \b
    Example: roofsim limits Qwen2.5-0.5B --device orin --plot memory.png
    """
    from roofsim.report.limits import limits_records, limits_tables
    from roofsim.studies.limits import limits, spread

    s = o.changed_setup(model, device, runtime, host, changes, calibration, transfer)
    w = o.workload_of(s, options)
    result = limits(s, w, lengths)
    out = o.Output(format_, output, quiet)
    out.write(limits_tables(result, s.device.name, s.runtime.name), result.to_dict(), lambda: limits_records(result))
    if plot:
        from roofsim.report import plots

        plots.save(plots.memory(limits(s, w, spread(result)), s.device.name, s.runtime.name), plot)
        out.say(f"drew {plot}")
