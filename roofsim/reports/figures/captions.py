"""What stands above a figure: for which model, device, stack and workload it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from roofsim import library
from roofsim.foundation.errors import RoofsimError
from roofsim.prediction.results import columns, interval_basis
from roofsim.specs.device import Device
from roofsim.specs.runtime import Runtime
from roofsim.specs.workload import Workload


def asked(workload: Workload | Mapping[str, Any], *without: str) -> str:
    """Weights, batch and lengths in words, but for what the figure itself varies."""
    found = workload if isinstance(workload, Mapping) else columns(workload)
    values = {name: value for name, value in found.items() if name not in without and value is not None}
    dtype, kept = values.get("dtype"), values.get("weight_format")
    said = [f"{kept or dtype} weights"] if kept or dtype else []
    if kept not in (None, dtype):
        said.append(f"{dtype} activations")
    if values.get("cache_dtype") not in (None, dtype):
        said.append(f"{values['cache_dtype']} cache")
    if values.get("logits"):
        said.append("logits of all positions" if values["logits"] == "all" else "logits of the last position")
    for name, words in (("batch", "batch {:,}"), ("prompt", "prompt {:,}"), ("generate", "{:,} generated")):
        if isinstance(values.get(name), int):
            said.append(words.format(values[name]))
    return ", ".join(said)


def on(device: str, runtime: str = "", model: str = "") -> str:
    """The model, the device and the stack, or those of them that there are."""
    where = " on ".join(filter(None, (model, device)))
    return " with ".join(filter(None, (where, runtime)))


def called(kind: str, name: str) -> str:
    """A device or a runtime as people call it; everything else by the name that it has."""
    read: Mapping[str, Callable[[str], Device | Runtime]] = {"device": library.device, "runtime": library.runtime}
    try:
        return read[kind](name).name if kind in read else name
    except RoofsimError:  # a device of one's own, a file that has gone, or a name of another version
        return name


def where(found: Ran) -> str:
    """The device and the runtime of what was measured, as people call them."""
    return on(called("device", found.device), called("runtime", found.runtime))


class Ran(Protocol):
    """What was measured somewhere."""

    @property
    def device(self) -> str:
        """By name."""

    @property
    def runtime(self) -> str:
        """By name."""


def rests_on(calibrations: Iterable[str | None]) -> str:
    """What the intervals of several figures rest on, in words."""
    bases = sorted({interval_basis(each) for each in calibrations})
    return f"95 % interval, {' or '.join(bases)}"


def shared(
    model: Sequence[str], device: Sequence[str], runtime: Sequence[str], work: Sequence[Workload], *without: str
) -> list[str]:  # fmt: skip
    """The same of several cases, two lines: what differs between them is left out, panels say it."""
    m, d, r = (each[0] if len(set(each)) == 1 else "" for each in (model, device, runtime))
    where = " with ".join(each for each in (f"{m} on {d}" if m and d else m or d, r) if each)
    fields = [columns(each) for each in work]
    differ = [name for name in fields[0] if len({str(each[name]) for each in fields}) > 1]
    return [where, asked(work[0], *differ, *without)]


def apart(
    model: Sequence[str], device: Sequence[str], runtime: Sequence[str], work: Sequence[Workload | Mapping[str, Any]]
) -> list[str]:
    """What tells several cases apart, a title for each; their numbers where nothing does."""
    shown = [each for each in (model, device, runtime) if len(set(each)) > 1]
    fields = [each if isinstance(each, Mapping) else columns(each) for each in work]
    same = [name for name in fields[0] if len({str(each[name]) for each in fields}) == 1]
    titles = [
        ", ".join(filter(None, (*(each[i] for each in shown), asked(own, *same)))) for i, own in enumerate(fields)
    ]
    return titles if len(set(titles)) == len(titles) else [f"{title} ({i})" for i, title in enumerate(titles, 1)]
