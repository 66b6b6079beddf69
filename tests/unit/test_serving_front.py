"""A front of ways to serve: its arrays are the steady state, and it is small time for many points."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from roofsim.prediction.fitted import chosen
from roofsim.prediction.setup import setup
from roofsim.serving.front import _unbeaten, front, seen
from roofsim.serving.slo import promises
from roofsim.serving.steady import Server, closed
from roofsim.specs.workload import workload


@lru_cache
def server(weights=None):
    s = chosen(setup("Llama-3.1-8B", "h100-sxm", "vllm"), "none")
    return Server(s, workload(prompt=1024, generate=128, weight_format=weights))


def test_arrays_are_the_steady_state_of_each_of_their_places():
    found = seen(server(), {}, [1, 8, 100, 2000], [1024, 4, 64, 300])
    for i, (n, at_once) in enumerate(((1, 1024), (8, 4), (100, 64), (2000, 300))):
        one = closed(Server(server().s, server().w, at_once), n)
        assert found.itl[i] == pytest.approx(one.itl["mean"], rel=1e-9)
        assert found.ttft[i] == pytest.approx(one.ttft["mean"], rel=1e-9)
        assert found.rate[i] == pytest.approx(one.rate, rel=1e-9)
        assert found.joules[i] == pytest.approx(one.energy_per_token, rel=1e-9)


def test_what_is_unbeaten_is_what_no_other_has_more_of_both():
    user, device = np.array([5.0, 4, 4, 3, 1]), np.array([1.0, 3, 2, 3, 9])
    assert _unbeaten(user, device) == [0, 1, 4]


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
