"""Peak memory of a pass: weights, state, and the most that is alive at once beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from roofsim.foundation.arith import Number, at_least, leading, maximum
from roofsim.foundation.values import dataclass
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


@dataclass(frozen=True, slots=True)
class Away:
    """Bytes of a request that do not lie on the device."""

    weights: Number
    state: Number


@dataclass(frozen=True, slots=True)
class Held:
    """What is held beside the weights while one operator runs; the parts are of the total."""

    layer: str
    operator: str
    total: Number
    state: Number = 0
    logits: Number = 0
    masks: Number = 0

    @property
    def activations(self) -> Number:
        """What is none of the other parts."""
        return self.total - self.state - self.logits - self.masks


def timeline(
    architecture: Architecture, runtime: Runtime, rows: Sequence[LoweredRow], p: Pass, sequences: Number,
    away: Number = 0,
) -> list[Held]:  # fmt: skip
    """What is held at each operator of a pass while so many sequences hold their state, but `away` bytes of it."""
    places = p.context + p.new + runtime.spare - architecture.prefix_tokens
    state = architecture.state_bytes(places, p.precision) * sequences - away
    if drops_cache(architecture, runtime):
        state = state * 0
    kept, building = mask_bytes(architecture, runtime, p)
    # while the mask is built, before the first layer, the cache is empty
    found = [Held("", BUILDING, building + p.activation_bytes(architecture.d_model), masks=building)]
    for moment in moments(rows, p, architecture.d_model, keeps(architecture, runtime)):
        masks = 0 if moment.layer in ENDS else kept
        total = moment.live + state + masks
        found.append(Held(moment.layer, moment.operator, total, state, moment.scores, masks))
    return found


BUILDING = "building the mask"


def peak(
    architecture: Architecture, runtime: Runtime, steps: Sequence[Held], p: Pass, workspace: Number = 0,
    away: Number = 0,
) -> Memory:  # fmt: skip
    """Peak allocation of a pass, by part, with `away` bytes of weights elsewhere; for arrays `binding` is empty."""
    weights = architecture.weight_bytes(p.precision) - away
    most = _largest(steps)
    total = weights + most.total + workspace
    context = runtime.memory.context.value if runtime.memory.context else 0
    reserved = total * (1 + runtime.memory.fragmentation) + context
    binding = f"{most.layer}: {most.operator}" if most.layer else most.operator
    return Memory(
        weights, most.state, most.activations, most.logits, most.masks, workspace, total, reserved, binding
    )  # fmt: skip


def _largest(steps: Sequence[Held]) -> Held:
    """The step at which most is held; for arrays and traced numbers part by part."""
    first, *others = [steps[i] for i in leading([each.total for each in steps])]
    for each in others:
        larger = 1 - at_least(first.total, each.total)
        chosen = (larger * getattr(each, part) + (1 - larger) * getattr(first, part) for part in PARTS)
        first = Held("", "", maximum(first.total, each.total), *chosen)
    return first


PARTS = ("state", "logits", "masks")
