"""What a change does to predictions: every model × four devices × every runtime × twelve workloads, before and after.

    PYTHONPATH=BEFORE python tools/compare_predictions.py record before.jsonl.gz     # a checkout of the state before
    python tools/compare_predictions.py record after.jsonl.gz
    python tools/compare_predictions.py compare before.jsonl.gz after.jsonl.gz

`compare` prints a row for each runtime and figure that moved by more than a thousandth: how many predictions moved, by
how much in the median and at most, and which moved most.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections import defaultdict
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DEVICES = ("rtx-4090", "jetson-orin-nano-8gb", "h100-sxm", "apple-m2-ultra")
WORKLOADS: tuple[dict[str, Any], ...] = (
    *({"batch": b, "prompt": p, "generate": g} for b, p, g in (
        (1, 1, 1), (1, 128, 128), (1, 1024, 128), (1, 4096, 2), (1, 32768, 128), (1, 131072, 16), (2, 777, 33),
        (8, 512, 128), (8, 8192, 64), (32, 2048, 128), (64, 129, 256),
    )),
    {"batch": 1, "prompt": 1024, "generate": 128, "logits": "last"},
)  # fmt: skip
MOVED = 1e-3


def names(kind: str) -> list[str]:
    """Models or runtimes of this checkout."""
    depth = "*/*.yaml" if kind == "models" else "*.yaml"
    return sorted(path.stem for path in (ROOT / kind).glob(depth))


def record(output: str) -> None:
    """Predict all with the roofsim that Python finds, and write a line each."""
    import roofsim
    from roofsim.foundation.errors import InputError

    stacks = list(product(names("models"), DEVICES, names("runtimes")))
    with gzip.open(output, "wt") as file:
        for i, stack in enumerate(stacks):
            print(f"\r{i + 1:,} of {len(stacks):,}", end="", file=sys.stderr)
            for k, workload in enumerate(WORKLOADS):
                try:
                    p = roofsim.predict(*stack, **workload)
                except InputError:  # the runtime does not run the model
                    break
                figures = {
                    "TTFT": p.request.ttft, "TPOT": p.request.tpot, "energy": p.request.energy,
                    "peak memory": p.memory.peak, "reserved memory": p.memory.reserved,
                    "kernels, prefill": p.prefill.kernels, "kernels, decode": p.decode.kernels,
                    "device time, prefill": p.prefill.device_time, "device time, decode": p.decode.device_time,
                }  # fmt: skip
                file.write(json.dumps([*stack, k, {name: float(x) for name, x in figures.items()}]) + "\n")
    print(file=sys.stderr)


def read(path: str) -> dict[tuple[str, str, str, int], dict[str, float]]:
    """Figures by what was predicted."""
    with gzip.open(path, "rt") as file:
        return {(m, d, r, k): figures for m, d, r, k, figures in map(json.loads, file)}


def compare(before: str, after: str) -> None:
    """Print what moved."""
    old, new = read(before), read(after)
    moved: dict[tuple[str, str], list[tuple[float, str]]] = defaultdict(list)
    both = sorted(old.keys() & new.keys())
    for key in both:
        model, device, runtime, k = key
        for name, was in old[key].items():
            change = new[key][name] / was - 1 if was else float(new[key][name] != was)
            if abs(change) > MOVED:
                words = ", ".join(f"{field} {x}" for field, x in WORKLOADS[k].items())
                moved[runtime, name].append((change, f"{model} on {device}, {words}"))
    print(f"{len(both):,} predictions in both, {len(old.keys() ^ new.keys()):,} in one only")
    print("| runtime | figure | moved | median | most | which |\n|---|---|---|---|---|---|")
    for (runtime, name), rows in sorted(moved.items()):
        most, which = max(rows, key=lambda row: abs(row[0]))
        typical = median(change for change, _ in rows)
        print(f"| {runtime} | {name} | {len(rows):,} | {typical:+.1%} | {most:+.1%} | {which} |")


def main(arguments: list[str]) -> int:
    """Record or compare."""
    match arguments:
        case ["record", output]:
            record(output)
        case ["compare", before, after]:
            compare(before, after)
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
