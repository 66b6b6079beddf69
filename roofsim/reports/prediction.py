"""How a prediction is laid out: the request, both passes, memory and operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from math import nan
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from roofsim.engine.memory import Memory
from roofsim.engine.passes import OperatorRow, PassFigures
from roofsim.engine.roofline import Machine
from roofsim.foundation.arith import Number
from roofsim.foundation.units import show
from roofsim.prediction.cost import HOUR, KILO, MILLION
from roofsim.prediction.intervals import Interval
from roofsim.prediction.metrics import METRICS
from roofsim.prediction.results import PassPrediction, Prediction, columns
from roofsim.prediction.words import by
from roofsim.reports.heading import assumed, heading
from roofsim.reports.limits import largest_batch, longest_prompt
from roofsim.reports.records import ends_of, records, with_ends
from roofsim.reports.table import Column, Figure, Table

if TYPE_CHECKING:
    from roofsim.prediction.offload_report import Offloaded, Parts


def prediction_tables(p: Prediction, device: str, runtime: str, operators: bool) -> list[Table]:
    """The request, both passes side by side, memory by part, and the operators."""
    request = replace(request_table(p), title=heading(f"{p.model} on {device}\nwith {runtime}", p.cautions))
    tables = [request, *([tier_table(p.offload, p.split.devices)] if p.offload else [])]
    tables += [*([interval_table(p)] if p.intervals else []), pass_table(p), memory_table(p)]
    tables.append(cost_table(p))
    for name, each in (("prefill", p.prefill), ("decode", p.decode)):
        tables.append(operator_table(name, each, everything=operators))
    return [*tables, Table("", (), (), [BASIS, assumed(p.assumptions, p.cautions)])]


def request_table(p: Prediction) -> Table:
    """What was asked for, and what the user sees of it."""
    w, r = p.workload, p.request
    return Table(
        "Request",
        [Column("batch", "count"), Column("prompt", "count"), Column("generate", "count"), Column("TTFT", "s"),
         Column("TPOT", "s"), Column("total", "s"), Column("tokens/s", "rate"), Column("energy", "J")],
        [[w.batch, w.prompt, w.generate, r.ttft, r.tpot, r.total_time, r.tokens_per_second, r.energy]],
        [_rates(p)],
    )  # fmt: skip


def pass_table(p: Prediction) -> Table:
    """Both passes side by side."""
    return Table(
        "Passes",
        [Column("figure"), Column("prefill", "text"), Column("decode", "text")],
        [
            [name, prefill, decode]
            for (name, prefill), (_, decode) in zip(_pass(p.prefill), _pass(p.decode), strict=True)
        ],
    )


def memory_table(p: Prediction) -> Table:
    """The peak by part, and both limits."""
    mem = p.memory
    parts = ("weights", "state", "activations", "logits", "masks", "workspace")
    fits = "fits" if p.fits else "does not fit"
    notes = [f"The peak is at: {mem.binding}."]
    if p.limits:
        longest, largest = longest_prompt(p.limits), largest_batch(p.limits, p.room.sequences)
        notes.append(f"Longest prompt at this batch: {longest}. Largest batch at this prompt: {largest}.")
    return Table(
        f"Memory: {fits} in {p.room.words}",
        [Column("part"), Column("bytes", "B"), Column("share", "%")],
        [
            *([part, getattr(mem, part), getattr(mem, part) / mem.reserved] for part in parts if getattr(mem, part)),
            ["peak allocated", mem.peak, mem.peak / mem.reserved],
            *([["reserved", mem.reserved, 1.0]] if float(mem.reserved) > float(mem.peak) else []),
        ],
        notes,
    )


def cost_table(p: Prediction) -> Table:
    """What tokens cost, and on which terms."""
    c, within = p.cost, p.intervals or {}
    rows: list[list[object]] = []
    for tokens, joules in (("input", c.joules_per_input_token), ("output", c.joules_per_token)):
        name, grams = f"usd_per_million_{tokens}", getattr(c, f"co2_per_million_{tokens}") * KILO
        dollars = (getattr(c, name), *within.get(name, (nan, nan)))
        drawn = show(float(joules), "J"), show(float(joules) * MILLION / HOUR, "Wh"), show(float(grams), "g")
        rows.append([tokens, *(show(float(x), "USD") for x in dollars), *drawn])
    heads = ("price", "from", "to", "J of a token", "energy", "CO2")
    notes = [
        "An input token has its share of the prefill, an output token its share of a decode step: at this batch, while "
        "nothing else runs.",
        *([f"Paid: {p.cost_basis.paid}. Drawn: {p.cost_basis.drawn}."] if p.cost_basis else []),
    ]
    return Table("Cost of a million tokens", [Column("tokens"), *(Column(each, "text") for each in heads)], rows, notes)


def tier_table(found: Offloaded, devices: int = 1) -> Table:
    """What lies where, and how much of the time of each pass goes there; so many devices each have a link."""
    rows: list[list[object]] = []
    for each in found.tiers:
        parts = [_part(of, each.tier) for of in (found.prefill, found.decode)]
        held = each.weights + each.state
        share = held / each.capacity if each.capacity else None
        rows.append([each.tier, each.name, each.holds, each.weights, each.state, share, *parts])
    notes = []
    if found.link and found.prefill and found.decode:
        rows.append(["link", "", "", None, None, None, found.prefill.link_wait, found.decode.link_wait])
        moved = " and ".join(
            f"{Figure(of.link_bytes, 'B')} in {name}"
            for name, of in (("prefill", found.prefill), ("a step", found.decode))
        )
        notes.append(
            f"Over the link{'' if devices == 1 else f's of {devices} devices'} go {moved}, at "
            f"{Figure(found.link, 'B/s')}{'' if devices == 1 else ' each'}; its time is what all else waits for it. "
            f"Prefill is bound by the {found.prefill.binds}, decode by the {found.decode.binds}. A step takes "
            f"{found.slowdown:.3g} times as long as on a device with room for all of it."
        )
    by = next((each.computes for each in found.tiers if each.tier == "host" and each.computes), None)
    if by:
        notes.append(f"The host computes with {by}.")
    looked = "the fastest division that fits" if found.found else "as asked"
    title = f"Where it lies: {found.split}, {looked}" if found.link else "Where it lies: all of it fits the device"
    heads = [Column("tier"), Column("name"), Column("holds"), Column("weights", "B"), Column("state", "B"),
             Column("of capacity", "%"), Column("prefill", "s"), Column("decode", "s")]  # fmt: skip
    return Table(title, heads, rows, notes)


def _part(of: Parts | None, tier: str) -> float | None:
    by: Mapping[str, str] = {"device": "device_time", "host": "processor_time", "disk": "disk_time"}
    return None if of is None else getattr(of, by[tier])


ASKED = ("model", "device", "runtime", "host", "calibration", "basis")
PASS_UNITS = {
    **{f.name: "s" for f in fields(PassFigures)}, "kernels": "", "matrix_flops": "FLOP", "vector_flops": "FLOP",
    "bytes": "B", "network": "B", "energy": "J", "idle_time": "s", "mfu": "", "mbu": "",
}  # fmt: skip
"""The unit of each figure of a pass."""
MEMORY_UNITS = {f.name: "B" for f in fields(Memory) if f.name != "binding"}
BUSY = {"device_time": "prefill_device_time", "decode_device_time": "decode_device_time"}
"""Intervals of figures of passes, and the columns of those."""


def prediction_records(predictions: Sequence[Prediction]) -> Table:
    """A row for each prediction with every figure; those of passes and memory are called as in a sweep."""
    from roofsim.spaces.compare import FIGURES as COMPARED  # `predict` starts without it
    from roofsim.spaces.compare import figures_of, intervals_of

    workload = ("batch", "prompt", "generate", "dtype", "cache_dtype", "weight_format", "logits")
    figures = {name: each.unit for name, each in COMPARED.items() if name != "usd_per_million"}
    passes = {f"{part}_{name}": unit for part in ("prefill", "decode") for name, unit in PASS_UNITS.items()}
    units: dict[str, str | None] = {
        **dict.fromkeys((*ASKED, *workload)), **with_ends(figures, [n for n in figures if not COMPARED[n].interval]),
        "prompt_bound": None, "batch_bound": None, "memory_prompt": "",
        **with_ends(passes, [name for name in passes if name not in BUSY.values()]),
        **{f"memory_{name}": unit for name, unit in MEMORY_UNITS.items()}, "memory_grown": "B", "capacity": "B",
    }  # fmt: skip
    rows = []
    for p in predictions:
        values, limits = figures_of(p), p.limits
        found = p.intervals or {}
        rows.append(
            {
                **dict.fromkeys(units), **columns(p), "basis": p.basis, **columns(p.workload),
                "cache_dtype": p.workload.cache_dtype or p.workload.dtype,
                "weight_format": p.workload.weight_format or p.workload.dtype,
                **values, **ends_of(intervals_of(p, values)), **(columns(limits) if limits else {}),
                **{f"{part}_{name}": getattr(each, name)
                   for part, each in (("prefill", p.prefill), ("decode", p.decode)) for name in PASS_UNITS},
                **ends_of({column: found[name] for name, column in BUSY.items() if name in found}),
                **{f"memory_{name}": getattr(p.memory, name) for name in MEMORY_UNITS}, "memory_grown": p.grown,
            }
        )  # fmt: skip
    return records(rows, units)


OPERATOR_UNITS: Mapping[str, str | None] = {
    "phase": None,
    **{f.name: "s" if f.name.endswith("time") else "FLOP" if f.name.endswith("flops")
       else "B" if f.name.startswith("bytes") else None for f in fields(OperatorRow)},
}  # fmt: skip


def operator_records(p: Prediction) -> Table:
    """A row for each operator of both passes."""
    passes = (("prefill", p.prefill), ("decode", p.decode))
    return records([{"phase": name, **columns(o)} for name, each in passes for o in each.operators], OPERATOR_UNITS)


def roofline_records(operators: Sequence[Mapping[str, Any]]) -> Table:
    """A row for each operator of both passes, from the plain data of `roofline_tables`."""
    measured = {"arithmetic_intensity": "FLOP/B", "flop_rate": "FLOP/s", "light_share": "", "time": "s"}
    ended = with_ends(measured, ("arithmetic_intensity", "light_share"))
    units = {"phase": None, "layer": None, "operator": None, **ended, "bound": None, "basis": None}
    return records([{**each, **ends_of(each["intervals"])} for each in operators], units)


def _rates(p: Prediction) -> str:
    """What tokens per second divide, and what decoding alone makes."""
    w = p.workload
    made = w.batch * max(w.generate, 1)
    decoded = f"; decode alone makes {Figure(w.batch / p.request.tpot, 'rate')} a second" if w.generate > 1 else ""
    return f"tokens/s: {made:,} generated tokens over the total time, end to end{decoded}."


_FIGURES = {
    **{row.interval: (row.words, row.unit) for row in METRICS.values()},
    "ttft": ("TTFT", "s"), "tpot": ("TPOT", "s"),
    "total_time": ("total", "s"), "tokens_per_second": ("tokens/s", "rate"),
    "device_time": ("device busy, prefill", "s"), "decode_device_time": ("device busy, decode", "s"),
    "energy": ("energy", "J"), "peak": ("peak allocated", "B"), "max_prompt": ("longest prompt", "count"),
    "max_batch": ("largest batch", "count"),
}  # fmt: skip
"""What each figure with an interval is called, and its unit."""


def interval_table(p: Prediction) -> Table:
    """The figures with their 95 % intervals."""
    parts = {row.interval: attrgetter(row.figure)(p) for row in METRICS.values() if "." in row.figure}
    values = {
        **parts, **columns(p.request), "peak": p.memory.peak,
        "device_time": p.prefill.device_time, "decode_device_time": p.decode.device_time,
        **(columns(p.limits) if p.limits else {}),
    }  # fmt: skip
    rows = [
        [_FIGURES[name][0], *(Figure(x, _FIGURES[name][1]) for x in (values[name], *ends))]
        for name, ends in (p.intervals or {}).items()
        if name in _FIGURES and name != "cost"  # which tokens are told to have
    ]
    heads = [Column("figure"), *(Column(name, "text") for name in ("predicted", "from", "to"))]
    return Table(f"95 % intervals {by(p.calibration)}", heads, rows)


def _pass(p: PassPrediction) -> list[tuple[str, object]]:
    return [
        ("time", Figure(p.time, "s")),
        ("device busy", Figure(p.device_time, "s")),
        ("device idle", Figure(p.idle_time, "s")),
        ("host busy", Figure(p.host_time, "s")),
        ("kernels", Figure(p.kernels, "count")),
        ("matrix work", Figure(p.matrix_flops, "FLOP")),
        ("vector work", Figure(p.vector_flops, "FLOP")),
        ("traffic", Figure(p.bytes, "B")),
        *([("to other devices", Figure(p.network, "B"))] if p.network else []),
        ("energy", Figure(p.energy, "J")),
        ("MFU", Figure(p.mfu, "%")),
        ("MBU", Figure(p.mbu, "%")),
        ("bound by", p.bound),
    ]


SHOWN = 6


def operator_table(name: str, p: PassPrediction, *, everything: bool) -> Table:
    """Operators by time; without `everything` the largest few and the rest in one row."""
    rows = sorted(p.operators, key=lambda o: -float(o.time))
    shown = rows if everything or len(rows) <= SHOWN + 1 else rows[:SHOWN]
    table: list[list[object]] = [
        [o.layer, o.operator, o.kernels, o.time, o.time / p.device_time, _share(o.light_time, o.time), o.bound, o.basis]
        for o in shown
    ]
    rest = rows[len(shown) :]
    if rest:
        time = sum(o.time for o in rest)
        kernels = sum(o.kernels for o in rest)
        light = sum(o.light_time for o in rest)
        table.append(["", f"{len(rest)} others", kernels, time, time / p.device_time, _share(light, time), "", ""])
    heads = [Column("layer"), Column("operator"), Column("kernels", "count"), Column("time", "s"),
             Column("share", "%"), Column("SOL", "%"), Column("bound"), Column("basis")]  # fmt: skip
    return Table(f"Operators of {name} by device time", heads, table)


def _share(part: Number, whole: Number) -> Number | None:
    return part / whole if whole else None


BASIS = (
    "Parameters, state and work are exact counts; kernels, traffic, memory and shares are derived from the specs. "
    "Times are derived with an efficiency (basis): calibrated, by a fit or in the device file, on runs of such a "
    "device, or a prior for devices of its class. SOL: speed of light, the time at the device's peaks over the "
    "predicted."
)


def roofline_rows(p: Prediction) -> Table:
    """Both passes as wholes on the roofline."""
    rows = []
    for name, each in (("prefill", p.prefill), ("decode", p.decode)):
        work, light = each.matrix_flops + each.vector_flops, sum(o.light_time for o in each.operators)
        figures = [work / each.bytes, work / each.device_time, _share(light, each.device_time), each.device_time]
        rows.append([name, *figures, each.bound])
    heads = [Column("pass"), Column("FLOP/B", "ratio"), Column("rate", "FLOP/s"), Column("SOL", "%"),
             Column("busy", "s"), Column("bound")]  # fmt: skip
    return Table("", heads, rows)


def roofline_tables(
    p: Prediction, device: str, runtime: str, m: Machine, within: Mapping[str, Sequence[Interval]]
) -> tuple[list[Table], dict[str, Any]]:
    """Every operator's arithmetic intensity, the rate it reaches and the share of its roof.

    `within` are the intervals of the times of the operators of each pass.
    """
    tables: list[Table] = []
    data: list[dict[str, object]] = []
    for phase, each in (("prefill", p.prefill), ("decode", p.decode)):
        rows = []
        timed = zip(each.operators, within[phase], strict=True)
        for o, (low, high) in sorted(timed, key=lambda pair: -float(pair[0].time)):
            moved = o.bytes_weights + o.bytes_activations + o.bytes_state
            work = o.matrix_flops + o.vector_flops
            if not moved or not o.time:
                continue
            row = [o.layer, o.operator, work / moved, work / o.time, o.light_time / o.time, o.time]
            rows.append([*row, f"x{high / float(o.time):.2f}", o.bound])
            names = ("layer", "operator", "arithmetic_intensity", "flop_rate", "light_share", "time")
            ends = {"time": [low, high], "flop_rate": [work / high, work / low]}
            told = {"bound": o.bound, "basis": o.basis, "intervals": ends}
            data.append({"phase": phase, **dict(zip(names, row, strict=True)), **told})
        heads = [Column(phase), Column("operator"), Column("FLOP/B", "ratio"), Column("rate", "FLOP/s"),
                 Column("SOL", "%"), Column("time", "s"), Column("within", "text"), Column("bound")]  # fmt: skip
        title = heading(f"{p.model} on {device}\nwith {runtime}", p.cautions) if not tables else ""
        tables.append(Table(title, heads, rows))
    ridge = m.matrix_rate / m.bandwidth
    notes = [
        f"Ridge point {ridge:.0f} FLOP/B. SOL: speed of light, the time at the device's peaks over the predicted. "
        f"Within: the 95 % interval of the time, this factor up and down, {by(p.calibration)}.",
        assumed(p.assumptions, p.cautions),
    ]
    result: dict[str, Any] = {
        "model": p.model,
        "device": p.device,
        "runtime": p.runtime,
        "calibration": p.calibration,
        "basis": p.basis,
        "cautions": p.cautions,
        "assumptions": p.assumptions,
        "ridge_point": ridge,
        "operators": data,
    }
    return [*tables, Table("", (), (), notes)], result
