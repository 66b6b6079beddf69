"""Combinations side by side: a row each, with the figures of a prediction, or why it cannot be run."""

from __future__ import annotations

import csv
import io
import json
from contextlib import contextmanager

import pytest

import roofsim as package
from roofsim import compare
from roofsim.foundation.errors import InputError, UnknownName
from roofsim.spaces import compare as explored
from roofsim.spaces.compare import FIGURES

CONTRACT = (
    "model", "device", "runtime", "weights", "batch", "prompt", "generate", "ttft", "tpot", "total_time",
    "tokens_per_second", "memory_peak", "energy", "fits", "bound_prefill", "bound_decode", "intervals", "refused",
)  # fmt: skip
MIXED = "compare Qwen2.5-0.5B Zamba2-1.2B Qwen2.5-7B -d orin,rtx-4090 -r llama.cpp,transformers-4.52-eager"


@pytest.fixture
def rows(data):
    return lambda line, *more: data(line, *more)["rows"]


def test_there_is_a_row_for_every_combination(rows):
    found = rows("compare Qwen2.5-0.5B mamba2-780m -d orin,orin@15w -r vllm -p 1k,2k -b 1,4 -g 16,1 --cache bf16,fp8")
    names = ("model", "device", "batch", "prompt", "generate", "cache")
    assert len({tuple(row[name] for name in names) for row in found}) == len(found) == 2 * 2 * 2 * 2 * 2 * 2
    assert {row["device"] for row in found} == {"jetson-orin-nano-8gb@maxn", "jetson-orin-nano-8gb@15w"}
    for row in found:
        assert set(CONTRACT) <= set(row)


@pytest.mark.parametrize(
    "options",
    [
        "-d orin", "-d rtx-4090 -b 4 -p 4k -g 1", "-d orin -r llama.cpp --weights q4_k_m", "-d h100-sxm -r vllm -b 32",
        "-d raspberry-pi-5 -r llama.cpp-cpu -g 1", "-d rtx-4090 --set device.memory.bandwidth=2x",
        "-d rtx-4090 -r vllm --calibration none --cache fp8 --logits last",
    ],
)  # fmt: skip
def test_a_row_has_exactly_the_figures_and_intervals_of_the_prediction(data, rows, options):
    (row,) = rows(f"compare Qwen2.5-0.5B {options}")
    p = data(f"predict Qwen2.5-0.5B {options}")
    for name in ("ttft", "tpot", "total_time", "tokens_per_second", "energy"):
        assert row[name] == p["request"][name]
        assert row["intervals"][name] == p["intervals"][name]
    assert row["memory_peak"] == p["memory"]["peak"]
    assert row["intervals"]["memory_peak"] == p["intervals"]["peak"]
    for name in ("max_prompt", "max_batch"):
        assert row[name] == p["limits"][name]
        assert row["intervals"][name] == p["intervals"][name]
    assert (row["bound_prefill"], row["bound_decode"]) == (p["prefill"]["bound"], p["decode"]["bound"])
    assert row["fits"] == p["memory"]["fits"]
    assert (row["calibration"], row["basis"], row["refused"]) == (p["calibration"], p["basis"], None)
    assert (row["weights"], row["cache"]) == (p["workload"]["weight_format"], p["workload"]["cache_dtype"])


def test_several_processes_give_the_same_rows_in_the_same_order(monkeypatch):
    asked = {"device": ["orin", "rtx-4090"], "runtime": ["llama.cpp", "vllm"], "weights": ["bf16", "q4_k_m"]}
    monkeypatch.setattr(explored, "FEW", 1)
    assert compare("Qwen2.5-0.5B", "Zamba2-1.2B", **asked, workers=2) == compare("Qwen2.5-0.5B", "Zamba2-1.2B", **asked)


