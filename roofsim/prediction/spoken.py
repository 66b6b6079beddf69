"""Numbers as people say them: words for the paths at which they stand."""

from __future__ import annotations

WORDS = {
    "batch": "batch",
    "prompt": "prompt length",
    "generate": "tokens generated",
    "cluster.links.between.bandwidth": "bandwidth of links between nodes",
    "cluster.links.node.bandwidth": "bandwidth of links to other devices",
    "cost.price_per_hour": "price of a device for an hour",
    "device.cache.last_level": "last-level cache",
    "device.clock": "clock",
    "device.memory.bandwidth": "memory bandwidth",
    "device.memory.capacity": "memory",
    "device.power.idle": "idle power",
    "device.power.tdp": "power limit",
    "device.units": "compute units",
    "host.dispatch": "host time to launch a kernel",
    "model.d_model": "width of the model",
}

PEAKS = {"device.peak.matrix.": "matrix peak", "device.peak.vector.": "vector peak"}
"""Beginnings of paths that end with a dtype."""


def words(path: str) -> str:
    """What the number at a path is called; a size of a part of a model says of which."""
    if path in WORDS:
        return WORDS[path]
    for begins, said in PEAKS.items():
        if path.startswith(begins):
            return f"{said}, {path.removeprefix(begins)}"
    root, *steps = path.split(".")
    if not steps:
        return _spoken(root)
    if root == "model" and len(steps) > 1:
        *within, last = steps
        if within[0] == "layout" and last == "repeat":
            return f"layers, part {int(within[1]) + 1}"
        return f"{_spoken(last)} ({', '.join(dict.fromkeys(map(_spoken, within[1:] or within)))})"
    return _spoken(" ".join(steps))


def _spoken(name: str) -> str:
    return name.replace("_", " ")
