"""How each kind of result is laid out in tables."""

from __future__ import annotations

from roofsim.nomenclature import SYMBOLS
from roofsim.parameters import PARAMETERS
from roofsim.prediction import PassPrediction, Prediction
from roofsim.report.table import Column, Figure, Table
from roofsim.roofline import Machine
from roofsim.studies.crossover import Comparison, Crossing, Pair
from roofsim.studies.limits import LimitsResult
from roofsim.studies.validate import Validation

METRICS = {
    "ttft": ("time to first token", "s"),
    "tpot": ("time per output token", "s"),
    "memory": ("peak memory", "B"),
    "energy": ("energy per request", "J"),
    "throughput": ("output tokens per second", ""),
    "total": ("time of the whole request", "s"),
}
"""Each metric in words, and its unit."""


def crossover_tables(c: Comparison, device: str, runtime: str) -> list[Table]:
    """One row per pair, then why each turns where it turns last."""
    metric = c.pairs[0].metric
    what = METRICS[metric][0]
    rows = [
        [
            p.a,
            p.b,
            _ahead(p),
            p.ratios.get("8192"),
            p.ratios.get("57344"),
            _fits(p.max_prompt["a"]),
            _fits(p.max_prompt["b"]),
        ]
        for p in c.pairs
    ]
    columns = [Column("A"), Column("B"), Column("B is ahead", "text"), Column("A/B 8k", "ratio"),
               Column("A/B 56k", "ratio"), Column("A fits", "text"), Column("B fits", "text")]  # fmt: skip
    notes = [
        f"A/B: {what} of A over that of B at 8,192 and 57,344 tokens; fits: longest prompt in memory. Lengths in "
        "brackets lie beyond it for A or B.",
        "Assumed: " + "; ".join(c.assumptions) + ".",
    ]
    turned = [p for p in c.pairs if p.crossings]
    reasons = [line for p in turned for line in _reason(p, p.crossings[-1], closed=len(c.pairs) == 1)]
    symbols = dict.fromkeys(name for p in turned for name in _pulls(p.crossings[-1]))
    if symbols:
        meanings = {row.symbol: row.meaning for row in PARAMETERS.values()}
        meanings |= {symbol: meaning for symbol, meaning in SYMBOLS.values()}
        reasons += ["Symbols", *(f"  {name}: {meanings.get(name, name)}" for name in symbols)]
    return [
        Table(f"{what.capitalize()} on {device}\nwith {runtime}", columns, rows, notes),
        *([Table("Why (last crossing of each pair)", (), (), reasons)] if reasons else []),
    ]


def _fits(n: int) -> str:
    return f"{n:,}" if n < 10**7 else "any"


def _ahead(pair: Pair) -> str:
    """The lengths at which B is ahead: `from 24,995`, `16-298, from 24,995`, `never`."""
    starts = pair.values["a"][0] <= pair.values["b"][0]
    b_ahead = not starts if pair.metric != "throughput" else starts
    spans: list[str] = []
    begin = pair.lengths[0] if b_ahead else None
    for crossing in pair.crossings:
        if begin is None:
            begin = crossing.length
        else:
            spans.append(f"{begin:,}-{crossing.length - 1:,}")
            begin = None
    if begin == pair.lengths[0]:
        return "always"
    if begin is not None:
        last = f"from {begin:,}"
        spans.append(last if pair.crossings[-1].within_memory else f"({last})")
    return "\n".join(spans) or "never"


def _pulls(c: Crossing) -> list[str]:
    """The four parameters that move a crossing most."""
    return list(c.elasticities)[:4]


def _reason(pair: Pair, c: Crossing, *, closed: bool) -> list[str]:
    lines = [f"{pair.a} / {pair.b}: {c.faster_after} ahead from {c.length:,}"]
    lines += [f"  {side}" for side in c.regime.split("; ")]
    if c.switch:
        lines.append(f"  a switch turns it: {c.switch}")
    if c.elasticities:
        lines.append("  1 % more moves it by: " + ", ".join(f"{k} {c.elasticities[k]:+.2f} %" for k in _pulls(c)))
    if closed and c.closed_form:
        head, _, terms = c.closed_form.partition(" with ")
        lines += [f"  {head}, with", *(f"    {term}" for term in terms.split("; "))]
    return lines


