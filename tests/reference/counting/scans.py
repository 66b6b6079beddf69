"""Convolutions and scans: every tap, every state element, every pair inside a chunk."""

from __future__ import annotations

from counting.pointwise import SILU
from counting.tally import Tally, counts
from roofsim.ops import conv, recurrence, scan

CONVOLVED = {"batch": [1, 3], "new": [1, 6], "channels": [5], "width": [1, 4], "bias": [0, 1]}


@counts(conv.causal_conv1d, **CONVOLVED)
def causal_conv1d(
    t: Tally, batch: int, new: int, channels: int, width: int, bias: int, weight_bytes: float, act_bytes: float
) -> None:
    """A product for every tap, sums between them, the bias, SiLU; `width` inputs of each channel in and out."""
    short_conv1d(t, batch, new, channels, width, width, bias, weight_bytes, act_bytes)
    for _ in range(batch * new * channels):
        for _ in SILU:
            t.vector += 1


@counts(conv.short_conv1d, **CONVOLVED, held=[0, 3])
def short_conv1d(
    t: Tally, batch: int, new: int, channels: int, width: int, held: int, bias: int, weight_bytes: float,
    act_bytes: float,
) -> None:  # fmt: skip
    """A product for every tap, sums between them, the bias; `held` inputs of each channel in and out."""
    for _ in range(channels):
        for _ in range(width):
            t.weights += weight_bytes
        if bias:
            t.weights += weight_bytes
        for _ in range(batch):
            for _ in range(held):
                t.state += act_bytes + act_bytes
            for _ in range(new):
                t.activations += act_bytes + act_bytes
                for tap in range(width):
                    t.vector += 1 if tap == 0 else 2  # the first product has nothing to be added to
                if bias:
                    t.vector += 1


@counts(scan.selective_scan, batch=[1, 3], new=[1, 5], d_inner=[6], d_state=[4], groups=[1, 2])
def selective_scan(
    t: Tally, batch: int, new: int, d_inner: int, d_state: int, groups: int, weight_bytes: float, act_bytes: float,
    state_bytes: float,
) -> None:  # fmt: skip
    """hₜ = exp(ΔₜA) hₜ₋₁ + ΔₜBₜuₜ, yₜ = Cₜhₜ + Du, times silu(z).

    Conventions: the parallel scan combines each element with a neighbour once (two FLOP); Δ's bias and softplus and
    Δ · u, once per channel, are left out.
    """
    element = ["Δ · A", "exponential", "Δu · B", "times h", "add", "times C", "sum", "combine decays", "combine states"]
    channel = ["D · u", "add", *SILU, "times gate"]
    for _ in range(d_inner):
        for _ in range(d_state):
            t.weights += weight_bytes  # A
        t.weights += weight_bytes + weight_bytes  # D and the bias of Δ
        for _ in range(batch):
            for _ in range(d_state):
                t.state += state_bytes + state_bytes
            for _ in range(new):
                t.activations += 3 * act_bytes + act_bytes  # u, Δ and the gate in, y out
                for _ in range(d_state):
                    t.vector += len(element)
                t.vector += len(channel)
    for _ in range(batch * new * groups):
        t.activations += d_state * act_bytes + d_state * act_bytes  # B and C


def chunks_of(new: int, chunk: int) -> list[range]:
    """The tokens of a sequence, cut into chunks; the last may be shorter."""
    return [range(start, min(start + chunk, new)) for start in range(0, new, chunk)]


def pass_states(t: Tally, chunks: int, elements: int, state_bytes: float) -> None:
    """The state of a sequence: decayed and added to in every chunk, through memory between chunks and around all."""
    for chunk in range(chunks):
        for _ in range(elements):
            t.vector += 2
            if chunk:
                t.activations += state_bytes + state_bytes
    for _ in range(elements):
        t.state += state_bytes + state_bytes


def keep_states(t: Tally, chunks: int, elements: int, state_bytes: float) -> None:
    """The same of a kernel that keeps the state on the chip from chunk to chunk."""
    for _ in range(elements):
        t.vector += 2 * chunks
        t.state += state_bytes + state_bytes


