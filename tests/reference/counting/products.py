"""Linear layers, experts and routing: every weight of every token."""

from __future__ import annotations

from itertools import combinations, product

from counting.tally import Tally, counts
from roofsim.ops import gemm, routing


@counts(gemm.linear, tokens=[1, 5], d_in=[3], d_out=[4], bias=[0, 1])
def linear(t: Tally, tokens: int, d_in: int, d_out: int, bias: int, weight_bytes: float, act_bytes: float) -> None:
    """One multiply-add per weight and token; weights and biases once, inputs and outputs once a token."""
    for _ in range(d_out):
        for _ in range(d_in):
            t.weights += weight_bytes
        if bias:
            t.weights += weight_bytes
    for _ in range(tokens):
        t.activations += d_in * act_bytes
        for _ in range(d_out):
            for _ in range(d_in):
                t.matrix += 2
            if bias:
                t.vector += 1
            t.activations += act_bytes


@counts(gemm.expert_linear, tokens=[1, 2, 3], experts=[4], top_k=[1, 2, 4], d_in=[3], d_out=[5], bias=[0, 1])
def expert_linear(
    t: Tally, tokens: int, experts: int, top_k: int, d_in: int, d_out: int, bias: int, weight_bytes: float,
    act_bytes: float,
) -> None:  # fmt: skip
    """The work of every token in every expert that it chose; the weights of the experts that any token chose.

    Their number is the mean over all choices that the tokens can make, each as likely as the next.
    """
    choices = list(combinations(range(experts), top_k))
    every = list(product(choices, repeat=tokens))
    for chosen in every:
        for _ in set().union(*chosen):
            t.weights += (d_in * d_out + bias * d_out) * weight_bytes / len(every)
    for _ in range(tokens):
        for _ in range(top_k):
            t.matrix += 2 * d_in * d_out
            t.vector += bias * d_out
            t.activations += d_in * act_bytes + d_out * act_bytes


@counts(gemm.head_linear, tokens=[1, 4], heads=[2, 3], d_in=[5], d_out=[4])
def head_linear(
    t: Tally, tokens: int, heads: int, d_in: int, d_out: int, weight_bytes: float, act_bytes: float
) -> None:
    """Each head multiplies its own part of the input by its own matrix."""
    for _ in range(heads):
        for _ in range(d_in * d_out):
            t.weights += weight_bytes
            t.matrix += 2 * tokens
        for _ in range(tokens):
            t.activations += d_in * act_bytes + d_out * act_bytes


@counts(routing.route, tokens=[1, 4], experts=[5])
def route(t: Tally, tokens: int, experts: int, act_bytes: float) -> None:
    """Softmax as in attention (subtract the maximum, exponential, sum, divide, find the maximum) and a comparison."""
    for _ in range(tokens):
        for _ in range(experts):
            t.vector += 5
            t.vector += 1
            t.activations += act_bytes + act_bytes  # the score in, the probability out


@counts(routing.combine, tokens=[1, 4], top_k=[1, 3], width=[5])
def combine(t: Tally, tokens: int, top_k: int, width: int, act_bytes: float) -> None:
    """Each result of each expert times its weight, added up."""
    for _ in range(tokens):
        for _ in range(width):
            for _ in range(top_k):
                t.vector += 1 + 1
                t.activations += act_bytes
            t.activations += act_bytes
