"""A calibration on a setup: whether it is for it, what can be taken over to a sibling, and where the data end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import log
from typing import Literal

from roofsim import library
from roofsim.engine.roofline import OF_PRODUCTS, machine
from roofsim.foundation.errors import InputError, Unsupported
from roofsim.foundation.parameters import PARAMETERS
from roofsim.foundation.schema import variant
from roofsim.foundation.values import dataclass
from roofsim.model.step import Pass
from roofsim.ops.base import Kind
from roofsim.prediction.setup import Setup
from roofsim.specs.calibration import NORMAL_95, Calibration, Covariance, Estimate, Reach
from roofsim.specs.workload import Workload

SIBLING, STRANGER = 0.5, 1.0
"""By how many of the priors' standard deviations an efficiency may differ on another device of the same vendor and
kind, and on any other: the H100's and A100's fits to the same operators of vLLM differ by 0.4 (docs/calibration.md)."""


def calibrated(s: Setup, c: Calibration, *, transfer: bool = False) -> Setup:
    """The setup with a calibration, which must be of its device and runtime unless it may be transferred.

    Raises Unsupported if it is of others.
    """
    device, runtime = s.device.id == c.device, s.runtime.id == c.runtime
    if device and runtime:
        return replace(s, calibration=c)
    name = c.id or c.name
    if not transfer:
        wrong = f"device {c.device}, not {s.device.id}" if not device else f"runtime {c.runtime}, not {s.runtime.id}"
        raise Unsupported(f"calibration {name} is of {wrong}; --transfer takes over what can be, with wider intervals")
    return replace(s, calibration=transferred(c, s))


AUTO, NONE = "auto", "none"
"""In the place of a calibration's name: the shipped one that fits, and none at all."""


def chosen(s: Setup, calibration: str | Calibration | None = AUTO, *, transfer: bool = False) -> Setup:
    """The setup with a calibration by name, path or value, with the shipped one that fits it (`auto`), or with none
    (`none` or None).

    If none fits, `transfer` takes over the nearest; without it that one is named. Raises InputError if there is nothing
    to transfer, Unsupported for one that is named and of another device or runtime.
    """
    if isinstance(calibration, Calibration):
        return calibrated(s, calibration, transfer=transfer)
    if calibration is None or calibration == NONE:
        if transfer:
            raise InputError("--transfer: transfers a calibration, and --calibration none wants none")
        return s
    if calibration != AUTO:
        return calibrated(s, library.calibration(calibration), transfer=transfer)
    if fitting := _fitting(s):
        return calibrated(s, fitting)
    near = _nearest(s)
    if not transfer:
        return replace(s, near=f"{near[0]} is of {near[1]}" if near else "")
    if near is None:
        base = s.device.id.partition("@")[0]
        raise InputError(
            f"--transfer: no shipped calibration of {s.runtime.id} is of {base} or of a device like it; name one with "
            "--calibration (`roofsim calibrations` lists them)"
        )
    return calibrated(s, library.calibration(near[0]), transfer=True)


def _fitting(s: Setup) -> Calibration | None:
    """The shipped calibration of this device, mode and runtime; of several the one that knows most of such a model.

    One of single operators is not taken by itself: the gaps between kernels that are timed one by one count as theirs.
    """
    names = [name for name, stack in library.stacks().items() if stack == (s.device.id, s.runtime.id)]
    found = [c for c in map(library.calibration, names) if c.of_passes]
    kinds = _kinds(s) if len(found) > 1 else set()
    return max(found, key=lambda c: (len(kinds & set(c.covered.kinds)), c.dataset.used), default=None)


def _nearest(s: Setup) -> tuple[str, str] | None:
    """The shipped calibration that is most like this setup, and in what it differs; None if none is like it.

    With the same runtime: the device's operators, another mode of it, the sibling of the nearest bandwidth, passes
    before single operators. Else the same device with another version of the software.
    """
    base, lowering = s.device.id.partition("@")[0], s.runtime.lowering.partition("_")[0]
    found: list[tuple[int, bool, float, str, str]] = []
    for name, (device, runtime) in library.stacks().items():
        same_base = device.partition("@")[0] == base
        if runtime == s.runtime.id and (same_base or _sort(device) == (s.device.vendor, s.device.kind)):
            if device == s.device.id:
                found.append((0, False, 0, name, "single operators"))
                continue
            speeds = library.device(device).memory.bandwidth.value, s.device.memory.bandwidth.value
            of_operators = not library.calibration(name).of_passes
            found.append((1 if same_base else 2, of_operators, abs(log(float(speeds[0] / speeds[1]))), name, device))
        elif same_base and library.runtime(runtime).lowering.partition("_")[0] == lowering:
            found.append((3, False, 0 if device == s.device.id else 1, name, runtime))
    return min(found)[3:] if found else None


@dataclass(frozen=True, slots=True)
class _Moved:
    """A parameter of a transfer: its value, whether it was taken over, and the variance that the move adds."""

    value: float
    taken: bool
    more: float


