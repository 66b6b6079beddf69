"""Mixture of experts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from roofsim.foundation.arith import Number, minimum, share, single
from roofsim.foundation.errors import InputError
from roofsim.foundation.extremes import largest, places
from roofsim.foundation.schema import Extra, Size
from roofsim.model.part import Parameters, Part, elementwise, exchange, linear
from roofsim.model.split import Split, divided
from roofsim.model.step import Pass
from roofsim.model.weights import ACTIVATION_BYTES
from roofsim.ops import collective, gemm, pointwise, routing
from roofsim.ops.base import CostFunction, Operator, Role


class Moe(Part):
    """`experts` feed-forward layers of which each token uses `top_k` (Shazeer et al. 2017, arXiv 1701.06538).

    `shared_width` is the width of the expert that every token uses (of all of them together), `shared_gate` a
    learned gate on it. `gated` experts have three matrices, others two. `latent` is the width at which routed
    experts work where the layer first projects down to it and afterwards back up. `normed_input` says that the
    router has a norm of its own with a scale per channel and per expert. Experts may stand in `expert_groups` of which
    a token's are in `group_limit` (DeepSeek-V3, arXiv 2412.19437, 2.1.2).
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
    expert_groups: Size = 1
    group_limit: Size = 1

    def __post_init__(self) -> None:
        if self.experts % self.expert_groups:
            raise ValueError(f"expert_groups {self.expert_groups} does not divide experts {self.experts}")
        if self.group_limit > self.expert_groups:
            raise ValueError(f"group_limit {self.group_limit} is more than expert_groups {self.expert_groups}")
        if self.top_k > self.experts:
            raise ValueError(f"top_k {self.top_k} is more than experts {self.experts}")
        if self.shared_gate and not self.shared_width:
            raise ValueError("shared_gate needs a shared_width")

    @property
    def matrices(self) -> int:
        """Matrices per expert."""
        return 3 if self.gated else 2

    def divided(self, split: Split) -> Mapping[str, Any]:
        """Whole experts among `ep` ranks, and the width of each and of the shared one among those of a layer."""
        tp, ep = split.tp, split.ep
        if ep > self.experts:
            raise InputError(f"ep {ep} is more than the {self.experts} experts of a layer")
        if tp % ep and ep % tp:
            raise InputError(f"ep {ep} neither divides tp {tp} nor is a multiple of it")
        if (tp * split.cp) % ep and ep % (tp * split.cp):
            raise InputError(f"ep {ep} neither divides tp × cp {tp * split.cp} nor is a multiple of it")
        shared = divided("shared_width", self.shared_width, tp)
        return {"width": divided("width", self.width, max(tp // ep, 1)), "shared_width": shared}

    @property
    def held(self) -> int:
        """Experts of a rank; if they do not go round, some are on two, as DeepSeek's redundant experts are."""
        return -(-self.experts // self.split.ep)

    @property
    def exchanged(self) -> bool:
        """Whether tokens go to experts on ranks that have others, in a prompt."""
        return self.split.groups > 1

    @property
    def joins(self) -> CostFunction | None:
        """Summands, or shares of the tokens where experts on other ranks made the sums."""
        gathers = self.exchanged and self.split.tp > 1 and not self.shared_width
        return collective.all_gather if gathers else super().joins

    def join(self, p: Pass, name: str, d_model: int, last: str) -> Iterator[Operator]:
        """The operator of that; ranks that share the tokens of a sequence have the same ones in a step."""
        split, alike = self.split, self._alike(p)
        if alike == split.tp or split.ep <= split.tp:
            yield from super().join(p, name, d_model, last)
            return
        shares = self._groups(p) > 1
        function = self.joins or collective.all_gather if shares else collective.all_reduce
        yield exchange(name, function, p.activation_bytes(d_model), min(split.ep, alike), last)

    def _alike(self, p: Pass) -> int:
        """Ranks that have the same tokens: those of a layer, in a step also those that share a cache."""
        return self.split.tp * (self.split.cp if p.phase == "decode" else 1)

    def _groups(self, p: Pass) -> int:
        """Groups of them that have experts in common."""
        return max(self.split.ep // self._alike(p), 1)

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
        q, chosen = self._routed(p)
        exchanged = self._groups(p) > 1
        if exchanged:
            # quantised before they are sent where the product needs them so (DeepSeek-V3, 3.4)
            byte = ACTIVATION_BYTES.get(p.precision.product("experts_up"), p.precision.activations)
            ops.append(self._dispatch(p, q, d * byte, source, "route"))
            source = "dispatch"
        first = 2 * self.width if self.gated else self.width
        act = pointwise.gated_activation if self.gated else pointwise.activation
        sizes = {"tokens": q.tokens * chosen, "width": self.width, "act_bytes": p.precision.activations}
        gathered = q.activation_bytes(self.width * chosen)
        ops += [
            self._expert(q, chosen, Role.EXPERT_IN, "experts_up", d, first, source, "route"),
            Operator("experts_act", act, sizes, gathered, ("experts_up",)),
            self._expert(q, chosen, Role.EXPERT_OUT, "experts_down", self.width, d, "experts_act"),
        ]
        source, own = "experts_down", p
        if exchanged and not p.routing.gathered:
            own, chosen = self._own(p), self.top_k
            sent = own.activation_bytes(d * chosen)
            ops.append(self._exchange(p, "collect", d * p.precision.activations, sent, source))
            source, q = "collect", own
        sizes = {"tokens": q.tokens, "top_k": chosen, "width": d, "act_bytes": p.precision.activations}
        ops.append(Operator("combine", routing.combine, sizes, q.activation_bytes(d), (source, "route")))
        if exchanged and p.routing.gathered:
            own = self._own(p)
            sums, out = q.activation_bytes(d), own.activation_bytes(d)
            ops.append(exchange("collect", collective.reduce_scatter, sums, self.split.ep, "combine", out=out))
        if self.latent:
            ops.append(linear(own, "latent_up", self.latent, d_model, ops[-1].name, bias=self.latent_bias))
        if self.shared_width:
            ops += self._shared(p, d_model, ops[-1].name)
        return ops

    def _routed(self, p: Pass) -> tuple[Pass, Number]:
        """The tokens that a rank's experts see, and how many of them each chooses; the rank is the busiest.

        Where tokens are sent, each choice of one of the rank's experts is a token of its own; where they are gathered,
        the rank has those of all.
        """
        ranks, groups = self.split.ep, self._groups(p)
        if ranks == 1:
            return p, self.top_k
        of_all = p.tokens * groups
        chosen = busiest(of_all, self.experts, self.top_k, self.held, ranks, p.routing.spread)
        if groups == 1:
            return p, share(chosen)
        if p.routing.gathered:
            return replace(p, batch=of_all, new=1, padding=0), share(chosen)
        return replace(p, batch=share(of_all * chosen), new=1, padding=0), 1

    def _own(self, p: Pass) -> Pass:
        """The tokens that a rank sends to experts: ranks of a layer have the same ones, and take a share each."""
        alike = self._alike(p)
        return p if alike == 1 else replace(p, batch=p.batch / alike, padding=p.padding / alike)

    def _dispatch(self, p: Pass, q: Pass, copy: Number, *uses: str) -> Operator:
        """Tokens of `copy` bytes each to the ranks of their experts, or those of all to every rank."""
        out = q.tokens * copy
        if p.routing.gathered:
            sent = exchange("dispatch", collective.all_gather, out, self.split.ep, *uses, out=out)
        else:
            sent = self._exchange(p, "dispatch", copy, out, *uses)
        return replace(sent, acts_as=Role.DISPATCH)

    def _exchange(self, p: Pass, name: str, copy: Number, out: Number, *uses: str) -> Operator:
        """Tokens to the ranks of their experts, or back: one copy for each choice, or in a prompt for each node.

        A `copy` of a token is so many bytes. DeepSeek's DeepEP has kernels for prompts that send a token to a node
        once, and others for decode.
        """
        tokens, ranks = self._own(p).tokens, self.split.ep
        if p.phase == "decode" and not p.routing.beside_prompts:
            return exchange(name, collective.all_to_all, tokens * self.top_k * copy, ranks, *uses, out=out)
        chosen = (self.experts, self.expert_groups, self.group_limit, self.top_k)
        sizes = {
            "payload": tokens * copy, "ranks": ranks, "stride": 1, "copies": places(ranks, *chosen),
            **dict(zip(("experts", "expert_groups", "group_limit", "top_k"), chosen, strict=True)),
        }  # fmt: skip
        return Operator(name, collective.to_experts, sizes, out, uses)

    def _expert(self, p: Pass, chosen: Number, role: Role, name: str, d_in: int, d_out: int, *uses: str) -> Operator:
        byte = p.precision
        sizes = {"tokens": p.tokens, "experts": self.held, "top_k": chosen, "d_in": d_in, "d_out": d_out}
        sizes |= {"bias": int(self.expert_bias), "weight_bytes": byte.of(name), "act_bytes": byte.activations}
        out = p.activation_bytes(chosen * d_out)
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
        return {"moe": self.held * self.expert_parameters(d_model) + router + shared + around}

    def idle_parameters(self, d_model: int) -> int:
        """Parameters of the routed experts that a token does not use, its choices divided among ranks."""
        used = min(-(-self.top_k // self.split.ep), self.held)
        return (self.held - used) * self.expert_parameters(d_model)


def busiest(tokens: Number, experts: int, top_k: int, held: int, ranks: int, spread: Number = 0) -> Number:
    """Choices per token that fall on the busiest of `ranks` with `held` experts each.

    A rank gets μ = n k / ranks of them on average (where experts do not go round, places hold copies of some). If
    tokens choose evenly, they have the variance of drawing without return and the skew of a Poisson count. Loads of
    ranks add up to a constant, which widens the gap of the largest by as much as their variance lacks of
    v = μ (E − k) / (E − 1). So the largest is m₁ √v + (m₂ − 1) / 6 above μ, where m₁ and m₂ are the expectations of the
    largest of as many standard normals and of its square (Cornish and Fisher 1938, doi:10.2307/1400905, first order in
    the skew); at most all that can fall on one rank.

    Where some experts are chosen more often than others, with a standard deviation of c = `spread` of the mean, a sum
    over `held` of them has c² μ² / held more variance, and if the shares are log-normal, a third central moment of
    c⁴ (3 + c²) μ³ / held² beside that of chance.
    """
    mean = top_k / ranks
    first, second = largest(ranks)
    by_chance = mean * (experts - top_k) / max(experts - 1, 1) / tokens
    if single(spread) and not spread:
        over = first * by_chance ** (1 / 2) + (second - 1) / 6 / tokens
    else:
        varied = by_chance + spread**2 * mean**2 / held
        third = by_chance / tokens + spread**4 * (3 + spread**2) * mean**3 / held**2
        over = first * varied ** (1 / 2) + (second - 1) / 6 * third / varied
    return minimum(mean + over, min(top_k, held))
