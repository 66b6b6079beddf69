"""Optuna and Gymnasium see the figures that a sweep gives, and their own checks and samplers take the space."""

from __future__ import annotations

import math
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from roofsim import predict, sweep
from roofsim.foundation.errors import InputError, MissingExtra, UnknownName
from roofsim.spaces.points import points

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
AXES = {
    "model": "Qwen2.5-0.5B,mamba2-780m", "device": "orin", "weights": "bf16,q4_k_m", "prompt": "1k,64k",
    "device.memory.bandwidth": "1x,2x",
}  # fmt: skip
BETTER = {"ttft": "min", "tokens_per_second": "max"}
FITS = "memory <= capacity"


def test_a_point_is_what_a_sweep_has_there():
    space, swept = points(AXES, BETTER, figures=["memory"]), sweep(AXES, figures=[*BETTER, "memory"])
    shape = swept.study.space.shape
    for i, row in enumerate(swept.rows()):
        point = space.at([int(each) for each in np.unravel_index(i, shape)])
        assert {name: point.values[name] for name in AXES} == {name: row[name] for name in AXES}
        assert point.refused == row["refused"]
        assert point.feasible == (row["refused"] is None)
        if point.feasible:
            assert point.figures == pytest.approx({name: row[name] for name in (*BETTER, "memory")}, rel=1e-12)


def test_a_point_is_a_prediction():
    found = points({**AXES, "generate": 10}, BETTER).at([1, 0, 0, 1, 1, 0])
    assert found.values["model"] == "mamba2-780m"
    assert found.values["prompt"] == 65536
    assert isinstance(found.values["prompt"], int)
    by_bandwidth = points({**AXES, "generate": 10}, BETTER).at([1, 0, 0, 1, 0, 0]).figures
    one = predict("mamba2-780m", "orin", prompt=65536, generate=10).request
    assert by_bandwidth == pytest.approx({"ttft": one.ttft, "tokens_per_second": one.tokens_per_second}, rel=1e-12)
    assert found.figures["ttft"] < by_bandwidth["ttft"]


def test_what_does_not_meet_the_condition_is_not_feasible():
    space = points(AXES, {"ttft": "min"}, figures=["memory", "fits"], where=FITS)
    long, short = space.at([0, 0, 0, 1, 0]), space.at([0, 0, 0, 0, 0])
    assert (long.feasible, short.feasible) == (False, True)
    assert long.refused is None
    assert long.figures["memory"] > short.figures["memory"] > 0


def test_an_objective_that_is_no_number_is_not_feasible():
    space = points(AXES, {"odd": "min"}, derive={"odd": "ttft / (prompt - 1024)"})
    assert [space.at([0, 0, 0, i, 0]).feasible for i in (0, 1)] == [False, True]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (({}, {"ttft": "min"}), "needs a model"),
        ((AXES, {}), "at least one"),
        ((AXES, {"ttft": "low"}), "write them like"),
        ((AXES, {"speed": "max"}), "no 'speed'"),
        (({**AXES, "device.memory.colour": "1x"}, {"ttft": "min"}), "colour"),
    ],
)
def test_what_cannot_be_asked_is_told(given, said):
    with pytest.raises(InputError, match=said):
        points(*given)


@pytest.mark.parametrize(("places", "said"), [([0, 0], "5 places"), ([0, 0, 0, 2, 0], "prompt: no place 2"),
                                              ([-1, 0, 0, 0, 0], "model: no place -1")])  # fmt: skip
def test_a_place_that_is_not_there_is_told(places, said):
    with pytest.raises(InputError, match=said):
        points(AXES, BETTER).at(places)


def test_objectives_are_those_of_a_front():
    assert points(AXES, "ttft,tokens_per_second").senses == BETTER


def test_an_unknown_objective_is_an_unknown_name():
    with pytest.raises(UnknownName, match="ttft"):
        points(AXES, {"ttf": "min"})


@pytest.mark.parametrize(("module", "package"), [("optuna_objective", "optuna"), ("gym_environment", "gymnasium")])
def test_without_a_package_the_extra_is_named(module, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"roofsim.spaces.{module}", raising=False)
    with pytest.raises(MissingExtra, match="search"):
        __import__(f"roofsim.spaces.{module}")


def optuna_and_objective():
    optuna = pytest.importorskip("optuna", reason="the extra `search` is not installed")
    from roofsim.spaces import optuna_objective

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna, optuna_objective.objective


def test_a_grid_of_optuna_sees_every_point_of_a_sweep():
    optuna, objective = optuna_and_objective()
    wanted = objective(AXES, BETTER)
    study = optuna.create_study(directions=wanted.directions, sampler=optuna.samplers.GridSampler(wanted.grid))
    study.optimize(wanted, 100)
    rows = {tuple(row[name] for name in AXES): row for row in sweep(AXES, figures=list(BETTER)).rows()}
    assert [each.name for each in study.directions] == ["MINIMIZE", "MAXIMIZE"]
    assert len(study.trials) == len(rows) == 16
    for trial in study.trials:
        row = rows[tuple(trial.user_attrs["values"][name] for name in AXES)]
        if trial.state.name == "PRUNED":
            assert trial.user_attrs["refused"] == row["refused"]
        else:
            assert trial.values == pytest.approx([row[name] for name in BETTER], rel=1e-12)
            assert wanted.point(trial.params).values == trial.user_attrs["values"]


