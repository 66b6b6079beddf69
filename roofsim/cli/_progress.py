"""How far work has come, on stderr, once it takes more than a second."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from roofsim.cli._click import click

FIRST, SEEN, LOGGED = 1.0, 0.2, 10.0
"""Seconds before anything is said, and between two words on a terminal and in a file."""


class Progress:
    """Told how many of how many are done, says so now and then."""

    def __init__(self, what: str) -> None:
        self.what, self.start, self.said = what, monotonic(), 0.0
        self.terminal = bool(sys.stderr and sys.stderr.isatty())

    def __call__(self, done: int, of: int) -> None:
        """Say so if it is time; on a terminal always on the same line."""
        now = monotonic()
        if now - self.start < FIRST or now - self.said < (SEEN if self.terminal else LOGGED):
            return
        self.said = now
        text = f"{done:,} of {of:,} {self.what}"
        click.echo(f"\r\x1b[K{text}" if self.terminal else text, err=True, nl=not self.terminal)

    def end(self) -> None:
        """Take away what stands on a terminal."""
        if self.terminal and self.said:
            click.echo("\r\x1b[K", err=True, nl=False)


@contextmanager
def progress(what: str, quiet: bool) -> Iterator[Progress | None]:
    """What to tell how far work has come; None where nothing is to be said."""
    if quiet:
        yield None
        return
    said = Progress(what)
    try:
        yield said
    finally:
        said.end()
