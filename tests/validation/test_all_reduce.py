"""Published times of all-reduces beside those predicted by what links are typically like (tools/learn_links.py)."""

from __future__ import annotations

import csv
from pathlib import Path
from statistics import median

import pytest

from roofsim import library
from roofsim.engine.network import exchange_time, network_of
from roofsim.lowering.kernels import Exchange
from roofsim.specs.runtime import Way

FILE = Path(__file__).parents[2] / "data" / "published" / "all_reduce.csv"
ROWS = list(csv.DictReader(FILE.read_text(encoding="utf-8").splitlines()))
WAYS: dict[str, tuple[Way, ...]] = {"nccl": ("ring", "tree", "nvls")}


TYPICAL = library.priors(library.device("h100-sxm"), library.runtime("vllm")).values


def error(row: dict[str, str], *ways: Way) -> float:
    x = Exchange("all_reduce", float(row["bytes"]), int(row["ranks"]), 1, ways)
    time = exchange_time(x, network_of(library.cluster(row["cluster"])), TYPICAL)
    return float(time) / float(row["seconds"]) - 1


@pytest.mark.parametrize(("way", "typical", "worst"), [
    ("one_shot", 0.1, 0.35), ("two_shot", 0.15, 0.7), ("multimem", 0.12, 0.5), ("nccl", 0.15, 0.8),
    ("nvls", 0.05, 0.15),
])  # fmt: skip
def test_each_way_takes_about_the_time_that_was_measured(way: Way, typical: float, worst: float) -> None:
    """By what is typical of all machines; the worst are of two B200, four MI300X, and PCIe by how it is plugged."""
    found = [abs(error(row, *WAYS.get(way, (way,)))) for row in ROWS if row["way"] == way]
    assert median(found) <= typical
    assert max(found) <= worst


def test_the_fastest_way_is_chosen_as_in_measurements_or_one_about_as_fast() -> None:
    fastest: dict[tuple[str, str], dict[str, str]] = {}
    for row in ROWS:
        if row["cluster"] != "dgx-h100" or not row["machine"].startswith("vllm"):
            continue
        key = row["ranks"], row["bytes"]
        if key not in fastest or float(row["seconds"]) < float(fastest[key]["seconds"]):
            fastest[key] = row
    every: tuple[Way, ...] = ("ring", "tree", "nvls", "one_shot", "two_shot", "multimem")
    found = [abs(error(row, *every)) for row in fastest.values()]
    assert median(found) <= 0.11
    assert max(found) <= 0.33
