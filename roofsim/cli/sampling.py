"""Say what repeated sampling costs, and how a budget is best split into trials and tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roofsim.cli import _options as o
from roofsim.cli._click import click
from roofsim.foundation.errors import InputError

if TYPE_CHECKING:
    from roofsim.explore.sampling import Accuracy


@click.command()
@o.model_argument
@o.device_option
@o.prompt_option
@click.option(
    "--trials", "-n", type=o.Range(), default="1..64*2", metavar="COUNTS", help="Answers to it.  [default: 1..64*2]"
)
@click.option(
    "--tokens", "-g", type=o.Range(), default=None, metavar="COUNTS",
    help="Tokens of each; with a budget, at most.  [default: 1k; with a budget, any]",
)  # fmt: skip
@click.option(
    "--budget", metavar="AMOUNT", default=None, help="Seconds (10s), joules (500J) or equivalent FLOP (2 PFLOP)."
)
@click.option(
    "--share", "shared", type=click.Choice(["copied", "held", "read"]), default=None,
    help="Trials copy the prompt's cache, share one that each of them reads, or one that a step reads once.  [default: "
    "held with a paged cache, else copied]",
)  # fmt: skip
@click.option(
    "--accuracy", type=click.Path(), metavar="FILE", default=None,
    help="A CSV with columns tokens and accuracy: how likely one trial of so many tokens is right.",
)  # fmt: skip
@o.precision_options
@o.stack_options
@o.output_options
def command(
    model: str, device: str, runtime: str | None, host: str | None, calibration: str, transfer: bool,
    changes: tuple[str, ...], trials: list[int], tokens: list[int] | None, budget: str | None, shared: Any,
    accuracy: str | None, format_: str, output: str | None, quiet: bool, **options: Any,
) -> None:  # fmt: skip
    """Cost of several answers to one prompt: time, energy, bytes and equivalent FLOP.

    With a budget, each number of trials gets as many tokens as it allows, and the best split is named: the one that
    most likely holds a right answer, if --accuracy says how likely one is right, else the one with most tokens.

    \b
    Example: roofsim sampling Qwen2.5-0.5B -d rtx-4090 -r vllm --trials 1,16,256 --tokens 1k,8k
    Example: roofsim sampling Llama-3.1-8B -d h100-sxm -r vllm --prompt 4k --budget 10s
    """
    from roofsim.explore.sampling import sampling
    from roofsim.report.sampling import sampling_tables
    from roofsim.specs.workload import MAX_COUNT

    amount = _amount(budget) if budget is not None else None
    known = _accuracy(accuracy) if accuracy is not None else None
    s = o.changed_setup(model, device, runtime, host, changes, calibration, transfer)
    w = o.workload_of(s, options)
    most = tokens or ([MAX_COUNT] if amount else [1024])
    result = sampling(s, w, trials, most, shared=shared, budget=amount, accuracy=known)
    tables = sampling_tables(result, s.device.name, s.runtime.name, format_ == "csv")
    o.Output(format_, output, quiet).write(tables, result.to_dict())


def _amount(text: str) -> tuple[float, str]:
    """A budget and its unit; raises InputError."""
    from roofsim.explore.sampling import BUDGETS
    from roofsim.foundation.units import parse

    for unit in BUDGETS:
        try:
            value = parse(text, unit)
        except ValueError:
            continue
        if value > 0:
            return value, unit
        raise InputError(f"--budget {text}: more than nothing is expected")
    raise InputError(f"--budget {text}: seconds, joules or FLOP are expected, written like 10s, 500J or 2 PFLOP")


def _accuracy(path: str) -> Accuracy:
    """The curve in a CSV; raises InputError that says which line is wrong."""
    import csv

    from roofsim.explore.sampling import Accuracy
    from roofsim.foundation.units import finite, whole
    from roofsim.specs.text import read_text
    from roofsim.specs.workload import MAX_COUNT

    tokens, chances = [], []
    for number, row in enumerate(csv.DictReader(read_text(path, what="a curve").splitlines()), 2):
        try:
            tokens.append(whole(row["tokens"], 1, MAX_COUNT))
            chances.append(finite(row["accuracy"]))
        except (KeyError, ValueError):
            raise InputError(
                f"--accuracy {path}, line {number}: a count under `tokens` and a chance under `accuracy` are expected"
            ) from None
    try:
        return Accuracy(tuple(tokens), tuple(chances))
    except InputError as error:
        raise InputError(f"--accuracy {path}: {error}") from None
