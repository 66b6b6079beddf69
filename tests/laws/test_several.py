"""What holds of a model on several devices, whatever the model, the cluster and the software."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from roofsim import library
from roofsim.engine.roofline import machine
from roofsim.foundation.errors import Unsupported
from roofsim.foundation.quantity import Sourced
from roofsim.foundation.schema import assembled, variant
from roofsim.model.split import RANKS, Split
from roofsim.prediction.compiled import compiled
from roofsim.prediction.evaluation import FIGURES, Evaluation, figure
from roofsim.prediction.places import placed
from roofsim.prediction.request import predict_request, settled
from roofsim.prediction.results import columns
from roofsim.prediction.setup import Setup, setup
from roofsim.prediction.what_if import what_if
from roofsim.specs.workload import Workload, workload

FREE = {"parameters.link_delay": 0.0, "parameters.collective_time": 0.0, "parameters.peer_time": 0.0}
"""Parameters of links and collectives that take no time but for bytes."""


def on(runtime: str = "vllm", model: str = "llama-3.1-8b", device: str = "h100-sxm", **ranks: int) -> Setup:
    return setup(model, device, runtime, split=Split(**ranks))


def asked(s: Setup, **sizes: int) -> Workload:
    return settled(s, workload(**{"prompt": 700, "batch": 6, "generate": 9, "dtype": "bf16", **sizes}))


def figures(s: Setup, **sizes: int) -> dict[str, float]:
    e = Evaluation(s, asked(s, **sizes))
    return {name: float(read(e)) for name, read in FIGURES.items()}


@pytest.mark.parametrize("runtime", ["vllm", "ideal", "transformers-5-eager", "llama.cpp"])
def test_one_device_of_a_cluster_is_a_device(runtime: str) -> None:
    alone = setup("llama-3.1-8b", "h100-sxm", runtime)
    among = setup("llama-3.1-8b", "h100-sxm", runtime, split=Split(), cluster="dgx-h100")
    assert among.rank is among.stage is among.architecture
    assert figures(among) == figures(alone)


@pytest.mark.parametrize(("ranks", "factor"), [({"tp": 8}, 1.01), ({"tp": 4, "dp": 2}, 40), ({"tp": 8, "pp": 2}, 3)])
def test_faster_links_never_make_it_slower(ranks: dict[str, int], factor: float) -> None:
    slow = on(**ranks)
    fast = what_if(slow, [f"cluster.links.node.bandwidth={factor}x", f"cluster.links.between.bandwidth={factor}x"])
    before, after = (Evaluation(s, asked(s)) for s in (slow, fast))
    for name in ("prefill.time", "decode.time", "decode.energy"):
        assert figure(name)(after) <= figure(name)(before) * (1 + 1e-12), name
    assert after.prefill.network == before.prefill.network > 0


@pytest.mark.parametrize("runtime", ["vllm", "transformers-5-eager"])
def test_links_without_end_leave_what_the_devices_do_themselves(runtime: str) -> None:
    s, _ = placed(on(runtime, tp=4), asked(on()), {"cluster.links.node.bandwidth": 1e30, **FREE})
    p = predict_request(s, asked(s))
    for each in (p.prefill, p.decode):
        of_links = [row for row in each.operators if row.kind == "collective"]
        assert of_links
        assert all(row.bound == "memory" for row in of_links)
        alone = sum(row.time for row in each.operators if row.kind != "collective")
        own = sum((row.bytes_activations) / s.machine("bf16").bandwidth for row in of_links)
        assert alone < each.device_time <= alone + 2 * own


def test_more_devices_share_the_work_and_the_memory() -> None:
    by_ranks = {tp: figures(on(tp=tp), batch=1, prompt=2000) for tp in (1, 2, 4, 8)}
    for fewer, more in ((1, 2), (2, 4), (4, 8)):
        for name in ("ttft", "tpot", "memory.weights", "memory.peak", "prefill.matrix_flops"):
            assert by_ranks[more][name] < by_ranks[fewer][name], name
            assert by_ranks[more][name] > by_ranks[fewer][name] / 2 * 0.99, name


def test_groups_take_their_shares_of_the_batch_and_the_stages_their_layers() -> None:
    one, three = figures(on(), batch=4), figures(on(dp=3), batch=12)
    assert three["ttft"] == one["ttft"]
    assert three["tokens_per_second"] == pytest.approx(3 * one["tokens_per_second"])
    assert three["energy"] == pytest.approx(3 * one["energy"])
    assert figures(on(dp=3), batch=10)["tpot"] == one["tpot"]  # one group has four
    stages = figures(on("llama.cpp", pp=2), batch=1, prompt=100)
    whole = figures(on("llama.cpp"), batch=1, prompt=100)
    sends = stages["decode.time"] - whole["decode.time"]
    assert 0 < sends < 20e-6
    assert stages["decode.device_time"] == pytest.approx((whole["decode.device_time"] + sends) / 2, rel=1e-3)
    assert 0.5 * whole["memory.weights"] < stages["memory.weights"] < 0.6 * whole["memory.weights"]


VARIED = ("batch", "prompt", "cluster.links.node.bandwidth", "cluster.links.node.latency", "parameters.collective_time")
SPLITS = [("ideal", {"tp": 8}), ("transformers-5-eager", {"tp": 2, "pp": 2}), ("vllm", {"tp": 2, "dp": 3, "pp": 2})]


@pytest.mark.parametrize(("runtime", "ranks"), SPLITS)
def test_numbers_and_arrays_agree(runtime: str, ranks: dict[str, int]) -> None:
    s = on(runtime, **ranks)
    names = ("prefill.time", "prefill.network", "decode.time", "decode.energy", "memory.peak", "decode.bound")
    f = compiled(s, asked(s), names, VARIED)
    points = {
        "batch": [1, 7, 64], "prompt": [3000, 40, 900], VARIED[2]: [450e9, 2e9, 50e9], VARIED[3]: [6e-7, 1e-5, 3e-6],
        VARIED[4]: [6.6e-6, 1e-6, 3e-5],
    }  # fmt: skip
    arrays = f(**{name: np.array(values, float) for name, values in points.items()})
    for i in range(3):
        now = {name: values[i] for name, values in points.items()}
        e = Evaluation(*placed(s, asked(s), {**now, "batch": int(now["batch"]), "prompt": int(now["prompt"])}))
        numbers = {name: float(figure(name)(e)) for name in names}
        assert f(**now) == pytest.approx(numbers, rel=1e-9)
        assert {name: arrays[name][i] for name in names} == pytest.approx(numbers, rel=1e-9)


@pytest.mark.skipif(shutil.which("node") is None, reason="no node to run JavaScript with")
def test_javascript_gives_what_python_gives(tmp_path: Path) -> None:
    s = on(tp=4, pp=2)
    names = ("decode.time", "decode.energy", "decode.bound")
    f = compiled(s, asked(s), names, ("batch", "prompt", VARIED[2]))
    at = {"batch": 9, "prompt": 2500, VARIED[2]: 30e9}
    script = tmp_path / "several.mjs"
    script.write_text(f"const f = {f.javascript()};\nconsole.log(JSON.stringify(f({json.dumps(at)})));\n")
    found = json.loads(subprocess.run(["node", script], capture_output=True, check=True, text=True).stdout)
    assert found == pytest.approx(f(**at), rel=1e-12)


@pytest.mark.parametrize(
    ("runtime", "ranks", "cluster", "said"),
    [
        ("vllm", {"tp": 3}, None, "heads 32 is not divisible by tp 3"),
        ("vllm", {"tp": 8, "pp": 40}, None, "320 devices \\(TP 8, PP 40\\): dgx-h100 has 256 \\(32 x 8\\)"),
        ("vllm", {"tp": 2}, "2x-rtx-4090", "2x-rtx-4090: is of rtx-4090, not of h100-sxm"),
        ("vllm", {"tp": 2, "ep": 2}, None, "has no experts to divide"),
        ("vllm", {"cp": 2}, None, "--cp 2: vllm does not divide a model so; it divides by tp, pp, ep, dp"),
        ("mamba-ssm", {"tp": 2}, None, "--tp 2: mamba-ssm does not divide a model so$"),
    ],
)
def test_what_cannot_be_is_said(runtime: str, ranks: dict[str, int], cluster: str | None, said: str) -> None:
    model = "mamba2-2.7b" if runtime == "mamba-ssm" else "llama-3.1-8b"
    with pytest.raises(Unsupported, match=said):
        setup(model, "h100-sxm", runtime, split=Split(**ranks), cluster=cluster)


def test_a_change_that_leaves_too_few_devices_is_refused() -> None:
    with pytest.raises(Unsupported, match="has 4"):
        what_if(on(tp=8), ["cluster.nodes=1", "cluster.per_node=4"])


def test_the_json_says_how_a_model_is_divided() -> None:
    s = on(tp=4, dp=2)
    told = predict_request(s, asked(s)).to_dict()
    assert told["parallel"] == {"tp": 4, "pp": 1, "ep": 1, "dp": 2, "cp": 1, "devices": 8}
    assert told["cluster"] == "dgx-h100"
    assert predict_request(on(), asked(on())).to_dict()["cluster"] is None
    assert s.device_name == "8 x NVIDIA H100 SXM5 80GB (dgx-h100), TP 4, DP 2"
    assert on().device_name == "NVIDIA H100 SXM5 80GB"
    assert tuple(columns(Split())) == RANKS


def test_a_machine_of_one_device_has_no_links_and_says_so_when_they_are_asked_for() -> None:
    device = library.device("h100-sxm")
    assert machine(device, None, "bf16").network is None
    s = on(tp=2)
    lone = replace(s, cluster=None)
    with pytest.raises(Exception, match="all_reduce of 2 devices: no cluster says how they are linked"):
        _ = Evaluation(lone, asked(s)).prefill.time


def test_computing_meanwhile_hides_the_shorter_of_the_two() -> None:
    s = on("ideal", tp=8)
    apart = replace(s, runtime=variant(s.runtime, parallel=variant(s.runtime.parallel, overlaps="nothing")))
    both, one_by_one = (Evaluation(each, asked(s, prompt=4000)) for each in (s, apart))
    rows = predict_request(apart, asked(s, prompt=4000)).prefill.operators
    exchanged = sum(row.time for row in rows if row.kind == "collective" and row.count > 1)
    assert one_by_one.prefill.time - both.prefill.time == pytest.approx(exchanged, rel=0.01)


def test_units_that_exchange_are_not_there_to_compute_a_prompt_and_a_step_has_all() -> None:
    halves = {"overlaps": "halves"}
    s = on("vllm", tp=8)
    free, taken = (
        replace(s, runtime=variant(s.runtime, parallel=variant(s.runtime.parallel, **halves, units=units)))
        for units in (None, assembled(Sourced, value=33))  # a quarter of 132
    )
    a, b = (predict_request(each, asked(each, batch=8, prompt=4000)) for each in (free, taken))
    assert a.decode.time == b.decode.time
    computing = sum(row.time for row in a.prefill.operators if row.bound == "compute" and row.count > 1)
    lost = b.prefill.device_time - a.prefill.device_time
    assert 0.8 * computing / 3 < lost <= computing / 3 * (1 + 1e-9)  # less where an exchange takes longer


def test_halves_that_overlap_each_read_all_weights_and_take_turns() -> None:
    """What a half computes stands beside the exchange before it of the other half, which does so beside the next."""
    s = on("vllm", tp=8)
    in_halves = replace(s, runtime=variant(s.runtime, parallel=variant(s.runtime.parallel, overlaps="halves")))
    one, half = (predict_request(each, asked(each, batch=n, prompt=500)) for each, n in ((in_halves, 8), (s, 4)))
    assert one.decode.bytes == pytest.approx(2 * half.decode.bytes)
    assert one.decode.kernels == 2 * half.decode.kernels
    rows = [row for row in half.decode.operators if row.count > 1]
    alone = sum(row.time for row in half.decode.operators if row.count == 1 and row.kind != "collective")
    joined = [i for i, row in enumerate(rows) if row.kind == "collective"]
    first, second = (rows[i].time for i in joined)
    before = sum(row.time for row in (*rows[: joined[0]], *rows[joined[1] + 1 :]))
    between = sum(row.time for row in rows[joined[0] + 1 : joined[1]])
    layers = sum(max(each, beside) for each in (before, between) for beside in (first, second)) / 2
    others = [(row.layer, row.time) for row in half.decode.operators if row.count == 1 and row.kind == "collective"]
    for layer, time in others:
        computed = sum(r.time for r in half.decode.operators if r.layer == layer and r.kind != "collective")
        layers, alone = layers + max(time, computed), alone - computed
    assert one.decode.device_time == pytest.approx(2 * (layers + alone))
    assert sum(row.time for row in one.decode.operators) == pytest.approx(2 * half.decode.device_time)
    alone, same = (predict_request(each, asked(each, batch=1)) for each in (in_halves, s))
    assert alone.decode.bytes == same.decode.bytes  # one token cannot be halved
    assert alone.prefill.network == pytest.approx(same.prefill.network)
