"""Attention: every query of every sequence, every key that it sees, every head."""

from __future__ import annotations

from counting.tally import Tally, counts
from roofsim.ops import attention

LENGTHS = {"batch": [2], "new": [1, 2, 5, 8], "context": [0, 1, 3, 4, 7]}


@counts(
    attention.causal_attention,
    **LENGTHS, heads=[4], kv_heads=[2], qk_dim=[3], v_dim=[2], window=[1, 3, 4, 20], pair_flops=[5],
)  # fmt: skip
def causal_attention(
    t: Tally, batch: int, new: int, context: int, heads: int, kv_heads: int, qk_dim: int, v_dim: int, window: int,
    pair_flops: float, act_bytes: float, cache_bytes: float,
) -> None:  # fmt: skip
    """A query sees itself and the `window` − 1 tokens before it; what any query sees is read once per key head."""
    for _ in range(batch):
        read: set[int] = set()
        for query in range(context, context + new):
            seen = [key for key in range(query + 1) if query - key < window]
            read.update(seen)
            for _ in range(heads):
                attend(t, seen, qk_dim, v_dim, pair_flops)
                t.activations += (qk_dim + v_dim) * act_bytes  # the query in, the result out
        read_cache(t, read, kv_heads, qk_dim + v_dim, cache_bytes)


def attend(t: Tally, seen: list[int], qk_dim: int, v_dim: int, pair_flops: float) -> None:
    """One query of one head: the score of every key that it sees, its softmax, and the weighted sum of values."""
    for _ in seen:
        for _ in range(qk_dim):
            t.matrix += 2
        t.vector += pair_flops
        for _ in range(v_dim):
            t.matrix += 2


def read_cache(t: Tally, tokens: set[int], kv_heads: int, width: int, cache_bytes: float) -> None:
    """Keys and values of some tokens, once for every head that has its own."""
    for _ in tokens:
        for _ in range(kv_heads):
            t.state += width * cache_bytes


@counts(
    attention.chunked_attention,
    **LENGTHS, heads=[4], kv_heads=[2], qk_dim=[3], v_dim=[2], chunk=[1, 3, 4, 20], pair_flops=[5],
)  # fmt: skip
def chunked_attention(
    t: Tally, batch: int, new: int, context: int, heads: int, kv_heads: int, qk_dim: int, v_dim: int, chunk: int,
    pair_flops: float, act_bytes: float, cache_bytes: float,
) -> None:  # fmt: skip
    """A query sees itself and what is before it in its own chunk of the sequence.

    Convention: what the cache holds is read, whether a query sees it or not: the last `chunk` − 1 tokens.
    """
    for _ in range(batch):
        held = list(range(context))[-(chunk - 1) :] if chunk > 1 else []
        for query in range(context, context + new):
            seen = [key for key in range(query + 1) if key // chunk == query // chunk]
            for _ in range(heads):
                attend(t, seen, qk_dim, v_dim, pair_flops)
                t.activations += (qk_dim + v_dim) * act_bytes
        read_cache(t, {*held, *range(context, context + new)}, kv_heads, qk_dim + v_dim, cache_bytes)


@counts(
    attention.block_sparse_attention,
    batch=[2], new=[1, 2, 5, 8], context=[0, 1, 3, 4, 7, 13, 15], heads=[4], kv_heads=[2], qk_dim=[3], v_dim=[2],
    block=[1, 4], blocks=[1, 2, 3], pair_flops=[5],
)  # fmt: skip
def block_sparse_attention(
    t: Tally, batch: int, new: int, context: int, heads: int, kv_heads: int, qk_dim: int, v_dim: int, block: int,
    blocks: int, pair_flops: float, act_bytes: float, cache_bytes: float,
) -> None:  # fmt: skip
    """A query sees what is before it in its own block, and `blocks` − 1 whole blocks of the past.

    Counted is the most that all queries of a pass can see: each prefers blocks that none saw before. Convention: the
    gate scores one mean key, and sums it once, for every `block` keys before the query and itself.
    """
    for _ in range(batch):
        read: set[int] = set()
        for query in range(context, context + new):
            past = [set(range(start, start + block)) for start in range(0, query // block * block, block)]
            past.sort(key=lambda tokens: -len(tokens - read))
            seen = set(range(query // block * block, query + 1)).union(*past[: blocks - 1])
            read |= seen
            for _ in range(heads):
                attend(t, sorted(seen), qk_dim, v_dim, pair_flops)
                for _ in range(query + 1):
                    t.matrix += 2 * qk_dim / block
                    t.vector += 1 / block
                t.activations += (qk_dim + v_dim) * act_bytes
        read_cache(t, read, kv_heads, qk_dim + v_dim, cache_bytes)
        for _ in range(context + new):  # a mean key for every `block` of them
            t.state += kv_heads * qk_dim / block * cache_bytes


@counts(
    attention.latent_attention,
    **LENGTHS, heads=[3], kv_rank=[4], rope_dim=[2], window=[1, 3, 4, 20], pair_flops=[5],
)  # fmt: skip
def latent_attention(
    t: Tally, batch: int, new: int, context: int, heads: int, kv_rank: int, rope_dim: int, window: int,
    pair_flops: float, act_bytes: float, cache_bytes: float,
) -> None:  # fmt: skip
    """A query sees `window` tokens of those before it and itself, all of them if there are no more.

    Which ones is chosen for it: counted is the most that all queries of a pass can see.
    """
    for _ in range(batch):
        read: set[int] = set()
        for query in range(context, context + new):
            unread_first = sorted(range(query + 1), key=lambda token: token in read)
            seen = unread_first[:window]
            read.update(seen)
            for _ in range(heads):
                attend(t, seen, kv_rank + rope_dim, kv_rank, pair_flops)
                t.activations += (kv_rank + rope_dim) * act_bytes  # the query in
                t.activations += kv_rank * act_bytes  # a sum of latents out
        read_cache(t, read, 1, kv_rank + rope_dim, cache_bytes)


@counts(attention.index_scores, **LENGTHS, heads=[3], qk_dim=[4])
def index_scores(
    t: Tally, batch: int, new: int, context: int, heads: int, qk_dim: int, act_bytes: float, cache_bytes: float
) -> None:
    """Σ over heads of weight · relu(query · key), the key shared by all heads; scores stay on the chip."""
    for _ in range(batch):
        for query in range(context, context + new):
            for _ in range(heads):
                t.activations += qk_dim * act_bytes + act_bytes  # its query and its weight
                for _ in range(query + 1):
                    for _ in range(qk_dim):
                        t.matrix += 2
                    t.vector += 1  # relu
                    t.matrix += 2  # times the weight, added to the other heads
        for _ in range(context + new):
            t.state += qk_dim * cache_bytes


@counts(attention.cache_append, batch=[1, 3], new=[1, 4], width=[6])
def cache_append(t: Tally, batch: int, new: int, width: int, act_bytes: float, cache_bytes: float) -> None:
    """Read as activations, written in the dtype of the cache."""
    for _ in range(batch):
        for _ in range(new):
            for _ in range(width):
                t.activations += act_bytes
                t.state += cache_bytes


@counts(attention.rotary, tokens=[1, 7], width=[4])
def rotary(t: Tally, tokens: int, width: int, act_bytes: float) -> None:
    """x cos θ ± y sin θ for every element: two products and a sum; in and out."""
    for _ in range(tokens):
        for _ in range(width):
            t.vector += 1 + 1 + 1
            t.activations += act_bytes + act_bytes
