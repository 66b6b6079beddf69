"""What llama.cpp's benchmarks print besides JSON and CSV: tables of Markdown among their logs, and SQL.

Rows are given the names that llama-bench has in its JSON. A table tells no file of the model, and the device only where
a back end's log stands before it.
"""

from __future__ import annotations

import csv
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import Any

from roofsim.foundation.units import parse

Row = Mapping[str, Any]

TABLE = re.compile(r"^\s*\|\s*(?:model\s*\|.*\|\s*test\s*\|\s*t/s|PP\s*\|\s*TG\s*\|\s*B)\s*\|", re.MULTILINE)
"""The head of a table of llama-bench or of llama-batched-bench."""

INSERTED = re.compile(r"^INSERT INTO \w+ \((.*?)\) VALUES \((.*)\);\s*$", re.MULTILINE)
"""A row of llama-bench -o sql."""

DEVICES = (
    r"^\s*Device 0: (.+?), (?:compute capability|gfx|type)",  # CUDA, HIP
    r"ggml_vulkan: 0 = (.+?) \(",
    r"ggml_metal_(?:device_)?init: (?:GPU name:|found device:|picking default device:)\s+(?!MTL\d)(.+)$",
)
"""How logs of back ends name the first device."""


def tables(text: str) -> Iterator[Row]:
    """The rows of all tables in a text, each with the `line` that it stands in; raises ValueError."""
    lines = text.splitlines()
    ends = [(i, match[1]) for i, line in enumerate(lines) if (match := re.match(r"build: \w+ \((\d+)\)", line))]
    head: list[str] = []
    told: dict[str, str] = {}
    device, models, found = "", set[str](), list[dict[str, Any]]()
    for i, line in enumerate(lines):
        device = next((match[1].strip() for each in DEVICES if (match := re.search(each, line))), device)
        if "n_kv_max = " in line:  # of llama-batched-bench, before its table
            told = dict(re.findall(r"(\w+) = (-?\d+)", line))
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.lstrip().startswith("|") else []
        if TABLE.match(line):
            head = cells
        elif head and len(cells) == len(head) and not re.fullmatch(r"[-: ]*", cells[0]):
            row = dict(zip(head, cells, strict=True))
            after = bisect_right(ends, (i, ""))
            build = ends[min(after, len(ends) - 1)][1] if ends else ""
            found.append({"line": i + 1, "gpu_info": device, "build_number": build, **told, **_fields(row)})
            models.add(found[-1].get("model_name", ""))
    for each in found:  # what is a single model's is left for the one who reads it to name
        yield each if len(models) > 1 else {**each, "model_name": ""}


def _fields(row: Mapping[str, str]) -> Row:
    """What a row of a table says, under the names of the JSON."""
    if "test" not in row:
        names = {"PP": "pp", "TG": "tg", "B": "pl", "T_PP s": "t_pp", "T_TG s": "t_tg"}
        return {name: row[column] for column, name in names.items()}
    test = re.fullmatch(r"(?:pp ?(\d+))?\+?(?:tg ?(\d+))?(?: ?@ ?d ?(\d+))?", row["test"])
    if test is None or not (test[1] or test[2]):
        raise ValueError(f"test: '{row['test']}' is none of llama-bench; pp512 or tg128 @ d4096 are")
    prompt, generated, depth = (int(each or 0) for each in test.groups())
    rate = row["t/s"].split("±")[0].strip()
    try:
        seconds = (prompt + generated) / float(rate)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"t/s: '{row['t/s']}' is no rate of tokens") from None
    return {
        "n_prompt": prompt, "n_gen": generated, "n_depth": depth, "avg_ns": 1e9 * seconds, "model_filename": "",
        "model_name": FORMAT.sub("", row["model"]), "model_type": row["model"],
        "model_size": round(parse(row["size"], "B")), "flash_attn": row.get("fa", "0"),
        "n_ubatch": row.get("n_ubatch", ""), "backends": row.get("backend", ""),
    }  # fmt: skip


FORMAT = re.compile(r"\s+(?:mostly )?(?:all F32|BF16|F16|T?I?Q\d\w*|MXFP4|NVFP4).*$")
"""The format of the weights at the end of the description of a model: `llama 8B Q4_K - Medium`."""


def inserted(text: str) -> Iterator[Row]:
    """The rows that SQL inserts."""
    for names, values in INSERTED.findall(text):
        (cells,) = csv.reader([values], quotechar="'", skipinitialspace=True)
        yield dict(zip(names.split(", "), cells, strict=True))
