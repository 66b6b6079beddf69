"""Reading files of measured runs, and predicting many of them at once."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from roofsim import library, predict
from roofsim.engine.energy import Activity, energy, units_energy
from roofsim.engine.passes import run_pass
from roofsim.foundation.errors import InputError, UnknownName, Unsupported
from roofsim.foundation.parameters import PARAMETERS
from roofsim.foundation.quantity import Time
from roofsim.foundation.schema import checked, variant
from roofsim.lowering.step import lower
from roofsim.model.step import Pass, Precision
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.request import predict_request
from roofsim.prediction.setup import setup
from roofsim.prediction.steps import decode, pieces, prefill, samples
from roofsim.runs import operators, stacks
from roofsim.runs.cases import Reader, Skip, network_named
from roofsim.runs.columns import METRICS, column, measured
from roofsim.runs.importers import read_runs
from roofsim.runs.names import device_named, made_with
from roofsim.runs.operators import Sizes, part_of
from roofsim.runs.program import Program
from roofsim.runs.reading import Run, notes, read_csv
from roofsim.runs.stacks import runtime_of
from roofsim.runs.targets import Jobs, Target
from roofsim.runs.where import parse
from roofsim.specs.calibration import HOST_MATTERS
from roofsim.specs.workload import workload

HEADER = "device,model,phase,op,batch,prompt_len,metric,value"
ROW = "RTX 4090,Qwen2.5-0.5B,prefill,e2e,1,4096,latency_s,0.05"


def run(**fields) -> Run:
    empty = dict.fromkeys(Run._fields, "") | dict.fromkeys(("batch", "prompt", "context", "generated"))
    start = {"line": 1, "device": "RTX 4090", "model": "Qwen2.5-0.5B", "phase": "prefill", "op": "e2e", "batch": 1,
             "prompt": 1024, "metric": "latency_s", "value": 1.0}  # fmt: skip
    return Run(**(empty | start | fields))


@pytest.fixture
def csv_of(tmp_path: Path):
    def write(*lines: str) -> str:
        path = tmp_path / "runs.csv"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return str(path)

    return write


# --- what is read ---


@pytest.mark.parametrize(
    ("header", "cell", "metric", "value"),
    [
        ("latency_ms", "12.5", "latency_s", 0.0125),
        ("Latency [us]", "40", "latency_s", 40e-6),
        ("ttft (s)", "1", "latency_s", 1),
        ("device_time_ns", "5e6", "device_time_s", 5e-3),
        ("Peak memory (GiB)", "2", "peak_mem_bytes", 2**31),
        ("peak_mem_mb", "3", "peak_mem_bytes", 3e6),
        ("energy_mJ", "250", "energy_j", 0.25),
        ("throughput_tok_s", "1,200.5", "throughput_tok_s", 1200.5),
        ("kernel_count", "1030", "kernel_count", 1030),
    ],
)
def test_a_column_per_figure_is_read_in_the_unit_of_its_header(csv_of, header, cell, metric, value):
    (found,) = read_csv(
        csv_of(f"gpu;model;stage;seq_len;{header}".replace(";", ","), f'RTX 4090,m,prefill,64,"{cell}"')
    ).runs
    assert (found.metric, found.value) == (metric, pytest.approx(value))
    assert (found.device, found.phase, found.prompt) == ("RTX 4090", "prefill", 64)


def test_names_of_figures_that_tell_the_phase_need_no_column_for_it(csv_of):
    found = read_csv(csv_of("model,prompt,ttft_ms,tpot_ms", "m,64,5,2")).runs
    assert [(each.phase, each.value) for each in found] == [("prefill", 5e-3), ("decode", 2e-3)]


def test_a_unit_may_stand_in_a_column_in_the_metric_or_in_the_header_of_the_value(csv_of):
    one = read_csv(csv_of("model,phase,metric,value,unit", "m,prefill,latency,7,ms")).runs
    two = read_csv(csv_of("model,phase,metric,value", "m,prefill,latency_ms,7")).runs
    three = read_csv(csv_of("model,phase,metric,value (ms)", "m,prefill,latency,7")).runs
    assert [r.value for r in (*one, *two, *three)] == pytest.approx([7e-3] * 3)


def test_every_metric_of_the_schema_is_its_own_name():
    for name in METRICS:
        found = measured(name)
        assert found is not None
        assert (found.metric, found.factor) == (name, 1)


def test_columns_that_are_not_known_are_ignored_and_the_file_is_not_changed(csv_of):
    path = csv_of(HEADER + ",colour,time", ROW + ",blue,noon")
    before = Path(path).read_bytes()
    (found,) = read_csv(path).runs
    assert found.value == 0.05
    assert Path(path).read_bytes() == before


def test_counts_may_be_written_as_people_write_them(csv_of):
    (found,) = read_csv(csv_of("model,phase,seq_len,batch_size,latency_s", "m,prefill,32k,8.0,1")).runs
    assert (found.prompt, found.batch) == (32768, 8)


def test_a_byte_order_mark_and_empty_lines_do_no_harm(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_bytes(("\ufeff\n" + HEADER + "\n\n" + ROW + "\n\n").encode())
    assert len(read_csv(str(path)).runs) == 1


@pytest.mark.parametrize(("sign", "value"), [(",", "1,234.5"), (";", "1234,5"), (";", " 1234,5 "), ("\t", "1,234.5")])
def test_cells_are_set_off_as_spreadsheets_do(csv_of, sign, value):
    row = [*ROW.split(",")[:-2], "throughput_tok_s", f'"{value}"' if sign == "," else value]
    (found,) = read_csv(csv_of("", HEADER.replace(",", sign), sign.join(row))).runs
    assert (found.value, found.line, found.prompt) == (1234.5, 3, 4096)


def test_notes_hold_pairs_and_flags_with_reasons():
    found = run(note="std=0.1;suspect=1 (first call);free text")
    assert notes(found.note)["std"] == "0.1"
    assert found.stated("suspect")
    assert not found.stated("std")


def test_a_hundred_thousand_rows_are_read(tmp_path):
    path = tmp_path / "many.csv"
    path.write_text(HEADER + "\n" + (ROW + "\n") * 100_000)
    assert len(read_csv(str(path)).runs) == 100_000


# --- what is refused ---


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("RTX 4090,m,prefill,e2e,1,64,latency_s,nan", "'nan' is not finite"),
        ("RTX 4090,m,prefill,e2e,1,64,latency_s,-0.5", "not a positive number"),
        ("RTX 4090,m,prefill,e2e,1,64,latency_s,0", "not a positive number"),
        ("RTX 4090,m,prefill,e2e,1,64,latency_s,inf", "'inf' is not finite"),
        ("RTX 4090,m,prefill,e2e,1,64,latency_s,fast", "'fast' is not a number"),
        ('RTX 4090,m,prefill,e2e,1,64,latency_s,"0,012"', "'0,012' is not a number"),
        ("RTX 4090,m,prefill,e2e,1,64,latency_s,1e9", "is the unit right"),
        ("RTX 4090,m,prefill,e2e,1.5,64,latency_s,1", "batch: '1.5' is not a whole number"),
        ("RTX 4090,m,prefill,e2e,1,-3,latency_s,1", "prompt_len: '-3' is not a whole number"),
        ("RTX 4090,m,prefill,e2e,1,64,colour,1", "metric 'colour' is not known"),
        ("RTX 4090,m,prefill,e2e,1,64,latency_gb,1", "'gb' is no unit of latency_s"),
        ("RTX 4090,m,,e2e,1,64,latency_s,1", "phase is missing"),
        ("RTX 4090,m,prefill", "3 cells under 8 columns"),
    ],
)
def test_a_wrong_row_is_named_by_its_line_and_left_out_only_on_demand(csv_of, row, reason):
    path = csv_of(HEADER, ROW, row, ROW)
    with pytest.raises(InputError, match="line 3: ") as caught:
        read_csv(path)
    assert reason in str(caught.value)
    assert "--skip-bad-rows" in str(caught.value)
    found = read_csv(path, skip_bad_rows=True)
    assert [r.line for r in found.runs] == [2, 4]
    assert [b.line for b in found.bad] == [3]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        (HEADER + "\n", "no rows"),
        ("device,model\nx,y\n", "no column 'metric', 'value'"),
        ("phase,metric,value\nprefill,latency_s,1\n", "no column 'model'"),
        ("model,prompt,ttft\nm,64,5\n", "'ttft' has no unit"),
        ("model,prompt,ttft_gb\nm,64,5\n", "'gb' is no unit"),
        ("model,prompt,seq_len,ttft_ms\nm,64,64,5\n", "both mean prompt_len"),
    ],
)
def test_a_file_that_holds_no_runs_is_refused_with_the_reason(tmp_path, text, reason):
    path = tmp_path / "runs.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=reason):
        read_csv(str(path))


def test_binary_and_absent_files_are_refused(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_bytes(b"\xff\xfe\x00\x01,\n\x00")
    for each in (path, tmp_path / "absent.csv", tmp_path):
        with pytest.raises(InputError, match=each.name):
            read_runs(str(each))


def test_many_wrong_rows_are_listed_in_part(csv_of):
    with pytest.raises(InputError, match="15 more wrong rows"):
        read_csv(csv_of(HEADER, *["RTX 4090,m,prefill,e2e,1,64,latency_s,x"] * 25))


def test_a_header_says_the_same_column_whatever_its_case_and_its_signs():
    assert column("Batch Size") == column("batch_size") == column("BATCH-SIZE") == "batch"
    assert column("colour") is None


# --- filters ---


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("op == 'e2e'", True),
        ("prompt_len > 1024", False),
        ("prompt_len >= 1024 and not host_contended", True),
        ("batch in (1, 8) or value > 5", True),
        ("'4090' in device", True),
        ("1 <= batch <= 4", True),
        ("std < 0.2", True),
        ("host_contended", False),
        ("suspect", False),
        ("device > 3", False),
        ("-1 < batch", True),
    ],
)
def test_a_filter_looks_at_columns_and_at_notes(text, kept):
    row = run(note="std=0.1;host_contended=0")
    assert parse(text, [row])(row) is kept


@pytest.mark.parametrize(
    "text", ["", "batch ==", "__import__('os')", "batch + 1", "model.x", "[b for b in model]", "-model", "lambda: 1"]
)
def test_a_filter_that_is_more_than_a_comparison_is_refused(text):
    with pytest.raises(InputError, match="--where"):
        parse(text, [run()])


@pytest.mark.parametrize(("name", "near"), [("batchs", "batch"), ("prompt_length", "prompt_len"), ("stdd", "std")])
def test_a_filter_of_what_no_row_has_is_answered_with_what_they_have(name, near):
    with pytest.raises(UnknownName, match=f"no '{name}'; nearest: .*{near}"):
        parse(f"op == 'e2e' and {name} < 1", [run(), run(note="std=0.1")])


# --- names ---


@pytest.mark.parametrize(
    ("words", "mode", "clock", "name"),
    [
        ("RTX 4090 24GB", "", "", "rtx-4090"),
        ("NVIDIA GeForce RTX 4090", "", "", "geforce-rtx-4090"),
        ("NVIDIA A100-SXM4-80GB", "", "", "a100-sxm4-80gb"),
        ("A100 PCIe 40GB", "", "", "a100-pcie-40gb"),
        ("Tesla V100-SXM2-32GB", "", "", "v100-sxm2-32gb"),
        ("NVIDIA H100 80GB HBM3", "", "", "h100-80gb-hbm3"),
        ("H100 SXM 80GB", "", "", "h100-sxm-80gb"),
        ("RTX 4070 Ti 12GB", "", "", "rtx-4070-ti"),
        ("AMD Ryzen AI Max+ 395 (Strix Halo, 128GB)", "", "", "amd-ryzen-ai-max-395"),
        ("RTX PRO 6000 Blackwell Server", "", "", "rtx-pro-6000-blackwell"),
        ("AMD EPYC 7001 2 cores", "", "", "amd-epyc-7001-2-cores"),
        ("Jetson Orin Nano 8GB Super", "15W", "612", "jetson-orin-nano-8gb@15w"),
        ("Jetson Orin Nano 8GB", "MAXN", "", "jetson-orin-nano-8gb@maxn"),
        ("Jetson Orin Nano 8GB", "MAXN_SUPER", "1020", "jetson-orin-nano-8gb@maxn"),
        ("Jetson Orin Nano 8GB Super", "25W", "820", "jetson-orin-nano-8gb@25w"),
        ("Jetson Orin Nano 8GB Super", "25W", "918", "jetson-orin-nano-8gb@25w"),
        ("orin@15W", "", "", "orin@15w"),
        ("Jetson Orin Nano 8GB @ MAXN Super", "", "", "jetson-orin-nano-8gb@maxn"),
        ("jetson-orin-nano-8gb@25w", "25W", "820", "jetson-orin-nano-8gb@25w"),
        ("NVIDIA H100 80GB HBM3 @ 700 W", "", "", "h100-80gb-hbm3"),
        ("Apple M2 Ultra (76-core GPU, 192GB)", "", "", "apple-m2-ultra"),
        ("Apple M2 Ultra (76-core GPU, 64GB)", "", "", "apple-m2-ultra"),
    ],
)
def test_devices_are_found_in_free_text(words, mode, clock, name):
    assert device_named(words, mode, clock) == name


@pytest.mark.parametrize(
    ("words", "model"),
    [
        ("LLaMA-3-70B", "Llama-3.1-70B"),
        ("meta-llama/Meta-Llama-3-70B-Instruct", "Llama-3.1-70B"),
        ("LLaMA-7B", "Llama-2-7B"),
        ("meta-llama/Llama-2-13b-hf", "Llama-2-13B"),
        ("meta-llama/Llama-2-70b-chat-hf", "Llama-2-70B"),
        ("Qwen/Qwen2.5-14B-Instruct", "Qwen2.5-14B"),
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-8B", "Llama-3.1-8B"),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-32B", "DeepSeek-R1-Distill-Qwen-32B"),
        ("google/gemma-3-27b-it", "Gemma-3-27B"),
        ("EleutherAI/gpt-j-6b", "GPT-J-6B"),
        ("microsoft/Phi-4-mini-instruct", "Phi-4-mini"),
        ("mistralai/Mistral-Nemo-Instruct-2407", "Mistral-Nemo-12B"),
        ("nvidia/NVIDIA-Nemotron-3-Ultra-550B-A55B-NVFP4", "Nemotron-3-Ultra-550B-A55B"),
        ("LFM2-350M", "LFM2-350M"),
    ],
)
def test_models_are_found_as_files_name_them(words, model):
    assert network_named(words).id == model


@pytest.mark.parametrize(
    "words",
    [
        "RTX 3080 Ti", "RTX 3080 12GB", "RTX 4080 SUPER", "RTX 4070 Ti SUPER", "RTX 4090 Laptop", "H200 NVL",
        "Apple M4 Ultra", "Jetson Orin Nano 4GB", "AMD EPYC 9654 (96 cores)", "A10G",
    ],
)  # fmt: skip
def test_another_kind_of_a_device_is_not_taken_for_it(words):
    with pytest.raises(UnknownName):
        device_named(words)


@pytest.mark.parametrize(("words", "mode"), [("H100 80GB (SKU not stated)", ""), ("toaster", ""),
                                             ("Jetson Orin Nano 8GB Super", "10W"), ("RTX 4090", "15W"),
                                             ("orin@10w", "")])  # fmt: skip
def test_a_device_that_is_left_open_is_not_guessed(words, mode):
    with pytest.raises(UnknownName):
        device_named(words, mode)


@pytest.mark.parametrize(
    ("framework", "runtime", "same"),
    [
        ("llama.cpp b2824 (CUDA)", "llama.cpp", True),
        ("ik_llama.cpp (Dec 2024, -rtr 1) CPU", "llama.cpp-b4384-cpu", False),
        ("torch 2.11 transformers 5.17.0", "transformers-5-eager", True),
        ("torch 2.11 transformers 5.17.0", "transformers-4.52-eager", False),
        ("PyTorch eager (transformers / mamba_ssm)", "transformers-4.52-eager", True),
        ("vllm 0.19.0", "transformers-5-eager", False),
        ("trtllm 1.0", "vllm", False),
        ("", "vllm", True),
        ("my own code", "vllm", True),
        ("transformers static cache, eager", "transformers-5-static-eager", True),
        ("transformers static cache, eager", "transformers-5-static", False),
        ("transformers static cache, captured graph", "transformers-5-static", True),
        ("transformers static cache, captured graph", "transformers-5-static-eager", False),
        ("transformers static cache, torch.compile", "transformers-5-static", False),
        ("transformers static cache, torch.compile", "transformers-5-static-eager", False),
        ("transformers static cache, eager", "transformers-5-eager", False),
        ("torch 2.11 transformers 5.17.0; eager, SDPA", "transformers-5-static-eager", False),
    ],
)
def test_software_that_is_named_must_be_the_runtimes(framework, runtime, same):
    assert made_with(run(framework=framework), library.runtime(runtime)) is same


@pytest.mark.parametrize(
    ("framework", "runtime"),
    [
        ("llama.cpp b9292 (CUDA, llama-server)", "llama.cpp"),
        ("llama.cpp b2824 (CUDA)", "llama.cpp-b2824"),
        ("vllm", "vllm"),
        ("vllm 0.12.0", "vllm"),
        ("transformers static cache, captured graph", "transformers-5-static"),
        ("transformers static cache, eager", "transformers-5-static-eager"),
        ("torch 2.11.0+cu130 transformers 5.17.0; eager, SDPA", "transformers-5-eager"),
        ("PyTorch eager (transformers / mamba_ssm)", "transformers-4.52-eager"),
        ("", None),
    ],
)
def test_a_row_says_which_runtime_it_was_made_with(framework, runtime):
    assert runtime_of(run(framework=framework)) == runtime


@pytest.mark.parametrize(
    "framework",
    ["sglang 0.5.8.post1", "trtllm 1.0.0rc3", "TensorRT-LLM 0.6.1", "LMDeploy TurboMind 0.2.0 (CUDA 11.8)",
     "ik_llama.cpp (Dec 2024, -rtr 1) CPU", "transformers static cache, torch.compile"],
)  # fmt: skip
def test_software_that_no_runtime_describes_is_named_as_such(framework):
    with pytest.raises(Unsupported, match="no runtime describes"):
        runtime_of(run(framework=framework))


def test_requests_that_a_stack_does_not_take_at_once_wait_for_their_turn():
    reader = Reader("vllm", "h100-sxm")

    def parts(batch, **more):
        row = run(device="", model="Qwen2.5-0.5B", phase="decode", batch=batch, context=256, generated=1, **more)
        return reader.case(row).target.parts

    (one,), (two,), (three,) = parts(128), parts(256), parts(300)
    assert (one[0], two[0], three[0]) == (1, 2, 3)
    assert two[1] == one[1]  # two turns of 128
    (told,) = parts(256, note="max_num_seqs=256")
    assert told[0] == 1
    assert told[1] != one[1]


def test_steps_of_a_batch_have_what_is_left_of_its_prompts_among_them_unless_prompts_were_apart():
    reader = Reader("vllm", "h100-sxm")

    def parts(**more):
        fields = {"batch": 64, "prompt": 1024, "context": 1024, "generated": 33} | more
        return reader.case(run(device="", model="Qwen2.5-0.5B", phase="decode", **fields)).target.parts

    *steps, (share, _) = parts()
    assert tuple(steps) == parts(note="prompts=apart")
    assert share == 1 / 32
    assert sum(each for each, _ in steps) == pytest.approx(1)
    assert [len(parts(prompt=prompt)) for prompt in (None, 1024)] == [3, 4]
    assert sum(each for each, _ in parts(batch=8)) == pytest.approx(1)


# --- many at once ---

STACKS = [
    ("Qwen2.5-0.5B", "rtx-4090", "transformers-4.52-eager"),
    ("Zamba2-1.2B", "rtx-4090", "transformers-4.52-eager"),
    ("mamba2-780m", "h100-sxm", "transformers-5-eager"),
    ("mamba-790m", "orin", "cuda-graph"),
    ("Llama-3.2-1B", "h100-sxm", "vllm"),
    ("Llama-3.2-1B", "rtx-3090", "llama.cpp-b2824"),
    ("Falcon-H1-0.5B", "t4", "transformers-4.52-eager"),
]


def targets(s, w, jobs):
    """What each figure of a request is a sum over, as rows of runs state it."""
    steps = max(w.generate - 1, 0)
    mean = [(share, decode(s, w, done)) for share, done in samples(steps)]
    whole = [*pieces(s, w), *((share * steps, p) for share, p in mean)]
    held = Evaluation(s, w).memory
    return {
        "ttft": jobs.target(s, "wall", pieces(s, w), w.dtype),
        "tpot": jobs.target(s, "wall", mean, w.dtype),
        "device_time": jobs.target(s, "device", pieces(s, w), w.dtype),
        "decode_device_time": jobs.target(s, "device", [(1, decode(s, w))], w.dtype),
        "energy": jobs.target(s, "energy", whole, w.dtype),
        "total": jobs.target(s, "wall", whole, w.dtype),
        "peak": Target("memory", constant=float(held.peak - held.workspace)),
    }


@pytest.mark.parametrize(("model", "device", "runtime"), STACKS)
@pytest.mark.parametrize(("batch", "prompt"), [(1, 100), (4, 4096)])
def test_figures_computed_at_once_are_those_of_a_prediction(model, device, runtime, batch, prompt):
    s = setup(model, device, runtime)
    w = workload(batch=batch, prompt=prompt, generate=64, dtype=s.device.default_dtype, logits=s.runtime.logits)
    p = predict_request(s, w)
    jobs = Jobs()
    found = targets(s, w, jobs)
    values = dict(zip(found, Program(list(found.values()), jobs, s.device, s.host, s.runtime).predict({}), strict=True))
    assert values == pytest.approx(
        {
            "ttft": p.request.ttft,
            "tpot": p.request.tpot,
            "device_time": p.prefill.device_time,
            "decode_device_time": p.decode.device_time,
            "energy": p.request.energy,
            "total": p.request.total_time,
            "peak": p.memory.peak,
        },
        rel=1e-9,
    )


def test_a_parameter_changes_what_it_changes_in_a_prediction():
    s = setup("mamba2-780m", "rtx-4090", "transformers-4.52-eager")
    w = workload(prompt=2048, logits="all")
    jobs = Jobs()
    program = Program([targets(s, w, jobs)["device_time"]], jobs, s.device, s.host, s.runtime)
    changed = run_pass(replace(s, parameters={"gemm_efficiency": 0.4}).stack(w.dtype), prefill(s, w))
    assert program.predict({"gemm_efficiency": 0.4}) == pytest.approx([changed.device_time])


@pytest.mark.parametrize(("model", "device", "runtime"), STACKS[1::2])
def test_a_program_that_was_asked_before_says_what_a_new_one_says(model, device, runtime):
    s = setup(model, device, runtime)
    w, jobs = workload(prompt=512, generate=4, dtype=s.device.default_dtype), Jobs()
    asked = list(targets(s, w, jobs).values())
    program, values = Program(asked, jobs, s.device, s.host, s.runtime), s.machine(w.dtype).parameters
    for name in PARAMETERS:
        moved = {**values, name: values[name] * 0.9}
        program.predict(values)
        fresh = Program(asked, jobs, s.device, s.host, s.runtime)
        assert program.predict(moved).tolist() == fresh.predict(moved).tolist(), name


@pytest.mark.parametrize(("runtime", "launch"), [("vllm", None), ("llama.cpp", None), ("llama.cpp", "1 s")])
def test_the_host_matters_in_a_row_where_it_does_in_its_prediction(runtime, launch):
    s = setup("Qwen2.5-7B", "h100-sxm", runtime)
    if launch:  # what a call takes before the first kernel counts as well
        policy = variant(s.runtime.host, launch=checked(Time, {"value": launch, "source": "made up"}))
        s = replace(s, runtime=variant(s.runtime, host=policy))
    jobs, walls, expected = Jobs(), [], []
    for prompt in (1, 64, 512, 1024, 4096, 16384):
        w = workload(prompt=prompt)
        walls.append(targets(s, w, jobs)["ttft"])
        e = Evaluation(s, w)
        expected.append(e.prefill.host_time > HOST_MATTERS * e.prefill.device_time)
    program = Program(walls, jobs, s.device, s.host, s.runtime)
    assert program.host_bound({}).tolist() == expected
    assert any(expected) or launch is None
    assert not all(expected) or launch


def test_the_steps_that_stand_for_all_weigh_as_one():
    for steps in (0, 1, 2, 7, 100):
        assert sum(share for share, _ in samples(steps)) == pytest.approx(1)
        assert all(0 <= at <= max(steps - 1, 0) for _, at in samples(steps))


# --- rows of operators ---


GDN = "num_k_heads=16;head_k_dim=128;num_v_heads=32;head_v_dim=128"


@pytest.mark.parametrize(
    ("op", "fields", "note"),
    [
        ("gemm", {}, "m=64;n=4096;k=4096"),
        ("attention_prefill", {"prompt": 4096}, "heads=32;kv_heads=8;head_dim=128"),
        ("attention_decode", {"context": 4096, "prompt": None}, "heads=32;kv_heads=8;head_dim=128;kv_dtype=fp8"),
        ("sdpa_causal", {"prompt": 0}, "H=14;D=64;L=256;kv_expanded"),
        ("copy", {}, "bytes_read_plus_written=2097152"),
        ("rmsnorm_eager", {}, "L=1024;d=1536"),
        ("causal_conv1d", {"prompt": 0}, "D=3072;L=256"),
        ("selective_scan", {"prompt": 0}, "D=3072;N=16;L=256"),
        ("ssd_chunk_scan", {"prompt": 0}, "H=48;P=64;N=128;chunk=256;L=256"),
        ("mamba2:causal_conv1d_update", {"phase": "decode"}, "d_state=128;d_conv=4;nheads=64;head_dim=64;n_groups=8"),
        ("mamba2:causal_conv1d_fn", {"prompt": 64}, "d_state=128;d_conv=4;nheads=64;head_dim=64;n_groups=8"),
        ("mamba2:selective_state_update", {"phase": "decode"}, "effective_batch=64;head_dim=64;d_state=128;n_groups=8"),
        ("gdn:chunk_gated_delta_rule", {"prompt": 4096}, GDN),
        ("gdn:chunk_gated_delta_rule_flashinfer", {"prompt": 4096}, GDN),
        ("gdn:fused_recurrent_gated_delta_rule_packed_decode", {"phase": "decode"}, GDN),
        ("kda:chunk_kda_with_fused_gate", {"prompt": 4096}, GDN),
        ("kda:flashkda_fwd", {"prompt": 4096}, GDN),
        ("kda:fused_recurrent_kda_packed_decode", {"phase": "decode"}, GDN),
        ("linear_recurrence_scan", {"prompt": 4096}, "channels=1536"),
    ],
)
def test_a_row_of_one_operator_is_predicted_from_the_sizes_in_its_note(op, fields, note):
    reader = Reader("vllm")
    case = reader.case(run(op=op, note=note, phase=fields.pop("phase", "op"), model="", **fields))
    device = library.device("rtx-4090")
    (value,) = Program([case.target], reader.jobs, device, None, reader.runtime).predict({})
    assert 1e-7 < value < 1e-2


def kernels_of(op, note, **fields):
    """The kernels of a row about one operator in bf16 with states in fp32."""
    return operators.kernels_of(op, Sizes(run(op=op, note=note, **fields)), Precision(), library.runtime("vllm"))


def test_a_graph_of_one_call_of_attention_is_replayed_and_a_step_sums_up_its_splits():
    note, source = "heads=32;kv_heads=8;head_dim=128", "ai-dynamo/aiconfigurator@1:systems/x.parquet"
    prefill = kernels_of("attention_prefill", note, prompt=4096, source=source)
    assert [k.like for k in prefill] == ["replay", "attention"]
    assert [k.like for k in kernels_of("attention_prefill", note, prompt=4096, source="mine")] == ["attention"]
    step = kernels_of("attention_decode", note, context=4096, source=source)
    assert [k.like for k in step] == ["replay", "attention", "stream"]
    assert step[1].cost.state == 4096 * 8 * 256 * 2
    assert [k.like for k in kernels_of("sdpa_decode", note, context=4096, source=source)] == ["attention"]


def test_a_row_of_a_state_update_may_give_heads_of_all_sequences():
    (step,) = kernels_of("mamba2:selective_state_update", "effective_batch=64 (all);head_dim=4;d_state=8;n_groups=2")
    assert step.cost.state == 2 * 64 * 4 * 8 * 4
    row = run(op="mamba2:selective_state_update", model="mamba2-780m", phase="decode", prompt=0, metric="latency_s",
              note="effective_batch=64;head_dim=4;d_state=8;n_groups=2;state_dtype=f16")  # fmt: skip
    reader = Reader("vllm")
    (group,) = reader.jobs[reader.case(row).target.parts[0][1]].groups
    assert group.kernels[0].cost.state == 2 * 64 * 4 * 8 * 2


def test_tensorrts_convolution_has_a_block_for_each_channel_that_waits_three_times_for_every_1024_tokens():
    note = "d_state=128;nheads=64;head_dim=64;n_groups=8"
    for tokens, steps in (1, 3), (1024, 3), (1025, 6):
        (kernel,) = kernels_of("mamba2:causal_conv1d_fn", note, batch=2, prompt=tokens)
        assert (kernel.like, kernel.blocks, kernel.steps) == ("strided", 2 * (64 * 64 + 2 * 8 * 128), steps)


def test_rows_of_delta_rules_are_lowered_as_in_a_serving_engine_or_by_triton():
    fused = kernels_of("gdn:chunk_gated_delta_rule_flashinfer", GDN, batch=2, prompt=64)
    # its keys are normalised already
    assert [(k.like, k.count) for k in fused] == [("stream", 1), ("delta", 1)]
    assert fused[1].blocks == 2 * 32
    channels = kernels_of("kda:flashkda_fwd", GDN, batch=2, prompt=64)[2]
    # a decay and a learning rate for every head, or a decay for each of its channels
    assert channels.cost.activations - fused[1].cost.activations == 2 * 64 * 32 * (128 - 1) * 2
    assert {k.like for k in kernels_of("gdn:chunk_gated_delta_rule", GDN, prompt=64)} == {"stream", "ssd"}
    (step,) = kernels_of("gdn:fused_recurrent_gated_delta_rule_packed_decode", GDN, batch=2)
    assert (step.like, step.cost.state) == ("stream", 2 * 2 * 32 * 128 * 128 * 4)


def test_operators_that_are_repeated_find_weights_and_states_in_the_cache_but_attention_its_keys():
    def cost(op, note, **fields):
        kernels = kernels_of(op, note, **fields)
        return [(k.cost.weights, k.cost.state, k.cost.activations) for k in kernels if k.like != "replay"]

    note, theirs = "M=2;N=3;K=5", {"source": "ai-dynamo/aiconfigurator@1:systems/x.parquet"}
    (plain,) = cost("linear", note)
    assert plain == (3 * 5 * 2, 0, (2 * 5 + 2 * 3) * 2)
    assert cost("linear", f"{note};timed=graph") == cost("linear", note, source="own measurement 2026")
    assert cost("linear", f"{note};timed=graph") == [(0, 0, (2 * 5 + 2 * 3 + 3 * 5) * 2)]
    assert cost("gemm", note, **theirs) == [plain]  # six layers in turn
    step = "gdn:fused_recurrent_gated_delta_rule_packed_decode"
    (own,), (warm,) = cost(step, GDN), cost(step, GDN, **theirs)
    assert warm == (0, 0, sum(own))
    heads = "heads=32;kv_heads=8;head_dim=128;timed=graph"
    assert cost("sdpa_decode", heads, context=4096)[0][1] == 4096 * 8 * 256 * 2


def test_kernels_of_2023_take_elements_one_by_one_in_a_block_for_each_token():
    def kernel(op, note="tokens=10;tp=2;hidden=4096", **more):
        row = run(op=op, note=note, model="meta-llama/Llama-3.1-8B", prompt=None, phase="op", **more)
        (group,) = (reader := Reader("vllm")).jobs[reader.case(row).target.parts[0][1]].groups
        return group.kernels[0]

    assert (kernel("mlp_act").blocks, kernel("mlp_act").indexed) == (10, 10 * 14336 / 2)
    assert (kernel("input_layernorm").blocks, kernel("input_layernorm").indexed) == (10, 10 * 4096)
    # pairs of 20 heads of 128, a join's arithmetic for each
    assert kernel("attn_rope").indexed == pytest.approx(5 / 3 * 10 * 20 * 64)
    assert kernel("act_fn").indexed is kernel("rotary_emb").indexed is None
    for op in ("mlp_act", "input_layernorm", "attn_rope"):  # whatever weights have
        assert kernel(op, weight_dtype="fp8").indexed == kernel(op).indexed
        assert kernel(op, "tokens=10;tp=2;hidden=4096;kv_dtype=fp8").indexed == kernel(op).indexed


def test_a_convolution_of_contiguous_tokens_streams_and_vllms_is_that_of_its_lowering():
    (own,) = kernels_of("causal_conv1d", "D=3072;L=1025", prompt=0)
    assert (own.like, own.blocks, own.steps) == ("stream", 3072, 6)
    # weights of four taps and a bias in a byte each, activations in two
    sizes, small = Sizes(run(op="causal_conv1d", note="D=3072;L=9", prompt=0)), Precision(weights=1, cache=1)
    (bytes_of,) = operators.kernels_of("causal_conv1d", sizes, small, library.runtime("vllm"))
    assert (bytes_of.cost.weights, bytes_of.cost.activations) == (3072 * 5, 2 * 9 * 3072 * 2)
    channels = 2 * 16 * 128 + 32 * 128
    (triton,) = kernels_of("gdn:causal_conv1d_fn", GDN, batch=2, prompt=9)
    assert (triton.like, triton.blocks, triton.waits) == ("stream", 2 * 2 * channels / 256, 12)
    (step,) = kernels_of("gdn:causal_conv1d_update", GDN, batch=2)
    assert (step.uses, step.cost.activations) == (2, 2 * 2 * channels * 2)


def test_a_row_of_the_table_that_is_looked_up_again_and_again_is_in_the_cache():
    row = run(op="embedding", note="tokens=20", model="meta-llama/Llama-3.1-8B", prompt=None, phase="op")
    (group,) = (reader := Reader("vllm")).jobs[reader.case(row).target.parts[0][1]].groups
    (kernel,) = group.kernels
    assert (kernel.cost.weights, kernel.cost.activations, kernel.uses) == (0, 2 * 20 * 4096 * 2, 2)


def test_a_row_that_names_an_operator_of_a_model_has_the_sizes_of_that_model():
    def moved(op, note, **fields):
        row = run(op=op, note=note, model="meta-llama/Llama-3.1-8B", prompt=None, phase="op", **fields)
        reader = Reader("vllm")
        (group,) = reader.jobs[reader.case(row).target.parts[0][1]].groups
        return sum(k.cost.bytes for k in group.kernels)

    # gate and up in, their product out; queries and keys rotated in place, of 32 and 8 heads; stream and branch, twice
    assert moved("act_fn", "tokens=10") == 10 * 3 * 14336 * 2
    assert moved("mlp_act", "tokens=10;tp=2") == 10 * 3 * 14336 * 2 / 2
    assert moved("rotary_emb", "tokens=10") == 10 * 2 * 40 * 128 * 2
    assert moved("layernorm", "tokens=10;tp=2") == moved("final_layernorm", "tokens=10") == 10 * 4 * 4096 * 2
    with pytest.raises(Skip, match="does not have the rotation"):
        Reader("vllm").case(run(op="rotary_emb", note="tokens=1", model="mamba2-780m", phase="op"))
    with pytest.raises(Skip, match="note lacks model"):
        Reader("vllm").case(run(op="act_fn", note="tokens=1", model="", phase="op"))


def test_experts_of_a_layer_are_its_products_of_those_that_tokens_choose():
    """Qwen3-30B-A3B's layer of a single token: three matrices of 2,048 x 768 of each of its eight experts."""
    said = "num_tokens=1;hidden_size=2048;inter_size=768;topk=8;num_experts=128"
    kernels = kernels_of("moe", said)
    products = [k for k in kernels if k.like == "gemm"]
    assert sum(k.cost.weights for k in products) == pytest.approx(8 * 3 * 2048 * 768 * 2, rel=1e-3)
    assert sum(k.cost.matrix for k in products) == 2 * 8 * 3 * 2048 * 768
    assert {k.name for k in kernels} >= {"route", "experts_up", "experts_act", "experts_down", "combine"}
    halves = [k for k in kernels_of("moe", f"{said};moe_tp_size=2") if k.like == "gemm"]
    assert sum(k.cost.matrix for k in halves) == 8 * 3 * 2048 * 768
    with pytest.raises(Skip, match="divided among devices"):
        Reader("vllm").case(run(op="moe", note=f"{said};moe_ep_size=2", model="", phase="op"))


