"""How a comparison over length is laid out."""

from __future__ import annotations

from collections.abc import Sequence

from roofsim.foundation.nomenclature import SYMBOLS
from roofsim.foundation.parameters import PARAMETERS
from roofsim.prediction.metrics import METRICS
from roofsim.prediction.results import columns, interval_basis
from roofsim.reports.heading import assumed, heading
from roofsim.reports.records import ends_of, records, with_ends
from roofsim.reports.table import Column, Table, tokens_that_fit
from roofsim.studies.crossover import RATIO_LENGTHS, AcrossRuntimes, Comparison, Crossing, Pair


def crossover_tables(c: Comparison, device: str, runtime: str) -> list[Table]:
    """One row per pair, then why each turns where it turns last."""
    metric = c.pairs[0].metric
    what = METRICS[metric].words
    rows = [
        [
            p.a,
            p.b,
            _ahead(p),
            p.ratios.get("8192"),
            p.ratios.get("57344"),
            tokens_that_fit(p.max_prompt["a"]),
            tokens_that_fit(p.max_prompt["b"]),
        ]
        for p in c.pairs
    ]
    heads = [Column("A"), Column("B"), Column("B is ahead", "text"), Column("A/B 8k", "ratio"),
               Column("A/B 56k", "ratio"), Column("A fits", "text"), Column("B fits", "text")]  # fmt: skip
    notes = [
        *row_notes([c]),
        *_skipped([c]),
        assumed(c.assumptions, c.cautions),
    ]
    turned = [p for p in c.pairs if p.crossings]
    reasons = [line for p in turned for line in _reason(p, p.crossings[-1], closed=len(c.pairs) == 1)]
    symbols = dict.fromkeys(name for p in turned for name in _pulls(p.crossings[-1]))
    if symbols:
        meanings = {row.symbol: row.meaning for row in PARAMETERS.values()}
        meanings |= {symbol: meaning for symbol, meaning in SYMBOLS.values()}
        reasons += ["Symbols", *(f"  {name}: {meanings.get(name, name)}" for name in symbols)]
    return [
        Table(heading(f"{what.capitalize()} on {device}\nwith {runtime}", c.cautions), heads, rows, notes),
        *([Table("Why (last crossing of each pair)", (), (), reasons)] if reasons else []),
    ]


def crossover_row(c: Comparison) -> Table:
    """What is said of the one pair there is, in one line without its names."""
    table = crossover_tables(c, c.device, c.runtime)[0]
    return Table("", table.columns[2:], [row[2:] for row in table.rows])


def row_notes(comparisons: Sequence[Comparison]) -> list[str]:
    """What the marks and columns of such rows mean."""
    pairs = [pair for c in comparisons for pair in c.pairs]
    if not pairs:
        return []
    what = " or ".join(dict.fromkeys(METRICS[pair.metric].words for pair in pairs))
    return [
        UNCERTAIN,
        f"A/B: {what} of A over that of B at 8,192 and 57,344 tokens; fits: longest prompt "
        "in memory. Lengths in parentheses lie beyond it for A or B.",
        *windows(pairs),
    ]


NO_TURN = {"within_memory": False}
"""What a row says of a pair that has no crossing: a column of yes and no alone is one that readers know the type of."""


def crossover_records(comparisons: Sequence[Comparison]) -> Table:
    """A row for each crossing, and one for each pair that has none or that cannot be run, with every runtime."""
    pair, turn = ("a", "b", "metric"), ("faster_before", "faster_after", "within_memory")
    ratios = [f"ratio_{n}" for n in RATIO_LENGTHS]
    units: dict[str, str | None] = {
        **dict.fromkeys(("device", "runtime", "calibration", "basis", *pair, *ratios)), "max_prompt_a": "",
        "max_prompt_b": "", **with_ends({"length": ""}), **dict.fromkeys(turn), "refused": None,
    }  # fmt: skip
    rows = []
    for c in comparisons:
        for p in c.pairs:
            common = {
                **dict.fromkeys(units), **columns(c), "basis": interval_basis(c.calibration), **columns(p),
                **{f"ratio_{n}": ratio for n, ratio in p.ratios.items()},
                **{f"max_prompt_{side}": n for side, n in p.max_prompt.items()},
            }  # fmt: skip
            turns = [{**columns(each), **ends_of({"length": each.interval})} for each in p.crossings]
            rows += [{**common, **each} for each in turns or [NO_TURN]]
        rows += [
            {**dict.fromkeys(units), **NO_TURN, **columns(c), "basis": interval_basis(c.calibration),
             "a": each.a, "b": each.b, "metric": c.pairs[0].metric, "refused": each.reason}
            for each in c.skipped
        ]  # fmt: skip
    return records(rows, units)


UNCERTAIN = "In square brackets: the lengths around a crossing at which the order is not certain at 95 %."
BEYOND = "\u2020"
"""Marks lengths beyond a context window."""


