"""What a logical operator is, and the register of all cost functions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal

from roofsim.foundation.arith import Number
from roofsim.foundation.cost import Cost
from roofsim.foundation.values import dataclass

Kind = Literal["gemm", "attention", "scan", "conv", "norm", "pointwise", "routing", "embedding", "collective"]

CostFunction = Callable[..., Cost]


class Role(StrEnum):
    """What an operator is for in its layer. Lowerings and memory go by it, and a runtime says with it what is fused.

    The first ones are those of cost functions; an operator that software treats otherwise has one of the second.
    """

    def __reduce_ex__(self, protocol: Any) -> Any:
        return Role, (self.value,)  # by its value: some releases of Python 3.11 look members up by `getattr` instead

    meaning: str

    def __new__(cls, value: str, meaning: str) -> Role:
        """A word with what it means."""
        role = str.__new__(cls, value)
        role._value_ = value
        role.meaning = meaning
        return role

    PROJECTION = "projection", "a linear layer"
    EXPERT = "expert", "a linear layer of experts"
    ROUTING = "routing", "the choice of experts"
    COMBINE = "combine", "the weighted sum of what experts made"
    NORM = "norm", "a norm without a gate"
    GATED_NORM = "gated_norm", "a norm with a gate"
    GATE = "gate", "a gate, with its activation if it has one"
    ACTIVATION = "activation", "an activation without a gate"
    SUM = "sum", "a sum"
    SCALE = "scale", "a product with a number"
    SOFT_CAP = "soft_cap", "a soft cap"
    JOIN = "join", "tensors laid side by side"
    LOOKUP = "lookup", "a look-up in a table"
    ROTARY = "rotary", "the rotation of queries and keys"
    CACHE = "cache", "the writing of keys and values to the cache"
    ATTENTION = "attention", "softmax attention"
    INDEX = "index", "the choice of the tokens that attention sees"
    CONVOLUTION = "convolution", "a short convolution"
    RECURRENCE = "recurrence", "a recurrence over tokens"
    MIX = "mix", "a mix of neighbouring tokens or of two tensors"
    COLLECTIVE = "collective", "what devices exchange"

    EMBEDDING = "embedding", "the look-up of the tokens, which begins a pass"
    PART_NORM = "part_norm", "the norm of the stream before a part; held until the part has returned"
    BRANCH_NORM = "branch_norm", "a norm inside a part before one of its branches; held until the branch's end"
    RESIDUAL = "residual", "the sum that ends a part"
    BRANCH_MEAN = "branch_mean", "the mean of two branches, of which the second lies in rows of time after a prefill"
    KEY = "key", "the projection to keys, beside that to queries"
    VALUE = "value", "the projection to values, beside that to queries"
    ATTENTION_OUT = "attention_out", "the projection that ends attention"
    FFN_GATE = "ffn_gate", "the projection to the gate of a dense layer"
    FFN_UP = "ffn_up", "the projection up of a dense layer, beside that to the gate"
    FFN_OUT = "ffn_out", "the projection that ends a dense layer"
    EXPANDED = "expanded", "attention to keys that were expanded from latents beside one that all heads share"
    SINKS = "sinks", "attention in whose softmax a learned score of each head takes part"
    DISPATCH = "dispatch", "the way of tokens to experts on other devices"
    EXPERT_IN = "expert_in", "the first product of the experts"
    EXPERT_OUT = "expert_out", "the last product of the experts"
    STATE_IN = "state_in", "the projection into a state-space layer"
    STATE_PARAMETERS = "state_parameters", "a projection that makes the step, B or C of a state-space layer"
    SPLIT_RECURRENCE = "split_recurrence", "a recurrence that first takes its inputs out of joint products"
    SEQUENCE_PROJECTION = "sequence_projection", "a projection that ggml multiplies for each sequence of a step"
    SEQUENCE_OUT = "sequence_out", "the projection that ends a short convolution"
    SEQUENCE_GATE = "sequence_gate", "a gate before or after a short convolution"
    SCAN_IN = "scan_in", "the projection into a layer with a selective scan"
    SCAN_OUT = "scan_out", "the projection that ends a layer with a selective scan"
    STATE_GATE = "state_gate", "the gate after a state-space recurrence, with its norm if it has one"
    STATE_OUT = "state_out", "the projection that ends a state-space layer"
    ADAPTER = "adapter", "a low-rank matrix of an adapter"
    BLOCK_OUT = "block_out", "the projection after a shared block, which each use has for itself"
    LOGITS = "logits", "the scores of the vocabulary"
    LOGITS_SCALE = "logits_scale", "the product of the scores with a number"


_REGISTER: dict[CostFunction, Kind] = {}
REGISTER: Mapping[CostFunction, Kind] = MappingProxyType(_REGISTER)
"""Every cost function and the kind of operator that it describes."""

_ROLES: dict[CostFunction, Role] = {}
ROLES: Mapping[CostFunction, Role] = MappingProxyType(_ROLES)
"""The role that an operator with this cost function has unless it says more."""


def operator(kind: Kind, role: Role) -> Callable[[CostFunction], CostFunction]:
    """Register a cost function as an operator of this kind, and the role that it has unless an operator says more."""

    def register(function: CostFunction) -> CostFunction:
        _REGISTER[function] = kind
        _ROLES[function] = role
        return function

    return register


@dataclass(frozen=True)
class Operator:
    """One step of a layer: a cost function, the sizes it is called with, and what it reads.

    `out` is the size of the result in bytes and `uses` names the operators of the same layer whose
    results it reads (`x` is the residual stream): that is enough to know which tensors are alive. `acts_as` is its
    role where that is more than its cost function's, `held` the tokens of each sequence that its cache holds if those
    are not all of the context, `often` the share of passes that run it at all, `group` which group of a step's
    sequences it is for, where it is not for all. Names are for `uses`, weight formats and readers; nothing else looks
    at them.
    """

    name: str
    function: CostFunction
    sizes: Mapping[str, Number]
    out: Number = 0
    uses: tuple[str, ...] = ()
    reported_as: Kind | None = None
    acts_as: Role | None = None
    held: Number | None = None
    often: Number = 1
    group: int | None = None

    @property
    def kind(self) -> Kind:
        """The kind it is reported under."""
        return self.reported_as or _REGISTER[self.function]

    @property
    def role(self) -> Role:
        """What it is for."""
        return self.acts_as or _ROLES[self.function]

    def is_one_of(self, roles: Collection[Role]) -> bool:
        """Whether its role is among these, or that of its cost function."""
        return self.role in roles or _ROLES[self.function] in roles

    def reading(self, source: str) -> Operator:
        """The same with `source` in place of the residual stream."""
        if source == "x" or "x" not in self.uses:
            return self
        return replace(self, uses=tuple(source if use == "x" else use for use in self.uses))

    @cached_property
    def cost(self) -> Cost:
        """Its cost when nothing is materialised that need not be."""
        return self.function(**self.sizes)
