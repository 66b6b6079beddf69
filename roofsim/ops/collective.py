"""What ranks exchange: the bytes that at least leave one of them, by whatever algorithm.

What leaves is read from memory and what arrives is written. The `payload` is all that the group exchanges, `stride` how
far its neighbours stand apart in the order of devices: it costs nothing here, but says which links the group crosses.
Bounds of traffic: Chan et al. 2007, doi:10.1002/cpe.1206, section 3.
"""

from __future__ import annotations

from roofsim.foundation.arith import Number
from roofsim.foundation.cost import Cost
from roofsim.ops.base import Role, operator


@operator("collective", Role.COLLECTIVE)
def all_reduce(payload: Number, *, ranks: Number, stride: Number) -> Cost:
    """Every rank gets the sum of what all have, `payload` bytes each: all but a share goes out, in and out again."""
    leaves = 2 * payload * (ranks - 1) / ranks
    return Cost(activations=2 * leaves, network=leaves)


@operator("collective", Role.COLLECTIVE)
def all_gather(payload: Number, *, ranks: Number, stride: Number) -> Cost:
    """Every rank gets the shares of all, `payload` bytes together: its own goes to each of the others."""
    leaves = payload * (ranks - 1) / ranks
    return Cost(activations=2 * leaves, network=leaves)


@operator("collective", Role.COLLECTIVE)
def reduce_scatter(payload: Number, *, ranks: Number, stride: Number) -> Cost:
    """Every rank has `payload` bytes and gets its share of the sum: the shares of the others leave it."""
    leaves = payload * (ranks - 1) / ranks
    return Cost(activations=2 * leaves, network=leaves)


@operator("collective", Role.COLLECTIVE)
def all_to_all(payload: Number, *, ranks: Number, stride: Number) -> Cost:
    """Every rank has `payload` bytes for all together, itself included: those for the others leave it."""
    leaves = payload * (ranks - 1) / ranks
    return Cost(activations=2 * leaves, network=leaves)


@operator("collective", Role.COLLECTIVE)
def to_experts(
    payload: Number, *, ranks: Number, stride: Number, copies: Number, experts: Number, expert_groups: Number,
    group_limit: Number, top_k: Number,
) -> Cost:  # fmt: skip
    """Every rank has `payload` bytes of tokens, each for so many ranks that have experts which it chose: `copies`.

    A node gets a token once and hands it on to its ranks; results take the same way back, added up in each node
    (DeepSeek-V3, arXiv 2412.19437, 3.2.2). How many nodes that are follows from the `top_k` experts that a token
    chooses in `group_limit` of their `expert_groups`.
    """
    leaves = payload * copies * (ranks - 1) / ranks
    return Cost(activations=2 * leaves, network=leaves)


@operator("collective", Role.COLLECTIVE)
def send(payload: Number, *, ranks: Number, stride: Number) -> Cost:
    """A rank passes `payload` bytes on to the next of a row of `ranks`, and gets as many from the one before."""
    return Cost(activations=2 * payload, network=payload)
