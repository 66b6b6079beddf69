"""`roofsim simulate` and `roofsim steps`: what is asked reaches the engine, and wrong input is told where it is."""

from __future__ import annotations

import csv
import io
import json
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

import roofsim
from roofsim.cli import group
from roofsim.prediction.setup import setup
from roofsim.serving.step import StepTime
from roofsim.specs.workload import workload

SIMULATE = ("simulate", "Qwen2.5-0.5B", "-d", "h100-sxm", "-g", "8", "-p", "64", "-n", "20", "--sequences", "16")
STEPS = ("steps", "Qwen2.5-0.5B", "-d", "h100-sxm")


def run(*arguments):
    return CliRunner().invoke(group, arguments, prog_name="roofsim")


def test_times_and_levels_are_of_the_load_that_is_asked_for():
    pytest.importorskip("simpy", reason="SimPy is not installed")
    found = json.loads(run(*SIMULATE, "--rate", "4", "--cv", "0", "--seed", "3", "-f", "json").stdout)
    assert found["load"]["rate"] == 4
    assert found["load"]["capacity"] > 100
    assert found["load"]["overloaded"] is False
    assert found["duration"] == pytest.approx(20 / 4, rel=0.02)
    assert found["requests"] == 20
    assert found["prompt_tokens"] == 20 * 64
    assert found["ttft"]["p50"] == pytest.approx(found["ttft"]["p99"], rel=1e-6)  # each finds an idle engine
    assert found["tokens_per_second"]["total"] == pytest.approx(8 * found["requests_per_second"])
    assert found["mean"]["in_system"] == pytest.approx(found["e2e"]["mean"] * found["requests_per_second"])
    t = StepTime(setup("Qwen2.5-0.5B", "h100-sxm", "vllm"), workload(dtype="bf16"))
    assert found["itl"]["p50"] == pytest.approx(t.decodes(1, 67)[0], rel=0.2)


def test_a_system_prompt_is_computed_once():
    pytest.importorskip("simpy", reason="SimPy is not installed")
    found = json.loads(run(*SIMULATE, "--rate", "4", "--prefix", "32", "-f", "json").stdout)
    assert found["prompt_tokens"] == 20 * 64 - 19 * 32
    assert found["load"]["prefix"] == 32


def test_a_row_for_each_request():
    pytest.importorskip("simpy", reason="SimPy is not installed")
    rows = list(csv.DictReader(io.StringIO(run(*SIMULATE, "--users", "3", "--think", "5ms", "-f", "csv").stdout)))
    assert len(rows) == 20
    assert {row["prompt"] for row in rows} == {"64"}
    assert all(float(row["ttft [s]"]) < float(row["e2e [s]"]) for row in rows)


def test_where_users_wait_for_answers_all_times_are_as_sure_as_a_step():
    pytest.importorskip("simpy", reason="SimPy is not installed")
    found = json.loads(run(*SIMULATE, "--users", "4", "-f", "json").stdout)
    ends = [[end / found[name]["mean"] for end in found["intervals"][name]] for name in ("ttft", "itl", "e2e")]
    assert ends[0][0] < 0.95 < 1.05 < ends[0][1]
    for each in ends:
        assert each == pytest.approx(ends[0], rel=1e-3)
    low, high = found["intervals"]["tokens_per_second"]
    assert [low, high] == pytest.approx([found["tokens_per_second"]["total"] / end for end in ends[0][::-1]], rel=1e-3)


def test_the_nearer_to_what_can_be_answered_the_less_sure_is_the_wait():
    pytest.importorskip("simpy", reason="SimPy is not installed")
    asked = (*SIMULATE, "-n", "60", "--sequences", "1", "--seed", "1", "-f", "json", "--rate")
    kept = json.loads(run(*asked, "1").stdout)["load"]["capacity"]
    few, many = (json.loads(run(*asked, str(share * kept)).stdout) for share in (0.1, 0.8))
    wide = [found["intervals"]["ttft"][1] / found["ttft"]["mean"] for found in (few, many)]
    assert wide[1] > 1.2 * wide[0] > 1.2


def test_too_much_is_said_first():
    pytest.importorskip("simpy", reason="SimPy is not installed")
    shown = run(*SIMULATE, "--rate", "1e6", "--sequences", "2").stdout
    assert shown.startswith("Mind: 1e+06 requests come in a second and ")
    assert "the queue grows" in " ".join(shown.split())


