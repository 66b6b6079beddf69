"""RWKV-7 time mix (Peng et al. 2025, arXiv 2503.14456)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from roofsim.foundation.arith import Number
from roofsim.foundation.schema import Extra, Size
from roofsim.model import contexts
from roofsim.model.part import Parameters, Part, elementwise, linear
from roofsim.model.recurrent import recurrence, shift
from roofsim.model.split import Split, divided
from roofsim.model.step import Pass, Precision
from roofsim.ops import gating, pointwise
from roofsim.ops.base import Operator
from roofsim.ops.recurrence import delta_rule


class Rwkv7(Part):
    """A delta rule with a decay and a learning rate for every channel; as wide as the model.

    Decay, rate and output gate come from low-rank matrices. So does the share of the first layer's values that is
    mixed into its own, but not in the first layer: `value_rank` 0. `chunk` is that of flash-linear-attention 0.6.
    """

    kind: Literal["rwkv7"]
    heads: Size
    head_dim: Size
    decay_rank: Size
    rate_rank: Size
    gate_rank: Size
    value_rank: Extra = 0
    chunk: Size = 16

    @property
    def width(self) -> int:
        """Width of all heads."""
        return self.heads * self.head_dim

    def divided(self, split: Split) -> Mapping[str, Any]:
        """Heads; every rank shifts the whole stream, and low-rank matrices keep their rank."""
        return {"heads": divided("heads", self.heads, split.tp)}

    def operators(self, p: Pass, d_model: int) -> Sequence[Operator]:
        """Token shift, projections, decay, rate and gate, delta rule in chunks, norm with bonus and gate, output."""
        width, source, value = self.width, "token_shift", "value"
        ops = [
            shift(p, "token_shift", d_model, 6),
            *(linear(p, name, d_model, width, source) for name in ("receptance", "key", "value")),
            *low_rank(p, "decay", d_model, self.decay_rank, width, activated=True),
            *low_rank(p, "rate", d_model, self.rate_rank, width),
            *low_rank(p, "gate", d_model, self.gate_rank, width, activated=True, bias=False),
        ]
        if self.value_rank:
            ops += low_rank(p, "share", d_model, self.value_rank, width)
            ops.append(elementwise(p, "value_mix", gating.lerp, width, "value", "share_b"))
            value = "value_mix"
        rule = {
            "key_heads": self.heads,
            "heads": self.heads,
            "qk_dim": self.head_dim,
            "v_dim": self.head_dim,
            "keys": 2,
            "gates": 2 * self.head_dim,
            "chunk": self.chunk,
            "weight_bytes": p.precision.vectors,
        }
        read = ("receptance", "key", value)
        return [
            *ops,
            recurrence(p, delta_rule, width, *read, "decay_b", "rate_b", sizes=rule),
            *contexts.states(p, self.state_bytes(0, p.precision), self.split, "scan"),
            elementwise(p, "output_norm", gating.bonus_norm_gate, width, "scan", *read, "gate_b", weights=True),
            linear(p, "output", width, d_model, "output_norm"),
        ]

    def parameters(self, d_model: int) -> Parameters:
        """Four matrices and the low-rank ones, six mixes, three vectors of keys and bonus, the norm."""
        ranks = self.decay_rank + self.rate_rank + self.gate_rank + self.value_rank
        # decay and rate have a bias, and so has the share of the first layer's values
        biases = 3 if self.value_rank else 2
        vectors = 6 * d_model + (5 + biases) * self.width
        return {"ssm": 4 * d_model * self.width + ranks * (d_model + self.width) + vectors}

    def state_bytes(self, context: Number, precision: Precision) -> Number:
        """The last token and a matrix per head; no growth."""
        return self.width * (self.head_dim * precision.state + self.split.tp * precision.activations)


def low_rank(
    p: Pass, name: str, d_model: int, rank: int, width: int, activated: bool = False, bias: bool = True
) -> Iterator[Operator]:
    """Down to `rank`, an activation if it has one, and up to `width`."""
    last = f"{name}_a"
    yield linear(p, last, d_model, rank, "token_shift")
    if activated:
        last = f"{name}_activation"
        yield elementwise(p, last, pointwise.activation, rank, f"{name}_a")
    yield linear(p, f"{name}_b", rank, width, last, bias=bias)
