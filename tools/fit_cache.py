"""Fit the streaming parameters of the RTX 4090 to GPU times of norms, for `parameters:` in its device file.

usage: python tools/fit_cache.py ssmscope_rtx4090_orin_nano.csv

The rows are SSM-Scope's operator profiles of Zamba2-1.2B and mamba2-130m (norms only, 256 to 8,192 tokens), so that
no whole-model time and none of the models of the published crossover enters. Needs SciPy.
"""

import csv
import math
import sys
from dataclasses import replace

from scipy.optimize import least_squares

from roofsim.engine.passes import operators
from roofsim.prediction.setup import setup
from roofsim.prediction.steps import prefill
from roofsim.specs.workload import workload

MODELS = {"Zamba2-1.2B-Instruct-v2": "Zamba2-1.2B", "mamba2-130m": "mamba2-130m"}
OPERATORS = {"op:zamba2rmsnorm_prof": "norm", "op:zamba2rmsnormgated_prof": "gate", "op:layernormfn": "norm"}
START = {
    "strided_efficiency": 0.7,
    "cache_speed": 2.0,
    "cache_share": 0.6,
    "kernel_time": 1.5e-6,
    "strided_kernel_time": 2e-6,
}
BOUNDS = [(0.4, 1.0), (1.0, 8.0), (0.1, 1.2), (5e-7, 3e-6), (5e-7, 4e-6)]


def predicted(rows: list[dict[str, str]], values: dict[str, float]) -> list[float]:
    """GPU time of every row under these parameters."""
    out = []
    for row in rows:
        s = replace(setup(MODELS[row["model"]], "rtx-4090", "transformers-4.52-eager"), parameters=values)
        p = prefill(s, workload(prompt=int(row["prompt_len"])))
        wanted = OPERATORS[row["op"]]
        table = operators(s.stack("bf16"), p, s.basis)
        out.append(sum(o.time for o in table if o.kind == "norm" and (o.operator == "ssm_gate") == (wanted == "gate")))
    return out


def main() -> None:
    """Print the estimates with their standard errors and the residuals."""
    with open(sys.argv[1], newline="") as file:
        rows = [
            r for r in csv.DictReader(file) if r["op"] in OPERATORS and r["model"] in MODELS and "4090" in r["device"]
        ]
    measured = [float(r["value"]) for r in rows]
    scale = list(START.values())

    def residuals(x: list[float]) -> list[float]:
        values = {name: v * s for name, v, s in zip(START, x, scale, strict=True)}
        return [math.log(p / m) for p, m in zip(predicted(rows, values), measured, strict=True)]

    low = [b[0] / s for b, s in zip(BOUNDS, scale, strict=True)]
    high = [b[1] / s for b, s in zip(BOUNDS, scale, strict=True)]
    fit = least_squares(residuals, [1.0] * len(scale), bounds=(low, high), loss="soft_l1", f_scale=0.1)
    for name, x, s in zip(START, fit.x, scale, strict=True):
        print(f"{name:22s} {x * s:.4g}")
    for row, r in zip(rows, residuals(list(fit.x)), strict=True):
        print(f"{row['model'][:16]:16s} {row['op'][3:]:24s} {row['prompt_len']:>6s} {math.expm1(r):+.1%}")


if __name__ == "__main__":
    main()