def test_a_trace_says_which_requests_come(tmp_path):
    pytest.importorskip("simpy", reason="SimPy is not installed")
    path = tmp_path / "trace.csv"
    path.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n0,40,2\n1.5,30,3\n")
    given = ("simulate", "Qwen2.5-0.5B", "-d", "h100-sxm", "--trace", str(path), "--speed", "3",
             "--sequences", "16", "-f", "json")  # fmt: skip
    found = json.loads(run(*given).stdout)
    assert (found["requests"], found["load"]["rate"]) == (2, 2)
    assert found["duration"] == pytest.approx(0.5, rel=0.2)
    again = roofsim.simulate("Qwen2.5-0.5B", "h100-sxm", trace=path, speed=3, sequences=16)
    assert again.to_dict() == found


def test_one_group_of_devices_serves_its_share():
    pytest.importorskip("simpy", reason="SimPy is not installed")
    asked = (*SIMULATE, "-n", "40", "--cv", "0", "-f", "json")
    one, two = (
        json.loads(run(*asked, "--rate", rate, *more).stdout) for rate, more in (("5", ()), ("10", ("--dp", "2")))
    )
    assert (two["groups"], two["devices"], two["requests"]) == (2, 2, 20)
    assert two["load"]["rate"] == 10
    assert two["load"]["capacity"] == pytest.approx(2 * one["load"]["capacity"], rel=0.05)
    assert two["ttft"]["mean"] == pytest.approx(one["ttft"]["mean"], rel=0.01)
    assert two["tokens_per_second"]["device"] == pytest.approx(one["tokens_per_second"]["total"], rel=0.1)
    # both devices are there for half of the tokens each
    assert two["energy_per_token"] == pytest.approx(one["energy_per_token"], rel=0.01)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "one of rate, users and trace says which requests come; none is given"),
        (("--rate", "2", "--users", "3"), "rate and users are given"),
        (("--users", "3", "--cv", "2"), "cv, on and off: are of requests that come at a rate"),
        (("--rate", "2", "--on", "1s"), "on, off: go together"),
        (("--rate", "2", "--on", "1s", "--off", "1s", "--cv", "2"), "two kinds of bursts"),
        (("--rate", "2", "--think", "1s"), "think: is of users"),
        (("--rate", "2", "--speed", "2"), "speed: is of a trace"),
        (("--trace", "x.csv", "--spread", "0.5"), "a trace says how long"),
        (("--trace", "no-such.csv"), "no such file"),
        (("--rate", "0"), "rate: 0.0 is not above 0"),
        (("--rate", "fast"), "'fast' is not a number"),
        (("--rate", "2", "--spread", "2"), "spread: 2.0"),
        (("--rate", "2", "--prefix", "64"), "prefix: 64"),
        (("--rate", "2", "--hit-rate", "0.5"), "of what? Give prefix"),
        (("--rate", "2", "--prefix", "8", "--hit-rate", "2"), "2"),
        (("--rate", "2", "-n", "500k", "-g", "1k"), "too many to simulate"),
        (("--rate", "2", "-g", "0"), "at least one token"),
        (("--rate", "2", "-p", "1G"), ""),
    ],
)
def test_a_load_that_is_none_is_refused(options, message):
    result = run(*SIMULATE, *options)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_without_simpy_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "simpy", None)
    result = run(*SIMULATE, "--rate", "2")
    assert result.exit_code == 2
    assert "install the extra `serving`" in " ".join(result.stderr.split())


def test_steps_are_those_of_the_engine():
    given = ("--decodes", "0,2", "--held", "1k,2k", "--pieces", "0,1", "--new", "512", "--context", "0,1k")
    found = json.loads(run(*STEPS, *given, "-f", "json").stdout)
    rows = [tuple(row[name] for name in ("decodes", "held", "pieces", "new", "context")) for row in found["rows"]]
    assert rows == [
        (0, 0, 1, 512, 0), (0, 0, 1, 512, 1024), (2, 1024, 0, 0, 0), (2, 1024, 1, 512, 0), (2, 1024, 1, 512, 1024),
        (2, 2048, 0, 0, 0), (2, 2048, 1, 512, 0), (2, 2048, 1, 512, 1024),
    ]  # fmt: skip
    t = roofsim.step_time("Qwen2.5-0.5B", "h100-sxm")
    for row, values in zip(rows, found["rows"], strict=True):
        assert t.of(*row) == pytest.approx((values["time"], values["energy"]))


def test_a_table_for_sglang_has_the_sequences_of_each_batch(tmp_path):
    path = tmp_path / "table.json"
    run(*STEPS, "--decodes", "0,2", "--pieces", "0,1", "--new", "8", "--context", "16", "--sglang", str(path))
    table = json.loads(path.read_text())
    assert list(map(json.loads, table)) == [[[8, 16]], [[1, 1024], [1, 1024]], [[1, 1024], [1, 1024], [8, 16]]]
    t = roofsim.step_time("Qwen2.5-0.5B", "h100-sxm")
    assert table["[[1, 1024], [1, 1024], [8, 16]]"] == pytest.approx(t.of(2, 1024, 1, 8, 16)[0])


