"""What devices do together: one launch on each, by whatever algorithm is fastest on their links."""

from __future__ import annotations

from dataclasses import replace

from roofsim.lowering.fused import QUANTISE_FLOPS
from roofsim.lowering.kernels import Exchange, Kernel, Lowered, Situation, piece
from roofsim.model.weights import ACTIVATION_BYTES
from roofsim.ops import collective
from roofsim.ops.base import Operator, Role


def lower(operator: Operator, situation: Situation) -> Lowered:
    """One kernel, replayed where a graph of so many tokens was captured; only sums have several algorithms."""
    z = operator.sizes
    ways = situation.runtime.parallel.all_reduce if operator.function is collective.all_reduce else ()
    ranks, stride = int(float(z["ranks"])), int(float(z["stride"]))
    chosen = None
    if operator.function is collective.to_experts:
        experts, groups, limit, top_k = (
            int(float(z[name])) for name in ("experts", "expert_groups", "group_limit", "top_k")
        )
        chosen = experts, groups, limit, top_k
    exchange = Exchange(operator.function.__name__, z["payload"], ranks, stride, ways, chosen)
    launched = Kernel(operator.name, "collective", operator.cost, replayed=situation.captured, exchange=exchange)
    return Lowered((*quantised(operator, situation), launched))


def quantised(operator: Operator, situation: Situation) -> tuple[Kernel, ...]:
    """What quantises a rank's tokens before they go to experts; kernels for steps do so as they send."""
    p, z = situation.p, operator.sizes
    narrow = ACTIVATION_BYTES.get(p.precision.product("experts_up"))
    if operator.role is not Role.DISPATCH or narrow is None or (p.phase == "decode" and not p.routing.gathered):
        return ()
    elements = z["payload"] / narrow / (z["ranks"] if p.routing.gathered else 1)
    moved = p.precision.activations + narrow
    return (replace(piece("quantise", "strided", elements, moved, QUANTISE_FLOPS), replayed=situation.captured),)
