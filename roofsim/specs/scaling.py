"""A scaling law: the loss of a trained network, from what it is and what it was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any

from roofsim.foundation.errors import InputError
from roofsim.foundation.expression import parse
from roofsim.foundation.quantity import Documented, Name, Sourced
from roofsim.foundation.schema import Limit, Spec
from roofsim.model.architecture import Architecture

TRAINED = "train_tokens"
"""The name of the number of tokens that a network is trained on."""


class Span(Spec):
    """From where to where the networks of a law reached."""

    low: Annotated[float, Limit(gt=0)]
    high: Annotated[float, Limit(gt=0)]


class ScalingLaw(Documented):
    """A loss in nats per token: an expression of `coefficients` and of `symbols`, each of which is an expression too.

    Those may use the numbers of a network, `numbers_of`, and `train_tokens`. `fitted` says how far the networks
    reached that the law was fitted to, by symbol, `to` which networks those were.
    """

    name: str
    id: str = ""
    aliases: tuple[Name, ...] = ()
    loss: str
    symbols: Annotated[Mapping[str, str], Limit(min_length=1)]
    coefficients: Annotated[Mapping[str, Sourced], Limit(min_length=1)]
    fitted: Mapping[str, Span] = field(default_factory=dict)
    to: str

    def __post_init__(self) -> None:
        super().__post_init__()
        known = {*self.symbols, *self.coefficients}
        texts = [("loss", self.loss, known)]
        texts += [(f"symbols.{name}", text, {*NUMBERS, TRAINED}) for name, text in self.symbols.items()]
        for where, text, names in texts:
            try:
                unknown = sorted(parse(text, where, EXAMPLE).names - names)
            except InputError as error:
                raise ValueError(str(error)) from None
            if unknown:
                raise ValueError(f"{where}: no '{unknown[0]}'; it may use {', '.join(sorted(names))}")
        if unknown := sorted(set(self.fitted) - set(self.symbols)):
            raise ValueError(f"fitted: '{unknown[0]}' is no symbol")

    def at(self, a: Architecture, train_tokens: float) -> dict[str, float]:
        """The value of every symbol for a network."""
        values = {**numbers_of(a), TRAINED: train_tokens}
        return {name: float(parse(text, name, EXAMPLE)(values.__getitem__)) for name, text in self.symbols.items()}

    def of(self, a: Architecture, train_tokens: float) -> float:
        """The loss of a network after so many tokens, in nats per token."""
        coefficients = {name: each.value for name, each in self.coefficients.items()}
        return float(parse(self.loss, "loss", EXAMPLE)({**coefficients, **self.at(a, train_tokens)}.__getitem__))

    def outside(self, a: Architecture, train_tokens: float) -> list[str]:
        """The symbols that are beyond what the law was fitted to."""
        values = self.at(a, train_tokens)
        return [name for name, span in self.fitted.items() if not span.low <= values[name] <= span.high]


EXAMPLE = "E + A / N ** alpha"

NUMBERS = ("parameters", "active_parameters", "embedding_parameters", "depth", "width", "vocab")
"""What a law may ask of a network."""


def numbers_of(a: Architecture) -> dict[str, Any]:
    """What a law may ask of a network, by name."""
    found = (a.total_parameters, a.active_parameters, a.parameters["embedding"], a.depth, a.d_model, a.vocab)
    return dict(zip(NUMBERS, found, strict=True))
