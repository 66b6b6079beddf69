"""Several of a thing: one case alone looks as ever, several are a table, and each row says what is said of it alone."""

from __future__ import annotations

import csv
import io

import pytest

from roofsim import library

MODELS = ("Qwen2.5-0.5B", "mamba2-780m")
COMMANDS = ["predict", "limits", "explain", "roofline", "sensitivity", "sampling"]
BOTH = "Qwen2.5-0.5B mamba2-780m -d orin,rtx-4090"


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("command", COMMANDS)
def test_each_row_holds_what_is_said_of_it_alone(data, command):
    own = data(f"{command} {' '.join(MODELS)} -d rtx-4090 -p 2k")["rows"][1]
    alone = data(f"{command} {MODELS[1]} -d rtx-4090 -p 2k")
    assert own.pop("refused") is None
    assert {"schema": 1, **{name: each for name, each in own.items() if name != "chosen"}} == alone


def test_every_combination_is_a_row_the_last_choice_varying_fastest(data):
    chosen = [row["chosen"] for row in data(f"limits {BOTH} -p 1k,2k")["rows"]]
    assert [(each["model"], each["device"].partition("@")[0], each["prompt"]) for each in chosen] == [
        (model, device, n) for model in MODELS for device in ("jetson-orin-nano-8gb", "rtx-4090") for n in (1024, 2048)
    ]


def test_each_row_of_a_crossover_is_one_pair_in_one_combination(data):
    line = "crossover Qwen2.5-0.5B mamba2-780m"
    rows = data(f"{line} -d orin,rtx-4090")["rows"]
    assert [row["chosen"]["device"].partition("@")[0] for row in rows] == ["jetson-orin-nano-8gb", "rtx-4090"]
    assert all((row["chosen"]["a"], row["chosen"]["b"]) == MODELS for row in rows)
    assert rows[1]["pairs"] == data(f"{line} -d rtx-4090")["pairs"]
    many = data(f"{line} Falcon-H1-0.5B -d orin -b 1,2 --weights fp32 -m memory")["rows"]
    alone = data(f"{line} Falcon-H1-0.5B -d orin -b 2 --weights fp32 -m memory")["pairs"]
    assert [pair for row in many[3:] for pair in row["pairs"]] == alone


@pytest.mark.parametrize("command", COMMANDS)
def test_csv_of_several_is_the_csv_of_each_one_below_another(roofsim, command):
    found = rows_of(roofsim(f"{command} {BOTH}", "-f", "csv"))
    alone = rows_of(roofsim(f"{command} mamba2-780m -d rtx-4090", "-f", "csv"))
    named = {"model": "mamba2-780m", "device": "rtx-4090"}
    own = [row for row in found if named.items() <= row.items()]
    assert [{name: row[name] for name in alone[0]} for row in own] == alone
    assert all(row["refused"] == "" for row in found)


@pytest.mark.parametrize("command", [*COMMANDS, "crossover"])
def test_what_cannot_be_run_is_a_row_with_its_reason(roofsim, data, command):
    line = f"{command} {' '.join(MODELS)} -d orin -r llama.cpp,ideal --cache fp8"
    refused = [row for row in data(line)["rows"] if row["refused"]]
    assert {row["chosen"]["runtime"] for row in refused} == {"llama.cpp"}
    assert all("keeps no KV cache in fp8" in row["refused"] for row in refused)
    as_data = rows_of(roofsim(line, "-f", "csv"))
    assert {row["runtime"] for row in as_data if row["refused"]} == {"llama.cpp"}
    caches = {"cache", "cache_dtype"} & as_data[0].keys()
    assert {row[name] for row in as_data for name in caches} == {"fp8"}
    assert len(caches) == 1
    text = roofsim(line)
    assert "keeps no KV cache in fp8" in " ".join(text.partition("Cannot be run")[2].split())


@pytest.mark.parametrize("command", ["predict", "compare", "limits"])
def test_whether_it_fits_is_yes_or_no_of_what_cannot_be_run_too(roofsim, command):
    found = rows_of(roofsim(f"{command} Qwen2.5-0.5B Zamba2-1.2B -d orin -r llama.cpp", "-f", "csv"))
    assert {row["fits"] for row in found if row["refused"]} == {"False"}
    assert {row["fits"] for row in found if not row["refused"]} == {"True"}


def test_a_runtime_that_cannot_run_it_is_a_row_beside_those_that_can(data):
    rows = data("predict Qwen2.5-0.5B -d orin -r llama.cpp,ideal --cache fp8")["rows"]
    assert [bool(row["refused"]) for row in rows] == [True, False]


def test_all_runtimes_that_run_it_are_taken_apart_as_ever(data):
    found = data("predict Qwen2.5-0.5B -d orin -r transformers-4.52-eager,ideal")
    assert "contributions" in found["runtimes"][1]


def test_what_is_wrong_whatever_it_is_combined_with_is_an_error(refused):
    assert "no 'mamba2-780'" in refused("predict Qwen2.5-0.5B mamba2-780 -d orin")
    assert "'orinn'" in refused("limits Qwen2.5-0.5B -d orin,orinn")
    assert "--weights" in refused("predict Qwen2.5-0.5B -d orin --weights bf16,int3")
    assert "--set" in refused("predict Qwen2.5-0.5B -d orin --set device.memory.bandwith=1x,2x")


def test_models_may_be_set_off_by_commas_like_all_else(data):
    one, other = (data(f"limits {models} -d orin") for models in (" ".join(MODELS), ",".join(MODELS)))
    assert one == other
    assert len(data(f"crossover {','.join(MODELS)} -d orin -m memory")["pairs"]) == 1


