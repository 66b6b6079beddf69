"""Specs that were checked before, kept in the user's cache folder: the next run needs neither YAML nor pydantic.

`ROOFSIM_CACHE` names another folder, or says `off`. An entry counts only for the very text that it was made from, read
by this code; one that is damaged, or cannot be read or written, is as one that is not there.
"""

from __future__ import annotations

import os
import pickle
import sys
from binascii import crc32
from collections.abc import Callable
from contextlib import suppress
from functools import cache, lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

from roofsim.foundation.schema import Spec
from roofsim.foundation.version import __version__
from roofsim.ops.base import Role
from roofsim.specs.text import read_text

S = TypeVar("S", bound=Spec)


def kept(path: Path, what: str, make: Callable[[str], S]) -> S:
    """The spec that `make` reads out of the text of a file, as `what`; from the cache if it was read before."""
    text = read_text(path)
    where = folder()
    if where is None:
        return make(text)
    name = os.fsencode(f"{os.path.abspath(path)}\n{what}\n")
    entry = os.path.join(where, f"{path.stem}-{crc32(name):08x}")
    key = b"%s\n%s%s\0" % (code().encode(), name, text.encode())
    with suppress(LookupError):
        found: S = _held(entry, key)
        return found
    found = make(text)
    _write(entry, key, found)
    return found


HELD = 256
"""Specs that a process holds, so that what is computed from one, such as a compiled request, is found again."""


@lru_cache(HELD)
def _held(entry: str, key: bytes) -> Any:
    """What an entry holds under a key, read once; raises LookupError, which is not held, if it holds nothing."""
    found = _read(entry, key)
    if found is None:
        raise LookupError(entry)
    return found


def folder() -> str | None:
    """Where specs are kept; None if they are not."""
    said = os.environ.get("ROOFSIM_CACHE")
    if said == "off":
        return None
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return said or os.path.join(home, "roofsim")


@cache
def code() -> str:
    """What sets the code that reads specs apart from other code: versions, and times and sizes of its modules."""
    package = os.path.dirname(os.path.dirname(__file__))
    rooms = ("", "foundation", "model", "model/mixers", "model/ffn", "specs")
    files = (each for room in rooms for each in os.scandir(os.path.join(package, room)) if each.name.endswith(".py"))
    stats = sorted((each.path, each.stat().st_mtime_ns, each.stat().st_size) for each in files)
    return f"{__version__} {sys.implementation.cache_tag} {crc32(repr(stats).encode()):08x}"


class _Specs(pickle.Unpickler):
    """Makes specs, words of theirs, and nothing else: what an entry says is no reason to run any code."""

    def find_class(self, module: str, name: str) -> Any:
        found = super().find_class(module, name) if module.startswith("roofsim.") else None
        if isinstance(found, type) and issubclass(found, (Spec, Role)):
            return found
        raise pickle.UnpicklingError(f"{module}.{name} is no spec")


def _read(entry: str, key: bytes) -> Any:
    # whatever is wrong with an entry, the file itself can still be read
    with suppress(Exception), open(entry, "rb") as file:
        data = file.read()
        if data[8:].startswith(key) and data[:8] == b"%08x" % crc32(data[8:]):
            found = _Specs(BytesIO(data[8 + len(key) :])).load()
            return found if isinstance(found, Spec) else None
    return None


def _write(entry: str, key: bytes, spec: Spec) -> None:
    """Through a file beside it, so that it appears whole or not at all."""
    data = key + pickle.dumps(spec, pickle.HIGHEST_PROTOCOL)
    partial = f"{entry}.{os.getpid()}"
    with suppress(OSError, ValueError):
        os.makedirs(os.path.dirname(entry), mode=0o700, exist_ok=True)
        with open(partial, "xb") as file:
            file.write(b"%08x" % crc32(data) + data)
        os.replace(partial, entry)
