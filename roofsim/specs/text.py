"""Reading files of users: the one door for specs, configs, runs and tables."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from roofsim.foundation.errors import SpecError

MAX_BYTES = 1_000_000
"""No spec is near this size; a larger file is a mistake."""


def regular(path: str | Path) -> int:
    """The size of a file that can be read from its beginning to its end, and again.

    Raises SpecError for what is no such thing: a folder, a device without end, a pipe that may never be written to.
    """
    try:
        found = os.stat(path)
    except FileNotFoundError:
        raise SpecError([f"{path}: no such file"]) from None
    except (OSError, ValueError) as error:
        raise SpecError([f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}"]) from None
    if stat.S_ISDIR(found.st_mode):
        raise SpecError([f"{path}: is a directory; a file is expected"])
    if not stat.S_ISREG(found.st_mode):
        raise SpecError([f"{path}: not a regular file; save what it gives to a file, and name that"])
    return found.st_size


def read_text(path: str | Path, most: int = MAX_BYTES, what: str = "a spec") -> str:
    """The text of a file of at most so many bytes; raises SpecError for what is no such thing."""
    size = regular(path)
    if size > most:
        raise SpecError([f"{path}: {size:,} bytes are too many for {what} (at most {most:,})"])
    with text_file(path) as file:
        text = file.read(most + 1)
    if len(text) > most:  # it grew, or is one of those files of the system that have no size
        raise SpecError([f"{path}: is too long for {what} (at most {most:,} bytes)"])
    if "\0" in text:
        raise SpecError([f"{path}: not a text file (it holds NUL bytes)"])
    return text


@contextmanager
def text_file(path: str | Path) -> Iterator[TextIO]:
    """A text file, to be read a piece at a time: what goes wrong on the way, and in the CSV in it, is a SpecError."""
    regular(path)
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            yield file
    except UnicodeDecodeError:
        raise SpecError([f"{path}: not a text file (UTF-8 expected)"]) from None
    except OSError as error:
        raise SpecError([f"{path}: cannot be read: {error.strerror or error}"]) from None
    except Exception as error:
        if type(error).__module__ == "_csv":
            raise SpecError([f"{path}: not a CSV file: {error}"]) from None
        raise
