"""How many points per second a vectorised prediction does, beside a plain NumPy pass over as many elements.

A point is one (length, batch) at random; a prediction gives every figure of a request of it. Time is the
processor's. Run it from the checkout, on one core, on a machine that does nothing else:

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 taskset -c 0 python tests/benchmarks/bench_vectorised.py

`--points 100000 --runs 3` is quicker; `--profile mamba2-780m` says where the time goes for one model.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import numpy as np

from roofsim import predict
from roofsim.engine.passes import run_pass
from roofsim.prediction.setup import Setup, setup
from roofsim.prediction.steps import prefill
from roofsim.specs.workload import workload

POINTS = 1_000_000
CHUNK = 16_384
RUNS = 5
OPERATIONS = 30
DEVICE = "rtx-4090"
MODELS = ("Qwen2.5-0.5B", "mamba2-780m", "Falcon-H1-0.5B")
RUNTIMES = ("ideal", "transformers-4.52-eager")

Work = Callable[[np.ndarray, np.ndarray], Any]


def points(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Lengths from 16 to 2¹⁸ and batches from 1 to 64, both spread evenly over their logarithms."""
    random = np.random.default_rng(seed)
    lengths = np.exp(random.uniform(np.log(16), np.log(2**18), count)).round()
    batches = np.exp(random.uniform(0, np.log(64), count)).round()
    return lengths, batches


def plain(lengths: np.ndarray, batches: np.ndarray) -> np.ndarray:
    """OPERATIONS element-wise operations on float64 of the kinds that formulas use, each into a new array."""
    x = lengths
    for _ in range(OPERATIONS // 5):
        x = x * batches
        x = x + lengths
        x = np.maximum(x, batches)
        x = x / 3.0
        x = np.minimum(x, lengths)
    return x


def chunks(lengths: np.ndarray, batches: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pieces small enough to stay in a processor's cache."""
    for start in range(0, len(lengths), CHUNK):
        yield lengths[start : start + CHUNK], batches[start : start + CHUNK]


def seconds(work: Work, lengths: np.ndarray, batches: np.ndarray, runs: int) -> float:
    """Median processor time of passes over all points, after one over the first chunk that is not counted."""
    work(lengths[:CHUNK], batches[:CHUNK])
    times = []
    for _ in range(runs):
        start = time.process_time()
        for piece in chunks(lengths, batches):
            work(*piece)
        times.append(time.process_time() - start)
    return median(times)


def whole_request(s: Setup) -> Work:
    """Every figure of a request: both passes, memory, energy."""

    def work(lengths: np.ndarray, batches: np.ndarray) -> Any:
        return predict(s.architecture, s.device, s.runtime, prompt=lengths, batch=batches, generate=1, dtype="bf16")

    return work


def prefill_only(s: Setup) -> Work:
    """The prefill's time, work, traffic and energy."""

    def work(lengths: np.ndarray, batches: np.ndarray) -> Any:
        w = workload(prompt=lengths, batch=batches, generate=1, dtype="bf16")
        return run_pass(s.stack(w.dtype), prefill(s, w))

    return work


def profile(s: Setup, work: Work, count: int) -> None:
    """Where the time of one pass over the points goes."""
    lengths, batches = points(count)
    work(lengths[:CHUNK], batches[:CHUNK])
    profiler = cProfile.Profile()
    profiler.enable()
    for piece in chunks(lengths, batches):
        work(*piece)
    profiler.disable()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(25)


def main() -> None:
    """Print one line per model, runtime and kind of work."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=POINTS)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--profile", metavar="MODEL")
    options = parser.parse_args()
    if options.profile:
        for runtime in RUNTIMES:
            profile(
                setup(options.profile, DEVICE, runtime),
                whole_request(setup(options.profile, DEVICE, runtime)),
                10 * CHUNK,
            )
        return
    lengths, batches = points(options.points)
    base = seconds(plain, lengths, batches, options.runs)
    print(f"NumPy, {OPERATIONS} operations: {options.points / base / 1e6:.2f} M points/s ({base:.3f} s)")
    print(f"{'model':16}{'runtime':26}{'work':10}{'M points/s':>11}{'NumPy passes':>14}")
    for model in MODELS:
        for runtime in RUNTIMES:
            s = setup(model, DEVICE, runtime)
            for name, work in (("request", whole_request(s)), ("prefill", prefill_only(s))):
                took = seconds(work, lengths, batches, options.runs)
                rate = options.points / took / 1e6
                print(f"{model:16}{runtime:26}{name:10}{rate:11.3f}{took / base:14.1f}", flush=True)


if __name__ == "__main__":
    main()
