"""The pins are closed: whatever an installed package asks for, extras included, a pin answers."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]


def pins(*files: str) -> dict[str, str]:
    """Version by name of the pins that hold for this Python and system."""
    found = {}
    for file in files:
        text = (ROOT / "pins" / f"{file}.txt").read_text()
        for line in re.findall(r"^[^\s#].*?(?= *\\?$)", text, re.MULTILINE):
            pin = Requirement(line)
            if pin.marker is None or pin.marker.evaluate():
                (only,) = pin.specifier
                assert only.operator == "=="
                found[canonicalize_name(pin.name)] = only.version
    return found


def needs(name: str, extras: set[str]) -> Iterator[Requirement]:
    """What an installed package asks for here, with these extras of its own."""
    for requirement in map(Requirement, distribution(name).requires or ()):
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": e}) for e in {"", *extras}):
            yield requirement


def unmet(known: dict[str, str], *start: Requirement) -> list[str]:
    """Requirements below `start` that no pin meets."""
    wrong, seen, todo = [], set(), list(start)
    while todo:
        requirement = todo.pop()
        if str(requirement) in seen:
            continue
        seen.add(str(requirement))
        name = canonicalize_name(requirement.name)
        if name == "roofsim" or (name in known and requirement.specifier.contains(known[name])):
            todo += needs(name, requirement.extras)
        else:
            wrong.append(f"{requirement} (pinned: {known.get(name)})")
    return wrong


def build_requirements() -> list[Requirement]:
    """What building the package needs, which no metadata says."""
    text = (ROOT / "pyproject.toml").read_text()
    return [Requirement(line) for line in tomllib.loads(text)["build-system"]["requires"]]


def test_what_roofsim_needs_is_pinned() -> None:
    assert unmet(pins("main"), Requirement("roofsim"), *build_requirements()) == []


def test_what_the_checks_need_is_pinned() -> None:
    assert unmet(pins("main", "test"), Requirement("roofsim[dev]")) == []


def test_what_the_tests_of_the_page_need_is_pinned() -> None:
    pytest.importorskip("playwright", reason="playwright is not installed")
    assert unmet(pins("main", "test", "page"), Requirement("playwright")) == []


def test_what_measuring_needs_is_pinned() -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    known = pins("main", "test", "measure")
    assert unmet(known, Requirement("torch"), Requirement("transformers")) == []


def test_what_the_site_needs_is_pinned() -> None:
    pytest.importorskip("sphinx", reason="Sphinx is not installed")
    assert unmet(pins("main", "test", "site"), Requirement("roofsim[dev,site]")) == []


@pytest.mark.parametrize("last", ["measure", "page", "site"])
def test_a_package_is_pinned_once(last: str) -> None:
    assert len(pins("main", "test", last)) == sum(len(pins(file)) for file in ("main", "test", last))


def test_all_pins_go_into_one_environment() -> None:
    known: dict[str, str] = {}
    for file in ("main", "test", "measure", "page", "site"):
        assert not {name for name, version in pins(file).items() if known.setdefault(name, version) != version}


@pytest.mark.parametrize("file", ["main", "test", "measure", "page", "site"])
def test_pins_hold_hashes_and_no_addresses(file: str) -> None:
    text = (ROOT / "pins" / f"{file}.txt").read_text()
    assert "://" not in text
    for pin in re.findall(r"^[^\s#].*\n(?:[ \t].*\n)*", text, re.MULTILINE):
        assert ("--hash=sha256:" in pin) == (file != "measure")


def test_a_hole_in_the_pins_is_found() -> None:
    known = pins("main")
    del known["mdurl"]
    assert [line.split()[0] for line in unmet(known, Requirement("roofsim"))] == ["mdurl~=0.1"]
    extra = pins("main", "test")
    extra["coverage"] = "1.0"
    assert any(line.startswith("coverage[toml]") for line in unmet(extra, Requirement("roofsim[dev]")))
