"""On which terms a device is used: rented or bought, for how long, with what electricity."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Annotated

from roofsim.foundation.quantity import (
    Between,
    Carbon,
    Documented,
    Electricity,
    HourlyPrice,
    Name,
    Price,
    Sourced,
    Span,
)
from roofsim.foundation.units import parse

ROOT = "cost"
"""How paths of terms begin."""
WORDS: Mapping[str, tuple[str, Mapping[str, str]]] = MappingProxyType({
    "price": ("2.5USD/h or 1599USD", {"price_per_hour": "USD/h", "price": "USD"}),
    "lifetime": ("5y", {"lifetime": "s"}),
    "electricity": ("0.15USD/kWh", {"electricity": "USD/kWh"}),
    "carbon": ("400g/kWh", {"carbon": "g/kWh"}),
    "utilisation": ("0.5", {"utilisation": ""}),
    "overhead": ("1.5", {"overhead": ""}),
})  # fmt: skip
"""What people say of terms: how, and which field it is by the unit that it has."""


def change_of(word: str, value: str) -> str:
    """The change, as --set has it, that a term is short for; raises ValueError for what has none of its units."""
    like, fields = WORDS[word]
    for field, unit in fields.items():
        with suppress(ValueError):
            parse(value, unit)
            return f"{ROOT}.{field}={value.strip()}"
    raise ValueError(f"'{value}' cannot be read; write it like {like}")


class Used(Sourced):
    """A part of all hours."""

    value: Annotated[float, Between("", 1e-6, 1)]


class Factor(Sourced):
    """How many times more."""

    value: Annotated[float, Between("", 1, 20)]


class Terms(Documented):
    """What is paid, and what is drawn, for the use of a device."""

    name: str
    """What they are called in full."""
    id: str = ""
    """What they are called in short: their file."""
    aliases: tuple[Name, ...] = ()
    """Other names of a shipped file."""
    price_per_hour: HourlyPrice | None = None
    """What a device costs to rent, with its electricity; else what a node of its cluster does, for each device."""
    price: Price | None = None
    """What a device costs to buy, in place of that of its file."""
    lifetime: Span
    """Over which what was bought is written off."""
    electricity: Electricity
    """What electricity costs, where the device is not rented."""
    carbon: Carbon
    """CO2 of the electricity."""
    utilisation: Used
    """The part of all hours in which it computes: idle hours are paid for, and draw power, too."""
    overhead: Factor | None = None
    """Power at the wall over that of the devices: processors, fans, cooling; else the node's by the file of the
    cluster, or none."""