def test_what_cannot_be_run_is_a_row_that_says_why_and_the_others_are_run(rows, roofsim):
    found = rows(MIXED)
    assert len(found) == 12
    refused = [row for row in found if row["refused"]]
    assert [(row["model"], row["runtime"]) for row in refused] == [("Zamba2-1.2B", "llama.cpp")] * 2
    for row in refused:
        assert row["refused"].startswith("llama.cpp does not run zamba2 (Zamba2-1.2B); it runs ")
        assert {row[name] for name in FIGURES} == {None}
        assert (row["intervals"], row["basis"], row["prompt"]) == ({}, None, 1024)
    text = roofsim(MIXED)
    assert "Cannot be run" in text
    assert "llama.cpp does not run zamba2 (Zamba2-1.2B)" in text
    (one,) = rows("compare Qwen2.5-0.5B -d raspberry-pi-5 -r transformers-4.52-eager --weights fp8-block128")
    assert one["refused"]


def test_a_field_that_only_some_models_have_is_refused_for_the_others(rows, refused):
    line = "compare Qwen2.5-0.5B mamba2-780m -d orin --set model.layers.decoder.attention.window=512"
    found = rows(line)
    assert [(row["model"], row["refused"] is None) for row in found] == [("Qwen2.5-0.5B", True), ("mamba2-780m", False)]
    assert "no 'decoder'" in found[1]["refused"]
    assert "no 'decoder'" in refused("compare mamba2-780m -d orin --set model.layers.decoder.attention.window=512")


def test_what_does_not_fit_stands_behind_what_does_and_what_is_refused_last(rows):
    ranks = [(row["refused"] is not None, row["fits"] is False) for row in rows(MIXED)]
    assert ranks == sorted(ranks)
    assert set(ranks) == {(False, False), (False, True), (True, False)}


KEPT = {
    "--fits": lambda row: True,
    "--min-tps 60": lambda row: row["tokens_per_second"] >= 60,
    "--context 20000": lambda row: row["max_prompt"] + row["generate"] >= 20000,
    "--max-memory 2GiB": lambda row: row["memory_peak"] <= 2 * 2**30,
    "--max-ttft 100ms": lambda row: row["ttft"] <= 0.1,
    "--max-tpot 20ms": lambda row: row["tpot"] <= 0.02,
    "--min-tps 60 --max-memory 2GiB": lambda row: row["tokens_per_second"] >= 60 and row["memory_peak"] <= 2**31,
}


@pytest.mark.parametrize("option", KEPT)
def test_a_filter_keeps_what_runs_fits_and_passes(data, rows, option):
    every = rows(MIXED)
    found = data(f"{MIXED} {option}")
    wanted = [row for row in every if row["fits"] and KEPT[option](row)]
    assert found["rows"] == wanted
    assert 0 < len(wanted) < len(every)
    assert sum(found["left_out"].values()) == len(every) - len(wanted)
    assert found["left_out"]["refused"] == 2


def test_the_bound_of_a_filter_passes_it(rows):
    (row,) = rows("compare Qwen2.5-0.5B -d orin")
    exact = f"--max-ttft {row['ttft']!r}s --max-tpot {row['tpot']!r}s --max-memory {row['memory_peak']!r}B"
    exact += f" --min-tps {row['tokens_per_second']!r} --context {row['max_prompt'] + row['generate']}"
    assert rows(f"compare Qwen2.5-0.5B -d orin {exact}") == [row]
    assert rows(f"compare Qwen2.5-0.5B -d orin --context {row['max_prompt'] + row['generate'] + 1}") == []


def test_a_result_without_rows_says_so(roofsim, data):
    line = "compare Qwen2.5-7B -d orin --fits"
    assert "No combination passes.\nLeft out: 1 that do not fit." in roofsim(line)
    assert data(line) == {"schema": 1, "rows": [], "left_out": {"fits": 1}}
    assert len(roofsim(line, "-f", "csv").splitlines()) == 1


@pytest.mark.parametrize(
    ("key", "value", "best_last"),
    [
        ("tpot", lambda row: row["tpot"], False),
        ("tokens_per_second", lambda row: row["tokens_per_second"], True),
        ("max_prompt", lambda row: row["max_prompt"], True),
        ("model", lambda row: row["model"].lower(), False),
        ("prompt", lambda row: row["prompt"], False),
    ],
)
def test_rows_are_sorted_by_any_column_the_best_first(rows, key, value, best_last):
    line = "compare Qwen2.5-0.5B mamba2-780m Qwen2.5-7B Falcon-H1-0.5B -d orin -p 2k,1k"
    found = rows(f"{line} --sort {key}")
    fitting = [value(row) for row in found if row["fits"]]
    assert len(set(fitting)) > 1
    assert fitting == sorted(fitting, reverse=best_last)
    assert [row["fits"] for row in found] == sorted((row["fits"] for row in found), reverse=True)
    assert sorted(map(json.dumps, found)) == sorted(map(json.dumps, rows(line)))