def prediction_tables(p: Prediction, device: str, runtime: str, operators: bool) -> list[Table]:
    """The request, both passes side by side, memory by part, and the operators."""
    w, r, mem = p.workload, p.request, p.memory
    request = Table(
        f"{p.model} on {device}\nwith {runtime}",
        [Column("batch", "count"), Column("prompt", "count"), Column("generate", "count"), Column("TTFT", "s"),
         Column("TPOT", "s"), Column("total", "s"), Column("tokens/s", "rate"), Column("energy", "J")],
        [[w.batch, w.prompt, w.generate, r.ttft, r.tpot, r.total_time, r.tokens_per_second, r.energy]],
    )  # fmt: skip
    passes = Table(
        "Passes",
        [Column("figure"), Column("prefill", "text"), Column("decode", "text")],
        [
            [name, prefill, decode]
            for (name, prefill), (_, decode) in zip(_pass(p.prefill), _pass(p.decode), strict=True)
        ],
    )
    parts = ("weights", "state", "activations", "logits", "masks", "workspace")
    fits = "fits" if p.fits else "does not fit"
    notes = [f"The peak is at: {mem.binding}."]
    if p.limits:
        longest, largest = _fits(p.limits.max_prompt), _fits(p.limits.max_batch)
        notes.append(f"Longest prompt at this batch {longest}; largest batch at this prompt {largest}.")
    memory = Table(
        f"Memory of the prefill: {fits} in {Figure(p.capacity, 'B')}",
        [Column("part"), Column("bytes", "B"), Column("share", "%")],
        [
            *([part, getattr(mem, part), getattr(mem, part) / mem.reserved] for part in parts if getattr(mem, part)),
            ["peak allocated", mem.peak, mem.peak / mem.reserved],
        ],
        notes,
    )
    tables = [request, passes, memory]
    for name, each in (("prefill", p.prefill), ("decode", p.decode)):
        tables.append(operator_table(name, each, everything=operators))
    return [*tables, Table("", (), (), ["Assumed: " + "; ".join(p.assumptions) + "."])]


def _pass(p: PassPrediction) -> list[tuple[str, object]]:
    return [
        ("time", Figure(p.time, "s")),
        ("device busy", Figure(p.device_time, "s")),
        ("host busy", Figure(p.host_time, "s")),
        ("kernels", Figure(p.kernels, "count")),
        ("matrix work", Figure(p.matrix_flops, "FLOP")),
        ("vector work", Figure(p.vector_flops, "FLOP")),
        ("traffic", Figure(p.bytes, "B")),
        ("energy", Figure(p.energy, "J")),
        ("MFU", Figure(p.mfu, "%")),
        ("MBU", Figure(p.mbu, "%")),
        ("bound by", p.bound),
    ]


SHOWN = 6


def operator_table(name: str, p: PassPrediction, *, everything: bool) -> Table:
    """Operators by time; without `everything` the largest few and the rest in one row."""
    rows = sorted(p.operators, key=lambda o: -o.time)
    shown = rows if everything or len(rows) <= SHOWN + 1 else rows[:SHOWN]
    table = [[o.layer, o.operator, o.kind, o.count, o.kernels, o.time, o.time / p.device_time, o.bound] for o in shown]
    rest = rows[len(shown) :]
    if rest:
        time = sum(o.time for o in rest)
        kernels = sum(o.kernels for o in rest)
        table.append(["", f"{len(rest)} others", "", None, kernels, time, time / p.device_time, ""])
    columns = [Column("layer"), Column("operator"), Column("kind"), Column("layers", "count"),
               Column("kernels", "count"), Column("time", "s"), Column("share", "%"), Column("bound")]  # fmt: skip
    return Table(f"Operators of {name} by device time", columns, table)


