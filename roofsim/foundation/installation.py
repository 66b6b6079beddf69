"""What is installed here, what each extra adds, and the command that adds one here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from shlex import quote
from types import MappingProxyType

from roofsim.foundation.values import dataclass

EXTRAS: Mapping[str, str] = MappingProxyType(
    {
        "studies": "Parquet and NetCDF files, data frames, labelled meshes",
        "distributed": "studies on a Dask cluster",
        "search": "searches with pymoo, objectives for Optuna, environments for Gymnasium",
        "serving": "simulations of requests as they arrive, event by event",
        "gguf": "reading and writing GGUF files",
        "hub": "`--download`: the config of a model by its name on the Hugging Face Hub",
        "measure": "timing real models with PyTorch and transformers",
        "numba": "machine code for compiled requests over many points",
    }
)
"""The extras for users, as pyproject.toml has them, and what each gives."""

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
"""The checkout, if this is one."""

REACHES_OUT = (22, 3)
"""The pip from which on `--python` installs into another environment."""


def checkout(root: str = ROOT) -> bool:
    """Whether roofsim runs from a checkout."""
    return os.path.isfile(os.path.join(root, "pyproject.toml"))


@dataclass(frozen=True, slots=True)
class Package:
    """A package that is asked for: the lowest version that will do, and the one that is there."""

    name: str
    wanted: str
    found: str | None

    @property
    def state(self) -> str:
        """One word."""
        if self.found is None:
            return "missing"
        return "ok" if _numbers(self.found) >= _numbers(self.wanted) else "too old"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(each) for each in re.findall(r"\d+", version.partition("+")[0]))


def packages(extra: str = "", root: str = ROOT) -> list[Package]:
    """What an extra adds, or without one what roofsim needs itself."""
    from importlib.metadata import PackageNotFoundError, version

    made = []
    for name, wanted in _asked(extra, root):
        try:
            made.append(Package(name, wanted, version(name)))
        except PackageNotFoundError:
            made.append(Package(name, wanted, None))
    return made


_NEEDED = re.compile(r"([\w.-]+)(?:\[([\w,-]+)\])?\s*(?:>=\s*([\w.]+))?")


def _asked(extra: str, root: str) -> Iterator[tuple[str, str]]:
    """Names and lowest versions; an extra may hold others."""
    for line in _lines(extra, root):
        if match := _NEEDED.match(line):
            if match[1] == "roofsim":
                for other in match[2].split(","):
                    yield from _asked(other, root)
            else:
                yield match[1], match[3] or "0"


def _lines(extra: str, root: str) -> list[str]:
    """Requirements as the checkout states them, or else the package that is installed."""
    if checkout(root):
        import tomllib

        with open(os.path.join(root, "pyproject.toml"), "rb") as file:
            project = tomllib.load(file)["project"]
        return list(project["optional-dependencies"].get(extra, ()) if extra else project["dependencies"])
    from importlib.metadata import PackageNotFoundError, requires

    try:
        stated = [line.partition(";") for line in requires("roofsim") or ()]
    except PackageNotFoundError:
        return []
    marks = (f"extra == '{extra}'", f'extra == "{extra}"')
    return [line for line, _, mark in stated if (any(m in mark for m in marks) if extra else "extra" not in mark)]


@dataclass(frozen=True, slots=True)
class Place:
    """Where roofsim runs: what a command that adds something to it has to name.

    `source` is what pip is given for it, to which an extra is added in brackets: a folder, or a name. `pip` says
    whether the environment has its own, `outer` is a Python outside it whose pip can install into it.
    """

    python: str
    prefix: str
    source: Sequence[str]
    pip: bool
    outer: str | None = None
    uv: bool = False
    made_by_uv: bool = False

    def adding(self, extra: str) -> str:
        """The command that adds an extra."""
        *options, source = self.source
        name, at, url = source.partition(" @ ")
        what = " ".join(["install", *options, quote(f"{name}[{extra}]{at}{url}")])
        if self.pip:
            return f"{quote(self.python)} -m pip {what}"
        if self.uv and (self.made_by_uv or not self.outer):
            return f"uv pip install --python {quote(self.prefix)} {what.removeprefix('install ')}"
        if self.outer:
            return f"{quote(self.outer)} -m pip --python {quote(self.prefix)} {what}"
        return f"{quote(self.python)} -m ensurepip && {quote(self.python)} -m pip {what}"


def install(extra: str) -> str:
    """The command that adds an extra to where this runs, as typed in the current folder."""
    return place().adding(extra)


def place() -> Place:
    """Where this runs."""
    from importlib.util import find_spec

    pip = find_spec("pip") is not None
    return Place(
        python=_from_here(sys.executable),
        prefix=_from_here(sys.prefix),
        source=_source(ROOT),
        pip=pip,
        outer=None if pip else _outer(),
        uv=shutil.which("uv") is not None,
        made_by_uv=_made_by_uv(sys.prefix),
    )


def _from_here(path: str) -> str:
    """A path as short as it can be typed in the current folder."""
    try:
        inside = os.path.relpath(path)
    except (OSError, ValueError):  # the current folder is gone, or on another drive
        return path
    return path if inside.startswith("..") else inside


def _folder(path: str) -> str:
    """The same of a folder, which pip is not to take for the name of a package."""
    found = _from_here(path)
    return found if found == os.curdir or os.path.isabs(found) else os.path.join(os.curdir, found)


def _source(root: str) -> tuple[str, ...]:
    """What pip is given for roofsim: the checkout, or where the installed one came from."""
    if checkout(root):
        return ("--editable", _folder(root))
    import json
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        origin = json.loads(distribution("roofsim").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        origin = {}
    url = origin.get("url", "")
    if "dir_info" in origin and url.startswith("file://"):
        from urllib.request import url2pathname

        return (_folder(url2pathname(url.removeprefix("file://"))),)
    if "vcs_info" in origin:
        vcs = origin["vcs_info"]
        return (f"roofsim @ {vcs.get('vcs', 'git')}+{url}@{vcs.get('commit_id', '')}".rstrip("@"),)
    return (f"roofsim @ {url}",) if url else ("roofsim",)


def _made_by_uv(prefix: str) -> bool:
    try:
        with open(os.path.join(prefix, "pyvenv.cfg"), encoding="utf-8") as file:
            return any(line.partition("=")[0].strip() == "uv" for line in file)
    except OSError:
        return False


def _outer() -> str | None:
    """A Python outside this environment whose pip can install into it, as it is typed."""
    inside = os.path.realpath(sys.prefix)
    folders = [each for each in os.environ.get("PATH", "").split(os.pathsep) if each]
    outside = [each for each in folders if not os.path.realpath(each).startswith(inside + os.sep)]
    found = shutil.which("python3", path=os.pathsep.join(outside))
    if found is None:
        return None
    try:
        said = subprocess.run(
            [found, "-m", "pip", "--version"], capture_output=True, text=True, check=True, timeout=30
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    if _numbers(said.removeprefix("pip ").split(" ")[0]) < REACHES_OUT:
        return None
    return "python3" if shutil.which("python3") == found else found
