"""Trials that share a prompt, by laws and by hand."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from roofsim import predict
from roofsim.foundation.cost import Cost
from roofsim.foundation.errors import InputError, Unsupported
from roofsim.lowering.kernels import Kernel
from roofsim.lowering.step import lower
from roofsim.model.step import Pass
from roofsim.prediction.fitted import chosen
from roofsim.prediction.setup import setup
from roofsim.spaces.sampling import Accuracy, Sampling, _left, _lighter, _read_once, sampling, usual
from roofsim.specs.workload import workload

PROMPT = 512
QWEN = "Qwen2.5-0.5B"
KV = 2 * 24 * 2 * 64 * 2
"""Bytes of keys and values of a token of Qwen2.5-0.5B: two of 24 layers, 2 heads of 64, in bf16."""


def trials_of(model=QWEN, device="rtx-4090", runtime="vllm", shared=None, prompt=PROMPT, **fields):
    s = chosen(setup(model, device, runtime), "auto", transfer=False)
    w = workload(prompt=prompt, dtype="bf16", **fields)
    return Sampling(s, replace(w, generate=1), shared or usual(s.runtime))


def vars_of(found):
    return {f.name: getattr(found, f.name) for f in fields(found) if f.name not in ("bound", "coverage")}


def test_one_trial_costs_what_is_predicted():
    for model, runtime in ((QWEN, "vllm"), ("mamba2-780m", "transformers-4.52-eager"), ("Zamba2-1.2B", "ideal")):
        for tokens in (1, 2, 300):
            found = trials_of(model, runtime=runtime).at(1, tokens)
            one = predict(model, "rtx-4090", runtime, prompt=PROMPT, generate=tokens, dtype="bf16").request
            assert found.time == pytest.approx(one.total_time, rel=1e-9)
            assert found.energy == pytest.approx(one.energy, rel=1e-9)
            assert found.tokens_per_second == pytest.approx(one.tokens_per_second, rel=1e-9)


@pytest.mark.parametrize(("shared", "of_prompt"), [("copied", 4), ("held", 4), ("read", 1)])
def test_state_that_is_read_is_counted_by_hand(shared, of_prompt):
    n, tokens = 4, 10
    found = trials_of(shared=shared).at(n, tokens)
    # the prefill writes and reads its keys and values; a step writes one token of each trial, reads the prompt so often
    # and of every trial what it has made, the new token included
    steps = [n + of_prompt * PROMPT + n * (done + 1) for done in range(tokens - 1)]
    assert found.bytes_state == pytest.approx(KV * (2 * PROMPT + sum(steps)), rel=1e-12)


@pytest.mark.parametrize("runtime", ["vllm", "llama.cpp", "transformers-4.52-eager"])
def test_what_is_read_is_what_utilisation_counts(runtime):
    t = trials_of(runtime=runtime, prompt=20_000)
    one = predict(QWEN, "rtx-4090", runtime, prompt=20_000, generate=2, dtype="bf16")
    bandwidth = t.s.device.memory.bandwidth.value
    first, second = t.at(1, 1), t.at(1, 2)
    assert first.bytes_weights + first.bytes_state == pytest.approx(
        one.prefill.model_traffic_time * bandwidth, rel=1e-12
    )
    more = second.bytes_weights + second.bytes_state - first.bytes_weights - first.bytes_state
    assert more == pytest.approx(one.decode.model_traffic_time * bandwidth, rel=1e-9)


def test_kernels_read_the_prompt_once():
    # on the ideal runtime an operator is one kernel that moves what the operator does
    t, n, done = trials_of(runtime="ideal"), 8, 30
    p = Pass(n, 1, PROMPT + done, t.s.precision(t.w), "last", "decode")
    left = _left(t.s.architecture, p, replace(p, context=done))
    rows = [_read_once(row, each) for row, each in zip(lower(t.s.architecture, t.s.runtime, p), left, strict=True)]
    state = sum(row.row.count * k.cost.state for row in rows for each in row.lowered for k in each.kernels)
    assert state == pytest.approx(KV * (n + PROMPT + n * (done + 1)), rel=1e-12)


def test_parts_and_rivals_of_a_kernel_are_thinned_as_well():
    part = Kernel("a", "attention", Cost(matrix=1, state=8))
    found = _lighter(replace(part, beneath=part, instead=(part, part)), 0.25)
    for each in (found, found.beneath, *found.instead):
        assert each.cost == Cost(matrix=1, state=2)


def test_what_does_not_fit_is_said():
    # scores of all positions of the prompt: 24,000 x 151,936 x 2 bytes, while the end takes 1.3 GiB
    eager = trials_of(device="orin", runtime="transformers-4.52-eager", prompt=24_000)
    assert eager.held(1, 10) < 1.5 * 2**30
    assert not eager.at(1, 10).fits
    t = trials_of()
    assert t.at(1, t.longest).fits
    assert not t.at(1, t.longest + 1).fits
    assert not t.at(128, t.longest).fits


@pytest.mark.parametrize(("shared", "prompts"), [("copied", 4), ("held", 1), ("read", 1)])
def test_the_prompt_is_held_once_or_by_every_trial(shared, prompts):
    one, four = (trials_of(shared=shared).held(n, 100) for n in (1, 4))
    weights = one - KV * (PROMPT + 100)
    assert four - weights == KV * (prompts * PROMPT + 4 * 100)


def test_weights_are_read_once_a_step_whatever_the_trials():
    t = trials_of()
    one, many = t.at(1, 101), t.at(64, 101)
    first, step = t.at(1, 1).bytes_weights, t.at(1, 2).bytes_weights - t.at(1, 1).bytes_weights
    assert one.bytes_weights == pytest.approx(first + 100 * step, rel=1e-12)
    # only the rows of the embedding table, one a trial, are more
    assert many.bytes_weights == pytest.approx(one.bytes_weights + 100 * 63 * 896 * 2, rel=1e-9)


def test_attention_goes_with_the_square_of_tokens_and_the_rest_with_tokens():
    t = trials_of(prompt=1, shared="read")
    states = [t.at(16, n).bytes_state for n in (4_000, 8_000, 16_000)]
    assert states[1] / states[0] == pytest.approx(4, rel=2e-3)
    assert states[2] / states[1] == pytest.approx(4, rel=1e-3)
    weights = [t.at(16, n).bytes_weights for n in (4_000, 8_000)]
    assert weights[1] / weights[0] == pytest.approx(2, rel=1e-3)


def test_equivalent_flop_are_work_and_bytes_at_the_peak_over_the_bandwidth():
    t = trials_of(device="h100-sxm")
    assert t.intensity == pytest.approx(989.4e12 / 3.35e12, rel=1e-3)
    found = t.at(8, 64)
    assert found.eflops_state == t.intensity * found.bytes_state
    assert found.eflops_weights == t.intensity * found.bytes_weights
    whole = found.matrix_flops + found.vector_flops + found.eflops_state + found.eflops_weights
    assert found.eflops == pytest.approx(whole, rel=1e-12)


def test_cost_grows_with_trials_and_tokens_and_each_trial_gets_cheaper():
    for shared in ("copied", "held", "read"):
        t = trials_of(shared=shared)
        by_trials = [t.at(n, 200).time for n in (1, 2, 8, 32, 128)]
        assert by_trials == sorted(by_trials)
        each = [time / n for time, n in zip(by_trials, (1, 2, 8, 32, 128), strict=True)]
        assert each == sorted(each, reverse=True)
        by_tokens = [t.at(8, n).time for n in (1, 2, 10, 100, 1000)]
        assert by_tokens == sorted(set(by_tokens))


def test_reading_the_prompt_once_takes_no_longer_and_of_one_trial_as_long():
    once, each = trials_of(shared="read", prompt=8192), trials_of(shared="held", prompt=8192)
    assert vars_of(once.at(1, 100)) == pytest.approx(vars_of(each.at(1, 100)), rel=1e-12)
    assert once.at(64, 100).time < 0.7 * each.at(64, 100).time
    assert once.at(64, 100).matrix_flops == pytest.approx(each.at(64, 100).matrix_flops, rel=1e-12)


def test_states_of_a_recurrent_model_cannot_be_read_once():
    once, each = (trials_of("mamba2-780m", shared=s, prompt=8192).at(64, 100) for s in ("read", "held"))
    assert once.bytes_state == pytest.approx(each.bytes_state, rel=1e-12)
    assert once.time == pytest.approx(each.time, rel=1e-9)


def test_more_trials_than_a_runtime_runs_at_once_take_turns():
    t = trials_of()
    assert t.s.runtime.sequences == 128
    first = t.at(1, 1).time
    assert t.at(256, 50).time - first == pytest.approx(2 * (t.at(128, 50).time - first), rel=1e-12)
    assert t.at(130, 50).time == pytest.approx(t.at(128, 50).time + t.at(2, 50).time - first, rel=1e-12)
    assert t.held(256, 50) == t.held(128, 50)


def result(budget, **options):
    t = trials_of()
    return sampling(t.s, t.w, [1, 4, 16], [10**6], budget=budget, **options)


@pytest.mark.parametrize(
    ("unit", "field", "value"),
    [("s", "time", 1.0), ("J", "energy", 100.0), ("USD", "cost", 1e-5), ("FLOP", "eflops", 1e14)],
)
def test_a_budget_gives_as_many_tokens_as_it_holds(unit, field, value):
    t, found = trials_of(), result((value, unit))
    for row in found.rows:
        assert row.bound == "budget"
        assert getattr(row, field) <= value < getattr(t.at(row.trials, row.tokens + 1), field)
    assert [row.tokens for row in found.rows] == sorted((row.tokens for row in found.rows), reverse=True)
    assert found.best == 2


def test_what_ends_the_tokens_is_named():
    t = trials_of()
    assert [row.bound for row in result((1e9, "s")).rows] == ["window"] * 3
    assert [row.tokens for row in result((1e9, "s")).rows] == [32768 - PROMPT + 1] * 3
    (row,) = sampling(t.s, t.w, [128], [10**6], budget=(1e9, "s")).rows
    assert row.bound == "memory"
    assert row.fits
    assert not t.fits(128, row.tokens + 1)
    (row,) = sampling(t.s, t.w, [2], [100], budget=(1e9, "s")).rows
    assert (row.bound, row.tokens) == ("tokens", 100)


def test_the_best_split_covers_most_where_chances_are_known():
    # a trial gains nothing beyond 64 tokens: then more trials are better
    found = result((2.0, "s"), accuracy=Accuracy((1, 64), (0.0, 0.2)))
    assert found.best == 2
    assert found.rows[2].coverage == pytest.approx(1 - 0.8**16)
    # only a trial that has all tokens to itself is ever right
    most = [row.tokens for row in found.rows]
    found = result((2.0, "s"), accuracy=Accuracy((most[1], most[0]), (0.0, 0.5)))
    assert found.best == 0
    assert [row.coverage for row in found.rows] == [0.5, 0, 0]


def test_a_chance_is_straight_over_the_logarithm_of_tokens():
    curve = Accuracy((100, 10_000), (0.1, 0.5))
    assert [curve.at(n) for n in (1, 100, 1000, 10_000, 10**6)] == pytest.approx([0.1, 0.1, 0.3, 0.5, 0.5])
    assert curve.coverage(2, 1000) == pytest.approx(1 - 0.7**2)


@pytest.mark.parametrize(
    ("tokens", "chances"), [((), ()), ((2, 1), (0, 1)), ((1, 2), (0.5,)), ((1,), (1.5,)), ((0,), (1,))]
)
def test_a_curve_that_is_none_is_refused(tokens, chances):
    with pytest.raises(InputError, match="accuracy"):
        Accuracy(tokens, chances)


def test_what_cannot_be_is_refused():
    t = trials_of(runtime="transformers-4.52-eager")
    assert t.shared == "copied"
    with pytest.raises(Unsupported, match="copied only"):
        sampling(t.s, t.w, [2], [10], shared="read")
    with pytest.raises(InputError, match="at least one"):
        sampling(t.s, t.w, [], [10])
    with pytest.raises(InputError, match="not even one trial"):
        sampling(t.s, t.w, [1, 2], [10], budget=(1e-9, "s"))
