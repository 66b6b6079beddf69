"""How many drafted tokens a verification accepts: one chance for all, or one for each place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from roofsim.foundation.errors import InputError
from roofsim.foundation.units import finite
from roofsim.foundation.values import dataclass

if TYPE_CHECKING:
    from roofsim.serving.shapes import Shape

Accepted = float | int | str | Sequence[float]
"""A chance, its text (0.7, 70%), one for each place (0.8,0.6,0.5), or what servers report: rate=0.56, length=3.2."""

WRITTEN = "write a chance (0.7), one for each place (0.8,0.6,0.5), rate=0.56 or length=3.2"


@dataclass(frozen=True, slots=True)
class Acceptance:
    """How likely drafted tokens are accepted.

    `alpha` is the chance of a token whose forerunners were all accepted, the same at every place; or `places` are the
    chances that the tokens up to each place are all accepted, as vLLM logs them (per-position acceptance rate). It may
    be `counted` from the tokens that rounds of the same drafts make.
    """

    alpha: float | None = None
    places: tuple[float, ...] = ()
    counted: bool = field(default=False, compare=False)

    @property
    def most(self) -> int | None:
        """The longest draft that it speaks of; None for any."""
        return None if self.alpha is not None else len(self.places)

    def whole(self, drafted: int) -> float:
        """The chance that so many tokens are all accepted."""
        if self.alpha is not None:
            return self.alpha**drafted
        return 1.0 if drafted == 0 else self.places[drafted - 1]

    def made(self, drafted: int) -> float:
        """Expected tokens of a round with so many drafted ones: those accepted, and the one that verifying adds.

        Leviathan et al. 2023, arXiv 2211.17192, eq. 1: (1 − αᵏ⁺¹) / (1 − α) where one chance holds for all.
        """
        return sum(self.whole(i) for i in range(drafted + 1))

    def ends(self, drafted: int) -> tuple[float, ...]:
        """The chances that a round makes 1, 2, ... tokens, one more than were drafted at most."""
        reached = [self.whole(i) for i in range(drafted + 1)]
        return (*(a - b for a, b in pairwise(reached)), reached[-1])

    @property
    def words(self) -> str:
        """What it is, in words."""
        if self.alpha is not None:
            return f"each drafted token is accepted with a chance of {self.alpha:.3g}"
        said = ", ".join(f"{each:.3g}" for each in self.places)
        return f"drafted tokens are accepted up to each place with chances of {said}"


def alpha_of(tokens: float, made: Callable[[Acceptance], float], most: int) -> float | None:
    """The chance α at which rounds that make `made` tokens, `most` drafted ones and one, make so many; None if none."""
    if not 1 <= tokens <= most + 1:
        return None
    low, high = 0.0, 1.0
    for _ in range(60):  # to the last bit
        middle = (low + high) / 2
        low, high = (middle, high) if made(Acceptance(middle)) < tokens else (low, middle)
    return high


def acceptance(given: Accepted | Acceptance, drafted: Shape | None) -> Acceptance:
    """What is meant by a number, a text or several numbers; `rate` and `length` are of what is `drafted` at a time.

    Raises InputError for what is no chance.
    """
    if isinstance(given, Acceptance):
        return given
    if isinstance(given, str):
        name, equals, value = given.partition("=")
        if equals:
            return _reported(name.strip(), _number(value), drafted)
        words: Sequence[Any] = given.split(",")
    else:
        words = given if isinstance(given, Sequence) else [given]
    if not len(words):
        raise InputError(f"accept: holds no chance; {WRITTEN}")
    chances = tuple(_chance(each) for each in words)
    if len(chances) == 1:
        return Acceptance(chances[0])
    for place, (before, after) in enumerate(pairwise(chances), 2):
        if after > before:
            raise InputError(
                f"accept: {after:g} at place {place} is more than {before:g} before it; each is the chance that all "
                "tokens up to that place are accepted, so that they cannot rise"
            )
    return Acceptance(None, chances)


def _reported(name: str, value: float, drafted: Shape | None) -> Acceptance:
    """The chance behind a rate (accepted of drafted tokens) or a length (tokens of a round) of such drafts."""
    if name not in ("rate", "length"):
        raise InputError(f"accept: no '{name}'; {WRITTEN}")
    if drafted is None:
        raise InputError(f"accept: a {name} is one of drafts of some length; say which with --draft-tokens")
    tokens = 1 + value * drafted.tokens if name == "rate" else value
    found = alpha_of(tokens, drafted.made, drafted.depth)
    if found is None:
        ends = (0, drafted.depth / drafted.tokens) if name == "rate" else (1, drafted.depth + 1)
        raise InputError(
            f"accept: a {name} of drafts of {drafted.words} lies from {ends[0]:g} to {ends[1]:g}, not {value:g}"
        )
    return Acceptance(found, counted=True)


def _number(written: Any) -> float:
    """A number, or a percentage; raises InputError."""
    text = written.strip() if isinstance(written, str) else written
    percent = isinstance(text, str) and text.endswith("%")
    try:
        return finite(text.removesuffix("%").strip() if percent else text) / (100 if percent else 1)
    except ValueError as error:
        raise InputError(f"accept: {error}; {WRITTEN}") from None


def _chance(written: Any) -> float:
    """A chance; raises InputError."""
    value = _number(written)
    if not 0 <= value <= 1:
        raise InputError(f"accept: {value:g} is not a chance; it lies from 0 to 1")
    return value
