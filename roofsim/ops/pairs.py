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
