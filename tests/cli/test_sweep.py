"""`roofsim sweep` as it is typed."""

from __future__ import annotations

import csv
import io
import json

import pytest

LINE = "sweep mamba2-130m -d orin,rtx-4090 -p 1k..4k*2 --set device.memory.bandwidth=1x,2x"


def test_a_table_says_once_what_is_the_same_and_why_something_cannot_be_run(roofsim):
    shown = " ".join(roofsim("sweep mamba2-130m Hymba-1.5B -d orin -r llama.cpp -p 1k,2k --figures ttft,fits").split())
    assert "Everywhere: model mamba2-130m, device jetson-orin-nano-8gb@maxn, runtime llama.cpp." in shown
    assert "Cannot be run: Hymba-1.5B, jetson-orin-nano-8gb@maxn, llama.cpp: llama.cpp does not run hymba" in shown
    assert shown.count("2,048") == 1


def test_csv_and_json_hold_every_point(roofsim, data):
    rows = list(csv.DictReader(io.StringIO(roofsim(LINE, "-f", "csv"))))
    found = data(LINE)
    assert len(rows) == len(found["rows"]) == 12
    assert list(rows[0])[:4] == ["model", "device", "prompt", "device.memory.bandwidth [B/s]"]
    for row, same in zip(rows, found["rows"], strict=True):
        assert float(row["ttft [s]"]) == same["ttft"]
        assert float(row["device.memory.bandwidth [B/s]"]) == same["device.memory.bandwidth"]
        assert row["fits"] == str(same["fits"])
        assert row["bound_prefill"] == same["bound_prefill"]
    assert found["units"]["memory_peak"] == "B"


def test_what_bounds_a_point_is_what_predict_says(data):
    runtimes = "transformers-5-eager,vllm,llama.cpp,ideal"
    for row in data(f"sweep mamba2-780m Qwen2.5-1.5B -d rtx-4090 -r {runtimes} -p 512,16k -b 1,16")["rows"]:
        one = data(f"predict {row['model']} -d rtx-4090 -r {row['runtime']} -p {row['prompt']} -b {row['batch']}")
        assert (row["bound_prefill"], row["bound_decode"]) == (one["prefill"]["bound"], one["decode"]["bound"])
        assert row["ttft"] == pytest.approx(one["request"]["ttft"], rel=1e-12)
        assert row["fits"] == one["memory"]["fits"]


def test_a_study_file_a_list_of_points_and_options_say_the_same(roofsim, data, here):
    (here / "study.yaml").write_text(
        "axes: {model: [mamba2-130m], device: [orin, rtx-4090], prompt: 1k..4k*2, "
        "device.memory.bandwidth: '1x,2x'}\nfigures: [ttft]\nderive: {twice: 2 * ttft}\nwhere: prompt > 1k\n"
    )
    by_file = data("sweep --study study.yaml")
    by_options = data(LINE, "--figures", "ttft", "--derive", "twice=2 * ttft", "--where", "prompt > 1k")
    assert by_file == by_options
    (here / "points.csv").write_text("prompt,device.memory.bandwidth\n2k,1x\n4k,2x\n")
    listed = data("sweep mamba2-130m -d orin --points points.csv --figures ttft")["rows"]
    expected = [row for row in by_options["rows"] if row["device"].startswith("jetson")]
    assert [row["ttft"] for row in listed] == pytest.approx([expected[0]["ttft"], expected[3]["ttft"]], rel=1e-12)


def test_a_file_is_written_whole_and_said(attempt, here):
    done = attempt(LINE, "-o", "study.csv", "--workers", "1")
    assert done.exit_code == 0
    assert done.stdout == ""
    assert done.stderr == "wrote study.csv: 12 of 12 points\n"
    assert [each.name for each in here.iterdir()] == ["study.csv"]
    assert len((here / "study.csv").read_text().splitlines()) == 13


