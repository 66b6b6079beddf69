"""Time of what devices do together: latencies of the steps of an algorithm, and bytes on the links that it crosses.

The form is that of Thakur et al. 2005 (doi:10.1177/1094342005051521): so many messages one after the other, and the
bytes that leave a device. Constants of NCCL's algorithms are those of its own model (src/graph/tuning.cc at commit
5067397c26), of kernels that read the memory of peers those of vLLM's (csrc/custom_all_reduce.cuh). Which is fastest
follows from the times (docs/decisions/065).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING

from roofsim.foundation.arith import Number, at_least, maximum, minimum
from roofsim.foundation.extremes import places
from roofsim.foundation.values import dataclass
from roofsim.lowering.kernels import Exchange
from roofsim.specs.runtime import Way

if TYPE_CHECKING:
    from roofsim.specs.cluster import Cluster, Link

Parameters = Mapping[str, Number]
"""Values of calibratable parameters by name."""


@dataclass(frozen=True, slots=True)
class Level:
    """Links of one reach: bytes/s that a device sends over them in long messages, and the seconds of a short one.

    `peak` is what the data sheet says of the former, `slow` how many times longer a message takes than the file says.
    `direct` says that each device reaches each other without a third, `reduces` that the switch between them adds up;
    the rate of a device is split over `parts` links, one to each of the others; the part `crowded` of it is left where
    more than two send. `peers` says whether devices can read each other's memory.
    """

    rate: Number
    latency: Number
    peak: Number
    direct: bool = True
    reduces: bool = False
    parts: int = 1
    crowded: Number = 1
    slow: Number = 1
    peers: bool = True


@dataclass(frozen=True, slots=True)
class Network:
    """The links of devices that stand `per_node` in a node: within nodes and between them."""

    per_node: int
    node: Level | None
    between: Level | None = None


def network_of(cluster: Cluster) -> Network:
    """The links of a cluster as its file has them."""
    levels = cluster.links
    devices = int(float(cluster.per_node))  # which decides what is crossed, and so cannot be a variable
    return Network(devices, _level(levels.node, devices), _level(levels.between, 1))


def _level(link: Link | None, devices: int) -> Level | None:
    if link is None:
        return None
    parts = devices - 1 if link.topology == "mesh" else 1
    direct = link.topology in ("switch", "mesh")
    crowded = link.crowded.value if link.crowded else 1
    return Level(
        link.rate, link.latency.value, link.bandwidth.value, direct, link.reduces, parts, crowded, peers=link.peers
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Group:
    """So many devices `inside` each of `nodes`, and the levels that they need: `near` within a node, `far` between."""

    inside: int
    nodes: int
    near: Level | None
    far: Level | None

    @property
    def ranks(self) -> int:
        """All devices of it."""
        return self.inside * self.nodes

    @property
    def through(self) -> bool:
        """Whether data in a node pass through its processor."""
        return self.near is not None and not self.near.direct

    @property
    def doublings(self) -> int:
        """How often a tree doubles until it reaches all nodes."""
        return (self.nodes - 1).bit_length()

    def steps(self, near: int, far: int = 0, more_near: float = 0, more_far: float = 0) -> Number:
        """Seconds of so many short messages one after the other, each with what a protocol adds to it."""
        return _each(self.near, near, more_near) + _each(self.far, far, more_far)

    def wire(self, near: Number, far: Number = 0) -> Number:
        """Seconds in which so many bytes leave a device for its node, and for others at the same time."""
        times = [_sent(near, self.near, self.inside), _sent(far, self.far, self.inside)]
        return reduce(maximum, [each for each in times if each is not None])


def _each(level: Level | None, steps: int, more: float) -> Number:
    return steps * (level.latency + more * level.slow) if level else 0


def _sent(moved: Number, level: Level | None, devices: int) -> Number | None:
    """Of a mesh only the links to devices of the group are used."""
    if level is None:
        return None
    used = (devices - 1) / level.parts if level.parts > 1 else 1
    return moved / (level.rate * used)


def group(x: Exchange, network: Network) -> Group:
    """How a group lies: a group that fits a node is put into one."""
    inside = min(x.ranks, max(network.per_node // x.stride, 1)) if network.node else 1
    nodes = -(-x.ranks // inside)
    near, far = network.node if inside > 1 else None, network.between if nodes > 1 else None
    if near and inside > 2:
        near = replace(near, rate=near.rate * near.crowded)
    if nodes > 1 and far is None:
        raise ValueError(f"a group of {x.ranks} devices, each {x.stride} from the next, is larger than the cluster")
    return Group(inside, nodes, near, far)


@dataclass(frozen=True, slots=True)
class Protocol:
    """How NCCL moves data: what a collective takes at first, relative to `collective_time`, seconds that a step takes
    more than a bare message (`near`, and over a network `far`), and the share of the bandwidth that is data."""

    base: float
    near: float
    far: float
    share: float


BASE = 6.6
"""Microseconds that a ring takes beside its steps in NCCL's fastest protocol: what `collective_time` is there."""
RINGS = (
    Protocol(1, 0, 0, 3 / 8),  # LL: a flag with every four bytes; 141 of 371 GB/s on Hopper, 88 of 240 on Ampere
    Protocol(14 / BASE, 1.3e-6, 1.3e-6, 120 / 128),  # LL128: a flag with every 120 bytes
    Protocol(8.4 / BASE, 2.8e-6, 11.3e-6, 1),  # Simple: a flag for each slice, and a flush of the network card
)
"""Protocols of rings (hwLatencies, baseLatencies); steps beyond those of LL, 0.6 us over NVLink, 2.7 over networks."""
TREE = 92 / 100
TREES = (
    Protocol(6.8 / BASE, 0, 2.3e-6, TREE * 1 / 3.8),
    Protocol(14 / BASE, 0.65e-6, 5.8e-6, TREE * 7 / 9),
    Protocol(8.4 / BASE, 3.4e-6, 11.3e-6, TREE),
)
"""The same of trees."""
PATH_RINGS = (Protocol(1, 0, 0, 1 / 2), Protocol(8.4 / BASE, 4.7e-6, 11.3e-6, 1))
PATH_TREES = (Protocol(6.8 / BASE, 0, 2.3e-6, TREE * 1 / 3.8), Protocol(8.4 / BASE, 3e-6, 11.3e-6, TREE))
"""Both through the processor of a node: without LL128, which needs links that keep the order of what is written."""
CHUNKS = (16 * 2**10, 32 * 2**10, 64 * 2**10)
"""Bytes that a channel of NCCL's reduction in the switch handles at once for each device (src/enqueue.cc)."""
CHANNEL = 23.2e9
"""Bytes/s of links for each channel of it: 16 channels on Hopper (src/transport/nvls.cc), of 371 GB/s."""
STAGES = 3
"""What a chunk goes through there: into the switch, the sum out of it and to all, out of the buffers."""
SEVERAL = 3
"""Devices from which on NCCL has the switch reduce (vllm-project/vllm issue 9699)."""

