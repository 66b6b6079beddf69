"""Percentiles of times of which each has a share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

PERCENTILES: Mapping[str, float] = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
"""Those that are said of a time, by name."""
FIGURES = ("mean", *PERCENTILES)
"""What is said of a time: its mean, and percentiles."""


def quantiles(shares: Sequence[tuple[float, float]]) -> dict[str, float]:
    """Percentiles of values, each behind its share."""
    ordered = sorted((value, share) for share, value in shares if share > 0)
    found = {}
    for name, q in PERCENTILES.items():
        below = 0.0
        for value, share in ordered:
            below += share
            if below >= q - 1e-9:
                found[name] = value
                break
    return found
