"""How long a search over 1,942 architectures takes on a Jetson Orin, in the processor's time and in wall time.

Run it from the checkout, on a machine that does nothing else: python tests/benchmarks/bench_search.py
"""

from __future__ import annotations

import time

import roofsim

MEMBERS = 1942
"""As many as arXiv 2602.10377 looked at."""

GRID = {"depth": "8..36+2", "width": "512..1536+128", "kv_heads": "1,2", "mlp_width": "2048..9216+1024"}
STACKS = ("transformers-4.52-eager", "transformers-5-eager", "cuda-graph", "llama.cpp", "vllm", "ideal")


def main() -> None:
    """Print the times of each stack."""
    for stack in STACKS:
        wall, busy = time.perf_counter(), time.process_time()
        found = roofsim.search(
            "dense", "orin", stack, over=GRID, sample=MEMBERS, prompt=1024, generate=16, dtype="fp16"
        )
        took = time.perf_counter() - wall, time.process_time() - busy
        print(f"{took[0]:5.2f} s  {took[1]:5.2f} s busy  {len(found.members):,} members  {stack}")


if __name__ == "__main__":
    main()
