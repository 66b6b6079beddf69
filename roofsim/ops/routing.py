"""What sends tokens to experts and brings them back."""

from __future__ import annotations

from roofsim.foundation.arith import Number, minimum
from roofsim.foundation.cost import Cost
from roofsim.foundation.extremes import largest
from roofsim.ops.base import Role, operator


@operator("routing", Role.ROUTING)
def route(tokens: Number, *, experts: Number, act_bytes: Number) -> Cost:
    """Softmax over the scores of all experts, and the choice of the best: five FLOP each, and one comparison."""
    return Cost(vector=6 * experts * tokens, activations=2 * experts * act_bytes * tokens)


@operator("routing", Role.COMBINE)
def combine(tokens: Number, *, top_k: Number, width: Number, act_bytes: Number) -> Cost:
    """The weighted sum of what the `top_k` experts of a token made."""
    return Cost(vector=2 * top_k * width * tokens, activations=(top_k + 1) * width * act_bytes * tokens)


def busiest(tokens: Number, experts: int, top_k: int, held: int, ranks: int) -> Number:
    """Choices per token that fall on the busiest of `ranks` with `held` experts each, if tokens choose evenly.

    A rank gets μ = n k / ranks of them on average (where experts do not go round, places hold copies of some), with
    the variance of drawing without return and the skew of a Poisson count. Loads of ranks add up to a constant, which
    widens the gap of the largest by as much as their variance lacks of v = μ (E − k) / (E − 1). So the largest is
    m₁ √v + (m₂ − 1) / 6 above μ, where m₁ and m₂ are the expectations of the largest of as many standard normals and
    of its square (Cornish and Fisher 1938, doi:10.2307/1400905, first order in the skew); at most all that can fall on
    one rank.
    """
    mean = top_k / ranks
    first, second = largest(ranks)
    spread = mean * (experts - top_k) / max(experts - 1, 1)
    return minimum(mean + first * (spread / tokens) ** (1 / 2) + (second - 1) / 6 / tokens, min(top_k, held))
