"""What is learnt of links from published times."""

from __future__ import annotations

import importlib.util
from hashlib import sha256
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from roofsim import library
from roofsim.engine.network import Level, Network, exchange_time
from roofsim.fitting.links import NAMES, Left, Links, Machine, Times, learn, left_out, read
from roofsim.foundation.parameters import PARAMETERS, priors
from roofsim.lowering.kernels import Exchange

ROOT = Path(__file__).parents[2]
NVLINK = Network(8, Level(rate=100e9, latency=1e-6, peak=125e9))
PAYLOAD = np.array([1e3, 1e6, 1e8])


def machine(**known: float) -> Machine:
    """A machine whose rings and two-shots of eight take exactly what these parameters say."""
    p = {**priors(), **known}
    times = []
    for way in ("ring", "two_shot"):
        seconds = exchange_time(Exchange("all_reduce", PAYLOAD, 8, 1, (way,)), NVLINK, p)
        times.append(Times(8, (way,), PAYLOAD, np.log(seconds)))
    return Machine("m", "d", NVLINK, tuple(times))


def test_what_times_say_of_links_is_found_and_how_machines_differ() -> None:
    alike = learn([machine(link_speed=0.7)] * 6, rounds=6)
    speed = NAMES.index("link_speed")
    assert PARAMETERS["link_speed"].bounded(alike.mean[speed]) == pytest.approx(0.7, abs=0.05)
    apart = learn([machine(link_speed=0.5), machine(link_speed=0.9)] * 3, rounds=6)
    assert apart.spread[speed] > 1.5 * alike.spread[speed]
    assert alike.fits[speed] == 6
    assert alike.devices[speed] == 1
    assert alike.fits[NAMES.index("path_speed")] == 0  # nothing goes through a processor there
    assert alike.scatter < 0.04
    typical = alike.typical()["link_speed"]
    assert (typical.mean, typical.spread, typical.fits) == (
        pytest.approx(PARAMETERS["link_speed"].bounded(alike.mean[speed]), rel=1e-3),
        pytest.approx(alike.spread[speed], rel=1e-3), 6,
    )  # fmt: skip


def test_a_machine_as_the_others_is_predicted_and_a_slower_one_is_not() -> None:
    others = learn([machine()] * 5, rounds=4)
    same, slower = left_out(machine(), others), left_out(machine(link_speed=0.2), others)
    assert same.median_error < 0.03
    assert same.coverage == 1
    assert slower.bias < -0.3
    assert slower.coverage < 1
    assert same.width == pytest.approx(np.exp(2 * 1.96 * _sigma(same, others)), rel=0.01)


def _sigma(left: Left, others: Links) -> float:
    slopes = left.machine.slopes(others.mean)
    return float(np.median(np.sqrt((slopes**2) @ others.spread**2 + others.scatter**2)))


def test_rows_of_a_machine_are_kept_together_by_way_and_devices() -> None:
    found = read(ROOT / "data" / "published" / "all_reduce.csv")
    assert len({each.name for each in found}) == len(found)
    first = found[0]
    assert (first.name, first.device, first.rows) == ("vllm-42324-h100", "h100-sxm", 33)
    assert {(t.ranks, t.ways) for t in first.times} == {
        (8, ("ring", "tree", "nvls")), (8, ("two_shot",)), (8, ("multimem",)),
    }  # fmt: skip


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("learn_links", ROOT / "tools" / "learn_links.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_priors_name_the_rows_that_they_were_learnt_from(tool: ModuleType) -> None:
    """Who changes the rows runs tools/learn_links.py again."""
    own = next(each for each in library.population().datasets if each.file == "published/all_reduce.csv")
    assert own.sha256 == sha256(tool.ROWS.read_bytes()).hexdigest()
    assert own.used == sum(each.rows for each in read(tool.ROWS))
    general = next(each for each in library.population().groups if not (each.devices or each.runtimes))
    assert set(NAMES) <= set(general.parameters)


def test_a_table_says_how_machines_left_out_are_predicted(tool: ModuleType) -> None:
    said = tool.table([Left(machine(), -0.1, 0.12, 0.5, 2.0)])
    assert "| m | d | 6 | -10% | 12% | 50% | 2.00 |" in said
    assert said.endswith("Covered of all rows: 50%.")