@pytest.mark.parametrize(("weights", "inputs"), [("fp8", 2048), ("fp8_block", 2048 + 640)])
def test_products_whose_sums_are_scaled_within_take_longer_in_rows_of_single_operators_too(weights, inputs):
    """Tiles of 64 rows and 128 outputs where 512 tokens choose experts; scales of blocks as long as 640 inputs."""
    note = "num_tokens=512;hidden_size=2048;inter_size=768;topk=8;num_experts=128"
    row = run(op="moe", note=note, model="", device="H100 SXM", dtype="fp8", weight_dtype=weights, phase="op")
    reader = Reader("vllm")
    (group,) = reader.jobs[reader.case(row).target.parts[0][1]].groups
    (up,) = (k for k in group.kernels if k.name == "experts_up")
    assert up.tile == 2 * 64 * 128 * inputs


@pytest.mark.parametrize(
    ("dtype", "weights", "unit", "stored", "moved", "quantised"),
    [
        # 128 x 256 weights; 64 rows of 256 in, of 128 out, these in bf16; scales of 16 and 32 in a byte
        ("bf16", "int4", None, 16384, 2 * (16384 + 8192), None),
        ("bf16", "nvfp4", "fp4", 16384 + 2048, 8192 + 1024 + 2 * 8192, 2 * 16384 + 8192 + 1024),
        ("bf16", "mxfp4", None, 16384 + 1024, 2 * (16384 + 8192), None),
        ("fp8", "fp8", "fp8", 32768, 16384 + 2 * 8192, 3 * 16384),
        ("bf16", "int8", "int8", 32768, 16384 + 2 * 8192, 3 * 16384),
    ],
)
def test_a_row_of_a_product_reads_its_format_and_what_was_quantised_for_it(
    dtype, weights, unit, stored, moved, quantised
):
    row = run(op="gemm", note="m=64;n=128;k=256", model="", device="RTX 5090", dtype=dtype, weight_dtype=weights)
    (group,) = (reader := Reader("vllm")).jobs[reader.case(row).target.parts[0][1]].groups
    *before, product = group.kernels
    assert (product.unit, product.cost.weights, product.cost.activations) == (unit, stored, moved)
    assert product.cost.matrix == 2 * 64 * 128 * 256
    assert [(k.name, k.cost.activations) for k in before] == ([("quantise", quantised)] if quantised else [])


