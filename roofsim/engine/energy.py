"""Energy of a pass: what a device draws while it waits for work, and what activity, work and traffic add."""

from __future__ import annotations

from math import nan

from roofsim.engine.roofline import Machine, Terms, traffic
from roofsim.foundation.arith import Number, maximum, share
from roofsim.foundation.values import dataclass
from roofsim.lowering.kernels import Kernel
from roofsim.specs.device import Device

IDLE_SHARE = 1 / 10
"""Idle power over TDP where a device file states none: H100 70 of 700 W, RTX 3090 22 of 350 W, A100 48 of 400 W."""
GIVES_WAY = 0.9
"""Share of the limit's room above waiting at which clocks begin to give way (tools/fit_power.py on an H100)."""


@dataclass(frozen=True, slots=True)
class Activity:
    """What kernels do that draws power, in seconds: units at work, work at its peak rate, traffic at full bandwidth."""

    active: Number = 0
    work: Number = 0
    traffic: Number = 0

    def __add__(self, other: Activity) -> Activity:
        """Both together."""
        return Activity(self.active + other.active, self.work + other.work, self.traffic + other.traffic)

    @property
    def shared(self) -> Activity:
        """The same, as numbers that several others are made of."""
        return Activity(share(self.active), share(self.work), share(self.traffic))

    def __mul__(self, count: Number) -> Activity:
        """So many times over."""
        return Activity(self.active * count, self.work * count, self.traffic * count)


def activity(kernel: Kernel, t: Terms, m: Machine) -> Activity:
    """What one launch does; in the fixed part of its time nothing is at work."""
    work = kernel.cost.matrix / m.rate(kernel.unit) + kernel.cost.vector / m.vector_rate
    return Activity(t.working, work, traffic(kernel.cost, m, kernel.uses) / m.bandwidth)


@dataclass(frozen=True, slots=True)
class Joules:
    """The energy of a pass by what draws it: the device at `idle`, its clocks that are up while it is `waiting` for
    work, units that are `active`, their `work`, and `traffic` to memory.
    """

    idle: Number
    waiting: Number
    active: Number
    work: Number
    traffic: Number


def energy(device: Device, m: Machine, time: Number, done: Activity) -> Number:
    """Joules of a pass of `time` seconds: E = (idle + p_w · full) · time + units + memory, less what the limit denies.

    Units draw full · (p_a · active + p_f · work), memory full · p_b · traffic; `full` is what the whole device at work
    draws beyond idle. Not a number where no limit is published.
    """
    if device.power.tdp is None:
        return nan  # nothing says what it draws
    asked = _asked(device, m, done)
    return waiting_power(device, m) * time + _sum(asked) * _granted(device, m, time, _sum(asked))


def joules(device: Device, m: Machine, time: Number, done: Activity) -> Joules:
    """The parts of `energy`; what the limit denies is taken from all that is asked for alike."""
    if device.power.tdp is None:
        return Joules(nan, nan, nan, nan, nan)
    asked = _asked(device, m, done)
    drawn = asked * _granted(device, m, time, _sum(asked))
    return Joules(idle_power(device) * time, _waiting(device, m) * time, drawn.active, drawn.work, drawn.traffic)


def units_energy(device: Device, m: Machine, time: Number, done: Activity) -> Number:
    """Joules of it that the computing units draw beyond what they draw at idle: what a supply of theirs alone sees."""
    asked = _asked(device, m, done)
    return (asked.active + asked.work) * _granted(device, m, time, _sum(asked))


def waiting_power(device: Device, m: Machine) -> Number:
    """Watts of a device that a program holds, its clocks up, whether a kernel runs or not: idle + p_w · full."""
    return idle_power(device) + _waiting(device, m)


def full_power(device: Device) -> Number:
    """Watts that the whole device at work would draw beyond idle at its clocks: TDP − idle unless stated."""
    return device.power.dynamic.value if device.power.dynamic else _limit(device) - idle_power(device)


def _granted(device: Device, m: Machine, time: Number, asked: Number) -> Number:
    """The share of the joules asked for that is drawn: clocks give way, so that the mean power stays below the limit.

    Of x times the room above waiting, e = max(x − x₀, 0) is beyond where clocks begin to give way; x₀ + e r / (e + r)
    is drawn, r = 1 − x₀: all of it at first, and never more than there is.
    """
    room = (_limit(device) - waiting_power(device, m)) * time
    beyond = maximum(asked / room - GIVES_WAY, 0)
    left = 1 - GIVES_WAY
    return (GIVES_WAY + beyond * left / (beyond + left)) / (GIVES_WAY + beyond)


def _waiting(device: Device, m: Machine) -> Number:
    return m["waiting_power"] * full_power(device)


def _asked(device: Device, m: Machine, done: Activity) -> Activity:
    """Joules that activity, work and traffic would draw without a limit."""
    full = full_power(device)
    return Activity(
        full * m["active_power"] * done.active, full * m["flop_power"] * done.work,
        full * m["byte_power"] * done.traffic,
    )  # fmt: skip


def _sum(asked: Activity) -> Number:
    return asked.active + asked.work + asked.traffic


def idle_power(device: Device) -> Number:
    """Watts that a device draws when nothing runs."""
    return device.power.idle.value if device.power.idle else IDLE_SHARE * _limit(device)


def _limit(device: Device) -> Number:
    """TDP in watts; where none is published, no number: nothing says what the device draws."""
    return device.power.tdp.value if device.power.tdp else nan
