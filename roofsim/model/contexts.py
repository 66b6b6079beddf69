"""Context parallelism: ranks that share the tokens of a sequence, and what they pass to each other for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from roofsim.foundation.arith import Number, maximum, minimum, single
from roofsim.model.part import exchange
from roofsim.model.split import Split
from roofsim.model.step import Pass
from roofsim.ops import collective
from roofsim.ops.base import Operator

MAXIMA_BYTES = 4
"""The logarithm of a softmax's denominator, in fp32, by which partial results are weighed."""


def share_of(p: Pass, split: Split) -> Pass:
    """What one of `cp` ranks computes of a pass.

    Of a prompt it takes an equal share of the tokens, early and late ones, so that all see equally many: as if its
    tokens began so far in that pairs of queries and keys are a share of all pairs (Liu et al. 2023, Ring Attention,
    arXiv 2310.01889; in two halves: Megatron's context parallelism). In decode it has a share of the cache, and the
    new tokens as the others do.
    """
    ranks = split.cp
    if ranks == 1:
        return p
    if p.phase == "decode":
        return replace(p, context=maximum((p.context + p.new) / ranks - p.new, 0))
    new = p.new / ranks
    return replace(p, new=new, context=p.context + (p.new - new) / 2, padding=p.padding / ranks)


def ring(p: Pass, width: Number, split: Split, *uses: str, window: Number | None = None) -> Iterator[Operator]:
    """The passing on of keys and values, `width` elements a token, around the ranks: each sees those of all."""
    if split.cp > 1 and p.phase != "decode":
        whole = p.context + p.new * (split.cp + 1) / 2
        seen = whole if window is None else minimum(whole, split.cp * (window - 1 + p.new))
        payload = p.batch * seen * width * p.precision.activations
        yield exchange("kv_ring", collective.all_gather, payload, split.cp, *uses, stride=split.tp)


def partial_results(p: Pass, heads: int, width: int, split: Split) -> Iterator[Operator]:
    """The sum of what ranks made of their shares of the cache, `width` elements of each head, and its weights."""
    if split.cp > 1 and p.phase == "decode":
        payload = p.activation_bytes(heads * width) + heads * MAXIMA_BYTES * p.tokens
        yield exchange("attention_sum", collective.all_reduce, payload, split.cp, "attention", stride=split.tp)


def states(p: Pass, state_bytes: Number, split: Split, *uses: str) -> Iterator[Operator]:
    """The gathering of the states that ranks end with: each begins with the sum of those before its own.

    Sun et al. 2025, LASP-2, arXiv 2502.07563, section 3.2: the decays in between are constants of a rank.
    """
    if split.cp > 1 and p.phase != "decode":
        payload = split.cp * p.batch * state_bytes
        yield exchange("state_gather", collective.all_gather, payload, split.cp, *uses, stride=split.tp)


def share_of_cache(p: Pass, sharers: int) -> Pass:
    """What one of so many ranks that share the tokens of a cache sees of it in a step."""
    if sharers == 1 or p.phase != "decode":
        return p
    return replace(p, context=maximum((p.context + p.new) / sharers - p.new, 0))


def cache_gathered(p: Pass, width: Number, sharers: int, *uses: str) -> Iterator[Operator]:
    """The gathering of what came before a piece of a prompt, `width` elements a token."""
    if sharers > 1 and p.phase != "decode" and not (single(p.context) and not p.context):
        payload = p.batch * p.context * width * p.precision.cache
        yield exchange("cache_gather", collective.all_gather, payload, sharers, *uses)


def queries_gathered(p: Pass, width: Number, sharers: int, *uses: str) -> Iterator[Operator]:
    """The gathering of the queries of a step, of which each rank has `width` elements a token, by those that share."""
    if sharers > 1 and p.phase == "decode":
        whole = p.activation_bytes(width * sharers)
        yield exchange("queries_gather", collective.all_gather, whole, sharers, *uses, out=whole)


def results_merged(p: Pass, heads: int, width: int, sharers: int) -> Iterator[Operator]:
    """What ranks made of their shares of a cache for the heads of all, added up with the weights of each.

    vLLM's attention/ops/common.py (`cp_lse_ag_out_rs`): weights are gathered, sums scattered by head.
    """
    if sharers > 1 and p.phase == "decode":
        weights = sharers * sharers * heads * MAXIMA_BYTES * p.tokens
        yield exchange("weights_gather", collective.all_gather, weights, sharers, "attention")
        sums, own = (p.activation_bytes(n * heads * width) for n in (sharers, 1))
        yield exchange(
            "results_scatter", collective.reduce_scatter, sums, sharers, "attention", "weights_gather", out=own
        )