def test_the_best_of_optuna_is_the_best_of_all():
    optuna, objective = optuna_and_objective()
    wanted = objective(AXES, {"ttft": "min"}, where=FITS)
    study = optuna.create_study(direction=wanted.directions[0], sampler=optuna.samplers.GridSampler(wanted.grid))
    study.optimize(wanted, 100)
    best = min(row["ttft"] for row in sweep(AXES, figures=["ttft"], where=FITS).rows() if row["refused"] is None)
    assert study.best_value == pytest.approx(best, rel=1e-12)


@pytest.mark.parametrize("sampler", ["TPESampler", "NSGAIISampler", "RandomSampler"])
def test_samplers_of_optuna_take_the_space(sampler):
    optuna, objective = optuna_and_objective()
    # the longest prompt, which memory does not hold, would be best if the condition were not heard
    given = {**AXES, "model": "Qwen2.5-0.5B", "weights": "bf16"}
    wanted = objective(given, {"length": "max", "energy": "min"}, derive={"length": "prompt * 1"}, where=FITS)
    made = getattr(optuna.samplers, sampler)(seed=0)
    study = optuna.create_study(directions=wanted.directions, sampler=made)
    study.optimize(wanted, 30)
    assert len(study.trials) == 30
    assert {trial.user_attrs["values"]["prompt"] for trial in study.trials} == {1024, 65536}
    assert {trial.user_attrs["values"]["prompt"] for trial in study.best_trials} == {1024}


def environment(**asked):
    gymnasium = pytest.importorskip("gymnasium", reason="the extra `search` is not installed")
    from roofsim.spaces import gym_environment

    given = {"axes": AXES, "objectives": BETTER, "figures": ["memory"], "where": FITS, **asked}
    return gymnasium.make(gym_environment.NAME, **given)


def test_the_check_of_gymnasium_passes():
    made = environment()
    from gymnasium.utils.env_checker import check_env

    check_env(made.unwrapped)


def test_an_observation_are_the_figures_and_the_reward_their_worth():
    made = environment()
    made.reset(seed=1)
    observed, reward, ended, cut, info = made.step(np.array([1, 0, 0, 0, 1]))
    one = points(AXES, BETTER, figures=["memory"], where=FITS).at([1, 0, 0, 0, 1])
    figures = one.figures
    assert list(observed) == [figures[name] for name in ("ttft", "tokens_per_second", "memory")]
    assert reward == pytest.approx(math.log(figures["tokens_per_second"]) - math.log(figures["ttft"]))
    assert (ended, cut) == (False, False)
    assert info["values"] == info["best_values"] == one.values
    assert info["best_reward"] == reward


def test_a_better_design_is_rewarded_more_and_one_that_cannot_be_least():
    made = environment()
    made.reset()
    slow, fast = (made.step(np.array([0, 0, 0, 0, i]))[1] for i in (0, 1))
    assert fast > slow
    *_, info = made.step(np.array([0, 0, 0, 0, 0]))
    assert info["best_reward"] == fast
    for design in ([0, 0, 0, 1, 0], [0, 0, 1, 0, 0]):  # more than memory holds; weights that the stack does not take
        observed, reward, *_, info = made.step(np.array(design))
        assert reward == made.unwrapped.penalty < -1000
        assert not info["feasible"]
    assert list(observed) == [0, 0, 0]
    assert "q4_k_m" in info["refused"]
    assert environment(penalty=-3.0).unwrapped.penalty == -3


def test_an_episode_is_cut_off_and_begins_where_it_is_asked_to():
    made = environment(steps=2)
    observed, _ = made.reset(options={"design": [1, 0, 0, 0, 1]})
    at = made.unwrapped.space.at([1, 0, 0, 0, 1])
    assert list(observed) == list(at.figures.values())
    assert [made.step(np.array([0, 0, 0, 0, 0]))[3] for _ in range(2)] == [False, True]
    _, info = made.reset()
    assert info["best_values"] is None


def test_an_environment_without_a_space_is_refused():
    with pytest.raises(InputError, match="axes and objectives"):
        environment(objectives=None)


@pytest.mark.parametrize(("script", "package"), [("optuna_search", "optuna"), ("gymnasium_search", "gymnasium")])
def test_the_examples_run(script, package, capsys):
    pytest.importorskip(package, reason="the extra `search` is not installed")
    runpy.run_path(str(EXAMPLES / f"{script}.py"), run_name="__main__")
    assert "jetson-orin-nano-8gb" in capsys.readouterr().out
