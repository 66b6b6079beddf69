"""Norms, activations, gates and mixes: a list of elementary operations for every element.

Conventions: a sigmoid is four FLOP (negate, exponential, add one, divide), SiLU and GELU are five, a hyperbolic tangent
is five, a reduction is one per element, what is computed once per row is not counted.
"""

from __future__ import annotations

from collections.abc import Sequence

from counting.tally import Tally, counts
from roofsim.ops import gating, pointwise

SIGMOID = ["negate", "exponential", "add one", "divide"]
SILU = [*SIGMOID, "times x"]
TANH = ["double", "exponential", "add one", "divide", "one minus"]
RMS = ["square", "sum", "scale", "weight"]
LAYER = ["sum", "centre", "square", "sum", "scale", "weight"]


def elements(t: Tally, number: int, steps: Sequence[str], reads: int, act_bytes: float, writes: int = 1) -> None:
    """`steps` on every element, of which `reads` tensors are read and `writes` written."""
    for _ in range(number):
        for _ in steps:
            t.vector += 1
        for _ in range(reads + writes):
            t.activations += act_bytes


NORM = {"tokens": [1, 3], "width": [4]}


@counts(pointwise.rms_norm, **NORM)
def rms_norm(t: Tally, tokens: int, width: int, weight_bytes: float, act_bytes: float) -> None:
    elements(t, tokens * width, RMS, 1, act_bytes)
    t.weights += width * weight_bytes


@counts(pointwise.layer_norm, **NORM, bias=[0, 1])
def layer_norm(t: Tally, tokens: int, width: int, bias: int, weight_bytes: float, act_bytes: float) -> None:
    elements(t, tokens * width, [*LAYER, *["bias"] * bias], 1, act_bytes)
    t.weights += width * weight_bytes
    if bias:
        t.weights += width * weight_bytes


@counts(pointwise.gated_rms_norm, **NORM)
def gated_rms_norm(t: Tally, tokens: int, width: int, weight_bytes: float, act_bytes: float) -> None:
    """rms_norm(x · silu(z)): x and z in."""
    elements(t, tokens * width, [*SILU, "times x", *RMS], 2, act_bytes)
    t.weights += width * weight_bytes


@counts(pointwise.activation, **NORM)
def activation(t: Tally, tokens: int, width: int, act_bytes: float) -> None:
    elements(t, tokens * width, SILU, 1, act_bytes)


@counts(pointwise.gated_activation, **NORM)
def gated_activation(t: Tally, tokens: int, width: int, act_bytes: float) -> None:
    """silu(gate) · up: both in."""
    elements(t, tokens * width, [*SILU, "times up"], 2, act_bytes)


@counts(pointwise.add, **NORM)
def add(t: Tally, tokens: int, width: int, act_bytes: float) -> None:
    elements(t, tokens * width, ["sum"], 2, act_bytes)


@counts(pointwise.soft_cap, **NORM)
def soft_cap(t: Tally, tokens: int, width: int, act_bytes: float) -> None:
    elements(t, tokens * width, ["divide", *TANH, "multiply"], 1, act_bytes)


@counts(pointwise.scale, **NORM)
def scale(t: Tally, tokens: int, width: int, act_bytes: float) -> None:
    elements(t, tokens * width, ["multiply"], 1, act_bytes)


@counts(pointwise.concat, **NORM)
def concat(t: Tally, tokens: int, width: int, act_bytes: float) -> None:
    elements(t, tokens * width, [], 1, act_bytes)


@counts(pointwise.embedding, **NORM)
def embedding(t: Tally, tokens: int, width: int, weight_bytes: float, act_bytes: float) -> None:
    """A row of the table is read for every token, and written as activations."""
    for _ in range(tokens):
        for _ in range(width):
            t.weights += weight_bytes
            t.activations += act_bytes


@counts(gating.product, **NORM)
def product(t: Tally, tokens: int, width: int, act_bytes: float) -> None:
    elements(t, tokens * width, ["product"], 2, act_bytes)


@counts(gating.rms_norm_gate, **NORM, norm_weights=[2])
def rms_norm_gate(t: Tally, tokens: int, width: int, norm_weights: int, weight_bytes: float, act_bytes: float) -> None:
    """rms_norm(x) · w · silu(z); heads may share the weights."""
    elements(t, tokens * width, [*RMS, *SILU, "times gate"], 2, act_bytes)
    t.weights += norm_weights * weight_bytes


@counts(gating.layer_norm_gate, **NORM, norm_weights=[2])
def layer_norm_gate(
    t: Tally, tokens: int, width: int, norm_weights: int, weight_bytes: float, act_bytes: float
) -> None:
    """layer_norm(x) · silu(z), its bias counted whether there is one or not."""
    elements(t, tokens * width, [*LAYER, "bias", *SILU, "times gate"], 2, act_bytes)
    t.weights += norm_weights * weight_bytes


@counts(gating.bonus_norm_gate, **NORM)
def bonus_norm_gate(t: Tally, tokens: int, width: int, weight_bytes: float, act_bytes: float) -> None:
    """(layer_norm(x) + (r · (ρ ⊙ k)) v) ⊙ g: x, r, k, v and g in; weights of the norm, its bias, and ρ."""
    bonus = ["ρ times k", "r times", "sum", "times v", "add"]
    elements(t, tokens * width, [*LAYER, "bias", *bonus, "times g"], 5, act_bytes)
    for _ in range(3):
        t.weights += width * weight_bytes


@counts(gating.token_shift, batch=[1, 3], new=[1, 4], width=[5], mixes=[1, 3])
def token_shift(t: Tally, batch: int, new: int, width: int, mixes: int, weight_bytes: float, act_bytes: float) -> None:
    """x + (x₋₁ − x) ⊙ μ for each μ; x₋₁ is on the chip but for the first token, whose neighbour is the state."""
    for _ in range(mixes):
        t.weights += width * weight_bytes
    for _ in range(batch):
        for _ in range(new):
            elements(t, width, ["x₋₁ − x", *["times μ", "add"] * mixes], 1, act_bytes, writes=mixes)
        t.state += width * act_bytes  # the last token of the pass before is read
        t.state += width * act_bytes  # that of this pass is written


@counts(gating.learned_mix, **NORM, mixes=[1, 5])
def learned_mix(t: Tally, tokens: int, width: int, mixes: int, weight_bytes: float, act_bytes: float) -> None:
    """x + (x₋₁ − x) ⊙ (μ + m) for each μ: x, x₋₁ and every m in."""
    each = ["μ + m", "times", "add"]
    elements(t, tokens * width, ["x₋₁ − x", *each * mixes], 2 + mixes, act_bytes, writes=mixes)
    t.weights += mixes * width * weight_bytes


@counts(gating.lerp, **NORM)
def lerp(t: Tally, tokens: int, width: int, act_bytes: float) -> None:
    """x + (y − x) σ(z)."""
    elements(t, tokens * width, ["y − x", *SIGMOID, "times", "add"], 3, act_bytes)
