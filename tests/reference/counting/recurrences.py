"""Linear attention and delta rules in chunks: every pair inside a chunk, every product with the state."""

from __future__ import annotations

from counting.scans import chunks_of, keep_states, pass_states
from counting.tally import Tally, counts
from roofsim.ops import recurrence

CHUNKED = {"batch": [1, 2], "new": [1, 4, 7], "heads": [2], "qk_dim": [3], "v_dim": [5], "chunk": [1, 3, 4, 20]}


@counts(recurrence.linear_attention, **CHUNKED, gates=[0, 1, 3])
def linear_attention(
    t: Tally, batch: int, new: int, heads: int, qk_dim: int, v_dim: int, gates: int, chunk: int, act_bytes: float,
    state_bytes: float,
) -> None:  # fmt: skip
    """oₜ = Sₜᵀqₜ, Sₜ = diag(aₜ) Sₜ₋₁ + kₜvₜᵀ, in chunks.

    Conventions: a pair is masked by one product, an element of q and of k multiplied by one decay, a decay computed in
    four steps.
    """
    cut = chunks_of(new, chunk)
    for _ in range(batch):
        for _ in range(heads):
            for tokens in cut:
                for query in tokens:
                    for _ in range(tokens.start, query + 1):
                        t.matrix += 2 * qk_dim  # q · k
                        t.vector += 1  # the mask
                        t.matrix += 2 * v_dim  # times v
                    t.matrix += 2 * qk_dim * v_dim  # k vᵀ
                    t.matrix += 2 * qk_dim * v_dim  # Sᵀ q
                    t.vector += qk_dim + qk_dim
                    t.vector += 4 * gates
                    t.activations += (qk_dim + qk_dim + v_dim + gates) * act_bytes  # q, k, v and gates in
                    t.activations += v_dim * act_bytes
            pass_states(t, len(cut), qk_dim * v_dim, state_bytes)


@counts(recurrence.mlstm, **CHUNKED)
def mlstm(
    t: Tally, batch: int, new: int, heads: int, qk_dim: int, v_dim: int, chunk: int, act_bytes: float,
    state_bytes: float,
) -> None:  # fmt: skip
    """Linear attention with two gates, and a normaliser nₜ = fₜ nₜ₋₁ + iₜ kₜ by whose product with q it is divided.

    Conventions: the normaliser takes a sum for every pair, and for every token the decay and sum of n and its product
    with q; the running maximum is a sum and a maximum, and the divisor another maximum.
    """
    linear_attention(t, batch, new, heads, qk_dim, v_dim, 2, chunk, act_bytes, state_bytes)
    for _ in range(batch):
        for _ in range(heads):
            for tokens in chunks_of(new, chunk):
                for query in tokens:
                    for _ in range(tokens.start, query + 1):
                        t.vector += 1
                    for _ in range(qk_dim):
                        t.vector += len(["f · n", "add i · k", "n · q", "sum"])
                    t.vector += len(["log f + m", "maximum", "maximum of the divisor"])
                    t.vector += v_dim  # the quotient
            for _ in range(qk_dim):
                t.state += state_bytes + state_bytes  # n
            t.state += state_bytes + state_bytes  # m


@counts(recurrence.wkv, **CHUNKED, gates=[0, 3])
def wkv(
    t: Tally, batch: int, new: int, heads: int, qk_dim: int, v_dim: int, gates: int, chunk: int, weight_bytes: float,
    act_bytes: float, state_bytes: float,
) -> None:  # fmt: skip
    """Linear attention; the current token has a bonus in place of its decay, one product per element of k."""
    linear_attention(t, batch, new, heads, qk_dim, v_dim, gates, chunk, act_bytes, state_bytes)
    for _ in range(heads * qk_dim):
        t.weights += weight_bytes + weight_bytes  # bonus, and decay or its constant part
        for _ in range(batch * new):
            t.vector += 1


@counts(
    recurrence.delta_rule,
    batch=[1, 2], new=[1, 4, 7], key_heads=[2], heads=[4], qk_dim=[3], v_dim=[5], keys=[1, 2], gates=[2, 6],
    chunk=[1, 3, 4, 20],
)  # fmt: skip
def delta_rule(
    t: Tally, batch: int, new: int, key_heads: int, heads: int, qk_dim: int, v_dim: int, keys: int, gates: int,
    chunk: int, weight_bytes: float, act_bytes: float, state_bytes: float,
) -> None:  # fmt: skip
    """Sₜ = (I − βₜkₜkₜᵀ) diag(aₜ) Sₜ₋₁ + βₜkₜvₜᵀ in chunks, through the triangular system of a chunk.

    With a second key one is removed and another is written. Conventions: q and every k are normalised (square, sum,
    scale) and multiplied by two decays for every head, v by its learning rate; a gate value takes six steps, the mask
    of every score one.
    """
    cut = chunks_of(new, chunk)
    for _ in range(heads * gates):
        t.weights += weight_bytes
    for _ in range(batch):
        for tokens in cut:
            for query in tokens:
                seen, before = query - tokens.start + 1, query - tokens.start
                for _ in range(key_heads * keys):
                    t.matrix += 2 * qk_dim * seen  # q · k
                    t.matrix += 2 * qk_dim * before  # k · k, below the diagonal
                for _ in range(key_heads * (1 + keys)):
                    for _ in range(qk_dim):
                        t.vector += len(["square", "sum", "scale"])
                for _ in range(key_heads):
                    t.activations += (qk_dim + qk_dim) * act_bytes
                for _ in range(heads):
                    t.vector += keys * (seen + before)
                    t.matrix += 2 * before * qk_dim  # the system, solved for the keys that read the state
                    t.matrix += 2 * before * v_dim * keys  # and for the new values
                    t.matrix += 2 * seen * v_dim * keys  # scores times values
                    t.matrix += 2 * qk_dim * v_dim  # the state read by its key
                    t.matrix += 2 * qk_dim * v_dim  # by q
                    t.matrix += 2 * qk_dim * v_dim  # and written
                    if keys == 2:
                        t.matrix += 2 * qk_dim * v_dim  # by the second key as well
                    t.vector += 2 * (1 + keys) * qk_dim + v_dim + 6 * gates
                    t.activations += (v_dim + gates + v_dim) * act_bytes  # v and gates in, the result out
        keep_states(t, len(cut), heads * qk_dim * v_dim, state_bytes)
