"""What every kind of layer part says of itself: its operators, its parameters and its state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pkgutil import iter_modules
from typing import Annotated, Any, ClassVar, Union

from pydantic import Field

from roofsim.foundation.arith import Number
from roofsim.foundation.schema import Spec
from roofsim.model.step import Pass, Precision
from roofsim.ops import conv, gemm, pointwise
from roofsim.ops.base import CostFunction, Operator, Role

Parameters = Mapping[str, int]
"""Number of parameters by kind: attention, ssm, mlp, moe, norm, embedding, lm_head."""

PARTS: dict[str, type[Part]] = {}
"""Every kind of mixer and channel mixer by the name it has in a model file."""


class Part(Spec):
    """A mixer or a channel mixer: one residual branch of a layer.

    A subclass with a `kind` registers itself, so a model file can use it by that name.
    """

    normed: ClassVar[bool] = True
    """Whether the layer applies its norm before this part."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Register the subclass under the literal of its field `kind`."""
        field = cls.model_fields.get("kind")
        if field is None:
            return
        (kind,) = field.annotation.__args__  # type: ignore[union-attr]
        if kind in PARTS:
            raise TypeError(f"two parts are called '{kind}': {PARTS[kind].__qualname__} and {cls.__qualname__}")
        PARTS[kind] = cls

    def operators(self, p: Pass, d_model: int) -> Sequence[Operator]:
        """Its operators in order, for one pass; they read the residual stream as `x`."""
        raise NotImplementedError

    def parameters(self, d_model: int) -> Parameters:
        """Parameters that every use of this part has for itself."""
        raise NotImplementedError

    def shared_parameters(self, d_model: int) -> Mapping[str, Parameters]:
        """Parameters by the name of a block whose uses share them."""
        return {}

    def shares(self, role: Role) -> bool:
        """Whether all uses of its block share the weights of its operators of this role."""
        return False

    @property
    def tables(self) -> Mapping[str, tuple[int, int]]:
        """Rows and width of what its operators look tokens up in, by operator."""
        return {}

    def idle_parameters(self, d_model: int) -> int:
        """Those of its parameters that one token does not use."""
        return 0

    def state_bytes(self, context: Number, precision: Precision) -> Number:
        """Bytes that one sequence holds after `context` tokens."""
        return 0


def load_parts(package: str) -> Any:
    """Import every module of `package` and return the union of all parts known by then."""
    found = import_module(package)
    for module in iter_modules(found.__path__):
        import_module(f"{package}.{module.name}")
    return Annotated[Union[tuple(PARTS.values())], Field(discriminator="kind")]  # noqa: UP007 - built at run time


def linear(p: Pass, name: str, d_in: int, d_out: int, *uses: str, bias: bool = False, **options: Any) -> Operator:
    """The operator of a linear layer over all new tokens."""
    sizes = {
        "tokens": p.tokens,
        "d_in": d_in,
        "d_out": d_out,
        "bias": int(bias),
        "weight_bytes": p.precision.of(name),
        "act_bytes": p.precision.activations,
    }
    return Operator(name, gemm.linear, sizes, p.activation_bytes(d_out), uses, **options)


def elementwise(
    p: Pass, name: str, function: Any, width: int, *uses: str, weights: bool | None = None, acts_as: Role | None = None,
    **sizes: Number,
) -> Operator:  # fmt: skip
    """The operator of a function of `width` elements per new token; `weights` says whether a norm has any."""
    sizes = {"tokens": p.tokens, "width": width, "act_bytes": p.precision.activations, **sizes}
    if weights is not None:
        sizes["weight_bytes"] = p.precision.vectors if weights else 0
    return Operator(name, function, sizes, p.activation_bytes(width), uses, acts_as=acts_as)


def convolution(p: Pass, channels: int, width: int, *uses: str, bias: bool = True, held: int | None = None) -> Operator:
    """The operator of a short causal convolution with SiLU; with none if it says how many inputs are `held`."""
    sizes = {
        "batch": p.batch,
        "new": p.new,
        "channels": channels,
        "width": width,
        "bias": int(bias),
        "weight_bytes": p.precision.vectors,
        "act_bytes": p.precision.activations,
    }
    function: CostFunction = conv.causal_conv1d
    if held is not None:
        sizes["held"] = held
        function = conv.short_conv1d
    return Operator("conv", function, sizes, p.activation_bytes(channels), uses)


def renamed(operators: Sequence[Operator], source: str) -> list[Operator]:
    """The operators with `source` in place of the residual stream."""
    return [replace(each, uses=tuple(source if use == "x" else use for use in each.uses)) for each in operators]


def branches(p: Pass, d_model: int, parts: Mapping[str, Part]) -> Iterator[Operator]:
    """Parts side by side on the same input, then their sum; operators are named `part.operator`."""
    for label, part in parts.items():
        for each in part.operators(p, d_model):
            uses = tuple(use if use == "x" else f"{label}.{use}" for use in each.uses)
            yield replace(each, name=f"{label}.{each.name}", uses=uses)
    ends = tuple(f"{label}.{part.operators(p, d_model)[-1].name}" for label, part in parts.items())
    yield elementwise(p, "sum", pointwise.add, d_model, *ends)
