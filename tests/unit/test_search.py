"""Searching a family: every member as if predicted alone, the front, what is kept and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import roofsim
from roofsim import library
from roofsim.foundation.errors import InputError
from roofsim.prediction.request import settled
from roofsim.prediction.setup import setup
from roofsim.reports.search import search_tables
from roofsim.spaces import many
from roofsim.spaces.many import figures_of, one_by_one
from roofsim.spaces.search import FIGURE_COLUMNS, SearchResult, search
from roofsim.specs.workload import workload

DENSE = {"depth": "4,6,8", "width": "256,512", "kv_heads": (1, 2, 4), "mlp_width": "1024..2048+512"}
FIGURES = [*FIGURE_COLUMNS.values(), "fits"]


def searched(**more: Any) -> SearchResult:
    return search("dense", "jetson-orin-nano-8gb", "ideal", **{"over": DENSE, "generate": 16, **more})


def test_every_member_is_as_if_predicted_alone() -> None:
    for each in searched().members[::7]:
        p = roofsim.predict(each.name, "jetson-orin-nano-8gb", "ideal", generate=16)
        expected = (*(getattr(p.request, name) for name in FIGURE_COLUMNS if name != "memory_peak"), p.memory.peak)
        made = (*(each.figures[name] for name in FIGURE_COLUMNS if name != "memory_peak"), each.figures["memory_peak"])
        assert made == pytest.approx(expected, rel=1e-9)
        assert each.fits == p.fits
        assert each.numbers["parameters"] == library.architecture(each.name).total_parameters


@pytest.mark.parametrize(
    ("family", "runtime", "over"),
    [
        ("dense", "transformers-4.52-eager", DENSE),
        # the widths decide which kernel multiplies
        ("dense", "transformers-5-eager", {"depth": range(2, 20), "width": (256, 512)}),
        ("dense", "llama.cpp", {"depth": range(1, 20), "width": (256, 512)}),
        ("parallel-hybrid:width=512", "llama.cpp", {"depth": range(2, 26), "attention_every": (1, 2)}),
        # as many heads for keys as for queries is another kernel
        ("moe:width=512", "transformers-4.52-eager", {"kv_heads": (1, 2, 4), "depth": range(2, 20), "top_k": (2, 4)}),
        ("mamba2-hybrid:width=512", "transformers-4.52-eager", {"attention_every": (3, 5), "depth": range(4, 40)}),
        # the last layer goes on with scored positions alone
        ("mamba2-hybrid:width=512", "vllm", {"attention_every": (2, 3), "depth": range(4, 44)}),
        ("mamba2-hybrid:width=512", "ideal", {"attention_every": (0, 1, 2, 3), "depth": range(4, 40)}),
        ("sliding-window:width=512", "vllm", {"window": (64, 256), "global_every": (2, 3), "depth": range(6, 26)}),
    ],
)
def test_what_is_compiled_for_all_is_what_each_gives_alone(
    family: str, runtime: str, over: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = []

    def counted(*given: Any) -> Any:
        alone.append(given)
        return one_by_one(*given)

    monkeypatch.setattr(many, "one_by_one", counted)
    found = search(family, "h100-sxm", runtime, over=over, prompt=700, generate=20)
    assert len(alone) < len(found.members) / 2
    monkeypatch.setattr(many, "FEW", 10**9)
    expected = search(family, "h100-sxm", runtime, over=over, prompt=700, generate=20)
    for one, other in zip(found.members, expected.members, strict=True):
        assert list(one.figures.values()) == pytest.approx(list(other.figures.values()), rel=1e-9), one.name


def test_figures_that_a_compiled_function_does_not_give_are_computed_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    family, w = library.family("dense"), workload(prompt=100)
    setups = [setup(family.member({"depth": depth}), "h100-sxm", "ideal") for depth in range(2, 22)]
    traced = many.traced
    monkeypatch.setattr(many, "traced", lambda s, w, names, over: traced(s, w, [*names[1:], names[0]], over))
    found = figures_of(setups, settled(setups[0], w), ["ttft", "tpot"])
    assert found == pytest.approx(np.array([one_by_one(s, w, ["ttft", "tpot"]) for s in setups]))


def test_the_front_is_of_members_that_no_other_is_as_good_as() -> None:
    r = searched(objectives=("loss", "ttft"))
    points = {i: (r.members[i].loss, r.members[i].figures["ttft"]) for i in r.kept}

    def beaten(i: int) -> bool:
        return any(
            all(a <= b for a, b in zip(other, points[i], strict=True)) and other != points[i]
            for other in points.values()
        )

    assert r.front == tuple(i for i in r.kept if not beaten(i))
    assert 0 < len(r.front) < len(r.kept)
    assert r.best() == min((r.members[i] for i in r.kept), key=lambda m: m.loss)


def test_more_is_better_of_tokens_per_second() -> None:
    r = searched(objectives=("loss", "tokens_per_second"))
    fastest = max(range(len(r.members)), key=lambda i: r.members[i].figures["tokens_per_second"])
    assert fastest in r.front


def test_a_condition_keeps_what_meets_it() -> None:
    r = searched(where="memory_peak < 250 MiB and depth >= 6 and parameters > 40e6")
    wanted = {
        i for i, m in enumerate(r.members)
        if m.figures["memory_peak"] < 250 * 2**20 and m.values["depth"] >= 6 and m.numbers["parameters"] > 40e6
    }  # fmt: skip
    assert set(r.kept) == wanted
    assert 0 < len(wanted) < len(r.members)


def test_what_does_not_fit_is_not_kept() -> None:
    r = searched(over={"depth": (4, 100), "width": (4096,)})
    assert [m.fits for m in r.members] == [True, False]
    assert r.kept == r.front == (0,)


def test_a_sample_is_drawn_by_its_seed_without_drawing_twice() -> None:
    names = [[m.name for m in searched(sample=20, seed=seed).members] for seed in (1, 1, 2)]
    assert names[0] == names[1] != names[2]
    assert len(set(names[0])) == 20
    assert set(names[0]) <= {m.name for m in searched().members}
    assert searched(sample=20).sample == 20
    assert searched(sample=10**6).sample is None


def test_what_cannot_be_is_told_with_its_reason_and_the_rest_is_searched() -> None:
    r = search("dense", "h100-sxm", "ideal", over={"kv_heads": (1, 3), "depth": (2, 3)})
    assert [m.values["kv_heads"] for m in r.members] == [1, 1]
    assert [reason.partition(": ")[2] for _, reason in r.refused] == [
        "layers.decoder.0: kv_heads 3 does not divide heads 14"
    ] * 2
    hybrids = search(
        "mamba2-hybrid:width=512:depth=4", "h100-sxm", "llama.cpp-b2824", over={"attention_every": (0, 1, 2)}
    )
    assert [m.values["attention_every"] for m in hybrids.members] == [1]
    assert all("does not run" in reason for _, reason in hybrids.refused)


def test_a_model_is_compared_at_equal_latency() -> None:
    r = searched(against="Qwen2.5-0.5B", over={"depth": (4, 40), "width": (512, 1024)})
    better = r.better()
    assert r.against
    assert better
    p = roofsim.predict("Qwen2.5-0.5B", "jetson-orin-nano-8gb", "ideal", generate=16)
    assert r.against.figures["tpot"] == pytest.approx(p.request.tpot)
    as_fast = [m for m in r.members if m.figures["tpot"] <= p.request.tpot]
    assert better.loss == min(m.loss for m in as_fast)
    assert searched(against="Qwen2.5-0.5B", over={"depth": (100,)}).better() is None
    assert searched().better() is None


def test_losses_may_be_measured(tmp_path: Path) -> None:
    table = tmp_path / "losses.csv"
    table.write_text("depth,width,loss,run\n4,256,3.5,a\n8,256,3.25,b\n6,512,3.0,c\n", encoding="utf-8")
    r = searched(quality=str(table), over={"depth": (4, 6, 8), "width": (256, 512)})
    known = {(m.values["depth"], m.values["width"]): m.loss for m in r.members if m.loss is not None}
    assert known == {(4, 256): 3.5, (8, 256): 3.25, (6, 512): 3.0}
    assert [r.members[i].loss for i in r.kept] == [3.5, 3.0, 3.25]
    assert "3 members without a loss are left out." in r.notes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "needs a column `loss`"),
        ("depth,width\n4,256\n", "needs a column `loss`"),
        ("deep,loss\n4,3\n", "columns named as parameters"),
        ("depth,loss\n4,\n", "line 2"),
        ("depth,loss\n4,3\n4,2\n", "line 3: another loss"),
    ],
)
def test_a_table_of_losses_that_cannot_be_used_is_refused(tmp_path: Path, text: str, message: str) -> None:
    table = tmp_path / "losses.csv"
    table.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        searched(quality=str(table))
    with pytest.raises(InputError, match="no such file"):
        searched(quality=str(tmp_path / "none.csv"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"over": {}}, "--over: which parameters"),
        ({"over": {"dept": "4"}}, "no 'dept'; nearest: depth"),
        ({"over": {"depth": ""}}, "depth: ''"),
        ({"over": {"depth": ()}}, "at least one value"),
        ({"over": {"depth": "4,4"}}, "depth: 4 is given twice"),
        ({"over": {"depth": "8..4+1"}}, "not a growing range"),
        ({"over": {"width": range(64, 16384, 8), "depth": range(1, 150)}}, "--sample"),
        ({"over": {"depth": (999,)}}, "no member of this grid can be"),
        ({"where": "memory < 1 GiB"}, "no 'memory'; nearest: memory_peak"),
        ({"where": "tpot <"}, "cannot be read"),
        ({"objectives": ("loss",)}, "two or more"),
        ({"objectives": ("loss", "speed")}, "objectives: no 'speed'"),
        ({"quality": "hofman-2022"}, "scaling laws: no 'hofman-2022'; nearest: hoffmann-2022"),
        ({"train_tokens": 0}, "above 0"),
        ({"changes": ("model.vocab=2x",)}, "--set model"),
        ({"against": "Qwen"}, "models: no 'Qwen'"),
    ],
)
def test_what_cannot_be_searched_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        searched(**given)


def test_a_parameter_is_chosen_once() -> None:
    with pytest.raises(InputError, match="chosen it already"):
        search("dense:depth=4", "h100-sxm", over={"depth": "4,8"})


def test_the_result_is_plain_data() -> None:
    r = searched(where="tpot < 1 s", against="Qwen2.5-0.5B", over={"depth": (4, 8), "parameters": (300_000_000,)})
    data = json.loads(json.dumps(r.to_dict()))
    assert [row["member"] for row in data["members"]] == [m.name for m in r.members]
    assert set(r.columns) < set(data["members"][0])
    assert [row["parameters"] for row in data["members"]] == [m.numbers["parameters"] for m in r.members]
    assert data["axes"] == {"depth": [4, 8], "parameters": [300_000_000]}


def test_a_long_front_is_cut_evenly_and_says_so() -> None:
    r = searched()
    (whole,), (cut,) = (search_tables(r, "d", "r", every=True, most=most) for most in (None, 5))
    losses = [row[[c.name for c in whole.columns].index("loss")] for row in whole.rows]
    assert losses == sorted(losses)
    assert [cut.rows[0], cut.rows[-1], len(cut.rows)] == [whole.rows[0], whole.rows[-1], 5]
    assert cut.notes[0].startswith("5 of them are shown")
