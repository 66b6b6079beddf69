"""Compare models, devices, runtimes and formats in one table."""

from __future__ import annotations

import os
from typing import Any

from roofsim.cli import _options as o
from roofsim.cli._click import click
from roofsim.foundation.errors import InputError
from roofsim.foundation.units import parse


class Price(click.ParamType[float]):
    """Dollars for an hour: 2.5USD/h."""

    name = "price"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number of dollars."""
        try:
            return parse(value.removesuffix("/h"), "USD") if isinstance(value, str) else value
        except ValueError:
            self.fail(f"'{value}' is not a price of an hour; write it like 2.5USD/h", param, ctx)


@click.command()
@o.models_argument
@o.model_filters
@click.option(
    "--device",
    "-d",
    required=True,
    type=o.Listed(o.Name("hardware")),
    metavar="D,D",
    help="Devices by name, alias or path, each with its mode after an @: orin@15w,rtx-4090.",
)
@click.option(
    "--runtime",
    "-r",
    type=o.Listed(o.Name("runtimes")),
    metavar="R,R",
    default=None,
    help="Software stacks.  [default: transformers-4.52-eager]",
)
@click.option(
    "--weights",
    type=o.Listed(o.Word("WEIGHT_FORMATS")),
    metavar="F,F",
    default=None,
    help="Formats of the weights: bf16,q4_k_m.",
)
@click.option(
    "--cache",
    type=o.Listed(o.Word("DTYPE_BYTES")),
    metavar="T,T",
    default=None,
    help="Dtypes of the KV cache.",
)
@click.option(
    "--dtype",
    type=o.Listed(o.Word("DTYPE_BYTES")),
    metavar="T,T",
    default=None,
    help="Dtypes of activations: bf16,fp16.",
)
@click.option(
    "--prompt",
    "-p",
    type=o.Range(),
    metavar="N,N",
    default=None,
    help="Tokens of the prompt: 1k,4k or 1k..32k*2.  [default: 1024]",
)
@click.option("--batch", "-b", type=o.Range(), metavar="N,N", default=None, help="Sequences at once.  [default: 1]")
@click.option(
    "--generate",
    "-g",
    type=o.Listed(o.Tokens(nought=True)),
    metavar="N,N",
    default=None,
    help="Generated tokens.  [default: 128]",
)
@click.option("--logits", type=click.Choice(["all", "last"]), default=None, help="Positions that are scored.")
@click.option(
    "--host",
    type=o.Listed(o.Name("hardware/hosts")),
    metavar="H,H",
    default=None,
    help="Hosts that launch the kernels.  [default: each device's own]",
)
@click.option(
    "--calibration",
    type=o.Name("hardware/calibrated"),
    metavar="NAME",
    default="auto",
    help="Fitted parameters by name or path; auto: those shipped for each device and runtime; none: priors."
    "  [default: auto]",
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="PATH=V,V",
    help="Values of a field, each with all else: device.memory.bandwidth=1x,2x (repeatable).",
)
@click.option(
    "--price",
    type=Price(),
    metavar="USD/h",
    default=None,
    help="Price of an hour of the device: 2.5USD/h. Adds that of a million output tokens.",
)
@click.option("--fits", is_flag=True, help="Only what runs and fits; so does each filter below.")
@click.option(
    "--min-tps",
    type=float,
    metavar="X",
    default=None,
    help="Only at least so many output tokens a second, of all sequences.",
)
@click.option(
    "--context",
    type=o.Tokens(),
    metavar="N",
    default=None,
    help="Only where a sequence can hold so many tokens, prompt and generated: 16k.",
)
@click.option(
    "--max-memory", type=o.Quantity("B"), metavar="B", default=None, help="Only at most so much peak memory: 6GiB."
)
@click.option(
    "--max-ttft",
    type=o.Quantity("s"),
    metavar="S",
    default=None,
    help="Only at most so long to the first token: 500ms.",
)
@click.option(
    "--max-tpot",
    type=o.Quantity("s"),
    metavar="S",
    default=None,
    help="Only at most so long for each token after it: 50ms.",
)
@click.option(
    "--sort",
    metavar="KEY",
    default=None,
    help="Best first by a figure or a choice as the JSON calls it: tpot, tokens_per_second, max_prompt.",
)
@o.plot_option
@o.output_options
def command(
    models: tuple[str, ...],
    kind: str | None,
    family: str | None,
    min_size: int | None,
    max_size: int | None,
    changes: tuple[str, ...],
    calibration: str,
    price: float | None,
    fits: bool,
    min_tps: float | None,
    context: int | None,
    max_memory: float | None,
    max_ttft: float | None,
    max_tpot: float | None,
    sort: str | None,
    plot: str | None,
    format_: str,
    output: str | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Predict every combination of MODELS with devices, runtimes, formats, lengths and batches; a row for each.

    Without MODELS all that ship, or those of a kind, family or size. Several values are set off by commas. What a
    runtime or a device cannot run is a row that says why; what does not fit stands behind what does.

    \b
    Example: roofsim compare Qwen2.5-7B -d rtx-4090 -r llama.cpp --weights bf16,q8_0,q4_k_m
    Example: roofsim compare --kind hybrid --max-size 2B -d orin --min-tps 10 --context 16k --sort tpot
    """
    from roofsim.cli._progress import progress
    from roofsim.explore.compare import compare_choices
    from roofsim.explore.selection import chosen_models
    from roofsim.prediction.setup import DEFAULT_RUNTIME
    from roofsim.report.comparison import comparison_records, comparison_tables

    selected = chosen_models(models, kind, family, min_size, max_size)
    if not selected:
        raise InputError("no model is of this kind, family and size; `roofsim models` lists them")
    choices = {"model": selected, **{name: values for name, values in options.items() if values is not None}}
    choices.setdefault("runtime", [DEFAULT_RUNTIME])
    if options["logits"]:
        choices["logits"] = [options["logits"]]
    choices = {**choices, "calibration": [calibration], **varied(changes)}
    with o.naming_options(), progress("combinations", quiet) as step:
        found = compare_choices(choices, price, processors(), step or (lambda done, of: None))
    result = found.where(
        fits=fits, min_tps=min_tps, context=context, max_memory=max_memory, max_ttft=max_ttft, max_tpot=max_tpot
    )
    if sort:
        result = result.sorted_by(sort)
    out = o.Output(format_, output, quiet)
    out.write(comparison_tables(result), result.to_dict(), lambda: comparison_records(result))
    if plot:
        from roofsim.report import plot_of_comparison, plots

        plots.save(plot_of_comparison.comparison(result), plot)
        out.say(f"drew {plot}")


def varied(changes: tuple[str, ...]) -> dict[str, list[str]]:
    """The values of each field that --set names; commas in brackets set nothing off."""
    found: dict[str, list[str]] = {}
    for change in changes:
        path, equals, text = (part.strip() for part in change.partition("="))
        if not equals or "." not in path:
            raise InputError(f"--set {change}: write it like device.memory.bandwidth=1x,2x")
        if path in found:
            raise InputError(f"--set {path}: is given twice; set its values off by commas")
        values = [""]
        depth = 0
        for letter in text:
            depth += (letter in "[{(") - (letter in "]})")
            if letter == "," and not depth:
                values.append("")
            else:
                values[-1] += letter
        found[path] = [value.strip() for value in values]
        if not all(found[path]):
            raise InputError(f"--set {change}: has an empty place; write it like device.memory.bandwidth=1x,2x")
    return found


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
