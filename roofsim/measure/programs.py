"""Programs of others that are run: where they are, what they print line by line, and how they end."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Thread, Timer, current_thread, main_thread
from time import monotonic

from roofsim.foundation.errors import InputError

LINES = 40
"""Lines of what a program said last that an error is looked for in."""

LONGEST = 2**20
"""Characters of a line; a longer one comes in pieces."""

SHORT_OF_MEMORY = (
    "out of memory", "failed to allocate", "unable to allocate", "cannot allocate", "not enough memory", "bad_alloc",
    "cudaMalloc failed", "failed to create context", "failed to create the llama_context", "alloc_tensor_range",
)  # fmt: skip
"""What programs say, in lower case or as they write it, when memory ran out."""


class Ended(Exception):
    """A program did not do all that it was asked: `killed` since the time was up, else it failed with `code`."""

    def __init__(self, code: int, said: str, killed: bool) -> None:
        super().__init__(said)
        self.code, self.said, self.killed = code, said, killed

    @property
    def out_of_memory(self) -> bool:
        """Whether what it said last is about memory, or the system killed it, as it does when there is none left."""
        said = self.said.lower()
        return self.signal == signal.SIGKILL or any(words.lower() in said for words in SHORT_OF_MEMORY)

    @property
    def signal(self) -> int:
        """The signal that ended it, also where a shell in between says so by 128 more; 0 if there was none."""
        return -self.code if self.code < 0 else max(self.code - 128, 0)

    @property
    def how(self) -> str:
        """How it ended, in words."""
        try:
            return f"killed by {signal.Signals(self.signal).name}"
        except ValueError:
            return f"ended with {self.code}"

    @property
    def reason(self) -> str:
        """The line that tells most: the last exception of Python, else the first with an error, else the last."""
        lines = [line.strip() for line in self.said.splitlines() if line.strip()]
        raised = [line for line in lines if re.match(r"[\w.]*(Error|Exception): ", line)]
        told = [*raised[-1:], *(line for line in lines if "error" in line.lower()), *lines[-1:], "said nothing"][0]
        return f"{self.how}: {told[:200]}"


@contextmanager
def told_to_end() -> Iterator[None]:
    """Let SIGTERM end what is done here as Ctrl-C does: with the programs that run, and the files that are to go."""
    if current_thread() is not main_thread():  # signals are the main thread's
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def program(name: str, option: str, given: str | None) -> Path:
    """Where a program is: as given, else on the path; raises InputError that says how to give it."""
    if given is None:
        found = shutil.which(name)
        if found is None:
            raise InputError(f"{name} is not on the path; give it with {option} PATH (it is built with llama.cpp)")
        return Path(found)
    path = Path(given).expanduser()
    path = path / name if path.is_dir() else path
    if not path.is_file():
        raise InputError(f"{option} {given}: there is no program {path}")
    if not os.access(path, os.X_OK):
        raise InputError(f"{option} {given}: {path} may not be executed; is it the program {name}?")
    return path.absolute()


def lines(command: Sequence[str | Path], until: float | None = None) -> Iterator[str]:
    """What a program writes to its output, line by line; raises Ended if it does not end well by `until`.

    Leaving off ends it. `until` is a reading of the monotonic clock.
    """
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        try:
            child = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                text=True, errors="replace", process_group=0,
            )  # fmt: skip
        except OSError as error:
            raise InputError(f"{command[0]}: cannot be run: {error.strerror or error}") from None
        late: list[bool] = []

        def kill() -> None:
            late.append(True)
            _end(child)

        timer = Timer(max(until - monotonic(), 0), kill) if until is not None else None
        if timer:
            timer.start()
        Thread(target=_follow, args=(child,), daemon=True).start()
        try:
            if child.stdout:
                yield from iter(partial(child.stdout.readline, LONGEST), "")
            code = child.wait()
        finally:
            if timer:
                timer.cancel()
            _end(child)
            child.wait()
            if child.stdout:
                child.stdout.close()
        if code:
            errors.seek(0)
            raise Ended(code, "".join(deque(errors, LINES)), bool(late))


def _end(child: subprocess.Popen[str]) -> None:
    """Kill a program and what it started, which may outlive it and keep the device's memory."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def _follow(child: subprocess.Popen[str]) -> None:
    """Wait for a program and kill what it leaves, which would hold its output open, and be waited for."""
    child.wait()
    _end(child)
