"""Fit the streaming parameters of the RTX 4090 to GPU times of small kernels, for `parameters:` in its device file.

usage: python tools/fit_cache.py FOLDER

The rows are SSM-Scope's operator profiles of Zamba2-1.2B and mamba2-130m (norms only, 256 to 8,192 tokens), so that
no whole-model time and none of the models of the published crossover enters, and LLMServingSim's profiles of norms,
rotation and gated activation in vLLM (1 to 2,048 tokens). Needs SciPy.
"""

import math
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

from roofsim import library
from roofsim.runs.cases import Case, Reader
from roofsim.runs.importers import read_runs
from roofsim.runs.program import Program

DEVICE = library.device("rtx-4090")
FILES = {
    "ssmscope_rtx4090_orin_nano.csv": (
        "transformers-4.52-eager", ("op:zamba2rmsnorm_prof", "op:zamba2rmsnormgated_prof", "op:layernormfn")
    ),
    "op_llmservingsim_rtx4090.csv": ("vllm", ("layernorm", "final_layernorm", "rotary_emb", "act_fn")),
}  # fmt: skip
START = {
    "strided_efficiency": 0.7,
    "cache_speed": 2.0,
    "cache_share": 0.6,
    "kernel_time": 1.5e-6,
    "strided_kernel_time": 2e-6,
}
BOUNDS = [(0.4, 1.0), (1.0, 8.0), (0.1, 1.2), (5e-7, 3e-6), (5e-7, 4e-6)]


def read(folder: Path) -> Iterator[tuple[list[Case], Program]]:
    """The rows of each file, and what predicts them."""
    for name, (runtime, operators) in FILES.items():
        reader = Reader(runtime)
        runs = read_runs(str(folder / name), skip_bad_rows=True).runs
        cases = [reader.case(run) for run in runs if run.op in operators and "4090" in run.device]
        yield cases, Program([case.target for case in cases], reader.jobs, DEVICE, None, reader.runtime)


def main() -> None:
    """Print the estimates with their standard errors and the residuals."""
    parts = list(read(Path(sys.argv[1])))
    cases = [case for mine, _ in parts for case in mine]
    measured = np.log([case.measured for case in cases])
    scale = np.array(list(START.values()))

    def residuals(x: np.ndarray) -> np.ndarray:
        values = dict(zip(START, x * scale, strict=True))
        return np.log(np.concatenate([program.predict(values) for _, program in parts])) - measured

    low, high = np.array(BOUNDS).T / scale
    fit = least_squares(residuals, np.ones(len(scale)), bounds=(low, high), loss="soft_l1", f_scale=0.1)
    covariance = np.linalg.pinv(fit.jac.T @ fit.jac) * np.sum(fit.fun**2) / (len(cases) - len(scale))
    for i, name in enumerate(START):
        print(f"{name:20s} {fit.x[i] * scale[i]:.4g} +- {math.sqrt(covariance[i, i]) * scale[i]:.2g}")
    for case, off in zip(cases, residuals(fit.x), strict=True):
        print(f"{case.model:24s} {case.run.op:28s} {case.run.prompt or case.run.notes.get('tokens')!s:>6} {off:+.0%}")


if __name__ == "__main__":
    main()