ROUNDS = {"all_reduce": 2}
"""How often a ring goes round: sums go round to be made, and again to be spread."""


COPY = 0.5
"""What a share takes in a device's own memory, into or out of buffers, relative to its way over a link: groups of two
and of four A100 reach 158 and 202 GB/s in all-gathers and 199 and 225 in all-reduces, of links of 240."""


def _ring(x: Exchange, g: Group, p: Parameters) -> Iterator[Number]:
    """Shares pass from neighbour to neighbour; each node hands as many rings on as it has devices."""
    times = ROUNDS.get(x.what, 1)
    share, far = x.payload / g.ranks, times * (g.nodes - 1)
    moved = share * (times * (g.ranks - 1) + COPY)
    for each in PATH_RINGS if g.through else RINGS:
        steps = g.steps(times * (g.ranks - 1) - far, far, each.near, each.far)
        yield p["collective_time"] * each.base + steps + g.wire(moved, moved / g.inside) / each.share


def _tree(x: Exchange, g: Group, p: Parameters) -> Iterator[Number]:
    """Two trees of half the data each (Sanders et al. 2009): along a chain in a node, in a tree over nodes."""
    far = 2 * g.doublings
    for each in PATH_TREES if g.through else TREES:
        steps = g.steps(2 * (g.inside - 1), far, each.near, each.far)
        yield p["collective_time"] * each.base + steps + g.wire(2 * x.payload, 2 * x.payload / g.inside) / each.share


