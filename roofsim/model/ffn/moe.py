"""Mixture of experts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from roofsim.foundation.schema import Extra, Size
from roofsim.model.part import Parameters, Part, elementwise, linear
from roofsim.model.step import Pass
from roofsim.ops import gemm, pointwise, routing
from roofsim.ops.base import Operator, Role


class Moe(Part):
    """`experts` feed-forward layers of which each token uses `top_k` (Shazeer et al. 2017, arXiv 1701.06538).

    `shared_width` is the width of the expert that every token uses (of all of them together), `shared_gate` a
    learned gate on it. `gated` experts have three matrices, others two. `latent` is the width at which routed
    experts work where the layer first projects down to it and afterwards back up. `normed_input` says that the
    router has a norm of its own with a scale per channel and per expert.
    """

    kind: Literal["moe"]
    experts: Size
    top_k: Size
    width: Size
    gated: bool = True
    expert_bias: bool = False
    router_bias: bool = False
    shared_width: Extra = 0
    shared_gate: bool = False
    shared_bias: bool = False
    latent: Size | None = None
    latent_bias: bool = False
    normed_input: bool = False

    def __post_init__(self) -> None:
        if self.top_k > self.experts:
            raise ValueError(f"top_k {self.top_k} is more than experts {self.experts}")
        if self.shared_gate and not self.shared_width:
            raise ValueError("shared_gate needs a shared_width")

    @property
    def matrices(self) -> int:
        """Matrices per expert."""
        return 3 if self.gated else 2

    def operators(self, p: Pass, d_model: int) -> Sequence[Operator]:
        """Router, the chosen experts, their sum, and the shared expert."""
        ops: list[Operator] = []
        source = "x"
        if self.normed_input:
            ops.append(elementwise(p, "router_norm", pointwise.rms_norm, d_model, "x", weights=True))
            source = "router_norm"
        ops.append(linear(p, "router", d_model, self.experts, source, bias=self.router_bias))
        sizes = {"tokens": p.tokens, "experts": self.experts, "act_bytes": p.precision.activations}
        ops.append(Operator("route", routing.route, sizes, p.activation_bytes(self.top_k), ("router",)))
        d, source = d_model, "x"
        if self.latent:
            ops.append(linear(p, "latent_down", d_model, self.latent, "x", bias=self.latent_bias))
            d, source = self.latent, "latent_down"
        first = 2 * self.width if self.gated else self.width
        act = pointwise.gated_activation if self.gated else pointwise.activation
        chosen = p.tokens * self.top_k
        sizes = {"tokens": chosen, "width": self.width, "act_bytes": p.precision.activations}
        gathered = p.activation_bytes(self.width * self.top_k)
        ops += [
            self._expert(p, Role.EXPERT_IN, "experts_up", d, first, source, "route"),
            Operator("experts_act", act, sizes, gathered, ("experts_up",)),
            self._expert(p, Role.EXPERT_OUT, "experts_down", self.width, d, "experts_act"),
        ]
        sizes = {"tokens": p.tokens, "top_k": self.top_k, "width": d, "act_bytes": p.precision.activations}
        ops.append(Operator("combine", routing.combine, sizes, p.activation_bytes(d), ("experts_down", "route")))
        if self.latent:
            ops.append(linear(p, "latent_up", self.latent, d_model, "combine", bias=self.latent_bias))
        if self.shared_width:
            ops += self._shared(p, d_model, ops[-1].name)
        return ops

    def _expert(self, p: Pass, role: Role, name: str, d_in: int, d_out: int, *uses: str) -> Operator:
        byte = p.precision
        sizes = {"tokens": p.tokens, "experts": self.experts, "top_k": self.top_k, "d_in": d_in, "d_out": d_out}
        sizes |= {"bias": int(self.expert_bias), "weight_bytes": byte.of(name), "act_bytes": byte.activations}
        out = p.activation_bytes(self.top_k * d_out)
        return Operator(name, gemm.expert_linear, sizes, out, uses, acts_as=role)

    def _shared(self, p: Pass, d_model: int, routed: str) -> list[Operator]:
        """The expert that every token uses, its gate, and the sum with the routed ones."""
        width, bias = self.shared_width, self.shared_bias
        gated = {"shared_gate_proj": Role.FFN_GATE, "shared_up_proj": Role.FFN_UP}
        roles: dict[str, Role | None] = {**gated} if self.gated else {"shared_up_proj": None}
        names = tuple(roles)
        act = pointwise.gated_activation if self.gated else pointwise.activation
        ops = [linear(p, name, d_model, width, "x", bias=bias, acts_as=role) for name, role in roles.items()]
        ops.append(elementwise(p, "shared_act", act, width, *names))
        ops.append(linear(p, "shared_down_proj", width, d_model, "shared_act", bias=bias))
        if self.shared_gate:
            ops.append(linear(p, "shared_gate", d_model, 1, "x"))
            ops.append(elementwise(p, "shared_scale", pointwise.scale, d_model, "shared_down_proj", "shared_gate"))
        ops.append(elementwise(p, "shared_sum", pointwise.add, d_model, routed, ops[-1].name))
        return ops

    def expert_parameters(self, d_model: int) -> int:
        """Parameters of one routed expert."""
        d = self.latent or d_model
        first = self.matrices - 1
        return self.matrices * d * self.width + self.expert_bias * (first * self.width + d)

    def parameters(self, d_model: int) -> Parameters:
        """All experts, the shared one, the router, and the projections around the experts."""
        router = (d_model + self.router_bias) * self.experts + self.normed_input * (d_model + self.experts)
        shared = self.matrices * d_model * self.shared_width + self.shared_gate * d_model
        shared += self.shared_bias * ((self.matrices - 1) * self.shared_width + d_model)
        around = 0
        if self.latent:
            around = 2 * d_model * self.latent + self.latent_bias * (d_model + self.latent)
        return {"moe": self.experts * self.expert_parameters(d_model) + router + shared + around}

    def idle_parameters(self, d_model: int) -> int:
        """Parameters of the routed experts that a token does not use."""
        return (self.experts - self.top_k) * self.expert_parameters(d_model)
