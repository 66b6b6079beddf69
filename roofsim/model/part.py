"""What every kind of layer part says of itself: its operators, its parameters and its state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from importlib import import_module
from typing import Any, ClassVar, TypeVar

from roofsim.foundation.arith import Number
from roofsim.foundation.schema import Spec, checked, items, variant
from roofsim.model.split import Indivisible, Split
from roofsim.model.step import Pass, Precision
from roofsim.ops import collective, conv, gemm, pointwise
from roofsim.ops.base import CostFunction, Operator, Role

Parameters = Mapping[str, int]
"""Number of parameters by kind: attention, ssm, mlp, moe, norm, embedding, lm_head."""

_DEFINED: dict[str, type[Part]] = {}


class _Kinds(Mapping[str, "type[Part]"]):
    """The kinds by name; each is the module of that name, which is imported when the kind is asked for."""

    @cached_property
    def _modules(self) -> Mapping[str, str]:
        from pkgutil import iter_modules

        packages = (import_module(f"roofsim.model.{name}") for name in ("mixers", "ffn"))
        return {each.name: f"{p.__name__}.{each.name}" for p in packages for each in iter_modules(p.__path__)}

    def __getitem__(self, kind: str) -> type[Part]:
        import_module(self._modules[kind])
        return _DEFINED[kind]

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)


PARTS: Mapping[str, type[Part]] = _Kinds()
"""Every kind of mixer and channel mixer by the name it has in a model file."""


class Part(Spec):
    """A mixer or a channel mixer: one residual branch of a layer.

    A subclass with a `kind` registers itself, so a model file can use it by that name.
    """

    normed: ClassVar[bool] = True
    """Whether the layer applies its norm before this part."""
    derived: ClassVar[tuple[str, ...]] = ("split", "copies", "sharers")
    split: ClassVar[Split] = Split()
    """The ranks of which this is the part of one."""
    copies: ClassVar[int] = 1
    """How many of them have the same keys."""
    sharers: ClassVar[int] = 1
    """How many of those hold a share of the tokens each, in place of a copy of all."""

    def __init_subclass__(cls, **options: Any) -> None:
        """Register the subclass under the literal of its field `kind`."""
        super().__init_subclass__(**options)
        if field := cls.__dataclass_fields__.get("kind"):
            kind = str(field.type).split("'")[1]  # annotations are text: Literal['attention']
            if kind in _DEFINED:
                raise TypeError(f"two parts are called '{kind}': {_DEFINED[kind].__qualname__} and {cls.__qualname__}")
            _DEFINED[kind] = cls

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """A field for any part is checked as the kind that is given; that of one kind as every dataclass."""
        from pydantic_core.core_schema import no_info_plain_validator_function

        return no_info_plain_validator_function(_read) if cls is Part else handler(source)

    def sharded(self: P, split: Split) -> P:
        """What one rank has of it: its own sizes divided, the width of the stream whole; raises Indivisible."""
        if split.tp == split.ep == split.cp == 1:
            return self
        return variant(self, **self.divided(split), split=self.split * split)

    def divided(self, split: Split) -> Mapping[str, Any]:
        """The fields of which a rank has its share."""
        if split.tp > 1:
            raise Indivisible(f"what {type(self).__name__} computes cannot be divided by tp {split.tp}")
        return {}

    @property
    def shareable(self) -> bool:
        """Whether ranks with the same keys can hold a share of their tokens each."""
        return False

    def shared(self: P) -> P:
        """The part where ranks hold shares instead of copies of what is held token by token, where they can."""
        changes: dict[str, Any] = {name: each.shared() for name, each in items(self) if isinstance(each, Part)}
        if self.copies > 1 and self.shareable:
            changes["sharers"] = self.copies
        return variant(self, **changes) if changes else self

    @property
    def joins(self) -> CostFunction | None:
        """What makes the results of its ranks whole: as a rule they are summands."""
        return collective.all_reduce if self.split.tp > 1 else None

    def join(self, p: Pass, name: str, d_model: int, last: str) -> Iterator[Operator]:
        """The operator of that, in place; none where results are whole."""
        if self.joins:
            yield exchange(name, self.joins, p.activation_bytes(d_model), self.split.tp, last)

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


P = TypeVar("P", bound=Part)


def _read(value: Any) -> Part:
    """The part that a mapping describes."""
    from pydantic_core import PydanticKnownError

    if isinstance(value, Part):
        return value
    if not isinstance(value, Mapping):
        raise PydanticKnownError("dataclass_type", {"class_name": "Part"})
    kind = value.get("kind")
    if not isinstance(kind, str) or kind not in PARTS:
        context = {"discriminator": "kind", "tag": str(kind), "expected_tags": ", ".join(map(repr, PARTS))}
        raise PydanticKnownError("union_tag_invalid", context)
    return checked(PARTS[kind], value)


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
    return [each.reading(source) for each in operators]


def branches(p: Pass, d_model: int, parts: Mapping[str, Part]) -> Iterator[Operator]:
    """Parts side by side on the same input, then their sum; operators are named `part.operator`."""
    for label, part in parts.items():
        for each in part.operators(p, d_model):
            uses = tuple(use if use == "x" else f"{label}.{use}" for use in each.uses)
            yield replace(each, name=f"{label}.{each.name}", uses=uses)
    ends = tuple(f"{label}.{part.operators(p, d_model)[-1].name}" for label, part in parts.items())
    yield elementwise(p, "sum", pointwise.add, d_model, *ends)


def exchange(
    name: str, function: CostFunction, payload: Number, ranks: int, *uses: str, stride: int = 1, out: Number = 0
) -> Operator:
    """The operator of a collective of `ranks` that stand `stride` apart; in place if it has no `out`."""
    return Operator(name, function, {"payload": payload, "ranks": ranks, "stride": stride}, out, uses)


def added_up(p: Pass, name: str, width: int, ranks: int, *uses: str) -> Iterator[Operator]:
    """The all-reduce of `width` elements per new token over neighbouring ranks, in place; none for one."""
    if ranks > 1:
        yield exchange(name, collective.all_reduce, p.activation_bytes(width), ranks, *uses)


SQUARES_BYTES = 4
"""A sum of squares, which software keeps in fp32."""


def squares_added_up(p: Pass, name: str, sums: int, ranks: int, *uses: str) -> Iterator[Operator]:
    """The all-reduce of `sums` sums of squares per new token: a norm over what ranks share needs those of all."""
    if ranks > 1:
        yield exchange(name, collective.all_reduce, sums * SQUARES_BYTES * p.tokens, ranks, *uses)
