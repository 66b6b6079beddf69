"""What `roofsim doctor` says: what is there and what is not, and what each missing thing would give."""

from __future__ import annotations

import locale
import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from roofsim import library
from roofsim.adapters import hub
from roofsim.foundation import installation
from roofsim.foundation.values import dataclass
from roofsim.foundation.version import __version__
from roofsim.reports.table import Column, Table, to_copy
from roofsim.specs import cache

DATA = "shared/data"
"""Where the reference measurements lie beside a checkout."""
PROGRAMS = ("llama-bench", "llama-batched-bench", "llama-quantize")
"""Programs that `roofsim measure` runs."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked for: what was found, what it is for, and the command that adds it if it is missing."""

    part: str
    name: str
    state: str
    found: str
    gives: str = ""
    command: str = ""


def findings(switch: Mapping[str, tuple[str, str]], shell: str | None) -> list[Finding]:
    """Everything; `switch` has the file that each shell reads and the command that makes it complete."""
    place = installation.place()
    return [
        *_program(place), *_needed(), *_extras(place), *_folders(), *_programs(), *_terminal(switch, shell),
    ]  # fmt: skip


def _program(place: installation.Place) -> Iterator[Finding]:
    counts = ", ".join(f"{len(library.names(kind))} {kind}" for kind in ("models", "hardware", "runtimes"))
    counts = counts.replace("hardware", "devices")
    yield Finding("program", "roofsim", "ok", f"roofsim {__version__}, {_short(Path(library.__file__).parent)}", counts)
    yield Finding("program", "Python", "ok", f"Python {platform.python_version()}, {_short(sys.prefix)}")
    yield Finding("program", "system", "ok", f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors")
    tools = {"its own pip": place.pip, "pip of another Python": place.outer is not None, "uv": place.uv}
    had = [name for name, there in tools.items() if there]
    yield Finding("program", "installer", "ok" if had else "missing", ", ".join(had) or "neither pip nor uv",
                  "adding extras")  # fmt: skip


def _needed() -> Iterator[Finding]:
    for each in installation.packages():
        yield Finding("package", each.name, each.state, _version(each), f"at least {each.wanted}")


def _version(package: installation.Package) -> str:
    return f"{package.name} {package.found}" if package.found else package.name


def _extras(place: installation.Place) -> Iterator[Finding]:
    for extra, gives in installation.EXTRAS.items():
        packages = installation.packages(extra)
        lacks = [each for each in packages if each.state != "ok"]
        state = "ok" if not lacks else "missing" if len(lacks) == len(packages) else "in part"
        found = f"{'lacks ' if lacks else ''}{', '.join(map(_version, lacks or packages))}"
        yield Finding("extra", extra, state, found, gives, place.adding(extra) if lacks else "")


def _folders() -> Iterator[Finding]:
    specs = cache.folder()
    yield Finding("folder", "specs", *_kept(specs), "specs that were read before: commands start quicker")
    where = hub.folder()
    configs = len({each.parts[-4] for each in where.glob("models--*/snapshots/*/config.json")})
    held = f"{_short(where)}: {configs} configs of models"
    yield Finding("folder", "Hugging Face", "ok" if configs else "absent", held, "models that were downloaded before")
    if installation.checkout():
        data = Path(installation.ROOT).parent / DATA
        files = len(list(data.glob("*.csv")))
        yield Finding("folder", "measurements", "ok" if files else "absent", f"{_short(data)}: {files} files",
                      "reference runs for the tests; nothing else reads them")  # fmt: skip


def _kept(folder: str | None) -> tuple[str, str]:
    """State and size of the cache of specs."""
    if folder is None:
        return "off", "ROOFSIM_CACHE=off"
    if not os.path.isdir(folder):
        above = Path(folder)
        while not above.exists():
            above = above.parent
        return ("absent" if os.access(above, os.W_OK) else "read-only"), f"{_short(folder)}: not yet there"
    sizes = [each.stat().st_size for each in os.scandir(folder) if each.is_file()]
    state = "ok" if os.access(folder, os.W_OK | os.X_OK) else "read-only"
    return state, f"{_short(folder)}: {len(sizes)} files, {sum(sizes) / 1e6:.1f} MB"


def _programs() -> Iterator[Finding]:
    for name in PROGRAMS:
        where = shutil.which(name)
        yield Finding("tool", name, "ok" if where else "absent", where or f"no {name} on the path",
                      "roofsim measure --stack llama.cpp")  # fmt: skip


def _terminal(switch: Mapping[str, tuple[str, str]], shell: str | None) -> Iterator[Finding]:
    size = shutil.get_terminal_size()
    shown = sys.stdout is not None and sys.stdout.isatty()
    yield Finding("terminal", "width", "ok" if size.columns >= 80 else "narrow", f"{size.columns} columns",
                  "tables take 80 to 120")  # fmt: skip
    said = "NO_COLOR is set" if os.environ.get("NO_COLOR") else "output goes to a terminal" if shown else "no terminal"
    yield Finding("terminal", "colour", "ok" if shown and not os.environ.get("NO_COLOR") else "off", said)
    encoding = (getattr(sys.stdout, "encoding", None) or locale.getpreferredencoding(False)).lower()
    yield Finding("terminal", "encoding", "ok" if encoding.startswith("utf") else "poor", encoding,
                  "lines and signs of tables")  # fmt: skip
    if shell:
        file, command = switch[shell]
        on = "roofsim completion" in _text(file)
        yield Finding("terminal", "completion", "ok" if on else "off", f"{shell}: {file}", "names and fields at a TAB",
                      "" if on else command)  # fmt: skip


def _short(path: str | os.PathLike[str]) -> str:
    """A path with ~ for the user's own folder."""
    home, whole = os.path.expanduser("~"), os.fspath(path)
    return f"~{whole[len(home) :]}" if whole.startswith(home + os.sep) and len(home) > 1 else whole


def _text(file: str) -> str:
    try:
        return Path(file).expanduser().read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def doctor_tables(found: Sequence[Finding]) -> tuple[list[Table], dict[str, Any]]:
    """What was found in three tables for people, and all of it as data."""
    titles = {"Installed": ("program", "package"), "Extras": ("extra",), "Around it": ("folder", "tool", "terminal")}
    tables = []
    for title, parts in titles.items():
        rows = [[each.name, each.state, each.found, each.gives] for each in found if each.part in parts]
        columns = [Column(title.lower()), Column("state"), Column("found"), Column("for")]
        commands = [each for each in found if each.part in parts and each.command]
        notes = [note for each in commands for note in (f"To have {each.name}:", to_copy(each.command))]
        tables.append(Table("", columns, rows, notes))
    return tables, {"findings": [asdict(each) for each in found]}


def doctor_records(found: Sequence[Finding]) -> Table:
    """A row for each finding."""
    names = list(Finding.__dataclass_fields__)
    return Table("", [Column(name) for name in names], [[getattr(each, name) for name in names] for each in found])
