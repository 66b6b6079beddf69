"""Attention and a state-space layer side by side, as in Falcon-H1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from roofsim.foundation.arith import Number
from roofsim.model.mixers.attention import Attention
from roofsim.model.mixers.mamba2 import Mamba2
from roofsim.model.part import Parameters, Part, branches
from roofsim.model.split import Split
from roofsim.model.step import Pass, Precision
from roofsim.ops.base import Operator


class Parallel(Part):
    """Both read the same normed input; their outputs are summed (Falcon-H1, arXiv 2507.22448)."""

    kind: Literal["parallel"]
    attention: Attention
    ssm: Mamba2

    def divided(self, split: Split) -> Mapping[str, Any]:
        """Both branches; ranks add up the sum of the two."""
        return {"attention": self.attention.sharded(split), "ssm": self.ssm.sharded(split)}

    def operators(self, p: Pass, d_model: int) -> Sequence[Operator]:
        """The operators of both branches, then the sum."""
        return list(branches(p, d_model, {"ssm": self.ssm, "attn": self.attention}))

    def parameters(self, d_model: int) -> Parameters:
        """Those of both branches."""
        return {**self.attention.parameters(d_model), **self.ssm.parameters(d_model)}

    def state_bytes(self, context: Number, precision: Precision) -> Number:
        """A KV cache and a recurrent state."""
        return self.attention.state_bytes(context, precision) + self.ssm.state_bytes(context, precision)
