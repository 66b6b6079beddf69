"""What a server does with the memory and the steps of a device: how many sequences it takes, how they share a step."""

from __future__ import annotations

from roofsim.foundation.arith import Number, maximum, minimum
from roofsim.foundation.errors import Unsupported
from roofsim.foundation.schema import variant
from roofsim.foundation.values import dataclass
from roofsim.prediction import limits
from roofsim.prediction.loop import Engine
from roofsim.prediction.setup import Setup
from roofsim.prediction.steps import is_large, prefill
from roofsim.specs.workload import Workload


def lanes(s: Setup) -> int:
    """Parts of a load that each have sequences and steps of their own.

    They are the groups of data parallel, and of each the batches that are in flight in a pipeline.
    """
    return s.split.dp * in_flight(s)


def in_flight(s: Setup) -> int:
    """Batches in a pipeline at a time: one of each stage, if the runtime has them."""
    return s.split.pp if s.runtime.parallel.micro_batches else 1


def held_bytes(s: Setup, w: Workload, tokens: float) -> float:
    """Bytes of a device for a sequence of so many tokens of a lane, and for one of each other lane in its pipeline."""
    return float(s.stage.state_bytes(tokens, prefill(s, w).precision)) * in_flight(s)


def engine_of(s: Setup, sequences: int | None = None) -> Engine:
    """How the server of a runtime puts requests into steps on a device; `sequences` at once, if that is said."""
    policy = s.runtime.server
    if policy is None:
        raise Unsupported(f"{s.runtime.id} serves no requests that come and go; vllm does")
    large = bool(is_large(s))
    tokens = policy.large_tokens if large and policy.large_tokens else policy.tokens
    most = policy.large_sequences if large and policy.large_sequences else policy.sequences
    most = max((sequences or most) // in_flight(s), 1)
    return Engine(tokens, most, policy.ahead, policy.whole, s.runtime.memory.mixed)


def cache_room(s: Setup, w: Workload, engine: Engine, share: float | None = None) -> tuple[float, float]:
    """Bytes that weights and activations of a full step leave, and what a sequence holds in the mean while it runs.

    `share` of what is left is for that, if it is not the server's own.
    """
    room = limits.cache_room(s, variant(w, batch=1), engine.tokens) * _share(s, share)
    return room, held_bytes(s, w, w.prompt + (w.generate - 1) / 2)


def _share(s: Setup, share: float | None) -> float:
    return share or (s.runtime.server.share if s.runtime.server else 1)


@dataclass(frozen=True)
class Room:
    """Bytes that there are `free` for what sequences of a lane hold, and what one holds: in the mean, first and last.

    `rule` is what a request finds room for before it begins, `kept` a share of what those that run may still make (see
    `ServerPolicy`). `whole` are the bytes that all of the device's memory would give.
    """

    free: float
    mean: float
    begun: float
    ended: float
    whole: float
    rule: str = "grown"
    kept: float = 0.0

    def sequences(self, more: float = 0.0) -> int:
        """How many there is room for, if there is `more` of the device's memory than is taken, or less."""
        free = self.free + more * self.whole
        if self.rule == "next" and self.mean:
            # the next one has room for all its tokens
            beside = self.mean + self.kept * (self.ended - self.mean)
            return int((free - self.ended) // beside) + 1 if free >= self.ended else 0
        each = self.ended if self.rule == "all" else self.mean
        return max(int(free // each), 0) if each else 2**31

    def put_back(self, users: Number) -> Number:
        """How often one of the sequences of so many users gives up its room to others, in the mean.

        Sequences that began together hold from what all hold when they begin to what all hold at their end, evenly
        over a round, and more than there is for a part of it. Then one ends and another begins, and until the next one
        ends all have grown by what one grows, for which so many of mean size give up theirs.
        """
        grown = self.ended - self.begun
        if self.rule != "grown" or grown <= 0:
            return 0.0
        over = minimum(maximum((self.ended - self.free / users) / grown, 0), 1)
        return over * grown / self.mean


def room_of(
    s: Setup, w: Workload, engine: Engine, share: float | None = None, *, once: float = 0.0, saved: float = 0.0
) -> Room:
    """The room for what sequences of a lane hold; `once` are bytes that all hold together, each `saved` less."""
    free, mean = cache_room(s, w, engine, share)
    begun, ended = (held_bytes(s, w, w.prompt + made) - saved for made in (0, w.generate))
    whole, policy = float(s.device.capacity) * _share(s, share), s.runtime.server
    rule = (policy.room, policy.kept) if policy else ()
    return Room(free - once, mean - saved, begun, ended, whole, *rule)
