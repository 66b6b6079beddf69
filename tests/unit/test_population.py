"""What is learnt of all stacks: by hand where two numbers decide, and from stacks whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from math import exp
from types import SimpleNamespace

import numpy as np
import pytest

from roofsim import library
from roofsim.calibrate import population as p
from roofsim.calibrate.simulation import Stack as Made
from roofsim.calibrate.simulation import design, values_of
from roofsim.foundation.parameters import PARAMETERS
from roofsim.runs.reading import Runs
from roofsim.specs.files import build, dump
from roofsim.specs.population import Population

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
    assert [p.quantile(values, weights, s) for s in (0.25, 0.5, 0.75, 0.76, 1.0)] == [1, 2, 2, 3, 3]


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
    found = [(s.phase, s.host, s.sigma, s.rows) for s in p.scatters(rows, 1.0, {"latency_s decode": 0.2})]
    assert found == [("decode", False, 0.2, few), ("decode", True, 0.3, few)]


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
        classes=("a", "x"), chip="one", cases=cases, program=Program(), own=lambda v: {"own": v["gemm_fill"]}
    )
    found = p.left_out(mine, Others(), "device")
    assert found.off == pytest.approx(np.log([0.5, 2.0]))
    assert found.variance == pytest.approx([(1 * 3.0) ** 2 + (2 * 0.5) ** 2] * 2)
    assert found.keys == (("latency_s", "prefill", True), ("latency_s", "decode", False))
    p.left_out(mine, Others(), "runtime")
    assert asked == [(("a", "x"), [True, True, False], ""), (("a", "x"), [True, False, True], "one")]


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