def limits_tables(r: LimitsResult, device: str, runtime: str) -> list[Table]:
    """The two limits, then memory by part over length."""
    named = ("weights", "state", "logits", "masks")
    rows = []
    for each in r.at:
        m = each.memory
        parts = [getattr(m, part) for part in named]
        rows.append([each.prompt, *parts, m.peak - sum(parts), m.peak, "yes" if m.reserved <= r.capacity else "no"])
    columns = [
        Column("prompt", "count"),
        *(Column(part, "B") for part in (*named, "other", "peak")),
        Column("fits", "text"),
    ]
    last = r.at[-1].memory
    notes = [
        f"Longest prompt at batch {r.workload.batch}: {_fits(r.limits.max_prompt)} tokens. Largest batch at "
        f"{r.workload.prompt:,} tokens: {_fits(r.limits.max_batch)}. Capacity {Figure(r.capacity, 'B')}.",
        f"What binds at {r.at[-1].prompt:,} tokens: {last.binding}.",
        "Assumed: " + "; ".join(r.assumptions) + ".",
    ]
    return [Table(f"Peak memory of a prefill: {r.model} on {device}\nwith {runtime}", columns, rows, notes)]


def roofline_tables(p: Prediction, device: str, runtime: str, m: Machine) -> tuple[list[Table], dict[str, object]]:
    """Every operator's arithmetic intensity, the rate it reaches and the share of its roof."""
    rows, data = [], []
    for phase, each in (("prefill", p.prefill), ("decode", p.decode)):
        for o in sorted(each.operators, key=lambda o: -o.time):
            moved = o.bytes_weights + o.bytes_activations + o.bytes_state
            work = o.matrix_flops + o.vector_flops
            if not moved or not o.time:
                continue
            fastest = m.bandwidth * m["cache_speed"]
            roof = max(o.matrix_flops / m.matrix_rate, o.vector_flops / m.vector_rate, moved / fastest)
            row = [phase, o.layer, o.operator, work / moved, work / o.time, roof / o.time, o.time, o.bound]
            rows.append(row)
            names = ("phase", "layer", "operator", "arithmetic_intensity", "flop_rate", "roof_share", "time", "bound")
            data.append(dict(zip(names, row, strict=True)))
    columns = [Column("pass"), Column("layer"), Column("operator"), Column("FLOP/B", "ratio"), Column("rate", "FLOP/s"),
               Column("of roof", "%"), Column("time", "s"), Column("bound")]  # fmt: skip
    ridge = m.matrix_rate / m.bandwidth
    notes = [
        f"Ridge point {ridge:.0f} FLOP/B. Of roof: the least time that peaks and the cache's bandwidth allow, over the "
        "predicted."
    ]
    result = {
        "schema": 1,
        "model": p.model,
        "device": p.device,
        "runtime": p.runtime,
        "ridge_point": ridge,
        "operators": data,
    }
    return [Table(f"{p.model} on {device}\nwith {runtime}", columns, rows, notes)], result


UNITS = {"latency_s": "s", "device_time_s": "s", "peak_mem_bytes": "B", "energy_j": "J", "kernel_count": "count"}


def validation_tables(v: Validation, *, rows: bool) -> list[Table]:
    """Scores by device, phase and metric; with `rows` every row as well."""
    columns = [Column("device"), Column("phase"), Column("metric"), Column("rows", "count"), Column("median", "%"),
               Column("worst", "%"), Column("bias", "%")]  # fmt: skip
    scores = [[s.device, s.phase, s.metric, s.rows, s.median_error, s.worst_error, s.bias] for s in v.scores]
    flagged = sum(bool(row.flags) for row in v.rows)
    notes = [
        f"{len(v.rows)} rows predicted, {flagged} of them flagged and not scored; {sum(v.skipped.values())} others."
    ]
    tables = [Table(f"{v.file} against {v.runtime}: size of the relative error", columns, scores, notes)]
    if rows:
        each = [
            [r.model, r.device, r.phase, r.metric, r.batch, r.prompt, Figure(r.measured, UNITS[r.metric]),
             Figure(r.predicted, UNITS[r.metric]), f"{r.error:+.1%}", ", ".join(r.flags)]
            for r in sorted(v.rows, key=lambda r: (r.device, r.model, r.phase, r.metric, r.batch, r.prompt))
        ]  # fmt: skip
        names = [Column("model"), Column("device"), Column("phase"), Column("metric"), Column("batch", "count"),
                 Column("prompt", "count"), Column("measured", "text"), Column("predicted", "text"),
                 Column("error", "text"), Column("flags")]  # fmt: skip
        tables.append(Table("Rows", names, each))
    return tables