def test_a_linear_recurrence_reads_two_values_and_writes_one():
    (kernel,) = kernels_of("linear_recurrence_scan", "channels=10", batch=2, prompt=3)
    assert (kernel.like, kernel.cost.activations, kernel.cost.vector) == ("stream", 3 * 2 * 60, 2 * 60)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"op": "gemm", "note": "m=1;n=2"}, "note lacks k"),
        ({"op": "gemm", "note": "m=1;n=2;k=0"}, "k: '0' is not a whole number from 1 to 10^12"),
        ({"op": "sampler"}, "op sampler is not predicted"),
        ({"op": "e2e_serving"}, "lengths of prompt and answer are not stated"),
        ({"op": "e2e_serving", "generated": 8}, "transformers-4.52-eager serves no requests that come and go"),
        ({"op": "e2e_serving", "metric": "energy_j"}, "energy_j of serving is not predicted"),
        ({"op": "e2e_serving", "note": "request_rate=2.5"}, "requests that come at a rate"),
        ({"op": "e2e_serving", "note": "tp=4"}, "heads 14 is not divisible by tp 4"),
        ({"model": "GPT-9"}, "no 'GPT-9'"),
        ({"device": "toaster"}, "no 'toaster'"),
        ({"device": ""}, "names no device"),
        ({"prompt": None}, "length of the prompt"),
        ({"metric": "tflops"}, "tflops of prefill is not predicted"),
        ({"weight_dtype": "q77"}, "no weight format 'q77'"),
        ({"model": "Phi-3-mini", "batch": 10**6}, "does not fit the memory"),
    ],
)
def test_a_row_that_the_model_has_no_figure_for_says_why(fields, reason):
    with pytest.raises(Skip) as caught:
        Reader("transformers-4.52-eager").case(run(**fields))
    assert reason in str(caught.value)


