"""What kind of operator a name in a file of runs stands for."""

from __future__ import annotations

from roofsim.ops.base import Kind

KINDS_NAMED: tuple[tuple[str, Kind], ...] = (
    ("attention", "attention"), ("sdpa", "attention"), ("combined", "scan"), ("conv", "conv"), ("norm", "norm"),
    ("embedding", "embedding"), ("scan", "scan"), ("ssd", "scan"), ("mamba", "scan"), ("delta", "scan"),
    ("kda", "scan"),
    ("gemm", "gemm"), ("linear", "gemm"), ("matmul", "gemm"), ("moe", "gemm"),
)  # fmt: skip
"""Kinds by words in the names that operators have in files of runs, the first that is there."""


def kind_named(op: str) -> Kind:
    """The kind of operator that a name stands for, as rows about one operator have it, or the name of a kind."""
    return next((kind for word, kind in KINDS_NAMED if word in op), "pointwise")
