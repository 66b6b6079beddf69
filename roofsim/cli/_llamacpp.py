"""What `roofsim measure --stack llama.cpp` does: files of weights, llama.cpp's benchmarks, rows as they come."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from roofsim import library
from roofsim.adapters.gguf.write import checked
from roofsim.cli._book import Asked, Book, show_plan
from roofsim.cli._click import click
from roofsim.foundation.errors import InputError
from roofsim.foundation.values import dataclass
from roofsim.measure.llamacpp import Files, Programs, Session
from roofsim.measure.points import Point, known, points, state
from roofsim.measure.programs import Ended, program, told_to_end
from roofsim.measure.runs import runs
from roofsim.model.architecture import Architecture

if TYPE_CHECKING:
    from roofsim.cli._options import Output


@dataclass(frozen=True)
class WithFiles(Asked):
    """The same, and where files of weights lie: in `scratch` meanwhile, or in `keep` for good."""

    scratch: str | None = None
    keep: str | None = None


def programs(bench: str | None, batched: str | None, quantize: str | None) -> Callable[[], Programs]:
    """llama.cpp's programs; those that are not named are looked for beside llama-bench, then on the path."""

    def found() -> Programs:
        first = program("llama-bench", "--llama-bench", bench)

        def beside(name: str, given: str | None) -> Path:
            if given is None and (first.parent / name).is_file():
                return first.parent / name
            return program(name, f"--{name}", given)

        if batched is not None:
            beside("llama-batched-bench", batched)
        if quantize is not None:
            beside("llama-quantize", quantize)
        return Programs(
            first, lambda: beside("llama-batched-bench", batched), lambda: beside("llama-quantize", quantize)
        )

    return found


def named(words: str) -> tuple[str, Architecture]:
    """The model that `NAME`, `PATH` or `NAME=PATH` means; raises InputError if no file of it can be written."""
    given, equals, rest = words.partition("=")
    name, where = (given, rest) if equals and rest else ("", words)
    a = library.architecture(where)
    checked(a)
    own = where if Path(where).suffix in (".yaml", ".yml") else a.id or a.name  # by which validate finds it again
    return name or own, a


def measure(
    asked: WithFiles,
    find: Callable[[], Programs],
    path: str,
    device: str | None,
    out: Output,
    *,
    plan: bool,
    quiet: bool,
) -> None:  # fmt: skip
    """Measure what is left, and write each row as soon as it is there."""
    from roofsim.cli.measure import read_runs
    from roofsim.measure.stack import processor

    subjects = [named(each) for each in asked.models]
    wanted = {name: points(name, asked.weights, asked.phases, asked.batches, asked.prompts) for name, _ in subjects}
    tools = None if plan else _complete(find(), asked)
    file = runs(device or (tools.device() if tools else processor()), read_runs(path), path, again=asked.again)
    every = [point for each in wanted.values() for point in each]
    if tools is None:
        show_plan(file, every, "llama.cpp", out)
        return

    def say(said: str) -> None:
        if not quiet:
            click.echo(said, err=True)

    book = Book(file, path, "llama.cpp")
    session, refused = Session(tools, asked.repeats, until=asked.until), list[str]()
    with told_to_end(), folder(asked.scratch, asked.keep) as place:
        files = Files(place, asked.keep is not None, tools)
        try:
            for name, a in subjects:
                for each in model(book, session, files, (name, a), wanted[name], say):
                    refused.append(each)
                    say(each)
        except Ended:
            say("the time is up")
        finally:
            files.forget()
    book.finish(file, every, refused, out)


def model(
    book: Book,
    session: Session,
    files: Files,
    subject: tuple[str, Architecture],
    wanted: Sequence[Point],
    say: Callable[[str], None],
) -> Iterator[str]:
    """Measure what is left of a model, a format at a time; gives what a format was refused for.

    Raises Ended when the time is up.
    """
    name, a = subject
    for weights in dict.fromkeys(point.weights for point in wanted):
        mine = [point for point in wanted if point.weights == weights]
        if not any(state(point, known(book.file)) == "to do" for point in mine):
            continue
        try:
            path = files.file(a, name, weights, session.until, say)
        except InputError as error:
            yield str(error)
            continue
        for done in session.measure(path, mine, known(book.file)):
            book.add(done.rows, a.kind)
            say(f"{done.point.said}: {done.said}")
        if weights != "f16":  # others are made from it
            files.forget(weights)
    files.forget()


@contextmanager
def folder(scratch: str | None, keep: str | None) -> Iterator[Path]:
    """Where files of weights lie: a folder to be kept, or one of our own that goes in the end."""
    if keep is not None:
        yield Path(keep)
        return
    try:
        with tempfile.TemporaryDirectory(prefix="roofsim-", dir=scratch, ignore_cleanup_errors=True) as place:
            yield Path(place)
    except OSError as error:
        raise InputError(f"{scratch or 'temporary folder'}: {error.strerror or error}") from None


def _complete(tools: Programs, asked: WithFiles) -> Programs:
    """The programs, all that will be needed looked for before any work is done."""
    from roofsim.adapters.gguf.write import FORMATS

    if max(asked.batches) > 1:
        tools.batched()
    if any(weights not in FORMATS for weights in asked.weights):
        tools.quantize()
    return tools