def windows(pairs: Sequence[Pair]) -> list[str]:
    """The context windows of models that have a crossing beyond them, where the mark is explained."""
    found = dict.fromkeys(
        f"{getattr(p, side)} ({window:,})"
        for p in pairs for side, window in p.context_window.items()
        if window and any(c.length > window for c in p.crossings)
    )  # fmt: skip
    return [f"{BEYOND}: beyond the context window of {', '.join(found)}."] if found else []


def _skipped(comparisons: Sequence[Comparison]) -> list[str]:
    """The pairs that were left out, and why: what would be right is in the data alone."""
    reasons: dict[str, list[str]] = {}
    for each in (each for c in comparisons for each in c.skipped):
        reasons.setdefault(each.reason.partition("; ")[0], []).append(f"{each.a} / {each.b}")
    return [f"Skipped: {', '.join(pairs)}: {reason}." for reason, pairs in reasons.items()]


def _at(pair: Pair, length: int) -> str:
    """A length, marked if it is beyond a context window."""
    beyond = any(window and length > window for window in pair.context_window.values())
    return f"{length:,}{BEYOND if beyond else ''}"


def _ahead(pair: Pair) -> str:
    """The lengths at which B is ahead, and the interval of each end that is a crossing.

    `from 24,995`, and `[6,667-32,767]` in a line below.
    """
    starts = pair.values["a"][0] <= pair.values["b"][0]
    b_ahead = not starts if pair.metric != "throughput" else starts
    spans: list[str] = []
    begin = pair.lengths[0] if b_ahead else None
    turns: list[Crossing] = []
    for crossing in pair.crossings:
        turns.append(crossing)
        if begin is None:
            begin = crossing.length
        else:
            spans.append(_span(f"{begin:,}-{_at(pair, crossing.length - 1)}", turns))
            begin, turns = None, []
    if begin == pair.lengths[0]:
        return "always"
    if begin is not None:
        spans.append(_span(f"from {_at(pair, begin)}", turns))
    return "\n".join(spans) or "never"


def _span(lengths: str, turns: Sequence[Crossing]) -> str:
    """Lengths with the intervals of the crossings that end them, in parentheses where memory ends before."""
    within = ",\n".join(f"{low:,}-{high:,}" for low, high in dict.fromkeys(c.interval for c in turns))
    said = f"{lengths}\n[{within}]"
    return said if turns[-1].within_memory else f"({said})"


def _pulls(c: Crossing) -> list[str]:
    """The four parameters that move a crossing most."""
    return list(c.elasticities)[:4]


def _uncertain(c: Crossing) -> str:
    """The interval of a crossing in words."""
    return f"the order is not certain at 95 % from {c.interval[0]:,} to {c.interval[1]:,}"


def _reason(pair: Pair, c: Crossing, *, closed: bool) -> list[str]:
    lines = [f"{pair.a} / {pair.b}: {c.faster_after} ahead from {c.length:,}"]
    lines += [f"  {side}" for side in c.regime.split("; ")]
    lines.append(f"  {_uncertain(c)}")
    if c.switch:
        lines.append(f"  a switch turns it: {c.switch}")
    if c.elasticities:
        lines.append("  1 % more moves it by: " + ", ".join(f"{k} {c.elasticities[k]:+.2f} %" for k in _pulls(c)))
    if closed and c.closed_form:
        head, _, terms = c.closed_form.partition(" with ")
        lines += [f"  {head}, with", *(f"    {term}" for term in terms.split("; "))]
    return lines


def runtimes_tables(c: AcrossRuntimes, device: str) -> list[Table]:
    """One row per pair, one column per runtime: where B is ahead."""
    first = c.comparisons[0]
    what = METRICS[first.pairs[0].metric].words
    heads = [Column("A"), Column("B"), *(Column(each.runtime, "text") for each in c.comparisons)]
    rows = []
    for i, verdict in enumerate(c.verdicts):
        rows.append([verdict.a, verdict.b, *(_ahead(each.pairs[i]) for each in c.comparisons)])
    notes = [
        f"Lengths at which B is ahead; in parentheses where A or B is out of memory. {UNCERTAIN}",
        *windows([pair for each in c.comparisons for pair in each.pairs]),
        *_skipped(c.comparisons),
    ]
    for i, verdict in enumerate(c.verdicts):
        kind = "a property of the runtime" if verdict.property_of_runtime else "the same with every runtime here"
        notes.append(f"{verdict.a} / {verdict.b}: {kind}.")
        for each in c.comparisons:
            if each.pairs[i].crossings:
                notes.append(f"  {each.runtime}: {_uncertain(each.pairs[i].crossings[-1])}")
    for comparison in c.comparisons:
        notes.append(assumed(comparison.assumptions, comparison.cautions, f" with {comparison.runtime}"))
    known = dict.fromkeys(each for comparison in c.comparisons for each in comparison.cautions)
    return [Table(heading(f"{what.capitalize()} on {device}", tuple(known)), heads, rows, notes)]
