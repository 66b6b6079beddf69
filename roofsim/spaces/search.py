"""The members of a family of architectures on a device: how good, how fast, how large, and which are worth having."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from roofsim import library
from roofsim.foundation.errors import InputError, UnknownName
from roofsim.foundation.expression import Expression, most, parse
from roofsim.foundation.pareto import front
from roofsim.foundation.values import dataclass
from roofsim.foundation.version import SCHEMA
from roofsim.model.architecture import Architecture
from roofsim.prediction.fitted import AUTO, chosen
from roofsim.prediction.setup import DEFAULT_RUNTIME, Setup, setup
from roofsim.prediction.what_if import what_if
from roofsim.spaces.many import figures_of
from roofsim.spaces.quality import LOSS, ByLaw, Quality, measured
from roofsim.spaces.share import Binding, binding
from roofsim.specs.calibration import Calibration
from roofsim.specs.device import Device
from roofsim.specs.family import BUDGET, Family
from roofsim.specs.host import Host
from roofsim.specs.runtime import Runtime
from roofsim.specs.scaling import numbers_of
from roofsim.specs.workload import Workload, workload

FIGURE_COLUMNS = {
    "ttft": "ttft", "tpot": "tpot", "total_time": "total_time", "tokens_per_second": "tokens_per_second",
    "memory_peak": "memory.peak", "energy": "energy",
}  # fmt: skip
"""Columns of a search, and the figures that they are."""

OBJECTIVES = ("loss", "tpot", "memory_peak")
"""What is to be small on the front, if nothing is said."""

HIGHER = ("tokens_per_second",)
"""Columns of which more is better."""

LAW = "hoffmann-2022"
"""The scaling law of a search, if nothing is said."""

TRAIN_TOKENS = 10e9
"""Tokens of training, if nothing is said: what arXiv 2602.10377, whose study this is made for, gave each network."""

MOST_MEMBERS = 50_000
"""A grid of more is sampled: so many take some minutes."""


@dataclass(frozen=True, slots=True)
class Member:
    """One architecture: the parameters of the family, what it is, its loss and its figures (SI units)."""

    name: str
    values: Mapping[str, int]
    numbers: Mapping[str, int]
    loss: float | None
    figures: Mapping[str, float]
    fits: bool

    def column(self, name: str) -> Any:
        """What a column holds of it."""
        if name == LOSS:
            return self.loss
        if name == "fits":
            return self.fits
        for each in (self.figures, self.numbers, self.values):
            if name in each:
                return each[name]
        raise KeyError(name)


@dataclass(frozen=True)
class SearchResult:
    """What was searched, and what was found.

    `members` are those that could be built and run; `kept` are the places of those that meet the conditions, `front`
    of those of them that no other is as good as in all `objectives` and better in one. `refused` says why others could
    not be; `total` is the size of the grid, of which `sample` were drawn with `seed` if it was not looked at whole.
    `against` is a model to compare with, on the same terms. `bindings` are the budgets of the conditions in numbers of
    layers, for the member `bound`.
    """

    family: str
    device: str
    runtime: str
    workload: Workload
    axes: Mapping[str, tuple[int, ...]]
    objectives: tuple[str, ...]
    members: tuple[Member, ...]
    kept: tuple[int, ...]
    front: tuple[int, ...]
    refused: tuple[tuple[str, str], ...]
    total: int
    sample: int | None
    seed: int
    against: Member | None
    bindings: tuple[Binding, ...]
    bound: str
    notes: tuple[str, ...]
    calibration: str | None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of its rows, in their order."""
        return (*self.axes, "parameters", "active_parameters", LOSS, *FIGURE_COLUMNS, "fits", "kept", "front")

    def rows(self) -> Iterator[dict[str, Any]]:
        """A row for every member, whether it is kept or not."""
        kept, front = set(self.kept), set(self.front)
        for i, each in enumerate(self.members):
            own = {name: each.column(name) for name in self.columns[:-2]}
            yield {"member": each.name, **own, "kept": i in kept, "front": i in front}

    def best(self) -> Member | None:
        """The member of the lowest loss that is kept, None if none is."""
        return min((self.members[i] for i in self.front), key=lambda m: m.column(self.objectives[0]), default=None)

    def better(self) -> Member | None:
        """The member of the lowest loss that is as fast as the model compared with, None if none is."""
        if self.against is None:
            return None
        limit = self.against.column(self.objectives[1])
        kept = [m for i in self.kept if (m := self.members[i]).column(self.objectives[1]) <= limit]
        return min(kept, key=lambda m: m.column(self.objectives[0]), default=None)

    def to_dict(self) -> dict[str, Any]:
        """All of it in plain types, SI units."""
        from roofsim.prediction.results import plain

        against = self.against and {
            "member": self.against.name, **self.against.numbers, LOSS: self.against.loss, **self.against.figures,
        }  # fmt: skip
        better = self.better()
        return {
            "schema": SCHEMA,
            "family": self.family,
            "device": self.device,
            "runtime": self.runtime,
            "workload": plain(self.workload),
            "axes": {name: list(values) for name, values in self.axes.items()},
            "objectives": list(self.objectives),
            "members": list(self.rows()),
            "refused": [{"member": name, "reason": reason} for name, reason in self.refused],
            "grid": self.total,
            "sample": self.sample,
            "seed": self.seed,
            "against": against,
            "better": better and better.name,
            "bindings": [{**plain(each), "member": self.bound} for each in self.bindings],
            "notes": list(self.notes),
            "calibration": self.calibration,
        }