def test_quantised_weights_are_as_large_as_their_file():
    reader = Reader("llama.cpp")
    case = reader.case(run(model="LLaMA-3-8B", weight_dtype="q4_k_m", note="model_bytes=4.58GiB", phase="decode",
                           prompt=0, generated=128, metric="throughput_tok_s", value=100.0))  # fmt: skip
    assert case.measured == pytest.approx(0.01)
    moved = sum(
        g.count * k.count * k.cost.weights for g in reader.jobs[case.target.parts[0][1]].groups for k in g.kernels
    )
    # all but the rows of the embeddings that no token asks for
    assert moved == pytest.approx(4.58 * 2**30 * (1 - 128256 * 4096 / 8.03e9), rel=0.01)


@pytest.mark.parametrize("note", ["", "model_bytes=4.58GiB", "m=64;n=64;k=64"])
@pytest.mark.parametrize("op", ["e2e", "gemm"])
def test_a_format_that_is_not_known_is_no_other(op, note):
    with pytest.raises(Skip, match="no weight format 'banana'"):
        Reader("vllm").case(run(op=op, weight_dtype="banana", note=note))


@pytest.mark.parametrize("fmt", ["gptq-int4", "fp8", "bf16"])
def test_weights_of_a_run_are_counted_as_those_of_a_prediction(fmt):
    reader = Reader("vllm")
    fields = {"model": "Qwen2.5-7B", "device": "H100 SXM 80GB", "weight_dtype": fmt, "dtype": "bf16", "prompt": 1024}
    p = predict("Qwen2.5-7B", "h100", "vllm", weight_format=fmt, dtype="bf16", prompt=1024)

    def told(**more):
        return reader.case(run(**{**fields, **more})).target

    assert told(phase="load", metric="weights_bytes", value=5e9).constant == p.memory.weights
    assert told(metric="peak_mem_bytes", value=6e9).constant == pytest.approx(p.memory.peak - p.memory.workspace)
    (part,) = told().parts
    (_, key) = part
    kernels = [(k.unit, k.cost.weights) for g in reader.jobs[key].groups for k in g.kernels for _ in range(g.count)]
    moved = sum(row.bytes_weights for row in p.prefill.operators)
    assert sum(weights for _, weights in kernels) == pytest.approx(moved)
    assert {unit for unit, _ in kernels} == ({None, "fp8"} if fmt == "fp8" else {None})


