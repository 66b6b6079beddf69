"""What of a request lies where, and what of its time goes where."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from roofsim.engine.passes import Later
from roofsim.engine.tiers import Tiered
from roofsim.foundation.values import dataclass
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.offload import whole
from roofsim.prediction.setup import Setup, tier


@dataclass(frozen=True, slots=True)
class Share:
    """What lies in one memory: in words, and the bytes of weights and of state after the last token.

    `computes` is the runtime that computes there, if one does.
    """

    tier: Literal["device", "host", "disk"]
    name: str
    holds: str
    weights: float
    state: float
    capacity: float
    computes: str | None

    @property
    def fits(self) -> bool:
        """Whether it fits; whether a device holds its activations as well, `Memory` says."""
        return self.tier == "disk" or self.weights + self.state <= self.capacity


Binds = Literal["device", "host", "link", "disk"]


@dataclass(frozen=True, slots=True)
class Parts:
    """The time of a pass by where it goes: the device, the processor beside it, and waiting for the link or the disk.

    The link is busy for `link_time` seconds, `link_wait` of them with nothing else going on.
    """

    device_time: float
    processor_time: float
    link_time: float
    link_wait: float
    link_bytes: float
    disk_time: float = 0.0
    disk_bytes: float = 0.0

    @property
    def binds(self) -> Binds:
        """Where most of the time goes."""
        parts: dict[Binds, float] = {
            "device": self.device_time, "host": self.processor_time, "link": self.link_wait, "disk": self.disk_time,
        }  # fmt: skip
        return max(parts, key=lambda each: parts[each])


@dataclass(frozen=True, slots=True)
class Offloaded:
    """A request of which not all lies on the device. `link` is the rate at which copies go, in bytes a second.

    `slowdown` is by how much a step takes longer than it would with all of it on a device that has the room.
    """

    split: str
    found: bool
    tiers: tuple[Share, ...]
    link: float | None
    prefill: Parts | None
    decode: Parts | None
    slowdown: float


def report(e: Evaluation) -> Offloaded | None:
    """What of a request of numbers lies where, and what of its time goes where; None if nothing was asked."""
    asked = e.s.offload
    if asked is None:
        return None
    last = e.w.prompt + e.w.generate
    here = words_of(e.s)
    here_weights = float(e.s.stage.weight_bytes(e.precision) - e.away(last).weights)
    name = e.s.device.id if e.s.split.alone else f"{e.s.devices} x {e.s.device.id}, the fullest"
    device = Share(
        "device", name, here[0], here_weights, max(float(e.grown) - here_weights, 0.0), float(e.s.device.capacity),
        e.s.runtime.id,
    )  # fmt: skip
    if e.tiers is None:
        return Offloaded(asked.words, asked.found, (device,), None, None, None, 1.0)
    kept = e.kept(last)
    processor, by = tier(e.s), asked.beside.runtime.id if asked.beside else None
    host = Share("host", processor.id, here[1], float(kept.weights), float(kept.state), float(processor.capacity), by)
    tiers: tuple[Share, ...] = (device, host)
    beyond = float(e.tiers.beyond(e.precision))
    if beyond:
        full = replace(host, weights=host.weights - beyond)
        disk = Share("disk", e.s.host.id if e.s.host else "", "weights that find no room", beyond, 0.0, 0.0, None)
        tiers = device, full, disk
    alone = Evaluation(whole(e.s), e.w)
    return Offloaded(
        asked.words, asked.found, tiers, float(e.tiers.link.rate), parts_of(e.prefill, e.s.devices),
        parts_of(e.decode, e.s.devices),
        float(e.step[0]) / float(alone.step[0]),
    )  # fmt: skip


def parts_of(p: Later, devices: int) -> Parts:
    """The parts of a pass, or of several together; all of one whose whole model lies on the device is the device's.

    So many devices each have a link, over which go the bytes of all.
    """
    if not isinstance(p, Tiered):
        return Parts(float(p.time), 0.0, 0.0, 0.0, 0.0)
    time, processor, wait, disk = (float(x) for x in (p.time, p.processor_time, p.link_wait, p.disk_time))
    here = time - processor - wait - disk
    moved = devices * float(p.link_bytes)
    return Parts(here, processor, float(p.link_time), wait, moved, disk, float(p.disk_bytes))


def words_of(s: Setup) -> tuple[str, str]:
    """What lies on the device and what on the host, in words."""
    if s.offload is None or s.offload.placement.nothing:
        return "all of it", ""
    where, depth = s.offload.placement, s.architecture.depth
    away, streamed = sum(where.computed.values()), sum(where.streamed.values())
    experts = sum((where.experts or where.streamed_experts).values())
    state = [] if where.cache else ["all state"]
    here, there = [], [f"routed experts of {experts} of {depth} layers"] if experts else []
    if away:
        without = " without experts" if experts else ""
        here = [f"{depth - away} of {depth} layers{without}"] if away < depth else []
        here += [] if where.head else ["LM head"]
        there.insert(0, f"{away} of {depth} layers with {'all' if where.cache else 'their'} state")
        there += ["table of tokens", *(["LM head"] if where.head else [])]
    elif streamed:
        here = [*state, "all other weights"]
        there = [f"weights of {streamed} of {depth} layers", *(["all state"] if where.cache else [])]
    else:
        here = ["all other weights" if experts else "all weights", *state]
        there += [*(["table of tokens"] if where.table else []), *(["all state"] if where.cache else [])]
    return ", ".join(here) or "nothing", ", ".join(there)
