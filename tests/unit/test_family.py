"""Files of families, and of scaling laws: what they may say, and what is told where they are wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from roofsim import library
from roofsim.foundation.errors import InputError, SpecError
from roofsim.prediction.setup import setup
from roofsim.specs.family import stretches
from roofsim.specs.scaling import NUMBERS

FAMILIES, SCALING = library.FAMILIES, library.SCALING


@pytest.mark.parametrize(
    ("order", "layout"),
    [
        ("aaaa", [(4, "a")]),
        ("ababa", [(2, "ab"), (1, "a")]),
        ("aabaabaa", [(2, "aab"), (1, "aa")]),
        ("aaab", [(3, "a"), (1, "b")]),
        ("a", [(1, "a")]),
        ("abba", [(1, "a"), (2, "b"), (1, "a")]),
    ],
)
def test_a_sequence_is_a_layout_of_what_repeats_or_else_of_runs(order: str, layout: list[tuple[int, str]]) -> None:
    found = stretches(tuple(order))
    assert [(each["repeat"], "".join(each["of"])) for each in found] == layout


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layout": [{"repeat": 2, "of": ["decoder"]}]}, "layout: the pattern of a family says which layers it has"),
        ({"solved": "width_of_mlp"}, "solved: 'width_of_mlp' is no parameter"),
        ({"d_model": "=widht"}, "d_model: no parameter 'widht' before it"),
        ({"layers.decoder.1.width": "=mlp_width +"}, "layers.decoder.1.width: 'mlp_width +' cannot be read"),
        ({"layers.decoder.1.when": "depht > 2"}, "no parameter 'depht'"),
        ({"parameters.heads.value": "mlp_width // 64"}, "parameters.heads.value: no parameter 'mlp_width' before it"),
        ({"parameters.heads.source": "elsewhere"}, "source 'elsewhere' is not in sources"),
        ({"parameters.heads.colour": "red"}, "parameters.heads.colour: no such field"),
        ({"pattern.layers": {"decoder": "i < depth"}}, "pattern.layers: the last condition is 'otherwise'"),
        ({"pattern.layers": {"encoder": "otherwise"}}, "layers: those of the pattern, and no other"),
        ({"software": {"qwen2": "depth > 2"}}, "software: the last condition is 'otherwise'"),
        ({"d_model": "=__import__('os')"}, "is not allowed"),
    ],
)
def test_a_file_that_is_wrong_is_told_where(
    changes: Mapping[str, Any], message: str, spec_file: Callable[..., Path]
) -> None:
    path = spec_file(FAMILIES, "dense", changes)
    with pytest.raises(SpecError) as caught:
        library.family(str(path))
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "given", "message"),
    [
        ({"pattern.depth": "depth / 7"}, {}, "is not a whole number"),
        ({"pattern.depth": "depth * 1000"}, {}, "24,000 layers"),
        ({"parameters.heads.value": "width / 100"}, {}, "heads: 8.96 is not a whole number"),
        ({"parameters.heads.value": "width // (depth - 24)"}, {}, "is not a whole number"),
        ({"d_model": "=width - 896"}, {}, "d_model: is missing"),
        ({}, {"width": 10**6}, "width: 1,000,000 is not from 64 to 16,384 (qwen)"),
        ({}, {"parameters": 10}, "10 parameters cannot be had by mlp_width"),
    ],
)
def test_a_member_that_cannot_be_is_refused(
    changes: Mapping[str, Any], given: Mapping[str, int], message: str, spec_file: Callable[..., Path]
) -> None:
    family = library.family(str(spec_file(FAMILIES, "dense", changes)))
    with pytest.raises(InputError) as caught:
        family.member(given)
    assert message in str(caught.value)


def test_an_expression_of_nought_leaves_its_field_out_and_a_condition_its_part(spec_file: Callable[..., Path]) -> None:
    family = library.family("mamba2-hybrid")
    with_mlp, without = (family.member({"mamba_mlp_width": width, "width": 512}) for width in (64, 0))
    assert [part.kind for part in with_mlp.layers["mamba"]] == ["mamba2", "gated_mlp"]  # type: ignore[attr-defined]
    assert [part.kind for part in without.layers["mamba"]] == ["mamba2"]  # type: ignore[attr-defined]
    turned = [family.member({"rotary_dim": width}).layers["attention"][0] for width in (0, 32)]
    assert [part.rotary_dim for part in turned] == [None, 32]  # type: ignore[attr-defined]


def test_the_family_of_the_page_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "search.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    made = library.architecture(f"{path}:depth=5:width=512")
    assert made.id == "mine:width=512:depth=5"
    assert [(stretch.repeat, stretch.of) for stretch in made.layout] == [(2, ("near", "far")), (1, ("near",))]
    assert made.layers["far"][1].width == 4 * 512  # type: ignore[attr-defined]


def test_names_hold_what_was_given_in_the_order_of_the_family() -> None:
    family = library.family("dense")
    assert family.named({"depth": 3, "width": 128}) == "dense:width=128:depth=3"
    assert family.named({"parameters": 10**8, "depth": 3}) == "dense:depth=3:parameters=100000000"
    again = library.architecture(family.named({"depth": 3, "width": 128}))
    assert again == family.member({"width": 128, "depth": 3})


def test_counts_are_read_as_anywhere() -> None:
    assert library.split_member("sliding-window:window=4k:global_every=0") == (
        "sliding-window", {"window": 4096, "global_every": 0},
    )  # fmt: skip
    assert library.split_member(r"C:\mine.yaml:parameters=1.5B") == (r"C:\mine.yaml", {"parameters": 1_500_000_000})
    assert library.split_member("Qwen2.5-0.5B") == ("Qwen2.5-0.5B", {})


def test_hoffmanns_law_by_hand() -> None:
    # 1e9 ** 0.34 = 10 ** 3.06 = 1148.154; 1e10 ** 0.28 = 10 ** 2.8 = 630.957
    law = library.scaling_law("hoffmann-2022")
    qwen = library.architecture("Qwen2.5-0.5B")
    billion = library.family("dense").member({"parameters": 10**9, "depth": 24})
    near = billion.total_parameters / 1e9
    assert law.of(billion, 1e10) == pytest.approx(1.69 + 406.4 / 1148.154 / near**0.34 + 410.7 / 630.957, rel=1e-6)
    assert law.at(qwen, 1e10) == {"N": 494032768, "D": 1e10}
    assert law.outside(qwen, 1e10) == []
    assert law.outside(qwen, 1e9) == ["D"]
    assert library.scaling_law("besiroglu-2024").of(qwen, 1e10) == pytest.approx(
        1.8172 + 482.01 / 494032768**0.3478 + 2085.43 / 1e10**0.3658
    )


def test_a_law_counts_the_experts_that_a_token_uses() -> None:
    law, moe = library.scaling_law("hoffmann-2022"), library.architecture("OLMoE-1B-7B")
    assert law.at(moe, 1e10)["N"] == moe.active_parameters < moe.total_parameters


def test_a_law_may_use_every_number_of_a_network(spec_file: Callable[..., Path]) -> None:
    path = spec_file(SCALING, "hoffmann-2022", {"symbols.N": " + ".join(NUMBERS), "fitted": {}})
    qwen = library.architecture("Qwen2.5-0.5B")
    total = 2 * 494032768 + 151936 * 896 + 24 + 896 + 151936
    assert library.scaling_law(str(path)).at(qwen, 1e10)["N"] == total


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "E + A / M ** alpha"}, "loss: no 'M'"),
        ({"loss": "E +"}, "loss: 'E +' cannot be read"),
        ({"symbols.N": "heads"}, "symbols.N: no 'heads'"),
        ({"fitted.M": {"low": 1, "high": 2}}, "fitted: 'M' is no symbol"),
        ({"coefficients.E.source": "memory"}, "source 'memory' is not in sources"),
    ],
)
def test_a_law_that_is_wrong_is_told_where(
    changes: Mapping[str, Any], message: str, spec_file: Callable[..., Path]
) -> None:
    with pytest.raises(SpecError) as caught:
        library.scaling_law(str(spec_file(SCALING, "hoffmann-2022", changes)))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "runtime", ["llama.cpp", "llama.cpp-cpu", "llama.cpp-hip", "llama.cpp-metal", "llama.cpp-vulkan"]
)
def test_hybrids_of_mamba2_run_where_bamba_is_converted(runtime: str) -> None:
    """convert_hf_to_gguf.py writes BambaForCausalLM as granitehybrid."""
    assert {"bamba", "granitemoehybrid"} <= set(library.runtime(runtime).supports)
    assert setup("mamba2-hybrid:depth=4", "orin", runtime).architecture.family == "bamba"
