"""Speculative decoding against counts by hand: tokens of a round, its passes, heads that draft, states taken back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from roofsim import library
from roofsim.engine.passes import run_pass
from roofsim.foundation.errors import InputError
from roofsim.foundation.schema import variant
from roofsim.lowering.step import lower
from roofsim.model.split import Split
from roofsim.model.step import Pass, Precision
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.fitted import chosen, reach, unsure
from roofsim.prediction.intervals import scatter, within
from roofsim.prediction.request import settled
from roofsim.prediction.setup import setup
from roofsim.serving.acceptance import Acceptance, acceptance, alpha_of
from roofsim.serving.drafts import drafter, predictor
from roofsim.serving.rounds import Speculating, batches
from roofsim.serving.shapes import Shape, chain
from roofsim.serving.speculation import speculation
from roofsim.serving.timed import sloped, verifying, with_graphs, within_step
from roofsim.specs.workload import workload

EXACT = pytest.approx


def asked(model: str, device: str, runtime: str, draft: str, **words: object) -> Speculating:
    s = chosen(setup(model, device, runtime), "auto")
    w = settled(s, workload(**{"prompt": 1000, "generate": 1, "dtype": "bf16", **words}))
    return Speculating(s, w, drafter(s, w, draft))


def seconds(s, w, batch: int, new: int, held: int) -> float:
    """A pass that scores all its new tokens, as it is written in the engine."""
    p = Pass(batch, new, held, s.precision(w), "all", "decode", s.runtime.attention.latents)
    return float(run_pass(s.stack(w.dtype), p).time)


def test_tokens_of_a_round() -> None:
    one = Acceptance(0.5)
    assert one.made(2) == 1 + 0.5 + 0.25
    assert one.ends(2) == (0.5, 0.25, 0.25)  # first rejected, second rejected, none
    assert one.made(4) == EXACT((1 - 0.5**5) / (1 - 0.5))
    assert (Acceptance(1.0).made(7), Acceptance(0.0).made(7)) == (8, 1)
    each = Acceptance(None, (0.9, 0.6, 0.1))
    assert each.made(2) == 1 + 0.9 + 0.6
    assert each.ends(2) == EXACT((0.1, 0.3, 0.6))
    assert (each.most, one.most) == (3, None)


def test_a_chance_is_found_from_what_servers_report() -> None:
    assert alpha_of(1 + 0.5 + 0.25, chain(2).made, 2) == EXACT(0.5)
    assert acceptance("rate=0.375", chain(2)).alpha == EXACT(0.5)  # 0.75 of two drafted tokens
    assert acceptance("length=1.75", chain(2)).alpha == EXACT(0.5)
    assert acceptance("rate=37.5%", chain(2)).alpha == EXACT(0.5)
    assert alpha_of(3.0, chain(2).made, 2) == EXACT(1)
    assert alpha_of(1.0, chain(2).made, 2) == EXACT(0, abs=1e-12)
    assert alpha_of(3.1, chain(2).made, 2) is None
    assert acceptance(0.3, None) == Acceptance(0.3)
    assert acceptance([0.5, 0.25], None).places == (0.5, 0.25)


def test_a_round_is_its_verification_and_a_pass_for_each_drafted_token() -> None:
    it = asked("Llama-3.1-8B", "rtx-4090", "llama.cpp", "Llama-3.2-1B", weight_format="q4_k_m")
    found = it.round(3, 4, Acceptance(0.0))
    d = it.drafter
    one = Pass(3, 1, 1000, d.s.precision(d.w), "last", "decode", d.s.runtime.attention.latents)
    assert found.verify == EXACT(seconds(it.s, it.w, 3, 5, 1000), rel=1e-12)
    assert found.draft == EXACT(4 * float(run_pass(d.s.stack("bf16"), one).time), rel=1e-12)
    assert found.states == 0
    nothing, all_ = (it.drafted(3, 4, Acceptance(alpha)) for alpha in (0.0, 1.0))
    assert nothing.tpot == EXACT(found.verify + found.draft)
    assert all_.tpot == EXACT(nothing.tpot / 5)
    assert nothing.speedup * nothing.tpot == EXACT(float(it.without(3)[0]))
    assert it.without(3)[0] == EXACT(float(Evaluation(it.s, variant(it.w, batch=3)).decode.time), rel=1e-12)


def test_the_mean_over_what_is_generated_is_that_of_a_prediction() -> None:
    it = asked("Llama-3.1-8B", "rtx-4090", "llama.cpp", "ngram", generate=4000, weight_format="q4_k_m")
    assert it.without(1)[0] == EXACT(float(Evaluation(it.s, it.w).step[0]), rel=1e-12)
    assert it.without(1)[1] == EXACT(float(Evaluation(it.s, it.w).step[1]), rel=1e-12)
    assert it.round(1, 4, Acceptance(0.5)).draft == 0


@pytest.mark.parametrize("rollback", ["copies", "replay"])
def test_drafts_begin_to_pay_where_both_take_as_long(rollback) -> None:
    it = replace(asked("Qwen3.5-4B", "rtx-4090", "llama.cpp", "mtp"), rollback=rollback)
    found = it.break_even(2, 4)
    assert it.gain(2, 4, Acceptance(found)) == EXACT(1, rel=1e-9)
    assert it.gain(2, 4, Acceptance(found + 0.01)) > 1 > it.gain(2, 4, Acceptance(found - 0.01))


def test_drafts_that_take_longer_than_what_they_save_never_pay() -> None:
    for rollback in ("copies", "replay"):
        it = replace(asked("Qwen3.5-4B", "rtx-4090", "llama.cpp", "ngram"), rollback=rollback, overhead=1.0)
        assert it.break_even(1, 4) is None
        assert it.pays_until(4, Acceptance(1.0), 8) is None


def test_drafts_pay_up_to_the_batch_before_the_first_at_which_they_do_not() -> None:
    it = asked("Llama-3.1-8B", "h100-sxm", "vllm", "ngram")
    a = Acceptance(0.3)
    found = it.pays_until(8, a, 128)
    assert 1 < found < 128
    assert it.gain(found, 8, a) > 1 >= it.gain(found + 1, 8, a)
    assert it.pays_until(8, a, 32) == 32
    assert it.dips(8, a, found) == ()
    assert it.dips(8, a, 128) == tuple(batch for batch in batches(128) if batch > found)
    assert batches(5) == [1, 2, 3, 4, 5]
    assert batches(1) == [1]


def test_a_head_is_one_matrix_one_layer_and_a_norm() -> None:
    network = library.architecture("Llama-3.1-8B")
    head = predictor(network)
    d, kv, ff, vocab = 4096, 8 * 128, 14336, 128256
    layer = 2 * d * d + 2 * d * kv + 3 * d * ff
    norms = 1 + 3 + 1  # of the token, before matrix, attention and MLP, before the LM head
    assert head.total_parameters == 2 * d * d + layer + norms * d + 2 * vocab * d
    it = asked("Llama-3.1-8B", "h100-sxm", "ideal", "eagle")
    assert it.drafter.weights(chain(4)) == 2 * (2 * d * d + layer + norms * d)  # tables are the model's
    assert it.drafter.state(10) == 10 * 2 * kv * 2
    assert asked("Llama-3.1-8B", "h100-sxm", "ideal", "ngram").drafter.weights(chain(4)) == 0
    one = asked("Llama-3.1-8B", "h100-sxm", "ideal", "Llama-3.2-1B")
    assert one.drafter.weights(chain(4)) == 2 * library.architecture("Llama-3.2-1B").total_parameters


@pytest.mark.parametrize("model", ["Llama-3.1-8B", "Llama-3.2-1B"])  # the second has one table for both ends
def test_an_eagle_3_head_has_an_lm_head_of_its_own(model) -> None:
    one, three = (asked(model, "h100-sxm", "ideal", draft) for draft in ("eagle", "eagle3"))
    width = library.architecture(model).d_model
    joined = 2 * (3 * width * width + 2 * width)  # and the norms of the token and before it
    assert three.drafter.weights(chain(4)) - one.drafter.weights(chain(4)) == 2 * 32000 * width + joined
    layers = [each.drafter.s.architecture.layers for each in (one, three)]
    assert layers[0] == layers[1]
    assert three.drafter.joined.layout[0].of == ("join",)
    three = replace(three, drafter=replace(three.drafter, joined=None))
    saved = one.round(1, 3, Acceptance(0.5)).draft - three.round(1, 3, Acceptance(0.5)).draft
    m, gone = one.s.machine("bf16"), library.architecture(model).vocab - 32000
    assert saved == EXACT(3 * 2 * gone * width / (float(m.bandwidth) * m["memory_efficiency"]), rel=1e-3)
    assert any("32,000 tokens" in note for note in three.drafter.notes)


def test_medusa_has_a_head_for_each_place() -> None:
    it = asked("Llama-3.1-8B", "h100-sxm", "ideal", "medusa")
    d, vocab = 4096, 128256
    one = 2 * (d * d + d * vocab + 2 * d)  # a norm before the matrix, and its own
    assert [it.drafter.weights(shape) for shape in (chain(1), Shape(20, 4, 3))] == [one, 4 * one]
    assert it.drafter.state(1000) == 0
    ((heads, new, _),) = it.drafter.passes(Shape(20, 4, 3))
    assert (heads, new) == (4, 1)
    (passes,) = it._drafting
    assert it.round(2, 4, Acceptance(0.5)).draft == EXACT(4 * float(passes.run(2, 1, 1000)[0]))
    found = speculation(it.s, it.w, it.drafter, Acceptance(0.5), 4)
    assert found.ttft == EXACT(float(Evaluation(it.s, it.w).prefill.time))  # prompts pass no head


def test_the_mtp_module_of_deepseek_v3_has_the_published_size() -> None:
    """14B parameters with its tables, of 685B of the checkpoint (README of deepseek-ai/DeepSeek-V3)."""
    network = library.architecture("DeepSeek-V3")
    assert network.mtp_modules == 1
    assert predictor(network).total_parameters / 1e9 == EXACT(14, abs=0.6)


def test_a_dense_head_is_as_wide_as_what_a_token_uses() -> None:
    network = library.architecture("Qwen3-Next-80B-A3B")
    d, width = 2048, (10 + 1) * 512  # ten experts and the shared one
    attention = d * (2 * 16 * 256) + 2 * d * (2 * 256) + 16 * 256 * d + 2 * 256  # queries with gates; norms of heads
    own = 2 * d * d + attention + 3 * d * width + 5 * d
    assert predictor(network, dense=True).total_parameters == own + 2 * 151936 * d
    kinds = [part.kind for part in predictor(network).layers["draft"]]
    assert kinds == ["draft_input", "attention", "moe"]
    kinds = [part.kind for part in predictor(library.architecture("Nemotron-H-8B")).layers["draft"]]
    assert kinds == ["draft_input", "attention", "mlp"]
    kinds = [part.kind for part in predictor(library.architecture("mamba2-1.3b")).layers["draft"]]
    assert kinds == ["draft_input", "mamba2"]


def test_recurrent_states_are_copied_for_every_drafted_token() -> None:
    it = asked("Qwen3.5-4B", "rtx-4090", "ideal", "ngram")
    network = library.architecture("Qwen3.5-4B")
    (delta,) = {part for part, _ in network.parts() if part.kind == "gated_delta"}
    layers = sum(count for part, count in network.parts() if part == delta)
    heads, k, v = delta.value_heads, delta.key_dim, delta.value_dim
    channels = 2 * delta.key_heads * k + heads * v
    recurrent = layers * (4 * heads * k * v + 2 * channels * delta.d_conv)
    assert float(it.recurrent) == recurrent
    found = it.round(3, 2, Acceptance(0.5))
    machine = it.s.machine("bf16")
    assert found.states == EXACT(2 * 3 * recurrent / (float(machine.bandwidth) * machine["memory_efficiency"]))
    assert it.memory(3, 2)["states"] == 2 * 3 * recurrent
    assert asked("Llama-3.1-8B", "rtx-4090", "ideal", "ngram").recurrent == 0


def test_what_was_accepted_runs_again_where_not_all_was() -> None:
    it = replace(asked("Qwen3.5-4B", "rtx-4090", "ideal", "ngram"), rollback="replay", overhead=0.25)
    machine = it.s.machine("bf16")
    moved = 2 * 3 * float(it.recurrent) / (float(machine.bandwidth) * machine["memory_efficiency"])
    one, two = (float(it._steps.run(3, new, 1000)[0]) for new in (1, 2))
    a = Acceptance(0.5)  # rejected at once: half, after one: a quarter; kept: always, brought back: three quarters
    assert it.round(3, 2, a).states == EXACT(0.25 + 1.75 * moved + one / 2 + two / 4)
    assert it.round(3, 2, Acceptance(1.0)).states == EXACT(0.25 + moved)
    assert it.memory(3, 2)["states"] == 3 * float(it.recurrent)


def test_graphs_grow_with_the_tokens_of_a_sequence_up_to_a_limit() -> None:
    vllm = library.runtime("vllm")
    assert float(with_graphs(vllm, 1).host.captured) == 256
    assert float(with_graphs(vllm, 3).host.captured) == 512
    assert with_graphs(library.runtime("llama.cpp"), 3) == library.runtime("llama.cpp")
    assert float(with_graphs(library.runtime("sglang"), 16).host.captured) == 256 * 16  # of so many sequences


def test_the_engine_schedules_a_round_once() -> None:
    it = asked("Llama-3.1-8B", "h100-sxm", "vllm", "eagle")
    drafting = it._drafting[0].s.runtime.host
    assert (drafting.ahead_work, drafting.step_work, drafting.sequence_work) == (9.5, 0, 0)
    alone = it.s.runtime.host
    assert (alone.ahead_work, alone.step_work) == (46, 9.5)
    here = asked("Llama-3.1-8B", "rtx-4090", "llama.cpp", "eagle")
    assert here._drafting[0].s.runtime.host.ahead_work is None  # whose drafts are read back one by one


def test_scores_of_another_vocabulary_take_four_launches_more() -> None:
    """EAGLE-3 in vLLM: numbers of rows, their sum with distances, a row of minus infinity, scores written into it."""
    one, three = (asked("Llama-3.1-8B", "h100-sxm", "vllm", draft) for draft in ("eagle", "eagle3"))
    host = one.s.machine("bf16")["dispatch"]
    ahead = [float(each._drafting[1].s.runtime.host.ahead_work) for each in (one, three)]
    assert ahead == [9.5, 9.5 + 4 * 2.0]
    longer = three.round(1, 2, Acceptance(0.5)).draft - one.round(1, 2, Acceptance(0.5)).draft
    assert longer == EXACT(2 * 8 * host, rel=1e-2)  # the host bounds both
    map_alone = variant(one.s.runtime, host=variant(one.s.runtime.host, ahead_work=None))
    assert within_step(map_alone, True).host.step_work == 9.5 + 8


def test_drafts_that_are_one_graph_are_launched_for_nothing() -> None:
    it = asked("Llama-3.1-8B", "h100-sxm", "sglang", "eagle")
    host = it._drafting[0].s.runtime.host
    assert (host.mode, host.ahead_work, host.step_work, host.request_work) == ("none", None, 0, 0)
    p = Pass(1, 1, 1000, it.drafter.s.precision(it.w), "last", "decode", it.drafter.s.runtime.attention.latents)
    alone = float(run_pass(it.drafter.s.stack("bf16"), p).device_time)
    assert float(it._drafting[1].run(1, 1, 1000)[0]) == EXACT(alone, rel=0.02)


def test_a_step_that_is_not_prepared_beforehand_waits_for_its_host() -> None:
    it = asked("Llama-3.1-8B", "h100-sxm", "sglang", "eagle")
    p = Pass(3, 5, 1000, it.s.precision(it.w), "all", "decode")
    host = verifying(it.s.runtime, p).host
    assert (host.ahead_work, float(host.captured)) == (None, 256 * 5)
    assert float(host.step_work) == EXACT(9.5 + 46 + 3 * 0.62 + 70)
    assert verifying(library.runtime("vllm"), p).host.ahead_work == 46
    assert verifying(it.s.runtime, replace(p, phase="prefill")) == it.s.runtime
    mixed = replace(p, phase="prefill", beside=(p,))
    assert (verifying(it.s.runtime, mixed).host.ahead_work, verifying(it.s.runtime, mixed).host.step_work) == (46, 79.5)


def test_verifying_is_scheduled_as_steps_are() -> None:
    it = asked("Llama-3.1-8B", "h100-sxm", "vllm", "eagle")
    assert it._verifying.s.runtime.host.ahead_work == it.s.runtime.host.ahead_work


def test_memory_counts_the_cache_of_the_draft() -> None:
    it = asked("Llama-3.1-8B", "h100-sxm", "vllm", "Llama-3.2-1B", generate=24)
    held = it.memory(4, 6)
    layers, kv = 16, 8 * 64
    assert held["draft_cache"] == 4 * (1000 + 24 + 6) * layers * 2 * kv * 2
    network = it.s.architecture
    assert held["target"] >= float(network.weight_bytes(Precision())) + 4 * float(
        network.state_bytes(1024, Precision())
    )
    assert it.fits(4, 6)
    assert it.most(6) == 128


def test_the_result_says_what_was_found() -> None:
    it = asked("Llama-3.1-8B", "h100-sxm", "vllm", "eagle")
    found = speculation(it.s, it.w, it.drafter, Acceptance(0.7))
    assert found.chosen == found.best == max(found.rows, key=lambda row: row.speedup).tokens
    low, high = found.intervals["speedup"]
    assert low < found.row.speedup < high
    tpot = found.intervals["tpot"]
    assert tpot[0] < found.row.tpot < tpot[1]
    head, model = (float(Evaluation(s, it.w).prefill.time) for s in (it.drafter.s, it.s))
    assert found.ttft == EXACT(head + model)
    at = next(at for at in found.over_batch if at.batch == 8)
    assert at.speedup == EXACT(it.gain(8, found.chosen, Acceptance(0.7)))
    assert at.best_speedup >= at.speedup
    with pytest.raises(InputError, match="from 1 to 1,000"):
        speculation(it.s, it.w, it.drafter, Acceptance(0.7), 0)


@pytest.mark.parametrize(
    ("device", "runtime", "parts"),
    [("h100-sxm", "vllm", 4005 / 128), ("rtx-5090", "llama.cpp", 4005 / 128), ("a100-sxm-80gb", "vllm", 4003 / 4005)],
)
def test_keys_are_cut_for_what_is_verified_where_kernels_do(device, runtime, parts) -> None:
    """FlashAttention-3 and stream-k of llama.cpp cut keys for 5 tokens as for one; FlashAttention-2 for one alone."""
    s = chosen(setup("Llama-3.1-8B", device, runtime), "auto")
    w = settled(s, workload(prompt=4000, generate=1))
    p = Pass(1, 5, 4000, s.precision(w), "all", "decode", s.runtime.attention.latents)
    kernels = [k for row in lower(s.architecture, s.runtime, p, s.device) for o in row.lowered for k in o.kernels]
    (found,) = {float(k.spread) for k in kernels if k.like == "attention"}
    assert found == EXACT(parts)


def test_joules_of_a_round_are_those_of_its_passes() -> None:
    it = asked("Qwen3.5-4B", "rtx-4090", "ideal", "mtp")
    a, step = Acceptance(0.5), it._steps.run
    first, further = it._drafting
    verify, draft = float(it._verifying.run(3, 3, 1000)[1]), float(further.run(3, 1, 1000)[1])
    drafts = draft + float(first.run(3, 3, 1000)[1])
    assert it.round(3, 2, a).energy == EXACT(verify + drafts)
    assert it.drafted(3, 2, a).energy == EXACT((verify + drafts) / 1.75 / 3)
    again = replace(it, rollback="replay").round(3, 2, a).energy
    assert again == EXACT(verify + drafts + float(step(3, 1, 1000)[1]) / 2 + float(step(3, 2, 1000)[1]) / 4)


def test_intervals_hold_parameters_in_common_and_scatter_of_both() -> None:
    it = asked("Llama-3.1-8B", "h100-sxm", "llama.cpp", "Llama-3.2-1B", weight_format="q4_k_m", prompt=512)
    s, a = unsure(it.s, reach(it.s, it.w)), Acceptance(0.5)
    assert s.calibration is not None
    sure = replace(it, s=s, drafter=replace(it.drafter, s=replace(it.drafter.s, calibration=s.calibration)))
    step, _ = sloped(sure._steps)(2, 1, 512)
    tpot = sure.round(2, 3, a, slopes=True).time / 1.875
    sigma = scatter(s, ("latency_s", "decode"))
    found = it.intervals(2, 3, a)
    assert found["tpot_without"] == EXACT(within(s, step, sigma))
    assert found["tpot"] == EXACT(within(s, tpot, sigma))
    both = within(s, step / tpot, (2 * sigma**2) ** 0.5)
    assert found["speedup"] == EXACT(both)
    assert float(tpot) == EXACT(it.drafted(2, 3, a).tpot)


def test_the_best_length_is_the_best_of_all_that_are_looked_at() -> None:
    it = asked("Llama-3.1-8B", "h100-sxm", "vllm", "ngram")
    gains = {k: it.gain(1, k, Acceptance(1.0)) for k in range(1, 17)}
    assert it.best(1, Acceptance(1.0)) == max(gains, key=gains.get) == 16
    assert it.best(1, Acceptance(0.0)) == 1
    assert it.best(1, Acceptance(None, (1.0, 1.0, 1.0))) == 3
    assert batches(40) == [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 40]
    assert batches(10**6)[-4:] == [49152, 65536, 98304, 10**6]


def test_vocabularies_may_differ_by_padding_alone() -> None:
    assert library.architecture("Qwen2.5-7B").vocab - library.architecture("Qwen2.5-0.5B").vocab == 128
    assert asked("Qwen2.5-7B", "h100-sxm", "vllm", "Qwen2.5-0.5B").drafter.kind == "model"
    with pytest.raises(InputError, match=r"128,256 tokens in its vocabulary and Qwen2\.5-7B 152,064"):
        asked("Qwen2.5-7B", "h100-sxm", "vllm", "Llama-3.2-1B")
    with pytest.raises(InputError, match=r"Qwen2\.5-7B \(7\.62 B parameters\) is larger than Qwen2\.5-0\.5B"):
        asked("Qwen2.5-0.5B", "h100-sxm", "vllm", "Qwen2.5-7B")


def test_what_is_assumed_of_a_drafter_is_said() -> None:
    def notes(model: str, draft: str) -> str:
        return "; ".join(asked(model, "h100-sxm", "ideal", draft).drafter.notes)

    assert "Llama-3.1-8B is known: as if" in notes("Llama-3.1-8B", "mtp")
    assert "one MTP module" not in notes("Llama-3.1-8B", "mtp")
    assert notes("Qwen3.5-4B", "mtp").startswith("one MTP module")
    assert notes("Qwen3.5-4B", "eagle").startswith("the head is one dense layer")
    assert "no time of the device" in notes("Qwen3.5-4B", "ngram")
    assert notes("Llama-3.1-8B", "Llama-3.2-1B") == ""


def test_a_draft_has_a_format_of_its_own() -> None:
    s = setup("Qwen3-8B", "rtx-4090", "llama.cpp")
    w = settled(s, workload(weight_format="q4_k_m", dtype="bf16"))
    own, same = drafter(s, w, "Qwen3-0.6B", "q8_0"), drafter(s, w, "Qwen3-0.6B")
    assert (own.w.weight_format, same.w.weight_format) == ("q8_0", "q4_k_m")
    assert own.weights(chain(1)) > same.weights(chain(1))
    head = drafter(s, w, "mtp")
    tables = 151936 * 4096 * (6.5625 + 4.5) / 8  # LM head in q6_k, embedding in q4_k
    precision = head.s.precision(head.w)
    assert head.weights(chain(1)) == EXACT(float(head.s.architecture.weight_bytes(precision)) - tables)
    assert asked("Qwen3-8B", "rtx-4090", "ideal", "ngram").drafter.state(100) == 0
    kinds = {part.kind: part for part in predictor(library.architecture("Mixtral-8x7B"), dense=True).layers["draft"]}
    assert kinds["gated_mlp"].width == 2 * 14336


def test_several_devices_hold_and_draft_their_share() -> None:
    s = chosen(setup("Qwen3.5-4B", "h100-sxm", "vllm"), "none")
    s = replace(s, split=Split(tp=2, dp=2), cluster=library.cluster_of(s.device))
    w = settled(s, workload(prompt=1000, generate=1, dtype="bf16"))
    it, alone = (Speculating(each, w, drafter(each, w, "mtp")) for each in (s, replace(s, split=Split())))
    assert float(it.recurrent) == float(alone.recurrent) / 2
    held, whole = it.memory(8, 2), alone.memory(4, 2)
    assert held["states"] == whole["states"] / 2  # four of eight sequences, half of each state
    assert held["draft_cache"] == whole["draft_cache"] / 2
    assert held["draft_weights"] < whole["draft_weights"]
    assert it.round(8, 2, Acceptance(0.5)).states == EXACT(alone.round(4, 2, Acceptance(0.5)).states / 2)
    assert it.without(8)[0] == EXACT(float(Evaluation(s, variant(w, batch=8)).decode.time))
    small = drafter(s, settled(s, workload(prompt=1000, dtype="bf16")), "Qwen3.5-0.8B")
    assert small.s.split == s.split
