"""Devices joined by links: what a node holds, how its devices reach each other, and how nodes do."""

from __future__ import annotations

from typing import Annotated, Literal

from roofsim.foundation.quantity import (
    Bandwidth,
    Between,
    Count,
    Documented,
    HourlyPrice,
    Name,
    Power,
    Price,
    Sourced,
    Time,
)
from roofsim.foundation.schema import Limit, Spec, assembled
from roofsim.specs.device import Device

Topology = Literal["switch", "mesh", "ring", "pcie", "fabric"]


class Reached(Sourced):
    """A part of what a data sheet says."""

    value: Annotated[float, Between("", 0.01, 1)]


class Link(Spec):
    """How the devices of a group reach each other: a message of some bytes takes latency + bytes / rate."""

    bandwidth: Bandwidth
    """What one device can send, as the data sheet says: each way, over all of its ports."""
    latency: Time
    """From when the first byte of a message is ready to leave until it can be used at the other end, for the fastest
    protocol: one step of a collective of a few bytes."""
    topology: Topology
    """A switch by which each device reaches any other with all of its bandwidth, a mesh in which the bandwidth of a
    device is split over links to each of the others, a ring of neighbours, PCIe through the processor of the node, or a
    fabric of network switches between nodes."""
    efficiency: Reached
    """The part of the bandwidth that long messages reach."""
    crowded: Reached | None = None
    """The part of that which is left where more than two devices of a node send: through the processors of a node, and
    what joins these."""
    reduces: bool = False
    """Whether the switch adds up what devices send (NVLink SHARP), so that each sends its share once."""
    peers: bool = True
    """Whether devices can read each other's memory; else data pass through that of the node."""

    def __post_init__(self) -> None:
        if self.latency.value > LONGEST:
            raise ValueError(f"a latency of {self.latency.value:g} s is not plausible; up to {LONGEST:g} s would be")

    @property
    def rate(self) -> float:
        """Bytes a second that a device sends in long messages."""
        return self.bandwidth.value * self.efficiency.value


LONGEST = 0.01
"""Seconds that a message takes to the other end of a room, at most: more is another place."""


class Levels(Spec):
    """Links by how far they reach."""

    node: Link | None = None
    """Between the devices of a node; there is none where a node has one device."""
    between: Link | None = None
    """Between devices of different nodes; there is none where there is one node."""

    @property
    def levels(self) -> tuple[Link | None, Link | None]:
        """Both, the nearer first."""
        return self.node, self.between


class Cluster(Documented):
    """Equal nodes of equal devices."""

    name: str
    """What it is called in full."""
    id: str = ""
    """What it is called on the command line: its file."""
    aliases: tuple[Name, ...] = ()
    """Other names of a shipped file."""
    device: Name
    """The devices in it, by name (`roofsim devices` lists them)."""
    nodes: Annotated[int, Limit(ge=1, le=100_000)] = 1
    """How many nodes there are, at most: a group of more devices is refused."""
    per_node: Annotated[int, Limit(ge=1, le=10_000)]
    """Devices in a node: as far as its fast links reach."""
    links: Levels
    """Links within a node and between nodes."""
    power: Power | None = None
    """The most that a node draws, its processors, fans and network cards included."""
    price: Price | None = None
    """What a node costs to buy."""
    price_per_hour: HourlyPrice | None = None
    """What a node costs to rent."""
    year: Count | None = None
    """The year in which it came out; decides nothing."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.per_node > 1 and self.links.node is None:
            raise ValueError(f"links.node is missing: how do the {self.per_node} devices of a node reach each other?")
        if self.nodes > 1 and self.links.between is None:
            raise ValueError(f"links.between is missing: how do the {self.nodes} nodes reach each other?")
        if self.devices == 1:
            raise ValueError("holds one device; give per_node or nodes above 1, or predict the device alone")
        near, far = self.links.node, self.links.between
        if near and far and near.rate < far.rate:
            raise ValueError(
                "links.node is slower than links.between; a node is where the faster links are: swap them, or call "
                "each device a node"
            )

    @property
    def devices(self) -> int:
        """How many there are."""
        return self.nodes * self.per_node

    def neighbours(self, ranks: int, stride: int) -> int:
        """How many of a group of `ranks` devices, each `stride` from the next, lie in one node."""
        return min(ranks, max(self.per_node // stride, 1))

    def link(self, ranks: int, stride: int) -> Link:
        """The slowest link that a group of `ranks` devices, each `stride` from the next, has to cross.

        A group that fits a node is put into one: its block of ranks × stride devices crosses no border.
        """
        inside = self.links.between is None or (self.links.node is not None and ranks * stride <= self.per_node)
        found = self.links.node if inside else self.links.between
        if found is None:
            raise ValueError(f"{self.id or self.name}: no link for {ranks} devices, each {stride} from the next")
        return found


ASSUMED_PER_NODE = 8
"""Devices in a node of which no file says how many there are: as in servers of all vendors."""

ASSUMED = "assumed"
"""The key of what is taken to be where no file says it."""


def assumed(device: Device) -> Cluster | None:
    """A node of such devices behind a switch, where the file of the device says how fast its link is."""
    both = device.links.device
    if both is None:
        return None
    kept = {ASSUMED: SAID, both.source: device.sources.get(both.source, "")}
    each = assembled(Bandwidth, value=both.value / 2, source=both.source, note="half of both directions")
    node = assembled(
        Link,
        bandwidth=each,
        latency=assembled(Time, value=0.6e-6, source=ASSUMED),
        topology="switch",
        efficiency=assembled(Reached, value=0.8, source=ASSUMED),
    )
    return assembled(
        Cluster, name=f"{ASSUMED_PER_NODE} x {device.name}", device=device.id.partition("@")[0],
        per_node=ASSUMED_PER_NODE, links=assembled(Levels, node=node), sources=kept,
        id=f"{ASSUMED_PER_NODE}x{device.id}",
    )  # fmt: skip


SAID = (
    "no file says it: 8 devices behind a switch, NCCL's latency of a step over NVLink and the part of the bandwidth "
    "that it counts on there (src/graph/tuning.cc and topo.h at commit 5067397c26)"
)
