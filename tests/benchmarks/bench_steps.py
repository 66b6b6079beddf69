"""How long a question takes to a compiled step, in microseconds, and how many steps and tokens a simulation does.

Time is the processor's. Run it from the checkout, on one core, on a machine that does nothing else:

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 taskset -c 0 python tests/benchmarks/bench_steps.py
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import numpy as np

from roofsim.prediction.setup import setup
from roofsim.serving.arrivals import Lengths, Users, asked
from roofsim.serving.events import simulated
from roofsim.serving.scheduler import rules
from roofsim.serving.step import StepTime
from roofsim.specs.workload import workload

MODELS = ("Llama-3.1-8B", "mamba2-2.7b", "Falcon-H1-1.5B", "Mixtral-8x7B", "qwen3-next-80b-a3b", "DeepSeek-V3")
QUESTIONS, RUNS, POINTS = 2000, 5, 100_000


def microseconds(ask: Callable[[], object], count: int = QUESTIONS) -> float:
    """Of one question: the median of some runs."""
    taken = []
    for _ in range(RUNS):
        start = time.process_time()
        for _ in range(count):
            ask()
        taken.append((time.process_time() - start) / count)
    return median(taken) * 1e6


def main() -> None:
    """A line for each model, and one simulation."""
    heads = ("compile [ms]", "decodes", "prompts", "mixed", "64 sequences", "a point of arrays", "exact")
    print(f"{'us':24}" + "".join(f"{head:>20}" for head in heads))
    many = np.random.default_rng(0).integers(1, 200, POINTS).astype(float)
    batch = [(1, 1000 + i) for i in range(63)] + [(512, 0)]
    for model in MODELS:
        t = StepTime(setup(model, "h100-sxm", "vllm"), workload(dtype="bf16"))
        start = time.process_time()
        t.of(1, 1, 1, 2, 0), t.of(1, 1), t.of(0, 0, 1, 2, 0)
        made = (time.process_time() - start) * 1e3
        cells = [
            microseconds(lambda t=t: t.of(64, 2000)),
            microseconds(lambda t=t: t.of(0, 0, 1, 512, 0)),
            microseconds(lambda t=t: t.of(64, 2000, 1, 512, 0)),
            microseconds(lambda t=t: t.batch(batch)),
            microseconds(lambda t=t: t.of(many, 10 * many, 1.0, 3 * many, 0.0), 1) / POINTS,
            microseconds(lambda t=t: t([(64, 1, 2000), (1, 512, 0)]), 20),
        ]
        print(f"{model:24}{made:20.0f}" + "".join(f"{cell:20.2f}" for cell in cells), flush=True)
    t = StepTime(setup(MODELS[0], "h100-sxm", "vllm"), workload(dtype="bf16"))
    start = time.process_time()
    found = simulated(t.of, asked(Lengths(1024, 256, 0.5), 1000), rules(t.s, t.w), Users(64))
    took = time.process_time() - start
    tokens = sum(each.generate for each in found.requests)
    print(f"1,000 requests of 64 users: {took:.2f} s, {found.steps / took:,.0f} steps/s, {tokens / took:,.0f} tokens/s")


if __name__ == "__main__":
    main()
