"""The text of spec files."""

from __future__ import annotations

from pathlib import Path

from roofsim.foundation.errors import SpecError
from roofsim.foundation.problems import named

MAX_BYTES = 1_000_000
"""No spec is near this size; a larger file is a mistake."""


def read_text(path: Path) -> str:
    """The text of a small file; raises SpecError for what is no such thing."""
    try:
        if path.is_dir():
            raise SpecError([f"{path}: is a directory; give a YAML file"])
        if not path.is_file():
            raise SpecError([f"{path}: {'not a regular file' if path.exists() else 'no such file'}"])
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise SpecError([f"{path}: {size:,} bytes are too many for a spec (at most {MAX_BYTES:,})"])
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SpecError([f"{path}: not a text file (UTF-8 expected)"]) from None
    except OSError as error:
        raise SpecError([f"{named(path)}: {error.strerror or error}"]) from None
    if "\0" in text:
        raise SpecError([f"{path}: not a text file (it holds NUL bytes)"])
    return text
