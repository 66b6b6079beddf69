"""What sends tokens to experts and brings them back."""

from __future__ import annotations

from roofsim.foundation.arith import Number
from roofsim.foundation.cost import Cost
from roofsim.ops.base import Role, operator


@operator("routing", Role.ROUTING)
def route(tokens: Number, *, experts: Number, act_bytes: Number) -> Cost:
    """Softmax over the scores of all experts, and the choice of the best: five FLOP each, and one comparison."""
    return Cost(vector=6 * experts * tokens, activations=2 * experts * act_bytes * tokens)


@operator("routing", Role.COMBINE)
def combine(tokens: Number, *, top_k: Number, width: Number, act_bytes: Number) -> Cost:
    """The weighted sum of what the `top_k` experts of a token made."""
    return Cost(vector=2 * top_k * width * tokens, activations=(top_k + 1) * width * act_bytes * tokens)