def test_a_file_whose_name_holds_a_comma_is_one(data, here):
    (here / "my,own.yaml").write_bytes(library.names("hardware")["rtx-4090"].read_bytes())
    assert data("predict Qwen2.5-0.5B -d ./my,own.yaml")["device"] == "my,own"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("predict mamba2-130m mamba2-130m -d orin", "model: mamba2-130m is given twice"),
        ("limits mamba2-130m -d orin,jetson-orin-nano-8gb", "is given twice (orin is the same)"),
        ("predict mamba2-130m -d orin -b 1,2 --transfer --calibration none", "--calibration none wants none"),
        ("explain mamba2-130m -d orin -p 1..9000+1 -b 1,2", "18,000 combinations: a table holds up to 10,000"),
        (
            "limits mamba2-130m -d orin --set device.memory.capacity=1x --set device.memory.capacity=2x,3x",
            "given twice",
        ),
        ("predict mamba2-130m -d orin,", "empty value"),
    ],
)
def test_several_that_are_none_are_refused(refused, line, says):
    assert says in refused(line)


def test_nothing_may_be_generated_in_some_of_several(data):
    rows = data("predict mamba2-130m -d orin -g 0,128")["rows"]
    assert [row["chosen"]["generate"] for row in rows] == [0, 128]
    assert rows[0]["request"]["total_time"] == rows[0]["request"]["ttft"]
    assert data("compare mamba2-130m -d orin -g 0")["rows"][0]["total_time"] == rows[0]["request"]["ttft"]


def test_values_of_a_field_are_a_column(data, roofsim):
    line = "limits Qwen2.5-0.5B -d orin --set device.memory.capacity=1x,2x"
    chosen = [row["chosen"]["device.memory.capacity"] for row in data(line)["rows"]]
    assert chosen[1] == 2 * chosen[0]
    found = rows_of(roofsim(line, "-f", "csv"))
    assert {float(row["device.memory.capacity [B]"]) for row in found} == set(chosen)


def test_a_number_whose_thousands_are_parted_is_one(data):
    assert data("predict Qwen2.5-0.5B -d orin -p 4,096")["workload"]["prompt"] == 4096
    same = "predict Qwen2.5-0.5B -d rtx-4090 --set"
    with_comma, without = (data(f"{same} 'device.memory.bandwidth={text} GB/s'") for text in ("1,200", "1200"))
    assert with_comma["request"] == without["request"]


def test_a_transfer_is_one_in_every_row(data):
    line = "predict Qwen2.5-0.5B -d rtx-4090,rtx-3090 --transfer"
    rows = data(line)["rows"]
    assert [row["calibration"] for row in data(line.replace("predict", "compare"))["rows"]] == [
        row["calibration"] for row in rows
    ]
    assert rows[1]["calibration"] == data("predict Qwen2.5-0.5B -d rtx-3090 --transfer")["calibration"] is not None


def test_figures_of_more_cases_than_can_be_read_are_refused(refused):
    said = refused("limits mamba-130m mamba2-130m -d orin,rtx-4090 -b 1,2,4,8 --plot m.png")
    assert "--plot: a figure has room for 12 cases, not for 16" in said


@pytest.mark.parametrize(("option", "column"), [("--operators", "operator"), ("--explain", "change")])
def test_what_is_listed_of_one_case_is_listed_of_each(roofsim, option, column):
    found = rows_of(roofsim(f"predict {' '.join(MODELS)} -d orin {option}", "-f", "csv"))
    alone = rows_of(roofsim(f"predict {MODELS[1]} -d orin {option}", "-f", "csv"))
    assert [row[column] for row in found if row["model"] == MODELS[1]] == [row[column] for row in alone]
    text = roofsim(f"predict {' '.join(MODELS)} -d orin {option}")
    listed = text[text.index(f"  {column}") :]
    assert all(listed.count(f"\n{model} ") > 2 for model in MODELS)


def test_what_must_be_known_of_a_row_is_said_of_that_row(roofsim):
    # Qwen's window ends at 32,768
    text = " ".join(roofsim("predict Qwen2.5-0.5B mamba2-780m -d h100-sxm -p 40k").split())
    assert "Mind: beyond the context window of Qwen2.5-0.5B, 32,768 tokens (Qwen2.5-0.5B)." in text


def test_specs_side_by_side_have_the_fields_of_each_alone(roofsim, data):
    rows = data("show orin rtx-4090 Qwen2.5-0.5B")["rows"]
    for row, name in zip(rows, ("orin", "rtx-4090", "Qwen2.5-0.5B"), strict=True):
        alone = data(f"show {name}")
        assert {**{k: v for k, v in row.items() if k not in ("chosen", "refused")}, "schema": 1} == alone
    found = rows_of(roofsim("show orin Qwen2.5-0.5B rtx-4090@ssm-scope", "-f", "csv"))
    assert {row["kind"] for row in found} == {"device", "model", "calibration"}
    alone = rows_of(roofsim("show orin", "-f", "csv"))
    assert [{k: row[k] for k in alone[0]} for row in found if row["kind"] == "device"] == alone
    text = roofsim("show orin rtx-4090")
    (bandwidth,) = [line.split("  ") for line in text.splitlines() if line.startswith("memory.bandwidth")]
    assert [cell.strip() for cell in bandwidth if cell.strip()] == ["memory.bandwidth", "102 GB/s", "1.01 TB/s"]


def test_fields_of_specs_side_by_side_stand_behind_what_they_follow_alone():
    from roofsim.reports.specs_together import _merged

    assert _merged([["a", "b", "d"], ["a", "c", "d", "e"]]) == ["a", "c", "b", "d", "e"]
