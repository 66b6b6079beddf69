"""Tables for people: whole numbers and names, whatever the width."""

from __future__ import annotations

import re

import pytest
from click.testing import CliRunner

from roofsim.cli import _options, group, modules
from roofsim.reports.formats import FORMATS

ANSI = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def shown(monkeypatch):
    """The tables that the last command rendered."""
    caught = []

    def spy(tables, *rest):
        caught[:] = tables
        return FORMATS["table"](tables, *rest)

    monkeypatch.setattr(_options, "FORMATS", {**FORMATS, "table": spy})
    return caught


def parted(word, tokens):
    """Whether a word is there in parts, each but the last of which ends with a hyphen."""
    ends = [i + 1 for i, letter in enumerate(word) if letter == "-"]
    return word in tokens or any(word[:i] in tokens and parted(word[i:], tokens) for i in ends if word[i:])


def cut(tables, text):
    """Numbers, headings and words of rows that the text does not show whole; it may part words at hyphens."""
    tokens = set(re.split(r"  +|\n| \| ", ANSI.sub("", text))) | set(ANSI.sub("", text).split())
    missing = []
    for table in tables:
        for row in table.rows:
            for column, value in zip(table.columns, row, strict=True):
                for word in column.text(value).split():
                    if word not in tokens and (column.numeric or not parted(word, tokens)):
                        missing.append((column.name, column.text(value)))
        missing += [(c.name, "heading") for c in table.columns if table.rows for w in c.name.split() if w not in tokens]
    return missing


@pytest.mark.parametrize("name", sorted(set(modules()) - {"explore", "import", "new", "report"}))
def test_no_number_heading_or_word_of_an_example_is_cut(roofsim, examples, shown, name):
    for line in examples(name):
        text = roofsim(line, "-f", "table")
        # but for lines that are for copying
        assert max(len(row) for row in text.splitlines() if not row.startswith("    ")) <= 80
        assert "…" not in text
        assert text.splitlines() == [row.rstrip() for row in text.splitlines()]
        assert shown
        assert cut(shown, text) == []


LONG = [
    "predict Falcon-H1-0.5B -d orin --operators",
    "predict Llama-3.1-8B -d raspberry-pi-5 -b 512 -p 1M -g 1M",
    "limits Qwen2.5-0.5B -d b200-sxm -b 64 --lengths 1k..16M*4",
    "crossover Phi-3-mini mamba2-2.7b Falcon-H1-1.5B -d orin -m memory",
    "crossover Qwen2.5-0.5B mamba2-780m -d raspberry-pi-5 -m energy",
    "roofline Zamba2-1.2B -d b200-sxm",
    "explain Zamba2-1.2B -d orin -m energy",
    "show Hymba-1.5B",
    "show transformers-4.52-eager",
    "compare Falcon-H1-1.5B mamba2-2.7b -d orin,jetson-agx-orin-64gb -p 1k --weights bf16,q4_k_m "
    "-r llama.cpp,transformers-5-eager",
    "predict Falcon-H1-1.5B Zamba2-1.2B -d orin,jetson-agx-orin-64gb -b 1,2 -r llama.cpp,transformers-5-eager",
    "limits Falcon-H1-1.5B Zamba2-1.2B -d orin,jetson-agx-orin-64gb -r llama.cpp,transformers-5-eager --lengths 1k,1M",
    "crossover Falcon-H1-1.5B Zamba2-1.2B -d orin,jetson-agx-orin-64gb -b 1,2 -r llama.cpp,transformers-5-eager",
    "show transformers-4.52-eager transformers-5-eager llama.cpp",
]


@pytest.mark.parametrize("line", LONG)
def test_no_number_heading_or_word_is_cut_at_80_columns(roofsim, shown, line):
    text = roofsim(line)
    assert max(map(len, text.splitlines())) <= 80
    assert cut(shown, text) == []


@pytest.mark.parametrize("width", ["20", "200"])
@pytest.mark.parametrize("line", [LONG[0], LONG[1], LONG[-1]])
def test_no_number_and_no_heading_is_cut_on_a_terminal_of_any_width(roofsim, shown, monkeypatch, line, width):
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    monkeypatch.setenv("COLUMNS", width)
    assert cut(shown, roofsim(line)) == []


