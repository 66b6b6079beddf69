"""The page of all figures, each with the command that draws it; the site shows below each what it draws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Entry(NamedTuple):
    """A figure: its title, what it shows and how it is read, the command that draws it, and the same from Python."""

    title: str
    says: str
    command: str
    python: str


class Part(NamedTuple):
    """Figures that answer questions of a kind."""

    title: str
    entries: Sequence[Entry]


PAPER = "transformers-4.52-eager"

GALLERY: Sequence[Part] = (
    Part("One request", (
        Entry(
            "Where the time goes",
            "Time of both passes over the length of the prompt: on the clock with its 95 % interval, of the device and "
            "of the host; shaded is where the host keeps the device waiting. Beside it the shares of kinds of "
            "operators, in the device's time (hatched: bound by launches) and in both times added up.",
            "roofsim predict Zamba2-1.2B -d rtx-4090 --plot breakdown.svg",
            'roofsim.predict("Zamba2-1.2B", "rtx-4090").plot()',
        ),
        Entry(
            "Memory over the operators",
            "What is held beside the weights while each operator of a prefill runs, the peak, and the room that the "
            "device has. Here the mask of 32,768 tokens and the logits of all positions do not fit.",
            "roofsim predict Qwen2.5-0.5B -d orin -p 32k --plot memory.svg --draw memory",
            'roofsim.predict("Qwen2.5-0.5B", "orin", prompt="32k").plot("memory")',
        ),
        Entry(
            "Operators on the roofline",
            "Each operator at its arithmetic intensity and the rate that it reaches, under the roofs of the device.",
            "roofsim roofline Qwen2.5-0.5B -d orin -p 4k --plot roofline.svg",
            'roofsim.predict("Qwen2.5-0.5B", "orin", prompt="4k").plot("roofline")',
        ),
        Entry(
            "Energy of a token",
            "Joules of a token of the prompt and of one that is made, by what draws them: the idle device, clocks that "
            "are up, units at work, FLOP, bytes.",
            "roofsim predict mamba2-780m -d orin --plot energy.svg --draw energy",
            'roofsim.predict("mamba2-780m", "orin").plot("energy")',
        ),
        Entry(
            "Why a figure is what it is",
            "A metric over length before what bounds the prefill, with the polynomial that holds around the prompt, "
            "and the per cent that it moves for one per cent more of each symbol.",
            "roofsim explain Qwen2.5-0.5B -d rtx-4090 -p 16k --plot explain.svg",
            'roofsim.explain("Qwen2.5-0.5B", "rtx-4090", prompt="16k").plot()',
        ),
        Entry(
            "What fits",
            "Peak memory by part over length, with what is reserved, what the system keeps, and the longest prompt.",
            "roofsim limits Qwen2.5-0.5B -d rtx-4090 --plot limits.svg",
            'roofsim.limits("Qwen2.5-0.5B", "rtx-4090").plot()',
        ),
    )),
    Part("Models, devices and runtimes against each other", (
        Entry(
            "From which length one model overtakes another",
            "A metric of models over length with 95 % intervals as bands; crossings with the lengths at which the "
            "order is not certain.",
            "roofsim crossover Qwen2.5-0.5B mamba2-780m Falcon-H1-0.5B -d rtx-4090 --plot crossover.svg",
            'roofsim.crossover("Qwen2.5-0.5B", "mamba2-780m", "Falcon-H1-0.5B", device="rtx-4090").plot()',
        ),
        Entry(
            "What each choice of the software costs",
            "From one runtime's figures to another's, a bar for each choice: positions that are scored, masks, copies, "
            "repeated heads, fusion, launches. Bars add up; each choice is made after those above it.",
            f"roofsim predict Qwen2.5-0.5B -d orin -p 32k -r {PAPER},ideal --plot attribution.svg",
            'one, other = (roofsim.predict("Qwen2.5-0.5B", "orin", r, prompt="32k") for r in '
            '("transformers-4.52-eager", "ideal"))\nroofsim.plots.attribution(one, other)',
        ),
        Entry(
            "Combinations side by side",
            "Both times of every combination with their intervals; what does not fit is hollow.",
            "roofsim compare Qwen2.5-7B -d rtx-4090 -r llama.cpp --weights bf16,q8_0,q4_k_m -p 1k,8k "
            "--plot compare.svg",
            'roofsim.compare("Qwen2.5-7B", device="rtx-4090", runtime="llama.cpp", weights="bf16,q8_0,q4_k_m", '
            'prompt="1k,8k").plot()',
        ),
        Entry(
            "Candidates beside their budgets",
            "How much of each budget a candidate takes: left of the line it is met. The best come first, then those "
            "that miss by little.",
            "roofsim advise --family qwen --max-size 1B -d orin -p 4k --ttft 1s --tpot 50ms --plot advise.svg",
            'roofsim.advise(family="qwen", max_size="1B", device="orin", prompt="4k", ttft="1s", tpot="50ms").plot()',
        ),
        Entry(
            "What models are made of, and what they hold",
            "Parameters by kind, and the bytes of cache and states that a sequence holds over its tokens.",
            "roofsim show Qwen2.5-0.5B mamba2-780m Zamba2-1.2B --plot models.svg",
            'roofsim.plots.show(*map(roofsim.show, ("Qwen2.5-0.5B", "mamba2-780m", "Zamba2-1.2B")))',
        ),
        Entry(
            "Roofs of devices",
            "The rate that a device can reach over arithmetic intensity: of one each unit, of several that of their "
            "dtype.",
            "roofsim show orin rtx-4090 h100-sxm raspberry-pi-5 --plot devices.svg",
            'roofsim.plots.show(*map(roofsim.show, ("orin", "rtx-4090", "h100-sxm", "raspberry-pi-5")))',
        ),
    )),
    Part("Studies", (
        Entry(
            "Figures over an axis",
            "Up to four figures of a study over its longest axis, a line for each other combination.",
            "roofsim sweep Qwen2.5-0.5B mamba2-780m -d orin -p 1k..16k*2 --set device.memory.bandwidth=1x,2x "
            "--figures ttft,tpot --plot sweep.svg",
            'axes = {"device": "orin", "prompt": "1k..16k*2", "device.memory.bandwidth": "1x,2x"}\n'
            'roofsim.sweep({"model": ["Qwen2.5-0.5B", "mamba2-780m"], **axes}, figures="ttft,tpot").plot()',
        ),
        Entry(
            "A figure over two axes",
            "The first figure of a study over its two axes of numbers; hatched is what does not fit.",
            "roofsim sweep Qwen2.5-0.5B -d orin -p 1k..64k*2 -b 1..64*2 --figures ttft,fits --plot heat.svg "
            "--draw heat",
            'roofsim.sweep("Qwen2.5-0.5B", device="orin", prompt="1k..64k*2", batch="1..64*2", '
            'figures="ttft,fits").plot("heat")',
        ),
        Entry(
            "What moves a figure",
            "The figure at half and at twice each number, what each number is now, its elasticity, and where another "
            "regime begins.",
            "roofsim sensitivity mamba2-780m -d rtx-4090 -p 4k --figure ttft --plot tornado.svg",
            'roofsim.sensitivity("mamba2-780m", "rtx-4090", prompt="4k", figure="ttft").plot()',
        ),
        Entry(
            "A figure over two numbers",
            "Lines of equal values over two numbers of any spec, and where both are now.",
            "roofsim sensitivity Qwen2.5-0.5B -d orin -p 4k --heat device.memory.bandwidth=0.5x..4x,prompt=1k..64k "
            "--plot equal.svg",
            'bandwidth = {"device.memory.bandwidth": "0.5x..4x*1.1"}\n'
            'found = roofsim.sweep("Qwen2.5-0.5B", device="orin", prompt="1k..64k*1.1", set=bandwidth, '
            'figures="ttft")\n'
            'found.plot("heat")',
        ),
        Entry(
            "A front",
            "The points of a study that none is better than in every objective, before the others.",
            "roofsim pareto Qwen2.5-0.5B mamba2-780m Llama-3.2-1B -d rtx-4090 -b 1..256*2 --objectives "
            "tpot,tokens_per_second,memory_peak --plot pareto.svg",
            'models = ["Qwen2.5-0.5B", "mamba2-780m", "Llama-3.2-1B"]\n'
            'wanted = "tpot,tokens_per_second,memory_peak"\n'
            'roofsim.pareto(*models, device="rtx-4090", batch="1..256*2", objectives=wanted).plot()',
        ),
        Entry(
            "Members of a family",
            "Loss and latency of the architectures of a family that were searched, with their front.",
            "roofsim search dense -d orin --over depth=8,16,24 --over width=512..1536+256 --against Qwen2.5-0.5B "
            "--plot search.svg",
            'roofsim.search("dense", "orin", over={"depth": [8, 16, 24], "width": "512..1536+256"}, '
            'against="Qwen2.5-0.5B").plot()',
        ),
        Entry(
            "Trials of one prompt",
            "Time, energy and equivalent work of so many answers of so many tokens to one prompt.",
            "roofsim sampling Qwen2.5-0.5B -d rtx-4090 -r vllm --trials 1..256*2 --tokens 1k,8k --plot trials.svg",
            'roofsim.sampling("Qwen2.5-0.5B", "rtx-4090", "vllm", trials="1..256*2", tokens="1k,8k").plot()',
        ),
        Entry(
            "Prefill and decode apart",
            "Prompts that a device answers in mixed steps, side by side inside it, or on pools apart, by their length.",
            "roofsim phases Llama-3.1-8B -d a100-sxm-80gb -p 512..8k*2 --slo ttft=4s,itl.p95=50ms --plot phases.svg",
            'roofsim.phases("Llama-3.1-8B", "a100-sxm-80gb", prompt="512..8k*2", slo="ttft=4s,itl.p95=50ms").plot()',
        ),
        Entry(
            "What users see over the load",
            "Time between two tokens and to the first one over requests a second: the mean with its 95 % interval, the "
            "95th percentile, and what is promised.",
            "roofsim serve Llama-3.1-8B -d h100-sxm --rate 4 --slo ttft=200ms,itl=20ms --plot load.svg",
            'roofsim.serve("Llama-3.1-8B", "h100-sxm", rate=4, slo="ttft=200ms,itl=20ms").plot()',
        ),
        Entry(
            "What a user and a device can be given",
            "Output tokens per second of a device against those of a user, a line for each format of weights over the "
            "number of users, and the choices that nothing beats.",
            "roofsim serve Llama-3.1-8B -d h100-sxm --front --weights bf16,fp8,int4-g128 --plot front.svg",
            'roofsim.serve_front("Llama-3.1-8B", "h100-sxm", weights="bf16,fp8,int4-g128").plot()',
        ),
        Entry(
            "What speed costs",
            "Dollars of a million output tokens against the speed of a user, on devices alone and in twos, and what "
            "nothing beats.",
            "roofsim serve Qwen3-8B -d h100-sxm,l40s,rtx-4090 --front --tp 1,2 --slo itl=30ms --plot price.svg",
            'roofsim.serve_front("Qwen3-8B", ["h100-sxm", "l40s", "rtx-4090"], tp=[1, 2], slo="itl=30ms").plot()',
        ),
        Entry(
            "What drafts gain",
            "Speedup of speculative decoding over sequences at once, and over how likely drafted tokens are accepted.",
            "roofsim speculate Llama-3.1-8B -d h100-sxm -r vllm --draft eagle --accept 0.7 -k 4 --plot drafts.svg",
            'roofsim.speculate("Llama-3.1-8B", "h100-sxm", "vllm", draft="eagle", accept=0.7, draft_tokens=4).plot()',
        ),
        Entry(
            "Requests as they arrive",
            "The spread of times of requests that come in bursts, and how many are in the engine over time.",
            "roofsim simulate Llama-3.1-8B -d h100-sxm --rate 12 --cv 3 --spread 0.5 -n 300 --plot requests.svg",
            'roofsim.simulate("Llama-3.1-8B", "h100-sxm", rate=12, cv=3, spread=0.5, requests=300).plot()',
        ),
        Entry(
            "What lies on the device, and how slow that is",
            "Time of both passes on the device, on its host and on the link between them, over how many layers lie on "
            "the device; hatched is what does not fit.",
            "roofsim predict Llama-3.1-70B -d rtx-4090 -r llama.cpp --weights q4_k_m --offload auto --plot tiers.svg "
            "--draw tiers",
            'roofsim.predict("Llama-3.1-70B", "rtx-4090", "llama.cpp", weights="q4_k_m", offload="auto").plot("tiers")',
        ),
        Entry(
            "Loading a cache against computing it again",
            "The time to the first token over the length, computed, and with what a sequence holds loaded from the "
            "memory of the host, its disk or a pool elsewhere.",
            "roofsim reload Llama-2-7B Falcon-H1-1.5B -d h100-sxm -r ideal --plot reload.svg",
            'roofsim.plots.reload(*(roofsim.reload(name, "h100-sxm", "ideal") for name in ("Llama-2-7B", '
            '"Falcon-H1-1.5B")))',
        ),
        Entry(
            "How a budget is split",
            "Tokens that each of so many trials can have within a budget, and what the splits are judged by.",
            "roofsim sampling Llama-3.1-8B -d h100-sxm -r vllm -p 4k --budget 10s --plot split.svg",
            'roofsim.sampling("Llama-3.1-8B", "h100-sxm", "vllm", prompt="4k", budget="10s").plot()',
        ),
    )),
    Part("Measured against predicted", (
        Entry(
            "Predicted over measured",
            "Each measured figure beside its prediction with its interval, a panel for each metric.",
            "roofsim validate runs.csv -r transformers-5-cpu --plot predicted.svg",
            'roofsim.validate("runs.csv", runtime="transformers-5-cpu").plot()',
        ),
        Entry(
            "Errors over length",
            "The relative error of each over the tokens; passes are told apart, and what is not scored is crossed.",
            "roofsim validate runs.csv -r transformers-5-cpu --plot residuals.svg --draw residuals",
            'roofsim.validate("runs.csv", runtime="transformers-5-cpu").plot("residuals")',
        ),
        Entry(
            "What was fitted",
            "The parameters that runs determine, with their intervals, beside the priors.",
            "roofsim calibrate runs.csv -d epyc-genoa-2-cores -r transformers-5-cpu -o fitted.yaml --plot fitted.svg "
            "--draw parameters",
            'roofsim.calibrate("runs.csv", device="epyc-genoa-2-cores", runtime="transformers-5-cpu")'
            '.plot("parameters")',
        ),
    )),
)  # fmt: skip
"""Every figure that there is."""

RUNS = """\
device,framework,model,phase,batch,prompt_len,context_len,metric,value
epyc-genoa-2-cores,transformers 5.23 eager,SmolLM2-360M,prefill,1,32,0,latency_s,0.1624
epyc-genoa-2-cores,transformers 5.23 eager,SmolLM2-360M,prefill,1,128,0,latency_s,0.4197
epyc-genoa-2-cores,transformers 5.23 eager,SmolLM2-360M,prefill,1,512,0,latency_s,1.612
epyc-genoa-2-cores,transformers 5.23 eager,SmolLM2-360M,decode,1,32,32,latency_s,0.1018
epyc-genoa-2-cores,transformers 5.23 eager,SmolLM2-360M,decode,1,128,128,latency_s,0.1122
epyc-genoa-2-cores,transformers 5.23 eager,SmolLM2-360M,decode,1,512,512,latency_s,0.1230
"""
"""Runs of two cores of an EPYC (data/epyc_2_cores_transformers_eager.csv), in the least columns that will do."""


def gallery() -> Iterator[str]:
    """The page, a part after the other."""
    yield "# Gallery"
    yield (
        "Every figure, with the command that draws it and the same from Python. The ending of the file says what is "
        "written: `.svg`, `.png` or `.pdf`; `--theme dark` draws for a dark page, `--draw` names one of several "
        "figures of a result. Titles say of which model, device, runtime, weights and request a figure is; bands and "
        "bars are 95 % intervals. The site shows the figures; a checkout has the commands alone, so that no picture "
        "can be stale."
    )
    for part in GALLERY:
        yield f"## {part.title}"
        if any("runs.csv" in each.command for each in part.entries):
            yield f"Runs of two cores of an EPYC ([data](../data/README.md)):\n\n```text runs.csv\n{RUNS}```"
        for each in part.entries:
            yield f"### {each.title}"
            yield each.says
            yield f"```console\n$ {each.command}\n```"
            if each.python:
                yield f"```python\n{each.python}\n```"
