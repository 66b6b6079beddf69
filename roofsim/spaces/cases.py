"""Every combination of what can be chosen: models, devices, runtimes, formats, and settings of their fields."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import product
from typing import Any

from roofsim import library
from roofsim.foundation.errors import InputError, UnknownName, Unsupported
from roofsim.foundation.values import dataclass
from roofsim.model.split import RANKS, Split
from roofsim.prediction.fitted import AUTO, NONE, chosen
from roofsim.prediction.places import COUNTS, SPECS
from roofsim.prediction.request import settled
from roofsim.prediction.setup import DEFAULT_RUNTIME, Setup, setup
from roofsim.prediction.what_if import what_if
from roofsim.specs.workload import FIELDS, Workload, workload

NAMES = ("model", "device", "runtime", "host", "calibration", "cluster")
"""Specs that are chosen by name; those from the runtime on have a default."""

OFFLOAD = "offload"
"""The choice of what lies in the memory of the host."""

Choices = Mapping[str, Sequence[Any]]
"""What to choose from, by the name of the choice: one of `NAMES`, `RANKS`, `FIELDS`, the counts of a workload,
`OFFLOAD`, or the path of a field as --set has it, whose values are then written as there (`2x`, `500 GB/s`)."""


@dataclass(frozen=True, slots=True)
class Case:
    """One combination: what was chosen, by name, and what it is to be predicted with.

    `refused` says why it cannot be run; then there is no setup or no workload.
    """

    chosen: Mapping[str, Any]
    setup: Setup | None
    workload: Workload | None
    refused: str | None = None


def known(name: str) -> bool:
    """Whether something of this name can be chosen."""
    root, dot, _ = name.partition(".")
    return name in (*NAMES, *RANKS, *FIELDS, *COUNTS, OFFLOAD) or bool(dot and root in (*SPECS, "parameters"))


def check(choices: Choices) -> None:
    """Raises UnknownName for a choice that there is not."""
    for name in choices:
        if not known(name):
            raise UnknownName(
                "axes", name,
                [*NAMES, *RANKS, *FIELDS, *COUNTS, OFFLOAD, *(f"{each}." for each in (*SPECS, "parameters"))],
            )  # fmt: skip


def cases(choices: Choices) -> Iterator[Case]:
    """All combinations, the last choice varying fastest.

    Raises InputError for what is wrong whatever it is combined with, such as a name that there is not; what does not go
    together is a case that says why.
    """
    check(choices)
    found = Specs()
    for values in product(*choices.values()):
        yield case(dict(zip(choices, values, strict=True)), found)


OPTIONAL = ("host", "calibration")
"""Choices that may be `none`: what calls itself so elsewhere is no such name."""


class Specs:
    """Specs by name, each looked up once; `transfer` lets calibrations be used of other devices and runtimes."""

    def __init__(self, transfer: bool = False) -> None:
        self.transfer = transfer
        self.device: Callable[[str], Any] = cache(library.device)
        self.model: Callable[[str], Any] = cache(library.architecture)
        self.runtime: Callable[[str], Any] = cache(library.runtime)
        self.host: Callable[[str], Any] = cache(library.host)
        self.calibration: Callable[[str], Any] = cache(library.calibration)
        self.cluster: Callable[[str], Any] = cache(library.cluster)

    def of(self, kind: str, name: Any) -> Any:
        """The spec of a name; a spec is itself."""
        return getattr(self, kind)(name) if isinstance(name, str) else name


def label(name: str, value: Any, specs: Specs) -> str:
    """What a choice is called: a spec by its own name, whatever alias it was asked by; other values as they are."""
    if name not in NAMES or (name in OPTIONAL and value in (AUTO, NONE)):
        return str(value)
    found = specs.of(name, value)
    return str(found.id or found.name)


def case(picked: Mapping[str, Any], specs: Specs) -> Case:
    """The case of one combination."""
    try:
        found = setup_of(picked, specs)
    except Unsupported as error:
        return Case(picked, None, None, str(error))
    except InputError as error:
        if not any(name in picked for name in RANKS):
            raise
        return Case(picked, None, None, str(error))
    asked = workload(**{"dtype": found.device.default_dtype, **fields_of(picked)})
    try:
        found.machine(asked.dtype)
        found.precision(settled(found, asked))
    except Unsupported as error:
        return Case(picked, found, None, str(error))
    asked = settled(found, asked)
    try:
        return Case(picked, divided(found, asked, picked), asked)
    except Unsupported as error:
        return Case(picked, found, None, str(error))


def divided(s: Setup, w: Workload, picked: Mapping[str, Any]) -> Setup:
    """The setup with what was chosen to lie in the memory of the host; raises Unsupported where that cannot be.

    What is looked for depends on the numbers of the request: it stays open until they are chosen.
    """
    if picked.get(OFFLOAD) is None or (open_division(picked) and not all(name in picked for name in COUNTS)):
        return s
    from roofsim.prediction.offload import offloaded

    return offloaded(s, w, picked[OFFLOAD])


def open_division(picked: Mapping[str, Any]) -> bool:
    """Whether the best division is asked for, which is another for every request."""
    return picked.get(OFFLOAD) == AUTO


def fields_of(picked: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a workload among what was chosen."""
    fields = {field: picked[name] for name, field in FIELDS.items() if picked.get(name) is not None}
    return {**fields, **{name: picked[name] for name in COUNTS if name in picked}}


def setup_of(picked: Mapping[str, Any], specs: Specs) -> Setup:
    """The setup of one combination; raises Unsupported if its parts do not go together."""
    model, device = specs.of("model", picked["model"]), specs.of("device", picked["device"])
    runtime = specs.of("runtime", picked.get("runtime") or DEFAULT_RUNTIME)
    host = picked.get("host") or device.host
    split = Split(**{name: picked[name] for name in RANKS if name in picked})
    cluster = specs.of("cluster", picked["cluster"]) if picked.get("cluster") else None
    found = setup(model, device, runtime, specs.of("host", host) if host else None, split, cluster)
    calibration = picked.get("calibration", AUTO)
    fit = calibration if calibration == AUTO else specs.of("calibration", calibration)
    found = chosen(found, fit, transfer=specs.transfer)
    return what_if(found, [f"{path}={value}" for path, value in picked.items() if "." in path])
