"""How good an architecture would be: losses that were measured, or a scaling law."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from roofsim.foundation.errors import InputError
from roofsim.foundation.units import finite, short_count
from roofsim.foundation.values import dataclass
from roofsim.model.architecture import Architecture
from roofsim.specs.scaling import TRAINED, ScalingLaw
from roofsim.specs.text import text_file

LOSS = "loss"
"""The column of losses."""


@runtime_checkable
class Quality(Protocol):
    """The loss of a member of a family, None where it is not known, and what it rests on in words."""

    def of(self, a: Architecture, values: Mapping[str, int]) -> float | None:
        """The loss of a member with these parameters."""

    def notes(self, members: Sequence[Architecture]) -> list[str]:
        """What the losses of these members rest on."""


@dataclass(frozen=True)
class ByLaw:
    """A scaling law, for networks that are trained on so many tokens."""

    law: ScalingLaw
    train_tokens: float

    def of(self, a: Architecture, values: Mapping[str, int]) -> float | None:
        """The loss of a network, in nats per token."""
        return self.law.of(a, self.train_tokens)

    def notes(self, members: Sequence[Architecture]) -> list[str]:
        """The law with its numbers, and how far it is from where it was fitted."""
        law = self.law
        numbers = ", ".join(f"{name} = {each.value:g}" for name, each in law.coefficients.items())
        symbols = ", ".join(f"{name}: {text.replace('_', ' ')}" for name, text in law.symbols.items())
        trained = any(TRAINED in text for text in law.symbols.values())
        after = f"; {short_count(self.train_tokens)} tokens of training" if trained else ""
        said = [
            f"Loss (nats per token) by {law.name}: {law.loss} with {numbers} ({symbols}{after}), fitted to {law.to}."
        ]
        outside = sorted({name for a in members for name in law.outside(a, self.train_tokens)})
        if outside:
            said.append(f"Beyond what the law was fitted to: {', '.join(outside)}.")
        return said


@dataclass(frozen=True)
class Measured:
    """Losses of a table, by the parameters of a family that are its columns."""

    path: str
    columns: tuple[str, ...]
    losses: Mapping[tuple[float, ...], float]

    def of(self, a: Architecture, values: Mapping[str, int]) -> float | None:
        """The loss in the row of these parameters."""
        return self.losses.get(tuple(float(values[name]) for name in self.columns))

    def notes(self, members: Sequence[Architecture]) -> list[str]:
        """Where they are from."""
        return [f"Losses as given in {Path(self.path).name}, by {', '.join(self.columns)}."]


def measured(path: str, known: Sequence[str]) -> Measured:
    """The losses of a CSV: one column `loss`, the others named as parameters; raises InputError."""
    with text_file(path) as file:
        rows = list(csv.DictReader(file))
    header = tuple(name for name in (rows[0] if rows else {}) if name is not None)
    columns = tuple(name for name in header if name in known)
    if LOSS not in header or not columns:
        raise InputError(
            f"--quality {path}: needs a column `{LOSS}` and columns named as parameters ({', '.join(known)}); "
            f"it has {', '.join(header) or 'none'}"
        )
    losses: dict[tuple[float, ...], float] = {}
    for line, row in enumerate(rows, 2):
        try:
            key, loss = tuple(finite(row[name]) for name in columns), finite(row[LOSS])
        except ValueError:
            raise InputError(
                f"--quality {path}: line {line}: every field of {', '.join((*columns, LOSS))} is a number"
            ) from None
        if losses.setdefault(key, loss) != loss:
            raise InputError(f"--quality {path}: line {line}: another loss for the same parameters than above")
    return Measured(path, columns, losses)
