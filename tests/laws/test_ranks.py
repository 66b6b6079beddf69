"""What holds for every shipped model on every number of ranks that can share it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest

import roofsim
from roofsim import library
from roofsim.foundation.errors import InputError
from roofsim.model.architecture import Architecture
from roofsim.model.split import Split
from roofsim.model.step import Pass, Precision

NAMES = list(library.names("models"))
PROMPT = Pass(1, 64, 0)


def on(model: Architecture, ranks: int) -> Architecture | None:
    try:
        return model.sharded(Split(tp=ranks))
    except InputError:
        return None


def matrix_flops(model: Architecture) -> float:
    return float(sum(row.count * sum(o.cost.matrix for o in row.operators) for row in model.rows(PROMPT)))


def network_bytes(model: Architecture, p: Pass) -> Mapping[str, float]:
    """Bytes that leave a rank, by the name of what is exchanged."""
    found: dict[str, float] = {}
    for row in model.rows(p):
        for each in row.operators:
            if each.kind == "collective":
                found[each.name] = found.get(each.name, 0) + float(row.count * each.cost.network)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_ranks_have_together_the_whole_and_what_each_has_for_itself(name: str) -> None:
    """Beyond the whole, `n` ranks have n − 1 times what is on each: as much per rank more on four as on two.

    Unless keys or groups of a state-space layer are fewer than ranks, or the vocabulary is padded.
    """
    whole = library.architecture(name)
    two, four = on(whole, 2), on(whole, 4)
    for figure in (lambda m: m.total_parameters, matrix_flops, lambda m: float(m.state_bytes(64, Precision()))):
        extra = {n: n * figure(rank) / figure(whole) - 1 for n, rank in ((2, two), (4, four)) if rank}
        assert all(each > -1e-12 for each in extra.values())
        if len(extra) == 2:
            assert extra[4] > 3 * extra[2] - 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_one_device_is_the_model_itself_and_two_halves_are_quarters(name: str) -> None:
    whole = library.architecture(name)
    assert whole.sharded(Split()) is whole
    assert whole.stage(Split()) is whole
    two, four = on(whole, 2), on(whole, 4)
    if two and four:
        twice = two.sharded(Split(tp=2))
        assert twice == four
        assert dict(twice.parameters) == dict(four.parameters)


@pytest.mark.parametrize("name", NAMES)
def test_stages_have_every_layer_once(name: str) -> None:
    whole = library.architecture(name)
    stage = whole.stage(Split(pp=2))
    assert whole.depth / 2 <= stage.depth + 1
    assert stage.total_parameters >= whole.total_parameters / 2
    assert stage.total_parameters < whole.total_parameters


def test_what_is_on_every_rank_by_hand() -> None:
    """Beyond the whole, each rank more has: norms; latents and routers; B and C of one group; a matrix and norms."""
    each_more = {
        "Llama-3.1-70B": (8, (2 * 80 + 1) * 8192),
        "DeepSeek-V3": (
            8,
            (2 * 61 + 1) * 7168 + 61 * (7168 * (1536 + 512 + 64) + 1536 + 512) + 58 * 7168 * 256,
        ),
        "mamba2-1.3b": (4, 49 * 2048 + 48 * 2 * 128 * (2048 + 4 + 1)),
    }
    for name, (ranks, extra) in each_more.items():
        whole = library.architecture(name)
        rank = whole.sharded(Split(tp=ranks))
        padding = (-whole.vocab % ranks) * whole.d_model * (1 if whole.tied_embeddings else 2)
        assert ranks * rank.total_parameters == whole.total_parameters + (ranks - 1) * extra + padding, name
        assert rank.weight_bytes(Precision()) == 2 * rank.total_parameters


def test_llama_on_eight_ranks_exchanges_two_sums_a_layer() -> None:
    """7/8 of 8,192 numbers of 2 bytes, twice, for the embedding and 2 · 80 parts; 7/8 of 128,256 logits."""
    rank = library.architecture("Llama-3.1-70B").sharded(Split(tp=8))
    sums = 2 * 7 / 8 * 8192 * 2
    assert network_bytes(rank, Pass(1, 1, 100, phase="decode")) == {
        "embedding_join": sums, "join_1": 80 * sums, "join_2": 80 * sums, "logits_gather": 7 / 8 * 128256 * 2,
    }  # fmt: skip


def test_deepseek_on_many_devices_sends_tokens_to_eight_experts_and_back() -> None:
    """A prompt's tokens go once to each device with experts of them, in half the groups; nothing else is exchanged."""
    rank = library.architecture("DeepSeek-V3").sharded(Split(dp=64, ep=64))
    step, prompt = Pass(32, 1, 4096, phase="decode"), Pass(1, 32, 0, phase="prefill")
    copy = 58 * 63 / 64 * 32 * 7168 * 2
    assert network_bytes(rank, step) == pytest.approx({"dispatch": 8 * copy, "collect": 8 * copy})
    once = 64 / 2 * (1 - math.comb(124, 8) / math.comb(128, 8)) * copy
    assert network_bytes(rank, prompt) == pytest.approx({"dispatch": once, "collect": once})
    held = 58 * 4 * 3 * 7168 * 2048
    whole = library.architecture("DeepSeek-V3")
    assert rank.total_parameters == whole.total_parameters - 58 * 252 * 3 * 7168 * 2048
    assert rank.parameters["moe"] == held + 58 * (7168 * 256 + 3 * 7168 * 2048)


def test_experts_of_ranks_are_all_experts() -> None:
    """Two of the 256 experts on each of 128 ranks; read in a step are those that any of its tokens chose."""
    whole = library.architecture("DeepSeek-V3")
    rank, step = whole.sharded(Split(dp=128, ep=128)), Pass(128, 1, 0, phase="decode")
    (up,) = (o for row in rank.rows(step) if row.layer == "moe" for o in row.operators if o.name == "experts_up")
    assert up.sizes["experts"] * 128 == 256
    assert float(up.cost.weights) == pytest.approx(2 * 7168 * 4096 * 2, rel=1e-6)  # both, almost surely
    mean = 128 * 8 * 2 * 7168 * 4096
    assert mean < float(up.cost.matrix) < 1.1 * mean


@pytest.mark.parametrize(
    ("name", "device", "runtime", "ways"),
    [
        ("DeepSeek-V3", "h800-sxm", "ideal", {"tp": 2, "dp": 16, "ep": 32}),
        ("Falcon-H1-7B", "h100-sxm", "ideal", {"tp": 4, "cp": 2, "pp": 2}),
    ],
)
def test_a_divided_request_is_the_same_in_numbers_and_compiled(
    name: str, device: str, runtime: str, ways: Mapping[str, int]
) -> None:
    made = roofsim.compile(name, device, runtime, figures=["ttft", "tpot", "energy"], generate=16, **ways)
    prompts, batches = [16, 5000], [32, 256]
    found = made(prompt=np.array(prompts), batch=np.array(batches))
    for i, (prompt, batch) in enumerate(zip(prompts, batches, strict=True)):
        one = roofsim.predict(name, device, runtime, prompt=prompt, batch=batch, generate=16, **ways).request
        assert [found[of][i] for of in ("ttft", "tpot", "energy")] == pytest.approx([one.ttft, one.tpot, one.energy])