@counts(
    scan.ssd_scan,
    batch=[1, 2], new=[1, 4, 7], heads=[4], head_dim=[3], d_state=[5], groups=[1, 2], chunk=[1, 3, 4, 20],
)  # fmt: skip
def ssd_scan(
    t: Tally, batch: int, new: int, heads: int, head_dim: int, d_state: int, groups: int, chunk: int,
    weight_bytes: float, act_bytes: float, state_bytes: float,
) -> None:  # fmt: skip
    """y = (L ∘ CBᵀ) x inside a chunk, C h across chunks, h built from B and x.

    Conventions: the decay of a pair is a difference, an exponential and a product with the score; Δ is a bias and a
    softplus of three; x is multiplied by Δ, and by D with a sum.
    """
    cut = chunks_of(new, chunk)
    for _ in range(heads):
        t.weights += 3 * weight_bytes  # A, D and the bias of Δ
    for _ in range(batch):
        for tokens in cut:
            for query in tokens:
                for _ in range(tokens.start, query + 1):
                    for _ in range(groups):
                        t.matrix += 2 * d_state  # C · B
                    for _ in range(heads):
                        t.matrix += 2 * head_dim  # times x
                        t.vector += len(["difference", "exponential", "times score"])
                for _ in range(heads):
                    t.matrix += 2 * head_dim * d_state  # x ⊗ B
                    t.matrix += 2 * head_dim * d_state  # C h
                    t.vector += len(["bias", "exponential", "add one", "logarithm"])
                    for _ in range(head_dim):
                        t.vector += len(["Δ · x", "D · x", "add"])
                        t.activations += act_bytes + act_bytes  # x in, y out
                    t.activations += act_bytes  # Δ
                for _ in range(groups):
                    t.activations += d_state * act_bytes + d_state * act_bytes  # B and C
        pass_states(t, len(cut), heads * head_dim * d_state, state_bytes)


CHANNELS = {"batch": [1, 3], "new": [1, 5], "channels": [4]}


@counts(recurrence.rg_lru, **CHANNELS)
def rg_lru(
    t: Tally, batch: int, new: int, channels: int, weight_bytes: float, act_bytes: float, state_bytes: float
) -> None:
    """hₜ = aₜ hₜ₋₁ + √(1 − aₜ²) (iₜ xₜ), aₜ = exp(c rₜ softplus(Λ)), the gates sigmoids of what is given and a bias."""
    gate = ["bias", "negate", "exponential", "add one", "divide"]
    decay = ["c softplus(Λ) · r", "sign", "exponential"]
    rest = ["square", "one minus", "root", "i · x", "times root", "a · h", "add"]
    combined = ["decays", "times", "add"]  # of the parallel scan
    for _ in range(channels):
        t.weights += 3 * weight_bytes  # Λ and two biases
        for _ in range(batch):
            t.state += state_bytes + state_bytes
            for _ in range(new):
                t.vector += 2 * len(gate) + len(decay) + len(rest) + len(combined)
                t.activations += 3 * act_bytes + act_bytes  # x and what both gates are made of in, h out


@counts(recurrence.wkv4, **CHANNELS)
def wkv4(
    t: Tally, batch: int, new: int, channels: int, weight_bytes: float, act_bytes: float, state_bytes: float
) -> None:
    """(e^(p−q) a + e^(u+k−q) v) / (e^(p−q) b + e^(u+k−q)), then a, b and p for the next token."""
    weigh = ["sum", "maximum", "difference", "exponential", "difference", "exponential"]
    numerator, denominator = ["times", "times", "add"], ["times", "add"]
    for _ in range(channels):
        t.weights += 2 * weight_bytes  # decay and bonus
        for _ in range(batch):
            for _ in ("numerator", "denominator", "largest exponent"):
                t.state += state_bytes + state_bytes
            for _ in range(new):
                t.vector += len([*weigh, *numerator, *denominator, "quotient"])
                t.vector += len([*weigh, *numerator, *denominator])
                t.activations += 2 * act_bytes + act_bytes  # k and v in, the mean out
