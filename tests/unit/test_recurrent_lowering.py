"""Kernels of recurrent mixers in eager PyTorch, against traces of the modelling code of transformers 5.23.

Each trace is of one mixer with every operator counted that launches work; the calls of causal_conv1d (1 kernel),
mamba_ssm (1) and flash-linear-attention 0.6.0 (1 for a token, 8 or 9 for a prompt) and the copies of their inputs (3;
mamba_ssm 5 of each head) were added by reading those. The copy of xLSTM's states into its cache is 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from roofsim import library
from roofsim.foundation.cost import Cost
from roofsim.lowering import eager
from roofsim.lowering.kernels import Kernel, Situation
from roofsim.model.part import PARTS
from roofsim.model.step import Pass
from roofsim.ops.base import Operator

WIDTH = 64
GDN = {"kind": "gated_delta", "key_heads": 2, "value_heads": 4, "key_dim": 16, "value_dim": 16}
MAMBA = {"kind": "mamba1", "d_inner": 128, "d_state": 16, "dt_rank": 4}
# family, part, tokens of the prompt, kernels of the prefill, kernels of a decode step
TRACED: Sequence[tuple[str, Mapping[str, Any], int, int, int]] = [
    ("qwen3_5", GDN, 128, 29 + 1 + 8 + 3, 26 + 1 + 1),
    ("qwen3_next", {**GDN, "joined": True}, 128, 34 + 1 + 8 + 3, 31 + 1 + 1),
    ("kimi_linear", {"kind": "kda", "heads": 4, "head_dim": 16}, 128, 39 + 1 + 9 + 3, 36 + 1 + 1),
    ("lfm2", {"kind": "short_conv", "channels": WIDTH}, 128, 6 + 1, 4 + 1),
    ("minimax", {"kind": "lightning", "heads": 4, "head_dim": 16}, 256, 30, 21),
    ("minimax", {"kind": "lightning", "heads": 4, "head_dim": 16}, 768, 56, 21),
    ("recurrent_gemma", {"kind": "rg_lru", "heads": 4, "head_dim": 16}, 16, 127, 34),
    ("recurrent_gemma", {"kind": "rg_lru", "heads": 4, "head_dim": 16}, 48, 319, 34),
    ("rwkv", {"kind": "rwkv_mlp", "d_in": WIDTH, "width": 256}, 32, 18, 16),
    ("xlstm", {"kind": "mlstm", "heads": 2, "qk_dim": 32, "v_dim": 64}, 128, 108 + 3, 57 + 3),
    ("xlstm", {"kind": "mlstm", "heads": 2, "qk_dim": 32, "v_dim": 64}, 1024, 346 + 3, 57 + 3),
    ("falcon_mamba", {**MAMBA, "norms": "plain"}, 128, 35 - 1 + 2 + 5, 29 + 2),
    ("jamba", {**MAMBA, "norms": "learned"}, 128, 38 - 1 + 2 + 5, 32 + 2),
    ("zamba", {**MAMBA, "mamba_heads": 2}, 128, 17 + 1 + 2 + 2 * 5, 10 + 1 + 2),
]
every_trace = pytest.mark.parametrize(
    ("family", "fields", "prompt", "prefill", "decode"), TRACED, ids=[f"{row[0]}-{row[2]}" for row in TRACED]
)


def kernels(family: str, fields: Mapping[str, Any], p: Pass) -> list[tuple[Operator, Kernel]]:
    part = PARTS[fields["kind"]](**fields)
    s = Situation(library.runtime("transformers-5-eager"), p, library.facts("transformers", family))
    return [(o, each) for o in part.operators(p, WIDTH) for each in eager.lower(o, s).kernels]


def count(family: str, fields: Mapping[str, Any], p: Pass) -> float:
    return sum(each.count for _, each in kernels(family, fields, p))


@every_trace
def test_kernels_are_those_traced(
    family: str, fields: Mapping[str, Any], prompt: int, prefill: int, decode: int
) -> None:
    assert count(family, fields, Pass(1, prompt, 0)) == prefill
    assert count(family, fields, Pass(1, 1, prompt, phase="decode")) == decode


def test_rwkv_steps_through_its_own_kernel_in_prefill_only() -> None:
    fields = {"kind": "rwkv4", "width": WIDTH}
    assert count("rwkv", fields, Pass(1, 1, 16, phase="decode")) == 53
    # four products, a shift of 15 kernels, a gate of two, and around the CUDA kernel its decay and states
    assert count("rwkv", fields, Pass(1, 32, 0)) == 4 + 15 + 2 + 7


@pytest.mark.parametrize("fields", [GDN, {"kind": "kda", "heads": 4, "head_dim": 16}], ids=["per head", "per channel"])
@pytest.mark.parametrize("new", [1, 63, 64, 1000])
def test_the_kernels_of_a_chunked_delta_rule_do_the_work_of_the_operator(fields: Mapping[str, Any], new: int) -> None:
    rule = [(o, each) for o, each in kernels("any", fields, Pass(2, new, 0)) if o.name == "scan"]
    done = sum((each.cost * each.count for _, each in rule), start=Cost())
    assert done.matrix == pytest.approx(rule[0][0].cost.matrix, rel=1e-12)
    assert done.state >= rule[0][0].cost.state
    assert done.activations >= rule[0][0].cost.activations


def test_rwkv_7_has_no_code_in_the_library_and_is_one_fused_kernel() -> None:
    fields = {"kind": "rwkv7", "heads": 4, "head_dim": 16, "decay_rank": 8, "rate_rank": 8, "gate_rank": 8}
    scan = [each for o, each in kernels("rwkv7", fields, Pass(1, 100, 0)) if o.name == "scan"]
    assert [each.like for each in scan] == ["delta"]