def test_a_column_with_no_number_is_no_obstacle_to_sorting(rows):
    found = rows("compare Qwen2.5-0.5B Zamba2-1.2B -d orin,raspberry-pi-5 -r llama.cpp --sort usd_per_million")
    assert len(found) == 4


def test_energy_and_price_are_those_of_a_million_output_tokens(rows):
    for line in ("-b 4 -g 64", "-b 2 -g 1"):
        (row,) = rows(f"compare Qwen2.5-0.5B -d rtx-4090 {line} --price 2.5USD/h")
        tokens = row["batch"] * max(row["generate"], 1)
        assert row["joules_per_million"] == pytest.approx(row["energy"] / tokens * 1e6)
        assert row["usd_per_million"] == pytest.approx(2.5 * row["total_time"] / 3600 / tokens * 1e6)
        assert row["cost"] == pytest.approx(2.5 * row["total_time"] / 3600)
        for name, of in (("joules_per_million", "energy"), ("usd_per_million", "total_time"), ("cost", "total_time")):
            wanted = [end * row[name] / row[of] for end in row["intervals"][of]]
            assert row["intervals"][name] == pytest.approx(wanted)
        made = (row["generate"] - 1) * row["batch"]
        of_tokens = row["usd_per_million_input"] * row["batch"] * row["prompt"] + row["usd_per_million_output"] * made
        assert of_tokens / 1e6 == pytest.approx(row["cost"])
    (row,) = rows("compare Qwen2.5-0.5B -d h20 -r vllm")
    for name in ("cost", "usd_per_million", "usd_per_million_input", "usd_per_million_output"):
        assert row[name] is None
        assert name not in row["intervals"]


def test_models_are_chosen_by_kind_family_and_size_as_they_are_listed(rows, data):
    for options in ("--kind hybrid --max-size 2B", "--family mamba2", "--min-size 100B --kind moe"):
        listed = {each["id"] for each in data(f"models {options}")["models"]}
        assert {row["model"] for row in rows(f"compare {options} -d rtx-4090")} == listed
    few = rows("compare Qwen2.5-0.5B Qwen2.5-7B Qwen2.5-0.5B -d orin --max-size 1B")
    assert [row["model"] for row in few] == ["Qwen2.5-0.5B"]


def test_all_models_that_ship_are_the_default(data):
    from roofsim import library

    found = data("compare -d orin")
    assert {row["model"] for row in found["rows"]} == set(library.names("models"))


def test_a_field_takes_each_of_its_values(rows, data):
    found = rows(
        "compare Qwen2.5-0.5B -d orin --set device.memory.bandwidth=1x,2x --set device.memory.capacity=4GiB,8GiB"
    )
    paths = ("device.memory.bandwidth", "device.memory.capacity")
    assert [tuple(row[path] for path in paths) for row in found] == [
        (rate, size) for rate in (102e9, 204e9) for size in (2**32, 2**33)
    ]
    fast = data("predict Qwen2.5-0.5B -d orin --set device.memory.bandwidth=2x")
    assert {row["tpot"] for row in found if row[paths[0]] == 204e9} == {fast["request"]["tpot"]}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("compare Qwen9 -d orin", "no 'Qwen9'"),
        ("compare Qwen2.5-0.5B -d orin,orinn", "no 'orinn'"),
        ("compare Qwen2.5-0.5B -d orin@99w", "99w"),
        ("compare Qwen2.5-0.5B -d orin -r llama.cpp,lama", "no 'lama'"),
        ("compare Qwen2.5-0.5B -d orin --weights q4_k_m,q9", "--weights: no weight format 'q9'"),
        ("compare Zamba2-1.2B Qwen2.5-0.5B -d orin -r llama.cpp --weights q9", "--weights: no weight format 'q9'"),
        ("compare Qwen2.5-0.5B -d orin --cache bf17", "--cache: no encoding of a cache 'bf17'"),
        ("compare Qwen2.5-0.5B -d orin --calibration nobody", "no 'nobody'"),
        ("compare Qwen2.5-0.5B -d orin --sort speed", "no 'speed'"),
        ("compare Qwen2.5-0.5B -d orin --set device.memory.bandwith=2x", "bandwith"),
        ("compare Qwen2.5-0.5B -d orin --set device.memory.bandwidth=2x,fast", "'fast'"),
        ("compare Qwen2.5-0.5B -d orin --set memory=2x", "device.memory.bandwidth=1x,2x"),
        ("compare Qwen2.5-0.5B -d orin --set device.memory.bandwidth=1x,", "empty value"),
        ("compare Qwen2.5-0.5B -d orin --set a.b=1 --set a.b=2", "twice"),
        ("compare Qwen2.5-0.5B -d orin,", "empty value"),
        ("compare Qwen2.5-0.5B -d orin --price cheap", "2.5USD/h"),
        ("compare Qwen2.5-0.5B -d orin --max-ttft 5", "not a quantity in s"),
        ("compare --family nobody -d orin", "no 'nobody'"),
        ("compare --kind ssm --min-size 500B -d orin", "no model is of this kind"),
        ("compare -d orin -p 1..100 -b 1..100*1.1", "`roofsim sweep` takes more"),
        ("compare Qwen2.5-0.5B", "--device"),
    ],
)
def test_what_is_wrong_for_every_row_is_an_error(refused, line, said):
    assert said in refused(line)


