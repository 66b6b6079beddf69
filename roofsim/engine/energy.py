"""Energy of a pass: idle power over its time, and what activity, work and traffic add."""

from __future__ import annotations

from math import nan

from roofsim.engine.roofline import Machine
from roofsim.foundation.arith import Number, minimum
from roofsim.foundation.cost import Cost
from roofsim.specs.device import Device


def energy(device: Device, m: Machine, cost: Cost, busy: Number, time: Number) -> Number:
    """Joules of a pass that keeps the device `busy` seconds out of `time`; never more than TDP · time.

    E = idle · time + (TDP − idle) · (p_a · busy + p_f · work at peak + p_b · traffic at full bandwidth), the
    last two in seconds: an active device draws some power of its own, work and traffic add to it. Not a number where
    no TDP is published.
    """
    if device.power.tdp is None:
        return nan  # nothing says what it draws
    tdp = device.power.tdp.value
    idle = device.power.idle.value if device.power.idle else IDLE_SHARE * tdp
    work = cost.matrix / m.matrix_rate + cost.vector / m.vector_rate
    above = m["active_power"] * busy + m["flop_power"] * work + m["byte_power"] * cost.bytes / m.bandwidth
    return minimum(idle * time + (tdp - idle) * above, tdp * time)


IDLE_SHARE = 1 / 10
"""Idle power over TDP where a device file states none: H100 70 of 700 W, RTX 3090 22 of 350 W, A100 48 of 400 W."""
