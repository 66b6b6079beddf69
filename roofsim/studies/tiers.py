"""A request over all divisions of a family: with how many layers on the device it takes how long, and what fits."""

from __future__ import annotations

from roofsim.foundation.values import dataclass
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.offload import Family, families
from roofsim.prediction.offload_report import Parts, parts_of
from roofsim.prediction.setup import Setup
from roofsim.specs.workload import Workload


@dataclass(frozen=True, slots=True)
class Division:
    """So many layers on the device (or their experts), with the parts of the time of both passes."""

    layers: int
    prefill: Parts
    decode: Parts
    fits: bool


@dataclass(frozen=True, slots=True)
class Divisions:
    """All divisions of a family, from none on the device to all; `chosen` is the one that was asked for, if it is one.

    `what` says of what so many lie on the device.
    """

    what: str
    at: tuple[Division, ...]
    chosen: int | None


def divisions(s: Setup, w: Workload) -> Divisions:
    """All divisions of the family that the setup's own is of; of the first that its software has, without one."""
    cache = s.offload is not None and s.offload.placement.cache
    known = {_name(each.made(1)): each for each in families(s, cache=cache)}
    name = _name(s)
    family = known.get(name) or next(iter(known.values()))
    at = tuple(_at(family, w, away) for away in range(family.most, -1, -1))
    what = {
        "experts=cpu": "layers with their experts", "experts=stream": "layers with their experts",
        "layers+experts=cpu": "layers without experts, the LM head among them",
    }.get(name, "layers, the LM head among them" if family.of > s.architecture.depth else "layers")  # fmt: skip
    chosen = next((family.of - away for away in range(family.most + 1) if _same(family.made(away), s)), None)
    return Divisions(what, at, chosen)


def _name(s: Setup) -> str:
    return _called(s.offload.words if s.offload else "")


def _called(words: str) -> str:
    """The family of a division: its words without their numbers of layers, and without caches."""
    parts = (
        each.partition(":")[0] if each.startswith("experts") else each.partition("=")[0]
        for each in words.split("+") if each != "cache"
    )  # fmt: skip
    return "+".join(parts)


def _same(one: Setup, other: Setup) -> bool:
    return (one.offload and one.offload.placement) == (other.offload and other.offload.placement)


def _at(family: Family, w: Workload, away: int) -> Division:
    e = Evaluation(family.made(away), w)
    devices = e.s.devices
    return Division(family.of - away, parts_of(e.prefill, devices), parts_of(e.decode, devices), bool(e.fits))
