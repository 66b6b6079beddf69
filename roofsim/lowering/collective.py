"""What devices do together: one launch on each, by whatever algorithm is fastest on their links."""

from __future__ import annotations

from roofsim.lowering.kernels import Exchange, Kernel, Lowered, Situation
from roofsim.ops import collective
from roofsim.ops.base import Operator


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
    return Lowered((launched,))
