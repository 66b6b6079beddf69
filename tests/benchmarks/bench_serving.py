"""How long a search over ways to serve takes: users × sequences at once × formats of weights (× ways to divide).

python tests/benchmarks/bench_serving.py
"""

from __future__ import annotations

import time

from roofsim.prediction.fitted import chosen
from roofsim.prediction.setup import setup
from roofsim.serving.front import Front, front
from roofsim.serving.server import Server
from roofsim.specs.workload import workload

FORMATS = (None, "fp8", "int8-channel", "int4-g128")
USERS, AT_ONCE = range(1, 501), range(8, 8 * 51, 8)
"""500 × 50 × 4 formats: 100,000 points."""


def search() -> Front:
    """A search of 100,000 points for one model on one device, from names on."""
    s = chosen(setup("Llama-3.1-8B", "h100-sxm", "vllm"), "none")
    servers = [
        ({"weights": each or "bf16"}, Server(s, workload(prompt=1024, generate=256, weight_format=each)))
        for each in FORMATS
    ]
    return front(servers, USERS, AT_ONCE)


if __name__ == "__main__":
    began = time.perf_counter()
    found = search()
    print(f"{found.looked_at:,} points, {len(found.points)} on the front: {time.perf_counter() - began:.2f} s")
