"""What is learnt of all stacks: by hand where two numbers decide, and from stacks whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from math import exp
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pytest

from roofsim import library
from roofsim.engine.roofline import of_host
from roofsim.fitting import population as p
from roofsim.fitting.simulation import Stack as Made
from roofsim.fitting.simulation import design, values_of
from roofsim.foundation.errors import InputError
from roofsim.foundation.parameters import PARAMETERS
from roofsim.prediction.fitted import SIBLING
from roofsim.runs.cases import Skip
from roofsim.runs.reading import Runs
from roofsim.specs.files import build, dump
from roofsim.specs.population import Population, device_class, runtime_class

ROW = PARAMETERS["gemm_efficiency"]


@dataclass(frozen=True)
class Fake:
    """A stack of which only the classes and the chip count."""

    classes: tuple[str, str]
    chip: str


def spread(stacks, values, variances, effects=(0.0, 0.0, 0.0, 0.0)):
    return p.Spread("gemm_efficiency", tuple(stacks), np.array(values), np.array(variances), p.Effects(*effects))


def expected(mine, *of, **more):
    """What one parameter is expected to be, from stacks that say something of it alone."""
    fits = tuple(
        p.Seen(stack, {}, {}, {}, (mine.name,), np.array([[1 / v]]), np.array([y / v]))
        for stack, y, v in zip(mine.stacks, mine.values, mine.variances, strict=True)
    )
    return p.Joint(fits, {mine.name: mine}).expected(*of, **more)[mine.name]


# --- what is expected of others ---


def test_one_fit_and_what_was_known_before_are_weighed_by_their_variances():
    known = ROW.free_spread**2
    found = expected(spread([Fake(("a", "x"), "one")], [0.8], [0.5]), ("b", "y"))
    weight = known / (known + 0.5)
    assert found.mean == pytest.approx(ROW.bounded(ROW.free(ROW.prior) + weight * 0.8), rel=1e-3)
    assert found.spread == pytest.approx((known - weight * known) ** 0.5, rel=1e-3)
    assert (found.fits, found.devices) == (0, 0)


def test_what_a_class_shares_is_expected_of_its_other_members_alone():
    stacks = [Fake(("a", "x"), "one"), Fake(("a", "x"), "two"), Fake(("b", "y"), "three")]
    mine = spread(stacks, [1.0, 1.0, -1.0], [1e-6] * 3, (0.5, 0.3, 0.5, 0.1))
    a, b, other = (expected(mine, c) for c in (("a", "x"), ("b", "y"), ("", "")))
    assert a.mean > other.mean > b.mean
    assert a.spread < b.spread < other.spread, "two members tell more than one, and one more than none"
    assert [(e.fits, e.devices) for e in (a, b, other)] == [(2, 2), (1, 1), (3, 3)]


def test_another_stack_of_a_known_device_is_surer_than_one_of_another_device():
    mine = spread([Fake(("a", "x"), "one")], [1.0], [0.01], (0.2, 0.6, 0.2, 0.2))
    assert expected(mine, ("a", "y"), chip="one").spread < expected(mine, ("a", "y")).spread


def test_stacks_that_are_left_out_say_nothing():
    mine = spread([Fake(("a", "x"), "one")], [1.0], [0.01])
    assert expected(mine, ("a", "x"), lambda s: s.chip == "one").mean == pytest.approx(ROW.prior)


def test_of_two_parameters_that_stand_for_each_other_neither_is_believed_until_another_stack_tells_them_apart():
    names = ("kernel_time", "strided_kernel_time")
    usual = [PARAMETERS[name].free_spread for name in names]
    stacks = [Fake(("a", "x"), "one"), Fake(("a", "x"), "two")]
    sure, none = 1e6, p.Effects(0.0, 0.0, 0.0, 0.0)
    spreads = {name: p.Spread(name, tuple(stacks), np.zeros(2), np.ones(2), none) for name in names}
    # one stack knows that they are one above what was expected, together; the other that the second of them is
    together = p.Seen(stacks[0], {}, {}, {}, names, sure * np.ones((2, 2)), sure * np.ones(2))
    apart = p.Seen(stacks[1], {}, {}, {}, names, np.diag([0.0, sure]), np.array([0.0, sure]))

    def moved(*fits):
        found = p.Joint(fits, spreads).expected(("a", "x"))
        return [PARAMETERS[n].free(found[n].mean) - PARAMETERS[n].free(PARAMETERS[n].prior) for n in names]

    of_first = usual[0] ** 2 / (usual[0] ** 2 + usual[1] ** 2)
    assert moved(together) == pytest.approx([of_first, 1 - of_first], abs=2e-3)
    assert moved(together, apart) == pytest.approx([0, 1], abs=2e-3)


def test_data_pull_as_far_as_they_say_something_and_not_beyond_the_reach_of_what_was_expected():
    spread = np.array([2.0, 1.0])
    # the first has a quarter of its variance left and moved by 3, so the data put it at 4; the second is as before
    precision, pull = p._together(np.diag([1.0, 1.0]), spread, np.array([3.0, 0.5]))
    assert precision == pytest.approx(np.diag([3 / 4, 0]))
    assert pull == pytest.approx([3 / 4 * 4, 0])
    _, pull = p._together(np.diag([1.0, 1.0]), spread, np.array([30.0, 0.5]))
    assert pull == pytest.approx([3 / 4 * 3 * 2, 0])
    # three quarters of a variance of 4 are left: the data say a third of what was expected, and moved by half at 2
    precision, pull = p._together(np.array([[3.0]]), np.array([2.0]), np.array([1.0]))
    assert precision == pytest.approx(np.array([[1 / 12]]))
    assert pull == pytest.approx([1 / 2 * 1 / 3 * 2])


def test_a_wild_fit_counts_as_three_deviations_from_the_middle():
    y = np.array([0.0, 0.1, -0.1, 0.2, -0.2, 9.0])
    assert p._within_reach(y).tolist() == pytest.approx([0.0, 0.1, -0.1, 0.2, -0.2, 0.05 + 3 * 1.4826 * 0.15])
    assert p._within_reach(y[-5:]).max() == 9


# --- what is left beyond the parameters ---


def residuals(off, variance, keys=("latency_s", "decode", False), chip="one"):
    return p.Residuals(Fake(("a", "x"), chip), (keys,) * len(off), np.array(off), np.array(variance))


def test_scatter_is_what_parameters_do_not_explain():
    rows = residuals([0.3, -0.3, 0.3, -0.3], [0.05] * 4)
    assert p.scatter([rows], ("latency_s", "decode"), 1.0) == (pytest.approx((0.09 - 0.05) ** 0.5), 4)
    assert p.scatter([rows], ("latency_s", "decode"), 0.5) == (pytest.approx((0.09 - 0.0125) ** 0.5), 4)
    assert p.scatter([rows], ("latency_s", "prefill"), 1.0) == (0.0, 0)
    assert p.scatter([residuals([0.1], [0.05])], ("latency_s",), 1.0)[0] == 0


def test_scatter_of_single_operators_is_what_intervals_need_to_hold_95_percent_of_them():
    # one of 21 rows needs more; of the others the largest is off by two deviations of what is asked for
    off = [0.1] * 19 + [2 * 0.3, 9.0]
    rows = residuals(off, [0.04] * 21, ("device_time_s", "norm", False))
    wide = (0.6 / p.NORMAL_95) ** 2
    assert p.scatter([rows], ("device_time_s", "norm"), 1.0) == (pytest.approx((wide - 0.04) ** 0.5), 21)
    assert p.scatter([rows], ("device_time_s", "norm"), 0.5)[0] == pytest.approx((wide - 0.01) ** 0.5)
    assert p.scatter(
        [residuals([0.1] * 9, [0.04] * 9, ("device_time_s", "norm", False))], ("device_time_s", "norm"), 1.0
    ) == (0, 9)


def test_a_device_counts_as_the_root_of_its_rows_and_its_modes_share_that():
    many, one = residuals([0.1] * 9, [0.0] * 9), residuals([0.3], [0.0], chip="two")
    root = ((3 * 0.01 + 1 * 0.09) / 4) ** 0.5
    assert p.scatter([many, one], ("latency_s",), 1.0)[0] == pytest.approx(root)
    again = residuals([0.3], [0.0], chip="two")
    assert p.scatter([many, one, again], ("latency_s",), 1.0)[0] == pytest.approx(root)


def test_the_wildest_twentieth_counts_as_the_largest_of_the_others():
    most, wild = residuals([0.1] * 400, [0.0] * 400), residuals([9.0], [0.0], chip="two")
    assert p.scatter([most, wild], ("latency_s",), 1.0)[0] == pytest.approx(0.1)


def test_a_weighted_quantile_by_hand():
    values, weights = np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 2.0])
    assert [p.quantile(values, weights, s) for s in (0.25, 0.5, 0.75, 0.76, 1.0)] == [1.5, 2, 2.5, 3, 3]
    assert p.quantile(np.array([-0.14, 0.04]), np.ones(2), 0.5) == pytest.approx(-0.05)  # as any median of two


def test_half_of_what_is_normal_is_within_two_thirds_of_a_deviation():
    assert p.shown([residuals([0.1, -0.1, 0.1], [0.04] * 3)]) == pytest.approx(0.5 / 0.6745)
    assert p.shown([residuals([1.0], [0.04])]) == 1
    sizes = [residuals([0.02], [0.04]), residuals([0.1], [0.04], chip="two"), residuals([0.9], [0.04], chip="three")]
    assert p.shown(sizes) == pytest.approx(0.5 / 0.6745)


def test_what_is_left_out_is_judged_by_bias_coverage_and_width():
    mine = [residuals([0.1, 0.2, -0.5], [0.01] * 3)]
    others = [residuals([0.2] * 8, [0.0] * 8, chip="two")]
    (found,) = p.judged("device", mine, lambda _: others, 1.0, {})
    assert found.bias == pytest.approx(exp(0.1) - 1, rel=1e-3)
    assert found.coverage == pytest.approx(2 / 3, rel=1e-3)
    assert found.width == pytest.approx(exp(2 * 1.95996 * (0.01 + 0.04) ** 0.5), rel=1e-3)
    assert (found.rows, found.devices, found.of) == (3, 1, "device")
    (sure,) = p.judged("device", mine, lambda _: [], 1.0, {"latency_s decode": 10.0})
    assert sure.coverage == 1


# --- by hand, with effects that all differ ---

EFFECTS = (0.5, 0.3, 0.7, 0.2)  # of the class of device, the device, the runtime, the stack
ALL = ROW.free_spread**2


def test_stacks_are_as_alike_as_what_they_share():
    stacks = [Fake(("a", "x"), "one"), Fake(("a", "y"), "one"), Fake(("b", "x"), "two"), Fake(("", ""), "three")]
    mine = spread(stacks, [0.0] * 4, [0.01, 0.02, 0.03, 0.04], EFFECTS)
    same_device, same_runtime = ALL + 0.25 + 0.09, ALL + 0.49
    whole, unknown = ALL + 0.25 + 0.09 + 0.49 + 0.04, ALL + 0.09 + 0.04
    assert mine.covariance() == pytest.approx(np.array([
        [whole + 0.01, same_device, same_runtime, ALL], [same_device, whole + 0.02, ALL, ALL],
        [same_runtime, ALL, whole + 0.03, ALL], [ALL, ALL, ALL, unknown + 0.04],
    ]))  # fmt: skip


def test_one_fit_tells_of_another_stack_as_much_as_they_are_alike():
    mine = spread([Fake(("a", "x"), "one")], [0.8], [0.5], EFFECTS)
    total = ALL + 0.25 + 0.09 + 0.49 + 0.04
    for classes, chip, near in (
        (("a", "y"), "", ALL + 0.25), (("a", "x"), "", ALL + 0.25 + 0.49), (("b", "x"), "one", ALL + 0.09 + 0.49)
    ):  # fmt: skip
        found = expected(mine, classes, chip=chip)
        assert found.mean == pytest.approx(ROW.bounded(ROW.free(ROW.prior) + near / (total + 0.5) * 0.8), rel=1e-3)
        assert found.spread == pytest.approx((total - near**2 / (total + 0.5)) ** 0.5, rel=1e-3)


def test_a_wild_fit_is_as_far_as_three_deviations_wherever_the_middle_is():
    y = 5 + np.array([0.0, 0.1, -0.1, 0.2, -0.2, 9.0])
    assert p._within_reach(y).max() == pytest.approx(5 + 0.05 + 3 * 1.4826 * 0.15)


def test_fits_that_differ_by_device_make_devices_differ_and_fits_that_agree_do_not():
    def effects(values):
        fits = [p.Seen(Fake(("a", "x"), str(i)), {"dispatch": v}, {"dispatch": 1e-4}, {}) for i, v in enumerate(values)]
        return p.Spread.of("dispatch", fits).effects

    row = PARAMETERS["dispatch"]
    at, usual = row.free(row.prior), p.SHARE * row.free_spread
    agree, differ = effects([at] * 8), effects([at + usual * k for k in (-4, 4, -3, 3, -4, 4, -3, 3)])
    assert agree.device < usual < differ.device
    assert agree.stack < usual < differ.stack
    none = p.Spread.of("dispatch", []).effects
    assert (none.device_class, none.device, none.runtime, none.stack) == pytest.approx((usual,) * 4)


def kind(phase, host):
    return ("latency_s", phase, host)


def test_each_kind_of_figure_has_a_scatter_by_who_decides_if_there_are_rows_enough():
    few = p.FEW
    rows = [
        residuals([0.3] * few, [0.0] * few, kind("decode", True)), residuals([0.1] * few, [0.0] * few),
        residuals([0.9] * (few - 1), [0.0] * (few - 1), kind("prefill", False)),
    ]  # fmt: skip
    found = [(s.metric, s.phase, s.host, s.sigma, s.rows) for s in p.scatters(rows, 1.0, {"latency_s decode": 0.2})]
    assert found == [("latency_s", "decode", False, 0.2, few), ("latency_s", "decode", True, 0.3, few)]


def test_rows_that_the_host_decides_are_judged_by_the_scatter_of_such_rows():
    few = p.FEW
    others = [
        residuals([0.3] * few, [0.0] * few, kind("decode", True), "two"),
        residuals([0.1] * few, [0.0] * few, kind("decode", False), "three"),
    ]
    for host, sigma in ((True, 0.3), (False, 0.1)):
        mine = [residuals([0.2, -0.4, 0.1], [0.0] * 3, kind("decode", host))]
        (found,) = p.judged("device", mine, lambda _: others, 1.0, {})
        assert found.width == pytest.approx(exp(2 * 1.95996 * sigma), rel=1e-3)
        assert found.coverage == pytest.approx(1 if sigma == 0.3 else 1 / 3, rel=1e-3)
        assert found.median_error == pytest.approx(exp(0.2) - 1, rel=1e-3)


def test_at_most_so_many_rows_of_a_kind_are_kept_evenly():
    @dataclass(frozen=True)
    class Row:
        group: str
        configuration: int
        run: SimpleNamespace

    def rows(kind, n):
        return [Row(kind, i, SimpleNamespace(value=1.0, line=i)) for i in reversed(range(n))]

    kept = list(p._thinned([*rows("a", p.MOST), *rows("b", p.MOST + 1), *rows("c", 3)]))
    by = {kind: [r.configuration for r in kept if r.group == kind] for kind in "abc"}
    assert by == {"a": list(range(p.MOST)), "b": list(range(0, p.MOST + 1, 2)), "c": [0, 1, 2]}


def test_a_fit_of_the_host_is_counted_from_what_is_usual_and_others_from_what_was_known():
    @dataclass(frozen=True)
    class Known(Fake):
        before: SimpleNamespace

    stack = Known(("a", "x"), "one", SimpleNamespace(names=("dispatch", "gemm_fill"), centre=(7.0, 5.0)))
    row = PARAMETERS["dispatch"]
    assert p._centre("dispatch", stack) == row.free(row.prior)
    assert p._centre("gemm_fill", stack) == 5


def test_what_is_left_out_is_predicted_from_all_others_alone():
    asked = []

    class Others:
        def expected(self, classes, without, chip):
            asked.append((classes, [without(s) for s in near], chip))
            return {name: SimpleNamespace(mean=2.0, spread=3.0 if name == "gemm_fill" else 0.5) for name in PARAMETERS}

    class Program:
        def predict(self, values):
            assert values == {"own": 2.0}
            return np.array([2.0, 8.0])

        def slopes(self, values, names):
            return np.array([[1.0 * (n == "gemm_fill") + 2.0 * (n == "dispatch") for n in names]] * 2)

        def host_bound(self, values):
            return [True, False]

    near = [Fake(("a", "x"), "one"), Fake(("a", "y"), "one"), Fake(("b", "x"), "two")]
    cases = tuple(SimpleNamespace(metric="latency_s", phase=f, measured=4.0) for f in ("prefill", "decode"))
    mine = SimpleNamespace(
        classes=("a", "x"),
        chip="one",
        cases=cases,
        program=Program(),
        own=lambda v: {"own": v["gemm_fill"]},
        whole=True,
    )
    found = p.left_out(mine, Others(), "device")
    assert found.off == pytest.approx(np.log([0.5, 2.0]))
    assert found.variance == pytest.approx([(1 * 3.0) ** 2 + (2 * 0.5) ** 2] * 2)
    assert found.keys == (("latency_s", "prefill", True), ("latency_s", "decode", False))
    p.left_out(mine, Others(), "runtime")
    assert asked == [(("a", "x"), [True, True, False], ""), (("a", "x"), [True, False, True], "one")]
    # single operators are known by their kinds, whichever time was measured and whoever launched them
    named = [SimpleNamespace(metric=m, measured=4.0, run=SimpleNamespace(op=op)) for m, op in (
        ("latency_s", "input_layernorm"), ("device_time_s", "gdn:fused_recurrent_gated_delta_rule"))]  # fmt: skip
    alone = SimpleNamespace(**{**vars(mine), "cases": tuple(named), "whole": False})
    keys = (("device_time_s", "norm", False), ("device_time_s", "scan", False))
    assert p.left_out(alone, Others(), "device").keys == keys


# --- stacks whose truth is known ---

TRUE = {"a100-sxm-80gb": 0.5, "h100-sxm": 0.6, "rtx-4090": 0.4}


@cache
def made():
    """Rows of three devices whose products reach 0.4 to 0.6 of the peak, where 0.8 was read by hand."""
    rows = list(design(("Llama-3.2-1B",), (512, 4096, 16384), (1, 4)))
    found = []
    for name, efficiency in TRUE.items():
        device = library.device(name)
        stack = Made(device, library.runtime("transformers-5-eager"), library.host(device.host))
        values = values_of(stack, rows, {**library.priors(device, stack.runtime).values, "gemm_efficiency": efficiency})
        found += [row._replace(device=name, framework="transformers 5.17", value=float(v), line=i)
                 for i, (row, v) in enumerate(zip(rows, values, strict=True))]  # fmt: skip
    return tuple(found)


def learnt():
    return p.stacks([Runs("made.csv", "0" * 64, made())])


def test_every_device_and_runtime_in_the_files_is_a_stack():
    found = learnt()
    assert [s.device.id for s in found] == sorted(TRUE)
    assert {s.runtime.id for s in found} == {"transformers-5-eager"}
    assert all(s.whole for s in found)


def test_means_are_those_of_the_stacks_and_each_is_predicted_from_the_others():
    found = p.learn(learnt())
    groups = {(g.devices, g.runtimes): g for g in found.groups}
    assert set(groups) == {("", ""), ("NVIDIA gpu", ""), ("", "eager"), ("NVIDIA gpu", "eager")}
    typical = groups["NVIDIA gpu", "eager"].parameters["gemm_efficiency"]
    assert 0.42 < typical.mean < 0.62
    assert typical.devices == 3
    times = [x for x in groups["NVIDIA gpu", "eager"].left_out if (x.of, x.metric) == ("device", "device_time_s")]
    assert {x.phase for x in times} == {"prefill", "decode"}
    assert all(x.coverage >= 0.88 and abs(x.bias) < 0.2 for x in times)


def test_what_a_stack_says_is_counted_without_what_was_known_before():
    (card,) = [s for s in learnt() if s.device.id == "h100-sxm"]
    said = p.seen(card)
    truth = ROW.free(TRUE["h100-sxm"])
    assert said.values["gemm_efficiency"] == pytest.approx(
        truth, abs=4 * said.variances["gemm_efficiency"] ** 0.5 + 0.1
    )
    assert "workspace" not in said.values, "what software defines is no property of a population"


def test_rows_that_say_nothing_of_a_device_are_left_out():
    found = learnt()
    rows = [case.run for case in found[0].cases]
    assert p.stacks([Runs("a.csv", "0" * 64, tuple(rows))], "batch == 77") == []
    for change in ({"note": "suspect=1"}, {"note": "quality=low"}, {"framework": ""}, {"framework": "TensorRT-LLM"}):
        assert p.stacks([Runs("a.csv", "0" * 64, tuple(r._replace(**change) for r in rows))]) == []
    again = tuple(replace(found[0].cases[0], run=rows[0]).run._replace(line=i) for i in range(300))
    (thin,) = p.stacks([Runs("a.csv", "0" * 64, again)])
    assert len(thin.cases) <= p.MOST


# --- which rows make a stack ---


def test_rows_of_whole_passes_and_operators_that_tell_of_a_device_make_stacks():
    """What is asked of a row: its runtime, its notes, its figure, its phase, and for operators how long it takes."""

    class Row(SimpleNamespace):
        def stated(self, key):
            return key in self.notes

    class Reader:
        runtime = jobs = "as the reader has them"

        def __init__(self, name):
            assert name == "ideal"

        def case(self, run):
            if run.line == 1:
                raise Skip("nothing to predict it from")
            if run.line == 2:
                raise InputError("no such device")
            return run

    def row(line, **changes):
        usual = {
            "op": "e2e",
            "phase": "decode",
            "figure": "wall",
            "value": 1.0,
            "flags": (),
            "notes": {},
            "name": "ideal",
            "metric": "latency_s",
            "source": "",
        }
        fields = {**usual, "line": line, "device": "rtx-4090", "group": "", "configuration": 0, **changes}
        fields["run"] = SimpleNamespace(
            op=fields["op"], value=fields["value"], line=line, metric=fields["metric"], source=fields["source"]
        )
        return Row(**fields, target=SimpleNamespace(figure=fields["figure"]))

    rows = [
        row(1), row(2), row(3), row(4, name=None), row(5, notes={"suspect": "1"}), row(6, notes={"quality": "low"}),
        row(7, figure="constant"), row(8, phase="load"), row(9, flags=("host_contended",)), row(10, value=p.CALL / 2),
        row(11, op="linear", phase="op", value=p.CALL / 2), row(12, op="linear", phase="op", value=p.CALL),
        row(13, op="linear", phase="op", figure="device", value=p.CALL / 2), row(14, device="a100-sxm-80gb"),
        row(15, notes={"quality": "high"}), row(16, op="linear", figure="constant"),
        row(17, op="linear", metric="device_time_s"), row(18, op="add", source="microsoft/vidur@7d47:mlp.csv"),
        row(19, op="add", source="casys-kaist/LLMServingSim@5dad:dense.csv"), row(20, metric="device_time_s"),
        row(21, op="op:aten::linear"),
    ]  # fmt: skip
    with (
        patch.object(p, "Reader", Reader), patch.object(p, "runtime_of", lambda run: run.name),
        patch.object(p, "Program", lambda *of: of),
    ):  # fmt: skip
        found = p.stacks([SimpleNamespace(runs=rows[:8]), SimpleNamespace(runs=rows[8:])])
    lines = [(s.device.id, [c.line for c in s.cases]) for s in found]
    # by their values; durations by a profiler are apart from calls, not in whole passes
    assert lines == [
        ("a100-sxm-80gb", [14]), ("rtx-4090", [13, 12]), ("rtx-4090", [17, 18, 19, 21]), ("rtx-4090", [10, 3, 15, 20])
    ]  # fmt: skip
    assert [s.whole for s in found] == [True, False, False, True]
    assert [s.profiled for s in found[:3]] == [False, False, True]
    for s in found:
        assert s.host == library.host(s.device.host)
        assert s.program == ([c.target for c in s.cases], "as the reader has them", s.device, s.host, s.runtime)


def test_a_stack_is_of_a_chip_and_of_two_classes_and_begins_with_what_is_known_of_its_software_and_host():
    device, host = library.device("orin@15w"), library.host("cloud-vm")
    stack = p.Stack(device, host, library.runtime("transformers-5-eager"), (), None)
    assert stack.chip == device.id.partition("@")[0] != device.id
    assert stack.classes == (device_class(device), runtime_class(stack.runtime))
    usual = {name: row.prior for name, row in PARAMETERS.items()}
    assert stack.own(usual) == {**usual, **of_host(host, usual)} != usual
    assert replace(stack, host=None).own(usual) == usual
    assert stack.before.values(stack.before.centre) == pytest.approx(stack.own(usual))
    assert stack.before.spread.tolist() == [row.free_spread for row in PARAMETERS.values()]
    # of what the file of a device states, what its software defines alone
    card = library.device("gh200-144gb")
    assert {"workspace", "gemm_efficiency"} <= set(library.stated(card))
    own = replace(stack, device=card, host=None).own(usual)
    assert own == {**usual, "workspace": library.stated(card)["workspace"].value}


# --- what one stack says ---

FITTED = ("gemm_efficiency", "kernel_time", "workspace", "memory_efficiency", "dispatch")


def fitted(whole, *, little=p.SAYS_LITTLE, profiled=False):
    """What is seen in a fit whose outcome is given: spreads of 3, of which so much of the variance is left."""
    count = len(FITTED)
    before = SimpleNamespace(names=FITTED, centre=np.arange(1.0, count + 1), spread=np.full(count, 3.0))
    covariance = np.diag([1.0, 2.0, 1.0, 9 * little, 0.5])
    covariance[0, 1] = covariance[1, 0] = 0.5
    stack = SimpleNamespace(cases=("a", "b", "c"), program="program", before=before, whole=whole, profiled=profiled)
    asked = []

    def problem(cases, program, prior):
        assert (cases, program, prior) == (stack.cases, "program", before)
        return SimpleNamespace(prior=prior, groups=np.array(["x", "y", "x"]))

    def fit(problem, which, keep, start, passes):
        asked.append((which, keep, start, passes))
        return p.Fit(before.centre + np.array([3.0, -1.0, 1.0, 0.5, 1.0]), covariance, which, {"x": 0.1, "y": 0.2})

    with (
        patch.object(p, "Problem", problem), patch.object(p, "fit", fit),
        patch.object(p, "touched", lambda problem: np.arange(count)),
    ):  # fmt: skip
        return stack, p.seen(stack), asked[0]


def test_what_a_fit_says_is_what_it_found_less_what_was_expected_by_their_variances():
    stack, said, (which, keep, start, passes) = fitted(whole=True)
    assert said.stack is stack
    assert said.scatter == {"x": 0.1, "y": 0.2}
    # of a variance of 9, 1 is left: the data have 9/8, and put at (4 - 1/9) * 9/8 what went from 1 to 4
    assert said.variances == pytest.approx({"gemm_efficiency": 9 / 8, "kernel_time": 18 / 7, "dispatch": 9 / 17})
    assert said.values == pytest.approx(
        {
            "gemm_efficiency": (4 - 1 / 9) * 9 / 8,
            "kernel_time": (1 / 2 - 2 / 9) * 18 / 7,
            "dispatch": (6 / 0.5 - 5 / 9) * 9 / 17,
        }
    )
    assert (which.tolist(), keep.tolist(), passes) == ([0, 1, 2, 3, 4], [True] * 3, 2)
    assert start.free.tolist() == stack.before.centre.tolist()
    assert start.covariance.tolist() == np.diag([9.0] * 5).tolist()
    assert start.scatter == {"x": p.START, "y": p.START}


def test_what_software_defines_is_not_counted_nor_what_operators_by_themselves_do_not_tell():
    _, said, _ = fitted(whole=True)
    assert said.names == ("gemm_efficiency", "kernel_time", "memory_efficiency", "dispatch")
    _, alone, _ = fitted(whole=False)
    assert alone.names == ("gemm_efficiency", "memory_efficiency", "dispatch")
    assert "kernel_time" not in alone.values
    _, durations, _ = fitted(whole=False, profiled=True)
    assert durations.names == said.names, "a profiler tells how long a small kernel takes"
    tells = [name for name in p.FIXED_TIMES if p._tells(SimpleNamespace(whole=False, profiled=True), name)]
    assert tells == ["kernel_time"], "and of no other kind of kernel"
    _, sure, _ = fitted(whole=True, little=0.99 * p.SAYS_LITTLE)
    assert "memory_efficiency" in sure.values


def test_what_a_fit_says_of_several_together_is_counted_from_what_was_expected():
    _, said, _ = fitted(whole=True)
    row = PARAMETERS["dispatch"]
    off = np.array([3.0, -1.0, 0.5, 6.0 - row.free(row.prior)])
    covariance = np.array([[1, 0.5, 0, 0], [0.5, 2, 0, 0], [0, 0, 9 * p.SAYS_LITTLE, 0], [0, 0, 0, 0.5]])
    precision, pull = p._together(covariance, np.full(4, 3.0), off)
    assert said.precision == pytest.approx(precision)
    assert said.pull == pytest.approx(pull)
    assert precision == pytest.approx(np.linalg.inv(covariance) - np.eye(4) / 9)


# --- how much stacks differ ---


def test_effects_are_those_that_make_fits_and_effects_together_most_likely():
    places = [("a", "x", "1"), ("a", "x", "2"), ("a", "y", "1"), ("b", "x", "3"), ("b", "y", "3"), ("", "", "4")]
    off, variances = np.array([0.9, 0.2, 1.4, -1.0, -0.3, 0.4]) * ROW.free_spread, np.full(6, 0.02)
    usual = np.log(p.SHARE * ROW.free_spread)

    def unlikely(logs):
        by_class, device, runtime, stack = np.exp(logs) ** 2
        k = np.full((6, 6), ROW.free_spread**2) + np.diag(variances)
        for i, (c, r, d) in enumerate(places):
            for j, (c2, r2, d2) in enumerate(places):
                k[i, j] += (
                    (c == c2 != "") * by_class + (d == d2) * device + (r == r2 != "") * runtime + (i == j) * stack
                )
        doubt = (((logs - usual) / p.DOUBT) ** 2).sum()
        return (np.log(np.linalg.det(k)) + off @ np.linalg.inv(k) @ off + doubt) / 2

    with patch.object(p, "_centre", lambda name, stack: 7.0):
        fits = [
            p.Seen(Fake((c, r), d), {ROW.name: 7 + y}, {ROW.name: v}, {})
            for (c, r, d), y, v in zip(places, off, variances, strict=True)
        ]
        silent = p.Seen(Fake(("a", "x"), "9"), {}, {}, {})
        found = p.Spread.of(ROW.name, [*fits[:3], silent, *fits[3:]])
    assert found.values == pytest.approx(off)
    assert found.variances == pytest.approx(variances)
    assert [s.chip for s in found.stacks] == [d for _, _, d in places]
    best = np.log([found.effects.device_class, found.effects.device, found.effects.runtime, found.effects.stack])
    assert np.abs(best - usual).max() > 0.05, "the data move them"
    for i in range(4):
        step = 0.05 * (np.arange(4) == i)
        assert unlikely(best) <= min(unlikely(best + step), unlikely(best - step)) + 1e-6
    assert unlikely(best) == pytest.approx(min(unlikely(best + 0.01), unlikely(best - 0.01)), abs=1e-3)


def test_effects_stay_within_three_of_their_doubts():
    fits = [p.Seen(Fake(("a", "x"), str(i)), {"dispatch": 1e4 * (-1) ** i}, {"dispatch": 1e-4}, {}) for i in range(4)]
    e = p.Spread.of("dispatch", fits).effects
    usual = np.log(p.SHARE * PARAMETERS["dispatch"].free_spread)
    assert e.device == pytest.approx(np.exp(usual + 3 * p.DOUBT))
    with patch.object(p, "DOUBT", 0.01):
        assert p.Spread.of("dispatch", fits).effects.device == pytest.approx(np.exp(usual + 0.03))


def test_a_host_of_the_same_class_is_nearer_than_devices_are():
    none = p.Effects(0.0, 0.0, 0.0, 0.0)
    dispatch, other = (p.Spread(name, (), np.zeros(0), np.zeros(0), none) for name in ("dispatch", "kernel_time"))
    silent = p.Seen(Fake(("a", "x"), "one"), {}, {}, {}, ("kernel_time",), np.zeros((1, 1)), np.zeros(1))
    spread_of = {"dispatch": dispatch, "kernel_time": replace(other, stacks=(silent.stack,))}
    found = p.Joint((silent,), spread_of).expected(("a", "x"))
    assert found["dispatch"].spread == pytest.approx(SIBLING * PARAMETERS["dispatch"].free_spread, rel=1e-3)
    assert found["kernel_time"].spread == pytest.approx(PARAMETERS["kernel_time"].free_spread, rel=1e-3)


def test_what_two_stacks_say_is_weighed_with_all_that_they_share():
    stacks = [Fake(("a", "x"), "one"), Fake(("b", "x"), "two")]
    values, variances = np.array([0.8, -0.2]), np.array([0.1, 0.3])
    mine = spread(stacks, values, variances, EFFECTS)
    found = expected(mine, ("a", "x"), chip="two")
    near = np.array([ALL + 0.25 + 0.49, ALL + 0.09 + 0.49])
    solved = np.linalg.inv(mine.covariance())
    assert found.mean == pytest.approx(ROW.bounded(ROW.free(ROW.prior) + near @ solved @ values), rel=1e-3)
    total = ALL + 0.25 + 0.09 + 0.49 + 0.04
    assert found.spread == pytest.approx((total - near @ solved @ near) ** 0.5, rel=1e-3)
    alone = expected(mine, ("a", "x"), lambda s: s.chip == "one", "two")
    assert (alone.fits, alone.devices) == (0, 0)
    assert alone.mean == pytest.approx(ROW.bounded(ROW.free(ROW.prior) - near[1] / (total + 0.3) * 0.2), rel=1e-3)


# --- the whole ---


def learning(places):
    """What `learn` makes of stacks at these places (device class, runtime class, chip, whole): what it judges by what.

    Fits and predictions are given: a row of each stack, off by its number.
    """
    stacks = [
        SimpleNamespace(
            classes=(d, r), chip=chip, whole=whole, device=SimpleNamespace(id=chip, kind=d), cases=(0, 0),
            runtime=SimpleNamespace(id=r), number=i,
        )
        for i, (d, r, chip, whole) in enumerate(places)
    ]  # fmt: skip
    judged, told = [], []

    def left_out(stack, joint, of):
        assert [fit.stack for fit in joint.fits] == stacks
        assert set(joint.spreads) == set(PARAMETERS)
        off = np.array([0.1 * (stack.number + 1) * (1 if of == "device" else 2)])
        return p.Residuals(stack, (("latency_s", "decode", False),), off, np.array([0.01]))

    def judge(of, mine, others, share, least):
        judged.append((of, [(r.stack.number, [(x.stack.number, x.off[0]) for x in others(r)]) for r in mine]))
        assert share == p.shown([left_out(s, joint, "device") for s in stacks if s.whole])
        assert least == {"latency_s decode": 0.05}
        yield p.LeftOut(
            of=of,
            metric="latency_s",
            phase="decode",
            rows=1,
            devices=1,
            bias=0.0,
            median_error=0.0,
            coverage=1.0,
            width=1.0,
        )

    scatter = {"latency_s decode": 0.05}
    fits = [p.Seen(s, {}, {}, scatter, (ROW.name,), np.eye(1), np.zeros(1)) for s in stacks]
    said = {
        ROW.name: p.Spread(ROW.name, tuple(stacks), np.zeros(len(stacks)), np.ones(len(stacks)), p.Effects(*EFFECTS))
    }
    joint = p.Joint(tuple(fits), dict.fromkeys(PARAMETERS, said[ROW.name]))
    nothing = p.Effects(0.0, 0.0, 0.0, 0.0)

    def spread_of(name, all_of_them):
        assert all_of_them == fits
        return said.get(name) or p.Spread(name, (), np.zeros(0), np.zeros(0), nothing)

    with (
        patch.object(p, "seen", lambda stack: fits[stack.number]), patch.object(p.Spread, "of", spread_of),
        patch.object(p, "left_out", left_out), patch.object(p, "judged", judge),
    ):  # fmt: skip
        return p.learn(stacks, told.append), judged, told


PLACES = [
    ("gpu", "eager", "1", True), ("gpu", "eager", "2", True), ("gpu", "vllm", "1", True), ("soc", "eager", "3", True),
    ("soc", "llama", "3", True), ("cpu", "llama", "4", False),
]  # fmt: skip


def test_rows_are_judged_by_the_scatter_of_other_devices_of_their_class_else_of_their_runtime_else_of_any():
    _, judged, _ = learning(PLACES)
    of_devices = {number: others for of, rows in judged if of == "device" for number, others in rows}
    assert {n: [other for other, _ in others] for n, others in of_devices.items()} == {
        0: [1],  # the other GPU with the same runtime
        1: [0],
        2: [1, 3, 4],  # no other device with it: any
        3: [0, 1],  # the same runtime on another class
        4: [0, 1, 2],
        5: [],  # no other stack of single operators
    }
    assert of_devices[3] == [(0, pytest.approx(0.1)), (1, pytest.approx(0.2))]
    rows = [(of, [number for number, _ in rows]) for of, rows in judged]
    pairs = [[5], [0, 1], [2], [3], [4]]
    assert rows == [(of, numbers) for numbers in pairs for of in ("device", "runtime")]


def test_rows_of_a_runtime_are_judged_by_other_runtimes_on_such_devices_else_on_any():
    _, judged, _ = learning(PLACES)
    of_runtimes = {number: others for of, rows in judged if of == "runtime" for number, others in rows}
    assert {n: [other for other, _ in others] for n, others in of_runtimes.items()} == {
        0: [2], 1: [2], 2: [0, 1], 3: [4], 4: [3], 5: [],
    }  # fmt: skip
    assert of_runtimes[3] == [(4, pytest.approx(1.0))]
    _, judged, _ = learning([PLACES[0], PLACES[4]])
    of_runtimes = {number: others for of, rows in judged if of == "runtime" for number, others in rows}
    assert {n: [other for other, _ in others] for n, others in of_runtimes.items()} == {0: [4 - 3], 1: [0]}


def test_there_is_a_group_for_all_for_each_class_and_for_each_pair_which_alone_is_judged():
    found, _, told = learning(PLACES)
    wider = [("", ""), ("cpu", ""), ("gpu", ""), ("soc", ""), ("", "eager"), ("", "llama"), ("", "vllm")]
    pairs = [("cpu", "llama"), ("gpu", "eager"), ("gpu", "vllm"), ("soc", "eager"), ("soc", "llama")]
    assert [(g.devices, g.runtimes) for g in found.groups] == [*wider, *pairs]
    by = {(g.devices, g.runtimes): g for g in found.groups}
    assert all(not by[each].left_out for each in wider)
    assert all([x.of for x in by[each].left_out] == ["device", "runtime"] for each in pairs)
    assert all(set(g.parameters) == {ROW.name} for g in found.groups), "of others there are no fits"
    assert (by["gpu", ""].parameters[ROW.name].fits, by["gpu", ""].parameters[ROW.name].devices) == (3, 2)
    assert "2 rows" in told[0]
    assert [("operators" in each) for each in told] == [False] * 5 + [True]


def test_a_group_has_the_scatter_of_its_rows_on_devices_left_out():
    few = p.FEW
    places = [("gpu", "eager", str(i), True) for i in range(few)] + [("soc", "eager", "x", True)]
    found, _, _ = learning(places)
    by = {(g.devices, g.runtimes): g for g in found.groups}
    assert [s.rows for s in by["", ""].scatter] == [few + 1]
    assert [s.rows for s in by["gpu", ""].scatter] == [few]
    assert not by["soc", "eager"].scatter
    assert found.shown == pytest.approx(1)


def test_repeats_scatter_as_the_median_of_the_stacks_does_whoever_decides():
    fits = [
        p.Seen(Fake(("a", "x"), str(i)), {}, {}, scatter)
        for i, scatter in enumerate(({"t decode": 0.1, "t decode host": 0.3}, {"t decode": 0.2}, {"t prefill": 0.4}))
    ]
    assert p.repeats(fits) == pytest.approx({"t decode": 0.2, "t prefill": 0.4})


def test_rows_are_weighed_by_the_root_of_their_number_over_the_modes_of_their_chip():
    rows = [residuals([0.1, 0.2], [0.3, 0.4]), residuals([0.5], [0.6]), residuals([0.7], [0.8], chip="two")]
    other = p.Residuals(Fake(("a", "x"), "one"), (("energy_j", "decode", False),), np.array([9.0]), np.array([9.0]))
    off, variance, weights = p._gathered([*rows, other], ("latency_s", "decode"))
    assert off.tolist() == [0.1, 0.2, 0.5, 0.7]
    assert variance.tolist() == [0.3, 0.4, 0.6, 0.8]
    assert weights == pytest.approx([2**-0.5 / 2] * 2 + [1 / 2, 1])


def test_figures_that_are_no_times_and_rows_that_no_parameter_moves_show_nothing():
    memory = p.Residuals(
        Fake(("a", "x"), "m"), (("peak_mem_bytes", "prefill", False),), np.array([9.0]), np.array([0.01])
    )
    still = residuals([9.0], [0.0], chip="s")
    usual = residuals([0.02, 0.06, 0.06, 0.06], [0.04] * 4, chip="u")
    more = residuals([0.02], [0.04], chip="v")
    assert p.shown([memory, still, usual]) == pytest.approx(0.3 / 0.6745)
    # three of four rows are at 0.3 and weigh 3 / √4; one of them and the one of the other device weigh as much at 0.1
    assert p.shown([usual, more]) == pytest.approx((0.1 + 0.3) / 2 / 0.6745)


def test_rows_left_out_are_judged_kind_by_kind_and_by_the_scatter_of_the_kind_where_few_are_alike():
    few = p.FEW
    mixed = [
        residuals([0.1] * few, [0.0] * few, kind("decode", False), "two"),
        residuals([0.4] * (few - 1), [0.0] * (few - 1), kind("decode", True), "three"),
    ]
    usual = p.scatter(mixed, ("latency_s", "decode"), 1.0)[0]
    mine = [
        residuals([0.2], [0.0], kind("decode", True)), residuals([0.05], [0.0], kind("prefill", False)),
    ]  # fmt: skip
    decode, prefill = p.judged("runtime", mine, lambda _: mixed, 1.0, {"latency_s prefill": 0.03})
    assert (decode.phase, decode.rows, decode.of) == ("decode", 1, "runtime")
    assert decode.width == pytest.approx(exp(2 * 1.95996 * usual), rel=1e-3)
    assert (prefill.phase, prefill.rows) == ("prefill", 1)
    assert prefill.width == pytest.approx(exp(2 * 1.95996 * 0.03), rel=1e-3)
    assert prefill.bias == pytest.approx(exp(0.05) - 1, rel=1e-3)
    half = next(iter(p.judged("device", [residuals([0.2], [0.01])], lambda _: mixed, 0.5, {})))
    assert half.width == pytest.approx(exp(2 * 1.95996 * (0.25 * 0.01 + 0.1**2) ** 0.5), rel=1e-3)
    floor = next(iter(p.judged("device", [residuals([0.2], [0.0])], lambda _: mixed, 1.0, {"latency_s decode": 0.3})))
    assert floor.width == pytest.approx(exp(2 * 1.95996 * 0.3), rel=1e-3)


# --- the file that is shipped ---


def test_the_shipped_population_says_what_it_was_learnt_from():
    shipped = library.population()
    assert shipped.datasets
    assert all(0 < each.used <= each.rows for each in shipped.datasets)
    assert build(Population, read(dump(shipped)), "p.yaml") == replace_id(shipped)
    for group in shipped.groups:
        for name, each in group.parameters.items():
            assert PARAMETERS[name].low <= each.mean <= PARAMETERS[name].high
            assert each.fits > 0


def read(text):
    import yaml

    return yaml.safe_load(text)


def replace_id(spec):
    from roofsim.foundation.schema import variant

    return variant(spec, id="")