def test_python_takes_one_value_or_several(rows):
    found = package.compare("Qwen2.5-0.5B", device=["orin", "rtx-4090"], prompt=2048, weights="fp16")
    line = "compare Qwen2.5-0.5B -d orin,rtx-4090 -p 2k --weights fp16"
    assert [row.to_dict() for row in found.rows] == rows(line)
    assert len(found.where(max_ttft=0.1).sorted_by("ttft").rows) == 1
    with pytest.raises(UnknownName):
        found.sorted_by("speed")
    with pytest.raises(UnknownName):
        explored.compare_choices({"model": ["Qwen2.5-0.5B"], "device": ["orin"], "lenght": [3]})
    with pytest.raises(InputError, match="nothing to choose from"):
        compare("Qwen2.5-0.5B", device=[])


def test_each_step_is_told():
    told = []
    choices = {"model": ["Qwen2.5-0.5B", "Zamba2-1.2B"], "device": ["orin"], "runtime": ["llama.cpp", "ideal"]}
    explored.compare_choices(choices, step=lambda *x: told.append(x))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_the_table_names_once_what_all_rows_share(roofsim):
    one = roofsim("compare Qwen2.5-7B -d rtx-4090 -r llama.cpp --weights bf16,q4_k_m").splitlines()
    assert one[0] == "Qwen2.5-7B on NVIDIA GeForce RTX 4090"
    assert one[2] == "cache bf16, batch 1, prompt 1,024, generated 128"
    assert one[3].split()[:3] == ["weights", "longest", "largest"]
    several = roofsim("compare Qwen2.5-0.5B -d orin,rtx-4090 --price 1USD/h")
    assert "orin: NVIDIA Jetson Orin Nano 8GB (MAXN Super)." in several
    assert "price/M" in several
    assert "price/M" not in "\n".join(one)


def test_an_interval_stands_in_its_cell_as_a_factor(roofsim, rows):
    (row,) = rows("compare Qwen2.5-0.5B -d orin")
    factor = row["intervals"]["tpot"][1] / row["tpot"]
    text = roofsim("compare Qwen2.5-0.5B -d orin -f markdown")
    assert f"{row['tpot'] * 1e3:.1f} ms x{factor:.2f}" in text
    assert "\u00a0" not in text + roofsim("compare Qwen2.5-0.5B -d orin")


def test_a_csv_has_both_ends_of_each_interval_and_a_short_reason(roofsim, rows):
    found = list(csv.DictReader(io.StringIO(roofsim(MIXED, "-f", "csv"))))
    for cells, row in zip(found, rows(MIXED), strict=True):
        if row["refused"]:
            assert cells["refused"] == "llama.cpp does not run zamba2 (Zamba2-1.2B)"
            assert {cells[name] for name in ("ttft [s]", "max_prompt", "bound_prefill")} == {""}
            assert cells["fits"] == "False"
            continue
        assert float(cells["ttft [s]"]) == row["ttft"]
        ends = [float(cells[f"ttft_{end} [s]"]) for end in ("low", "high")]
        assert ends == row["intervals"]["ttft"]
        assert cells["fits"] == str(row["fits"])


