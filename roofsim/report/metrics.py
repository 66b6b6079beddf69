"""What each metric is called, and in which unit it is shown."""

from __future__ import annotations

METRICS = {
    "ttft": ("time to first token", "s"),
    "tpot": ("time per output token", "s"),
    "memory": ("peak memory", "B"),
    "energy": ("energy per request", "J"),
    "throughput": ("output tokens per second", ""),
    "total": ("time of the whole request", "s"),
}
"""Each metric in words, and its unit."""


def tokens_that_fit(n: int) -> str:
    """The longest prompt or largest batch that fits, in words if it is beyond any use."""
    return f"{n:,}" if n < 10**7 else "any"