def search(
    family: str | Family,
    device: str | Device,
    runtime: str | Runtime = DEFAULT_RUNTIME,
    *,
    over: Mapping[str, Any],
    quality: str | Quality = LAW,
    train_tokens: float = TRAIN_TOKENS,
    where: str | None = None,
    objectives: Sequence[str] = OBJECTIVES,
    against: str | Architecture | None = None,
    sample: int | None = None,
    seed: int = 0,
    host: str | Host | None = None,
    calibration: str | Calibration | None = AUTO,
    transfer: bool = False,
    changes: Sequence[str] = (),
    **fields: Any,
) -> SearchResult:
    """Evaluate the members of a family of architectures and keep those on the front.

    `family` may choose parameters for all (`dense:depth=24`); `over` says which values of which parameters are looked
    at, all combinations of them, or `sample` of them drawn with `seed`. `quality` is a scaling law by name or path
    (its loss after `train_tokens` tokens), or a CSV of losses by parameters. `where` is a condition on the columns,
    such as "memory_peak < 6 GiB and tpot < 50 ms". `objectives` are the columns that are to be small
    (tokens_per_second: large), the first of them what `best` goes by, the second the latency at which `against`, a
    model, is compared. `changes` are as --set has them, `fields` those of `Workload`. Raises InputError for what
    cannot be used.
    """
    found, fixed = _family(family)
    axes = {name: _values(name, values) for name, values in over.items()}
    _check_axes(found, axes, fixed)
    known = [*found.parameters, *dict.fromkeys((BUDGET, *_NUMBERS)), LOSS, *FIGURE_COLUMNS, "fits"]
    condition = _condition(where, known)
    _check_objectives(objectives, known)
    if any(change.strip().startswith("model.") for change in changes):
        raise InputError("--set model: what members are is said by the parameters of the family")
    judged = _quality(quality, found, train_tokens)
    total = math.prod(map(len, axes.values()))
    picked = _picked(total, sample, seed)

    built, refused = _built(found, fixed, axes, picked)
    built, setups, more = _runnable(built, device, runtime, host)
    refused += more
    if not setups:
        raise InputError(f"{found.id}: no member of this grid can be: {refused[0][0]}: {refused[0][1]}")
    changed = what_if(chosen(setups[0], calibration, transfer=transfer), changes)
    setups = [replace(changed, architecture=each.architecture) for each in setups]
    first = setups[0]
    fields.setdefault("dtype", first.device.default_dtype)
    w = workload(**fields)
    other = _other(first, against)
    members = _members(found, built, setups, w, judged)
    kept = _kept(members, condition, objectives)
    senses = ["max" if name in HIGHER else "min" for name in objectives]
    points = [[members[i].column(name) for name in objectives] for i in kept]
    on_front = front(points, senses) if points else []
    bindings, bound = _bindings(found, setups, members, kept or range(len(members)), condition, w, objectives[0])
    notes = judged.notes([a for a, _ in built])
    unknown = sum(m.loss is None for m in members)
    if unknown and LOSS in objectives:
        notes.append(f"{unknown:,} members without a loss are left out.")
    return SearchResult(
        found.id, first.device.id, first.runtime.id, w, axes, tuple(objectives), tuple(members), kept,
        tuple(i for i, on in zip(kept, on_front, strict=True) if on),
        tuple(refused), total, sample if sample is not None and sample < total else None, seed,
        _members(found, [(other.architecture, {})], [other], w, judged)[0] if other else None, bindings, bound,
        tuple(notes), first.calibration_name,
    )  # fmt: skip


