"""What if: a setup with fields of its specs changed, as `--set` writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from roofsim.foundation.errors import InputError, UnknownName
from roofsim.foundation.parameters import PARAMETERS
from roofsim.foundation.units import finite
from roofsim.prediction.places import parameter_at
from roofsim.prediction.setup import Setup, check_divided


def what_if(found: Setup, changes: Sequence[str]) -> Setup:
    """A setup with changes such as `device.memory.bandwidth=2x` or `parameters.gemm_efficiency=0.9` applied.

    What the device or the host then states wins over a calibration. Raises InputError for a path that is not there and
    for a value that cannot be.
    """
    if not changes:
        return found
    from roofsim.specs.override import changed  # what checks specs takes longer to import than a prediction

    by_root: dict[str, list[tuple[str, str]]] = {
        "device": [], "cluster": [], "model": [], "runtime": [], "host": [], "parameters": [], "cost": [],
    }  # fmt: skip
    for change in changes:
        path, equals, value = change.partition("=")
        root, _, rest = path.strip().partition(".")
        if not equals or not rest:
            raise InputError(f"--set {change}: write it like device.memory.bandwidth=2x")
        if root not in by_root:
            raise UnknownName("--set", root, by_root)
        by_root[root].append((rest, value.strip()))
    if by_root["cluster"] and found.cluster is None:
        raise InputError("--set cluster: one device is used; name a cluster, or several devices with --tp")
    made = replace(
        found,
        device=changed(found.device, "device", by_root["device"]),
        architecture=changed(found.architecture, "model", by_root["model"]),
        runtime=changed(found.runtime, "runtime", by_root["runtime"]),
        host=changed(found.host, "host", by_root["host"]) if found.host else None,
        cluster=changed(found.cluster, "cluster", by_root["cluster"]) if found.cluster else None,
        terms=changed(found.terms, "cost", by_root["cost"]),
        changes=tuple(changes),
    )
    check_divided(made.architecture, made.device, made.runtime, made.split, made.cluster)
    return replace(made, parameters={**_restated(found, made, by_root), **_parameters(found, by_root["parameters"])})


def _restated(found: Setup, made: Setup, by_root: Mapping[str, Sequence[tuple[str, str]]]) -> dict[str, float]:
    """Parameters that a change of the device or the host states anew: it wins over a fit, of which factors are."""
    uncalibrated = replace(made, calibration=None).machine(made.device.default_dtype).parameters
    values = {}
    for root in ("device", "host"):
        for path, text in by_root[root]:
            name = parameter_at(f"{root}.{path}")
            if name and name in found.fitted:
                factor = text.endswith("x")
                values[name] = float(text[:-1]) * found.fitted[name] if factor else float(uncalibrated[name])
    return values


def _parameters(s: Setup, changes: Sequence[tuple[str, str]]) -> dict[str, float]:
    now = s.machine(s.device.default_dtype).parameters
    values = {}
    for name, text in changes:
        row = PARAMETERS.get(name)
        if row is None:
            raise UnknownName("--set parameters", name, PARAMETERS)
        try:
            value = finite(text[:-1]) * float(now[name]) if text.endswith("x") else finite(text)
        except ValueError:
            what, like = f"number{f' in {row.unit}' if row.unit else ''}", f"{float(now[name]):.3g} or 2x"
            raise InputError(f"--set parameters.{name}: '{text}' is not a {what}; write {like}") from None
        if not row.low <= value <= row.high:
            raise InputError(f"--set parameters.{name}: {value:g} is not from {row.low:g} to {row.high:g}")
        values[name] = value
    return values
