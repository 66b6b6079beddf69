"""How one model is divided among devices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

from roofsim.foundation.errors import InputError
from roofsim.foundation.values import dataclass


@dataclass(frozen=True, slots=True)
class Split:
    """Ranks over which a model and its sequences are divided; 1 each is one device.

    `tp` ranks share every layer (heads, channels, columns of weights), `pp` stages follow each other, `cp` ranks share
    the tokens of a sequence, and `dp` groups of them each take a share of the sequences. Experts are divided among `ep`
    of the tp × cp × dp ranks of a stage: 1 divides each expert as the other layers are. With `ep`, the groups of `dp`
    have the experts in common, and exchange tokens; without, they are copies of the model.
    """

    tp: int = 1
    pp: int = 1
    ep: int = 1
    dp: int = 1
    cp: int = 1

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(f"{each.name}: {value!r} is not a whole number from 1 on")
        if self.stage % self.ep:
            raise InputError(
                f"ep: {self.ep} does not divide the {self.stage} ranks of a stage "
                f"(tp {self.tp} × cp {self.cp} × dp {self.dp}), among which experts are divided"
            )

    @property
    def stage(self) -> int:
        """Ranks of one stage."""
        return self.tp * self.cp * self.dp

    @property
    def devices(self) -> int:
        """All ranks."""
        return self.stage * self.pp

    @property
    def alone(self) -> bool:
        """Whether it is one device."""
        return self.devices == 1

    @property
    def groups(self) -> int:
        """Groups of tp ranks, each with tokens of its own, that have the experts in common."""
        return max(self.ep // self.tp, 1)

    def __mul__(self, other: Split) -> Split:
        """What is divided once more."""
        return Split(**{each.name: getattr(self, each.name) * getattr(other, each.name) for each in fields(self)})


class Indivisible(InputError):
    """A size that so many ranks cannot share."""


def divided(what: str, size: int, ranks: int) -> int:
    """A rank's share of a size; raises Indivisible."""
    if size % ranks:
        raise Indivisible(f"{what} {size} is not divisible by tp {ranks}")
    return size // ranks


def replicated(what: str, size: int, ranks: int) -> int:
    """A rank's share of what is at least one on each, and the same on several if there are fewer than ranks."""
    if size % ranks and ranks % size:
        raise Indivisible(f"{what} {size} is neither divisible by tp {ranks} nor divides it")
    return max(size // ranks, 1)


def possible(holds: Callable[[int], object], most: int = 64) -> list[int]:
    """The numbers of ranks, up to `most`, for which nothing is Indivisible."""
    found = []
    for ranks in range(1, most + 1):
        try:
            holds(ranks)
        except Indivisible:
            continue
        found.append(ranks)
    return found


RANKS = tuple(each.name for each in fields(Split))
"""Ways to divide a model among devices."""