Built = tuple[Architecture, dict[str, int]]
"""A member of a family, and the values of its parameters."""
Refused = list[tuple[str, str]]
"""What cannot be, by name, and why."""


def _built(
    family: Family, fixed: Mapping[str, int], axes: Mapping[str, Sequence[int]], picked: Iterable[int]
) -> tuple[list[Built], Refused]:
    """The members at places of the grid."""
    built, refused = [], []
    for ordinal in picked:
        given = {**fixed, **_at(axes, ordinal)}
        try:
            values = family.values(given)
            built.append((family.built(values, family.named(given)), values))
        except InputError as error:
            refused.append((family.named(given), str(error).splitlines()[0]))
    return built, refused


def _runnable(
    built: Sequence[Built], device: str | Device, runtime: str | Runtime, host: str | Host | None
) -> tuple[list[Built], list[Setup], Refused]:
    """Those that the stack runs, with their setups; raises the InputError of a single one."""
    found: list[Built] = []
    setups: list[Setup] = []
    refused: Refused = []
    for a, values in built:
        try:
            setups.append(setup(a, device, runtime, host))
        except InputError as error:
            if len(built) == 1:
                raise
            refused.append((a.id, str(error).splitlines()[0]))
            continue
        found.append((a, values))
        device, runtime = setups[0].device, setups[0].runtime  # looked up once
    return found, setups, refused


_NUMBERS = ("parameters", "active_parameters", "embedding_parameters", "depth", "width", "vocab")


def _family(family: str | Family) -> tuple[Family, dict[str, int]]:
    if isinstance(family, Family):
        return family, {}
    base, given = library.split_member(family)
    return library.family(base), given


def _values(name: str, given: Any) -> tuple[int, ...]:
    """The values of an axis: several, or text such as `2,4,6`, `512..2048+128` or `1k..8k*2`."""
    from roofsim.foundation.units import parse_counts

    if isinstance(given, str):
        found: list[int] = []
        for piece in given.split(","):
            if ".." not in piece:
                found.append(library.parameter_value(name, piece))
                continue
            try:
                found += parse_counts(piece)
            except ValueError as error:
                raise InputError(f"{name}: {error}") from None
    else:
        found = [given] if isinstance(given, int) else [int(each) for each in given]
    if not found:
        raise InputError(f"{name}: an axis needs at least one value")
    if twice := [value for value in found if found.count(value) > 1]:
        raise InputError(f"{name}: {twice[0]:,} is given twice")
    return tuple(found)


def _check_axes(family: Family, axes: Mapping[str, Sequence[int]], fixed: Mapping[str, int]) -> None:
    if not axes:
        raise InputError(
            f"--over: which parameters of {family.id}? For example depth=12,24 ({', '.join(family.parameters)})"
        )
    for name in axes:
        if name not in family.parameters and name != BUDGET:
            raise UnknownName(f"--over: parameters of {family.id}", name, [*family.parameters, BUDGET])
        if name in fixed:
            raise InputError(f"--over {name}: {family.id}:{name}={fixed[name]} has chosen it already")