def test_progress_is_told_of_work_that_takes_long_where_someone_sees_it(attempt, monkeypatch):
    from roofsim.cli import compare as command

    told = []

    @contextmanager
    def bar(size, quiet):
        yield lambda done, of: told.append((done, of, size, quiet))

    assert attempt("compare Qwen2.5-0.5B mamba2-780m -d orin").stderr == ""
    monkeypatch.setattr(command, "bar", bar)
    attempt("compare Qwen2.5-0.5B mamba2-780m -d orin -q")
    assert told == [(1, 2, 2, True), (2, 2, 2, True)]


def test_the_figure_shows_each_row_with_its_interval(here, roofsim, refused):
    pytest.importorskip("matplotlib")
    out = roofsim("compare Qwen2.5-0.5B Qwen2.5-7B -d orin,rtx-4090 --plot figure.svg -q")
    assert "Qwen2.5-7B" in out
    text = (here / "figure.svg").read_text()
    for word in ("Qwen2.5-0.5B", "rtx-4090", "95 % interval, calibrated", "does not fit: times as if it did"):
        assert word in text
    from roofsim.reports.figures.compare import compare as comparison

    figure = comparison(compare("Qwen2.5-0.5B", device="orin", weights=["bf16", "fp16"]))
    bars = [line.get_xdata() for line in figure.axes[0].lines if len(line.get_xdata()) == 2]
    assert [list(bar) for bar in bars] == [
        list(row.intervals["ttft"]) for row in compare("Qwen2.5-0.5B", device="orin", weights=["bf16", "fp16"]).rows
    ]
    with pytest.raises(InputError, match="--plot"):
        comparison(compare("Zamba2-1.2B", device="orin", runtime="llama.cpp"))


def test_a_table_says_what_must_be_known_of_which_rows(roofsim, data):
    line = "compare Qwen2.5-0.5B mamba2-780m -d rtx-4090 -r ideal -p 1k,64k"
    text = " ".join(roofsim(line).split())
    assert "Mind: beyond the context window of Qwen2.5-0.5B, 32,768 tokens (Qwen2.5-0.5B 65536)." in text
    said = {(row["model"], row["prompt"]): row["cautions"] for row in data(line)["rows"]}
    assert said.pop(("Qwen2.5-0.5B", 65536)) == ["beyond the context window of Qwen2.5-0.5B, 32,768 tokens"]
    assert set(map(tuple, said.values())) == {()}
    (row,) = data("compare Llama-3.1-70B -d orin")["rows"]
    assert row["cautions"][0].startswith("Does not fit: needs")


OWN = {
    "model_type": "llama", "hidden_size": 64, "intermediate_size": 256, "num_attention_heads": 4,
    "num_hidden_layers": 4, "vocab_size": 100, "use_novel_mixer": False,
}  # fmt: skip


def test_a_table_has_the_notes_of_its_models(roofsim, here):
    (here / "own.json").write_text(json.dumps(OWN))
    for line in ("compare", "predict", "limits"):
        text = " ".join(roofsim(f"{line} ./own.json mamba2-780m -d orin").split())
        assert "Note: own: use_novel_mixer: false is not known for model_type llama and left aside." in text


@pytest.mark.parametrize(
    "line",
    ["sweep {} mamba2-780m -d orin", "pareto {} -d orin -p 1k,2k --objectives ttft,tpot", "sampling {} -d orin",
     "advise {} -d orin --ttft 1s", "sweep {} -d orin -o found.csv"],
)  # fmt: skip
def test_studies_say_what_a_file_leaves_out_beside_their_results(attempt, here, line):
    (here / "own.json").write_text(json.dumps(OWN))
    note = "note: ./own.json: use_novel_mixer: false is not known for model_type llama and left aside"
    assert note in attempt(line.format("./own.json")).stderr
    assert "note:" not in attempt(line.format("./own.json"), "-q").stderr
