"""Every table loads as data: one header, a row for each thing, a type for each column."""

from __future__ import annotations

import csv
import io
import re
from importlib.util import find_spec

import pytest

from roofsim.cli import modules

MORE = {
    "predict": [
        "predict Qwen2.5-0.5B -d orin -r transformers-4.52-eager,cuda-graph,ideal",
        "predict Qwen2.5-0.5B -d orin --operators",
        "predict Qwen2.5-0.5B -d orin --explain",
        "predict Llama-3.1-8B -d raspberry-pi-5 -b 512 -p 1M -g 1M",
        "predict Qwen2.5-0.5B Zamba2-1.2B -d orin,rtx-4090 -r llama.cpp,ideal --set device.memory.bandwidth=1x,2x",
    ],
    "limits": ["limits GPT2-Large -d orin", "limits Qwen2.5-0.5B Zamba2-1.2B -d orin -r llama.cpp --lengths 1k,4k"],
    "crossover": [
        "crossover Qwen2.5-0.5B mamba2-780m -d orin -r transformers-4.52-eager,ideal",
        "crossover Phi-3-mini mamba2-2.7b Falcon-H1-1.5B -d orin -m memory",
        "crossover Qwen2.5-0.5B Zamba2-1.2B mamba2-780m -d orin -r llama.cpp,ideal -b 1,2 -m tpot",
    ],
    "explain": ["explain Qwen2.5-0.5B -d orin --formulas", "explain mamba2-780m -d orin -m throughput"],
    "show": [
        "show orin",
        "show transformers-4.52-eager",
        "show llama.cpp",
        "show rtx-4090@ssm-scope",
        "show desktop",
        "show mamba2-hybrid",
        "show orin Zamba2-1.2B llama.cpp rtx-4090@ssm-scope desktop",
    ],
    "validate": ["validate runs.csv --rows", "validate runs.csv --rows --calibration auto"],
    "compare": [
        "compare Qwen2.5-0.5B Qwen2.5-7B Zamba2-1.2B -d orin,raspberry-pi-5 -r llama.cpp,transformers-4.52-eager",
        "compare Qwen2.5-0.5B -d orin --set device.memory.bandwidth=1x,2x --price 2USD/h",
        "compare Qwen2.5-7B -d orin --fits",
    ],
    "devices": [],
    "models": ["models --kind ssm"],
}
"""Command lines beside the examples of the help."""
SHOWING = sorted(set(modules()) - {"explore", "import", "new", "report"})


def table(text):
    """The cells of a CSV by column; one header, and rows as long as it."""
    head, *rows = csv.reader(io.StringIO(text))
    assert all(head)
    assert len(set(head)) == len(head), f"a name heads two columns: {head}"
    assert {len(row) for row in rows} <= {len(head)}
    assert not [name for name in head if not re.fullmatch(r"[A-Za-z0-9_.*,{}\\^]+( \[[A-Za-z/]+\])?", name)]
    return {name: [row[i] for row in rows] for i, name in enumerate(head)}


def sort_of(cell):
    """The type that a reader takes a cell for."""
    if cell in ("True", "False"):
        return bool
    try:
        float(cell)
    except ValueError:
        return str
    return float


def sorts(cells):
    return {sort_of(cell) for cell in cells if cell}


def lines(name, examples):
    """The command lines that print a result."""
    shown = [line for line in examples(name) if name != "sweep" or " -o " not in line]
    return [*shown, *MORE.get(name, ())]


@pytest.mark.parametrize("name", SHOWING)
def test_every_command_gives_one_table_that_loads_without_repair_with_a_type_for_each_column(roofsim, examples, name):
    for line in lines(name, examples):
        text = roofsim(line, "-f", "csv")
        columns = table(text)
        mixed = {head: sorts(cells) for head, cells in columns.items() if len(sorts(cells)) > 1}
        assert mixed == {}, line
        if find_spec("pandas"):  # without it the types by ourselves are left
            loads(line, text, columns, whole=name in WHOLE)


WHOLE = ("predict", "compare", "crossover", "limits")
"""Commands in whose tables no truth value is left out."""


def loads(line, text, columns, *, whole):
    import pandas

    frame = pandas.read_csv(io.StringIO(text))
    yes_no = pandas.api.types.is_bool_dtype if whole else lambda x: set(x.dropna()) <= {True, False}
    wanted = {float: pandas.api.types.is_numeric_dtype, bool: yes_no}
    for head, cells in columns.items():
        for sort in sorts(cells):
            assert wanted.get(sort, lambda x: x.dropna().map(type).eq(str).all())(frame[head]), (line, head)


@pytest.mark.parametrize("command", ["predict", "limits", "crossover", "roofline", "compare"])
def test_a_table_of_intervals_says_what_they_rest_on(roofsim, command):
    for device, basis in (("rtx-4090", "calibrated"), ("rtx-5090", "prior")):
        columns = table(roofsim(f"{command} Qwen2.5-0.5B mamba2-780m -d {device} -f csv"))
        assert basis in columns["basis"]
