"""How many points per second a compiled request does, as ratios to a plain NumPy pass over as many elements.

A point is one (length, batch), or one (bandwidth, peak, length): at random, or of a mesh of as many points. Time is
the processor's. Run it from the checkout, on one core, on a machine that does nothing else:

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 taskset -c 0 python tests/benchmarks/bench_compiled.py

`--points 100000 --runs 3` is quicker; `--scalar` tells single predictions instead.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np

import roofsim
from roofsim.engine.compiled import CHUNK
from roofsim.prediction.evaluation import FIGURES
from roofsim.prediction.request import predict_request
from roofsim.prediction.setup import setup
from roofsim.specs.workload import workload

DEVICE = "rtx-4090"
MODELS = (
    "Qwen2.5-0.5B", "Qwen2.5-1.5B", "Llama-3.2-1B", "Phi-3-mini", "mamba-1.4b", "mamba2-780m", "mamba2-1.3b",
    "mamba2-2.7b", "Falcon-H1-0.5B", "Falcon-H1-1.5B", "Zamba2-1.2B", "Hymba-1.5B",
)  # fmt: skip
"""Those of arXiv 2507.12442."""
RUNTIMES = ("transformers-4.52-eager", "ideal")
OPERATIONS = 30
POINTS, RUNS = 1_000_000, 5
WORKLOAD = ("prompt", "batch")
MACHINE = ("device.memory.bandwidth", "device.peak.matrix.bf16")


def points(count: int) -> dict[str, np.ndarray]:
    """Every variable, spread evenly over its logarithm."""
    random = np.random.default_rng(0)
    ranges = {"prompt": (16, 2**18), "batch": (1, 64), MACHINE[0]: (1e11, 4e12), MACHINE[1]: (1e13, 1e15)}
    found = {name: np.exp(random.uniform(np.log(low), np.log(high), count)) for name, (low, high) in ranges.items()}
    return {name: x.round() for name, x in found.items()}


def flat(at: Mapping[str, np.ndarray], over: Sequence[str]) -> dict[str, np.ndarray]:
    """The values of each variable, one of each to a point."""
    return {name: at[name] for name in over}


def mesh(at: Mapping[str, np.ndarray], over: Sequence[str]) -> dict[str, np.ndarray]:
    """As many points, every value of a variable with every value of the others."""
    side = round(len(at[over[0]]) ** (1 / len(over)))
    return dict(zip(over, np.meshgrid(*(at[name][:side] for name in over), indexing="ij", sparse=True), strict=True))


def plain(x: np.ndarray, y: np.ndarray) -> None:
    """OPERATIONS element-wise operations of the kinds that formulas use, on pieces that stay in the cache."""
    for start in range(0, len(x), CHUNK):
        a, b = x[start : start + CHUNK], y[start : start + CHUNK]
        made = a
        for _ in range(OPERATIONS // 5):
            made = made * b
            made = made + a
            made = np.maximum(made, b)
            made = made / 3.0
            made = np.minimum(made, a)


def seconds(work: Callable[[], Any], runs: int) -> float:
    """Median processor time, after one run that is not counted."""
    work()
    return median(_once(work) for _ in range(runs))


def in_turns(work: Callable[[], Any], base: Callable[[], Any], runs: int) -> tuple[float, float]:
    """Median processor time of some work, and its median ratio to other work done just before it.

    Both see the same machine, so that the ratio holds on one whose speed changes.
    """
    work(), base()
    below, times = zip(*[(_once(base), _once(work)) for _ in range(runs)], strict=True)
    return median(times), median(a / max(b, 1e-9) for a, b in zip(times, below, strict=True))


def _once(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def rates(count: int, runs: int) -> None:
    """One line per model and runtime: rates and, in brackets, NumPy passes; and the time to compile."""
    at = points(count)
    base = seconds(lambda: plain(at["prompt"], at["batch"]), runs)
    print(f"NumPy, {OPERATIONS} operations: {count / base / 1e6:.1f} M points/s = 1 pass")
    heads = ("TTFT", "TTFT over machine", "mesh", "mesh over machine", "all figures", "compile")
    print(f"{'model':16}{'runtime':25}" + "".join(f"{head:>20}" for head in heads))
    for model in MODELS:
        for runtime in RUNTIMES:
            cells, made = [], 0.0
            for figures, over, points_of in (
                (("ttft",), WORKLOAD, flat),
                (("ttft",), (*MACHINE, "prompt"), flat),
                (("ttft",), WORKLOAD, mesh),
                (("ttft",), (*MACHINE, "prompt"), mesh),
                (tuple(FIGURES), WORKLOAD, flat),
            ):
                start = time.process_time()
                f = roofsim.compile(model, DEVICE, runtime, figures=figures, over=over, dtype="bf16")
                values = points_of(at, over)
                f(**{name: x.flat[:2] for name, x in values.items()})
                made = time.process_time() - start
                took = seconds(lambda f=f, values=values: f(**values), runs)
                done = np.broadcast(*values.values()).size
                cells.append(f"{done / took / 1e6:.2f} M/s ({took / base * count / done:.1f})")
            print(f"{model:16}{runtime:25}" + "".join(f"{cell:>20}" for cell in (*cells, f"{made:.3f} s")), flush=True)


def scalar() -> None:
    """Single predictions in one process, of the figures of a request and with everything that is shown."""
    for model in ("Qwen2.5-0.5B", "mamba2-780m", "Zamba2-1.2B"):
        s = setup(model, DEVICE)
        f = roofsim.compile(s.architecture, s.device, figures=["ttft", "tpot", "memory", "energy", "total"])
        works: dict[str, Callable[[int], Any]] = {
            "roofsim.compile": lambda n, f=f: f(prompt=n, batch=1),
            "figures of a request": lambda n, s=s: predict_request(s, workload(prompt=n)),
            "operators and limits too": lambda n, s=s: predict_request(s, workload(prompt=n)).to_dict(),
            "roofsim.predict by names": lambda n, model=model: roofsim.predict(model, DEVICE, prompt=n),
        }
        for name, work in works.items():
            took = seconds(lambda work=work: [work(n) for n in range(1000, 1050)], 3) / 50
            print(f"{model:16}{name:26}{1 / took:12,.0f} per second")


def main() -> None:
    """What is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=POINTS)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--scalar", action="store_true")
    options = parser.parse_args()
    if options.scalar:
        scalar()
    else:
        rates(options.points, options.runs)


if __name__ == "__main__":
    main()
