"""What the last word of a command line could become: names, modes, words of lists, fields for `--set`.

Imported only when a shell asks, which it does at every TAB: nothing here loads what a prediction does not.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from click import Context
from click.shell_completion import CompletionItem

from roofsim import library
from roofsim.adapters import hub
from roofsim.foundation.errors import InputError
from roofsim.foundation.parameters import PARAMETERS
from roofsim.foundation.quantity import Sourced
from roofsim.foundation.schema import Spec, items, place
from roofsim.foundation.units import show

FAMILIES = "models/families"
FACTORS = ("0.5x", "2x")
"""What a number is often changed by."""
NOT_SET = ("sources", "aliases", "id", "name", "kind")
"""Fields of a spec that say what it is and where it is from: nothing to try other values of."""


def begun(words: Iterable[tuple[str, str]], incomplete: str) -> list[CompletionItem]:
    """Of words with their meanings those that begin with what is typed, whatever its case."""
    typed = incomplete.lower()
    return [CompletionItem(word, help=said or None) for word, said in words if word.lower().startswith(typed)]


def listed(words: Iterable[tuple[str, str]], incomplete: str) -> list[CompletionItem]:
    """The same for the last word of a list set off by commas; words that are in it already are left out."""
    before, comma, last = incomplete.rpartition(",")
    rest = [each for each in words if each[0] not in before.split(",")]
    return [CompletionItem(before + comma + each.value, help=each.help) for each in begun(rest, last)]


def names(kinds: tuple[str, ...], words: tuple[str, ...], incomplete: str) -> list[CompletionItem]:
    """Names and aliases of specs, modes of a device after an @, parameters of a family after a colon."""
    _, comma, last = incomplete.rpartition(",")
    held = [(each, "Hugging Face cache") for each in hub.names()] if "models" in kinds else []
    if "/" in last or last.startswith((".", "~")):
        return listed(held, incomplete) or [CompletionItem(incomplete, type="file")]
    known: list[tuple[str, str]] = [*((each, "") for each in words), *held]
    for kind in kinds:
        known += [(name, "") for name in library.names(kind)]
        known += [(alias, f"= {name}") for alias, name in library.aliases(kind).items()]
    base, at, _ = last.partition("@")
    if at and "hardware" in kinds:
        with suppress(InputError):
            known += [(f"{base}@{mode}", "") for mode in library.modes(base)]
    if ":" in last and FAMILIES in kinds:
        with suppress(InputError):
            known += list(_members(last))
    found = listed(dict(known).items(), incomplete)
    # what begins like no name may be a file
    return found or ([] if comma or at else [CompletionItem(incomplete, type="file")])


def _members(typed: str) -> Iterator[tuple[str, str]]:
    """A member of a family with one more parameter that can be chosen."""
    stem = typed.rpartition(":")[0]
    base, *given = stem.split(":")
    for name, parameter in library.family(base).parameters.items():
        if name not in {each.partition("=")[0] for each in given}:
            yield f"{stem}:{name}=", str(parameter.value)


def changes(ctx: Context, incomplete: str) -> list[CompletionItem]:
    """Paths for `--set` one step at a time, of the specs that the line names so far; values after the =."""
    path, equals, value = incomplete.partition("=")
    root, dot, _ = path.partition(".")
    roots = ("device", "cluster", "cost", "model", "runtime", "host", "parameters")
    if not dot:
        return begun([(f"{each}.", "") for each in roots], path)
    with suppress(InputError):
        if equals:
            found = listed(((each, "") for each in _values(ctx, path)), value)
            return [CompletionItem(f"{path}={each.value}", help=each.help) for each in found]
        if root == "parameters":
            return begun([(f"{root}.{each.name}=", each.meaning) for each in PARAMETERS.values()], path)
        stem = path.rpartition(".")[0]
        _, node = _reached(_spec(ctx, root), stem.split(".")[1:])
        return begun([(f"{stem}.{step}", said) for step, said in _steps(node)], path)
    return []


def _spec(ctx: Context, root: str) -> Any:
    """The spec that `--set` would change: the first one named on the line, else the first that ships."""
    if root == "model":
        return library.architecture(_given(ctx, "model", "models") or next(iter(library.names("models"))))
    if root == "runtime":
        from roofsim.prediction.setup import DEFAULT_RUNTIME

        return library.runtime(_given(ctx, "runtime") or DEFAULT_RUNTIME)
    if root == "cost":
        return library.usual_terms()
    if root == "cluster" and (named := _given(ctx, "cluster")):
        return library.cluster(named)
    device = library.device(_given(ctx, "device") or next(iter(library.names("hardware"))))
    if root in ("device", "cluster"):
        return device if root == "device" else library.cluster_of(device)
    host = _given(ctx, "host") or device.host or next(iter(library.names("hardware/hosts")))
    return library.host(host) if root == "host" else None


def _given(ctx: Context, *parameters: str) -> str | None:
    """The first word that the line has for one of these parameters."""
    for name in parameters:
        value = ctx.params.get(name)
        first = value[0] if isinstance(value, tuple | list) and value else value
        if first and isinstance(first, str):
            return first.split(",")[0].strip()
    return None


def _reached(spec: Any, path: Iterable[str]) -> tuple[Any, Any]:
    """What stands at a path, and before it what it is a field of; nothing where there is no such place."""
    owner, node = None, spec
    for step in path:
        owner = node
        if isinstance(node, tuple):
            at = place(node, step)
            node = None if at is None else node[at]
        else:
            node = _inside(node).get(step)
    return owner, node


def _inside(node: Any) -> Mapping[str, Any]:
    """What a step can lead to: fields of a spec, entries of a mapping."""
    if isinstance(node, Spec) and not isinstance(node, Sourced):
        return {name: value for name, value in items(node) if name not in NOT_SET}
    return node if isinstance(node, Mapping) else {}


def _steps(node: Any) -> Iterator[tuple[str, str]]:
    """What may follow: a dot where there is more inside, the = of a value, and what that is now."""
    if isinstance(node, tuple):
        from roofsim.prediction.places import steps

        words = [each for each in ("mixer", "ffn") if hasattr(node[0], "kind") and place(node, each) is not None]
        yield from ((f"{each}.", "") for each in dict.fromkeys([*words, *steps(node)]))
        return
    for name, value in _inside(node).items():
        parts = isinstance(value, tuple) and any(isinstance(each, Spec) for each in value)
        if parts or _inside(value):
            yield f"{name}.", ""
        elif not isinstance(value, tuple | Mapping):
            yield f"{name}=", _said(value)


def _said(value: Any) -> str:
    """A value as people read it."""
    if isinstance(value, Sourced):
        return show(value.value, value.unit) if value.unit else f"{value.value:g}"
    return "not stated" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _values(ctx: Context, path: str) -> list[str]:
    """What a field could be: the words that it takes, or factors of its number."""
    root, *way = path.split(".")
    if root == "parameters":
        return list(FACTORS) if way[0] in PARAMETERS else []
    owner, value = _reached(_spec(ctx, root), way)
    if isinstance(value, bool):
        return ["true", "false"]
    if isinstance(value, Sourced | int | float):
        return list(FACTORS)
    return _words(typing.get_type_hints(type(owner)).get(way[-1])) if isinstance(owner, Spec) else []


def _words(hint: Any) -> list[str]:
    """The words of a Literal, also of one that may be left out."""
    if typing.get_origin(hint) is typing.Literal:
        return [str(each) for each in typing.get_args(hint)]
    return [word for each in typing.get_args(hint) for word in _words(each)]
