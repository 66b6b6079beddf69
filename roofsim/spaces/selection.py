"""Which of the models that ship: by their kind, family and size."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from roofsim import library
from roofsim.foundation.errors import UnknownName
from roofsim.model.architecture import Architecture


def chosen_models(
    names: Iterable[str | Architecture], kind: str | None = None, family: str | None = None,
    min_size: int | None = None, max_size: int | None = None,
) -> list[Architecture]:  # fmt: skip
    """Those of `names`, or of all that ship if there are none, that are of a kind, a family and a size.

    A mixture of experts is also of the kind of its layers, a family is what its name begins with. Raises UnknownName
    for a family that there is not.
    """
    asked = {each if isinstance(each, str) else id(each): each for each in names or library.names("models")}
    found = [library.architecture(each) if isinstance(each, str) else each for each in asked.values()]
    families = {a.family for a in found}
    if family and not any(each.startswith(family.lower()) for each in families):
        raise UnknownName("families", family, sorted(families))
    return [
        a
        for a in found
        if (not kind or kind in kinds(a))
        and (not family or a.family.startswith(family.lower()))
        and (min_size or 0) <= a.total_parameters <= (max_size or inf)
    ]


def kinds(a: Architecture) -> tuple[str, ...]:
    """The kind of a model's layers, and whether it has experts."""
    return (a.kind, "moe") if a.active_parameters < a.total_parameters else (a.kind,)
