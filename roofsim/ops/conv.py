"""Short causal convolutions, one filter per channel."""

from __future__ import annotations

from roofsim.foundation.arith import Number
from roofsim.foundation.cost import Cost
from roofsim.ops.base import Role, operator


@operator("conv", Role.CONVOLUTION)
def causal_conv1d(
    batch: Number,
    new: Number,
    *,
    channels: Number,
    width: Number,
    bias: Number,
    weight_bytes: Number,
    act_bytes: Number,
) -> Cost:
    """Depthwise convolution with `width` taps, its bias and SiLU (Gu & Dao 2023, arXiv 2312.00752, fig. 3).

    It runs on the vector unit. The last `width` inputs of each channel are kept for the next pass.
    """
    elements = batch * new * channels
    return Cost(
        vector=elements * (2 * width + bias + 4),
        weights=channels * (width + bias) * weight_bytes,
        activations=2 * elements * act_bytes,
        state=2 * batch * channels * width * act_bytes,
    )


@operator("conv", Role.CONVOLUTION)
def short_conv1d(
    batch: Number,
    new: Number,
    *,
    channels: Number,
    width: Number,
    held: Number,
    bias: Number,
    weight_bytes: Number,
    act_bytes: Number,
) -> Cost:
    """Depthwise convolution with `width` taps and no activation (Griffin, arXiv 2402.19427, section 2.3).

    It runs on the vector unit. The last `held` inputs of each channel are kept for the next pass.
    """
    elements = batch * new * channels
    return Cost(
        vector=elements * (2 * width + bias - 1),
        weights=channels * (width + bias) * weight_bytes,
        activations=2 * elements * act_bytes,
        state=2 * batch * channels * held * act_bytes,
    )