def test_the_cache_of_a_run_is_laid_out_beside_its_weights():
    def tokens(fmt):
        fields = {"model": "Qwen2.5-7B", "device": "H100 SXM 80GB", "phase": "load", "metric": "kv_tokens"}
        return Reader("vllm").case(run(**fields, weight_dtype=fmt, value=1e6)).target.constant

    saved = library.architecture("Qwen2.5-7B").weight_bytes(workload().precision())
    saved -= predict("Qwen2.5-7B", "h100", "vllm", weight_format="gptq-int4").memory.weights
    per_token = 2 * 28 * 4 * 128 * 2
    assert tokens("gptq-int4") - tokens("bf16") == pytest.approx(saved / per_token, abs=16)


PRODUCT = {"op": "gemm", "note": "m=1024;n=512;k=2048", "phase": "op", "model": "", "device": "H100 SXM 80GB"}


@pytest.mark.parametrize(
    ("fields", "unit", "weights"),
    [
        ({"dtype": "bf16", "weight_dtype": "bf16"}, None, 2), ({"dtype": "bf16", "weight_dtype": ""}, None, 2),
        ({"dtype": "fp8", "weight_dtype": "fp8"}, "fp8", 1), ({"dtype": "fp8", "weight_dtype": ""}, "fp8", 1),
        ({"dtype": "bf16", "weight_dtype": "fp8"}, "fp8", 1), ({"dtype": "int8", "weight_dtype": "w8a8"}, "int8", 1),
        ({"dtype": "bf16", "weight_dtype": "int8", "note": PRODUCT["note"] + ";quant=int8_wo"}, None, 1),
        ({"dtype": "bf16", "weight_dtype": "awq"}, None, (4 + 20 / 128) / 8),
        ({"dtype": "bf16", "weight_dtype": "nvfp4"}, None, 4.5 / 8),
        ({"dtype": "w4a16_mxfp4", "weight_dtype": "w4a16_mxfp4", "device": "B200"}, None, 4.25 / 8),
        ({"dtype": "nvfp4", "weight_dtype": "nvfp4", "device": "B200"}, "fp4", 4.5 / 8),
    ],
)  # fmt: skip
def test_a_product_by_itself_is_computed_in_the_dtype_of_its_row_or_as_its_runtime_does(fields, unit, weights):
    reader = Reader("vllm")
    case = reader.case(run(**{**PRODUCT, **fields}))
    ((_, key),) = case.target.parts
    ((*before, product),) = (g.kernels for g in reader.jobs[key].groups)
    assert (product.unit, product.cost.weights) == (unit, pytest.approx(512 * 2048 * weights, rel=1e-3))
    assert [k.name for k in before] == ([] if unit is None else ["quantise"])


def test_a_product_on_a_unit_that_its_device_lacks_is_left_out():
    with pytest.raises(Skip, match="no matrix peak for fp4"):
        Reader("vllm").case(run(**{**PRODUCT, "dtype": "nvfp4", "weight_dtype": "nvfp4"}))
    with pytest.raises(Skip, match="vllm has no kernels for weights in q4_k_m"):
        Reader("vllm").case(run(model="Qwen2.5-7B", weight_dtype="q4_k_m"))


# --- other tools ---

LLAMA_BENCH = {
    "build_commit": "abc", "build_number": 4384, "cpu_info": "Ryzen", "gpu_info": "NVIDIA GeForce RTX 4090",
    "backends": "CUDA", "model_filename": "models/Meta-Llama-3-8B-Instruct-Q4_K_M.gguf",
    "model_type": "llama 8B Q4_K - Medium", "model_size": 4913000000, "n_ubatch": 512, "flash_attn": True,
    "n_prompt": 512, "n_gen": 0, "n_depth": 0, "avg_ns": 70_000_000, "avg_ts": 7314.0,
}  # fmt: skip


def test_llama_bench_is_read_from_json_and_from_csv(tmp_path):
    decode = {**LLAMA_BENCH, "n_prompt": 0, "n_gen": 128, "avg_ns": 1_280_000_000, "n_depth": 4096}
    (tmp_path / "bench.json").write_text(json.dumps([LLAMA_BENCH, decode]))
    (tmp_path / "bench.csv").write_text(
        "\n".join([",".join(LLAMA_BENCH), *(",".join(map(str, each.values())) for each in (LLAMA_BENCH, decode))])
    )
    for name in ("bench.json", "bench.csv"):
        one, two = read_runs(str(tmp_path / name)).runs
        assert (one.phase, one.prompt, one.value) == ("prefill", 512, pytest.approx(0.07))
        assert (two.phase, two.context, two.generated, two.value) == ("decode", 4096, 128, pytest.approx(0.01))
        assert one.weight_dtype == "q4_k_m"
        assert one.notes["fa"] == "1"
        assert one.device == "RTX 4090"
        assert (one.line, two.line) == (2, 3)
        assert Reader("llama.cpp").case(one).model == "Llama-3.1-8B"


def passes_of(**fields) -> dict[str, float]:
    """Passes of a row of Llama-3-8B on llama.cpp, and their weights."""
    reader = Reader("llama.cpp")
    return {
        key: n
        for n, key in reader.case(
            run(framework="llama.cpp", model="Llama-3-8B", weight_dtype="q8_0", **fields)
        ).target.parts
    }


def test_a_prompt_goes_through_in_pieces_of_as_many_tokens_as_the_row_says_on_what_is_held():
    s = setup(library.architecture("Llama-3.1-8B"), "rtx-4090", "llama.cpp")
    whole = passes_of(prompt=512, context=1000)
    assert len(whole) == 1
    assert passes_of(prompt=512, context=1000, note="n_ubatch=512") == whole
    cut = passes_of(prompt=512, context=1000, note="n_ubatch=128")
    assert sum(cut.values()) == pytest.approx(4)
    assert len(cut) == 4  # three that stand for the first three, and the last
    starts = sorted(int(key.split("new=128.0, context=")[1].split(",")[0].split(".")[0]) for key in cut)
    assert starts == [1000, 1000 + 128, 1000 + 256, 1000 + 384]
    assert float(s.runtime.memory.chunk) == 512  # the runtime keeps its own
    # as many sequences go side by side as a larger piece has room for
    assert sum(passes_of(prompt=512, batch=8, note="ubatch=4096").values()) == pytest.approx(1)
    assert sum(passes_of(prompt=512, batch=8).values()) == pytest.approx(8)
    # of twelve, eight and then four
    assert sum(passes_of(prompt=512, batch=12, note="ubatch=4096").values()) == pytest.approx(1.5)
    assert passes_of(prompt=512, context=1000, note="n_ubatch=0") == whole