def transferred(c: Calibration, s: Setup) -> Calibration:
    """The calibration of a sibling for this setup: its efficiencies and times of kernels, the device's own peaks.

    Variances grow by the square of what such parameters differ by between devices; those of the host as well, since
    another device stands in another machine. What is of another host, or what the new device states as the software
    defines it, is not taken over.
    """
    alike = _sort(c.device) == (s.device.vendor, s.device.kind) and s.runtime.id == c.runtime
    share = SIBLING if alike else STRANGER
    same_host = s.host is not None and s.host.id == c.host
    own = machine(s.device, s.host, s.device.default_dtype, None, s.runtime).parameters
    spreads = s.priors.spreads
    moved = {}
    for name, each in c.parameters.items():
        row = PARAMETERS[name]
        stays = (row.scope == "host" and not same_host) or (name in MEASURED_APART and name in library.stated(s.device))
        if stays:
            moved[name] = _Moved(float(own[name]), False, spreads[name] ** 2)
        else:
            moved[name] = _Moved(each.value, True, (share * spreads[name]) ** 2)
    covariance = _widened(c.covariance, moved)
    variances = {name: row[-1] for name, row in zip(covariance.names, covariance.lower, strict=True)}
    estimates = {}
    for name, m in moved.items():
        row, old = PARAMETERS[name], c.parameters[name]
        centre, width = row.free(m.value), NORMAL_95 * variances.get(name, spreads[name] ** 2) ** 0.5
        low, high = row.bounded(centre - width), row.bounded(centre + width)
        fitted = old.determined and m.taken
        estimates[name] = Estimate(value=m.value, low=low, high=high, prior=old.prior, determined=fitted)
    note = f"transferred from {c.device} with {c.runtime}: efficiencies from there, peaks from the device file"
    changes = {
        "device": s.device.id,
        "runtime": s.runtime.id,
        "host": s.host.id if s.host else None,
        "parameters": estimates,
        "covariance": covariance,
        "notes": (*c.notes, note),
        "transferred_from": c.device,
    }
    return variant(c, **changes)


MEASURED_APART = ("workspace",)
"""Parameters that a device file states as the software defines them, so that a sibling's are no better."""


def _widened(c: Covariance, moved: Mapping[str, _Moved]) -> Covariance:
    """The covariance after a transfer: what is not taken over has the prior's variance and goes with nothing."""
    lower = []
    for i, a in enumerate(c.names):
        row = [c.lower[i][j] if moved[a].taken and moved[b].taken else 0.0 for j, b in enumerate(c.names[: i + 1])]
        row[i] += moved[a].more
        lower.append(tuple(row))
    return Covariance(names=c.names, lower=tuple(lower))


def _sort(device: str) -> tuple[str, str] | None:
    """Vendor and kind of a device, None if it is not among those that can be found."""
    try:
        found = library.device(device)
    except InputError:
        return None
    return found.vendor, found.kind


def outside(s: Setup, w: Workload) -> Iterator[str]:
    """What of a workload the data of the calibration did not reach, in words."""
    if s.calibration:
        yield from s.calibration.covered.lacks(reach(s, w))


def reach(s: Setup, w: Workload) -> Reach:
    """What a workload asks of the data of a calibration."""
    kinds = _kinds(s)
    return Reach(w.batch, w.prompt, s.model_name, kinds, *s.formats(w, kinds))


Doubt = Literal["", "scatter", "rates"]
"""What is in doubt where the data of a calibration do not reach: nothing, how figures scatter, rates of products."""


def doubt(s: Setup, r: Reach) -> Doubt:
    """How far the data of the calibration, if there is one, fall short of what is asked."""
    covered = s.calibration.covered if s.calibration else None
    if covered is None or not any(covered.lacks(r)):
        return ""
    return "scatter" if covered.tells_rates(r) else "rates"


def doubted(s: Setup, doubt: Doubt) -> Setup:
    """The setup with a calibration that is less sure of what its data did not reach (docs/decisions/063).

    Figures there scatter as those of the population do, if that is more. Where data do not tell the rates at which
    weights are read and multiplied, these are as uncertain as in the population: formats have kernels of their own.
    So is what a fit knew only together with them, and less well by itself than the population does.
    """
    c = s.calibration
    if c is None or not doubt:
        return s
    scatter = tuple(variant(x, sigma=max(x.sigma, s.priors.scatter_of(x.metric, x.phase, x.host))) for x in c.scatter)
    covariance = _without_rates(c.covariance, s.priors.spreads) if doubt == "rates" else c.covariance
    return replace(s, calibration=variant(c, scatter=scatter, covariance=covariance))


def _without_rates(c: Covariance, spreads: Mapping[str, float]) -> Covariance:
    """The covariance of what is known better than in the population if the rates of products are not."""
    own = zip(c.names, (row[-1] for row in c.lower), strict=True)
    worse = {name for name, variance in own if variance > spreads[name] ** 2}
    return c.without(OF_PRODUCTS | worse)


def unsure(s: Setup, r: Reach) -> Setup:
    """The setup, as sure of what is asked as the data of its calibration allow."""
    return doubted(s, doubt(s, r))


def _kinds(s: Setup) -> set[Kind]:
    """The kinds of operator in the model, if there is one."""
    if s.architecture is None:
        return set()
    return {o.kind for row in s.architecture.rows(Pass(1, 2, 0)) for o in row.operators}
