"""How fast the chances of further candidates fall, from rows of chains and trees of the same drafts.

usage: python tools/siblings.py

Reads data/published/trees.csv and prints the exponent of each row, their median and the spread of their logarithms:
`SIBLINGS` and `SIBLINGS_SPREAD` of roofsim/serving/shapes.py. A tree is written as its paths, each as the ranks of its
tokens, from 0 on.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from math import log, prod
from pathlib import Path
from statistics import median, stdev

ROWS = Path(__file__).resolve().parents[1] / "data" / "published" / "trees.csv"


def root(rises: Callable[[float], float], value: float, low: float, high: float) -> float:
    """Where a function that rises takes a value."""
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if rises(middle) < value else (low, middle)
    return high


def made(alpha: float, exponent: float, paths: list[str]) -> float:
    """Tokens of a round with a tree of such paths."""
    ranks = [alpha, *((1 - alpha) * (rank**-exponent - (rank + 1) ** -exponent) for rank in range(1, 10))]
    return 1 + sum(prod(ranks[int(rank)] for rank in path) for path in paths)


def exponents() -> Iterator[tuple[str, float]]:
    """What each row is of, and its exponent."""
    with ROWS.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            chain = ["0" * n for n in range(1, int(row["chain"]) + 1)]
            alpha = root(lambda x, chain=chain: made(x, 1, chain), float(row["chain_made"]), 0, 1)  # type: ignore[misc]
            paths = row["tree"].split()
            tree = lambda x, paths=paths, alpha=alpha: made(alpha, x, paths)  # type: ignore[misc]  # noqa: E731
            yield row["model"], root(tree, float(row["tree_made"]), 0, 9)


if __name__ == "__main__":
    found = list(exponents())
    for name, exponent in found:
        print(f"{name}: {exponent:.3f}")
    values = [exponent for _, exponent in found]
    print(f"median {median(values):.2f}, spread of logarithms {stdev(map(log, values)):.2f}")
