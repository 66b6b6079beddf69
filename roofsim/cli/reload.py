"""Say from which length on loading a cache is faster than computing it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roofsim.cli import _options as o
from roofsim.cli import _studies
from roofsim.cli import _types as t
from roofsim.cli._click import click
from roofsim.serving import USUAL_RUNTIME

if TYPE_CHECKING:
    from roofsim.prediction.setup import Setup
    from roofsim.specs.workload import Workload
    from roofsim.studies.reload import Reload


@click.command()
@o.models_argument(required=True)
@o.device_option(many=True)
@o.batch_option(many=True)
@o.format_options(many=True)
@o.devices_options(many=True)
@o.stack_options(many=True, usual=USUAL_RUNTIME)
@o.transfer_option
@o.set_option(many=True)
@click.option(
    "--from", "tiers", type=t.Several(t.Word("TIERS", "roofsim.studies.reload")), default=None, metavar="TIERS",
    help="Where caches come from: host, disk, remote, or a rate: host,25GB/s.  [default: all that are known]",
)  # fmt: skip
@click.option("--lengths", type=t.Range(), default=None, metavar="RANGE", help="Lengths to list: 1k..256k*2 or 1k,32k.")
@o.plot_option
@o.output_options
def command(
    models: tuple[str, ...], tiers: list[str] | None, lengths: list[int] | None, plot: o.Plot | None, format_: str,
    output: str | None, quiet: bool, **options: Any,
) -> None:  # fmt: skip
    """Say from which length on a kept cache is loaded faster than it is computed again.

    A sequence that comes back has its keys, values and states loaded from the memory of the host, its disk or a pool
    elsewhere, or its prompt goes through the model once more. What recurrent models hold is constant, so that they
    load from a short length on. Several values of anything, set off by commas, are a table with a row for each.

    \b
    Example: roofsim reload Llama-3.1-8B --device h100-sxm -r vllm --plot reload.png
    Example: roofsim reload Qwen2.5-0.5B mamba2-780m -d rtx-4090 --from host,2GB/s
    Example: roofsim reload Llama-3.1-70B -d h100-sxm --tp 4,8 --lengths 8k,64k
    """
    from roofsim.reports.reload import reload_records, reload_row, reload_tables, row_notes
    from roofsim.studies.limits import listed
    from roofsim.studies.reload import LENGTHS, reload

    shown = sorted(set(listed(lengths))) if lengths else LENGTHS

    def found_of(s: Setup, w: Workload) -> Reload:
        return reload(s, w, tiers or (), shown)

    options["runtime"] = options["runtime"] or [USUAL_RUNTIME]
    out = o.Output(format_, output, quiet)
    chosen = _studies.single(models, options)
    if chosen is None:
        _studies.refuse_of_many(plot, models, options)
        from roofsim.reports.several import titles_of

        found = _studies.answers_of(models, options, found_of, out.quiet)
        _studies.write_several(
            out, found, "Lengths from which loading is faster than computing", reload_row, reload_records,
            data=lambda r: r.to_dict(), cautions=lambda r: r.cautions,
            notes=row_notes([each for _, each in found.given]),
        )  # fmt: skip
        cases = [(titles_of(found)(row), each) for row, each in found.given]
    else:
        s, w = _studies.one_case(chosen, options)
        r = found_of(s, w)
        out.write(reload_tables(r, s.device_name, s.runtime.name), r.to_dict(), lambda: reload_records(r))
        cases = [("", r)]
    if plot:
        from roofsim.reports.figures.reload import reload as figure

        out.draw(plot, figure(cases, theme=plot.theme))
