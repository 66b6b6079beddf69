"""A model divided among devices, as it is asked for in words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from roofsim.cli import group
from roofsim.model.split import Split
from roofsim.prediction.setup import setup
from roofsim.reports.onepage import again
from roofsim.specs.workload import workload

STACK = ("Llama-3.1-8B", "-d", "h100-sxm", "-r", "vllm")


def run(*words: str) -> Result:
    return CliRunner().invoke(group, words, prog_name="roofsim")


def data(*words: str) -> Any:
    result = run(*words, "-f", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_one_case_says_what_it_is_divided_among() -> None:
    result = run("predict", *STACK, "--tp", "4", "--pp", "2")
    assert "on 8 x NVIDIA H100 SXM5 80GB (dgx-h100), TP 4, PP 2" in result.output
    assert "to other devices" in result.output
    assert "8 devices in a node of NVIDIA DGX H100, TP 4, PP 2" in " ".join(result.output.split())
    assert "to other devices" not in run("predict", *STACK).output


def test_several_ways_are_an_axis_of_every_command() -> None:
    rows = data("compare", *STACK, "--tp", "1,2,8", "-p", "500")["rows"]
    by_ranks = {row["tp"]: row["tpot"] for row in rows}
    assert sorted(by_ranks) == [1, 2, 8]
    assert by_ranks[8] < by_ranks[2] < by_ranks[1]
    refused = {row["tp"]: row["refused"] for row in data("compare", *STACK, "--tp", "2,3")["rows"]}
    assert refused[2] is None
    assert "heads 32 is not divisible by tp 3" in refused[3]
    swept = run("sweep", *STACK, "--tp", "2,8", "--pp", "1,2", "-f", "csv").stdout.splitlines()
    assert swept[0].startswith("model,device,runtime,tp,pp,")
    assert len(swept) == 5
    longest = {row["chosen"]["tp"]: row["limits"]["max_batch"] for row in data("limits", *STACK, "--tp", "1,4")["rows"]}
    assert longest[4] > 3 * longest[1]


def test_limits_explanations_and_crossovers_say_what_a_model_is_divided_among() -> None:
    asked = ("--tp", "2")
    answers = (
        data("limits", *STACK, *asked, "--lengths", "1k"), data("explain", *STACK, *asked, "-r", "ideal"),
        data("crossover", "Qwen2.5-0.5B", *STACK, *asked, "-m", "memory", "--longest", "2k"),
    )  # fmt: skip
    for each in answers:
        assert (each["parallel"]["tp"], each["parallel"]["devices"], each["cluster"]) == (2, 2, "dgx-h100")


def test_what_moves_a_figure_has_the_links_among_it() -> None:
    found = data("sensitivity", *STACK, "--tp", "8", "-p", "4k", "--over", "cluster")
    pulls = {row["number"]: row["elasticity"] for row in found["rows"]}
    assert pulls["cluster.links.node.bandwidth"] < -0.1


def test_the_command_that_makes_a_page_again_divides_the_model_as_it_was() -> None:
    s = setup("Llama-3.1-8B", "h100-sxm", "vllm", split=Split(tp=4))
    given = {"model": "Llama-3.1-8B", "device": "h100-sxm", "tp": 4, "pp": 1, "cluster": "dgx-h100"}
    words = again.asked(given, s, workload(batch=2, prompt=9, generate=3))
    assert again.line("predict", words) == (
        "roofsim predict Llama-3.1-8B -d h100-sxm -r vllm -b 2 -p 9 -g 3 --cluster dgx-h100 --tp 4"
    )


def test_links_can_be_changed_and_named() -> None:
    slow, fast = (
        data(
            "predict",
            *STACK,
            "--tp",
            "2",
            "--cluster",
            "dgx-h100",
            "-p",
            "16k",
            "--set",
            f"cluster.links.node.bandwidth={x}",
        )
        for x in ("60 GB/s", "900 GB/s")
    )
    assert slow["decode"]["bound"] == "memory"
    assert slow["prefill"]["time"] > 1.3 * fast["prefill"]["time"]
    assert slow["cluster"] == "dgx-h100"


def test_a_cluster_in_the_place_of_a_device_is_one_of_its_devices_and_itself_for_several() -> None:
    one = data("predict", "Llama-3.1-8B", "-d", "hgx-h100", "-r", "vllm")
    plain = data("predict", "Llama-3.1-8B", "-d", "h100-sxm", "-r", "vllm")
    assert (one["device"], one["cluster"]) == ("h100-sxm", "dgx-h100")
    assert one["decode"]["time"] == plain["decode"]["time"]
    assert "one device of NVIDIA DGX H100; --tp 8 would share the model among 8" in one["assumptions"]
    table = run("predict", "Llama-3.1-8B", "-d", "4x-rtx-4090", "-r", "vllm", "--tp", "1,2,8").output
    assert "Several devices stand in 4x-rtx-4090." in table
    assert "8 devices (TP 8): 4x-rtx-4090 has 4 (1 x 4)" in table
    pair = ("-r", "vllm", "--tp", "2")
    bridged = data("predict", "Qwen2.5-0.5B", "-d", "2x-rtx-3090-nvlink", *pair)
    named = data("predict", "Qwen2.5-0.5B", "-d", "rtx-3090", "--cluster", "2x-rtx-3090-nvlink", *pair)
    assert bridged["cluster"] == "2x-rtx-3090-nvlink"
    assert bridged["decode"]["time"] == named["decode"]["time"]
    assert data("limits", "Qwen2.5-0.5B", "-d", "dgx-h100")["device"] == "h100-sxm"
    both = run("compare", "Qwen2.5-0.5B", "-d", "2x-rtx-3090,2x-rtx-3090-nvlink", *pair)
    assert both.exit_code == 2
    assert "are both of rtx-3090: say -d rtx-3090 --cluster 2x-rtx-3090,2x-rtx-3090-nvlink" in both.output
    refused = run("predict", "Llama-3.1-8B", "-d", "dgx-h10")
    assert refused.exit_code == 2
    assert "devices: no 'dgx-h10'; nearest:" in refused.output


def test_ranks_share_keys_and_the_stream_as_asked_and_one_that_cannot_says_so() -> None:
    asked = ("predict", "DeepSeek-V2-Lite", "-d", "h100-sxm", "-r", "vllm", "--tp", "2", "-p", "512")
    kept, shared = data(*asked), data(*asked, "--set", "runtime.parallel.copies=shared")
    assert kept["memory"]["state"] == pytest.approx(2 * shared["memory"]["state"])
    stream = data(*asked, "--set", "runtime.parallel.stream=shared")
    assert {"gather_1", "join_1", "stream_gather"} <= {row["operator"] for row in stream["decode"]["operators"]}
    refused = run("predict", "gpt-j-6b", "-d", "h100-sxm", *asked[4:], "--set", "runtime.parallel.stream=shared")
    assert refused.exit_code == 2
    assert "the stream can be shared where a norm stands before each part" in refused.output


HALVES = ("--set", "runtime.parallel.overlaps=halves")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--tp", "3"), "heads 32 is not divisible by tp 3; tp can be 1, 2, 4, 8, 16, 32"),
        (("--tp", "8", "--pp", "40"), "320 devices (TP 8, PP 40): dgx-h100 has 256 (32 x 8)"),
        (("--ep", "2", "--tp", "2"), "has no experts to divide"),
        (("--ep", "2"), "ep: 2 does not divide the 1 ranks of a stage"),
        (("--tp", "2", "--cluster", "dgx-h10"), "nearest: dgx-h100"),
        (("--tp", "2", "--cluster", "dgx-b200"), "dgx-b200: is of b200-sxm, not of h100-sxm"),
        (("--cp", "2"), "vllm does not divide a model so; it divides by tp, pp, ep, dp"),
        (("--tp", "0"), "'0' is not a whole number from 1"),
        (("--set", "cluster.nodes=2"), "one device is used"),
        (
            ("--tp", "2", *HALVES, "--set", "runtime.parallel.units=132"),
            "exchanges take 132 units, and h100-sxm has 132",
        ),
        (("--tp", "2", "--set", "runtime.parallel.units=-1"), "runtime.parallel.units"),
        (("--tp", "2", "--set", "runtime.parallel.expert_spread=-1"), "runtime.parallel.expert_spread"),
        (("--tp", "2", "--set", "runtime.parallel.tokens=lost"), "should be 'sent' or 'gathered', not 'lost'"),
    ],
)
def test_what_cannot_be_is_said_with_what_can(words: tuple[str, ...], said: str) -> None:
    result = run("predict", *STACK, *words)
    assert result.exit_code == 2
    assert said in result.output