def lengths_of(**fields) -> dict[tuple[float, float], float]:
    """New tokens of passes and those before them, with the weights of the passes."""
    found = ((re.search(r"new=([\d.]+), context=([\d.]+)", key), n) for key, n in passes_of(**fields).items())
    return {(float(match[1]), float(match[2])): n for match, n in found}


def test_steps_of_a_request_begin_behind_its_prompt_and_what_was_before_it_others_where_the_row_says():
    # four steps: as Simpson has it, the first and the last for a sixth each, the middle for the rest
    request = lengths_of(phase="request", prompt=512, context=16384, generated=5)
    steps = {(1, 16896): 4 / 6, (1, 16897.5): 16 / 6, (1, 16899): 4 / 6}
    assert request == pytest.approx({(512, 16384): 1, **steps})
    apart = lengths_of(phase="decode", prompt=100, context=300, generated=4, note="prompts=apart")
    assert apart == pytest.approx({(1, 300): 1 / 6, (1, 301): 4 / 6, (1, 302): 1 / 6})


def test_a_rate_that_includes_the_prefill_counts_its_passes_and_no_other_figure_does():
    rate = {"phase": "decode", "prompt": 100, "generated": 4, "context": None}
    prompt, apart = (100, 0), ";prompts=apart"
    found = lengths_of(metric="throughput_tok_s", note=f"including prefill{apart}", **rate)
    assert found == pytest.approx({prompt: 1, (1, 100): 3 / 6, (1, 101): 12 / 6, (1, 102): 3 / 6})
    for metric, note in (("throughput_tok_s", apart), ("latency_s", f"including prefill{apart}")):
        found = lengths_of(metric=metric, note=note, **rate)
        assert found == pytest.approx({(1, 100): 1 / 6, (1, 101): 4 / 6, (1, 102): 1 / 6})


def test_random_weights_choose_experts_evenly():
    reader = Reader("llama.cpp")
    step = {"model": "Qwen3-30B-A3B", "device": "DGX Spark", "weight_dtype": "q8_0", "phase": "decode",
            "batch": 32, "context": 100}  # fmt: skip
    trained, random = (reader.case(run(source=source, **step)) for source in ("a page", "ours: random weights"))
    ((_, one),), ((_, other),) = trained.target.parts, random.target.parts

    def read(key: str) -> float:
        return sum(g.count * k.count * k.cost.weights for g in reader.jobs[key].groups for k in g.kernels
                   if k.name.startswith("experts"))  # fmt: skip

    mean, square = -32 * np.log(1 - 8 / 128), 1.28**2
    uneven, even = 1 - (1 + square * mean) ** (-1 / square), 1 - (1 - 8 / 128) ** 32
    assert read(one) / read(other) == pytest.approx(uneven / even)


def test_experts_alone_in_four_bits_are_a_format_of_their_own_in_llama_bench(tmp_path):
    row = {"model_filename": "gpt-oss-20b.gguf", "model_type": "gpt-oss 20B MXFP4 MoE", "model_size": 12109566560,
           "n_prompt": 512, "n_gen": 0, "n_depth": 0, "avg_ns": 1e8, "gpu_info": "NVIDIA GB10"}  # fmt: skip
    (tmp_path / "b.json").write_text(json.dumps([row]), encoding="utf-8")
    (one,) = read_runs(str(tmp_path / "b.json")).runs
    assert one.weight_dtype == "mxfp4_moe"


def test_a_prompt_of_llama_cpp_begins_at_its_depth_and_goes_in_the_pieces_it_was_told():
    row = run(framework="llama.cpp", model="Qwen2.5-0.5B", phase="prefill", prompt=1024, note="n_ubatch=256")
    reader = Reader("llama.cpp")

    # the last of four pieces alone goes through the head, three stand for the others
    whole, usual, deep = (
        reader.case(row._replace(**more)).target
        for more in ({"note": "n_ubatch=1024"}, {"note": ""}, {"context": 4096})
    )
    assert [n for n, _ in whole.parts] == [1]
    assert sum(n for n, _ in usual.parts) == 2
    assert sum(n for n, _ in reader.case(row).target.parts) == 4
    assert sum(n for n, _ in deep.parts) == 4
    slower = Program([reader.case(row).target, deep], reader.jobs, reader.device(row), None, reader.runtime).predict({})
    assert slower[1] > slower[0]
    # files of other software repeat the prompt in that column
    other = Reader("transformers-5-eager")
    one, same = (
        run(framework="transformers 5.17", model="Qwen2.5-0.5B", phase="prefill", prompt=64, context=c) for c in (0, 64)
    )
    assert [n for n, _ in other.case(same).target.parts] == [n for n, _ in other.case(one).target.parts]
    assert len({key for each in (one, same) for _, key in other.case(each).target.parts}) == 1


def test_a_mixed_test_of_llama_bench_is_a_prompt_and_its_steps(tmp_path):
    (tmp_path / "bench.json").write_text(json.dumps([LLAMA_BENCH, {**LLAMA_BENCH, "n_gen": 128}]))
    _, mixed = read_runs(str(tmp_path / "bench.json")).runs
    assert (mixed.phase, mixed.prompt, mixed.generated, mixed.value) == ("request", 512, 129, 0.07)
    (tmp_path / "none.json").write_text(json.dumps([{**LLAMA_BENCH, "n_prompt": 0}]))
    with pytest.raises(InputError, match="a test of no tokens"):
        read_runs(str(tmp_path / "none.json"))


TABLE = """\
ggml_cuda_init: found 1 CUDA devices:
  Device 0: NVIDIA GeForce RTX 4090, compute capability 8.9, VMM: yes
| model                          |       size |     params | backend    | ngl | fa |          test |              t/s |
| ------------------------------ | ---------: | ---------: | ---------- | --: | -: | ------------: | ---------------: |
| llama 8B Q4_K - Medium         |   4.58 GiB |     8.03 B | CUDA       |  99 |  1 |         pp512 | 10240.00 ± 60.25 |
| llama 8B MXFP4 MoE             |   4.58 GiB |     8.03 B | CUDA       |  99 |  0 | tg128 @ d4096 |    125.00 ± 0.55 |
| llama 8B Q8_0                  |   4.58 GiB |     8.03 B | CUDA       |  99 |  0 |   pp512+tg128 |        640 ± 0.1 |

build: 0a11f8b7a (9119)
"""
BATCHED = """\
llama_batched_bench: n_kv_max = 2048, n_ubatch = 1024, flash_attn = 1, is_pp_shared = 0, n_gpu_layers = -1

|    PP |     TG |    B |   N_KV |   T_PP s | S_PP t/s |   T_TG s | S_TG t/s |      T s |    S t/s |
|-------|--------|------|--------|----------|----------|----------|----------|----------|----------|
|   128 |     64 |    8 |   1536 |    0.800 |  1280.00 |    3.200 |   160.00 |    4.000 |   384.00 |
"""


@pytest.mark.parametrize("name", ["bench.md", "bench.txt", "bench"])
def test_a_table_of_llama_bench_says_all_but_the_model(tmp_path, name):
    (tmp_path / name).write_text(TABLE, encoding="utf-8")
    prompt, step, both = read_runs(str(tmp_path / name)).runs
    assert {(r.device, r.model, r.framework) for r in (prompt, step, both)} == {
        ("RTX 4090", "", "llama.cpp b9119 (CUDA)")
    }  # fmt: skip
    assert [r.weight_dtype for r in (prompt, step, both)] == ["q4_k_m", "mxfp4_moe", "q8_0"]
    assert (prompt.phase, prompt.prompt, prompt.line) == ("prefill", 512, 5)
    assert prompt.value == pytest.approx(512 / 10240)
    assert (step.phase, step.context, step.generated, step.value) == ("decode", 4096, 128, pytest.approx(1 / 125))
    assert (both.phase, both.prompt, both.generated, both.value) == ("request", 512, 129, pytest.approx(1.0))
    assert (prompt.notes["fa"], prompt.notes["model_bytes"]) == ("1", f"{round(4.58 * 2**30)}B")


def test_models_of_several_tables_keep_what_llama_cpp_calls_them(tmp_path):
    (tmp_path / "bench.md").write_text(TABLE + TABLE.replace("llama 8B", "qwen2 7B"), encoding="utf-8")
    assert [r.model for r in read_runs(str(tmp_path / "bench.md")).runs] == ["llama 8B"] * 3 + ["qwen2 7B"] * 3


def test_rows_of_tables_are_of_the_build_that_is_named_after_them_the_last_also_before_them(tmp_path):
    builds = [TABLE.replace("(9119)", f"({n})") for n in (9119, 9120, 9121)]
    (tmp_path / "bench.md").write_text("".join([*builds, TABLE.split("build:")[0]]), encoding="utf-8")
    found = read_runs(str(tmp_path / "bench.md")).runs
    assert [r.framework for r in found] == [f"llama.cpp b{n} (CUDA)" for n in (9119, 9120, 9121, 9121) for _ in "123"]
    assert [r.line for r in found[:4]] == [5, 6, 7, 14]
    (tmp_path / "none.md").write_text(TABLE.split("build:")[0].replace("tg128 @ d4096", "        tg128"))
    _, step, _ = read_runs(str(tmp_path / "none.md")).runs
    assert (step.framework, step.phase, step.generated, step.context) == ("llama.cpp b (CUDA)", "decode", 128, 0)


