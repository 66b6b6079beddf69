"""What `roofsim measure --stack vllm` does: an engine for each model and format, rows as they come."""

from __future__ import annotations

import shutil
import sys
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from roofsim.cli._book import Asked, Book, show_plan
from roofsim.cli._click import click
from roofsim.foundation.errors import InputError
from roofsim.measure.build import subject
from roofsim.measure.points import Done, known, points
from roofsim.measure.programs import Ended, lines, told_to_end
from roofsim.measure.runs import runs
from roofsim.measure.stack import processor
from roofsim.measure.vllm import WEIGHTS, Session

if TYPE_CHECKING:
    from roofsim.cli._options import Output


def interpreter(given: str | None) -> Path:
    """The Python that has vLLM: as given, else this one; raises InputError."""
    if given is None:
        return Path(sys.executable)
    found = shutil.which(given)
    if found is None:
        raise InputError(f"--vllm-python {given}: there is no such program")
    return Path(found).absolute()


HAS_VLLM = "import sys; from importlib.util import find_spec; sys.exit(None if find_spec('vllm') else 'no vllm')"


def with_vllm(given: str | None) -> Path:
    """The Python that has vLLM; raises InputError if it has none, so that no row says that a model failed."""
    python = interpreter(given)
    try:
        list(lines([python, "-c", HAS_VLLM]))
    except Ended as ended:
        raise InputError(
            f"--stack vllm: {python} has no vLLM ({ended.reason}); give the Python that has it with --vllm-python PATH"
        ) from None
    return python


def measure(
    asked: Asked,
    how: tuple[int, float],
    python: str | None,
    path: str,
    device: str | None,
    out: Output,
    *,
    plan: bool,
    quiet: bool,
) -> None:
    """Measure what is left, and write each row as soon as it is there.

    `how` are the tokens of a step of the engine and its share of the device's memory.
    """
    from roofsim.cli.measure import read_runs

    if wrong := [each for each in asked.weights if each not in WEIGHTS]:
        raise InputError(f"--weights {','.join(wrong)}: vLLM is measured with {', '.join(WEIGHTS)}")
    subjects = [subject(each) for each in asked.models]
    found = interpreter(python) if plan else with_vllm(python)
    session = Session(found, asked.repeats, *how, until=asked.until)
    file = runs(device or (processor() if plan else session.device()), read_runs(path), path, again=asked.again)
    wanted = {
        (each.name, weights): points(
            each.name, [weights], asked.phases, asked.batches, asked.prompts, "vllm",
            "bf16" if weights == "fp8" else weights,
        )
        for each in subjects for weights in asked.weights
    }  # fmt: skip
    every = [point for those in wanted.values() for point in those]
    if plan:
        show_plan(file, every, "vllm", out)
        return

    def say(said: str) -> None:
        if not quiet:
            click.echo(said, err=True)

    book, refused = Book(file, path, "vllm"), list[str]()
    try:
        with told_to_end():
            for each, weights in product(subjects, asked.weights):
                mine = wanted[each.name, weights]
                try:
                    for said in session.measure(each, mine, known(book.file, "vllm"), say):
                        rows = said.rows if isinstance(said, Done) else said
                        book.add(rows, each.arch or "")
                        if isinstance(said, Done):
                            say(f"{said.point.said}: {said.said}")
                except InputError as error:
                    refused.append(str(error))
                    say(str(error))
    except Ended:
        say("the time is up")
    book.finish(file, every, refused, out)
