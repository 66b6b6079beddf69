"""On which terms a device is used: rented or bought, for how long, with what electricity."""

from __future__ import annotations

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
