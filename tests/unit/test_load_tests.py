"""What load generators write, read as runs."""

from __future__ import annotations

import json

import pytest

from roofsim.foundation.errors import InputError
from roofsim.runs.importers import read_runs

VLLM = {"backend": "vllm", "model_id": "meta-llama/Llama-3.1-8B", "completed": 10, "total_input_tokens": 10240,
        "total_output_tokens": 1280, "max_concurrency": 16, "request_rate": "inf", "burstiness": 1.0,
        "mean_ttft_ms": 40.0, "median_ttft_ms": 39.0, "mean_tpot_ms": 8.0, "median_tpot_ms": 7.5}  # fmt: skip
SGLANG = {**{k: v for k, v in VLLM.items() if k not in ("model_id", "burstiness")}, "backend": "sglang",
          "dataset_name": "random", "max_concurrency": None, "request_rate": 2.5,
          "server_info": {"model_path": "meta-llama/Llama-3.1-8B", "tp_size": 2}}  # fmt: skip
AIPERF = {
    "input_sequence_length": {"unit": "tokens", "avg": 1024.2},
    "output_sequence_length": {"unit": "tokens", "avg": 127.6},
    "request_count": {"unit": "requests", "avg": 10.0},
    "time_to_first_token": {"unit": "ms", "avg": 40.0, "p50": 39.0, "p99": 80.0},
    "inter_token_latency": {"unit": "ms", "avg": 8.0, "p50": 7.5},
    "input_config": {"endpoint": {"model_names": ["meta-llama/Llama-3.1-8B"], "type": "chat"},
                     "loadgen": {"concurrency": 16}},
}  # fmt: skip


def spread(mean: float) -> dict:
    return {"successful": {"mean": mean, "median": mean}, "errored": None}


GUIDELLM = {
    "metadata": {"version": 2},
    "benchmarks": [
        {
            "config": {
                "strategy": {"type_": "concurrent", "streams": 16},
                "backend": {"type_": "openai_http", "model": "meta-llama/Llama-3.1-8B"},
            },
            "metrics": {
                "prompt_token_count": spread(1024.0), "output_token_count": spread(128.0),
                "time_to_first_token_ms": spread(40.0), "inter_token_latency_ms": spread(8.0),
                "request_totals": {"successful": 10, "errored": 0},
            },
        }
    ],
}  # fmt: skip
STAGE = {
    "load_summary": {"count": 10, "requested_rate": 2.5, "achieved_rate": 2.4},
    "successes": {
        "count": 10,
        "latency": {"time_to_first_token": {"mean": 0.04}, "time_per_output_token": {"mean": 0.008}},
        "prompt_len": {"mean": 1024.0},
        "output_len": {"mean": 128.0},
    },
    "failures": {"count": 0},
}


def log_line(key: str, value: object) -> str:
    return ":::MLLOG " + json.dumps({"key": key, "value": value, "time_ms": 1.0, "namespace": "mlperf::logging"})


MLPERF = "\n".join(
    [
        log_line("effective_scenario", "Server"),
        log_line("result_first_token_mean_latency_ns", 40_000_000),
        log_line("result_time_to_output_token_mean", 8_000_000),
        log_line("result_scheduled_samples_per_sec", 2.5),
    ]
)


@pytest.fixture
def read(tmp_path):
    def written(data: object):
        path = tmp_path / "result.json"
        path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
        return read_runs(str(path)).runs

    return written


@pytest.mark.parametrize(
    ("data", "model", "batch", "rate"),
    [
        (VLLM, "meta-llama/Llama-3.1-8B", 16, None),
        (SGLANG, "meta-llama/Llama-3.1-8B", None, "2.5"),
        (AIPERF, "meta-llama/Llama-3.1-8B", 16, None),
        (GUIDELLM, "meta-llama/Llama-3.1-8B", 16, None),
        (STAGE, "", None, "2.5"),
    ],
    ids=["vllm", "sglang", "aiperf", "guidellm", "inference-perf"],
)
def test_means_under_load_are_read_with_what_the_load_was(read, data, model, batch, rate):
    first, step = read(data)
    assert (first.op, first.phase, first.value) == ("e2e_serving", "prefill", pytest.approx(0.04))
    assert (step.op, step.phase, step.value) == ("e2e_serving", "decode", pytest.approx(0.008))
    for each in (first, step):
        assert (each.model, each.batch, each.prompt, each.generated) == (model, batch, 1024, 128)
        assert each.notes.get("request_rate") == rate
        assert each.notes["requests"] == "10"
    assert (first.context, step.context) == (0, 1024)


