"""Recurrent mixers in published shapes: parameters, state and work of linear layers.

Numbers are those of transformers 5.23's own classes on the meta device: parameters by module, bytes of the cache of
a bf16 model after a forward, matrix FLOP of the linear layers inside the mixer in one decode step; all over all layers.
Shapes are those of each config.json. The library lacks RWKV-5, 6 and 7: totals of whole models.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from roofsim.model.part import PARTS, Part
from roofsim.model.step import Pass, Precision

CACHED = Precision(weights=2, activations=2, cache=2, state=4)
DELTA = {"kind": "gated_delta", "key_heads": 16, "value_heads": 32, "key_dim": 128, "value_dim": 128}
MAMBA = {"kind": "mamba1", "d_inner": 8192, "d_state": 16, "dt_rank": 256}
# width, layers, fields: parameters, bytes of state, FLOP of linear layers in a decode step
Row = tuple[int, int, Mapping[str, Any], int, int, int]
PUBLISHED: Mapping[str, Row] = {
    "Qwen3-Next-80B-A3B": (2048, 36, {**DELTA, "joined": True}, 1_213_864_704, 77_856_768, 2_425_356_288),
    "Qwen3.5-35B-A3B": (2048, 30, DELTA, 1_011_553_920, 64_880_640, 2_021_130_240),
    "Qwen3.5-4B": (2560, 24, DELTA, 1_011_356_160, 51_904_512, 2_021_130_240),
    "Kimi-Linear-48B-A3B": (
        2304, 20, {"kind": "kda", "heads": 32, "head_dim": 128}, 790_285_440, 43_909_120, 1_578_434_560,
    ),
    "MiniMax-Text-01": (
        6144, 70, {"kind": "lightning", "heads": 64, "head_dim": 128}, 17_616_650_240, 146_800_640, 35_232_153_600,
    ),
    "recurrentgemma-2b": (
        2560, 18, {"kind": "rg_lru", "heads": 10, "head_dim": 256}, 377_994_240, 460_800, 707_788_800,
    ),
    # of the 2,097,152 bytes that it holds, the channel mix has 262,144
    "rwkv-4-7b": (4096, 32, {"kind": "rwkv4", "width": 4096}, 2_148_139_008, 1_835_008, 4_294_967_296),
    "xLSTM-7b": (
        4096, 32, {"kind": "mlstm", "heads": 8, "qk_dim": 256, "v_dim": 512}, 2_149_712_384, 67_240_448, 4_299_161_600,
    ),
    "LFM2-1.2B": (2048, 10, {"kind": "short_conv", "channels": 2048}, 167_833_600, 122_880, 335_544_320),
    "Jamba-v0.1": (4096, 28, {**MAMBA, "norms": "learned"}, 2_948_636_544, 16_515_072, 5_769_265_152),
    "falcon-mamba-7b": (4096, 64, {**MAMBA, "norms": "plain"}, 6_739_722_240, 37_748_736, 13_186_891_776),
    "Zamba-7B": (
        3712, 76, {"kind": "mamba1", "d_inner": 7424, "d_state": 16, "dt_rank": 232, "mamba_heads": 2},
        6_576_030_720, 40_624_128, 12_566_396_928,
    ),
}  # fmt: skip
every_shape = pytest.mark.parametrize("name", PUBLISHED)


def made(fields: Mapping[str, Any]) -> Part:
    return PARTS[fields["kind"]](**fields)


def work(part: Part, d_model: int, p: Pass, kind: str) -> float:
    return sum(each.cost.matrix for each in part.operators(p, d_model) if each.kind == kind)


@every_shape
def test_parameters_and_state_are_exact(name: str) -> None:
    d_model, layers, fields, parameters, state, _ = PUBLISHED[name]
    part = made(fields)
    assert {"ssm": layers * part.parameters(d_model)["ssm"]} == {"ssm": parameters}
    assert layers * part.state_bytes(0, CACHED) == layers * part.state_bytes(4096, CACHED) == state


@every_shape
@pytest.mark.parametrize("tokens", [1, 1024])
def test_the_work_of_linear_layers_is_exact_for_every_token(name: str, tokens: int) -> None:
    d_model, layers, fields, _, _, flops = PUBLISHED[name]
    assert layers * work(made(fields), d_model, Pass(1, tokens, 0, CACHED), "gemm") == tokens * flops


@pytest.mark.parametrize(
    ("name", "counted"),
    # FlopCounterMode over 1,024 tokens in one layer, less the convolution: all pairs of a chunk or block, not only
    # the causal ones, scores once per value head, no triangular system
    [("Qwen3.5-4B", 4_831_838_208), ("MiniMax-Text-01", 12_884_901_888)],
)
def test_the_library_does_up_to_twice_the_work_in_chunks(name: str, counted: int) -> None:
    d_model, _, fields, *_ = PUBLISHED[name]
    assert counted / 2 < work(made(fields), d_model, Pass(1, 1024, 0, CACHED), "scan") < counted


def rwkv(d_model: int, layers: int, channel: int) -> int:
    """Parameters around the time mixes: channel mixes, two layer norms per layer and two around all, two tables."""
    return layers * (channel + 4 * d_model) + 4 * d_model + 2 * 65536 * d_model


def test_rwkv_7_has_the_parameters_of_its_published_class() -> None:
    ranks = {"decay_rank": 64, "rate_rank": 64, "gate_rank": 128}
    first = made({"kind": "rwkv7", "heads": 12, "head_dim": 64, **ranks}).parameters(768)["ssm"]
    other = made({"kind": "rwkv7", "heads": 12, "head_dim": 64, **ranks, "value_rank": 32}).parameters(768)["ssm"]
    channel = made({"kind": "rwkv_mlp", "d_in": 768, "width": 3072, "receptance": False}).parameters(768)["mlp"]
    # RWKV7-World 0.1B, flash-linear-attention 0.6.0
    assert first + 11 * other + rwkv(768, 12, channel) == 191_034_624


@pytest.mark.parametrize(
    ("kind", "published"),
    # RWKV-6 1.6B: its checkpoint of 582 tensors. RWKV-5 1.5B: 13 D² L + 14 D L + 4 D + 2 D V, its makers say 1.5B
    [("rwkv5", 1_577_754_624), ("rwkv6", 1_599_873_024)],
)
def test_rwkv_5_and_6_have_their_published_parameters(kind: str, published: int) -> None:
    mixer = made({"kind": kind, "heads": 32, "head_dim": 64}).parameters(2048)["ssm"]
    channel = made({"kind": "rwkv_mlp", "d_in": 2048, "width": 7168}).parameters(2048)["mlp"]
    assert 24 * mixer + rwkv(2048, 24, channel) == published


def test_the_channel_mix_of_rwkv_4_is_exact() -> None:
    part = made({"kind": "rwkv_mlp", "d_in": 4096, "width": 16384})
    assert 32 * part.parameters(4096)["mlp"] == 4_832_100_352
    assert 32 * part.state_bytes(7, CACHED) == 262_144
    assert 32 * work(part, 4096, Pass(1, 1, 0, CACHED), "gemm") == 9_663_676_416


def test_states_are_fp32_but_those_of_minimax_and_xlstm() -> None:
    bf16 = Precision(weights=2, activations=2, cache=2, state=2)
    same = {name for name, (_, _, fields, *_) in PUBLISHED.items() if _held(fields, CACHED) == _held(fields, bf16)}
    assert same == {"MiniMax-Text-01", "xLSTM-7b", "LFM2-1.2B"}


def _held(fields: Mapping[str, Any], precision: Precision) -> float:
    return made(fields).state_bytes(100, precision)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({**DELTA, "key_heads": 5}, "key_heads 5 does not divide value_heads 32"),
        ({**MAMBA, "mamba_heads": 3}, "mamba_heads 3 does not divide d_inner 8192"),
        ({**MAMBA, "mamba_heads": 2, "norms": "plain"}, "norms 'plain' go with one mamba head, not with 2"),
    ],
)
def test_sizes_that_do_not_go_together_are_refused(fields: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        made(fields)
