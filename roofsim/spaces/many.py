"""Figures of many architectures on one stack: those that differ by numbers alone are compiled once for all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from roofsim.foundation.errors import InputError
from roofsim.foundation.schema import Spec, assembled, items, variant
from roofsim.model.architecture import Architecture, Stretch
from roofsim.prediction.compiled import traced
from roofsim.prediction.evaluation import Evaluation, figure
from roofsim.prediction.request import settled
from roofsim.prediction.setup import Setup
from roofsim.spaces.evaluate import SAME
from roofsim.specs.workload import Workload

FEW = 8
"""Fewer architectures alike are computed one by one: compiling takes about as long as so many."""

ASIDE = ("name", "id", "aliases", "sources", "published_parameters", "context_window")
"""Fields of an architecture of which no figure is made."""

SINGLE = 2
"""Up to so many layers of a kind, of which the last may go on with scored positions alone, leave one by itself, whose
operators are scheduled each for themselves: that is another pass, not another number."""


def figures_of(setups: Sequence[Setup], w: Workload, names: Sequence[str]) -> Any:
    """The figures `names` (columns) of a workload on each setup (rows), as an array (n, k) in SI units.

    The setups differ in nothing but their architectures.
    """
    import numpy as np

    found = np.empty((len(setups), len(names)))
    groups: dict[Any, list[int]] = {}
    numbers: list[dict[str, int]] = []
    for i, s in enumerate(setups):
        numbers.append({})
        groups.setdefault(tuple(_form(by_kind(s.architecture), "model", numbers[i])), []).append(i)
    for members in groups.values():
        _fill(found, setups, w, names, members, numbers)
    return found


def by_kind(a: Architecture) -> Architecture:
    """The same network with equal layers one after another, in the order in which they first come.

    No figure depends on more of the order but for the kind of the last layer, which stands at the end.
    """
    last = a.layout[-1].of[-1]
    counts = [*a.counts.items(), *([(last, 0)] if last != list(a.counts)[-1] else [])]
    return variant(a, layout=tuple(assembled(Stretch, repeat=n, of=(name,)) for name, n in counts))


def one_by_one(s: Setup, w: Workload, names: Sequence[str]) -> tuple[float, ...]:
    """The figures of one setup, without compiling."""
    e = Evaluation(s, settled(s, w))
    return tuple(float(figure(name)(e)) for name in names)


def _fill(
    found: Any, setups: Sequence[Setup], w: Workload, names: Sequence[str], members: Sequence[int],
    sizes: Sequence[Mapping[str, int]],
) -> None:  # fmt: skip
    """Put the figures of architectures that differ by numbers alone into their rows."""
    import numpy as np

    varying = [path for path in sizes[members[0]] if len({sizes[i][path] for i in members}) > 1]
    if len(members) >= FEW and varying:
        s = replace(setups[members[0]], architecture=by_kind(setups[members[0]].architecture))
        try:
            function = traced(s, settled(s, w), names, varying)
        except InputError:
            deciding = [path for path in varying if not _varies(s, w, names, path)]
            # where none decides alone, they do together: no use in going on
            if deciding and len(deciding) < len(varying):
                split: dict[Any, list[int]] = {}
                for i in members:
                    split.setdefault(tuple(sizes[i][path] for path in deciding), []).append(i)
                for each in split.values():
                    _fill(found, setups, w, names, each, sizes)
                return
        else:
            given = {path: np.array([float(sizes[i][path]) for i in members]) for path in varying}
            made = np.column_stack([np.broadcast_to(each, len(members)) for each in function(**given).values()])
            ends = (0, len(members) - 1)
            if all(np.allclose(made[k], one_by_one(setups[members[k]], w, names), rtol=SAME, atol=0) for k in ends):
                found[list(members)] = made
                return
    for i in members:
        found[i] = one_by_one(setups[i], w, names)


def _varies(s: Setup, w: Workload, names: Sequence[str], path: str) -> bool:
    """Whether a number of the architecture only says how much is done, not what."""
    try:
        traced(s, settled(s, w), names, [path])
    except InputError:
        return False
    return True


def _form(node: Any, path: str, numbers: dict[str, int]) -> Iterator[Any]:
    """What architectures that differ by numbers alone have in common; the numbers are put down by their paths."""
    if isinstance(node, Spec):
        yield type(node)
        # as many heads as keys is another kernel, not another number
        yield getattr(node, "heads", 0) == getattr(node, "kv_heads", None)
        for name, each in items(node):
            if not (path == "model" and name in ASIDE):
                yield from _form(each, f"{path}.{name}", numbers)
    elif isinstance(node, Mapping):
        yield tuple(node)
        for name, each in node.items():
            yield from _form(each, f"{path}.{name}", numbers)
    elif isinstance(node, tuple):
        yield len(node)
        for k, each in enumerate(node):
            yield from _form(each, f"{path}.{k}", numbers)
    elif type(node) is int and node > SINGLE:
        yield int
        numbers[path] = node
    else:
        yield node
