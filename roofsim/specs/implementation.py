"""What the code of a library does that is no choice of a runtime: facts of the families of models that it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

from roofsim.foundation.quantity import Documented, Name, Sourced
from roofsim.foundation.schema import Extra, Size, Spec, assembled, variant
from roofsim.model.step import Phase
from roofsim.ops.base import Role

WrittenOut = Literal[
    "attention", "plain_attention", "flex_attention", "convolution", "head_norm", "linear_attention", "mlstm", "rg_lru",
    "token_shift", "wkv4",
]  # fmt: skip
"""What a family's own code may do in many small kernels or a loop where others call one."""


class Multiplied(Spec):
    """Kernels that multiply by a constant around an operator: its `inputs`, its `results`, or `views` of them."""

    inputs: Extra = 0
    results: Extra = 0
    views: Extra = 0


class Facts(Spec):
    """What the code of one family does. Nothing of it holds for a family unless its file says so.

    `run_by` names the implementation that runs the family instead, `lowering` the module of `roofsim.lowering` for it.
    `kept_embeddings` are copies of the embeddings that Python scopes hold while the layers run, with the input of a
    layer and the normed input of a part; if it is not stated, nothing is held that is not needed. `once_kernels`,
    `layer_kernels` and `scan_kernels` count small kernels at the start of a pass, in each layer, and around a scan,
    `activation_kernels` those of an activation without a gate. `written_out` lists what takes many kernels where
    others call one. `multipliers` are by the role of an operator. `fp32_stream` keeps the residual stream in fp32,
    `fp32_logits` copies the logits to it. `joins_gate` has one matrix for gate and up of MLPs that are described with
    two, `joins_rotary` joins rotated parts of heads with what is not rotated.
    `always_masked` builds a mask wherever the runtime builds any; `drops_cache` returns no cache from a plain call;
    `whole_cache` keeps all keys and values of layers that see only a window of them, `fp32_state` recurrent states in
    fp32 where the runtime has them in the model's dtype.
    """

    run_by: Name | None = None
    lowering: Name | None = None
    kept_embeddings: Size | None = None
    once_kernels: Mapping[Phase, Extra] = field(default_factory=dict)
    layer_kernels: Mapping[Phase, Extra] = field(default_factory=dict)
    scan_kernels: Mapping[Phase, Extra] = field(default_factory=dict)
    activation_kernels: Size = 1
    written_out: tuple[WrittenOut, ...] = ()
    multipliers: Mapping[Role, Multiplied] = field(default_factory=dict)
    fp32_stream: bool = False
    fp32_logits: bool = False
    joins_gate: bool = False
    joins_rotary: bool = False
    always_masked: bool = False
    drops_cache: bool = False
    whole_cache: bool = False
    fp32_state: bool = False


NOTHING_KNOWN = assembled(Facts)


class Fact(Sourced):
    """The value of one field of `Facts`, and where it is from."""

    value: Any


Stated = Mapping[str, Fact]
"""Facts by their field."""


class Implementation(Documented):
    """A library's code for models: the facts of `every` family, and by family those that are another.

    A file that is `based_on` another holds what differs from that one, fact by fact.
    """

    name: str
    id: str = ""
    aliases: tuple[Name, ...] = ()
    based_on: Name | None = None
    every: Stated = field(default_factory=dict)
    families: Mapping[Name, Stated] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from roofsim.specs.files import build

        def typed(stated: Stated, where: str) -> Stated:
            values = {name: fact.value for name, fact in stated.items()}
            found = build(Facts, values, f"{self.id}: {where}")
            return {name: variant(fact, value=getattr(found, name)) for name, fact in stated.items()}

        families = {name: typed(stated, f"families.{name}") for name, stated in self.families.items()}
        self.__dict__.update(every=typed(self.every, "every"), families=families)
        super().__post_init__()

    def of(self, family: str) -> Facts:
        """The facts of one family: those of every family, and its own in their place."""
        stated = {**self.every, **self.families.get(family, {})}
        return assembled(Facts, **{name: fact.value for name, fact in stated.items()})

    def over(self, base: Implementation) -> Implementation:
        """This one where it says something, another where it does not."""
        named = dict.fromkeys((*base.families, *self.families))
        return variant(
            self,
            every={**base.every, **self.every},
            families={name: {**base.families.get(name, {}), **self.families.get(name, {})} for name in named},
            sources={**base.sources, **self.sources},
        )