def test_a_table_is_found_however_much_a_log_says_before_it(tmp_path):
    (tmp_path / "bench.log").write_text("load_tensors: ....................\n" * 3000 + TABLE)
    assert [r.line for r in read_runs(str(tmp_path / "bench.log")).runs] == [3005, 3006, 3007]
    (tmp_path / "bench").write_text(TABLE + "load_tensors: ....................\n" * 3000 + TABLE)
    assert [r.line for r in read_runs(str(tmp_path / "bench")).runs] == [5, 6, 7, 3014, 3015, 3016]


def test_a_file_is_no_log_of_vllm_for_its_name_or_a_word_in_it_alone(tmp_path):
    (tmp_path / "runs.txt").write_text(f"{HEADER}\n{ROW}\n")
    (tmp_path / "runs.csv").write_text(f"{HEADER},note\n{ROW},LLM engine and KV cache size\n")
    for name in ("runs.txt", "runs.csv"):
        (found,) = read_runs(str(tmp_path / name)).runs
        assert (found.phase, found.prompt, found.value) == ("prefill", 4096, 0.05)


@pytest.mark.parametrize(
    ("cell", "reason"), [("xx512", "test: 'xx512'"), ("@ d512", "test: '@ d512'"), ("pp512", "t/s: 'n/a'")]
)
def test_a_cell_of_a_table_that_is_none_is_told(tmp_path, cell, reason):
    text = TABLE.replace("        pp512", f"        {cell}").replace("10240.00 ± 60.25", "n/a")
    (tmp_path / "bench.md").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=reason):
        read_runs(str(tmp_path / "bench.md"))


def test_llama_batched_bench_is_read_from_its_table_and_from_json(tmp_path):
    (tmp_path / "bench.md").write_text(BATCHED)
    line = {"n_ubatch": 1024, "is_pp_shared": 0, "pp": 128, "tg": 64, "pl": 8, "t_pp": 0.8, "t_tg": 3.2}
    (tmp_path / "bench.jsonl").write_text(json.dumps(line) + "\n" + json.dumps({**line, "is_pp_shared": 1}))
    for name in ("bench.md", "bench.jsonl"):
        prompt, step = read_runs(str(tmp_path / name)).runs[:2]
        assert (prompt.phase, prompt.batch, prompt.prompt, prompt.value) == ("prefill", 8, 128, 0.8)
        assert (prompt.context, prompt.notes["n_ubatch"]) == (0, "1024")
        assert (step.phase, step.batch, step.context, step.generated, step.value) == ("decode", 8, 128, 64, 0.05)
    shared, step = read_runs(str(tmp_path / "bench.jsonl")).runs[2:]
    assert (shared.batch, step.batch) == (1, 8)
    (tmp_path / "one.json").write_text(json.dumps([{**line, "pl": 1, "tg": 1, "pp": 1}]))
    prompt, step = read_runs(str(tmp_path / "one.json")).runs
    assert (prompt.batch, prompt.prompt, prompt.value, step.batch, step.generated, step.value) == (1, 1, 0.8, 1, 1, 3.2)
    for name in ("pl", "tg", "pp"):
        (tmp_path / "none.json").write_text(json.dumps([{**line, name: 0}]))
        with pytest.raises(InputError, match=name):
            read_runs(str(tmp_path / "none.json"))
    (tmp_path / "apart.json").write_text(json.dumps([{**line, "is_tg_separate": 1}]))
    with pytest.raises(InputError, match="one after another"):
        read_runs(str(tmp_path / "apart.json"))


def test_sql_of_llama_bench_is_read(tmp_path):
    names, values = ", ".join(LLAMA_BENCH), ", ".join(f"'{each}'" for each in LLAMA_BENCH.values())
    (tmp_path / "bench.sql").write_text(
        f"CREATE TABLE IF NOT EXISTS test (\n);\n\nINSERT INTO test ({names}) VALUES ({values});\n"
    )
    (found,) = read_runs(str(tmp_path / "bench.sql")).runs
    assert (found.prompt, found.value, found.weight_dtype) == (512, pytest.approx(0.07), "q4_k_m")


def test_the_latency_benchmark_of_vllm_is_of_whole_requests_whose_lengths_are_said_beside_it(tmp_path):
    (tmp_path / "latency.json").write_text(json.dumps({"avg_latency": 9.0, "latencies": [1.5, 1.0, 3.0]}))
    found = read_runs(str(tmp_path / "latency.json"))
    (untold,) = found.runs
    assert (untold.phase, untold.value, untold.framework) == ("request", 1.5, "vllm")
    reader = Reader("vllm", "rtx-4090", models=[library.architecture("Qwen2.5-0.5B")])
    for sizes, reason in (({}, "length of the prompt"), ({"prompt": 32}, "how many tokens were generated")):
        with pytest.raises(Skip, match=reason):
            reader.case(found.stating(**sizes).runs[0])
    assert reader.case(found.stating(batch=8, prompt=32, generated=128).runs[0]).group == "latency_s request"


def times(*rows: Run) -> list[float]:
    """Predicted seconds of rows of llama.cpp on an RTX 4090."""
    reader, s = Reader("llama.cpp", "rtx-4090"), setup("Qwen2.5-0.5B", "rtx-4090", "llama.cpp")
    found = [reader.case(each).target for each in rows]
    return [float(t) for t in Program(found, reader.jobs, s.device, s.host, s.runtime).predict({})]


def test_a_request_takes_its_prompt_and_a_step_for_each_further_token():
    both, prompt, first, step = times(
        run(phase="request", prompt=300, generated=33),
        run(prompt=300),
        run(phase="request", prompt=300, generated=1),
        run(phase="decode", prompt=0, context=300, generated=32),
    )
    assert first == prompt
    assert both == pytest.approx(prompt + 32 * step)


def test_a_prompt_behind_others_reads_what_they_left():
    at = [run(prompt=512, context=depth, framework="llama.cpp b9119") for depth in (0, 512, 16384)]
    start, near, far = times(*at)
    assert start < near < far
    # what a row of a prompt states as its context may be what it comes to
    assert times(run(prompt=512, context=512)) == [start]
    (behind,) = times(run(phase="request", prompt=512, context=16384, generated=1))
    assert behind == far


OPTIMUM = {
    "config": {
        "name": "cuda",
        "backend": {"name": "pytorch", "version": "2.5.1", "model": "meta-llama/Llama-3.1-8B",
                    "torch_dtype": "bfloat16"},
        "scenario": {"input_shapes": {"batch_size": 1, "sequence_length": 64},
                     "generate_kwargs": {"max_new_tokens": 64}},
        "environment": {"gpu": ["NVIDIA A100-SXM4-80GB"]},
    },
    "report": {
        "prefill": {
            "latency": {"unit": "s", "mean": 0.0266, "values": [0.0266]},
            "memory": {"unit": "MB", "max_allocated": 16085.6, "max_reserved": 16240.0},
            "energy": {"unit": "kWh", "gpu": 1e-6},
        },
        "decode": {"latency": {"unit": "s", "mean": 1.6228}, "memory": None, "energy": None},
    },
}  # fmt: skip


def test_optimum_benchmark_is_read(tmp_path):
    (tmp_path / "benchmark.json").write_text(json.dumps(OPTIMUM))
    found = {(r.phase, r.metric): r.value for r in read_runs(str(tmp_path / "benchmark.json")).runs}
    assert found == pytest.approx(
        {
            ("prefill", "latency_s"): 0.0266,
            ("prefill", "peak_mem_bytes"): 16.0856e9,
            ("prefill", "peak_reserved_bytes"): 16.24e9,
            ("prefill", "energy_j"): 3.6,
            ("decode", "latency_s"): 1.6228 / 63,
        }
    )


def test_a_report_without_its_config_is_refused(tmp_path):
    (tmp_path / "report.json").write_text(json.dumps(OPTIMUM["report"]))
    with pytest.raises(InputError, match="without its config"):
        read_runs(str(tmp_path / "report.json"))


def test_vllm_serving_one_request_at_a_time_is_a_plain_run(tmp_path):
    result = {"backend": "vllm", "model_id": "meta-llama/Llama-3.1-8B", "completed": 10, "total_input_tokens": 10240,
              "total_output_tokens": 1280, "max_concurrency": 1, "request_rate": "inf", "mean_ttft_ms": 40.0,
              "median_ttft_ms": 39.0, "mean_tpot_ms": 8.0}  # fmt: skip
    (tmp_path / "serve.json").write_text(json.dumps(result))
    one, two = read_runs(str(tmp_path / "serve.json")).runs
    assert (one.op, one.phase, one.prompt, one.value) == ("e2e", "prefill", 1024, pytest.approx(0.039))
    assert (two.phase, two.context, two.generated, two.value) == ("decode", 1024, 128, pytest.approx(0.008))
    (tmp_path / "serve.json").write_text(json.dumps({**result, "max_concurrency": 16}))
    assert {r.op for r in read_runs(str(tmp_path / "serve.json")).runs} == {"e2e_serving"}


LOG = """\
INFO 11-21 10:00:00 [core.py:58] Initializing a V1 LLM engine (v0.19.0) with config: \
model='meta-llama/Llama-3.1-8B', dtype=torch.bfloat16, max_seq_len=8192
INFO 11-21 10:00:09 [gpu_model_runner.py:1595] Model loading took 14.9889 GiB and 3.2 seconds
INFO 11-21 10:00:20 [kv_cache_utils.py:829] GPU KV cache size: 41,408 tokens
"""


def test_a_start_up_log_of_vllm_tells_weights_and_capacity(tmp_path):
    (tmp_path / "vllm.log").write_text(LOG)
    found = {r.metric: r.value for r in read_runs(str(tmp_path / "vllm.log")).runs}
    assert found == {"weights_bytes": pytest.approx(14.9889 * 2**30), "kv_tokens": 41408}


