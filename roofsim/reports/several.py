"""How several of a thing are laid out: what varies tells rows apart, what they share stands above, refusals below."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from roofsim import library
from roofsim.foundation.errors import InputError
from roofsim.foundation.version import SCHEMA
from roofsim.model.split import RANKS
from roofsim.prediction.places import COUNTS
from roofsim.prediction.words import MISFIT
from roofsim.reports.records import records
from roofsim.reports.table import Column, Table
from roofsim.spaces.cases import NAMES
from roofsim.spaces.combinations import Answers, Labels
from roofsim.specs.workload import FIELDS

T = TypeVar("T")


class Chosen(Protocol):
    """A row of what was chosen, which may be refused."""

    @property
    def chosen(self) -> Mapping[str, Any]:
        """What was chosen, by name."""

    @property
    def refused(self) -> str | None:
        """Why it cannot be run."""

    @property
    def reason(self) -> str | None:
        """The same in short."""


class Labelled(Protocol):
    """Rows of what was chosen, and what it is called."""

    @property
    def rows(self) -> Sequence[Chosen]:
        """A row for each combination."""

    @property
    def labels(self) -> Labels:
        """What they are called."""


def varying(c: Labelled) -> list[str]:
    """The choices in which rows differ; of a single row its first, the model if one was chosen."""
    names = list(c.rows[0].chosen) if c.rows else []
    values = {name: {str(row.chosen[name]) for row in c.rows if row.chosen[name] is not None} for name in names}
    return [name for name in names if len(values[name]) > 1] or names[:1]


def cells_of(c: Labelled) -> Callable[[Chosen], list[Any]]:
    """What sets a row apart from others, specs by the words that they were asked for by."""
    names = varying(c)
    return lambda row: [c.labels.asked.get(str(row.chosen[name]), row.chosen[name]) for name in names]


def heads(c: Labelled) -> list[Column]:
    """What heads those cells."""
    units = {**dict.fromkeys((*COUNTS, *RANKS), "count"), **c.labels.units}
    return [Column(name.rpartition(".")[2], units.get(name)) for name in varying(c)]


def shared(c: Labelled) -> str:
    """What all rows share."""
    if not c.rows:
        return "Comparison"
    chosen, apart = c.rows[0].chosen, varying(c)[: len(c.rows) - 1]
    common = {name: value for name, value in chosen.items() if name not in apart}

    def said(name: str) -> str:
        if name in common:
            return c.labels.names.get(common[name], common[name])
        return f"{len({row.chosen[name] for row in c.rows})} {name}s"

    rest = {name: value for name, value in common.items() if name not in NAMES and value is not None}
    columns = {name: Column("generated" if name == "generate" else name, c.labels.units.get(name, "count"))
               for name in rest}  # fmt: skip
    words = [f"{column.name} {column.text(rest[name])}" for name, column in columns.items()]
    on = f"{said('model')} on {said('device')}" if "model" in chosen else f"On {said('device')}"
    return f"{on}\nwith {said('runtime')}\n{', '.join(words)}"


def refusals(c: Labelled) -> list[Table]:
    """What cannot be run, and why."""
    cells = cells_of(c)
    found = [[*cells(row), row.reason] for row in c.rows if row.refused]
    return [Table("Cannot be run", [*heads(c), Column("reason")], found, keys=len(varying(c)))] if found else []


def full_names(c: Labelled) -> list[str]:
    """Devices that are told apart, by their full names."""
    if "device" not in varying(c):
        return []
    devices = dict.fromkeys(row.chosen["device"] for row in c.rows)
    return [f"{c.labels.asked[name]}: {c.labels.names[name]}." for name in devices]


def full_name(c: Labelled, kind: str) -> str:
    """The one device or runtime of all rows in full; empty where there are several."""
    found: list[str] = list(dict.fromkeys(str(row.chosen[kind]) for row in c.rows if row.chosen.get(kind) is not None))
    return c.labels.names.get(found[0], found[0]) if len(found) == 1 else ""


def clusters_of(c: Labelled, rows: Iterable[Chosen]) -> list[str]:
    """What several devices of a row stand in, where no column says it."""
    found = {}
    for row in rows:
        if any(row.chosen.get(each) not in (None, 1) for each in RANKS) and "cluster" not in varying(c):
            device = row.chosen["device"]
            with suppress(InputError):
                stands = library.cluster_of(library.device(c.labels.asked.get(device, device)))
                found[row.chosen.get("cluster") or stands.id] = True
    return [f"Several devices stand in {', '.join(found)}."] if found else []


def titles_of(c: Labelled) -> Callable[[Chosen], str]:
    """What sets a row apart from others, as a title: numbers with what they are of."""
    names = varying(c)

    def said(name: str, value: Any) -> str:
        if isinstance(value, str) or value is None:
            word = c.labels.asked.get(str(value), str(value))
            return word if name in (*NAMES, "weights") else f"{name} {word}"
        units = {**dict.fromkeys((*COUNTS, *RANKS), "count"), **c.labels.units}
        column = Column(name.rpartition(".")[2], units.get(name))
        return f"{column.name} {column.text(value)}"

    return lambda row: ", ".join(said(name, row.chosen[name]) for name in names)


MOST = 3
"""So many rows are named."""


def minded(found: Answers[T], cautions: Callable[[T], Sequence[str]]) -> list[str]:
    """What must be known before the figures of what was found are used."""
    return told(found, [(row, cautions(answer)) for row, answer in found.given])


def told(c: Labelled, cautions: Sequence[tuple[Chosen, Sequence[str]]]) -> list[str]:
    """What must be known before the figures of rows are used, and of which rows; whether they fit is a column.

    After it what the files of models leave out.
    """
    by: dict[str, list[str]] = {}
    cells = cells_of(c)
    for row, said in cautions:
        for each in said:
            if not each.startswith(MISFIT):
                by.setdefault(each, []).append(" ".join(map(str, cells(row))))
    lines = []
    for said, rows in by.items():
        some = f" ({', '.join(rows[:MOST])}{', ...' if len(rows) > MOST else ''})" if len(rows) < len(cautions) else ""
        lines.append(f"Mind: {said}{some}.")
    return lines + [f"Note: {model}: {note}." for model, notes in c.labels.notes.items() for note in notes]


def joined(found: Answers[T], table: Callable[[T], Table], title: str | None = None) -> Table:
    """The rows of such a table of every answer, led by what sets the answer apart."""
    each, cells = [(row, table(answer)) for row, answer in found.given], cells_of(found)
    rows = [[*cells(row), *line] for row, made in each for line in made.rows]
    first = each[0][1] if each else Table("", (), ())
    keys = len(varying(found)) + first.keys * (len(rows) > len(each))
    return Table(first.title if title is None else title, [*heads(found), *first.columns], rows, keys=keys)


def side_by_side(
    found: Answers[T], table: Callable[[T], Table], what: str = "", notes: Sequence[str] = ()
) -> list[Table]:
    """The same with what all share above, and below it what cannot be run."""
    title = "\n".join(filter(None, (what, shared(found))))
    return [joined(found, table, title), *refusals(found), Table("", (), (), [*full_names(found), *notes])]


def several_data(found: Answers[T], data: Callable[[T], Mapping[str, Any]]) -> dict[str, Any]:
    """A row for each combination: what was chosen, why it is refused or None, and what is said of it alone."""
    rows = []
    for row in found.rows:
        own = data(row.found) if row.found is not None else {}
        rows.append({
            "chosen": dict(row.chosen), "refused": row.refused,
            **{name: value for name, value in own.items() if name != "schema"},
        })  # fmt: skip
    return {"schema": SCHEMA, "rows": rows}


YES_NO = {"fits", "within_memory"}
"""What is not so of something that cannot be run; such columns have no empty cells, so that readers know their type."""


def several_records(found: Answers[T], table: Callable[[T], Table]) -> Table:
    """The records of every answer in one table, led by what was chosen where they do not say it, and refusals last.

    A combination that is refused is one row, of what was chosen and why.
    """
    tables = [(row, table(row.found) if row.found is not None else None) for row in found.rows]
    own = {column.name: column.unit for _, each in tables if each for column in each.columns}
    chosen = dict.fromkeys(name for row in found.rows for name in row.chosen)
    # a choice that the records name otherwise is not said twice
    called = {name: FIELDS[name] if FIELDS.get(name) in own else name for name in chosen}
    led = {each: found.labels.units.get(name) for name, each in called.items() if each not in own}
    units = {**led, **own, "refused": None}
    rows: list[dict[str, Any]] = []
    for row, each in tables:
        base = {**dict.fromkeys(units), **{called[name]: value for name, value in row.chosen.items()}}
        base |= {"refused": row.reason, **(dict.fromkeys(YES_NO & own.keys(), False) if row.refused else {})}
        if each is None:
            rows.append(base)
        else:
            names = [column.name for column in each.columns]
            rows += [{**base, **dict(zip(names, values, strict=True))} for values in each.rows]
    return records(rows, units)
