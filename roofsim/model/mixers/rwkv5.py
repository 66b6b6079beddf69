"""Time mix of RWKV-5, Eagle (Peng et al. 2024, arXiv 2404.05892)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from roofsim.model.mixers.rwkv6 import Wkv
from roofsim.model.part import Parameters
from roofsim.model.recurrent import shift
from roofsim.model.step import Pass
from roofsim.ops.base import Operator


class Rwkv5(Wkv):
    """RWKV-5: a constant decay per channel."""

    kind: Literal["rwkv5"]

    def operators(self, p: Pass, d_model: int) -> Sequence[Operator]:
        """Token shift, projections, recurrence in chunks, norm of every head with its gate, output."""
        return [shift(p, "token_shift", d_model, 4), *self.mixed(p, d_model, "token_shift", gates=0)]

    def parameters(self, d_model: int) -> Parameters:
        """Five matrices, four mixes, decay, bonus and the norm."""
        return {"ssm": 5 * d_model * self.width + 4 * d_model + 4 * self.width}
