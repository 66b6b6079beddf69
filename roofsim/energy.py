"""Energy of a pass: idle power over its time, and what work and traffic add."""

from __future__ import annotations

from roofsim.arith import Number, minimum
from roofsim.cost import Cost
from roofsim.roofline import Machine
from roofsim.specs.device import Device


def energy(device: Device, m: Machine, cost: Cost, time: Number) -> Number:
    """Joules: idle · t + e_F · FLOP + e_B · bytes, never more than TDP · t.

    Energy per FLOP and per byte are the shares `flop_power` and `byte_power` of what the device draws above
    idle, at its peak rates; vector work is charged like matrix work of the same duration.
    """
    tdp = device.power.tdp.value
    idle = device.power.idle.value if device.power.idle else IDLE_SHARE * tdp
    busy = m["flop_power"] * (cost.matrix / m.matrix_rate + cost.vector / m.vector_rate)
    moved = m["byte_power"] * cost.bytes / m.bandwidth
    return minimum(idle * time + (tdp - idle) * (busy + moved), tdp * time)


IDLE_SHARE = 1 / 10
"""Idle power over TDP where a device file states none: H100 70 of 700 W, RTX 3090 22 of 350 W, A100 48 of 400 W."""
