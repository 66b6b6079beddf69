"""What leaves one rank and what reaches it, message by message: each goes straight to the rank that it is for."""

from __future__ import annotations

from counting.tally import Tally, counts
from roofsim.ops import collective

GROUP = {"payload": [840], "ranks": [1, 2, 3, 8], "stride": [1, 4]}


def messages(t: Tally, others: int, each: float) -> None:
    """One out and one in for each of the others: read here, and written here."""
    for _ in range(others):
        t.network += each
        t.activations += each
        t.activations += each


@counts(collective.all_reduce, **GROUP)
def all_reduce(t: Tally, payload: float, ranks: int, stride: int) -> None:
    """Others get their shares to add up, and then the sum of ours."""
    messages(t, ranks - 1, payload / ranks)
    messages(t, ranks - 1, payload / ranks)


@counts(collective.all_gather, **GROUP)
def all_gather(t: Tally, payload: float, ranks: int, stride: int) -> None:
    messages(t, ranks - 1, payload / ranks)


@counts(collective.reduce_scatter, **GROUP)
def reduce_scatter(t: Tally, payload: float, ranks: int, stride: int) -> None:
    messages(t, ranks - 1, payload / ranks)


@counts(collective.all_to_all, **GROUP)
def all_to_all(t: Tally, payload: float, ranks: int, stride: int) -> None:
    messages(t, ranks - 1, payload / ranks)


@counts(
    collective.to_experts, **GROUP, copies=[2.5], experts=[16], expert_groups=[4], group_limit=[2], top_k=[4],
)  # fmt: skip
def to_experts(
    t: Tally, payload: float, ranks: int, stride: int, copies: float, experts: int, expert_groups: int,
    group_limit: int, top_k: int,
) -> None:  # fmt: skip
    """Of the copies of a token each rank gets an equal share, and one of so many ranks is the token's own."""
    messages(t, ranks - 1, payload * copies / ranks)


@counts(collective.send, **GROUP)
def send(t: Tally, payload: float, ranks: int, stride: int) -> None:
    messages(t, 1, payload)
