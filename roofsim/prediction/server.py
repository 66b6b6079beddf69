"""What a server does with the memory and the steps of a device: how many sequences it takes, how they share a step."""

from __future__ import annotations

from collections.abc import Callable

from roofsim.foundation.errors import Unsupported
from roofsim.foundation.schema import variant
from roofsim.prediction import limits
from roofsim.prediction.loop import Engine
from roofsim.prediction.setup import Setup
from roofsim.prediction.steps import prefill
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
    policy, memory = s.runtime.server, s.runtime.memory
    if policy is None:
        raise Unsupported(f"{s.runtime.id} serves no requests that come and go; vllm does")
    large = memory.large_from is not None and s.device.memory.capacity.value >= memory.large_from.value
    tokens = policy.large_tokens if large and policy.large_tokens else policy.tokens
    most = policy.large_sequences if large and policy.large_sequences else policy.sequences
    return Engine(tokens, max((sequences or most) // in_flight(s), 1), policy.ahead, policy.whole)


def cache_room(s: Setup, w: Workload, engine: Engine, share: float | None = None) -> tuple[float, float]:
    """Bytes that weights and activations of a full step leave, and what a sequence holds in the mean while it runs.

    `share` of what is left is for that, if it is not the server's own.
    """
    room = limits.cache_room(s, variant(w, batch=1), engine.tokens) * _share(s, share)
    return room, held_bytes(s, w, w.prompt + (w.generate - 1) / 2)


def _share(s: Setup, share: float | None) -> float:
    return share or (s.runtime.server.share if s.runtime.server else 1)


def holding(
    s: Setup, w: Workload, engine: Engine, share: float | None = None, *, once: float = 0.0, saved: float = 0.0
) -> Callable[[float], int]:
    """Sequences of a lane that there is room for, by how much `more` of the device's memory there is than is taken.

    What they hold in the mean counts, or all their tokens, as the server has it. `once` are bytes that all hold
    together, of which each has `saved` less to hold.
    """
    room, each = cache_room(s, w, engine, share)
    if s.runtime.server and s.runtime.server.room == "all":
        each = held_bytes(s, w, w.prompt + w.generate)
    whole = float(s.device.capacity) * _share(s, share)

    def held(more: float) -> int:
        return max(int((room + more * whole - once) // (each - saved)), 0) if each else 2**31

    return held


def sequences_held(s: Setup, w: Workload, engine: Engine, share: float | None = None, **sharing: float) -> int:
    """Sequences of a lane that there is room for, as `holding` has it."""
    return holding(s, w, engine, share, **sharing)(0.0)
