"""How measurements are laid out: what is to be done, and what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from roofsim.reports.table import Column, Table

SHOWN = (
    ("latency_s", "time", "s"),
    ("device_time_s", "device busy", "s"),
    ("kernel_count", "kernels", "count"),
    ("peak_mem_bytes", "peak", "B"),
    ("energy_j", "energy", "J"),
)
"""Metrics of a whole pass that the summary shows, what heads them, and their units."""


def plan_tables(device: str, names: Sequence[str], cases: Sequence[Mapping[str, Any]]) -> list[Table]:
    """Every case by those of its fields, and whether it is still to be measured."""
    columns = [Column(name, "count" if name in ("batch", "tokens") else "text") for name in names]
    left = sum(case["state"] == "to do" for case in cases)
    rows = [[case[name] for name in names] for case in cases]
    return [Table(f"To be measured on {device}", columns, rows, [f"{left} of {len(cases)} are to do."])]


def measured_tables(device: str, rows: Sequence[Mapping[str, str]], left: int) -> list[Table]:
    """What was measured: a row per pass, and one per operator."""
    passes: dict[tuple[str, str, int, int], dict[str, float]] = {}
    operators = []
    for row in rows:
        if row["op"] == "e2e" and row["phase"] in ("prefill", "decode"):
            tokens = max(int(row["prompt_len"]), int(row["context_len"]))
            stored = row["weight_dtype"] not in ("", row["dtype"])
            name = f"{row['model']} {row['weight_dtype']}" if stored else row["model"]
            _, static, mode = row["framework"].partition("static cache, ")
            name += f", {mode}" * bool(static)
            key = (name, row["phase"], int(row["batch"]), tokens)
            passes.setdefault(key, {})[row["metric"]] = float(row["value"])
        elif row["phase"] == "op":
            operators.append([row["op"], row["note"].rpartition(";timed=")[0], float(row["value"])])
    columns = [
        Column("model", "text"), Column("phase", "text"), Column("batch", "count"), Column("tokens", "count"),
        *(Column(name, unit) for _, name, unit in SHOWN), Column("ended", "text"),
    ]  # fmt: skip
    lines = [[*key, *(found.get(metric) for metric, _, _ in SHOWN), _end(found)] for key, found in passes.items()]
    notes = [f"{left} more are to do: the same command goes on." if left else "Nothing is left to do."]
    tables = [Table(f"Measured on {device}", columns, lines, [] if operators else notes)]
    if operators:
        heads = [Column("operator", "text"), Column("sizes", "text"), Column("time", "s")]
        tables.append(Table("Single operators", heads, operators, notes))
    return tables


def _end(found: Mapping[str, float]) -> str:
    return "out of memory" if "oom" in found else "failed" if "failed" in found else "done"
