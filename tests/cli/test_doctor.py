"""What `roofsim doctor` finds, in installations that are whole and in ones that are not."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from roofsim.foundation import installation
from roofsim.foundation.installation import EXTRAS, Package

FRESH = installation.Place(".venv/bin/python", ".venv", ("--editable", "."), pip=False, outer="python3")


@pytest.fixture
def found(data, monkeypatch):
    """The findings by part and name, in an environment like that of the README."""
    monkeypatch.setattr(installation, "place", lambda: FRESH)
    return lambda: {(each["part"], each["name"]): each for each in data("doctor")["findings"]}


def lack(monkeypatch, *names):
    """As if packages were not installed."""
    real = installation.packages

    def packages(*arguments):
        return [replace(each, found=None if each.name in names else each.wanted) for each in real(*arguments)]

    monkeypatch.setattr(installation, "packages", packages)


def test_of_an_extra_that_is_missing_it_says_what_it_would_give_and_the_command(found, roofsim, monkeypatch):
    lack(monkeypatch, "gguf", "dask")
    gguf, distributed, studies = (found()["extra", name] for name in ("gguf", "distributed", "studies"))
    assert (gguf["state"], gguf["found"], gguf["gives"]) == ("missing", "lacks gguf", EXTRAS["gguf"])
    assert gguf["command"] == "python3 -m pip --python .venv install --editable '.[gguf]'"
    assert (distributed["state"], distributed["found"]) == ("in part", "lacks dask")
    assert (studies["state"], studies["command"]) == ("ok", "")
    assert f"    {gguf['command']}" in roofsim("doctor").splitlines()


def test_every_extra_and_every_package_is_looked_at(found):
    seen = found()
    assert {name for part, name in seen if part == "extra"} == set(EXTRAS)
    assert {name for part, name in seen if part == "package"} == {each.name for each in installation.packages()}


def test_a_package_that_is_too_old_is_told(found, monkeypatch):
    monkeypatch.setattr(installation, "packages", lambda *extra: [Package("numpy", "1.26", "1.25.2")])
    numpy = found()["package", "numpy"]
    assert (numpy["state"], numpy["found"], numpy["gives"]) == ("too old", "numpy 1.25.2", "at least 1.26")


def test_without_pip_and_uv_that_is_told(found, monkeypatch):
    assert found()["program", "installer"]["found"] == "pip of another Python"
    monkeypatch.setattr(installation, "place", lambda: replace(FRESH, outer=None))
    assert found()["program", "installer"]["state"] == "missing"


def test_the_cache_of_specs_is_off_absent_or_there(found, here, monkeypatch):
    monkeypatch.setenv("ROOFSIM_CACHE", "off")
    assert found()["folder", "specs"]["state"] == "off"
    monkeypatch.setenv("ROOFSIM_CACHE", str(here / "new" / "er"))
    assert found()["folder", "specs"]["state"] == "absent"
    (here / "there").mkdir()
    (here / "there" / "a").write_bytes(b"0" * 300_000)
    monkeypatch.setenv("ROOFSIM_CACHE", str(here / "there"))
    specs = found()["folder", "specs"]
    assert (specs["state"], specs["found"]) == ("ok", f"{here}/there: 1 files, 0.3 MB")
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert found()["folder", "specs"]["state"] == "read-only"


def test_models_that_hugging_face_holds_are_counted(found, here, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(here))
    assert found()["folder", "Hugging Face"]["state"] == "absent"
    for snapshot in ("models--a--b/snapshots/1", "models--a--b/snapshots/2", "models--c--d/snapshots/1"):
        (here / snapshot).mkdir(parents=True)
        (here / snapshot / "config.json").touch()
    held = found()["folder", "Hugging Face"]
    assert (held["state"], held["found"]) == ("ok", f"{here}: 2 configs of models")


def test_measurements_lie_beside_a_checkout_and_nowhere_else(found, here, monkeypatch):
    (here / "shared" / "data").mkdir(parents=True)
    (here / "shared" / "data" / "runs.csv").touch()
    monkeypatch.setattr(installation, "ROOT", str(here / "checkout"))
    assert found()["folder", "measurements"]["found"] == f"{here}/shared/data: 1 files"
    monkeypatch.setattr(installation, "checkout", lambda *_: False)
    assert ("folder", "measurements") not in found()


def test_the_terminal_is_described(found, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    assert found()["terminal", "width"]["state"] == "narrow"
    monkeypatch.setenv("COLUMNS", "132")
    assert found()["terminal", "width"]["found"] == "132 columns"
    assert found()["terminal", "colour"]["found"] == "no terminal"


def test_completion_is_off_until_the_shell_reads_it(found, here, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    monkeypatch.setenv("SHELL", "/bin/zsh")
    off = found()["terminal", "completion"]
    assert off["state"] == "off"
    assert off["command"].endswith("completion zsh)\"' >> ~/.zshrc")
    (here / ".zshrc").write_text('eval "$(/x/roofsim completion zsh)"\n')
    assert found()["terminal", "completion"]["state"] == "ok"
    monkeypatch.setenv("SHELL", "/bin/ksh")
    assert ("terminal", "completion") not in found()
