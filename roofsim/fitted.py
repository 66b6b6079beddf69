"""A calibration on a setup: whether it is for it, what can be taken over to a sibling, and where the data end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from roofsim.errors import InputError, Unsupported
from roofsim.ops.base import Kind
from roofsim.parameters import PARAMETERS
from roofsim.passes import Pass
from roofsim.prediction import Setup
from roofsim.roofline import machine
from roofsim.specs import library
from roofsim.specs.calibration import NORMAL_95, Calibration, Covariance, Estimate
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


def transferred(c: Calibration, s: Setup) -> Calibration:
    """The calibration of a sibling for this setup: its efficiencies and times of kernels, the device's own peaks.

    Variances grow by the square of what such parameters differ by between devices. A parameter of the host is kept
    only behind the same host, one that the new device states itself is as it states.
    """
    same_host = s.host is not None and s.host.id == c.host
    alike = _sort(c.device) == (s.device.vendor, s.device.kind)
    share = SIBLING if alike and s.runtime.id == c.runtime else STRANGER
    own = machine(s.device, s.host, s.device.default_dtype).parameters
    kept, added = {}, {}
    for name, each in c.parameters.items():
        row = PARAMETERS[name]
        foreign = (row.scope == "host" and not same_host) or (row.scope == "runtime" and s.runtime.id != c.runtime)
        stated = name in MEASURED_APART and name in s.device.parameters
        same = (row.scope == "host" and same_host) or (row.scope == "runtime" and s.runtime.id == c.runtime)
        if foreign or stated:
            value, more = float(own[name]), row.free_spread
        else:
            value, more = each.value, 0.0 if same else share * row.free_spread
        kept[name], added[name] = (value, each.determined and not (foreign or stated), foreign or stated), more
    names = c.covariance.names
    lower = tuple(
        tuple(_entry(c, i, j, kept, added) for j in range(i + 1)) for i in range(len(names))
    )  # fmt: skip
    estimates = {}
    for name, (value, fitted, _) in kept.items():
        row, i = PARAMETERS[name], names.index(name) if name in names else -1
        width = NORMAL_95 * (lower[i][i] ** 0.5 if i >= 0 else row.free_spread)
        centre = row.free(value)
        estimates[name] = Estimate(
            value=value, low=row.bounded(centre - width), high=row.bounded(centre + width),
            prior=c.parameters[name].prior, determined=fitted,
        )  # fmt: skip
    note = f"transferred from {c.device} with {c.runtime}: efficiencies from there, peaks from the device file"
    return c.model_copy(
        update={
            "device": s.device.id,
            "runtime": s.runtime.id,
            "host": s.host.id if s.host else None,
            "parameters": estimates,
            "covariance": Covariance(names=names, lower=lower),
            "notes": (*c.notes, note),
            "transferred_from": c.device,
        }
    )


MEASURED_APART = ("workspace",)
"""Parameters that a device file states as the software defines them, so that a sibling's are no better."""


def _entry(
    c: Calibration, i: int, j: int, kept: Mapping[str, tuple[float, bool, bool]], added: Mapping[str, float]
) -> float:
    """One entry of the transferred covariance: what is not taken over has the prior's variance alone."""
    a, b = c.covariance.names[i], c.covariance.names[j]
    old = 0.0 if kept[a][2] or kept[b][2] else c.covariance.lower[i][j]
    return old + (added[a] ** 2 if i == j else 0.0)


def _sort(device: str) -> tuple[str, str] | None:
    """Vendor and kind of a device, None if it is not among those that can be found."""
    try:
        found = library.device(device)
    except InputError:
        return None
    return found.vendor, found.kind


def outside(s: Setup, w: Workload) -> Iterator[str]:
    """What of a workload the data of the calibration did not reach, in words."""
    c = s.calibration
    if c is None:
        return
    yield from _beyond("batch", w.batch, c.covered.batch)
    yield from _beyond("prompt", w.prompt, c.covered.tokens, "tokens")
    kinds: set[Kind] = {o.kind for row in s.architecture.rows(Pass(1, 2, 0)) for o in row.operators}
    missing = sorted(kinds - set(c.covered.kinds))
    if missing:
        yield f"{s.architecture.id} has operators that were not measured: {', '.join(missing)}"


def _beyond(what: str, value: object, span: tuple[int, int], unit: str = "") -> Iterator[str]:
    if isinstance(value, int) and not span[0] <= value <= span[1]:
        yield f"{what} {value:,} is outside the {span[0]:,} to {span[1]:,} {unit}".rstrip() + " that were measured"