def _nvls(x: Exchange, g: Group, p: Parameters) -> Iterator[Number]:
    """The switch of a node adds up chunk after chunk, each for all of its devices; over several nodes a tree goes on.

    A device signals for the chunks of each of the others, and sends its own data and the sum of its share.
    """
    if g.near and g.near.reduces and g.inside >= SEVERAL:
        over = g.steps(0, 2 * g.doublings)
        beyond = 0 if g.far is None else 2 * x.payload / g.inside / g.far.rate
        for chunk in CHUNKS:
            turns = x.payload / g.inside / (chunk * g.near.rate / CHANNEL) + STAGES - 1
            turn = g.inside * g.near.latency + (g.inside + 1) * chunk / CHANNEL
            yield p["collective_time"] + over + maximum(turns * turn, beyond)


def _two_level(x: Exchange, g: Group, p: Parameters) -> Iterator[Number]:
    """Each node adds up shares, each device its own with those of other nodes, and spreads it in its node again."""
    if g.nodes > 1 and g.inside > 1:
        share = x.payload / g.inside
        near, far = 2 * share * (g.inside - 1), 2 * share * (g.nodes - 1) / g.nodes
        steps = g.steps(2 * (g.inside - 1), 2 * (g.nodes - 1))
        yield 3 * p["collective_time"] + steps + g.wire(near) + g.wire(0, far)


def _by_peers(g: Group) -> bool:
    """Whether kernels can read the memory of all others: in a node, where no data pass through a third."""
    return g.nodes == 1 and g.near is not None and g.near.peers and (g.near.direct or g.ranks == 2)


ASKED = 36 * 512 * 16
"""Bytes of each other device that a kernel asks for at once: 16 for each thread (csrc/custom_all_reduce.cuh)."""


def _one_shot(x: Exchange, g: Group, p: Parameters) -> Iterator[Number]:
    """Each reads what all others have: a signal, a read there and back, a signal.

    Of few others less is on the way than links could carry: each part that is asked for takes its way there and back.
    """
    if _by_peers(g):
        waited = x.payload / ASKED * g.steps(2)
        yield p["peer_time"] + g.steps(4) + maximum(g.wire(x.payload * (g.ranks - 1)), waited)


def _two_shot(x: Exchange, g: Group, p: Parameters) -> Iterator[Number]:
    """Each adds up its share and reads the sums of the others: twice a signal and a read there and back."""
    if _by_peers(g):
        moved = 2 * x.payload * (g.ranks - 1) / g.ranks
        yield 2 * p["peer_time"] + g.steps(6) + g.wire(moved) / p["peer_efficiency"]


def _multimem(x: Exchange, g: Group, p: Parameters) -> Iterator[Number]:
    """Each reads the sum of its share from the switch and writes it to all: a signal, a read, a write, a signal."""
    if _by_peers(g) and g.near and g.near.reduces:
        moved = x.payload * (1 + 1 / g.ranks)
        yield 3 / 2 * p["peer_time"] + g.steps(5) + g.wire(moved) / p["peer_efficiency"]


WAYS: Mapping[Way, Callable[[Exchange, Group, Parameters], Iterator[Number]]] = {
    "ring": _ring, "tree": _tree, "nvls": _nvls, "two_level": _two_level, "one_shot": _one_shot,
    "two_shot": _two_shot, "multimem": _multimem,
}  # fmt: skip
"""Algorithms of sums: the times of each by its protocols, none where the links do not allow it."""


LONGER = 16 * 2**10 + 1
"""Bytes from which on single messages go by Simple, before by LL, whichever is the faster (src/enqueue.cc)."""


def _apart(x: Exchange, g: Group, p: Parameters) -> Number:
    """Messages from each to each, all at once: those for the node over its links, the others over the network.

    Over a network kernels of their own send them (DeepEP), which neither flag lines nor flush cards.
    """
    share = x.payload / g.ranks
    wire = g.wire(share * (g.inside - 1 + COPY), share * (g.ranks - g.inside))
    if g.far:
        return p["collective_time"] + g.steps(0, 1) + wire
    return _message(share, wire, g, p)


