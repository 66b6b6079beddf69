"""A family of architectures: a model file whose numbers follow from parameters, and whose layers from a pattern."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import field
from functools import cache
from typing import Annotated, Any

from roofsim.foundation.errors import InputError, SpecError, UnknownName
from roofsim.foundation.expression import Expression, parse
from roofsim.foundation.quantity import Documented, Name
from roofsim.foundation.schema import Extra, Limit, Size, Spec
from roofsim.model.architecture import Architecture

BUDGET = "parameters"
"""What a member may be given in the place of the parameter that is solved for: how many parameters it has in all."""
OTHERWISE = "otherwise"
"""The condition of what is taken where no other holds."""
MARK = "="
"""How the text of an expression in the place of a number begins."""
LAYER = "i"
"""The name of the number of a layer, from 0, in the conditions of a pattern."""


class Parameter(Spec):
    """A number that a member may choose.

    `value` is what it is otherwise: a number, or an expression of parameters that stand before it. `range` is what is
    plausible, which `source` says; a `multiple` is what it is rounded to where it is solved for.
    """

    value: int | str
    range: tuple[Extra, Size]
    meaning: str = ""
    source: str = ""
    multiple: Size = 1


class Pattern(Spec):
    """How many layers there are, and which: the first of `layers` whose condition holds for layer `i`, from 0."""

    depth: str
    layers: Annotated[Mapping[str, str], Limit(min_length=1)]


class Family(Documented):
    """A named family.

    `template` is the rest of the file, a model file whose numbers may be expressions (`=width // 64`, one that is
    nought leaves its field out) and whose parts may have a condition (`when`). `software` is the family of models as
    which runtimes know a member: the first whose condition holds; none needs to be said. `solved` is the parameter
    that is chosen for a member with a number of parameters given.
    """

    name: str
    id: str = ""
    aliases: tuple[Name, ...] = ()
    software: Mapping[str, str] = field(default_factory=dict)
    parameters: Annotated[Mapping[str, Parameter], Limit(min_length=1)]
    solved: str
    pattern: Pattern
    template: Mapping[str, Any]

    def __post_init__(self) -> None:
        super().__post_init__()
        problems: list[str] = []
        seen: set[str] = set()
        for name, each in self.parameters.items():
            if name in (BUDGET, LAYER, OTHERWISE) or not name.isidentifier():
                problems.append(f"parameters: '{name}' cannot be the name of one")
            if isinstance(each.value, str):
                problems += _unknown(each.value, f"parameters.{name}.value", seen)
            seen.add(name)
        if self.solved not in self.parameters:
            problems.append(f"solved: '{self.solved}' is no parameter")
        problems += _unknown(self.pattern.depth, "pattern.depth", seen)
        for where, conditions in (("software", self.software), ("pattern.layers", self.pattern.layers)):
            own = seen | {LAYER} if where == "pattern.layers" else seen
            for name, condition in conditions.items():
                problems += _unknown(condition, f"{where}.{name}", own | {OTHERWISE})
            if conditions and list(conditions.values())[-1] != OTHERWISE:
                problems.append(f"{where}: the last condition is '{OTHERWISE}', so that there is always one that holds")
        layers = self.template.get("layers")
        if not isinstance(layers, Mapping) or set(layers) != set(self.pattern.layers):
            problems.append("layers: those of the pattern, and no other, are to be described")
        problems += _expressions(self.template, "", seen)
        if problems:
            raise ValueError("; ".join(problems))

    def values(self, given: Mapping[str, Any] | None = None) -> dict[str, int]:
        """Every parameter of a member; raises InputError for what cannot be."""
        given = given or {}
        for name in given:
            if name not in self.parameters and name != BUDGET:
                raise UnknownName(f"parameters of {self.id}", name, [*self.parameters, BUDGET])
        if BUDGET not in given:
            return self._values(given)
        if self.solved in given:
            raise InputError(
                f"{self.id}: {self.solved} is what a number of parameters decides; leave one of the two out"
            )
        return self._solved(given)

    def member(self, given: Mapping[str, Any] | None = None) -> Architecture:
        """The architecture with these parameters; raises InputError for one that cannot be."""
        given = given or {}
        return self.built(self.values(given), self.named(given))

    def built(self, values: Mapping[str, int], name: str) -> Architecture:
        """The architecture of these values, under a name; raises InputError for one that cannot be."""
        from roofsim.specs.files import build

        order = self.sequence(values)
        template = _filled(self.template, values, "")
        layers = {layer: _parts(parts, values) for layer, parts in template["layers"].items() if layer in order}
        software = _first(self.software, values, "software") if self.software else ""
        made = {
            **template, "name": name, "id": name, "family": software, "layers": layers, "layout": stretches(order),
            "sources": self.sources,
        }  # fmt: skip
        return build(Architecture, made, name)

    def named(self, given: Mapping[str, Any]) -> str:
        """What a member is called: the family, and what is not as it is otherwise, in the family's order."""
        own = [name for name in (*self.parameters, BUDGET) if name in given]
        return ":".join([self.id, *(f"{name}={given[name]}" for name in own)])

    def sequence(self, values: Mapping[str, int]) -> tuple[str, ...]:
        """The kind of every layer of a member, from the first to the last."""
        layers = tuple(self.pattern.layers.items())
        used = {name for _, each in layers if each != OTHERWISE for name in _read(each, PATTERN).names} - {LAYER}
        depth = _whole(_valued(self.pattern.depth, "pattern.depth", values), "pattern.depth")
        if not 1 <= depth <= MOST_LAYERS:
            raise InputError(f"{self.id}: pattern.depth: {depth:,} layers; from 1 to {MOST_LAYERS:,} can be")
        return _sequence(depth, layers, tuple((name, values[name]) for name in sorted(used)))

    def _values(self, given: Mapping[str, Any]) -> dict[str, int]:
        found: dict[str, int] = {}
        for name, parameter in self.parameters.items():
            where = f"{self.id}: {name}"
            value = given.get(name, parameter.value)
            if isinstance(value, str):
                value = _valued(value, f"{self.id}: {name}", found)
            found[name] = _whole(value, where)
            low, high = parameter.range
            if name in given and not low <= found[name] <= high:
                raise InputError(f"{where}: {found[name]:,} is not from {low:,} to {high:,} ({parameter.source})")
        return found

    def _solved(self, given: Mapping[str, Any]) -> dict[str, int]:
        """The values whose count is nearest to the one asked for; the count grows with what is solved for."""
        parameter = self.parameters[self.solved]
        rest = {name: value for name, value in given.items() if name != BUDGET}
        wanted, step = int(given[BUDGET]), parameter.multiple

        def at(k: int) -> tuple[int, dict[str, int]]:
            values = self._values({**rest, self.solved: k * step})
            return self.built(values, self.id).total_parameters, values

        low, high = -(-max(parameter.range[0], 1) // step), parameter.range[1] // step
        (least, _), (most, _) = at(low), at(high)
        if not least <= wanted <= most:
            raise InputError(
                f"{self.id}: {wanted:,} parameters cannot be had by {self.solved}: from {low * step:,} to "
                f"{high * step:,} there are {least:,} to {most:,}"
            )
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if at(middle)[0] <= wanted else (low, middle)
        return min((at(low), at(high)), key=lambda found: abs(found[0] - wanted))[1]


MOST_LAYERS = 1000
"""No published model has half as many."""


def stretches(order: Sequence[str]) -> list[dict[str, Any]]:
    """A sequence of layers as a layout: what repeats, then what is left; else runs of equal layers."""
    n = len(order)
    for period in range(1, n // 2 + 1):
        if all(order[i] == order[i - period] for i in range(period, n)):
            rest = n % period
            return [
                {"repeat": n // period, "of": list(order[:period])},
                *([{"repeat": 1, "of": list(order[n - rest :])}] if rest else []),
            ]
    runs: list[dict[str, Any]] = []
    for name in order:
        if runs and runs[-1]["of"] == [name]:
            runs[-1]["repeat"] += 1
        else:
            runs.append({"repeat": 1, "of": [name]})
    return runs


PATTERN = "pattern.layers"


@cache
def _sequence(depth: int, layers: tuple[tuple[str, str], ...], values: tuple[tuple[str, int], ...]) -> tuple[str, ...]:
    conditions, known = dict(layers), dict(values)
    return tuple(_first(conditions, {**known, LAYER: i}, PATTERN) for i in range(depth))


@cache
def _read(text: str, where: str) -> Expression:
    return parse(text, where, "width // 64")


def _valued(text: str, where: str, values: Mapping[str, Any]) -> Any:
    """What an expression is worth."""
    return _read(text, where)(values.__getitem__)


def _unknown(text: str, where: str, known: set[str]) -> list[str]:
    """What is wrong with an expression that may use these names."""
    try:
        names = _read(text, where).names
    except InputError as error:
        return [str(error)]
    return [f"{where}: no parameter '{name}' before it" for name in sorted(names - known)]


def _expressions(node: Any, where: str, known: set[str]) -> list[str]:
    """What is wrong with the expressions of a template."""
    if isinstance(node, Mapping):
        return [
            problem
            for key, each in node.items()
            for problem in (
                _unknown(str(each), f"{where}{key}", known)
                if key == WHEN
                else _expressions(each, f"{where}{key}.", known)
            )
        ]
    if isinstance(node, list | tuple):
        return [problem for k, each in enumerate(node) for problem in _expressions(each, f"{where}{k}.", known)]
    if isinstance(node, str) and node.startswith(MARK):
        return _unknown(node[len(MARK) :], where.rstrip("."), known)
    return []


WHEN = "when"
"""The key of the condition under which a part is there."""


def _filled(node: Any, values: Mapping[str, int], where: str) -> Any:
    """A template with numbers in the place of its expressions."""
    if isinstance(node, Mapping):
        filled = {key: _filled(each, values, f"{where}{key}.") for key, each in node.items()}
        # nought of a size leaves its field out: it is as if nothing were said
        return {key: each for key, each in filled.items() if not (type(each) is int and each == 0 and node[key] != 0)}
    if isinstance(node, list | tuple):
        return [_filled(each, values, f"{where}{k}.") for k, each in enumerate(node)]
    if isinstance(node, str) and node.startswith(MARK):
        found = _valued(node[len(MARK) :], where.rstrip("."), values)
        return found if isinstance(found, bool) else _whole(found, where.rstrip("."))
    return node


def _parts(parts: Any, values: Mapping[str, int]) -> Any:
    """The parts of a layer whose conditions hold."""
    return [
        {key: value for key, value in part.items() if key != WHEN}
        for part in parts
        if WHEN not in part or _valued(str(part[WHEN]), WHEN, values)
    ]


def _first(conditions: Mapping[str, str], values: Mapping[str, int], where: str) -> str:
    """The name of the first condition that holds."""
    return next(name for name, each in conditions.items() if each == OTHERWISE or _valued(each, where, values))


def _whole(value: Any, where: str) -> int:
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not number or value != int(value):
        raise InputError(f"{where}: {value!r} is not a whole number")
    return int(value)


def from_file(values: Mapping[str, Any], where: str) -> Family:
    """The family that the values of a file describe; raises SpecError with a line for each problem."""
    from roofsim.specs.files import build

    own = {name for name in Family.__dataclass_fields__ if name != "template"}
    if "layout" in values:
        raise SpecError([f"{where}: layout: the pattern of a family says which layers it has"])
    template = {name: value for name, value in values.items() if name not in own}
    return build(Family, {**{k: v for k, v in values.items() if k in own}, "template": template}, where)
