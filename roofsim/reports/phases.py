"""How layouts of prefill and decode are laid out: what each answers over the length of prompts."""

from __future__ import annotations

from roofsim.prediction.results import columns, interval_basis
from roofsim.prediction.words import by
from roofsim.reports.heading import assumed, heading
from roofsim.reports.records import ends_of, records, with_ends
from roofsim.reports.table import Column, Table
from roofsim.serving.phases import ALONE, DIVIDED, LAYOUTS, MEANT, NONE, Phases


def phases_tables(r: Phases, device: str, runtime: str) -> list[Table]:
    """A row for each length of prompts."""
    named = [
        Column("prompt", "count"), *(Column(name, "rate") for name in LAYOUTS), Column("best"),
        Column("units", "%"), Column("devices", "%"), Column("moved", "B"), Column("transfer", "s"),
    ]  # fmt: skip
    rows = [
        [row.prompt, *(getattr(row, name) for name in LAYOUTS), row.best, row.share or None, row.prefill_share or None,
         row.moved, row.transfer]
        for row in r.rows
    ]  # fmt: skip
    promised = ", ".join(map(str, r.slo))
    where = f" ({r.cluster})" if r.cluster else ""
    title = f"Requests a second and device at {promised}: {r.model} on {device}{where}\nwith {runtime}"
    found = [Table(heading(title, r.cautions), named, rows, _notes(r))]
    return [*found, _divided(r)] if r.refused or any(set(row.divided.values()) != {ALONE} for row in r.rows) else found


def _divided(r: Phases) -> Table:
    """Among which devices the model is, for each layout and either pool."""
    said = {"mixed": "mixed", "inside": "inside", "prefill": "apart, prompts", "decode": "apart, steps"}
    rows = [[row.prompt, *(row.divided[name] for name in said)] for row in r.rows]
    return Table(
        "Divided among", [Column("prompt", "count"), *map(Column, said.values())], rows,
        [f"Left out: {name}: {why}." for name, why in r.refused.items()],
    )  # fmt: skip


def _notes(r: Phases) -> list[str]:
    over = f" of {r.linked}" if r.linked else ""
    last = r.rows[-1]
    ends = ", ".join(f"{name} {low:.3g} to {high:.3g}" for name, (low, high) in last.intervals.items())
    return [
        "; ".join(f"{name}: {MEANT[name]}" for name in LAYOUTS) + ". `units` and `devices` are the shares that run "
        f"prompts; `moved` goes over a link{over} at {r.link / 1e9:.3g} GB/s.",
        _turns(r),
        f"95 % intervals at {last.prompt:,} tokens {by(r.calibration)}: {ends}.",
        assumed(r.assumptions, r.cautions),
    ]


def _turns(r: Phases) -> str:
    """Which layout answers most where, in a sentence."""
    first = r.rows[0].best
    said = [f"from {r.rows[0].prompt:,} tokens on {_called(first)}"]
    said += [f"from about {at:,} on {_called(best)}" for at, best in r.crossings]
    return f"Most is answered {', '.join(said)}."


def _called(best: str) -> str:
    return "by none, since what is promised cannot be kept" if best == NONE else f"by {MEANT[best]}"


def phases_records(r: Phases) -> Table:
    """A row for each length, with the intervals of each layout."""
    units = {
        **dict.fromkeys(("model", "device", "runtime", "calibration", "basis")), "generate": "", "prompt": "",
        **with_ends(dict.fromkeys(LAYOUTS, "")), "best": None, "share": "", "prefill_share": "", "moved": "B",
        "transfer": "s", "cluster": None, **dict.fromkeys(f"{name}_divided" for name in DIVIDED),
    }  # fmt: skip
    common = {**columns(r), "basis": interval_basis(r.calibration), "generate": r.workload.generate}
    return records(
        [
            {
                **common,
                **columns(row),
                **ends_of(row.intervals),
                **{f"{name}_divided": row.divided[name] for name in DIVIDED},
            }
            for row in r.rows
        ],
        units,
    )  # fmt: skip
