"""What is drafted at a time: tokens one after the other, or a tree of them, and how many of it are accepted.

A tree holds the likeliest paths of so many ranks at each place. Of the candidates at a place at most one is accepted:
the best with the chance of a chain, the next with what is left of it, which falls by a power law with their number
(Chen et al. 2024, Sequoia, arXiv 2402.12374, section 3.2, observed it for drafts of several families).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from heapq import heappop, heappush
from itertools import pairwise
from math import exp, log

from roofsim.foundation.errors import InputError
from roofsim.foundation.values import dataclass
from roofsim.serving.acceptance import Acceptance

SIBLINGS, SIBLINGS_SPREAD = 0.27, 0.59
"""The exponent by which the chance falls that none of the best candidates at a place is accepted, with their number,
and the standard deviation of its logarithm (`python tools/siblings.py`: chains and trees of the same drafts)."""

MOST_NODES = 1024
"""Tokens of a tree, at most."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Drafted tokens: so many are verified, at most `depth` of them in a row, the draft goes on from `width` at a time.

    `width` is 1 for a chain, of which all tokens are in a row. `siblings` is how fast the chances of further candidates
    at a place fall.
    """

    tokens: int
    depth: int
    width: int = 1
    siblings: float = SIBLINGS

    @property
    def is_tree(self) -> bool:
        """Whether there is more than one way on."""
        return self.width > 1

    def reached(self, a: Acceptance) -> tuple[float, ...]:
        """The chances that at least 0, 1, 2, ... drafted tokens are accepted."""
        if not self.is_tree:
            return tuple(a.whole(i) for i in range(self.tokens + 1))
        return levels(tuple(chances(a, self.depth)), self.width, self.tokens, self.siblings)

    def made(self, a: Acceptance) -> float:
        """Expected tokens of a round: those accepted, and the one that verifying adds."""
        return sum(self.reached(a))

    def ends(self, a: Acceptance) -> tuple[float, ...]:
        """The chances that a round makes 1, 2, ... tokens."""
        reached = self.reached(a)
        return (*(x - y for x, y in pairwise(reached)), reached[-1])

    def doubt(self, a: Acceptance) -> float:
        """The standard deviation of the logarithm of the tokens of a round: of how likely further candidates are.

        A chain has none, nor a tree whose tokens of a round are what the chances were found from.
        """
        if not self.is_tree or a.counted:
            return 0.0
        few, many = (replace(self, siblings=SIBLINGS * exp(by * SIBLINGS_SPREAD)).made(a) for by in (-1, 1))
        return abs(log(many / few)) / 2

    @property
    def ends_of_tokens(self) -> tuple[int, int]:
        """The fewest and the most tokens of a tree so deep and so wide."""
        return self.depth, self.width + (self.depth - 1) * self.width * self.width

    def kept(self, a: Acceptance) -> float:
        """The chance that all that was verified is accepted: never of a tree."""
        return 0.0 if self.is_tree else a.whole(self.tokens)

    @property
    def words(self) -> str:
        """What it is, in words."""
        if not self.is_tree:
            return f"{self.tokens} token{'s' * (self.tokens > 1)}"
        return f"a tree of {self.tokens} tokens, {self.depth} deep, with the best {self.width} of each pass"


def chain(tokens: int) -> Shape:
    """Tokens one after the other."""
    return Shape(tokens, tokens)


def chances(a: Acceptance, depth: int) -> Iterator[float]:
    """The chance of the best candidate at each place if what is before it was accepted."""
    if a.most is not None and depth > a.most:
        raise InputError(f"tree: {depth} deep, and --accept speaks of {a.most} places")
    for place in range(1, depth + 1):
        before = a.whole(place - 1)
        yield a.whole(place) / before if before else 0.0


def of_rank(alpha: float, rank: int, siblings: float = SIBLINGS) -> float:
    """The chance that the candidate of a rank, from 1 on, is the one that is accepted."""
    if rank == 1:
        return alpha
    falls = float((rank - 1) ** -siblings - rank**-siblings)
    return (1 - alpha) * falls


@lru_cache(maxsize=2**12)
def levels(alphas: tuple[float, ...], width: int, tokens: int, siblings: float = SIBLINGS) -> tuple[float, ...]:
    """The chances that 0, 1, ... places of a tree are accepted: of its likeliest so many paths of `width` ranks.

    At no place are there more than `width` paths that go on, as drafts have it.
    """
    found = [1.0, *(0.0 for _ in alphas)]
    gone_on = [0] * (len(alphas) + 1)
    queue: list[tuple[float, int]] = []
    for rank in range(1, width + 1):
        heappush(queue, (-of_rank(alphas[0], rank, siblings), 1))
    taken = 0
    while queue and taken < tokens:
        chance, place = heappop(queue)
        taken += 1
        found[place] -= chance
        if place < len(alphas) and gone_on[place] < width:
            gone_on[place] += 1
            for rank in range(1, width + 1):
                heappush(queue, (chance * of_rank(alphas[place], rank, siblings), place + 1))
    return tuple(found)


TREE = "write a tree like depth=5,top=8,nodes=63"


def tree(text: str) -> Shape:
    """A tree that is written as `depth=5,top=8,nodes=63`; raises InputError."""
    found: dict[str, int] = {}
    for part in text.split(","):
        name, equals, value = (each.strip() for each in part.partition("="))
        if name not in ("depth", "top", "nodes") or not equals:
            raise InputError(f"tree '{part.strip()}': {TREE}")
        if name in found:
            raise InputError(f"tree: {name} is given twice")
        if not (value.isascii() and value.isdigit() and 1 <= int(value) <= MOST_NODES):
            raise InputError(f"tree {name}: '{value}' is not a whole number from 1 to {MOST_NODES:,}; {TREE}")
        found[name] = int(value)
    missing = [name for name in ("depth", "top", "nodes") if name not in found]
    if missing:
        raise InputError(f"tree: {' and '.join(missing)} missing; {TREE}")
    depth, top, nodes = found["depth"], found["top"], found["nodes"]
    if top < 2:
        raise InputError("tree top: 1 is a chain; give --draft-tokens alone")
    found_tree = Shape(nodes, depth, top)
    least, most = found_tree.ends_of_tokens
    if not least <= nodes <= most:
        raise InputError(f"tree nodes: {nodes:,}; {depth} deep with the best {top} there are from {least} to {most:,}")
    return found_tree
