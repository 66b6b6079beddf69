"""Products of DeepGEMM, whose sums are scaled every 128 inputs, against what its first release was published to reach.

`m` are the rows of each of `groups` matrices.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest

from roofsim import library
from roofsim.engine.roofline import machine, terms
from roofsim.lowering import serving
from roofsim.lowering.fused import BESIDE, TILE
from roofsim.lowering.kernels import Situation
from roofsim.model.step import Pass, Precision, Routing
from roofsim.ops import gemm
from roofsim.ops.base import Operator, Role

FILE = Path(__file__).resolve().parents[2] / "data" / "published" / "deepgemm.csv"
ROWS = list(csv.DictReader(FILE.read_text(encoding="utf-8").splitlines()))
PRECISION = Precision(weights=1, products={"weights": "fp8"}, scaled=128)
DEVICE, RUNTIME = library.device("h800-sxm"), library.runtime("vllm")
MACHINE = machine(DEVICE, None, "bf16", runtime=RUNTIME)


def sizes_of(row: dict[str, str]) -> tuple[int, int, int, int]:
    groups, m, n, k = (int(row[name]) for name in ("groups", "m", "n", "k"))
    return groups, m, n, k


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "x".join(row[name] for name in ("groups", "m", "n", "k")))
def test_products_are_within_7_percent(row: dict[str, str]) -> None:
    groups, m, n, k = sizes_of(row)
    p, rows = Pass(1, groups * m, 0, PRECISION, routing=Routing(apart=True)), groups * m
    sizes = {"tokens": rows, "d_in": k, "d_out": n, "bias": 0, "weight_bytes": 1, "act_bytes": 2}
    o = Operator("op", gemm.linear, sizes)
    if groups > 1:
        of = {"experts": groups, "top_k": 1}
        o = Operator("op", gemm.expert_linear, sizes | of, 0, (), acts_as=Role.EXPERT_OUT)
    products = [each for each in serving.lower(o, Situation(RUNTIME, p)).kernels if each.unit == "fp8"]
    time = sum(float(each.count) * float(terms(each, MACHINE).time) for each in products)
    assert 2 * rows * n * k / time == pytest.approx(float(row["published_flops"]), rel=0.07)


def test_what_a_tile_takes_beside_its_products_is_the_fit_to_them() -> None:
    """Rounds of tiles at the rate that products in bf16 reach: the inputs of least squares, in steps of 128."""
    rate = float(MACHINE.rate("fp8")) * float(MACHINE["gemm_efficiency"]) / float(MACHINE.units)

    def off(beside: int) -> float:
        total = 0.0
        for groups, m, n, k in map(sizes_of, ROWS):
            rounds = math.ceil(groups * m // TILE * math.ceil(n / TILE) / float(MACHINE.units))
            ours = rounds * 2 * TILE * TILE * (k + beside) / rate
            total += math.log(ours * FLOPS[groups, m, n, k] / (2 * groups * m * n * k)) ** 2
        return total

    assert min(range(0, 2048, 128), key=off) == BESIDE


FLOPS = {sizes_of(row): float(row["published_flops"]) for row in ROWS}