def _by_experts(x: Exchange, g: Group, p: Parameters) -> Number:
    """Tokens to the nodes of their experts and there to their ranks, or results back, by kernels of their own."""
    return p["collective_time"] + (g.steps(0, 1) if g.far else g.steps(1)) + g.wire(*_to_experts(x, g, COPY))


def _to_experts(x: Exchange, g: Group, own: float = 0) -> tuple[Number, Number]:
    """Bytes out of a device over the links of its node, and over the network, to which a token goes once for a node.

    `own` is how its own share counts, relative to one that leaves.
    """
    if x.chosen is None:
        raise ValueError(f"{x.what}: nothing says which experts tokens choose")
    to_ranks, to_nodes = (x.payload * places(each, *x.chosen) for each in (g.ranks, g.nodes))
    return to_ranks * (g.inside - 1 + own) / g.inside, to_nodes * (g.nodes - 1) / g.nodes


def _send(x: Exchange, g: Group, p: Parameters) -> Number:
    """One message to the next; where some of a row are in other nodes, the slower link counts."""
    level = g.far or g.near
    return _message(x.payload, x.payload / (level.rate / level.parts), g, p) if level else 0


def _message(size: Number, wire: Number, g: Group, p: Parameters) -> Number:
    """Seconds of messages of so many bytes, which take `wire` of the links, the slowest of which counts."""

    def by(protocol: Protocol) -> Number:
        step = g.steps(0, 1, more_far=protocol.far) if g.far else g.steps(1, more_near=protocol.near)
        return p["collective_time"] * protocol.base + step + wire / protocol.share

    among = PATH_RINGS if g.through else RINGS
    long = at_least(size, LONGER)
    return long * by(among[-1]) + (1 - long) * by(among[0])


ALONE = {"all_to_all": _apart, "to_experts": _by_experts, "send": _send}
"""Exchanges of single messages."""


def exchange_time(x: Exchange, network: Network, p: Parameters) -> Number:
    """Seconds of what a group does together by the fastest way that its links allow."""
    g = group(x, replace(network, node=_as_fast(network.node, p), between=_as_fast(network.between, p)))
    if x.what in ALONE:
        return ALONE[x.what](x, g, p)
    ways = x.ways if x.what == "all_reduce" else ()
    times = [time for way in ways for time in WAYS[way](x, g, p)] or _ring(x, g, p)
    return reduce(minimum, times)


def _as_fast(level: Level | None, p: Parameters) -> Level | None:
    """Links as parameters have them relative to what the file of a cluster says."""
    if level is None:
        return None
    speed, slow = p[speed_of(level)], p["link_delay"]
    return replace(level, rate=level.rate * speed, latency=level.latency * slow, slow=slow)


def speed_of(level: Level) -> str:
    """The parameter that scales the rate of links: of devices' own, or of ways through processors and networks."""
    return "link_speed" if level.direct else "path_speed"


def light_time(x: Exchange, network: Network) -> Number:
    """Speed of light: seconds in which the bytes that have to leave a device do, with no latency."""
    g = group(x, replace(network, node=_at_peak(network.node), between=_at_peak(network.between)))
    if x.what == "send":
        level = g.far or g.near
        return x.payload / level.rate if level else 0
    if x.what == "all_to_all":
        return g.wire(x.payload * (g.inside - 1) / g.ranks, x.payload * (g.ranks - g.inside) / g.ranks)
    if x.what == "to_experts":
        return g.wire(*_to_experts(x, g))
    moved = ROUNDS.get(x.what, 1) * x.payload
    near = moved * (g.inside - 1) / g.inside
    if x.what == "all_reduce" and g.near and g.near.reduces:
        near = minimum(near, x.payload * (1 + 1 / g.inside))  # the switch takes in all data and sends out the sum
    return g.wire(near, moved * (g.nodes - 1) / g.nodes / g.inside)


def _at_peak(level: Level | None) -> Level | None:
    return level and replace(level, rate=level.peak, crowded=1)
