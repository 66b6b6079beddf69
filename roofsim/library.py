"""Finding specs by name, alias or path: `hardware/`, `models/` and `runtimes/`, and the folders in them.

A member of a family of architectures is named by the family and what is to be otherwise: `dense:width=1024:depth=16`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from roofsim.foundation.errors import InputError, SpecError, UnknownName
from roofsim.foundation.quantity import Documented, Sourced
from roofsim.foundation.schema import Spec, assembled, plain
from roofsim.foundation.units import parse_count, parse_short_count
from roofsim.model.architecture import Architecture
from roofsim.specs.cache import kept
from roofsim.specs.calibration import Calibration
from roofsim.specs.device import Device, Modes
from roofsim.specs.host import Host
from roofsim.specs.implementation import NOTHING_KNOWN, Facts, Implementation
from roofsim.specs.population import Population, Priors, device_class, runtime_class
from roofsim.specs.runtime import Runtime

if TYPE_CHECKING:
    from roofsim.adapters.published.read import Published
    from roofsim.specs.cluster import Cluster
    from roofsim.specs.family import Family
    from roofsim.specs.scaling import ScalingLaw
    from roofsim.specs.terms import Terms

S = TypeVar("S", bound=Spec)

GGUF = ".gguf"
"""How the names of GGUF files end."""


def folder(kind: str) -> Path:
    """`hardware`, `models` or `runtimes`: inside an installed package, else beside it in a checkout."""
    packaged = Path(__file__).resolve().parent / "data" / kind
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[1] / kind


@lru_cache
def names(kind: str) -> Mapping[str, Path]:
    """The specs that are shipped, by name."""
    found = _files(str(folder(kind)), inside=kind == "models")
    return {path.stem: path for path in map(Path, found)}


def _files(folder: str, inside: bool) -> Iterator[str]:
    """The YAML files of a folder in order, and of the folders `inside` it."""
    for each in sorted(os.scandir(folder), key=lambda each: each.name):
        if each.name.endswith(".yaml"):
            yield each.path
        elif inside and each.is_dir() and each.name != os.path.basename(FAMILIES):
            yield from _files(each.path, inside)


FAMILIES = "models/families"
SCALING = "models/families/scaling"


TOP = 1024
"""Bytes of a file in which its aliases are looked for: every one is opened whenever an alias is given."""

_ALIASES = re.compile(r"^aliases: *\[(.*)\]", re.MULTILINE)


@lru_cache
def aliases(kind: str) -> Mapping[str, str]:
    """Short names and what they stand for, read without parsing files: one line `aliases: [a, b]` near the top."""
    found: dict[str, str] = {}
    for name, path in names(kind).items():
        with open(path, "rb", buffering=0) as file:
            match = _ALIASES.search(file.read(TOP).decode("utf-8", "ignore"))
        for alias in match[1].split(",") if match else ():
            found[alias.strip().strip("'\"").lower()] = name
    return found


def locate(kind: str, what: str, name: str) -> Path:
    """The file of a spec given by name, alias or path, the name also as drivers print it (`spellings`).

    Raises UnknownName or SpecError.
    """
    if name.endswith((".yaml", ".yml", ".json", GGUF)) or "/" in name or "\\" in name or name in (".", ".."):
        if kind == "models" and (config := on_hub(name)):
            return config
        try:
            return Path(name).expanduser()
        except RuntimeError as error:
            raise SpecError([f"{name}: {error}"]) from None
    shipped = names(kind)
    if name in shipped:
        return shipped[name]
    lower = {each.lower(): each for each in shipped}
    for each in spellings(name):
        if known := lower.get(each) or aliases(kind).get(each):
            return shipped[known]
    raise UnknownName(what, name, shipped, aliases(kind), file=beside(name))


MAKERS = ("nvidia", "amd", "intel", "google", "geforce", "tesla", "radeon")
"""Words before a name that it does without."""


def spellings(name: str) -> Iterator[str]:
    """A name in small letters, with hyphens for what parts its words, and without its maker: RTX 4090, rtx_4090."""
    yield name.lower()
    words = [word for word in re.split(r"[^a-z0-9.]+", name.lower()) if word]
    for skipped in range(len(words)):
        yield "-".join(words[skipped:])
        if words[skipped] not in MAKERS:
            return


def beside(name: str) -> str:
    """The file here that a name which is not known may have been meant for, if there is one."""
    return f"{name}.yaml" if os.path.isfile(f"{name}.yaml") else ""


def on_hub(name: str) -> Path | None:
    """The config of a model in the local Hugging Face cache, None for what is no such name.

    Raises SpecError that says how to get it, if it is not there.
    """
    from roofsim.adapters import hub

    if not hub.is_name(name):
        return None
    if found := hub.cached(name):
        return found
    last = name.rpartition("/")[2]
    shipped = {each.lower(): each for each in names("models")}
    same = shipped.get(last.lower()) or aliases("models").get(last.lower())
    raise SpecError([hub.missing(name) + (f"\n  (it may be the model that is shipped as {same})" if same else "")])


def device(name: str) -> Device:
    """A device by name, alias or path, with its mode after an @ (`jetson-orin-nano-8gb@15w`).

    The name of a cluster stands for one of its devices, several of which are linked as there.
    """
    base, mode = _split(name)
    if around := stands_for(name):
        return replace(device(f"{around.device}@{mode}" if mode else around.device), cluster=around.id)
    path = locate("hardware", "devices", base)
    return kept(path, f"device @{mode}", lambda text: _device(path, text, mode))


def stands_for(name: str) -> Cluster | None:
    """The cluster that a name in the place of a device means, if it is one and no device."""
    base, _ = _split(name)
    try:
        locate("hardware", "devices", base)
    except UnknownName:
        with suppress(UnknownName):
            return cluster(base)
    return None


def _device(path: Path, text: str, mode: str | None) -> Device:
    from roofsim.specs.files import build

    mode, merged = _in_mode(path, text, mode)
    merged.setdefault("id", f"{path.stem}@{mode}" if mode else path.stem)
    return _documented(build(Device, merged, str(path)), path)


def _in_mode(path: Path, text: str, mode: str | None) -> tuple[str, dict[str, Any]]:
    """The mode that is meant, and what the file of a device says of it."""
    # what reads and checks files takes longer to import than a prediction: only for files that are not in the cache
    from roofsim.specs.files import mapping

    values = mapping(text, path)
    variants = values.pop("variants", None) or {}
    default = values.pop("default_variant", None)
    if not isinstance(variants, dict) or not all(
        isinstance(k, str) and isinstance(v, dict) for k, v in variants.items()
    ):
        raise SpecError([f"{path}: variants: a mapping from the name of a mode to changes is expected"])
    if default is not None and (not isinstance(default, str) or default not in variants):
        raise SpecError([f"{path}: default_variant: {default!r} is not among variants ({', '.join(variants)})"])
    if mode is None:
        mode = default or ""
    elif mode not in variants:
        found = next((each for each in spellings(mode) if each in variants), None)
        if found is None:
            raise UnknownName(f"modes of {path.stem}", mode, variants)
        mode = found
    return mode, merge(values, variants.get(mode, {}))


def _split(name: str) -> tuple[str, str | None]:
    """A device and its mode, if any: what follows the last @ of the last part of a path."""
    cut = name.rfind("@")
    return (name[:cut], name[cut + 1 :]) if cut > max(name.rfind("/"), name.rfind("\\")) else (name, None)


def stated(device: Device) -> Mapping[str, Sourced]:
    """The parameters that a device file states, and beside them those of the device whose chip it has.

    Raises UnknownName if there is no such device, and SpecError if that one is like another itself.
    """
    if device.like is None:
        return device.parameters
    other = _device_named(device.like)
    if other.like is not None:
        raise SpecError([f"{device.id}: like: '{other.id}' is like another itself; name that one ({other.like})"])
    return {**other.parameters, **device.parameters}


@lru_cache
def _device_named(name: str) -> Device:
    return device(name)


def file_values(kind: str, what: str, name: str) -> dict[str, Any]:
    """What a file of a spec holds, of a device in its mode, of a published model or a member as a model file would."""
    from roofsim.specs.files import mapping
    from roofsim.specs.text import read_text

    if kind == "models":
        base, given = split_member(name)
        path = _located(base, given)
        if is_published(path):
            return dict(read_published(path).values)
        values = mapping(read_text(path), path)
        return plain(architecture(name), defaults=False) if given or "pattern" in values else values
    if kind == "hardware":
        base, mode = _split(name)
        path = locate(kind, what, base)
        return _in_mode(path, read_text(path), mode)[1]
    path = locate(kind, what, name)
    return mapping(read_text(path), path)


def modes(name: str) -> tuple[str, ...]:
    """The modes that a device can be in; empty if it has but one."""
    path = locate("hardware", "devices", name)
    return kept(path, "modes", lambda text: _modes(path, text)).names


def _modes(path: Path, text: str) -> Modes:
    from roofsim.specs.files import mapping

    return assembled(Modes, names=tuple(mapping(text, path).get("variants") or ()))


def architecture(name: str) -> Architecture:
    """A model by name, alias or path, or the member of a family."""
    base, given = split_member(name)
    path = _located(base, given)
    if not is_published(path):
        return kept(path, f"model {sorted(given.items())}", lambda text: _network(path, text, given))
    if given:
        raise InputError(f"{name}: {base} is a published model and has no parameters to choose")
    from roofsim.specs.files import build

    found = read_published(path)
    return build(Architecture, {**found.values, "notes": list(found.notes)}, str(path))


_CHOICE = re.compile(r":([A-Za-z_]\w*)=([^:]*)")


def split_member(name: str) -> tuple[str, dict[str, int]]:
    """The family, or the model, that a name begins with, and the parameters that follow it; raises InputError."""
    base = _CHOICE.split(name, maxsplit=1)[0]
    given: dict[str, int] = {}
    rest = name[len(base) :]
    if "".join(match[0] for match in _CHOICE.finditer(rest)) != rest:
        raise InputError(f"{name}: cannot be read; write it like dense:width=1024:depth=16")
    for parameter, text in _CHOICE.findall(rest):
        if parameter in given:
            raise InputError(f"{name}: {parameter} is given twice")
        given[parameter] = parameter_value(parameter, text)
    return base, given


def parameter_value(parameter: str, text: str) -> int:
    """A value of a parameter of a family: 0, a count (4k = 4,096), or a number of parameters (494M)."""
    from roofsim.specs.family import BUDGET

    try:
        return parse_short_count(text) if parameter == BUDGET else 0 if text.strip() == "0" else parse_count(text)
    except ValueError as error:
        raise InputError(f"{parameter}: {error}") from None


def _located(base: str, given: Mapping[str, int]) -> Path:
    """The file of a model, or of a family where there is no such model."""
    try:
        return locate("models", "models", base)
    except UnknownName:
        try:
            return locate(FAMILIES, "families", base)
        except UnknownName:
            if given:
                raise
        raise


def _network(path: Path, text: str, given: Mapping[str, int]) -> Architecture:
    """The model in a file, or the member of the family in it."""
    from roofsim.specs.files import mapping

    if "pattern" in mapping(text, path):
        return _family(path, text).member(given)
    if given:
        raise InputError(f"{path.stem}: is one model and no family; it has no parameters to choose")
    return _read(Architecture, path, text)


def family(name: str) -> Family:
    """A family of architectures by name, alias or path."""
    path = locate(FAMILIES, "families", name)
    return kept(path, "family", lambda text: _family(path, text))


def family_of(name: str) -> tuple[Family, dict[str, int]] | None:
    """The family that a name is of, with the parameters that it gives; None if it is that of a model."""
    from roofsim.specs.files import read_mapping

    base, given = split_member(name)
    path = _located(base, given)
    if path in names("models").values() or is_published(path) or "pattern" not in read_mapping(path):
        return None
    return family(str(path)), given


def _family(path: Path, text: str) -> Family:
    from roofsim.specs.family import from_file
    from roofsim.specs.files import mapping

    return _documented(from_file({"id": path.stem, **mapping(text, path)}, str(path)), path)


def scaling_law(name: str) -> ScalingLaw:
    """A scaling law by name, alias or path."""
    from roofsim.specs.scaling import ScalingLaw

    return _load(ScalingLaw, SCALING, "scaling laws", name)


def runtime(name: str) -> Runtime:
    """A runtime by name, alias or path."""
    return _load(Runtime, "runtimes", "runtimes", name)


def host(name: str) -> Host:
    """A host by name, alias or path."""
    return _load(Host, "hardware/hosts", "hosts", name)


def cluster(name: str) -> Cluster:
    """A cluster by name, alias or path, whose device there must be; raises UnknownName or SpecError."""
    from roofsim.specs.cluster import Cluster

    found = _load(Cluster, CLUSTERS, "clusters", name)
    if found.device not in names("hardware"):
        try:
            locate("hardware", "devices", found.device)
        except UnknownName as error:
            raise SpecError([f"{found.id or name}: device: {error}"]) from None
    return found


CLUSTERS = "hardware/clusters"


def standing(device: Device) -> Cluster | None:
    """The cluster in which several of a device are thought to stand by its file, if that says so."""
    return _cluster_named(device.cluster) if device.cluster else None


@lru_cache
def _cluster_named(name: str) -> Cluster:
    return cluster(name)


COSTS = "hardware/costs"


def terms(name: str) -> Terms:
    """Terms of use by name, alias or path."""
    from roofsim.specs.terms import Terms

    return _load(Terms, COSTS, "terms", name)


@lru_cache
def usual_terms() -> Terms:
    """The terms of use where nothing else is said."""
    return terms("usual")


def cluster_of(device: Device) -> Cluster:
    """The cluster in which several of a device are thought to stand if none is named.

    The one that its file names, else eight behind its own link. Raises InputError if neither is known.
    """
    from roofsim.specs.cluster import assumed

    if found := standing(device) or assumed(device):
        return found
    base = device.id.partition("@")[0]
    have = [name for name in names(CLUSTERS) if cluster(name).device == base]
    raise InputError(
        f"{device.id or device.name}: no file says how several of it are linked; name a cluster with --cluster"
        + (f" ({', '.join(have)})" if have else "; `roofsim new cluster NAME` writes a file to start from")
    )


def calibration(name: str) -> Calibration:
    """A calibration by name, alias or path."""
    return _load(Calibration, CALIBRATED, "calibrations", name)


@lru_cache
def stacks() -> Mapping[str, tuple[str, str]]:
    """Device and runtime of every shipped calibration, read without parsing whole files."""
    found = {}
    for name, path in names(CALIBRATED).items():
        with open(path, encoding="utf-8") as file:
            head = dict(_STACK.findall(file.read(2048)))
        found[name] = (head["device"], head["runtime"])
    return found


CALIBRATED = "hardware/calibrated"
_STACK = re.compile(r"^(device|runtime): '?([^'\n]*)'?$", re.MULTILINE)


@lru_cache
def population(name: str = "population") -> Population:
    """The classes of devices and runtimes, and what is typical of each: those that are shipped, or others."""
    return _load(Population, "hardware/priors", "populations", name)


def priors(device: Device, runtime: Runtime | None) -> Priors:
    """What is expected of a device with a runtime before anything is fitted to them."""
    return _priors(device_class(device), runtime_class(runtime))


@lru_cache
def _priors(devices: str, runtimes: str) -> Priors:
    return population().of(devices, runtimes)


IMPLEMENTATIONS = "runtimes/implementations"


@lru_cache
def implementation(name: str) -> Implementation:
    """An implementation by name or path, with what the one that it is based on says beside it."""
    found = _load(Implementation, IMPLEMENTATIONS, "implementations", name)
    if found.based_on is None:
        return found
    base = _load(Implementation, IMPLEMENTATIONS, "implementations", found.based_on)
    if base.based_on is not None:
        raise SpecError([f"{found.id}: based_on: '{base.id}' is based on another itself; name that one"])
    return found.over(base)


@lru_cache
def facts(name: str | None, family: str) -> Facts:
    """What an implementation says of a family, or the one that runs that family for it; nothing if there is none."""
    if name is None:
        return NOTHING_KNOWN
    found = implementation(name).of(family)
    return implementation(found.run_by).of(family) if found.run_by else found


def _load(model: type[S], kind: str, what: str, name: str) -> S:
    path = locate(kind, what, name)
    return kept(path, model.__name__, lambda text: _read(model, path, text))


def _read(model: type[S], path: Path, text: str) -> S:
    from roofsim.specs.files import build, mapping

    values = mapping(text, path)
    values.setdefault("id", path.stem)
    return _documented(build(model, values, str(path)), path)


def _documented(spec: S, path: Path) -> S:
    """The spec, which must say of every number where it is from if it is shipped; raises SpecError."""
    whole = path.resolve()
    shipped = any(whole.is_relative_to(folder(kind)) for kind in ("hardware", "models", "runtimes"))
    if shipped and isinstance(spec, Documented) and (silent := spec.unsourced):
        raise SpecError(
            [f"{path}: {each or 'sources'}: says not where it is from, as all shipped do" for each in silent]
        )
    return spec


def read_published(path: Path) -> Published:
    """What a published model is: read from a GGUF file, a config.json, or the folder of one."""
    # many adapters: only where one is needed
    if path.suffix == GGUF:
        from roofsim.adapters.gguf.read import read_gguf

        return read_gguf(path)
    from roofsim.adapters.published.read import read_config

    return read_config(path)


def is_published(path: Path) -> bool:
    """Whether a path is that of a published model: a JSON or GGUF file, or a folder with a config.json."""
    try:
        return path.suffix in (".json", GGUF) or (path / "config.json").is_file()
    except OSError:  # a name that no file can have
        return False


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes` laid over it, mapping by mapping; a whole quantity is replaced at once."""
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        merged[key] = merge(dict(old or {}), value) if both and "value" not in value else value
    return merged


def all_devices() -> Iterator[Device]:
    """Every shipped device in every mode."""
    for name in names("hardware"):
        bare = device(name)
        ids = dict.fromkeys([bare.id, *(f"{name}@{mode}" for mode in modes(name))])
        yield from (device(each) for each in ids)
