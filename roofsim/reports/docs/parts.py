"""The pages of the mixers and channel mixers: fields, and parameters, state and costs in symbols."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from functools import cache, partial
from types import MappingProxyType
from typing import Any, NamedTuple, get_args, get_type_hints

from roofsim import library
from roofsim.foundation.nomenclature import SYMBOLS
from roofsim.foundation.schema import default, variant
from roofsim.model.meanings import meaning_of
from roofsim.model.part import PARTS, Part
from roofsim.model.step import Pass, Precision
from roofsim.ops.base import Operator
from roofsim.reports.docs.formulas import helpers, modules
from roofsim.reports.docs.markdown import SYMPY, anchor, documented, formula, inline, named, symbol, table

UNKNOWN = "–"
WORDS = {"None": "none", "True": "yes", "False": "no"}
CHANNEL_MIXERS = "roofsim.model.ffn"
TOGETHER: Mapping[str, tuple[str, ...]] = MappingProxyType({"block": ("block", "blocks"), "blocks": ()})
"""Sizes that a part has both or neither of, under the first."""

BYTES = {"weights": "weight_bytes", "activations": "act_bytes", "cache": "cache_bytes", "state": "state_bytes"}
WORK = {"matrix": "matrix FLOP", "vector": "vector FLOP"}
TRAFFIC = {"weights": "weights, B", "activations": "activations, B", "state": "state, B"}
LATENTS = {"expanded": "As prefill runs it, keys and values expanded", "absorbed": "As decode runs it, on the latents"}


def kinds() -> list[str]:
    """Every kind of part: mixers, then channel mixers."""
    return sorted(PARTS, key=lambda kind: (PARTS[kind].__module__.startswith(CHANNEL_MIXERS), kind))


def pages() -> dict[str, Callable[[], Iterator[str]]]:
    """The page of every kind, and the one that lists them."""
    return {"mixers.md": mixers, **{f"mixers/{kind}.md": partial(page, kind) for kind in kinds()}}


def mixers() -> Iterator[str]:
    """Every kind, with a line of what it is."""
    yield "# Mixers and channel mixers"
    yield (
        "The parts of a layer that a model file can name by `kind`. Each stands for one residual branch; the norm "
        "before it and the sum after it belong to the layer. The page of a kind has its fields, and its parameters, "
        "state and costs as formulas: they are the part's own methods run on symbols."
    )
    rows = []
    for kind in kinds():
        summary = documented(PARTS[kind]).split("\n\n")[0].replace("\n", " ")
        rows.append([f"[{kind}](mixers/{kind}.md)", "channel mixer" if is_channel_mixer(kind) else "mixer", summary])
    yield table(["kind", "is a", "what it computes"], rows)


def is_channel_mixer(kind: str) -> bool:
    """Whether a kind mixes channels, not tokens."""
    return PARTS[kind].__module__.startswith(CHANNEL_MIXERS)


def page(kind: str) -> Iterator[str]:
    """One kind: what it is and where it is from, its fields, and its formulas."""
    part = PARTS[kind]
    yield f"# {kind}"
    yield documented(sys.modules[part.__module__])
    yield documented(part)
    rows = [_field(kind, name, info) for name, info in fields_of(part).items() if name != "kind"]
    yield table(["field", "default", "meaning"], rows)
    yield (
        f"{inline(symbol('d_model'))} is the width of the model; the other symbols are those of "
        "[formulas.md](../formulas.md) or the field's name, and so are words in a formula. Switches are as they are by "
        "default, optional sizes left out; the lists say what each changes."
    )
    yield from _algebra(part)
    yield from _costs(part)
    yield from _used(kind)


class Info(NamedTuple):
    """What a field may be, and what it is if nothing is said."""

    annotation: Any
    default: Any

    @property
    def required(self) -> bool:
        """Whether something must be said."""
        return self.default is MISSING


def fields_of(part: type[Part]) -> dict[str, Info]:
    """The fields of a kind by name."""
    types = get_type_hints(part)
    return {each.name: Info(types[each.name], default(each)) for each in fields(part)}


def _field(kind: str, name: str, info: Info) -> list[str]:
    meaning = meaning_of(kind, name) or UNKNOWN
    if inside := part_of(info):
        (within,) = get_args(fields_of(inside)["kind"].annotation)
        meaning += f", a [{within}]({within}.md)"
    default = "required" if info.required else WORDS.get(str(info.default), str(info.default))
    return [f"`{name}`", default, meaning]


def part_of(info: Info) -> type[Part] | None:
    """The kind of part that a field holds, if it holds one."""
    return info.annotation if isinstance(info.annotation, type) and issubclass(info.annotation, Part) else None


def left_out(name: str, info: Info) -> bool:
    """Whether a field is a size that a part need not have: none or 0 by default, or 1 and without a symbol."""
    return not info.required and (not info.default or (info.default == 1 and name not in SYMBOLS))


def construct(part: type[Part], inside: str = "") -> Part:
    """A part whose sizes are symbols, with its switches as they are by default (0 or 1)."""
    values: dict[str, Any] = {}
    for name, info in fields_of(part).items():
        if within := part_of(info):
            values[name] = construct(within, name)
        elif info.annotation is bool:
            values[name] = int(info.default)
        elif info.annotation in (int, float) and not left_out(name, info):
            values[name] = symbol(named(name) + (f"__{inside}" if inside else ""))
        else:
            values[name] = name if info.required else info.default
    made = object.__new__(part)
    made.__dict__.update(values)
    return made


def switched(made: Part) -> Iterator[tuple[str, Part]]:
    """The same part with each of its switches the other way, each other word, and each size that may be left out."""
    for name, info in fields_of(type(made)).items():
        if info.annotation is bool:
            yield f"`{name}: {'no' if info.default else 'yes'}`", variant(made, **{name: 1 - info.default})
        elif words := [word for word in _words(info) if word != info.default and not info.required]:
            yield from ((f"`{name}: {word}`", variant(made, **{name: word})) for word in words)
        elif left_out(name, info) and (together := TOGETHER.get(name, (name,))):
            label = " and ".join(f"`{each}`" for each in together)
            yield label, variant(made, **{each: symbol(named(each)) for each in together})


def _words(info: Info) -> Iterator[str]:
    """The words that a field can have."""
    for each in (info.annotation, *get_args(info.annotation)):
        yield from (word for word in get_args(each) if isinstance(word, str))


def own_parameters(part: Part, d_model: Any) -> dict[str, Any]:
    """Parameters of one use by kind, then those that all uses share by block and kind."""
    shared = part.shared_parameters(d_model).items()
    return {**part.parameters(d_model), **{f"{b}: {kind}": n for b, kinds in shared for kind, n in kinds.items()}}


def held(part: Part) -> Any:
    """Bytes of state in symbols, after as many tokens as the context."""
    return SYMPY.sympify(part.state_bytes(symbol(named("context")), precision()))


def precision() -> Precision:
    """Bytes per element in symbols."""
    return Precision(**{name: symbol(named(size)) for name, size in BYTES.items()})


def operators(part: Part, latents: Any = "absorbed") -> Sequence[Operator]:
    """The operators of a part for a pass in symbols."""
    batch, new, context = (symbol(named(size)) for size in ("batch", "new", "context"))
    return part.operators(Pass(batch, new, context, precision(), latents=latents), symbol("d_model"))


def column(operator: Operator, name: str) -> Any:
    """One column of the cost of an operator, with what formulas share by name."""
    return SYMPY.sympify(getattr(operator.cost, name)).subs(shared())


@cache
def shared() -> Mapping[Any, Any]:
    """The expressions that formulas share, and the symbols that stand for them."""
    tokens = symbol(named("batch")) * symbol(named("new"))
    return {expression: sign for module in modules() for _, expression, sign in helpers(module, tokens=tokens)}


def _algebra(part: type[Part]) -> Iterator[str]:
    """Parameters and state in symbols, and what each switch changes."""
    made, width = construct(part), symbol("d_model")
    numbers, state = own_parameters(made, width), held(made)
    yield "## Parameters"
    yield from (formula(kind, n) for kind, n in numbers.items())
    yield "## State of one sequence, in bytes"
    yield formula("state", state)
    lines: list[str] = []
    for name, other in switched(made):
        changes = {kind: SYMPY.expand(n - numbers.get(kind, 0)) for kind, n in own_parameters(other, width).items()}
        lines += [f"- {name} changes {kind} by {inline(n)}" for kind, n in changes.items() if n != 0]
        lines += [f"- {name} makes the state {inline(held(other))}"] * (held(other) != state)
    if lines:
        yield "\n".join(lines)


def _costs(part: type[Part]) -> Iterator[str]:
    """Its operators: what each computes and reads, its work and its traffic."""
    made = construct(part)
    forms = {form: operators(made, form) for form in LATENTS}
    if [o.name for o in forms["expanded"]] == [o.name for o in forms["absorbed"]]:
        forms = {"absorbed": forms["absorbed"]}
    yield "## Operators"
    for form, found in forms.items():
        if len(forms) > 1:
            yield f"**{LATENTS[form]}.**"
        links = {o.function.__name__: f"[{o.function.__name__}](../formulas.md#{o.function.__name__})" for o in found}
        rows = [[f"`{o.name}`", links[o.function.__name__], o.kind, ", ".join(o.uses)] for o in found]
        yield table(["operator", "formula", "reported as", "reads"], rows)
        for columns in (WORK, TRAFFIC):
            yield table(["operator", *columns.values()], [_row(o, columns) for o in found if any(_row(o, columns)[1:])])
    if lines := list(_changes(made)):
        yield "\n".join(lines)
    functions = {o.function: None for found in forms.values() for o in found}
    says = [f"- {f.__name__}: {' '.join(documented(f).split())}" for f in functions]
    yield "\n".join(["The formulas, and where they are from:", "", *says])


def _changes(made: Part) -> Iterator[str]:
    """What each switch does to the operators: which come and go, and whose matrix work or state is another."""
    before = {o.name: o for o in operators(made)}
    for name, other in switched(made):
        after = {o.name: o for o in operators(other)}
        for word, those in (("adds", after.keys() - before.keys()), ("leaves out", before.keys() - after.keys())):
            if those:
                listed = [each for each in (*before, *after) if each in those]
                yield f"- {name} {word} {', '.join(f'`{each}`' for each in dict.fromkeys(listed))}"
        for each in (name for name in before if name in after):
            for column_, said in (("matrix", "matrix FLOP"), ("state", "state bytes")):
                old, new = column(before[each], column_), column(after[each], column_)
                if SYMPY.expand(old - new) != 0:
                    yield f"- {name} makes the {said} of `{each}` {inline(new)}"


def _row(operator: Operator, columns: Mapping[str, str]) -> list[str]:
    costs = [column(operator, name) for name in columns]
    return [f"`{operator.name}`", *(inline(cost) if cost != 0 else "" for cost in costs)]


def _used(kind: str) -> Iterator[str]:
    """The shipped models that have layers of a kind."""
    models = [library.architecture(name) for name in library.names("models")]
    uses = [a for a in models if any(kind in kinds_within(part) for part, _ in a.parts())]
    if uses:
        yield "## Models"
        yield ", ".join(f"[{a.id}](../models.md#{anchor(a.id)})" for a in uses)


def kinds_within(part: Part) -> set[str]:
    """The kind of a part and of those inside it."""
    found = {str(getattr(part, "kind", ""))}
    for name, info in fields_of(type(part)).items():
        if part_of(info):
            found |= kinds_within(getattr(part, name))
    return found
