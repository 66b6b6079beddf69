"""Several of a thing: every combination of choices, what it is called, and what was found of it or why nothing was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, fields, replace
from itertools import product
from math import prod
from typing import Any, Generic, TypeVar

from roofsim.foundation.errors import InputError
from roofsim.foundation.values import dataclass
from roofsim.model.split import RANKS
from roofsim.prediction.fitted import AUTO, NONE
from roofsim.prediction.places import COUNTS, number_at
from roofsim.prediction.setup import Setup
from roofsim.spaces.cases import (
    NAMES,
    OFFLOAD,
    OPTIONAL,
    Case,
    Choices,
    Specs,
    case,
    check,
    fields_of,
    open_division,
)
from roofsim.specs.device import Device
from roofsim.specs.workload import FIELDS, Workload

S = TypeVar("S")
T = TypeVar("T")

MOST = 10_000
"""Combinations of one table; more are a study (`roofsim sweep`)."""


@dataclass(frozen=True, slots=True)
class Labels:
    """What combinations are called.

    `names` are the full names of devices and runtimes by what rows call them, `asked` what they were asked for by,
    `units` those of fields that were chosen by their paths. `notes` say what the files of models leave out.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    asked: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str | None] = field(default_factory=dict)
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Refusable:
    """Something that may be refused, with the reason."""

    __slots__ = ()
    refused: str | None

    @property
    def reason(self) -> str | None:
        """Why it cannot be run in short: without what could be."""
        return self.refused.partition(";")[0] if self.refused else None


@dataclass(frozen=True, slots=True)
class Answer(Refusable, Generic[T]):
    """What was chosen, by name, and what was found of it; `refused` says why nothing was."""

    chosen: Mapping[str, Any]
    found: T | None
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Answers(Generic[T]):
    """An answer for each combination, in the order in which they were chosen, and what those are called."""

    rows: tuple[Answer[T], ...]
    labels: Labels

    @property
    def given(self) -> list[tuple[Answer[T], T]]:
        """Those that are not refused, with what was found."""
        return [(row, row.found) for row in self.rows if row.found is not None]

    def without(self, *names: str) -> Answers[T]:
        """The same, where these were no choices."""
        rows = (replace(row, chosen={k: x for k, x in row.chosen.items() if k not in names}) for row in self.rows)
        return replace(self, rows=tuple(rows))

    def map(self, function: Callable[[T], S]) -> Answers[S]:
        """The same with something else of each that was found."""
        made = (None if row.found is None else function(row.found) for row in self.rows)
        return Answers(
            tuple(Answer(row.chosen, each, row.refused) for row, each in zip(self.rows, made, strict=True)), self.labels
        )


Step = Callable[[int, int], None]
"""Told how many combinations are done of how many."""


def unseen(done: int, of: int) -> None:
    """A step that nobody is told of."""


def answers(
    choices: Choices, ask: Callable[[Setup, Workload], T], *, transfer: bool = False, step: Step = unseen
) -> Answers[T]:
    """What `ask` finds of every combination; where it raises InputError, that is why there is nothing.

    Raises InputError for what is wrong whatever it is combined with.
    """
    every, labels = combinations(choices, transfer=transfer)
    rows = []
    for each in every:
        rows.append(_answer(each, ask))
        step(len(rows), len(every))
    return Answers(tuple(rows), labels)


def _answer(each: Case, ask: Callable[[Setup, Workload], T]) -> Answer[T]:
    chosen = described(each)
    if each.refused or not each.setup or not each.workload:
        return Answer(chosen, None, each.refused)
    try:
        return Answer(chosen, ask(each.setup, each.workload))
    except InputError as error:
        return Answer(chosen, None, str(error))


