"""Peak memory of a pass: weights, state, and the most that is alive at once beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from roofsim.foundation.arith import Number, at_least, maximum, single
from roofsim.lowering.step import LoweredRow, drops_cache, keeps, mask_bytes
from roofsim.model.architecture import Architecture
from roofsim.model.step import Pass
from roofsim.ops.base import Role
from roofsim.specs.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Moment:
    """The bytes of activations alive while one operator runs; `scores` is the logits' part of them."""

    layer: str
    operator: str
    live: Number
    scores: Number = 0


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes by part at the moment of the peak, which is their sum; `reserved` is what the process holds then."""

    weights: Number
    state: Number
    activations: Number
    logits: Number
    masks: Number
    workspace: Number
    peak: Number
    reserved: Number
    binding: str


ENDS = ("embedding", "head")
ENDS_OF_BRANCHES = (Role.ATTENTION_OUT, Role.FFN_OUT)
"""The last operators of the branches of a part, until which a Python scope holds what the branch reads."""
SCORES = (Role.LOGITS, Role.LOGITS_SCALE)


def moments(rows: Sequence[LoweredRow], p: Pass, d_model: int, keeps: int | None = None) -> Iterator[Moment]:
    """What is alive at each operator: the residual stream, results still needed, inputs, result, scratch.

    `keeps` is for stacks whose Python scopes hold more than is needed: the input of a layer until its end, the
    normed input of a part until the part returns, and `keeps` copies of the embeddings throughout the layers.
    """
    stream = embedded = p.activation_bytes(d_model)
    for row in rows:
        last_use: dict[str, int] = {}
        latest: dict[Role, str] = {}
        scores_of: set[str] = set()
        for index, (operator, lowered) in enumerate(row):
            latest[operator.role] = operator.name
            if operator.role in SCORES:
                scores_of.add(operator.name)
            for name in (*operator.uses, *(latest[role] for role in lowered.holds if role in latest)):
                last_use[name] = index
            if keeps is not None and operator.role is Role.RESIDUAL:
                if Role.PART_NORM in latest:
                    last_use[latest.pop(Role.PART_NORM)] = index - 1
                last_use["x"] = index
            if keeps is not None and operator.role in ENDS_OF_BRANCHES and Role.BRANCH_NORM in latest:
                last_use[latest.pop(Role.BRANCH_NORM)] = index
            if row.row.layer not in ENDS:
                # the result of a layer's last operator is the next one's residual stream
                stream = operator.out if lowered.out is None else lowered.out
        sizes: dict[str, Number] = {"x": 0 if row.row.layer == "embedding" else stream}
        kept = 0 if row.row.layer in ENDS or not keeps else keeps * embedded
        for index, (operator, lowered) in enumerate(row):
            out = operator.out if lowered.out is None else lowered.out
            live = kept + out + lowered.temporary
            for name, size in sizes.items():
                if last_use.get(name, -1) >= index:
                    live = live + size
            sizes[operator.name] = out
            scores = sum(size for name, size in sizes.items() if name in scores_of)
            yield Moment(row.row.layer, operator.name, live, scores)


def peak(
    architecture: Architecture, runtime: Runtime, rows: Sequence[LoweredRow], p: Pass, workspace: Number = 0
) -> Memory:
    """Peak allocation of a pass, by part; for arrays `binding` is empty."""
    weights = architecture.weight_bytes(p.precision)
    held = architecture.state_bytes(p.context + p.new - architecture.prefix_tokens, p.precision) * p.batch
    if drops_cache(architecture, runtime):
        held = held * 0
    kept, building = mask_bytes(architecture, runtime, p)
    stream = p.activation_bytes(architecture.d_model)
    best = building + stream
    logits: Number = 0
    state: Number = 0  # while the mask is built, before the first layer, the cache is empty
    masks: Number = building
    binding = "building the mask" if single(building) and building else ""
    for moment in moments(rows, p, architecture.d_model, keeps(architecture, runtime)):
        mask = 0 if moment.layer in ENDS else kept
        live = moment.live + held + mask
        larger = 1 - at_least(best, live)
        logits = larger * moment.scores + (1 - larger) * logits
        state = larger * held + (1 - larger) * state
        masks = larger * mask + (1 - larger) * masks
        best = maximum(best, live)
        if single(larger) and larger:
            binding = f"{moment.layer}: {moment.operator}"
    total = weights + best + workspace
    context = runtime.memory.context.value if runtime.memory.context else 0
    reserved = total * (1 + runtime.memory.fragmentation) + context
    return Memory(
        weights,
        state,
        best - logits - state - masks,
        logits,
        masks,
        workspace,
        total,
        reserved,
        binding,
    )
