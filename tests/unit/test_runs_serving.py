"""What is known of a load from its row: counted by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

import roofsim
from roofsim.model.split import Split
from roofsim.prediction.loop import ENDLESS, Apart, Loop
from roofsim.prediction.setup import setup
from roofsim.runs.cases import Reader
from roofsim.runs.program import Program
from roofsim.runs.reading import Run
from roofsim.runs.serving import load_of, mean_length, rate_of, template_of, unstated
from roofsim.runs.stacks import runtime_of
from roofsim.serving.server import Server
from roofsim.serving.steady import closed
from roofsim.specs.workload import workload


def run(**fields):
    given = {
        "line": 2, "source": "", "device": "H100 SXM 80GB", "framework": "vllm 0.12", "model": "Qwen2.5-1.5B",
        "arch": "",
        "phase": "decode", "op": "e2e_serving", "dtype": "bf16", "weight_dtype": "", "batch": 4, "prompt": 1000,
        "context": None, "generated": 20, "metric": "latency_s", "value": 0.01, "note": "",
    }  # fmt: skip
    return Run(**{**given, **fields})


def of(row, runtime="vllm", **sizes):
    s = setup(row.model, "h100-sxm", runtime)
    return load_of(row, s, workload(**{"prompt": row.prompt, "generate": row.generated, **sizes}))[:2]


def test_a_server_of_which_nothing_is_known_has_its_own_limits():
    loop, rounds = of(run())
    assert (loop.engine.tokens, loop.engine.sequences, loop.engine.whole, rounds) == (8192, 1024, False, ENDLESS)
    assert (loop.users, loop.running, loop.prompt, loop.generate) == (4, 4, 1000, 20)


def test_a_note_says_how_a_server_was_set_up():
    loop, rounds = of(run(note="max_num_batched_tokens=2048;max_num_seqs=3;requests=40"))
    assert (loop.engine.tokens, loop.engine.sequences, loop.running, rounds) == (2048, 3, 3, 10)


def test_a_planner_makes_steps_for_one_prompt_and_asks_ten_times():
    row = run(source="ai-dynamo/aiconfigurator@1:silicon.csv", framework="trtllm 1.0.0rc3")
    loop, rounds = of(row, "tensorrt-llm")
    # 1,000 of the prompt, one of each of 4 users, 500; a batch of the concurrency
    assert (loop.engine.tokens, loop.engine.sequences, loop.engine.whole, rounds) == (1504, 4, True, 10)
    assert loop.mixed == 4
    assert template_of(row, "llama") == 35
    assert template_of(run(), "llama") == 0


def test_what_does_not_find_room_waits():
    # 1.5B in bf16: two sequences of 1 M tokens of 28 KiB each fill 56 GiB
    loop, _ = of(run(batch=64, prompt=2**20))
    assert 1 <= loop.running < 4
    assert loop.users == 64


@pytest.mark.parametrize(("words", "rate"), [("", None), ("request_rate=inf", None), ("request_rate=2.5", 2.5)])
def test_requests_come_as_fast_as_they_are_answered_unless_a_rate_is_stated(words, rate):
    assert rate_of(run(note=words)) == rate


@pytest.mark.parametrize(
    ("framework", "op", "runtime"),
    [
        ("trtllm 1.0.0rc3", "e2e_serving", "tensorrt-llm"), ("TensorRT-LLM 1.2", "e2e_serving", "tensorrt-llm"),
        ("sglang 0.5.8.post1", "e2e_serving", "sglang"), ("vllm 0.12.0", "e2e_serving", "vllm"),
    ],
)  # fmt: skip
def test_what_serves_is_known_by_its_name(framework, op, runtime):
    assert runtime_of(run(framework=framework, op=op)) == runtime


def test_times_of_serving_are_sums_over_steps():
    reader = Reader("vllm")
    first, then = (reader.case(run(phase=phase)) for phase in ("prefill", "decode"))
    loop, _ = of(run())
    # one prompt alone, then three in a step
    assert loop.steps[:2] == (1, 1)
    for case, steps in ((first, loop.until_first(ENDLESS)), (then, loop.between_tokens(ENDLESS))):
        said = sorted(n for n, _ in case.target.parts)
        assert said == pytest.approx(sorted(n for n in steps if n))
    assert sum(n for n, _ in then.target.parts) == pytest.approx(1)
    assert {key for _, key in then.target.parts} <= {key for _, key in first.target.parts}
    assert replace(first.target, parts=()) == replace(then.target, parts=())


@pytest.mark.parametrize("ways", ["", "tp=2", "tp=2;pp=2", "dp=2"])
def test_a_row_is_predicted_as_the_steady_state_is(ways):
    split = {name: int(n) for name, _, n in (each.partition("=") for each in ways.split(";") if each)}
    s = setup("Llama-3.1-8B", "h100-sxm", "vllm", split=Split(**split))
    said = closed(Server(s, workload(prompt=1000, generate=20)), 16)
    reader = Reader("vllm")
    for phase, value in (("prefill", said.ttft["mean"]), ("decode", said.itl["mean"])):
        case = reader.case(run(model="Llama-3.1-8B", phase=phase, batch=16, note=ways))
        program = Program([case.target], reader.jobs, s.device, s.host, s.runtime)
        assert program.predict({})[0] == pytest.approx(value)


@pytest.mark.parametrize("ways", ["", "tp=2"])
def test_a_pass_of_a_divided_model_is_that_of_one_device_of_its_cluster(ways):
    """Sixteen prompts of 1,000 tokens, on one H100 and on two in their usual cluster."""
    split = {name: int(n) for name, _, n in (each.partition("=") for each in ways.split(";") if each)}
    said = roofsim.predict("Llama-3.1-8B", device="h100-sxm", runtime="vllm", batch=16, prompt=1000,
                           calibration=None, **split)  # fmt: skip
    reader = Reader("vllm")
    case = reader.case(run(model="Llama-3.1-8B", op="e2e", phase="prefill", batch=16, prompt=1000, note=ways))
    s = said.on
    assert Program([case.target], reader.jobs, s.device, s.host, s.runtime).predict({})[0] == pytest.approx(
        float(said.request.ttft)
    )


def otherwise(row, runtime="vllm", **sizes):
    s = setup(row.model, "h100-sxm", runtime)
    w = workload(**{"prompt": row.prompt, "generate": row.generated, **sizes})
    return [(each.loop.running, each.rounds) for each in unstated(row, load_of(row, s, w))]


def test_what_a_row_does_not_state_may_have_been_otherwise():
    # together or not, a step sooner or later, a place less, and all at once
    assert otherwise(run()) == [(4, ENDLESS)] * 3 + [(3, ENDLESS), (4, 10)]
    assert otherwise(run(note="requests=40;max_num_seqs=9")) == [(4, ENDLESS), (4, 10), (4, 10)]


def test_the_share_of_the_memory_that_a_server_took_decides_how_many_it_had_room_for():
    # 28 KiB a token: 0.04 of 80 GiB are 3.66 sequences of 32,777 tokens in the mean, more or less
    row = run(batch=200, prompt=2**15)
    taken, (less, more) = of(row)[0].running, [running for running, _ in otherwise(row)[-2:]]
    assert 60 < taken < 80
    assert {taken - less, more - taken} <= {3, 4}
    # rows whose users all find room are the same with a little less of it
    assert len(otherwise(run(batch=8))) == 5


def test_what_a_tool_gives_a_server_of_its_device_is_what_a_run_has_room_in():
    """Of an H100 SGLang takes 0.835 by itself, and is taken to have been given 0.8.

    That leaves 5.05 and 2.09 GB for requests that hold 0.57 GB in the mean and 0.60 at their end.
    """
    own, given = (
        load_of(row, setup("Qwen3-32B", "h100-sxm", "sglang"), workload(prompt=2048, generate=256)).loop.running
        for row in (run(model="Qwen3-32B", batch=64, prompt=2048), run(
            source="x/aiconfigurator@1:silicon.csv id=model_h100_c4_1", model="Qwen3-32B", batch=64, prompt=2048
        ))
    )  # fmt: skip
    assert (own, given) == (8, 3)


def test_a_row_knows_what_it_may_have_been():
    reader = Reader("vllm")
    case = reader.case(run(phase="prefill"))
    assert len(case.otherwise) == 5
    # steps of a place less are those that are there
    assert {key for each in case.otherwise for _, key in each.parts} == set(reader.jobs)
    assert len(reader.jobs) == 3


def test_lengths_that_are_drawn_are_shorter_in_the_mean_and_part_users():
    row = run(source="x/aiconfigurator@1:systems/silicon_sample.csv id=2026_01_31_model_h100_c4", batch=4)
    assert (mean_length(row, 1000), mean_length(row, 20)) == (900, 18)
    loop, rounds = of(row, prompt=900, generate=18)
    assert (type(loop), loop.users, rounds) == (Apart, 4, 10)
    # in the case they are as long as in the mean, and no template is put around them
    load, _ = of(run(), prompt=900, generate=18)
    assert type(load) is Loop
    first = Reader("vllm").case(row._replace(phase="prefill"))
    said = loop.until_first(10)
    assert sorted(n for n, _ in first.target.parts) == pytest.approx(sorted(n for n in said if n))
    # where prompts fill all steps they share them
    assert type(of(row._replace(batch=400), prompt=900, generate=18)[0]) is Loop
    planner = run(source="x/aiconfigurator@1:silicon.csv id=model_h100_c4_1")
    assert (mean_length(planner, 1000), mean_length(run(), 1000)) == (1000, 1000)
