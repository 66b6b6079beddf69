"""What of a model goes to the memory of the host: as it is asked for, and the best division that fits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from roofsim import library
from roofsim.engine.passes import Later
from roofsim.engine.tiers import Placement, Tiered
from roofsim.foundation.arith import single
from roofsim.foundation.errors import InputError, Unsupported
from roofsim.model.layers import by_experts, first_layers
from roofsim.model.step import Pass
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.fitted import chosen
from roofsim.prediction.limits import largest
from roofsim.prediction.setup import Offload, Setup, tier
from roofsim.specs.workload import Workload

AUTO, NONE = "auto", "none"
WORDS = ("auto", "none", "layers=N", "experts=cpu", "experts=cpu:N", "experts=stream", "stream", "stream=N")
"""What may be asked for."""
EXAMPLE = "write it like auto, layers=20, experts=cpu, experts=cpu:12, experts=stream, stream or stream=20"


def offloaded(s: Setup, w: Workload, words: str | None) -> Setup:
    """The setup with what is asked for in the memory of the host; of `auto` the fastest that fits.

    Raises InputError for words that say nothing or more layers than there are, Unsupported where there is no such
    memory, or where the software cannot.
    """
    if words in (None, NONE):
        return whole(s)
    if not s.split.alone:
        raise Unsupported(f"offload: is of one device, and the model is divided among {s.devices}")
    asked = str(words).strip().lower()
    if asked == AUTO:
        if not all(single(each) for each in (w.batch, w.prompt, w.generate)):
            raise InputError("offload: auto is of one request, and several are asked for; name a division")
        return best(s, w)
    key, equals, value = asked.partition("=")
    if key == "layers" and equals:
        return _computed(s, _count(words, value, s.architecture.depth + 1))
    if key == "stream":
        return _streamed(s, _count(words, value, s.architecture.depth) if equals else s.architecture.depth)
    if key == "experts" and equals:
        how, colon, number = value.partition(":")
        if how in ("cpu", "stream"):
            most = s.architecture.depth
            return _experts(s, how, _count(words, number, most) if colon else most)
    raise InputError(f"offload: '{words}' is none of what there is; {EXAMPLE}")


def _count(words: str | None, text: str, most: int) -> int:
    """A number of layers; raises InputError for one that cannot be."""
    if not text.isdecimal():
        raise InputError(f"offload: '{words}': '{text}' is not a number of layers; {EXAMPLE}")
    if len(text) > 9 or int(text) > most:
        what = (
            f"{most} layers" if "layers" not in str(words) else f"{most - 1} layers and the LM head, which is one more"
        )
        raise InputError(f"offload: '{words}': the model has {what}")
    return int(text)


def _computed(s: Setup, on_device: int) -> Setup:
    """So many layers on the device as -ngl of llama.cpp counts them, the LM head first and then from the last one on.

    The others and the table of tokens are on the host, which computes with them.
    """
    depth = s.architecture.depth
    if on_device == depth + 1:
        return whole(s)
    away = depth - max(on_device - 1, 0)
    placement = Placement(computed=first_layers(s.architecture, away), head=on_device == 0)
    return replace(s, offload=Offload(f"layers={on_device}", placement, beside(s)))


def _streamed(s: Setup, layers: int) -> Setup:
    """The weights of the first so many layers on the host, from where they come to the device in every pass."""
    _streams(s)
    if layers == 0:
        return whole(s)
    words = "stream" if layers == s.architecture.depth else f"stream={layers}"
    return replace(s, offload=Offload(words, Placement(streamed=first_layers(s.architecture, layers)), None))


def _experts(s: Setup, how: str, layers: int) -> Setup:
    """The routed experts of the first so many layers on the host, which computes them or hands them over."""
    if not any(has_experts(s, name) for name in s.architecture.layers):
        raise Unsupported(f"offload: {s.model_name} has no routed experts; layers=N puts whole layers on the host")
    held = {name: n for name, n in first_layers(s.architecture, layers).items() if has_experts(s, name)}
    if how == "stream":
        _streams(s)
    by_processor = beside(s) if how == "cpu" else None
    if not held:
        return whole(s)
    words = f"experts={how}" if layers == s.architecture.depth else f"experts={how}:{layers}"
    placement = Placement(experts=held) if how == "cpu" else Placement(streamed_experts=held)
    return replace(s, offload=Offload(words, placement, by_processor))


def whole(s: Setup) -> Setup:
    """The setup with all of the model on the device."""
    return replace(s, offload=None) if s.offload else s


def has_experts(s: Setup, name: str) -> bool:
    """Whether a kind of layer has routed experts."""
    a = s.architecture
    return any(any(by_experts(part.operators(Pass(1, 1, 0), a.d_model))) for part in a.layers[name])


def beside(s: Setup) -> Setup:
    """What computes on the host: its processor with the runtime that the runtime has for it; raises Unsupported."""
    name = s.runtime.offload.processor
    if name is None:
        others = [each for each in library.names("runtimes") if library.runtime(each).offload.processor]
        raise Unsupported(
            f"offload: {s.runtime.id} computes nothing on the host; {', '.join(others)} do"
            + ("; it can stream: ask for --offload stream" if s.runtime.offload.streams else "")
        )
    made = Setup(s.architecture, tier(s), library.runtime(name), s.host)
    return chosen(made)


def _streams(s: Setup) -> None:
    """Raises Unsupported where weights cannot come to the device from the host."""
    tier(s)
    if s.runtime.offload.streams is None:
        others = [each for each in library.names("runtimes") if library.runtime(each).offload.streams]
        raise Unsupported(
            f"offload: {s.runtime.id} streams no weights to the device; {', '.join(others)} do"
            + ("; ask for --offload layers=N" if s.runtime.offload.processor else "")
        )


def best(s: Setup, w: Workload) -> Setup:
    """The setup with the fastest division that fits, by the time of the whole request; as it is if it fits whole.

    In each family of divisions the more lies on the device the faster, so that of each the largest that fits is looked
    at. Raises Unsupported if there is none.
    """
    s = whole(s)
    if fits(s, w):
        return replace(s, offload=Offload(NONE, Placement(), None, found=True))
    found = [each for family in families(s) for each in _most(family, w)]
    if not found:
        families_known = ", ".join(WORDS[2:])
        raise Unsupported(
            f"offload: no division of {s.model_name} between {s.device.id} and its host fits both, at batch {w.batch} "
            f"and {w.prompt:,} + {w.generate:,} tokens (of {families_known})"
        )
    fastest = min(found, key=lambda each: float(Evaluation(each, w).total_time))
    return replace(fastest, offload=replace(fastest.offload, found=True)) if fastest.offload else fastest


Family = tuple[Callable[[int], Setup], int]
"""Divisions by how many layers are away, of at most so many."""


def families(s: Setup) -> Iterator[Family]:
    """What the software can do: whole layers or experts on the host, computed there or streamed."""
    policy, depth = s.runtime.offload, s.architecture.depth
    tier(s)
    experts = any(has_experts(s, name) for name in s.architecture.layers)
    if policy.processor is None and policy.streams is None:
        beside(s)
    if policy.processor:
        yield (lambda away: _computed(s, depth + 1 - away)), depth + 1
        if experts:
            yield (lambda away: _experts(s, "cpu", away)), depth
    if policy.streams:
        yield (lambda away: _streamed(s, away)), depth
        if experts:
            yield (lambda away: _experts(s, "stream", away)), depth


def _most(family: Family, w: Workload) -> Iterator[Setup]:
    """The division of a family with the fewest layers away that fits the device, if it fits the host too."""
    made, most = family

    def fits_with(kept: int) -> bool:
        return bool(Evaluation(made(most - kept), w).fits_device)

    if fits_with(0):
        found = made(most - (largest(lambda n: fits_with(n - 1), most) - 1))
        if fits(found, w):
            yield found


def fits(s: Setup, w: Workload) -> bool:
    """Whether a request of numbers fits both memories."""
    return bool(Evaluation(s, w).fits)


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
    away = e.away(e.w.prompt + e.w.generate)
    here = words_of(e.s)
    here_weights = (
        e.grown - e.s.architecture.state_bytes(e.w.prompt + e.w.generate, e.precision) * e.w.batch + away.state
    )
    rest = float(e.grown - here_weights)
    device = Share(
        "device", e.s.device.id, here[0], float(here_weights), rest, float(e.s.device.capacity), e.s.runtime.id
    )
    if e.tiers is None:
        return Offloaded(asked.words, asked.found, (device,), None, None, None, 1.0)
    processor, by = tier(e.s), asked.beside.runtime.id if asked.beside else None
    host = Share("host", processor.id, here[1], float(away.weights), float(away.state), float(processor.capacity), by)
    tiers: tuple[Share, ...] = (device, host)
    beyond = float(e.tiers.beyond(e.precision))
    if beyond:
        kept = replace(host, weights=host.weights - beyond)
        disk = Share("disk", e.s.host.id if e.s.host else "", "weights that find no room", beyond, 0.0, 0.0, None)
        tiers = device, kept, disk
    alone = Evaluation(whole(e.s), e.w)
    return Offloaded(
        asked.words, asked.found, tiers, float(e.tiers.link.rate), parts_of(e.prefill), parts_of(e.decode),
        float(e.step[0]) / float(alone.step[0]),
    )  # fmt: skip


def parts_of(p: Later) -> Parts:
    """The parts of a pass, or of several together; all of one whose whole model lies on the device is the device's."""
    if not isinstance(p, Tiered):
        return Parts(float(p.time), 0.0, 0.0, 0.0, 0.0)
    time, processor, wait, disk = (float(x) for x in (p.time, p.processor_time, p.link_wait, p.disk_time))
    here = time - processor - wait - disk
    return Parts(here, processor, float(p.link_time), wait, float(p.link_bytes), disk, float(p.disk_bytes))


def words_of(s: Setup) -> tuple[str, str]:
    """What lies on the device and what on the host, in words."""
    if s.offload is None or s.offload.placement.nothing:
        return "all of it", ""
    where, depth = s.offload.placement, s.architecture.depth
    if where.computed:
        away = sum(where.computed.values())
        head = "LM head" if not where.head else ""
        here = ", ".join(each for each in (f"{depth - away} of {depth} layers" if away < depth else "", head) if each)
        table = "table of tokens, LM head" if where.head else "table of tokens"
        return here or "nothing", f"{away} of {depth} layers with their state, {table}"
    if where.streamed:
        away = sum(where.streamed.values())
        return "all state, all other weights", f"weights of {away} of {depth} layers"
    away = sum((where.experts or where.streamed_experts).values())
    return "all other weights, all state", f"routed experts of {away} of {depth} layers"
