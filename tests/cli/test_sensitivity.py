"""`roofsim sensitivity`: tables, data, figures and refusals."""

from __future__ import annotations

import csv
import io
import json

import pytest

from roofsim import sensitivity
from roofsim.foundation.units import show, significant

LINE = "sensitivity Qwen2.5-0.5B -d orin"


def test_json_is_the_result_of_python(roofsim):
    data = json.loads(roofsim(f"{LINE} -m tpot -f json"))
    result = sensitivity("Qwen2.5-0.5B", "orin", figure="tpot")
    assert data["schema"] == 1
    assert (data["model"], data["figure"], data["value"]) == ("Qwen2.5-0.5B", "tpot", result.value)
    assert data["interval"] == list(result.interval)
    assert data["basis"] == "calibrated"
    place, first = next((i, row) for i, row in enumerate(data["rows"][:2]) if row["number"] == "host.dispatch")
    assert (first["group"], first["unit"]) == ("host", "s")
    assert first["elasticity"] == result.rows[place].elasticity == data["rows"][0]["elasticity"]
    assert first["below"]["bound"] == "memory"
    assert first["below"]["gains"][0] == "device.memory.bandwidth"
    assert first["above"] is None
    assert len(data["rows"]) == len(result.rows)


def test_csv_is_one_table_of_all_numbers(roofsim):
    text = roofsim(f"{LINE} -f csv")
    head, *rows = list(csv.reader(io.StringIO(text)))
    assert head[:5] == ["number", "group", "unit", "value", "elasticity"]
    assert "ttft_at_half [s]" in head
    assert {row[0] for row in rows if row[head.index("decides")] == "True"} == {
        "model.layers.decoder.attention.declared_window",
        "model.layers.decoder.attention.head_dim",
    }
    assert all(len(row) == len(head) for row in rows)
    pulls = [abs(float(row[4])) for row in rows]
    assert pulls == sorted(pulls, reverse=True)
    assert len(rows) > 50


def test_the_table_says_the_interval_the_regimes_and_what_cannot_vary(roofsim):
    text = " ".join(roofsim(f"{LINE} -m tpot").split())
    rows = sensitivity("Qwen2.5-0.5B", "orin", figure="tpot").rows
    first = next(row for row in rows[:2] if row.number == "host.dispatch")
    turn = f"x{significant(first.below.factor)}: {first.below.elasticity:+.2f} {first.below.bound}"
    assert "95 % interval " in text
    assert f"host.dispatch {show(first.value, 's')} {first.elasticity:+.2f} {turn}" in text
    assert "model.prefix_tokens" in text
    assert "numbers that move it by less than 0.005 % are in -f csv" in text


def test_a_tornado_shows_the_numbers_and_the_interval(roofsim, here):
    pytest.importorskip("matplotlib")
    roofsim(f"{LINE} --plot figure.svg -q")
    drawn = (here / "figure.svg").read_text()
    rows = {row.number: row for row in sensitivity("Qwen2.5-0.5B", "orin").rows}
    assert "memory bandwidth = 102 GB/s" in drawn
    assert f">{rows['device.memory.bandwidth'].elasticity:+.2f}<" in drawn
    assert "95 % interval, calibrated" in drawn
    # an efficiency cannot be doubled beyond 1
    assert f">×{significant(1 / rows['parameters.gemm_efficiency'].value)}<" in drawn


def test_a_heat_map_is_drawn_and_written(roofsim, here):
    pytest.importorskip("matplotlib")
    text = roofsim(f"{LINE} --heat device.memory.bandwidth=0.5x..4x,prompt=1k..64k -f csv --plot figure.svg -q")
    head, *rows = list(csv.reader(io.StringIO(text)))
    assert head == ["device.memory.bandwidth [B/s]", "prompt", "ttft [s]"]
    assert len(rows) == 41 * 41
    assert [float(x) for x in rows[0][:2]] == [51e9, 1024]
    assert [float(x) for x in rows[-1][:2]] == [408e9, 65536]
    drawn = (here / "figure.svg").read_text()
    assert ">64k<" in drawn
    assert ">now<" in drawn
    table = roofsim(f"{LINE} --heat device.memory.bandwidth=0.5x..4x,prompt=1k..64k")
    assert f"51.0 GB/s  {show(float(rows[0][2]), 's')}" in table


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--over device.memory.bandwith", "--over: no 'device.memory.bandwith'; nearest: device.memory.bandwidth"),
        ("--heat prompt", "--heat prompt: write it like device.memory.bandwidth=0.5x..4x,prompt=1k..64k"),
        ("--heat prompt=1..2,prompt=1..2", "--heat prompt: is given twice"),
        ("--heat prompt=1k..2k", "a heat map has two axes, not 1"),
        ("--heat prompt=1k..2k,batch=1..2 --over host", "--heat, --over: a heat map is over its two axes"),
        ("-m latency", "--figure: no 'latency'"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_is_written(attempt, here, options, said):
    result = attempt(f"{LINE} {options} -o out.csv -f csv")
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    assert not (here / "out.csv").exists()