def test_one_request_at_a_time_is_a_plain_run_with_its_median(read):
    one, two = read({**VLLM, "max_concurrency": 1})
    assert (one.op, one.value, two.value) == ("e2e", pytest.approx(0.039), pytest.approx(0.0075))
    synchronous = {"strategy": {"type_": "synchronous"}, "backend": {"model": "m"}}
    alone = {"benchmarks": [{**GUIDELLM["benchmarks"][0], "config": synchronous}]}
    assert {(r.op, r.batch) for r in read(alone)} == {("e2e", 1)}


def test_several_results_of_one_file_are_all_read(read):
    lines = "\n".join(json.dumps({**SGLANG, "request_rate": rate}) for rate in (1, 2, 4))
    assert [r.notes["request_rate"] for r in read(lines)] == ["1", "1", "2", "2", "4", "4"]
    assert {r.notes["tp"] for r in read(lines)} == {"2"}
    rates = [{**GUIDELLM["benchmarks"][0], "config": {"strategy": {"type_": "poisson", "rate": r}}} for r in (1, 2)]
    found = read({"benchmarks": rates})
    assert [(r.batch, r.notes["request_rate"], r.notes["arrivals"]) for r in found[::2]] == [
        (None, "1", "poisson"),
        (None, "2", "poisson"),
    ]


def test_a_single_token_has_no_step(read):
    assert [r.phase for r in read({**VLLM, "total_output_tokens": 10})] == ["prefill"]


def test_units_of_aiperf_are_read(read):
    seconds = {**AIPERF, "time_to_first_token": {"unit": "sec", "avg": 0.04}, "inter_token_latency": None}
    assert [r.value for r in read(seconds)] == [pytest.approx(0.04)]
    with pytest.raises(InputError, match="time_to_first_token: the unit 'furlong' is not known"):
        read({**AIPERF, "time_to_first_token": {"unit": "furlong", "avg": 0.04}})


def test_settings_of_genai_perf_are_found_where_they_stand(read):
    asked = {"model": ["llama"], "backend": "vllm", "perf_analyzer": {"stimulus": {"concurrency": 4}}}
    first, _ = read({**AIPERF, "input_config": asked})
    assert (first.model, first.framework, first.batch) == ("llama", "vllm", 4)


def test_a_log_of_mlperf_states_times_but_no_lengths(read):
    first, step = read(MLPERF)
    assert (first.value, step.value) == (pytest.approx(0.04), pytest.approx(0.008))
    assert (first.prompt, first.generated, first.model, first.notes["request_rate"]) == (None, None, "", "2.5")
    assert first.notes["scenario"] == "Server"
    with pytest.raises(InputError, match="no time to first token"):
        read(log_line("effective_scenario", "Offline"))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({**VLLM, "completed": 0}, "completed"),
        ({**VLLM, "mean_ttft_ms": "soon"}, "mean_ttft_ms"),
        ({**AIPERF, "input_sequence_length": {"unit": "tokens"}}, "'avg' is not there"),
        ({**GUIDELLM, "benchmarks": [{"config": {}}]}, "'metrics' is not there"),
        ({**GUIDELLM, "benchmarks": ["slow"]}, "not laid out"),
        ({**STAGE, "load_summary": {}}, "neither a rate nor a concurrency"),
        ({**STAGE, "successes": {"count": 0, "latency": {}}}, "prompt_len"),
        ({**SGLANG, "request_rate": "fast"}, "request_rate"),
    ],
)
def test_what_is_laid_out_otherwise_is_refused_by_its_field(read, data, reason):
    with pytest.raises(InputError, match=reason):
        read(data)
