"""Measure PyTorch's memory-efficient attention with a mask on the GPU at hand: decode steps and prefills.

usage: python tools/measure_masked_attention.py > rows.jsonl   (needs PyTorch with CUDA)

Kernels are timed in a captured graph, so that the host has no part in it. The rows behind
docs/decisions/013-masked-attention.md are from an H100 SXM with PyTorch 2.11.
"""

import json

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

DECODE = [(batch, heads, width, 1, seen) for heads, width in ((14, 64), (32, 64), (32, 128))
          for seen in (2048, 8192, 32768) for batch in (1, 4, 16)]  # fmt: skip
PREFILL = [(1, heads, width, n, n) for heads, width in ((14, 64), (32, 128)) for n in (1024, 4096, 16384)]


def seconds(work, runs: int = 10) -> float:
    """Mean time of one replay."""
    for _ in range(3):
        work()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    graph.replay()
    start, end = torch.cuda.Event(True), torch.cuda.Event(True)
    start.record()
    for _ in range(runs):
        graph.replay()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / runs * 1e-3


def main() -> None:
    """One line of JSON per shape."""
    for batch, heads, width, new, seen in DECODE + PREFILL:
        q = torch.randn(batch, heads, new, width, device="cuda", dtype=torch.bfloat16)
        k, v = (torch.randn(batch, heads, seen, width, device="cuda", dtype=torch.bfloat16) for _ in range(2))
        mask = torch.zeros(batch, 1, new, seen, device="cuda", dtype=torch.bfloat16)
        with sdpa_kernel(SDPBackend.EFFICIENT_ATTENTION):
            time = seconds(lambda q=q, k=k, v=v, mask=mask: scaled_dot_product_attention(q, k, v, attn_mask=mask))
        print(json.dumps({"batch": batch, "heads": heads, "width": width, "new": new, "seen": seen, "time": time}))


if __name__ == "__main__":
    main()
