"""How specs are shown: their numbers with sources, and what a model adds up to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from roofsim import library
from roofsim.foundation import units
from roofsim.foundation.cost import Cost
from roofsim.foundation.parameters import PARAMETERS
from roofsim.foundation.quantity import Documented, Sourced
from roofsim.foundation.schema import Spec, items, plain
from roofsim.model.architecture import Architecture, describe_part
from roofsim.model.step import Pass
from roofsim.reports.table import Column, Table
from roofsim.specs.cluster import Cluster
from roofsim.specs.family import Family
from roofsim.specs.implementation import Implementation
from roofsim.specs.override import written
from roofsim.specs.runtime import Runtime
from roofsim.specs.workload import Workload

LENGTHS = (128, 1024, 4096, 32768)
BY_KIND = ("gemm", "attention", "scan", "conv")
SHOWN = ("gemm", "attention", "scan")


def plain_spec(kind: str, spec: Any) -> tuple[list[Table], dict[str, Any]]:
    """A device, cluster, runtime or host: every field, and the source of every number."""
    rows = [[path, value, source, note] for path, value, source, note in _fields(spec, "")]
    columns = [Column("field"), Column("value", "text"), Column("source"), Column("note")]
    tables = [Table(f"{spec.name} ({spec.id})", columns, rows)]
    explains = getattr(spec, "explains", None)
    if explains:
        tables.append(Table("Why", [Column("choice"), Column("reason")], list(explains.items())))
    tables.append(sources(spec))
    return tables, {
        "kind": {"hardware": "device", "runtimes": "runtime", library.CLUSTERS: "cluster", library.COSTS: "terms"}.get(
            kind, "host"
        ),
        **written(spec),
    }


def cluster(spec: Cluster) -> tuple[list[Table], dict[str, Any]]:
    """A cluster, and how long messages take in it."""
    tables, data = plain_spec(library.CLUSTERS, spec)
    rows: list[list[object]] = []
    joined = (("in a node", spec.per_node), ("between nodes", spec.nodes))
    for (where, count), link in zip(joined, spec.links.levels, strict=True):
        if link:
            times = [link.latency.value + size / link.rate for size in MESSAGES]
            rows.append([where, count, link.rate, link.latency.value, link.latency.value * link.rate, *times])
    columns = [Column("link"), Column("joins", "count"), Column("rate", "B/s"), Column("latency", "s"),
               Column("half rate at", "B"), *(Column(units.show(size, "B"), "s") for size in MESSAGES)]  # fmt: skip
    notes = [
        f"{spec.devices:,} devices at most. Rate: what long messages reach, each way and for each device; a message as "
        "long as what is sent at it during the latency reaches half. On the right, the time of a message."
    ]
    return [tables[0], Table("Messages", columns, rows, notes), *tables[1:]], data


MESSAGES = (2**20,)
"""Bytes of messages of which the time is shown."""


def runtime(spec: Runtime) -> tuple[list[Table], dict[str, Any]]:
    """A runtime, and what the code that it runs does by family of models."""
    tables, data = plain_spec("runtimes", spec)
    if spec.implementation is None:
        return tables, data
    known = library.implementation(spec.implementation)
    data["facts"] = {"every": plain(known.every), "families": plain(known.families), "sources": known.sources}
    return [*tables, *implementation(known)], data


def implementation(known: Implementation) -> list[Table]:
    """What the code of a library does: every fact with its source."""
    rows = []
    for family, facts in {"every": known.every, **known.families}.items():
        # what another implementation runs is told there
        shown = {"run_by": facts["run_by"]} if "run_by" in facts else facts
        rows += [[family, name, stated(fact.value), fact.source, fact.note] for name, fact in shown.items()]
    columns = [Column("family"), Column("fact"), Column("value", "text"), Column("source"), Column("note")]
    return [
        Table(f"Code: {known.name} ({known.id})", columns, rows),
        sources(known),
    ]


def sources(spec: Documented) -> Table:
    """Where the numbers of a file are from."""
    none = [] if spec.sources else ["None: nothing says where its numbers are from."]
    return Table("Sources", [Column("key"), Column("source")], list(spec.sources.items()), none)


def stated(value: Any) -> str:
    """A value as a file states it, in one line."""
    if isinstance(value, Spec):
        return " and ".join(f"{key} {stated(each)}" for key, each in items(value) if each)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {stated(each)}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _fields(value: Any, path: str) -> Iterator[tuple[str, str, str, str]]:
    for name, each in items(value):
        here = f"{path}{name}"
        if name in ("name", "id", "sources", "explains") or each is None:
            continue
        yield from _field(each, here)


def stated_unit(field: str, unit: str | None) -> str:
    """The unit of a field: parameters of a file are in that of their row."""
    row = PARAMETERS.get(field.removeprefix("parameters."))
    return unit or (row.unit if row else "")


def _field(each: Any, here: str) -> Iterator[tuple[str, str, str, str]]:
    if isinstance(each, Sourced):
        unit = stated_unit(here, each.unit)
        yield here, units.show(each.value, unit) if unit else f"{each.value:g}", each.source, each.note
    elif isinstance(each, Spec):
        yield from _fields(each, f"{here}.")
    elif isinstance(each, Mapping):
        for key, inner in each.items():
            yield from _field(inner, f"{here}.{key}")
    elif isinstance(each, tuple):
        if each:
            yield here, ", ".join(map(str, each)), "", ""
    else:
        yield here, "yes" if each is True else "no" if each is False else str(each), "", ""


def family(f: Family, given: Mapping[str, int], called: str) -> tuple[Table, dict[str, Any]]:
    """The parameters of a family, `called` so: what each is in the member with those given, and may be."""
    values = f.values(given)
    keys = ("parameter", "value", "otherwise", "from", "to", "meaning", "source")
    rows = [
        [name, values[name], str(each.value), *each.range, each.meaning, each.source]
        for name, each in f.parameters.items()
    ]
    columns = [Column(keys[0]), Column(keys[1], "count"), Column(keys[2], "text"), Column(keys[3], "count"),
               Column(keys[4], "count"), Column(keys[5]), Column(keys[6])]  # fmt: skip
    notes = [
        f"Choose with {called}:{':'.join(f'{name}={values[name]}' for name in list(values)[:2])}. With "
        f"parameters=494M, {f.solved} is chosen for that many, in multiples of {f.parameters[f.solved].multiple}."
    ]
    data = {"family": f.id, "parameters": [dict(zip(keys, row, strict=True)) for row in rows], "solved": f.solved}
    return Table(f"Family {f.id}: {f.name}", columns, rows, notes), data


def order(a: Architecture) -> str:
    """The layers in their order, what repeats in brackets: `4 × (windowed × 5, attention), windowed × 2`."""
    pieces = []
    for stretch in a.layout:
        runs: list[list[Any]] = []
        for name in stretch.of:
            if runs and runs[-1][0] == name:
                runs[-1][1] += 1
            else:
                runs.append([name, 1])
        if len(runs) == 1:
            runs[0][1] *= stretch.repeat
        inside = ", ".join(f"{name} × {n}" if n > 1 else name for name, n in runs)
        pieces.append(f"{stretch.repeat} × ({inside})" if len(runs) > 1 and stretch.repeat > 1 else inside)
    return ", ".join(pieces)


def layers(a: Architecture) -> Table:
    """What a model is made of."""
    rows = [
        [name, count, "\n".join(describe_part(part) for part in a.layers[name])] for name, count in a.counts.items()
    ]
    return Table(
        f"{a.name}: width {a.d_model:,}, vocabulary {a.vocab:,}, embeddings "
        f"{'tied' if a.tied_embeddings else 'separate'}",
        [Column("layer"), Column("count", "count"), Column("parts")],
        rows,
        [
            f"Order: {order(a)}.",
            *([f"Context window: {a.window:,} tokens."] if a.window else []),
            *(f"Note: {note}." for note in a.notes),
        ],
    )


def model(a: Architecture, w: Workload) -> tuple[list[Table], dict[str, Any]]:
    """A model: its layers, parameters by kind, state and FLOP."""
    data = model_data(a, w)
    parameters = data["parameters"]
    total = parameters["total"]
    kinds = [[kind, n, n / total] for kind, n in parameters["by_kind"].items() if n]
    state = data["state"]
    held = [[f"after {int(n):,} tokens", value] for n, value in state["at"].items()]
    flops = [
        [f"{phase} {int(n):,}", each["matrix"], each["vector"], *(each["by_kind"][kind] for kind in SHOWN)]
        for phase in ("prefill", "decode")
        for n, each in data["flops"][phase].items()
    ]
    published = a.published_parameters
    notes = [f"Published: {published.value:,} ({a.sources[published.source]})."] if published else []
    tables = [
        layers(a),
        Table("Parameters", [Column("kind"), Column("number", "count"), Column("share", "%")],
              [*kinds, ["total", total, 1.0]], notes),
        Table(f"State of one sequence ({w.dtype}, recurrent states fp32)", [Column("state"), Column("bytes", "B")],
              [["per token", state["bytes_per_token"]], ["constant", state["constant_bytes"]], *held]),
        Table("Work of one pass, logits of all positions; decode is one token on a context",
              [Column("pass"), Column("matrix", "FLOP"), Column("vector", "FLOP"), *(Column(k, "FLOP") for k in SHOWN)],
              flops),
        sources(a),
    ]  # fmt: skip
    return tables, data


def model_data(a: Architecture, w: Workload) -> dict[str, Any]:
    """The JSON of `roofsim show MODEL` (design, section 6)."""
    precision = w.precision()
    kinds = ("attention", "mlp", "ssm", "moe", "norm", "embedding", "lm_head")
    by_kind = {kind: a.parameters.get(kind, 0) for kind in kinds}
    by_kind |= {kind: n for kind, n in a.parameters.items() if n}

    def held(n: int) -> float:
        return float(a.state_bytes(n, precision))

    def work(p: Pass) -> dict[str, Any]:
        total = Cost()
        split = dict.fromkeys(BY_KIND, 0.0)
        for row in a.rows(p):
            for operator in row.operators:
                cost = operator.cost * row.count
                total = total + cost
                if operator.kind in split:
                    split[operator.kind] += float(cost.matrix)
        return {"matrix": total.matrix, "vector": total.vector, "by_kind": split}

    def prefill(n: int) -> Pass:
        return Pass(1, n + a.prefix_tokens, 0, precision, "all", latents="expanded")

    def decode(n: int) -> Pass:
        return Pass(1, 1, n + a.prefix_tokens, precision, "all", "decode")

    return {
        "model": a.id or a.name,
        "dtype": w.dtype,
        "order": order(a),
        "context_window": a.window or None,
        "notes": list(a.notes),
        "parameters": {
            "total": a.total_parameters,
            "active": a.active_parameters,
            "embedding": a.parameters["embedding"],
            "by_kind": by_kind,
        },
        "state": {
            "bytes_per_token": held(64) - held(63),
            "constant_bytes": held(0),
            "at": {str(n): held(n) for n in LENGTHS},
        },
        "flops": {
            "prefill": {str(n): work(prefill(n)) for n in LENGTHS},
            "decode": {str(n): work(decode(n)) for n in LENGTHS},
        },
        "sources": dict(a.sources),
    }