def test_colour_appears_on_a_terminal_and_not_where_it_is_unwanted(here, monkeypatch):
    def coloured(*arguments):
        words = ["predict", "mamba2-780m", "-d", "orin", *arguments]
        return bool(ANSI.search(CliRunner().invoke(group, words, prog_name="roofsim", color=True).stdout))

    assert not coloured()
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    assert coloured()
    assert not any(coloured("-f", form) for form in ("json", "csv", "markdown"))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[34]\d", CliRunner().invoke(group, ["devices"], color=True).stdout)


def test_files_hold_no_colour_even_on_a_terminal(roofsim, here, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    roofsim("predict mamba2-780m -d orin -o out.txt")
    assert not ANSI.search((here / "out.txt").read_text(encoding="utf-8"))


def test_figures_have_three_digits_and_a_unit(roofsim):
    text = roofsim("predict mamba2-780m -d rtx-4090 -p 8k")
    for figure in (r"\d+\.?\d* ms", r"\d+\.?\d* GiB", r"\d+\.?\d* TFLOP", r"\d+\.\d%", r"\d+\.?\d* J"):
        assert re.search(figure, text)
    assert not re.search(r"\d\.\d{4}", re.sub(r"[\d.]+ USD", "", text))  # a dollar has no prefix


@pytest.mark.parametrize("line", ["explain Qwen2.5-0.5B -d rtx-4090", "show rtx-4090", "show rtx-4090 orin"])
def test_quantities_have_prefixes_and_no_powers_of_ten(roofsim, line):
    text = roofsim(line)
    assert re.search(r"\d us\b", text)
    assert not re.search(r"\de[-+]\d\d\b", text)


def test_csv_holds_raw_numbers_under_names_with_units(roofsim):
    text = roofsim("devices -f csv")
    head, *rows = (line.split(",") for line in text.splitlines())
    assert head == [
        "id", "capacity [B]", "bandwidth [B/s]", "matrix_peak [FLOP/s]", "ridge_point [FLOP/B]", "tdp [W]",
        "usable [B]",
    ]  # fmt: skip
    (card,) = [row for row in rows if row[0] == "rtx-4090"]
    assert [float(value) for value in card[1:4]] == [24 * 2**30, 1008e9, 165.2e12]


def test_each_interval_stands_beside_the_figure_that_it_is_of(shown, here):
    CliRunner().invoke(group, ["predict", "Qwen2.5-0.5B", "-d", "rtx-4090", "-p", "2k"], catch_exceptions=False)
    intervals = next(table for table in shown if table.title.startswith("95 % intervals"))
    said = {figure: tuple(float(x.value) for x in rest) for figure, *rest in intervals.rows}
    assert len(said) == 10
    assert all(low <= value <= high for value, low, high in said.values())
    request = shown[0]
    for column, value in zip(request.columns, request.rows[0], strict=True):
        if column.name not in ("batch", "prompt", "generate"):
            assert said[column.name][0] == float(value)
    passes = {figure: (prefill, decode) for figure, prefill, decode in shown[2].rows}
    busy = said["device busy, prefill"][0], said["device busy, decode"][0]
    assert busy == tuple(float(x.value) for x in passes["device busy"])


def test_runtimes_side_by_side_have_their_intervals_and_what_those_rest_on(roofsim, data):
    line = "predict Qwen2.5-0.5B -d orin -r transformers-4.52-eager,ideal"
    out = roofsim(line)
    rows = out.partition("95 % intervals")[2].partition("\n\n")[0].splitlines()[3:]
    assert [(row.split()[0], row.split()[-1]) for row in rows] == [
        ("transformers-4.52-eager", "calibrated"), ("ideal", "prior"),
    ]  # fmt: skip
    assert [each["basis"] for each in data(line)["runtimes"]] == ["calibrated", "prior"]


UNFIT = "Llama-3.1-70B -d orin -r llama.cpp --weights q4_k_m"


@pytest.mark.parametrize("command", ["predict", "explain", "roofline", "sensitivity", "predict -r llama.cpp,ideal"])
def test_a_request_that_does_not_fit_says_so_before_all_else(roofsim, command):
    name, _, more = command.partition(" ")
    line = f"{name} Llama-3.1-70B -d orin --weights q4_k_m {more or '-r llama.cpp'}"
    said = " ".join(roofsim(line).splitlines())
    assert said.startswith("Does not fit: needs 40.2 GiB of 6.00 GiB usable (8.00 GiB in all)")
    assert "Times are as if it did." in said
    assert said.index("Times are") < said.index("Llama-3.1-70B on")


def test_limits_of_what_fits_at_no_length_say_so_first(roofsim):
    said = " ".join(roofsim("limits Llama-3.1-8B -d orin").splitlines())
    assert said.startswith("Does not fit: needs 15.0 GiB of 6.00 GiB usable (8.00 GiB in all), at any length. Peak mem")
    assert "Does not fit" not in roofsim("limits Qwen2.5-0.5B -d orin -p 64k")


def test_what_does_not_fit_is_told_in_every_format(roofsim, data):
    found = data(f"predict {UNFIT}")
    assert not found["memory"]["fits"]
    assert found["cautions"][0].startswith("Does not fit: needs 40.2 GiB")
    assert roofsim(f"predict {UNFIT} -f markdown").startswith("**Does not fit: needs 40.2 GiB")
    assert roofsim("predict GPT2-Large -d rtx-4090 -p 1k -g 100").startswith("Does not fit: GPT2-Large has 1,024 pos")
    assert "Does not fit" not in roofsim("predict Qwen2.5-0.5B -d rtx-4090")
    assert data("predict Qwen2.5-0.5B -d rtx-4090")["cautions"] == []


def test_a_request_fits_what_the_runtime_takes_of_the_memory_and_no_more(roofsim, data):
    # vLLM takes 0.9 of the 23.5 GiB of a card that can be used: 21.2 GiB
    most = data("predict mamba2-780m -d rtx-4090 -r vllm")["limits"]["max_batch"]
    for batch, fits in ((most, True), (most + 1, False)):
        found = data(f"predict mamba2-780m -d rtx-4090 -r vllm -b {batch}")
        assert found["memory"]["fits"] is fits
        assert any("needs" in each for each in found["cautions"]) is not fits
        assert "vllm runs 128 sequences at once, the others wait" in found["cautions"]
    assert f"{most} (by memory), 128 of them at once." in " ".join(
        roofsim("limits mamba2-780m -d rtx-4090 -r vllm").split()
    )


def test_what_lies_beyond_the_context_window_says_so_above_its_times(roofsim):
    window = "Mind: beyond the context window of Qwen2.5-0.5B, 32,768 tokens."
    for command in ("predict", "explain", "roofline"):
        text = roofsim(f"{command} Qwen2.5-0.5B -d rtx-4090 -r ideal -p 32642 -g 128")
        assert text.splitlines()[0] == window
        assert text.count("context window of") == 1
        assert window not in roofsim(f"{command} Qwen2.5-0.5B -d rtx-4090 -r ideal -p 32641 -g 128")


def test_regimes_over_length_say_where_lengths_end(roofsim, data):
    text = " ".join(roofsim("explain Qwen2.5-0.5B -d rtx-4090 -r ideal").split())
    found = data("limits Qwen2.5-0.5B -d rtx-4090 -r ideal")["limits"]
    assert found["max_prompt"] == 32641
    said = (
        f"Longest prompt at this batch: 32,641 tokens (by the context window); memory holds {found['memory_prompt']:,}."
    )
    assert said in text
    assert data("explain Qwen2.5-0.5B -d rtx-4090 -r ideal")["limits"] == found


def test_tokens_per_second_say_what_they_divide(roofsim, data):
    line = "predict Qwen2.5-0.5B -d rtx-4090 -b 4 -g 100"
    text, request = " ".join(roofsim(line).split()), data(line)["request"]
    assert "tokens/s: 400 generated tokens over the total time, end to end; decode alone makes" in text
    assert f"decode alone makes {4 / request['tpot']:.0f} a second" in text
    assert request["tokens_per_second"] == pytest.approx(400 / request["total_time"])
    assert "tokens/s: output tokens of all sequences over the time of the whole request" in " ".join(
        roofsim("compare Qwen2.5-0.5B -d rtx-4090").split()
    )


def test_crossings_with_several_runtimes_have_intervals_and_say_what_they_rest_on(roofsim, data):
    line = "crossover Qwen2.5-0.5B mamba2-780m -d rtx-4090 -r transformers-4.52-eager,ideal"
    out = " ".join(roofsim(line).split())
    for each in data(line)["runtimes"]:
        low, high = each["pairs"][0]["crossings"][-1]["interval"]
        assert f"{each['runtime']}: the order is not certain at 95 % from {low:,} to {high:,}" in out
    assert re.search(r"calibration rtx-4090@ssm-scope: \d+ rows of ssmscope_rtx4090_orin_nano\.csv", out)
    assert "efficiencies are priors" in out
