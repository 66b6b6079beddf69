"""What of a model lies where: on the device, in the memory of the host behind a link, on the disk behind that.

Several devices of a node have the memory of its host in common, and each its own link to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Literal

from roofsim.engine.memory import Away
from roofsim.engine.passes import Stack
from roofsim.foundation.arith import Number, at_least, maximum
from roofsim.foundation.errors import InputError
from roofsim.foundation.values import dataclass
from roofsim.model import layers
from roofsim.model.architecture import Architecture
from roofsim.model.step import Precision

Streams = Literal["copied", "prefetched", "in_place"]


@dataclass(frozen=True, slots=True)
class Placement:
    """How many layers of each kind have what in the memory of the host; all else lies on the device.

    `computed` are whole layers with their state, which its processor computes, `experts` those whose routed experts it
    computes. Of `streamed` the weights come to the device for each pass, of `streamed_experts` those of the experts.
    With `head` the LM head is computed on the host as well, with `cache` the caches and states of layers that the
    device computes lie there, and come to it for each pass.
    """

    computed: Mapping[str, int] = field(default_factory=dict)
    experts: Mapping[str, int] = field(default_factory=dict)
    streamed: Mapping[str, int] = field(default_factory=dict)
    streamed_experts: Mapping[str, int] = field(default_factory=dict)
    head: bool = False
    cache: bool = False

    @property
    def nothing(self) -> bool:
        """Whether all lies on the device."""
        return self == Placement()

    @property
    def table(self) -> bool:
        """Whether tokens are looked up on the host: where its processor computes anything."""
        return bool(self.computed or self.experts)


@dataclass(frozen=True, slots=True)
class Link:
    """The way between host and device: bytes a second that copies reach, and what the software does with it.

    `crossing` is what handing over takes beside the bytes. From `copies_from` tokens on, what lies on the host is
    copied and computed on the device. Of experts those that are `used` are copied, or all.
    """

    rate: Number
    crossing: Number = 0
    streams: Streams = "copied"
    copies_from: int | None = None
    used: bool = True


@dataclass(frozen=True, slots=True)
class Disk:
    """What lies behind the memory of the host: bytes a second that are read, where there is more than its `room`."""

    rate: Number
    room: Number


@dataclass(frozen=True)
class Tiers:
    """A device and the processor beside it, what lies where, and the link between them.

    `precision` is that of products on the processor, which may have other kernels. What the processor computes is the
    `whole` model's; where several devices divide it, `ranks` of a stage have a link each, and the device that holds
    most is `fullest` and has this of the placement.
    """

    device: Stack
    processor: Stack | None
    precision: Precision
    placement: Placement
    link: Link
    whole: Architecture
    fullest: tuple[Architecture, Placement]
    disk: Disk | None = None
    ranks: int = 1

    def beyond(self, precision: Precision) -> Number:
        """Bytes of the weights on the host that its memory has no room for."""
        return maximum(self.behind(precision).weights - self.disk.room, 0) if self.disk else 0

    def paged(self, precision: Precision) -> tuple[Number, Number]:
        """The shares of what a pass uses that come from the disk: of whole layers, and of experts.

        Layers are used in turn, so that by the time that one is needed again it has made room for others; experts are
        used at random, and are missing as often as they do not fit.
        """
        if self.disk is None or replace(self.placement, cache=False).nothing:
            return 0, 0
        weights = self.behind(precision).weights
        return 1 - at_least(self.disk.room, weights), self.beyond(precision) / weights

    def away(self, tokens: Number, precision: Precision) -> Away:
        """What the fullest device does not hold of its share, with the state of a sequence of so many tokens."""
        a, where = self.fullest
        computed, streamed = _computed_bytes(a, where, precision), _streamed_bytes(a, where, precision)
        state = a.state_bytes(tokens, precision) if where.cache else _computed_state(a, where, tokens, precision)
        return Away(computed + streamed, state)

    def behind(self, precision: Precision, tokens: Number = 0, batch: Number = 0, held: Number = 0) -> Away:
        """What lies in the memory of the host, with the state of so many sequences of so many tokens.

        Of what devices compute each has its share there, with the state of the sequences that it `held` a share of.
        """
        a, where, rank = self.whole, self.placement, self.device.architecture
        streamed = _streamed_bytes(rank, where, precision)
        weights = _computed_bytes(a, where, precision) + (streamed if self.ranks == 1 else self.ranks * streamed)
        state = _computed_state(a, where, tokens, precision) * batch
        if where.cache:
            others = rank.state_bytes(tokens, precision) - _computed_state(rank, where, tokens, precision)
            state = state + self.ranks * held * others
        return Away(weights, state)

    def staging(self, precision: Precision, tokens: Number = 0, held: Number = 0) -> Number:
        """Bytes on the device into which is copied: the largest matrix at a time, or two layers in turn.

        So with caches of `held` sequences of so many tokens.
        """
        return self._staged_weights(precision) + self._staged_caches(precision, tokens, held)

    def _staged_caches(self, precision: Precision, tokens: Number, held: Number) -> Number:
        if not self.placement.cache or self.link.streams == "in_place":
            return 0
        a = self.device.architecture
        most: Number = 0
        for name in a.layers:
            most = maximum(most, layers.state_bytes(a, name, tokens, precision))
        return (2 if self.link.streams == "prefetched" else 1) * held * most

    def _staged_weights(self, precision: Precision) -> Number:
        a, where = self.device.architecture, self.placement
        layered = {**where.streamed, **(where.computed if self.link.copies_from else {})}
        of_experts = {**where.streamed_experts, **(where.experts if self.link.copies_from else {})}
        if self.link.streams == "in_place":
            return 0
        if self.link.streams == "prefetched":
            sizes = [2 * layers.layer_bytes(a, name, precision) for name in layered]
            sizes += [2 * layers.expert_bytes(a, name, precision) for name in of_experts]
        else:
            sizes = [layers.largest_matrix(a, name, precision) for name in {**layered, **of_experts}]
        most: Number = 0
        for each in sizes:
            most = maximum(most, each)
        return most


def _computed_bytes(a: Architecture, where: Placement, precision: Precision) -> Number:
    """Bytes of the weights that the processor computes with."""
    weights = sum(n * layers.layer_bytes(a, name, precision) for name, n in where.computed.items())
    weights = weights + sum(n * layers.expert_bytes(a, name, precision) for name, n in where.experts.items())
    if where.table and a.begins:
        weights = weights + layers.table_bytes(a, precision)
    return weights + layers.head_bytes(a, precision) if where.head else weights


def _streamed_bytes(a: Architecture, where: Placement, precision: Precision) -> Number:
    """Bytes of the weights that come to a device."""
    weights = sum(n * layers.layer_bytes(a, name, precision) for name, n in where.streamed.items())
    return weights + sum(n * layers.expert_bytes(a, name, precision) for name, n in where.streamed_experts.items())


def _computed_state(a: Architecture, where: Placement, tokens: Number, precision: Precision) -> Number:
    """Bytes that a sequence holds in layers that the processor computes."""
    return sum(n * layers.state_bytes(a, name, tokens, precision) for name, n in where.computed.items())


def fullest(rank: Architecture, where: Placement, stages: int) -> tuple[Architecture, Placement]:
    """Of what devices hold that follow each other the most, and what of its layers does not lie on it.

    What is left of the model for `stages` devices is divided as evenly as whole layers allow. Raises InputError where
    there are fewer layers than devices.
    """
    order = rank.order
    first = sum(where.computed.values())
    left = {kind: dict(getattr(where, kind)) for kind in DIVIDED}
    places: list[str] = []
    sizes: list[float] = []
    usual = Precision()
    for name in order[first:]:
        kind = next((each for each in DIVIDED if left[each].get(name, 0)), "")
        size = float(layers.layer_bytes(rank, name, usual))
        if kind:
            left[kind][name] -= 1
            size -= size if kind == "streamed" else float(layers.expert_bytes(rank, name, usual))
        places.append(kind)
        sizes.append(size)
    if len(sizes) < stages:
        raise InputError(f"offload: {len(sizes)} layers are left for {stages} devices, and each needs one")
    ends = (0.0 if where.table else float(layers.table_bytes(rank, usual)), float(layers.head_bytes(rank, usual)))
    sizes[0], sizes[-1] = sizes[0] + ends[0], sizes[-1] + ends[1]
    low, high, number = max(evenly(sizes, stages), key=lambda each: sum(sizes[each[0] : each[1]]))
    before = int(first > 0)  # what the host computes is a stage of its own
    stage = rank.between(order, first + low, first + high, number + before, stages + before)
    own: dict[str, dict[str, int]] = {kind: {} for kind in DIVIDED}
    for name, kind in zip(order[first + low : first + high], places[low:high], strict=True):
        if kind:
            own[kind][name] = own[kind].get(name, 0) + 1
    return stage, Placement({}, own["experts"], own["streamed"], own["streamed_experts"], cache=where.cache)


DIVIDED = ("experts", "streamed", "streamed_experts")
"""Kinds of placement of layers that a device computes at least in part."""


def evenly(sizes: Sequence[float], parts: int) -> list[tuple[int, int, int]]:
    """The first and the end place of each of so many runs of `sizes`, and its number, the largest as small as may be.

    Linear partitioning: the least bound under which taking as much as goes into each leaves no more runs than asked.
    """
    sums = {sum(sizes[i:j]) for i in range(len(sizes)) for j in range(i + 1, len(sizes) + 1)}
    bounds = sorted(each for each in sums if each >= max(sizes))
    low, high = 0, len(bounds) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if len(_runs(sizes, bounds[middle], parts)) <= parts else (middle + 1, high)
    return [(first, end, n) for n, (first, end) in enumerate(_runs(sizes, bounds[low], parts))]


def _runs(sizes: Sequence[float], bound: float, parts: int) -> list[tuple[int, int]]:
    """Runs that each stay under a bound, and leave one place at least for each of `parts`."""
    runs: list[tuple[int, int]] = []
    first, held = 0, 0.0
    for i, size in enumerate(sizes):
        if i > first and (held + size > bound or len(sizes) - i < parts - len(runs)):
            runs.append((first, i))
            first, held = i, 0.0
        held += size
    return [*runs, (first, len(sizes))]