def test_json_lines_hold_a_point_each(roofsim, here):
    roofsim(LINE, "-o", "study.jsonl", "--workers", "1")
    rows = [json.loads(line) for line in (here / "study.jsonl").read_text().splitlines()]
    assert len(rows) == 12
    assert rows[0]["refused"] is None


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("sweep -d orin", "needs a model"),
        ("sweep mamba2-130m", "needs a device"),
        ("sweep mamba2-13m -d orin", "nearest: mamba2-130m"),
        ("sweep mamba2-130m -d orin -p 4k..1k", "growing range"),
        ("sweep mamba2-130m -d orin -p ''", "'--prompt' / '-p': '' is not a whole number"),
        ("sweep mamba2-130m -d orin -b 1,1", "1 is given twice"),
        ("sweep mamba2-130m -d orin --set device.memory.bandwith=1x", "nearest: bandwidth"),
        ("sweep mamba2-130m -d orin --set bandwidth=1x", "--set bandwidth: write it like"),
        ("sweep mamba2-130m -d orin --set device.clock", "write it like NAME=VALUE"),
        ("sweep mamba2-130m -d orin --set device.clock=1x --set device.clock=2x", "given twice"),
        ("sweep mamba2-130m -d orin --figures tttf", "nearest: ttft"),
        ("sweep mamba2-130m -d orin --where 'tpot <'", "cannot be read"),
        ("sweep mamba2-130m -d orin --derive x=tpott", "nearest: tpot"),
        ("sweep mamba2-130m -d orin -p 1..1M+1 -b 1..1M+1", "holds more than"),
        ("sweep mamba2-130m -d orin -p 1..90k+1 -b 1..90k+1 -g 1..90k+1", "more than are kept in memory"),
        ("sweep mamba2-130m -d orin -p 1..90k+1 -b 1..90k+1 -g 1..90k+1 -o x.csv", "--sample N"),
        ("sweep mamba2-130m -d orin --sample 5", "there are 1 points"),
        ("sweep mamba2-130m -d orin -o nowhere/x.csv", "there is no folder 'nowhere'"),
        ("sweep mamba2-130m -d orin -o x.txt", "should end in .csv"),
        ("sweep mamba2-130m -d orin --study none.yaml", "no such file"),
        ("sweep mamba2-130m -d orin --points none.csv", "no such file"),
        ("sweep mamba2-130m -d orin --scheduler tcp://127.0.0.1:1", "is of --engine dask"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(refused, line, says):
    assert says in " ".join(refused(line).split())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("axis: {}", "no 'axis'; a study has axes"),
        ("axes: [a]", "axes: dict is expected"),
        ("axes: {modle: a}", "axes: no 'modle'; nearest: model"),
        ("axes: {model: [], device: orin}", "model: an axis needs at least one value"),
    ],
)
def test_a_study_file_that_is_wrong_is_refused(refused, here, text, says):
    (here / "study.yaml").write_text(text)
    assert says in " ".join(refused("sweep --study study.yaml").split())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "a line of names"),
        ("prompt\n", "a line of names"),
        ("prompt,prompt\n1,2\n", "a column is there twice"),
        ("prompt,batch\n1\n", "line 2: 1 cells under 2 names"),
        ("promt\n1\n", "nearest: prompt"),
        ("prompt\n1.5\n", "prompt: '1.5' is not a whole number"),
    ],
)
def test_points_that_are_wrong_are_refused(refused, here, text, says):
    (here / "points.csv").write_text(text)
    assert says in " ".join(refused("sweep mamba2-130m -d orin --points points.csv").split())


def test_a_figure_has_a_panel_for_each_figure_and_a_line_for_each_other_value(roofsim, here):
    from roofsim import sweep
    from roofsim.reports.figures import sweep as figures

    roofsim(LINE, "--plot", "x.png")
    assert (here / "x.png").read_bytes().startswith(b"\x89PNG")
    axes = {
        "model": "mamba2-130m,Hymba-1.5B",
        "device": "orin",
        "runtime": "llama.cpp",
        "prompt": "1k..8k*2",
        "batch": "1,2",
    }
    figure = figures.sweep(sweep(axes, figures=["ttft", "memory_peak", "fits"]))
    panels = [each for each in figure.axes if each.get_visible()]
    lines = [[line for line in each.lines if line.get_linestyle() != "None"] for each in panels]
    assert list(map(len, lines)) == [2, 2]
    assert [each.get_title(loc="left") for each in panels] == ["Time to first token", "Peak memory"]
    assert list(lines[0][0].get_xdata()) == [1024, 2048, 4096, 8192]
    said = [text.get_text() for text in (*panels[1].texts, *(each for one in figure.legends for each in one.texts))]
    assert {"mamba2-130m, batch 1", "mamba2-130m, batch 2"} <= set(said)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("sweep mamba2-130m -d orin --plot x.png", "needs an axis of numbers"),
        ("sweep mamba2-130m -d orin -p 1k,2k --figures fits --plot x.png", "needs a figure with numbers"),
        ("sweep mamba2-130m -d orin -p 1..40+1 -b 1..30+1 --plot x.png", "30 lines cannot be told apart"),
        ("sweep Hymba-1.5B -d orin -r llama.cpp -p 1k,2k --plot x.png", "no point to draw"),
        ("sweep mamba2-130m -d orin -p 1k,2k --plot x.png -o x.csv", "draws what is printed"),
    ],
)
def test_what_cannot_be_drawn_is_refused(refused, line, says):
    assert says in " ".join(refused(line).split())
