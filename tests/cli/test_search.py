"""The command `search`, and members of families wherever a model is asked for."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

SEARCH = "search dense -d jetson-orin-nano-8gb -r ideal -g 8 --over depth=2,4 width=256,512"


def test_axes_may_follow_over_or_stand_alone(roofsim):
    lines = (
        "search dense -d orin -r ideal -g 8 --over depth=2,4 width=256,512 -f json",
        "search dense depth=2,4 width=256,512 -d orin -r ideal -g 8 -f json",
        "search dense -d orin -r ideal -g 8 --over depth=2,4 --over width=256,512 -f json",
    )
    assert len({roofsim(line) for line in lines}) == 1


def test_a_csv_holds_every_member_as_data_and_what_cannot_be_with_its_reason(roofsim):
    line = f"{SEARCH} kv_heads=1,3 --where 'depth < 4'"
    rows = list(csv.DictReader(io.StringIO(roofsim(f"{line} --format csv"))))
    data = json.loads(roofsim(f"{line} --format json"))
    known, refused = [row for row in rows if not row["refused"]], [row for row in rows if row["refused"]]
    assert [float(row["tpot [s]"]) for row in known] == [m["tpot"] for m in data["members"]]
    assert [float(row["memory_peak [B]"]) for row in known] == [m["memory_peak"] for m in data["members"]]
    assert [row["kept"] for row in known] == ["True", "True", "False", "False"]
    assert [(row["member"], row["refused"]) for row in refused] == [
        (each["member"], each["reason"]) for each in data["refused"]
    ]
    assert [(row["depth"], row["width"], row["kv_heads"], row["loss"]) for row in refused] == [
        (depth, width, "3", "") for depth in "24" for width in ("256", "512")
    ]


def test_all_that_are_kept_are_tabulated(roofsim):
    shown = [
        roofsim(f"{SEARCH} --objectives depth,tpot{option} -f markdown").count("\n| ") for option in ("", " --all")
    ]
    assert shown == [1 + 1, 4 + 1]


def test_the_table_names_the_law_the_counts_and_the_model_compared_with(roofsim):
    text = " ".join(roofsim(f"{SEARCH} --against Qwen2.5-0.5B --where 'tpot < 50 ms'").split())
    assert "Looked at all 4 combinations: 4 members can be run, 4 fit and meet the conditions" in text
    assert "by Hoffmann et al. 2022: E + A / N ** alpha + B / D ** beta with E = 1.69, A = 406.4, B = 410.7" in text
    assert "Qwen2.5-0.5B, loss 2.791, TPOT" in text
    assert "Beyond what the law was fitted to: N." in text


def test_a_front_is_drawn(roofsim):
    roofsim(f"{SEARCH} --plot front.svg -q --against Qwen2.5-0.5B")
    assert "Qwen2.5-0.5B" in Path("front.svg").read_text(encoding="utf-8")


def test_a_family_of_ones_own_is_given_by_its_path(roofsim):
    from roofsim import library

    text = library.names(library.FAMILIES)["dense"].read_text(encoding="utf-8")
    Path("mine.yaml").write_text(text.replace("value: 896", "value: 512"), encoding="utf-8")
    shown = json.loads(roofsim("show ./mine.yaml:depth=2 -f json"))
    assert (
        shown["parameters"]["total"]
        == json.loads(roofsim("show dense:width=512:depth=2 -f json"))["parameters"]["total"]
    )
    assert len(json.loads(roofsim("search ./mine.yaml depth=2,3 -d orin -r ideal -f json"))["members"]) == 2


@pytest.mark.parametrize(
    "line",
    [
        "predict dense:depth=2 -d orin -r ideal",
        "limits sliding-window:depth=4 -d orin -r ideal",
        "crossover dense:depth=2 mamba2-hybrid:width=256:depth=2 -d orin -r ideal --longest 1k",
        "show moe",
        "roofline parallel-hybrid:depth=2 -d orin -r ideal",
    ],
)
def test_a_member_is_a_model(roofsim, line):
    assert roofsim(line)


def test_families_are_listed_with_the_models(roofsim):
    assert "sliding-window" in json.loads(roofsim("models -f json"))["families"]
    assert "mamba2-hybrid" in roofsim("models --kind ssm")


def test_show_says_what_a_member_is(roofsim):
    data = json.loads(roofsim("show mamba2-hybrid:depth=12:attention_every=4 -f json"))
    assert data["order"] == "3 × (mamba × 3, attention)"
    values = {row["parameter"]: row["value"] for row in data["family"]["parameters"]}
    assert (values["depth"], values["attention_every"], values["attention_from"], values["width"]) == (12, 4, 3, 4096)
    text = roofsim("show mamba2-hybrid:depth=12:attention_every=4")
    assert "Order: 3 × (mamba × 3, attention)." in text
    assert "Order: decoder × 24." in roofsim("show Qwen2.5-0.5B")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("search dense -d orin", "--over: which parameters of dense?"),
        ("search dense depth -d orin", "--over depth: write it like width=512..2048+128"),
        ("search dense depth=2 --over depth=3 -d orin", "--over depth: is given twice"),
        ("search dense dept=2 -d orin", "nearest: depth"),
        ("search denser depth=2 -d orin", "families: no 'denser'; nearest: dense"),
        ("search Qwen2.5-0.5B depth=2 -d orin", "families: no 'Qwen2.5-0.5B'"),
        ("search dense depth=2 -d orin --quality none.csv", "none.csv"),
        ("search dense depth=2 -d orin --where 'x < 1'", "--where: no 'x'"),
        ("search dense depth=2 -d orin --objectives loss", "two or more"),
        ("search dense depth=2..400+1 width=64..16k+8 -d orin", "--sample"),
        ("search dense depth=2 -d orin --plot none/a.png", "there is no folder 'none'"),
        ("predict dense:depht=2 -d orin", "nearest: depth"),
        ("predict dense:depth=900 -d orin", "dense: depth: 900 is not from 1 to 200"),
        ("predict dense:depth=two -d orin", "depth: 'two' is not a whole number"),
        ("predict dense:parameters=494M:mlp_width=64 -d orin", "leave one of the two out"),
        ("predict dense:parameters=90B -d orin", "cannot be had by mlp_width"),
        ("predict dense:kv_heads=3 -d orin", "kv_heads 3 does not divide heads 14"),
        ("predict Qwen2.5-0.5B:depth=2 -d orin", "is one model and no family"),
        ("predict dence:depth=2 -d orin", "families: no 'dence'; nearest: dense"),
        ("show dense:depth=2:depth=3", "depth is given twice"),
    ],
)
def test_what_cannot_be_is_refused_with_what_would_be_right(refused, line, message):
    assert message in refused(line)