def answers_of_pairs(
    choices: Choices, pairs: Sequence[tuple[Any, Any]],
    ask: Callable[[tuple[Any, Any], Mapping[Any, Setup], Mapping[str, Any]], T], *, transfer: bool = False,
    step: Step = unseen,
) -> Answers[T]:  # fmt: skip
    """What `ask` finds of every pair of models in every combination, from their setups and the fields of the workload.

    `choices` are the others. A pair of which one model cannot be run is refused for that.
    """
    models = list(dict.fromkeys(model for pair in pairs for model in pair))
    every, labels = combinations({**choices, "model": models}, transfer=transfer)
    rows: list[Answer[T]] = []
    for at in range(0, len(every), len(models)):
        cases = dict(zip(models, every[at : at + len(models)], strict=True))
        for pair in pairs:
            first, second = (cases[each] for each in pair)
            names = {side: _id(each.chosen["model"]) for side, each in (("a", first), ("b", second))}
            common = {name: x for name, x in described(first).items() if name not in ("model", "prompt")}
            fields = {name: x for name, x in fields_of(first.chosen).items() if name != "prompt"}
            found, why = None, next((f"{_id(each.chosen['model'])}: {each.refused}" for each in (first, second)
                                     if each.refused), None)  # fmt: skip
            if first.setup and second.setup and not why:
                try:
                    found = ask(pair, {pair[0]: first.setup, pair[1]: second.setup}, fields)
                except InputError as error:
                    why = str(error)
            rows.append(Answer({**names, **common}, found, why))
            step(len(rows), len(every) // len(models) * len(pairs))
    return Answers(tuple(rows), labels)


def combinations(choices: Choices, *, transfer: bool = False) -> tuple[list[Case], Labels]:
    """Every combination, the last choice varying fastest, and what they are called.

    Raises InputError for too many, and for what is wrong whatever it is combined with.
    """
    check(choices)
    if empty := [name for name, values in choices.items() if not values]:
        raise InputError(f"{empty[0]}: there is nothing to choose from")
    many = prod(len(values) for values in choices.values())
    if many > MOST:
        raise InputError(f"{many:,} combinations: a table holds up to {MOST:,}; `roofsim sweep` takes more")
    specs = Specs(transfer)
    found = {name: [_spec(specs, name, each) for each in values] for name, values in choices.items()}
    for name in NAMES:
        _told_apart(name, choices.get(name, ()), found.get(name, ()))
    usual = {each.name: [each.default] for each in fields(Workload) if each.name in COUNTS}
    every = list(_cases({**found, **{name: each for name, each in usual.items() if name not in found}}, specs))
    units = {path: _unit(every, path) for path in found if "." in path}
    words = [pair for kind in ("device", "runtime") for pair in zip(choices[kind], found[kind], strict=True)]
    names = {_id(spec): spec.name for _, spec in words}
    notes = {_id(spec): spec.notes for spec in found["model"] if spec.notes}
    return every, Labels(names, {_id(spec): _id(word) for word, spec in words}, units, notes)


def _told_apart(name: str, words: Sequence[Any], specs: Sequence[Any]) -> None:
    """Raises InputError for a spec that is there twice, by whatever names."""
    seen: dict[Any, Any] = {}
    for word, spec in zip(words, specs, strict=True):
        if _id(spec) in seen and spec == seen[_id(spec)][1]:
            first = seen[_id(spec)][0]
            same = f" ({_id(first)} is the same)" if _id(first) != _id(word) else ""
            raise InputError(f"{name}: {_id(word)} is given twice{same}")
        if isinstance(spec, Device) and _id(spec) in seen and isinstance(word, str):
            both = f"{_id(seen[_id(spec)][0])},{word}"
            raise InputError(f"device: {both} are both of {_id(spec)}: say -d {_id(spec)} --cluster {both}")
        seen[_id(spec)] = (word, spec)


def _cases(choices: Choices, specs: Specs) -> Iterator[Case]:
    """All combinations. What only some models have, such as a field of a kind of layer, the others are refused for.

    Raises InputError for a value that is wrong whatever it is combined with.
    """
    possible: set[tuple[str, Any]] = set()
    wrong: dict[tuple[str, Any], InputError] = {}
    errors: list[InputError] = []
    every = list(product(*choices.values()))
    for values in every:
        picked = dict(zip(choices, values, strict=True))
        asked = [(name, value) for name, value in picked.items() if "." in name or name in FIELDS]
        try:
            found = case(picked, specs)
            possible.update(() if found.refused else asked)
        except InputError as error:
            found = Case(picked, None, None, str(error))
            wrong = {**dict.fromkeys(asked, error), **wrong}
            errors.append(error)
        yield found
    if len(errors) == len(every):
        raise errors[0]
    if never := [error for value, error in wrong.items() if value not in possible]:
        raise never[0]


def _spec(specs: Specs, choice: str, value: Any) -> Any:
    """What was chosen by name as a spec, so that a name that there is not is told before anything is computed."""
    if choice not in NAMES or (choice, value) == ("calibration", AUTO):
        return value
    return None if choice in OPTIONAL and value == NONE else specs.of(choice, value)


def described(each: Case) -> dict[str, Any]:
    """What was chosen, by name and in words: specs by their names, formats as they are where nothing was asked for."""
    w, picked = each.workload, each.chosen
    return {
        "model": _id(picked["model"]),
        "device": _id(picked["device"]),
        "runtime": _id(picked["runtime"]),
        "weights": (w.weight_format or w.dtype) if w else picked.get("weights"),
        "cache": (w.cache_dtype or w.dtype) if w else picked.get("cache"),
        **{name: getattr(w, name) if w else picked[name] for name in COUNTS},
        **{name: _id(x) for name, x in picked.items() if name in ("host", "dtype", "logits", "cluster")},
        **({OFFLOAD: _division(each)} if OFFLOAD in picked else {}),
        **{name: x for name, x in picked.items() if name in RANKS},
        **({"calibration": _id(picked["calibration"]) or NONE} if "calibration" in picked else {}),
        **{path: _at(each.setup, path, x) for path, x in picked.items() if "." in path},
    }


def _division(each: Case) -> str:
    """What was chosen to lie on the host; of what was looked for, what was found as well."""
    asked = str(each.chosen[OFFLOAD])
    found = each.setup.offload if each.setup and open_division(each.chosen) else None
    return f"{asked}: {found.words}" if found else asked


def _unit(every: Sequence[Case], path: str) -> str | None:
    """The unit of a field that is a number; None of one that is not."""
    for each in every:
        try:
            if each.setup:
                return number_at(each.setup, path)[1]
        except InputError:
            return None
    return None


def _at(s: Setup | None, path: str, asked: Any) -> Any:
    """The number that a field has been given; what was asked for where it is none or there is no such field."""
    try:
        return number_at(s, path)[0] if s else None
    except InputError:
        return asked


def _id(spec: Any) -> Any:
    return spec if spec is None or isinstance(spec, str) else spec.id or spec.name