def _condition(where: str | None, known: Sequence[str]) -> Expression | None:
    if where is None:
        return None
    found = parse(where, "--where", "memory_peak < 6 GiB and tpot < 50 ms", condition=True)
    for name in sorted(found.names):
        if name not in known:
            raise UnknownName("--where", name, known)
    return found


def _check_objectives(objectives: Sequence[str], known: Sequence[str]) -> None:
    for name in objectives:
        if name not in known:
            raise UnknownName("objectives", name, known)
    if len(objectives) < 2 or len(set(objectives)) < len(objectives):
        raise InputError("objectives: two or more different columns, such as loss,tpot,memory_peak")


def _quality(quality: str | Quality, family: Family, train_tokens: float) -> Quality:
    if not isinstance(quality, str):
        return quality
    if Path(quality).suffix.lower() == ".csv":
        return measured(quality, list(family.parameters))
    if not train_tokens > 0:
        raise InputError(f"--train-tokens {train_tokens:g}: a number of tokens above 0")
    return ByLaw(library.scaling_law(quality), train_tokens)


def _picked(total: int, sample: int | None, seed: int) -> Sequence[int]:
    """The places in the grid that are looked at."""
    if sample is None and total > MOST_MEMBERS:
        raise InputError(f"--over: the grid has {total:,} members; --sample 5000 draws as many at random (--seed)")
    if sample is None or sample >= total:
        return range(total)
    return sorted(random.Random(seed).sample(range(total), sample))


def _at(axes: Mapping[str, Sequence[int]], ordinal: int) -> dict[str, int]:
    """The values at a place of the grid, the last axis varying fastest."""
    found = {}
    for name, values in reversed(list(axes.items())):
        ordinal, k = divmod(ordinal, len(values))
        found[name] = values[k]
    return found


def _other(base: Setup, against: str | Architecture | None) -> Setup | None:
    """The model to compare with, on the same stack."""
    if against is None:
        return None
    return replace(base, architecture=setup(against, base.device, base.runtime, base.host).architecture)


def _members(
    family: Family, built: Sequence[tuple[Architecture, Mapping[str, int]]], setups: Sequence[Setup], w: Workload,
    quality: Quality,
) -> list[Member]:  # fmt: skip
    names = [*FIGURE_COLUMNS.values(), "fits"]
    found = figures_of(setups, w, names)
    members = []
    for (a, values), row in zip(built, found.tolist(), strict=True):
        figures = dict(zip(FIGURE_COLUMNS, row, strict=False))
        numbers = {**numbers_of(a)}
        loss = quality.of(a, values) if values or isinstance(quality, ByLaw) else None
        members.append(Member(a.id or a.name, values, numbers, loss, figures, bool(row[-1])))
    return members


def _kept(members: Sequence[Member], condition: Expression | None, objectives: Sequence[str]) -> tuple[int, ...]:
    """The places of the members that fit, have every objective and meet the condition."""

    def kept(m: Member) -> bool:
        if not m.fits or any(m.column(name) is None for name in objectives):
            return False
        return condition is None or bool(condition(lambda name: m.column(name)))

    return tuple(i for i, m in enumerate(members) if kept(m))


def _bindings(
    family: Family, setups: Sequence[Setup], members: Sequence[Member], kept: Sequence[int],
    condition: Expression | None, w: Workload, objective: str,
) -> tuple[tuple[Binding, ...], str]:  # fmt: skip
    """The budgets of the condition in numbers of layers, for the best member that has two kinds of them."""
    allowed = most(condition) if condition else {}
    budgets = {name: value for name, value in allowed.items() if name in FIGURE_COLUMNS and name not in HIGHER}
    kind = next(iter(family.pattern.layers))
    both = [i for i in kept if len(setups[i].architecture.layers) == 2] or [
        i for i, s in enumerate(setups) if len(s.architecture.layers) == 2
    ]
    if not budgets or not both:
        return (), ""
    best = min(both, key=lambda i: math.inf if (value := members[i].column(objective)) is None else value)
    found = [binding(setups[best], w, kind, FIGURE_COLUMNS[name], value) for name, value in budgets.items()]
    return tuple(replace(each, figure=name) for each, name in zip(found, budgets, strict=True)), members[best].name