def test_the_predictor_for_sglang_answers_for_a_batch_of_its_scheduler():
    t = roofsim.step_time("Qwen2.5-0.5B", "h100-sxm")
    predictor = t.sglang()
    reqs = [SimpleNamespace(extend_length=new, past_kv_length=held) for new, held in ((1, 500), (1, 700), (300, 0))]
    assert predictor.predict_infer_time(SimpleNamespace(reqs=reqs)) == t.of(2, 600, 1, 300, 0)[0]
    assert predictor.predict_infer_time(SimpleNamespace(reqs=[])) == 0
    assert predictor.get_metrics() == {"roofsim_steps": 2}
    predictor.reset_metrics()
    assert predictor.get_metrics() == {"roofsim_steps": 0}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--decodes", "0"), "neither sequences that decode nor pieces"),
        (("--decodes", ",".join(map(str, range(1, 1002))), "--held", ",".join(map(str, range(1, 1002)))), "too many"),
        (("--held", "0"), "0"),
    ],
)
def test_a_table_of_nothing_is_refused(options, message):
    result = run(*STEPS, *options)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_layers_for_llmservingsim_lie_in_the_folder_that_names_them(tmp_path):
    folder = tmp_path / "perf" / "H100" / "Qwen" / "Qwen2.5-0.5B" / "bf16"
    said = run(*STEPS, "--decodes", "1", "--llmservingsim", str(folder))
    assert said.exit_code == 0
    meta = (folder / "meta.yaml").read_text()
    assert "hardware: 'H100'" in meta
    assert "model: 'Qwen/Qwen2.5-0.5B'" in meta
    dense, heads, attention = (
        list(csv.DictReader((folder / "tp1" / name).read_text().splitlines()))
        for name in ("dense.csv", "per_sequence.csv", "attention.csv")
    )
    assert {"embedding", "layernorm", "qkv_proj", "rotary_emb", "o_proj", "gate_up_proj", "act_fn", "down_proj",
            "final_layernorm"} == {row["layer"] for row in dense}  # fmt: skip
    # the layers of a step are all of what its kernels take: 24 blocks of which each has two norms
    t = roofsim.step_time("Qwen2.5-0.5B", "h100-sxm")
    one = {row["layer"]: float(row["time_us"]) for row in dense if row["tokens"] == "1024"}
    blocks = sum(time for name, time in one.items() if name not in ("embedding", "final_layernorm")) + one["layernorm"]
    blocks += next(float(row["time_us"]) for row in attention
                   if (row["prefill_chunk"], row["prefill_key"], row["n_decode"]) == ("1024", "512", "0"))  # fmt: skip
    last = sum(float(row["time_us"]) for row in heads if row["sequences"] == "1")
    whole = 24 * blocks + one["embedding"] + one["final_layernorm"] + last
    assert whole / 1e6 == pytest.approx(t.run([(1, 1024, 0)]).device_time, rel=0.02)
    # what is at once adds up
    each = {(row["prefill_chunk"], row["prefill_key"], row["n_decode"], row["kv_decode"]): float(row["time_us"])
            for row in attention}  # fmt: skip
    assert each["64", "544", "4", "512"] == pytest.approx(
        each["64", "544", "0", "0"] + each["0", "0", "4", "512"], rel=1e-4
    )


@pytest.mark.parametrize(
    ("model", "folder", "said"),
    [
        ("Qwen2.5-0.5B", "here", "write it like profiler/perf/H100/meta-llama/Llama-3.1-8B/bf16"),
        ("mamba2-130m", "perf/H100/state-spaces/mamba2/bf16", "dense Transformers"),
    ],
)
def test_layers_for_llmservingsim_are_refused_for_others(model, folder, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("steps", model, "-d", "h100-sxm", "--decodes", "1", "--llmservingsim", folder)
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())
    assert not list(tmp_path.iterdir())


def test_layers_of_several_devices_are_those_of_one_without_what_they_exchange(tmp_path):
    times = {}
    for ranks in (1, 2):
        folder = tmp_path / "H100" / "meta-llama" / "Llama-3.2-1B" / f"bf16-{ranks}"
        run(
            "steps",
            "Llama-3.2-1B",
            "-d",
            "h100-sxm",
            "--decodes",
            "1",
            "--tp",
            str(ranks),
            "--llmservingsim",
            str(folder),
        )
        rows = csv.DictReader((folder / f"tp{ranks}" / "dense.csv").read_text().splitlines())
        times[ranks] = {(row["layer"], row["tokens"]): float(row["time_us"]) for row in rows}
    assert times[1].keys() == times[2].keys()
    assert times[1]["layernorm", "64"] == times[2]["layernorm", "64"]
    assert 0.4 < times[2]["down_proj", "8192"] / times[1]["down_proj", "8192"] < 0.7
