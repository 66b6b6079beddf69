"""docs/performance.md says of the peers what docs/peers.json holds, which is of the versions that its script pins."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from roofsim.cli import modules

ROOT = Path(__file__).resolve().parents[2]
PEERS = json.loads((ROOT / "docs" / "peers.json").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")

spec = importlib.util.spec_from_file_location("performance_page", ROOT / "tools" / "performance_page.py")
page = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(page)
script = page.peers


def test_the_part_of_the_peers_is_what_their_file_says():
    made = "\n\n".join(page.beside_peers(PEERS))
    assert PAGE.endswith(f"\n\n{made}\n"), "write it again: python tools/performance_page.py --peers"


def test_the_file_is_of_the_versions_that_the_script_pins():
    pinned = {p.name: p.requirement.partition("==")[2] for p in script.PROGRAMS if "==" in p.requirement}
    assert len(pinned) >= 5
    assert pinned == {row["name"]: row["version"] for row in PEERS["programs"] if row["name"] in pinned}


def test_every_program_answered_every_point():
    points = [(point["device"], point["prompt"], point["batch"]) for point in PEERS["points"]]
    assert points == list(script.POINTS)
    for program in script.PROGRAMS:
        if program.requirement:
            found = PEERS["answers"][program.name]
            assert len(found) == len(points)
            for (_, _, batch), answer in zip(points, found, strict=True):
                alone = program.alone and batch > 1
                assert answer == [None, None] if alone else all(x > 0 for x in answer)


def test_every_command_is_timed_or_said_not_to_be():
    assert {words[0] for words in page.COMMANDS} - {"--help"} | set(page.NOT_TIMED) == set(modules())


def test_ratios_are_of_the_same_round():
    # the machine is twice as slow in the second round: the ratio stays
    rounds = [{"a": 1.0, "b": 4.0}, {"a": 2.0, "b": 8.0}, {"a": 1.0, "b": 5.0}]
    assert script.spread(rounds, "b", "a") == [4.0, 4.0, 5.0]


@pytest.mark.parametrize(
    ("value", "shown"),
    [((4.0, 4.0, 5.0), "4.0 (4.0 to 5.0)"), ((1, 1, 1), "1.0"), ((2e-4,) * 3, "2.0e-04"), (None, None)],
)
def test_a_ratio_is_shown_with_its_ends(value, shown):
    assert page.ends(value) == shown


def test_a_rate_is_of_all_points_of_all_calls():
    done = []
    said = page.rate(lambda: done.append(1) or sum(range(10_000)), 25_000, 3)
    assert len(done) == 2 * 4  # two calls make 50,000 points, once before three that count
    assert said.count("(") == 1
    assert page.spoken(1_300_000) == "1.3 M"
    assert page.spoken(25_000) == "25 k"
