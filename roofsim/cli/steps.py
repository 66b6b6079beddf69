"""Say how long steps of a serving engine take, as a table for simulators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from roofsim.cli import _options as o
from roofsim.cli import _types as t
from roofsim.cli._click import click
from roofsim.serving import USUAL_RUNTIME


@click.command()
@click.argument("model", type=t.Name("models", "models/families"))
@o.download_option
@o.device_option()
@click.option(
    "--decodes", type=t.Range(nought=True), default="1..256*2", metavar="COUNTS",
    help="Sequences that get one more token: 0,64 or 1..256*2.  [default: 1..256*2]",
)  # fmt: skip
@click.option(
    "--held", type=t.Range(), default="1k", metavar="COUNTS", help="Tokens that each of them holds.  [default: 1k]"
)
@click.option(
    "--pieces", type=t.Range(nought=True), default="0", metavar="COUNTS",
    help="Pieces of prompts beside them: 0,1.  [default: 0]",
)  # fmt: skip
@click.option("--new", type=t.Range(), default="512", metavar="COUNTS", help="Tokens of each piece.  [default: 512]")
@click.option(
    "--context", type=t.Range(nought=True), default="0", metavar="COUNTS",
    help="Tokens of its prompt that went before.  [default: 0]",
)  # fmt: skip
@click.option(
    "--sglang", type=t.Target((".json",)), metavar="FILE", default=None,
    help="Also write the table there as the replay table of SGLang's simulator.",
)  # fmt: skip
@click.option(
    "--llmservingsim", type=click.Path(file_okay=False), metavar="FOLDER", default=None,
    help="Also write times of layers for LLMServingSim there: .../perf/H100/meta-llama/Llama-3.1-8B/bf16.",
)  # fmt: skip
@o.devices_options()
@o.format_options()
@o.stack_options(usual=USUAL_RUNTIME)
@o.transfer_option
@o.set_option()
@o.output_options
def command(
    model: str, device: str, decodes: list[int], held: list[int], pieces: list[int], new: list[int],
    context: list[int], sglang: str | None, llmservingsim: str | None, format_: str, output: str | None, quiet: bool,
    **options: Any,
) -> None:  # fmt: skip
    """Time and energy of one step of a serving engine, for simulators.

    A step holds sequences that decode and pieces of prompts beside them: weights are read once for all of them. A row
    for each combination of sizes; a simulator written in Python asks `roofsim.step_time` instead.

    \b
    Example: roofsim steps Llama-3.1-8B -d h100-sxm --decodes 0..256*4 --held 1k,8k --pieces 0,1 --new 512,2k
    Example: roofsim steps mamba2-2.7b -d h100-sxm --decodes 1,64 -f csv
    """
    from roofsim.foundation import writing
    from roofsim.reports.steps import step_records, step_tables
    from roofsim.serving.bundle import bundle
    from roofsim.serving.step import StepTime
    from roofsim.serving.table import step_table

    s = o.serving_setup(model, device, options)
    step = StepTime(s, o.workload_of(s, options))
    found = step_table(step, decodes, held, pieces, new, context)
    out = o.Output(format_, output, quiet)
    if sglang is not None:
        writing.text(sglang, found.sglang() + "\n")
        out.say(f"wrote {sglang}")
    if llmservingsim is not None:
        layers = bundle(step, llmservingsim)
        with writing.together() as files:
            for name, content in layers.items():
                path = Path(llmservingsim, name)
                files.folder(str(path.parent))
                writing.text(str(path), content)
        out.say(f"wrote {', '.join(layers)} to {llmservingsim}")
    out.write(step_tables(found, s.device_name, s.runtime.name), found.to_dict(), lambda: step_records(found))