def test_capacity_of_a_log_is_predicted(tmp_path):
    (tmp_path / "vllm.log").write_text(LOG)
    reader = Reader("vllm", "rtx-4090")
    for each in read_runs(str(tmp_path / "vllm.log")).runs:
        case = reader.case(each)
        # captured graphs and the framework's own memory are not counted
        assert case.target.constant == pytest.approx(each.value, rel=0.15)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not valid JSON"),
        ("[]", "of no kind"),
        ("{}", "of no kind"),
        ('[["avg_ns"]]', "of no kind"),
        ('{"avg_latency": "x"}', "avg_latency: 'x' is not a number"),
        ('{"elapsed_time": 1, "total_num_tokens": 9}', "of what lengths it does not"),
        ('[{"avg_ns": 1}]', "cannot be read|KeyError|not an output|no tokens"),
    ],
)
def test_json_that_is_no_output_of_a_benchmark_is_refused(tmp_path, text, reason):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError, match=reason):
        read_runs(str(tmp_path / "x.json"))


def test_slopes_are_those_of_the_logarithm():
    s = setup("Qwen2.5-0.5B", "h100-sxm", "transformers-5-eager")
    w = workload(prompt=16384, logits="last")
    jobs = Jobs()
    program = Program([targets(s, w, jobs)["device_time"]], jobs, s.device, s.host, s.runtime)
    values = {name: float(x) for name, x in s.machine("bf16").parameters.items()}
    names = ["gemm_efficiency", "memory_efficiency", "dispatch"]
    slopes = program.slopes(values, names)[0]
    assert np.all(slopes[:2] < 0), "a better device takes less time"
    assert slopes[2] == 0, "the host does not change device time"


# --- the energy of a part of a device ---


@pytest.mark.parametrize("note", ["J per token, rail VDD_CPU_GPU_CV (not the board)", "rail=VDD_CPU_GPU_CV;std=0.1"])
def test_the_energy_of_a_rail_is_that_of_what_it_feeds(note):
    row = run(device="Jetson Orin Nano 8GB", model="Llama-3.2-1B", phase="decode", metric="energy_j", note=note)
    reader = Reader("llama.cpp")
    cases = [reader.case(each) for each in (row, row._replace(note=""), row._replace(metric="latency_s"))]
    device = reader.device(row)
    program = Program([case.target for case in cases], reader.jobs, device, None, reader.runtime)
    rail, whole, time = program.predict({})
    m = program.machines({})[device.default_dtype]
    done = program.activity({})
    one = Activity(*(x[0] for x in (done.active, done.work, done.traffic)))
    assert rail == pytest.approx(0.37 * time + units_energy(device, m, time, one))
    assert whole == pytest.approx(energy(device, m, time, one))
    assert 0.37 * time < rail < whole


def test_the_energy_of_a_rail_that_a_device_does_not_describe_is_left_out():
    row = run(phase="decode", metric="energy_j", note="rail 12VHPWR")
    with pytest.raises(Skip, match="rtx-4090 does not say what its rail 12VHPWR feeds"):
        Reader("llama.cpp").case(row)


# --- llama.cpp's back ends and servers ---


@pytest.mark.parametrize(
    ("words", "device", "runtime"),
    [
        ("llama.cpp b5392 (CPU)", "RTX 4090", "llama.cpp-cpu"),
        ("llama.cpp b4384 CPU", "Ryzen 9 7950X", "llama.cpp-b4384-cpu"),
        ("llama.cpp b4900 CPU", "Ryzen 9 7950X", "llama.cpp-cpu"),
        ("llama.cpp of 2024 (CPU)", "Raspberry Pi 5", "llama.cpp-b4384-cpu"),
        ("llama.cpp b1550 (Metal)", "Apple M3 Pro", "llama.cpp-b2797-metal"),
        ("llama.cpp b7948 (Metal)", "Apple M3 Pro", "llama.cpp-metal"),
        ("llama.cpp (SYCL)", "Arc B580", "llama.cpp-sycl"),
        ("llama.cpp, Vulkan", "RTX 4090", "llama.cpp-vulkan"), ("llama.cpp ROCm 7", "MI300X", "llama.cpp-hip"),
        ("llama.cpp (HIP)", "Strix Halo", "llama.cpp-hip"), ("llama.cpp Metal", "Apple M4 Max", "llama.cpp-metal"),
        ("llama.cpp", "RTX 4090", "llama.cpp"), ("llama.cpp", "AMD EPYC 7001 2 cores", "llama.cpp-cpu"),
        ("llama-bench", "Apple M4 Max", "llama.cpp-metal"), ("llama.cpp", "Strix Halo", "llama.cpp-hip"),
        ("llama.cpp", "an unknown card", "llama.cpp"), ("llama.cpp b2824 (CUDA)", "RTX 3090", "llama.cpp-b2824"),
        ("transformers 5.24.0; eager", "Ryzen 9 7950X", "transformers-5-cpu"),
        ("transformers 5.24.0; eager", "RTX 4090", "transformers-5-eager"),
        ("transformers 5.24.0; eager", "an unknown card", "transformers-5-eager"),
    ],
)  # fmt: skip
def test_the_back_end_of_software_is_the_one_named_or_the_usual_one_of_the_device(words, device, runtime):
    assert runtime_of(run(framework=words, device=device)) == runtime


def test_every_runtime_that_software_is_named_after_is_shipped():
    assert {name for _, name in stacks.STACKS if name} <= set(library.names("runtimes"))


def test_a_chat_puts_35_tokens_around_the_prompt_that_a_client_of_a_server_counts():
    reader = Reader("llama.cpp", "rtx-4090")
    direct, served = (
        reader.case(run(framework=f"llama.cpp b9292 ({how})", prompt=prompt)).target
        for how, prompt in (("CUDA", 163), ("CUDA, llama-server", 128))
    )
    assert served == direct
    held = [reader.case(run(framework=f, phase="decode", prompt=128, context=128, generated=8)).target
            for f in ("llama.cpp", "llama.cpp llama-server")]  # fmt: skip
    assert held[0] == held[1]


@pytest.mark.parametrize(
    ("source", "model", "phase", "more"),
    [
        ("sapmitra/SSM-Scope@574a2c2589:x.csv", "Llama-3.2-1B", "prefill", 1),
        ("sapmitra/SSM-Scope@574a2c2589:x.csv", "Zamba2-1.2B", "prefill", 1),
        ("sapmitra/SSM-Scope@574a2c2589:x.csv", "Qwen2.5-0.5B", "prefill", 0),
        ("sapmitra/SSM-Scope@574a2c2589:x.csv", "Llama-3.2-1B", "decode", 0),
        ("ours", "Llama-3.2-1B", "prefill", 0),
    ],
)
def test_a_tokenizers_mark_is_a_token_more_than_the_words_that_a_row_counts(source, model, phase, more):
    reader = Reader("transformers-4.52-eager", "rtx-4090")
    columns = {"model": model, "phase": phase, "prompt": 1024, "context": 1024 if phase == "decode" else 0}
    counted, longer = (
        reader.case(run(**{**columns, "source": named, "prompt": 1024 + extra})).target
        for named, extra in ((source, 0), ("ours", more))
    )
    assert counted == longer


def test_what_is_copied_around_a_call_of_attention_is_not_in_its_time():
    part = part_of("op:aten::scaled_dot_product_attention", "llama")
    network, stack = library.architecture("Llama-3.2-1B"), library.runtime("transformers-4.52-eager")
    summed, launched = (
        {
            kernel.name
            for row in lower(network, stack, Pass(1, 1024, 0))
            for operator, lowered in row
            if operator.name == "attention"
            for kernel in kernels(operator, lowered)
        }
        for kernels in (lambda o, lowered: part.kernels(o, lowered.kernels), lambda o, lowered: lowered.kernels)
    )
    assert summed == {"attention"}
    assert launched == {"attention", "repeat heads", "contiguous", "merge heads"}


@pytest.mark.parametrize(
    ("threads", "scored"), [("16", True), ("15", False), ("2", False), ("32", True), ("all", True)]
)
def test_a_run_on_a_part_of_a_processor_is_not_scored(threads, scored):
    reader = Reader("llama.cpp-cpu", "ryzen-9-7950x")
    row = run(device="Ryzen 9 7950X", note=f"threads={threads}")
    if scored:
        assert reader.case(row).device == "ryzen-9-7950x"
    else:
        with pytest.raises(Skip, match="fewer threads than the 16 cores"):
            reader.case(row)


@pytest.mark.parametrize(
    ("op", "names"),
    [
        ("op:aten::matmul", {"in_proj"}),
        ("op:mambainnerfn", {"conv", "x_proj", "dt_proj", "scan", "out_proj"}),
        ("op:aten::linear", {"lm_head"}),
    ],
)
def test_a_profilers_names_sum_the_operators_of_mamba_that_its_code_calls_under_them(op, names):
    network = library.architecture("mamba-130m")
    part = part_of(op, network.family)
    assert part is not None
    summed = {o.name for row in network.rows(Pass(1, 1024, 0)) for o in row.operators if o in part}
    assert summed == names


@pytest.mark.parametrize(
    ("model", "op", "note"),
    [
        ("Qwen2.5-0.5B", "selective_scan", "d=1536;n=16"),
        ("mamba2-780m", "selective_scan", "d=1536;n=16"),
        ("mamba2-780m", "attention_prefill", "heads=8;head_dim=64"),
        ("Qwen2.5-0.5B", "causal_conv1d", "d=1536"),
        (
            "mamba2-780m",
            "gdn:fused_recurrent_gated_delta_rule",
            "num_k_heads=4;num_v_heads=4;head_k_dim=64;head_v_dim=64",
        ),
        ("mamba-130m", "mamba2:mamba_chunk_scan_combined", "nheads=8;head_dim=64;d_state=64"),
    ],
)
def test_an_operator_that_its_model_lacks_is_not_scored(model, op, note):
    with pytest.raises(Skip, match=f"{model} has no operator such as {op}"):
        Reader("vllm").case(run(model=model, op=op, note=note))
    assert Reader("vllm").case(run(model="of these sizes", op=op, note=note)).target.parts
