"""The parts of a study on disk while it runs: each appears whole or not at all, so that it can go on after a kill."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from roofsim.foundation.errors import InputError
from roofsim.foundation.schema import whole
from roofsim.foundation.version import __version__
from roofsim.spaces.evaluate import Part, Runner, Study
from roofsim.specs.cache import code

STUDY = "study.json"
LOCK = "lock"


def identity(study: Study) -> str:
    """What sets a study apart from others: what is asked, of which version, and of which specs."""
    space, runner = study.space, Runner(study)
    asked = {
        "version": __version__,
        "code": code(),
        "axes": [[axis.name, axis.values if axis.numeric else runner.labels(axis)] for axis in space.axes],
        "specs": _specs(study),
        "ordinals": None if space.ordinals is None else hashlib.sha256(space.ordinals.tobytes()).hexdigest(),
        "figures": study.figures,
        "derive": {name: each.text for name, each in study.derived.items()},
        "where": study.where.text if study.where else None,
        "part": space.part,
    }
    return json.dumps(asked, indent=1, ensure_ascii=False)


def _specs(study: Study) -> str:
    """A mark of the specs that the choices lead to."""
    from roofsim.spaces.cases import NAMES, Specs

    found, mark = Specs(), hashlib.sha256()
    for axis in study.space.choices:
        if axis.name in NAMES:
            for each in axis.values:
                known = axis.name == "calibration" and isinstance(each, str) and each in ("auto", "none")
                mark.update((each if known else whole(found.of(axis.name, each))).encode())
    return mark.hexdigest()


class Store:
    """The folder beside an output in which its parts wait."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _path(self, number: int) -> Path:
        return self.folder / f"part-{number:08d}.npz"

    def has(self, number: int) -> bool:
        """Whether a part is there."""
        return self._path(number).exists()

    def keep(self, number: int, part: Part) -> None:
        """Write a part."""
        import numpy as np

        partial = self.folder / f"partial-{os.getpid()}"
        refused = json.dumps({str(k): v for k, v in part.refused.items()})
        with open(partial, "wb") as file:
            np.savez(file, ordinals=part.ordinals, values=part.values, refused=np.array(refused))
        partial.replace(self._path(number))

    def read(self, number: int) -> Part:
        """A part that was written."""
        import numpy as np

        with np.load(self._path(number), allow_pickle=False) as held:
            refused = {int(k): v for k, v in json.loads(str(held["refused"])).items()}
            return Part(held["ordinals"], held["values"], refused)


@contextmanager
def opened(folder: Path, study: Study, restart: bool) -> Iterator[Store]:
    """The store of a study, with what an earlier run left; raises InputError if it is another study's, or in use."""
    try:
        folder.mkdir(exist_ok=True)
        lock = open(folder / LOCK, "a")  # noqa: SIM115  held until the end
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror or error}") from None
    with lock:
        _hold(lock.fileno(), folder)
        text, asked = identity(study), folder / STUDY
        if restart or not asked.exists():
            for each in folder.glob("part*"):
                each.unlink()
            partial = folder / f"partial-{STUDY}"
            partial.write_text(text, encoding="utf-8")
            partial.replace(asked)
        elif asked.read_text(encoding="utf-8") != text:
            raise InputError(
                f"{folder}: holds the beginning of another study, or of this one with other specs or another version; "
                "--restart throws it away"
            )
        yield Store(folder)


def _hold(file: int, folder: Path) -> None:
    """Keep others out until this process ends, however it does."""
    try:
        import fcntl
    except ImportError:  # no such locks on Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise InputError(f"{folder}: another run is at work there") from None


def throw_away(folder: Path) -> None:
    """Remove a store whose parts are no longer needed."""
    shutil.rmtree(folder, ignore_errors=True)
