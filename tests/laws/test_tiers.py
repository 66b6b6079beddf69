"""What must hold of any division of a model between a device and the memory of its host."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from roofsim import library
from roofsim.foundation.errors import InputError, Unsupported
from roofsim.foundation.schema import variant
from roofsim.model.layers import layer_bytes
from roofsim.model.split import Split
from roofsim.prediction import offload
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.fitted import chosen
from roofsim.prediction.offload import offloaded, served
from roofsim.prediction.request import compile_request, predict_request
from roofsim.prediction.setup import Setup, setup
from roofsim.serving.server import Server
from roofsim.serving.step import StepTime
from roofsim.specs.workload import Workload, workload
from roofsim.studies.tiers import divisions

DENSE, SPARSE, HYBRID = "Llama-3.2-1B", "OLMoE-1B-7B", "Falcon-H1-0.5B"


def case(model: str, runtime: str = "llama.cpp", device: str = "rtx-4060", **asked: Any) -> tuple[Setup, Workload]:
    s = chosen(setup(model, device, runtime))
    return s, workload(**{"dtype": "bf16", "prompt": 200, "generate": 20, **asked})


def smaller(s: Setup, room: float) -> Setup:
    """The setup with a device of so many bytes, on which nothing else changes."""
    memory = s.device.memory
    capacity = variant(memory.capacity, value=room)
    return replace(s, device=variant(s.device, memory=variant(memory, capacity=capacity, usable=None)))


def linked(s: Setup, factor: float) -> Setup:
    links = s.device.links
    assert links.host
    host = variant(links.host, value=links.host.value * factor)
    return replace(s, device=variant(s.device, links=variant(links, host=host)))


@pytest.mark.parametrize("words", [None, "none", "layers=17", "experts=cpu:0"])
def test_with_all_of_it_on_the_device_nothing_changes(words: str | None) -> None:
    s, w = case(SPARSE if words and "experts" in words else DENSE)
    assert offloaded(s, w, words) is s


def test_what_fits_whole_is_predicted_as_if_nothing_were_asked() -> None:
    s, w = case(DENSE)
    plain, found = predict_request(s, w).to_dict(), predict_request(offloaded(s, w, "auto"), w).to_dict()
    assert found.pop("offload")["split"] == "none"
    assert found == plain


@pytest.mark.parametrize("model", [DENSE, SPARSE, HYBRID])
def test_with_all_of_it_on_the_host_a_step_is_one_of_its_processor(model: str) -> None:
    s, w = case(model)
    found = offloaded(s, w, "layers=0")
    assert found.offload
    assert found.offload.beside
    beside = Evaluation(found.offload.beside, w)
    assert Evaluation(found, w).decode.time == pytest.approx(float(beside.decode.time), rel=1e-12)


def test_a_setup_that_is_divided_is_divided_anew() -> None:
    s, w = case(SPARSE)
    divided = offloaded(s, w, "layers=3")
    for words in ("layers=17", "none", "experts=cpu:0"):
        assert offloaded(divided, w, words).offload is None
    assert offloaded(divided, w, "experts=cpu:4") == offloaded(s, w, "experts=cpu:4")
    found = divisions(divided, w)
    assert [each.layers for each in found.at] == list(range(18))
    assert found.chosen == 3
    whole, part = Evaluation(s, w).decode, Evaluation(divided, w).decode
    assert found.at[17].decode.device_time == pytest.approx(float(whole.time))
    assert found.at[3].decode.processor_time == pytest.approx(float(part.processor_time))
    by_experts = divisions(offloaded(s, w, "experts=cpu:4"), w)
    assert (by_experts.chosen, len(by_experts.at)) == (12, 17)


def test_short_prompts_are_the_processors_and_long_ones_come_over_the_link() -> None:
    for prompt, streamed in ((31, False), (32, True)):
        s, w = case(DENSE, prompt=prompt)
        e = Evaluation(offloaded(s, w, "layers=0"), w)
        assert (e.prefill.link_bytes > 0) == streamed


@pytest.mark.parametrize(
    ("model", "words"),
    [(DENSE, "layers=5"), (HYBRID, "layers=5"), (SPARSE, "layers=0"), (SPARSE, "experts=cpu:3"),
     ("DeepSeek-V2-Lite", "experts=cpu:3")],
)  # fmt: skip
def test_bytes_of_both_memories_are_all_bytes(model: str, words: str) -> None:
    s, w = case(model)
    whole, e = Evaluation(s, w), Evaluation(offloaded(s, w, words), w)
    assert e.behind > 0
    assert e.behind + e.grown == pytest.approx(float(whole.grown), rel=1e-12)
    away = e.away(w.prompt)
    held = whole.held.weights + whole.held.state - away.weights - away.state
    assert e.held.weights + e.held.state == pytest.approx(float(held), rel=1e-9)


@pytest.mark.parametrize(
    ("model", "runtime", "words"),
    [(DENSE, "llama.cpp", "layers={}"), (SPARSE, "llama.cpp", "experts=cpu:{}"), (DENSE, "vllm", "stream={}")],
)
def test_the_more_lies_on_the_device_the_faster_and_the_more_it_holds(model: str, runtime: str, words: str) -> None:
    s, w = case(model, runtime, prompt=20)
    found = [Evaluation(offloaded(s, w, words.format(n)), w) for n in (1, 4, 9, 13)]
    if not words.startswith("layers"):
        found.reverse()
    for less, more in pairwise(found):
        assert more.step[0] < less.step[0]
        assert more.held.reserved > less.held.reserved


@pytest.mark.parametrize(("runtime", "words"), [("llama.cpp", "layers=5"), ("ideal", "stream"), ("vllm", "stream")])
def test_a_faster_link_never_takes_longer(runtime: str, words: str) -> None:
    s, w = case(DENSE, runtime)
    times = [Evaluation(offloaded(linked(s, x), w, words), w).request for x in (0.1, 0.5, 1, 2, 100)]
    for slow, fast in pairwise(times):
        assert fast.ttft < slow.ttft or fast.ttft == pytest.approx(slow.ttft)
        assert fast.tpot <= slow.tpot
    assert times[0].ttft > times[2].ttft


def test_an_endless_link_that_prefetches_takes_nothing() -> None:
    s, w = case(DENSE, "ideal")
    streamed = Evaluation(offloaded(linked(s, 1e9), w, "stream"), w)
    assert streamed.step[0] == pytest.approx(float(Evaluation(s, w).step[0]), rel=1e-6)


@pytest.mark.parametrize(
    ("model", "runtime", "share"),
    [(DENSE, "llama.cpp", 0.6), (DENSE, "ideal", 0.6), (SPARSE, "llama.cpp", 0.4), (SPARSE, "vllm", 0.7)],
)
def test_auto_is_the_fastest_of_all_divisions_that_fit(model: str, runtime: str, share: float) -> None:
    s, w = case(model, runtime, prompt=20, generate=8)
    whole = Evaluation(s, w)
    s = smaller(s, share * float(whole.held.reserved))
    every = [each.made(away) for each in offload.families(s) for away in range(1, each.most + 1)]
    fitting = [e for e in (Evaluation(each, w) for each in every) if e.fits]
    found = offloaded(s, w, "auto")
    assert found.offload
    assert found.offload.found
    assert float(Evaluation(found, w).total_time) == min(float(e.total_time) for e in fitting)
    assert Evaluation(found, w).fits


@pytest.mark.parametrize("words", ["layers=5", "experts=cpu:3"])
def test_compiled_over_batches_and_prompts_it_is_what_numbers_give(words: str) -> None:
    s, w = case(SPARSE)
    s = offloaded(s, w, words)
    figures = ("ttft", "tpot", "memory.peak", "memory.behind", "fits", "energy")
    f = compile_request(s, w, figures, ("batch", "prompt"))
    at = {"batch": np.array([1, 1, 3, 40]), "prompt": np.array([8, 700, 30, 12])}
    found = f(**at)
    for i, (batch, prompt) in enumerate(zip(*at.values(), strict=True)):
        e = Evaluation(s, variant(w, batch=int(batch), prompt=int(prompt), logits="last"))
        expected = (e.prefill.time, e.step[0], e.memory.peak, e.behind, e.fits, e.energy)
        assert [found[name][i] for name in figures] == pytest.approx([float(x) for x in expected])


def test_intervals_hold_what_the_processor_and_the_link_leave_open() -> None:
    s, w = case(DENSE)
    for words in ("layers=9", "layers=0"):
        p = predict_request(offloaded(s, w, words), w)
        for name, value in (("tpot", p.request.tpot), ("ttft", p.request.ttft)):
            low, high = p.intervals[name]  # type: ignore[index]
            assert low < value < high
    found = offloaded(s, w, "layers=9")
    narrow = replace(found, parameters={name: float(x) for name, x in found.machine("bf16").parameters.items()})
    of_link = predict_request(narrow, w).intervals["ttft"]  # type: ignore[index]
    assert of_link[1] / of_link[0] > 1.2


def test_what_a_request_says_of_its_tiers_adds_up() -> None:
    s, w = case(DENSE)
    p = predict_request(offloaded(s, w, "layers=9"), w)
    found = p.offload
    assert found
    assert found.prefill
    assert found.decode
    for parts, each in ((found.prefill, p.prefill), (found.decode, p.decode)):
        assert parts.device_time + parts.processor_time + parts.link_wait == pytest.approx(float(each.time))
    device, host = found.tiers
    assert device.weights + host.weights == pytest.approx(float(s.architecture.weight_bytes(s.precision(w))))
    assert device.state + host.state == pytest.approx(float(s.architecture.state_bytes(220, s.precision(w))))
    assert (found.prefill.binds, found.decode.binds) == ("link", "host")
    assert found.slowdown == pytest.approx(float(p.request.tpot) / float(Evaluation(s, w).step[0]))
    assert {o.layer for o in p.decode.operators} == {"decoder", "decoder (host)", "embedding (host)", "head"}


def test_the_processor_of_a_host_is_a_processor() -> None:
    named = [library.host(name).processor for name in library.names("hardware/hosts")]
    assert {library.device(each).kind for each in named if each} == {"cpu"}


@pytest.mark.parametrize(("runtime", "words"), [("vllm", "stream=9"), ("ideal", "stream"), ("ideal", "layers=9")])
def test_ranks_divide_what_comes_over_their_links_and_not_what_the_host_computes(runtime: str, words: str) -> None:
    one, w = case(DENSE, runtime, "h100-sxm", prompt=20)
    two = chosen(setup(DENSE, "h100-sxm", runtime, split=Split(tp=2)))
    alone, shared = (Evaluation(offloaded(s, w, words), w) for s in (one, two))
    assert shared.behind == pytest.approx(float(alone.behind), rel=1e-3)  # norms are on each
    if words.startswith("layers"):
        assert shared.decode.processor_time == alone.decode.processor_time  # type: ignore[attr-defined]
    else:
        assert shared.decode.link_bytes == pytest.approx(float(alone.decode.link_bytes) / 2, rel=1e-3)  # type: ignore[attr-defined]
    assert shared.away(0).weights < alone.away(0).weights


def test_one_device_of_a_cluster_is_one_device() -> None:
    s, w = case(DENSE, "llama.cpp", "rtx-4090")
    in_cluster = chosen(setup(DENSE, "rtx-4090", "llama.cpp", split=Split(), cluster="2x-rtx-4090"))
    for words in ("layers=5", "layers=9+cache"):
        a, b = (Evaluation(offloaded(each, w, words), w) for each in (s, in_cluster))
        assert (a.total_time, a.energy, a.grown, a.held) == (b.total_time, b.energy, b.grown, b.held)


def test_devices_that_read_the_memory_of_one_host_at_the_same_time_share_its_rate() -> None:
    one, _ = case(DENSE, "ideal", "h100-sxm")
    several = [chosen(setup(DENSE, "h100-sxm", "ideal", split=Split(tp=n))) for n in (2, 4, 8)]
    memory = library.device("xeon-platinum-8480").memory.bandwidth.value
    assert [s.link.rate for s in several] == [min(float(one.link.rate), memory / n) for n in (2, 4, 8)]
    assert several[-1].link.rate < one.link.rate


def test_stages_that_wait_for_a_processor_take_the_time_of_one_device_and_the_sends() -> None:
    one, w = case(DENSE, "llama.cpp", "rtx-3090", prompt=600)
    two = chosen(setup(DENSE, "rtx-3090", "llama.cpp", split=Split(pp=2)))
    alone, shared = (Evaluation(offloaded(s, w, "layers=9"), w) for s in (one, two))
    for a, b in ((alone.prefill, shared.prefill), (alone.decode, shared.decode)):
        assert float(a.time) < float(b.time) < float(a.time) + 2e-3
        assert b.processor_time == pytest.approx(float(a.processor_time))  # type: ignore[attr-defined]
        assert b.link_wait == pytest.approx(float(a.link_wait))  # type: ignore[attr-defined]
    found = predict_request(offloaded(two, w, "layers=9"), w).offload
    assert found
    assert found.decode
    parts = found.decode.device_time + found.decode.processor_time + found.decode.link_wait
    assert parts == pytest.approx(float(shared.decode.time))
    assert shared.grown < alone.grown


@pytest.mark.parametrize("share", [0.08, 0.3, 0.7])
def test_no_mixture_of_layers_and_experts_is_faster_than_what_is_found(share: float) -> None:
    """Every number of whole layers by every number of experts away, against the three families that are looked at."""
    s, w = case(SPARSE, prompt=20, generate=8)
    s = smaller(s, share * float(Evaluation(s, w).held.reserved))
    best = float(Evaluation(offloaded(s, w, "auto"), w).total_time)
    for away, experts in ((a, e) for a in range(0, 17, 4) for e in range(a, 17, 4)):
        e = Evaluation(offloaded(s, w, f"layers={17 - away}+experts=cpu:{experts}"), w)
        # what is left of the device's memory may just take another division, by less than a layer
        assert not e.fits or float(e.total_time) >= 0.99 * best


def test_steps_of_a_server_read_what_is_streamed_as_single_requests_do() -> None:
    s, w = case("Llama-3.1-8B", "vllm", "h100-sxm")
    divided = served(s, w, "stream=9")
    e = Evaluation(divided, w)
    steps = StepTime(divided, w)
    assert steps([steps.decoding(1, 200)]) == pytest.approx(float(e.decode.time))
    assert steps.of(1, 200)[0] == pytest.approx(float(e.decode.time))
    for words in ("none", None):
        assert served(divided, w, words).offload is None
    mixed, whole = ([x.decoding(8, 500), x.piece(1, 64)] for x in (steps, StepTime(s, w)))
    link = 9 * float(s.architecture.weight_bytes(s.precision(w)) - 2 * 128256 * 4096 * 2) / 32 / float(s.link.rate)
    slower = steps(mixed) - StepTime(s, w)(whole)
    assert 0.9 * link < slower < link  # kernels that read over the link wait for it, or compute meanwhile
    long = variant(w, prompt=8000)
    assert Server(divided, long).most > Server(s, long).most


def test_a_server_has_no_best_division_and_computes_on_devices_alone() -> None:
    s, w = case("Llama-3.1-8B", "vllm", "h100-sxm")
    with pytest.raises(InputError, match="auto is of one request"):
        served(s, w, "auto")
    with pytest.raises(Unsupported, match="ideal serves with what its devices compute"):
        served(replace(s, runtime=library.runtime("ideal")), w, "layers=3")


def test_what_is_drawn_of_several_devices_and_of_caches_is_what_was_asked_for() -> None:
    two, w = chosen(setup(DENSE, "rtx-3090", "llama.cpp", split=Split(pp=2))), case(DENSE)[1]
    found = divisions(offloaded(two, w, "layers=9"), w)
    assert (found.chosen, found.at[0].layers, found.at[-1].layers) == (9, 3, 17)
    s, w = case(SPARSE)
    for words, chosen_layers in (("layers=5+experts=cpu+cache", 5), ("cache", 17), ("experts=cpu:6+cache", 10)):
        divided = offloaded(s, w, words)
        found = divisions(divided, w)
        assert found.chosen == chosen_layers
        (at,) = [each for each in found.at if each.layers == chosen_layers]
        assert at.decode.link_wait == pytest.approx(float(Evaluation(divided, w).decode.link_wait))  # type: ignore[attr-defined]


def test_so_many_bytes_of_each_device_are_as_many_layers_as_hold_them() -> None:
    s, w = case("Llama-3.1-8B", "vllm", "h100-sxm")
    each = float(layer_bytes(s.architecture, "decoder", s.precision(w)))
    for size, layers in ((each - 1, 1), (each + 1, 2), (9 * each, 9), (31.5 * each, 32)):
        found = offloaded(s, w, f"stream={size:.0f} B")
        assert found == offloaded(s, w, f"stream={layers}")
        assert served(s, w, f"stream={size:.0f} B") == found
    two = chosen(setup("Llama-3.1-8B", "h100-sxm", "vllm", split=Split(tp=2)))
    assert offloaded(two, w, "stream=2GiB").offload == offloaded(two, w, "stream=10").offload
    with pytest.raises(Unsupported, match=r"the layers of the model have 13\.0 GiB on each device"):
        offloaded(s, w, "stream=14GiB")
