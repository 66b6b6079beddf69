"""Percentiles of times of which each has a share."""

from __future__ import annotations

from collections.abc import Sequence

PERCENTILES = (0.5, 0.95, 0.99)
FIGURES = ("mean", "p50", "p95", "p99")
"""What is said of a time: its mean, and percentiles."""


def quantiles(shares: Sequence[tuple[float, float]]) -> dict[str, float]:
    """Percentiles of values, each behind its share."""
    ordered = sorted((value, share) for share, value in shares if share > 0)
    found = {}
    for name, q in zip(FIGURES[1:], PERCENTILES, strict=True):
        below = 0.0
        for value, share in ordered:
            below += share
            if below >= q - 1e-9:
                found[name] = value
                break
    return found
