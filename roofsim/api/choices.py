"""What is chosen from, read: models, axes and points of studies, budgets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from roofsim.api import checked
from roofsim.api.words import ModelLike
from roofsim.foundation.errors import InputError
from roofsim.foundation.schema import Spec
from roofsim.foundation.units import parse_short_count
from roofsim.model.architecture import Architecture
from roofsim.spaces import advise as advising
from roofsim.spaces.axes import axis
from roofsim.spaces.cases import NAMES
from roofsim.spaces.executors import processors
from roofsim.spaces.selection import chosen_models
from roofsim.spaces.sweep import study
from roofsim.specs.calibration import Calibration
from roofsim.specs.cluster import Cluster
from roofsim.specs.device import Device
from roofsim.specs.host import Host
from roofsim.specs.runtime import Runtime
from roofsim.specs.workload import FIELDS

KINDS: Mapping[str, type[Spec]] = {
    "model": Architecture, "device": Device, "runtime": Runtime, "host": Host, "calibration": Calibration,
    "cluster": Cluster,
}  # fmt: skip


def selected(
    models: Sequence[ModelLike], kind: str | None, family: str | None, min_size: object, max_size: object
) -> list[Any]:
    """The models that are named, or all that ship, of a kind, a family and a size."""
    named = [checked.spec("model", each, Architecture) for each in models]
    if kind is not None:
        checked.one_of("kind", kind, ("transformer", "ssm", "hybrid", "moe"))
    sizes = [None if each is None else parameters_of(name, each)
             for name, each in (("min_size", min_size), ("max_size", max_size))]  # fmt: skip
    if family is not None:
        checked.text("family", family)
    found = chosen_models(named, kind, family, *(None if each is None else int(each) for each in sizes))
    if not found:
        raise InputError("no model is of this kind, family and size; roofsim.models() lists them")
    return list(found)


def parameters_of(word: str, value: object) -> float:
    """A number of parameters or of tokens of training: 8B, 350M."""
    if isinstance(value, str):
        try:
            return float(parse_short_count(value))
        except ValueError as error:
            raise InputError(f"{word}: {error}") from None
    return checked.number(word, value)


def choices_of(models: Sequence[object], device: object, runtime: object, **words: object) -> dict[str, Any]:
    """What to choose from, each a list of values."""
    given = _given(device, runtime, words)
    if "device" not in given:
        raise InputError("device: which? A name or several")
    return {"model": list(models), **{name: list(axis(name, each).values) for name, each in given.items()}}


def axes_of(models: Sequence[object], device: object, runtime: object, **words: object) -> dict[str, Any]:
    """Axes of a study by name; one mapping of them may stand in the place of the models."""
    given = _given(device, runtime, words)
    if len(models) == 1 and isinstance(models[0], Mapping):
        whole = checked.mapping("axes", models[0])
        return {**{name: spelled(name, each) for name, each in whole.items()}, **given}
    found = [checked.spec("model", each, Architecture) for each in models]
    return {**({"model": found} if found else {}), **given}


def _given(device: object, runtime: object, words: Mapping[str, object]) -> dict[str, object]:
    """The words that say something, in a form that axes are read from."""
    named = {"device": device, "runtime": runtime, **words}
    changes = _fields(named.pop("set", ()))
    usual = {"calibration": "auto"}
    found = {name: spelled(name, each) for name, each in named.items()
             if each is not None and not (isinstance(each, str) and each == usual.get(name))}  # fmt: skip
    return {**found, **changes}


def spelled(name: str, value: object) -> object:
    """The values of a choice; specs that are named by paths, and None for no calibration, by their texts."""
    if isinstance(value, str):
        return value
    if name in FIELDS:
        return [None if each is None else checked.text(name, each) for each in _plain(name, value)]
    if name not in NAMES:
        return value if not isinstance(value, Iterable) or hasattr(value, "tolist") else _plain(name, value)
    several = checked.several(value)
    listed = list(value) if several and isinstance(value, Iterable) else [value]
    if isinstance(value, Mapping):
        raise InputError(f"{name}: {checked.shown(value)} is not a list")
    if name == "calibration":
        listed = ["none" if each is None else each for each in listed]
    if not listed:
        raise InputError(f"{name}: there is nothing to choose from")
    return [checked.spec(name, each, KINDS[name]) for each in listed]


def _plain(name: str, value: object) -> list[object]:
    if not isinstance(value, Iterable) or isinstance(value, Mapping | bytes):
        raise InputError(f"{name}: {checked.shown(value)} is not a list")
    return list(value)


def _fields(changes: object) -> dict[str, object]:
    """Values of fields by path, from a mapping or from texts such as device.memory.bandwidth=1x,2x."""
    if isinstance(changes, Mapping):
        found = dict(checked.mapping("set", changes))
    else:
        found = {}
        for each in checked.texts("set", changes):
            path, equals, values = each.partition("=")
            if not equals or not values.strip():
                raise InputError(f"set: {each}: write it like device.memory.bandwidth=1x,2x")
            found[path.strip()] = values.strip()
    for path in found:
        if "." not in path:
            raise InputError(f"set: {path}: write it like device.memory.bandwidth=1x,2x")
    return found


def study_of(
    axes: Mapping[str, Any], points: Any, figures: str | Sequence[str] | None, derive: Mapping[str, str] | None,
    where: str | None, sample: int | None, seed: int,
) -> Any:  # fmt: skip
    """The study that is asked for, checked."""
    listed = None
    if points is not None:
        if not checked.several(points) or isinstance(points, Mapping):
            raise InputError(f"points: {checked.shown(points)} is not a list of mappings")
        listed = [{name: spelled(name, value) for name, value in checked.mapping("points", each).items()}
                  for each in points]  # fmt: skip
        listed = [{n: v[0] if isinstance(v, list) and len(v) == 1 else v for n, v in each.items()} for each in listed]
    derived = None if derive is None else checked.words("derive", derive)
    return study(
        axes, points=listed, figures=None if figures is None else checked.names("figures", figures), derive=derived,
        where=None if where is None else checked.text("where", where),
        sample=None if sample is None else checked.count("sample", sample), seed=seed_of(seed),
    )  # fmt: skip


def seed_of(value: object) -> int:
    """What drawing begins with; raises InputError."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"seed: {checked.shown(value)} is not a whole number")
    return value


def workers_of(value: object) -> int | None:
    """A number of processes, None for one a processor; raises InputError."""
    return None if value is None else checked.count("workers", value)


def processes_of(value: object) -> int:
    """As `workers_of`, counted."""
    return workers_of(value) or processors()


def budget_limit(name: str, value: object) -> float:
    """The limit of a budget in SI units; raises InputError for one that there is not."""
    checked.one_of("budgets", name, advising.BUDGETS)
    if name == "context":
        return float(checked.count(name, value))
    return checked.number(name, value, advising.BUDGETS[name].unit)
