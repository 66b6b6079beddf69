"""A step of several groups of sequences: the operators of a layer for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from roofsim.foundation.arith import Number, maximum, single
from roofsim.ops.base import Operator


def side_by_side(groups: Sequence[Sequence[Operator]]) -> tuple[Operator, ...]:
    """The operators of one layer in a step, from those that each of its groups would have by itself.

    One that is done token by token sees the tokens of all groups at once, and so reads its weights once, or exchanges
    with other ranks what all of them made; one that goes by sequences (attention, caches, recurrences, convolutions) is
    there for each group. Groups of which not all have the same operators (latents expanded for some, absorbed for
    others) are laid into one order.
    """
    names: list[str] = []
    for group in groups:
        at = 0
        for each in group:
            if each.name not in names:
                names.insert(at, each.name)
            at = names.index(each.name) + 1
    named = [{each.name: each for each in group} for group in groups]
    found: list[Operator] = []
    for name in names:
        those = {i: group[name] for i, group in enumerate(named) if name in group}
        if all(by_token(each) for each in those.values()):
            found.append(_at_once(tuple(those.values())))
        else:
            found += (replace(each, group=i) for i, each in those.items())
    return tuple(found)


ADDED = ("tokens", "payload")
"""Sizes that are of all groups together."""


def by_token(operator: Operator) -> bool:
    """Whether it is done token by token, whatever sequences they are of."""
    return not operator.sizes.keys().isdisjoint(ADDED)


def _at_once(operators: Sequence[Operator]) -> Operator:
    """One operator on the tokens of several; of those that a share of the passes run, that share of the tokens."""
    first, *others = operators
    often, sizes = first.often, dict(first.sizes)
    if all(single(each.often) and each.often == often for each in operators):
        shares: list[Number] = [1] * len(operators)
    else:
        for each in others:
            often = maximum(often, each.often)
        shares = [each.often / often for each in operators]
    for name in ADDED:
        if name in sizes:
            sizes[name] = sum(share * each.sizes[name] for share, each in zip(shares, operators, strict=True))
    out = sum(share * each.out for share, each in zip(shares, operators, strict=True))
    return replace(first, sizes=sizes, out=out, often=often)
