"""Holding predictions against a file of runs: what is scored, with which runtime, and what is not and why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from roofsim import library
from roofsim.runs import cases

HEADER = "device,framework,model,phase,op,batch,prompt_len,context_len,metric,value,note"


@pytest.fixture
def csv_of(here: Path):
    def write(*rows: str, name: str = "runs.csv") -> str:
        (here / name).write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
        return name

    return write


def accounted(found) -> None:
    assert found["scored"] + sum(found["skipped"].values()) == found["figures"]
    assert found["scored"] == sum(score["rows"] for score in found["scores"])
    assert found["scored"] == sum(not row["flags"] for row in found["rows"])


def test_what_a_row_says_of_its_software_chooses_the_runtime(csv_of, data, roofsim):
    rows = [
        f"H100 SXM,{words},Qwen2.5-0.5B,decode,e2e,1,512,512,latency_s,0.003,"
        for words in ("llama.cpp b9292 (CUDA)", "vllm 0.23.0", "torch 2.11 transformers 5.17.0; eager", "",
                      "sglang 0.5.8", "quantum-lm 1.0")
    ]  # fmt: skip
    found = data(f"validate {csv_of(*rows)}")
    assert found["runtime"] is None
    assert [row["runtime"] for row in found["rows"]] == [
        "llama.cpp", "vllm", "transformers-5-eager", "transformers-4.52-eager",
    ]  # fmt: skip
    assert found["skipped"] == {
        "no runtime describes 'sglang 0.5.8'": 1,
        "no runtime describes 'quantum-lm 1.0'": 1,
    }
    accounted(found)
    for row in found["rows"]:
        alone = data(f"validate runs.csv -r {row['runtime']}")
        assert alone["runtime"] == row["runtime"]
        assert {each["runtime"] for each in alone["rows"]} == {row["runtime"]}
        assert alone["scored"] == alone["figures"] == 6
        same = next(each for each in alone["rows"] if each["line"] == row["line"])
        assert same == row
    assert "no runtime describes 'sglang 0.5.8'" in roofsim("validate runs.csv")


def test_every_row_that_is_not_scored_is_counted_with_its_reason(csv_of, data, roofsim, refused):
    good = "H100 SXM,vllm,Qwen2.5-0.5B,prefill,e2e,1,512,0,latency_s,0.01,"
    name = csv_of(
        good, good + "suspect=1", good + "host_contended=1", good + "suspect=1;host_contended=1",
        good.replace("512", "many"), good.replace("Qwen2.5-0.5B", "Nothing-1B"), good.replace("H100 SXM", "Abacus"),
        good.replace("e2e", "op:nothing"), good.replace("latency_s", "peak_mem_bytes").replace("0.01", "1e9"),
    )  # fmt: skip
    assert "line 6" in refused(f"validate {name}")
    found = data(f"validate {name} --skip-bad-rows")
    accounted(found)
    assert found["figures"] == 9
    assert len(found["rows"]) == 5
    assert found["skipped"] == {
        "marked suspect=1: predicted, not scored": 1,
        "marked host_contended=1: predicted, not scored": 1,
        "marked suspect=1 and host_contended=1: predicted, not scored": 1,
        "cannot be read: prompt_len: 'many' is not a whole number from 0 to 10^12": 1,
        "models: no 'Nothing-1B'": 1,
        "devices: no 'Abacus'": 1,
        "op op:nothing is not predicted": 1,
    }
    shown = roofsim(f"validate {name} --skip-bad-rows")
    assert "2 of 9 rows scored" in shown
    assert all(reason in shown for reason in found["skipped"])
    where = data(f"validate {name} --skip-bad-rows --where \"metric != 'latency_s'\"")
    accounted(where)
    assert where["skipped"]["left out by --where"] == 7


def test_our_own_rows_are_all_accounted_for(data):
    for name in ("h100_sxm_transformers_eager.csv", "epyc_2_cores_transformers_eager.csv"):
        path = Path(__file__).resolve().parents[2] / "data" / name
        found = data(f"validate {path}")
        accounted(found)
        assert found["figures"] == len(path.read_text(encoding="utf-8").splitlines()) - 1


@pytest.mark.parametrize("words", ["mine", "MINE", "My Own Card", "my-own-card", "own card", ""])
def test_rows_may_name_a_device_of_the_users_own_by_its_file_its_name_or_an_alias(here, csv_of, data, words):
    text = (library.folder("hardware") / "h100-sxm.yaml").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith(("name:", "aliases:"))]
    (here / "mine.yaml").write_text("\n".join(["name: My Own Card", "aliases: [own-card]", *lines]), encoding="utf-8")
    rows = [f"{device},vllm,Qwen2.5-7B,decode,e2e,1,512,512,latency_s,0.003," for device in (words, "H100 SXM")]
    found = data(f"validate {csv_of(*rows)} -d mine.yaml")
    assert [row["device"] for row in found["rows"]] == ["mine", "h100-sxm"]
    assert found["rows"][0]["predicted"] == found["rows"][1]["predicted"]
    halved = (here / "mine.yaml").read_text(encoding="utf-8").replace("3350 GB/s", "1675 GB/s")
    (here / "mine.yaml").write_text(halved, encoding="utf-8")
    slow, fast = data("validate runs.csv -d mine.yaml")["rows"]
    assert slow["predicted"] > fast["predicted"]


def test_pytorch_on_a_processor_of_the_users_own_is_that_of_processors(here, csv_of, data):
    text = (library.folder("hardware") / "ryzen-9-7950x.yaml").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith(("name:", "aliases:"))]
    (here / "my-box.yaml").write_text("\n".join(["name: My Box", *lines]), encoding="utf-8")
    row = "my box,torch 2.14 transformers 5.24.0; eager,Qwen2.5-0.5B,decode,e2e,1,512,512,latency_s,0.03,"
    (found,) = data(f"validate {csv_of(row)} -d my-box.yaml")["rows"]
    assert (found["device"], found["runtime"]) == ("my-box", "transformers-5-cpu")


def test_where_no_row_names_a_known_device_it_is_told_how_one_of_the_users_own_is_given(csv_of, refused):
    name = csv_of("my box,vllm,Qwen2.5-7B,decode,e2e,1,512,512,latency_s,0.003,")
    assert "`roofsim new device NAME`" in refused(f"validate {name}")
    assert "`roofsim new device NAME`" in refused(f"calibrate {name} -d h100-sxm -r vllm -o fit.yaml")
    assert "roofsim new" not in refused(f"validate {csv_of('H100,vllm,nope,decode,e2e,1,512,512,latency_s,0.003,')}")


def test_a_mode_of_a_device_is_not_taken_for_the_usual_one(csv_of, data):
    row = "Jetson Orin Nano 8GB,llama.cpp,Llama-3.2-1B,decode,e2e,1,512,512,latency_s,0.03,"
    name = csv_of(row, row + "power_mode=15W", row.replace("Jetson Orin Nano 8GB", ""))
    found = data(f"validate {name} -d orin@15w")
    usual = library.device("orin").id
    assert usual.partition("@")[2] != "15w"
    assert [each["device"] for each in found["rows"]] == [usual, *["jetson-orin-nano-8gb@15w"] * 2]


@pytest.mark.parametrize("words", ["tiny", "Tiny One", "./tiny.yaml"])
def test_rows_may_name_a_model_of_the_users_own(here, csv_of, data, refused, words):
    text = library.names("models")["Qwen2.5-0.5B"].read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith(("name:", "aliases:"))]
    (here / "tiny.yaml").write_text("\n".join(["name: Tiny One", *lines]), encoding="utf-8")
    name = csv_of(
        *(f"H100 SXM,vllm,{model},decode,e2e,1,512,512,latency_s,0.003," for model in (words, "Qwen2.5-0.5B"))
    )
    found = data(f"validate {name} -m tiny.yaml")
    assert [row["model"] for row in found["rows"]] == ["tiny", "Qwen2.5-0.5B"]
    assert found["rows"][0]["predicted"] == found["rows"][1]["predicted"]
    assert "absent.yaml" in refused(f"validate {name} -m absent.yaml")


def test_a_dtype_that_a_device_lacks_is_no_other_dtype(csv_of, data):
    row = "{},vllm,Qwen2.5-0.5B,prefill,e2e,1,512,0,latency_s,0.01,,{}"
    cells = [("T4", "fp32"), ("T4", "fp16"), ("T4", "bf16"), ("A100 SXM 80GB", "fp8"), ("A100 SXM 80GB", "")]
    name = csv_of(*(row.format(*each) for each in cells))
    path = Path(name)
    path.write_text(path.read_text(encoding="utf-8").replace(HEADER, f"{HEADER},dtype"), encoding="utf-8")
    found = data(f"validate {name}")
    assert [row["line"] for row in found["rows"]] == [2, 3, 4, 6]
    assert found["skipped"] == {"a100-sxm-80gb: no matrix peak for fp8": 1}


def test_an_operator_that_a_model_lacks_is_left_out_and_not_predicted_as_no_time(csv_of, data):
    row = "RTX 4090,PyTorch eager (transformers),{},prefill,{},1,512,0,latency_s,0.003,"
    operator = "op:aten::scaled_dot_product_attention"
    name = csv_of(row.format("mamba2-780m", operator), row.format("Qwen2.5-0.5B", operator))
    found = data(f"validate {name}")
    accounted(found)
    assert [row["model"] for row in found["rows"]] == ["Qwen2.5-0.5B"]
    assert found["skipped"] == {f"mamba2-780m has no operator that {operator} sums": 1}
    assert all(row["predicted"] > 0 for row in found["rows"])


def test_a_report_holds_figures_and_a_summary_and_is_the_same_each_time(here, csv_of, roofsim, refused):
    rows = [
        f"H100 SXM,{stack},{model},{phase},e2e,1,{n},{n if phase == 'decode' else 0},latency_s,{n * 1e-5},"
        for stack in ("vllm", "llama.cpp") for model in ("Qwen2.5-0.5B", "Llama-3.2-1B")
        for phase in ("prefill", "decode") for n in (512, 4096)
    ]  # fmt: skip
    name = csv_of(*rows)
    shown = roofsim(f"validate {name} --report out -q")
    files = {path.name: path.read_bytes() for path in (here / "out").iterdir()}
    assert set(files) == {"predicted.png", "predicted.pdf", "residuals.png", "residuals.pdf", "summary.md"}
    assert all(len(content) > 3000 for name, content in files.items() if name.endswith(".png"))
    summary = files["summary.md"].decode()
    assert "](predicted.png)" in summary
    assert "](residuals.png)" in summary
    assert "16 of 16 rows scored" in summary
    assert "16 of 16 rows scored" in shown
    roofsim(f"validate {name} --report out -q")
    assert {path.name: path.read_bytes() for path in (here / "out").iterdir()} == files
    assert "runs.csv" in refused("validate runs.csv --report runs.csv")


def test_scores_of_several_stacks_are_narrow_tables_each_and_the_worst_rows_say_their_lines(csv_of, roofsim):
    csv_of(
        "orin@15w,llama.cpp,Qwen2.5-0.5B,decode,e2e,1,512,512,latency_s,0.02,",
        "RTX 4090,torch 2.11 transformers 4.52,Qwen2.5-0.5B,decode,e2e,1,512,512,latency_s,0.5,",
    )
    out = roofsim("validate runs.csv")
    assert max(map(len, out.splitlines())) <= 80
    for stack in ("jetson-orin-nano-8gb@15w with llama.cpp", "rtx-4090 with transformers-4.52-eager"):
        assert out.splitlines().count(stack) == 1
    worst = out.partition("Worst rows\n")[2].splitlines()
    assert worst[0].startswith("line  model")
    assert [line.split()[:2] for line in worst[2:4]] == [["3", "Qwen2.5-0.5B"], ["2", "Qwen2.5-0.5B"]]


def test_raw_scores_are_one_table_whatever_the_stacks(csv_of, roofsim):
    csv_of(
        "orin,llama.cpp,Qwen2.5-0.5B,decode,e2e,1,512,512,latency_s,0.02,",
        "RTX 4090,vllm 0.23,Qwen2.5-0.5B,decode,e2e,1,512,512,latency_s,0.002,",
    )
    scores = roofsim("validate runs.csv -f csv").splitlines()
    assert scores[0].startswith("device,runtime,phase,metric,rows,")
    assert [line.split(",")[:2] for line in scores[1:]] == [
        ["jetson-orin-nano-8gb@maxn", "llama.cpp"], ["rtx-4090", "vllm"],
    ]  # fmt: skip


def test_of_more_configurations_than_are_predicted_some_are_evenly_spread(csv_of, data, monkeypatch):
    monkeypatch.setattr(cases, "MOST_APART", 3)
    row = "H100 SXM,vllm,Qwen2.5-0.5B,prefill,e2e,1,{},0,latency_s,{},"
    name = csv_of(*(row.format(64 * (1 + i % 5), 0.01 + i / 1e4) for i in range(10)))
    found = data(f"validate {name}")
    accounted(found)
    assert sorted(row["prompt"] for row in found["rows"]) == [64, 64, 192, 192, 320, 320]
    assert found["skipped"] == {"of 5 configurations 3 are predicted; --where chooses others": 4}
    assert data(f"validate {name} --where 'prompt_len < 200'")["scored"] == 6


# --- traces of a profiler, and files that leave open what was measured ---


@pytest.fixture
def trace(here):
    kernels = [
        {"ph": "X", "cat": "kernel", "name": "nvjet_tst_64x8", "ts": i, "dur": 10.0} for i in range(169)
    ]  # fmt: skip
    (here / "trace.json").write_text(json.dumps({"traceEvents": kernels}))


TRACED = "validate trace.json -m Qwen2.5-0.5B -d h100-sxm -r transformers-5-eager -p 512"


def test_a_trace_is_held_against_the_kernels_of_such_a_pass(trace, roofsim, data):
    shown = roofsim(TRACED)
    assert "kernels of the trace" in shown
    assert "decoder: q_proj" in shown
    found = data(TRACED)
    product = next(g for g in found["groups"] if g["group"] == "product")
    assert (product["launches"], product["predicted_launches"]) == (169, 169)
    assert product["measured"] == pytest.approx(169e-5)
    assert product["error"] == pytest.approx(product["predicted"] / product["measured"] - 1)
    step = data(f"{TRACED} --phase decode -b 4")
    assert step["phase"] == "decode"
    assert step["predicted"] < found["predicted"]
    assert data(f"{TRACED} --passes 169")["groups"][1]["measured"] == pytest.approx(1e-5)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("validate trace.json -d h100-sxm", "say what ran with one --model"),
        ("validate trace.json -m Qwen2.5-0.5B", "and --device"),
        (f"{TRACED} --where 'batch == 1'", "--where is for files of runs"),
        (f"{TRACED} --plot x.svg", "--plot is for files of runs"),
        (f"{TRACED} --passes 0", "--passes"),
        (f"{TRACED} --phase warm-up", "warm-up"),
        (f"{TRACED} --weights banana", "banana"),
        ("validate stage.json --phase decode", "--phase and --passes are for traces"),
    ],
)
def test_a_trace_that_is_not_told_enough_is_refused(trace, here, refused, line, reason):
    (here / "stage.json").write_text(json.dumps(STAGE))
    assert reason in refused(line)


STAGE = {
    "load_summary": {"count": 10, "concurrency": 1},
    "successes": {
        "count": 10,
        "latency": {"time_to_first_token": {"mean": 0.04}, "time_per_output_token": {"mean": 0.008}},
        "prompt_len": {"mean": 1024.0},
        "output_len": {"mean": 128.0},
    },
}


def test_what_a_file_does_not_state_is_said_beside_it(here, data, refused):
    (here / "stage.json").write_text(json.dumps(STAGE))
    line = "validate stage.json -d h100-sxm -r vllm"
    assert "the row names no model; say which with --model" in refused(line)
    rows = data(f"{line} -m Llama-3.1-8B --rows")["rows"]
    assert {(r["model"], r["phase"], r["prompt"]) for r in rows} == {
        ("Llama-3.1-8B", "prefill", 1024), ("Llama-3.1-8B", "decode", 1024)
    }  # fmt: skip
    fp8 = data(f"{line} -m Llama-3.1-8B --weights fp8 --rows")["rows"]
    assert [a["predicted"] > b["predicted"] for a, b in zip(rows, fp8, strict=True)] == [True, True]
    log = [("effective_scenario", "SingleStream"), ("result_first_token_mean_latency_ns", 4e7),
           ("result_time_to_output_token_mean", 8e6)]  # fmt: skip
    lines = [":::MLLOG " + json.dumps({"key": key, "value": value}) for key, value in log]
    (here / "detail.txt").write_text("\n".join(lines))
    same = data("validate detail.txt -d h100-sxm -r vllm -m Llama-3.1-8B -p 1024 -g 128 --rows")["rows"]
    assert [r["predicted"] for r in same] == [pytest.approx(r["predicted"]) for r in rows]
