"""A front of ways to serve: its arrays are the steady state, and it is small time for many points."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from roofsim.foundation.errors import InputError, UnknownName
from roofsim.library import standing
from roofsim.model.split import Split
from roofsim.prediction.fitted import chosen
from roofsim.prediction.setup import setup
from roofsim.reports.serve import front_records
from roofsim.serving import front as fronts
from roofsim.serving.front import _unbeaten, front, intervals_of, seen
from roofsim.serving.server import Server
from roofsim.serving.slo import promises
from roofsim.serving.steady import closed
from roofsim.specs.workload import workload


@lru_cache
def server(weights=None):
    s = chosen(setup("Llama-3.1-8B", "h100-sxm", "vllm"), "none")
    return Server(s, workload(prompt=1024, generate=128, weight_format=weights))


def test_arrays_are_the_steady_state_of_each_of_their_places():
    # the last two outgrow their room
    loads = ((1, 1024), (8, 4), (100, 64), (2000, 300), (420, 1024), (900, 1024))
    found = seen(server(), {}, *zip(*loads, strict=True))
    for i, (n, at_once) in enumerate(loads):
        one = closed(Server(server().s, server().w, at_once), n)
        assert found.itl[i] == pytest.approx(one.itl["mean"], rel=1e-9)
        assert found.ttft[i] == pytest.approx(one.ttft["mean"], rel=1e-9)
        assert found.rate[i] == pytest.approx(one.rate, rel=1e-9)
        assert found.joules[i] == pytest.approx(one.energy_per_token, rel=1e-9)

        assert found.usd[1][i] == pytest.approx(one.cost["usd_per_million_output"], rel=1e-9)
        assert found.usd[2][i] == pytest.approx(one.cost["usd_per_million_input"], rel=1e-9)


@pytest.mark.parametrize("split", [Split(tp=2), Split(dp=2), Split(pp=2)], ids=["tp", "dp", "pp"])
def test_arrays_are_the_steady_state_of_several_devices(split):
    several = Server(replace(server().s, split=split, cluster=standing(server().s.device)), server().w)
    found, one = seen(several, {}, [64], [1024]), closed(several, 64)
    assert found.itl[0] == pytest.approx(one.itl["mean"], rel=1e-9)
    assert found.rate[0] == pytest.approx(one.rate, rel=1e-9)
    assert found.joules[0] == pytest.approx(one.energy_per_token, rel=1e-9)
    assert found.usd[1][0] == pytest.approx(one.cost["usd_per_million_output"], rel=1e-9)
    ends = intervals_of(several, found.point(0))
    assert all(low < getattr(found.point(0), name) < high for name, (low, high) in ends.items())


def test_a_million_tokens_cost_what_devices_are_paid_while_they_are_made():
    s = server().s
    found = seen(server(), {}, [1, 64], [1024, 1024])
    hours = 1e6 / (found.rate * 128) / 3600
    assert found.usd[0] == pytest.approx(hours * 23.6 / 8, rel=1e-12)  # of a node of dgx-h100
    assert found.usd[0] * 128 == pytest.approx(found.usd[1] * 128 + found.usd[2] * 1024, rel=1e-12)
    several = Server(replace(s, split=Split(tp=2), cluster=standing(s.device)), server().w)
    two = seen(several, {}, [64], [1024])
    assert two.usd[0] == pytest.approx(1e6 / (two.rate * 128) / 3600 * 2 * 23.6 / 8, rel=1e-12)


VALUES = {"user": np.array([5.0, 4, 4, 3, 1, 4]), "device": np.array([1.0, 3, 2, 3, 9, 3]),
          "usd_per_million": np.array([9.0, 3, 3, 2, 1, 4])}  # fmt: skip


def test_what_is_unbeaten_is_what_no_other_has_more_of_both_once_and_the_cheaper_of_equals():
    assert _unbeaten(VALUES.__getitem__, ["user", "device"]) == [0, 1, 4]
    assert _unbeaten(VALUES.__getitem__, ["usd_per_million"]) == [4]
    assert _unbeaten(VALUES.__getitem__, ["usd_per_million", "user"]) == [4, 3, 1, 0]


def test_the_fewest_devices_are_one_choice_and_the_cheapest_of_them():
    some = [({"weights": each}, server(each)) for each in ("bf16", "fp8")]
    (one,) = front(some, [32], objectives=["devices"], slo=promises("itl=50ms")).points
    (cheapest,) = front(some, [32], objectives=["usd_per_million"]).points
    assert one == cheapest
    assert one.choice == {"weights": "fp8"}


def test_a_price_that_nobody_knows_is_no_objective_but_said():
    unknown = Server(chosen(setup("Llama-3.1-8B", "h20", "vllm"), "none"), server().w)
    with pytest.raises(InputError, match="nothing says what h20 costs"):
        front([({}, unknown)], [1, 8], objectives=["usd_per_million"])
    both = front(
        [({"device": "h100-sxm"}, server()), ({"device": "h20"}, unknown)], [1], objectives=["usd_per_million"]
    )
    assert [p.choice["device"] for p in both.points] == ["h100-sxm"]
    assert "nothing says what h20 costs" in both.refused["h20"]
    with pytest.raises(UnknownName, match="no 'usd'"):
        front([({}, server())], [1], objectives=["usd"])
    assert front([({}, unknown)], [1]).to_dict()["front"][0]["usd_per_million"] is None


def test_no_point_of_a_front_is_beaten_by_any_that_was_looked_at():
    f = front([({"weights": "bf16"}, server()), ({"weights": "fp8"}, server("fp8"))], range(1, 100, 7))
    every = [p for line in f.lines for p in line]
    for p in f.points:
        assert not any(q.user > p.user and q.device > p.device for q in every)
    assert f.looked_at == f.kept == len(every)


def test_a_front_keeps_what_is_promised():
    f = front([({}, server())], range(1, 200, 7), slo=promises("itl=20ms,ttft=400ms"))
    assert 0 < f.kept < f.looked_at
    assert all(p.itl <= 0.02 and p.ttft <= 0.4 for p in f.points)


def test_intervals_are_those_of_the_steady_state_and_a_rented_token_is_as_sure_as_its_time():
    f = front([({}, server())], [1, 8], [4, 64])
    for p in f.points:
        one = closed(Server(server().s, server().w, p.sequences), p.concurrency)
        assert p.intervals["itl"] == one.intervals["itl"]
        low, high = (1 / each for each in one.intervals["tokens_per_second"][::-1])
        assert p.intervals["usd_per_million"] == pytest.approx((1e6 * low * 2.95 / 3600, 1e6 * high * 2.95 / 3600))
        assert p.intervals["usd_per_million"][0] < p.usd_per_million < p.intervals["usd_per_million"][1]


def test_a_long_front_says_how_sure_some_of_it_is_and_loads_as_data(monkeypatch):
    monkeypatch.setattr(fronts, "CERTAIN", 5)
    f = front([({}, server())], range(1, 200))
    sure = [bool(p.intervals) for p in f.points]
    assert len(sure) > 5 == sum(sure)
    assert sure[0]
    assert sure[-1]
    table = front_records(f)
    assert len(table.rows) == len(f.points)
    assert None in {row[-1] for row in table.rows}
