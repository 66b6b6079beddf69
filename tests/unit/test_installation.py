from __future__ import annotations

import json
import re
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from roofsim.foundation import installation
from roofsim.foundation.installation import EXTRAS, Package, Place, install, packages, place

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

FRESH = Place(".venv/bin/python", ".venv", ("--editable", "."), pip=False, outer="python3")
"""What the first command of the README makes, seen from the checkout."""


def test_every_extra_for_users_says_what_it_gives_here_and_in_the_readme() -> None:
    for_developers = {"dev", "llamacpp", "page", "site"}
    assert set(EXTRAS) == set(PROJECT["optional-dependencies"]) - for_developers
    assert dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", README, re.MULTILINE)) == EXTRAS


def test_in_the_environment_of_the_readme_the_command_is_that_of_the_readme() -> None:
    assert FRESH.adding("studies") == "python3 -m pip --python .venv install --editable '.[studies]'"
    assert FRESH.adding("studies") in README.splitlines()


@pytest.mark.parametrize(
    ("changes", "command"),
    [
        ({"pip": True}, ".venv/bin/python -m pip install --editable '.[gguf]'"),
        ({"outer": None, "uv": True}, "uv pip install --python .venv --editable '.[gguf]'"),
        ({"uv": True}, "python3 -m pip --python .venv install --editable '.[gguf]'"),
        ({"uv": True, "made_by_uv": True}, "uv pip install --python .venv --editable '.[gguf]'"),
        ({"made_by_uv": True}, "python3 -m pip --python .venv install --editable '.[gguf]'"),
        (
            {"outer": None},
            ".venv/bin/python -m ensurepip && .venv/bin/python -m pip install --editable '.[gguf]'",
        ),
        ({"source": ("roofsim",)}, "python3 -m pip --python .venv install 'roofsim[gguf]'"),
        ({"source": ("/a b/c",)}, "python3 -m pip --python .venv install '/a b/c[gguf]'"),
        ({"prefix": "/a b/.venv"}, "python3 -m pip --python '/a b/.venv' install --editable '.[gguf]'"),
        (
            {"source": ("roofsim @ git+https://x/y@abc",)},
            "python3 -m pip --python .venv install 'roofsim[gguf] @ git+https://x/y@abc'",
        ),
    ],
)
def test_the_command_uses_what_there_is(changes: dict[str, object], command: str) -> None:
    assert replace(FRESH, **changes).adding("gguf") == command


def test_what_is_in_the_current_folder_is_named_from_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv/bin/python"))
    monkeypatch.chdir(tmp_path)
    assert (place().prefix, place().python) == (".venv", ".venv/bin/python")
    (tmp_path / "docs").mkdir()
    monkeypatch.chdir(tmp_path / "docs")
    assert place().prefix == str(tmp_path / ".venv")
    monkeypatch.chdir(ROOT)
    assert place().source == ("--editable", ".")
    monkeypatch.chdir(tmp_path)
    assert place().source == ("--editable", str(ROOT))
    monkeypatch.chdir(ROOT.parent)
    assert place().source == ("--editable", f"./{ROOT.name}")


def test_where_the_current_folder_is_gone_paths_are_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert place().source == ("--editable", str(ROOT))


@pytest.mark.parametrize(
    ("origin", "source"),
    [
        (None, "roofsim"),
        ({"url": "file:///a/b%20c", "dir_info": {}}, "/a/b c"),
        ({"url": "file:///a/r-1-py3-none-any.whl", "archive_info": {}}, "roofsim @ file:///a/r-1-py3-none-any.whl"),
        ({"url": "https://x/y", "vcs_info": {"vcs": "git", "commit_id": "ab"}}, "roofsim @ git+https://x/y@ab"),
    ],
)
def test_outside_a_checkout_the_extra_is_that_of_where_roofsim_came_from(
    origin: dict[str, object] | None, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Distribution:
        def read_text(self, name: str) -> str | None:
            return json.dumps(origin) if name == "direct_url.json" and origin else None

    monkeypatch.setattr("importlib.metadata.distribution", lambda name: Distribution())
    assert installation._source(str(tmp_path)) == (source,)


def test_an_environment_made_by_uv_says_so(tmp_path: Path) -> None:
    assert not installation._made_by_uv(str(tmp_path))
    (tmp_path / "pyvenv.cfg").write_text("home = /usr/bin\nuv = 0.9\n")
    assert installation._made_by_uv(str(tmp_path))


def test_only_a_pip_that_reaches_other_environments_is_of_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "python3"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert installation._outer() is None
    for version, found in (("22.2.2", None), ("22.3", "python3"), ("26.0 from /x", "python3")):
        program.write_text(f"#!/bin/sh\necho 'pip {version} from /y (python 3.11)'\n")
        program.chmod(0o755)
        assert installation._outer() == found
    program.write_text("#!/bin/sh\nexit 1\n")
    assert installation._outer() is None


def test_a_python_of_the_environment_itself_is_not_outside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("venv/bin", "outside"):
        (tmp_path / folder).mkdir(parents=True)
        program = tmp_path / folder / "python3"
        program.write_text("#!/bin/sh\necho 'pip 26.0 from /y (python 3.11)'\n")
        program.chmod(0o755)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    monkeypatch.setenv("PATH", f"{tmp_path}/venv/bin:{tmp_path}/outside")
    assert installation._outer() == f"{tmp_path}/outside/python3"


def test_what_is_needed_is_there() -> None:
    assert {each.name for each in packages()} == {re.split("[<>=]", line)[0] for line in PROJECT["dependencies"]}
    assert {each.state for each in packages()} == {"ok"}


@pytest.mark.parametrize("quote", ["'", '"'])
def test_an_installed_package_states_the_same_as_the_checkout(
    quote: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extras = PROJECT["optional-dependencies"]
    stated = [f"{line}; extra == {quote}{extra}{quote}" for extra, lines in extras.items() for line in lines]
    monkeypatch.setattr("importlib.metadata.requires", lambda name: PROJECT["dependencies"] + stated)
    for extra in ("", *EXTRAS):
        assert packages(extra, str(tmp_path)) == packages(extra)


def test_an_extra_holds_what_the_extras_in_it_hold() -> None:
    distributed = {each.name for each in packages("distributed")}
    assert {each.name for each in packages("studies")} < distributed
    assert "dask" in distributed


@pytest.mark.parametrize(
    ("found", "state"), [(None, "missing"), ("2.9.1", "too old"), ("2.10", "ok"), ("2.10.0+cpu", "ok"), ("3.0", "ok")]
)
def test_a_package_is_there_missing_or_too_old(found: str | None, state: str) -> None:
    assert Package("torch", "2.10", found).state == state


def test_an_unknown_extra_of_no_package_adds_nothing() -> None:
    assert packages("nope") == []


def test_the_command_here_names_the_extra() -> None:
    assert "[numba]" in install("numba")


def test_errors_name_extras_that_there_are() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "roofsim").rglob("*.py")]
    named = {name for text in texts for name in re.findall(r'raise MissingExtra\(.*, "(\w+)"\)', text)}
    assert {"studies", "search", "serving", "gguf", "numba", "measure", "distributed"} == named & set(EXTRAS)
    assert named <= set(EXTRAS)
