"""How many (query, key) pairs a sequence scores."""

from __future__ import annotations

from roofsim.foundation.arith import Number, ceil, maximum, minimum


def causal_pairs(new: Number, context: Number, window: Number) -> Number:
    """Query i of `new` sees the `context` tokens before the pass and i of the pass itself, at most `window` of them.

    Without a limit that is new · (context + (new + 1) / 2).
    """
    growing = minimum(maximum(window - context, 0), new)
    return growing * (context + (growing + 1) / 2) + (new - growing) * window


def chunk_pairs(new: Number, chunk: Number) -> Number:
    """Each of `new` tokens sees only those of its own chunk, itself included: full chunks, then what is left."""
    full = ceil(new / chunk) - 1
    rest = new - full * chunk
    return full * chunk * (chunk + 1) / 2 + rest * (rest + 1) / 2


def begun(length: Number, chunk: Number) -> Number:
    """Tokens of a sequence that are in the same chunk as its next one."""
    return length - (ceil((length + 1) / chunk) - 1) * chunk


def past_blocks(length: Number, block: Number, most: Number) -> Number:
    """Whole blocks before their own that the tokens of a sequence see, each of the `most` that it may or all there are.

    Those of block b see min(b, most).
    """
    full = ceil(length / block) - 1
    rest = length - full * block
    few = minimum(full, most)
    return block * (few * (few - 1) / 2 + (full - few) * most) + rest * few
