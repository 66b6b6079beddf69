"""Writing files: each appears whole or not at all, and so do all that are written together."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from roofsim.foundation.errors import InputError


class Files:
    """Files that wait beside their places, and folders that were made for them."""

    def __init__(self) -> None:
        self._waiting: list[tuple[str, Path]] = []
        self._made: list[Path] = []

    def add(self, partial: str, target: Path) -> None:
        """Let a whole file wait for the others."""
        self._waiting.append((partial, target))

    def folder(self, path: str) -> None:
        """Make a folder, if it is not there."""
        try:
            missing = [each for each in (Path(path), *Path(path).parents) if not each.exists()]
            Path(path).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{path}: {error.strerror or error}") from None
        self._made += missing

    def appear(self) -> None:
        """Put all into their places."""
        for _, target in self._waiting:
            writable(str(target))
        for partial, target in self._waiting:
            with _told(str(target)):
                os.replace(partial, target)
        self._waiting.clear()
        self._made.clear()

    def vanish(self) -> None:
        """Leave all as it was."""
        for partial, _ in self._waiting:
            Path(partial).unlink(missing_ok=True)
        for folder in self._made:
            with suppress(OSError):  # not there, or others have put something into it
                folder.rmdir()


_together: ContextVar[Files | None] = ContextVar("_together", default=None)


@contextmanager
def together() -> Iterator[Files]:
    """Files that are written inside appear at its end, or when told to; none does if it fails."""
    files = Files()
    token = _together.set(files)
    try:
        yield files
        files.appear()
    finally:
        _together.reset(token)
        files.vanish()


@contextmanager
def whole(path: str, *, at_once: bool = False) -> Iterator[str]:
    """The name of a file to write to, which becomes `path` when it is whole: `at_once`, or together with others.

    Raises InputError if it cannot be written there; a file that was there is as before then.
    """
    import tempfile  # takes longer to import than a prediction

    target, files = writable(path), _together.get()
    partial = ""
    try:
        with _told(path):
            # any legal name may be that of the file itself: the one beside it is short, and no other run's
            descriptor, partial = tempfile.mkstemp(prefix=".roofsim-", dir=target.parent)
            os.close(descriptor)
            yield partial
            os.chmod(partial, 0o666 & ~_umask())
            if files is None or at_once:
                os.replace(partial, target)
            else:
                files.add(partial, target)
            partial = ""
    finally:
        if partial:
            Path(partial).unlink(missing_ok=True)


def text(path: str, content: str, *, at_once: bool = False) -> None:
    """Write a text file; raises InputError as `whole` does."""
    with whole(path, at_once=at_once) as partial, open(partial, "w", encoding="utf-8", newline="\n") as file:
        file.write(content)


def folder(path: str) -> None:
    """Make a folder, if it is not there; with what is written together, it goes again if that fails."""
    (_together.get() or Files()).folder(path)


def writable(path: str) -> Path:
    """Where a file of this name would be, links followed; raises InputError if none can be written there."""
    mode = None
    # RuntimeError of links in a circle, ValueError of NUL in a name
    with _told(path, (OSError, RuntimeError, ValueError)), suppress(FileNotFoundError):
        target = Path(path).resolve()
        mode = os.stat(target).st_mode
    if not path or (mode is not None and not stat.S_ISREG(mode)):
        raise InputError(f"'{path}' is not the name of a file")
    if mode is not None and not mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH):
        raise InputError(f"'{path}' is read-only; make it writable, or name another file")
    if not target.parent.is_dir():
        raise InputError(f"'{path}': there is no folder '{Path(path).parent}'")
    if not os.access(target.parent, os.W_OK):
        raise InputError(f"'{path}': the folder '{Path(path).parent}' cannot be written to")
    return target


@contextmanager
def _told(path: str, errors: tuple[type[Exception], ...] = (OSError,)) -> Iterator[None]:
    """What goes wrong with a file is told with its name."""
    try:
        yield
    except errors as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be written: {reason}") from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
