"""What a network computes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from roofsim.arith import Number
from roofsim.mixers.base import Part, elementwise, linear, load_parts
from roofsim.ops import pointwise
from roofsim.ops.base import Operator
from roofsim.passes import Pass, Precision
from roofsim.schema import Extra, Size, Spec
from roofsim.specs.quantity import Documented, Name

if TYPE_CHECKING:
    AnyPart = Part
else:
    # the union of all kinds of part that are registered
    load_parts("roofsim.mixers")
    AnyPart = load_parts("roofsim.ffn")

Layer = tuple[AnyPart, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """Equal layers: their name, how often they occur, and the operators of one."""

    layer: str
    count: int
    operators: tuple[Operator, ...]


class Stretch(Spec):
    """`repeat` times the layers `of`, in that order."""

    repeat: Size
    of: tuple[str, ...] = Field(min_length=1)


class Published(Spec):
    """The number of parameters that its makers or a checkpoint state."""

    value: int = Field(gt=0)
    source: str


class Architecture(Documented):
    """A decoder-only language model: kinds of layer by name, and how they are stacked.

    `prefix_tokens` are learned tokens put before every prompt; `positions` is the number of rows of a learned
    position table; `logits_scaled` says that the logits are multiplied by a number after the LM head.
    """

    name: str
    id: str = ""
    family: str
    aliases: tuple[Name, ...] = ()
    d_model: Size
    vocab: Size
    tied_embeddings: bool
    norm: Literal["rms", "layer"] = "rms"
    positions: Extra = 0
    prefix_tokens: Extra = 0
    logits_scaled: bool = False
    layers: Mapping[str, Layer] = Field(min_length=1)
    layout: tuple[Stretch, ...] = Field(min_length=1)
    published_parameters: Published | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Architecture:
        used = {name for stretch in self.layout for name in stretch.of}
        if unknown := sorted(used - set(self.layers)):
            raise ValueError(f"layout names layers that are not defined: {', '.join(unknown)}")
        if unused := sorted(set(self.layers) - used):
            raise ValueError(f"layers defined but not in the layout: {', '.join(unused)}")
        if self.published_parameters and self.published_parameters.source not in self.sources:
            raise ValueError(f"source '{self.published_parameters.source}' is not in sources")
        return self

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """How often each layer occurs."""
        counter: Counter[str] = Counter()
        for stretch in self.layout:
            for name in stretch.of:
                counter[name] += stretch.repeat
        return counter

    @property
    def depth(self) -> int:
        """Number of layers."""
        return sum(self.counts.values())

    def parts(self) -> Iterator[tuple[Part, int]]:
        """Every part of every kind of layer, with the number of its uses."""
        for name, count in self.counts.items():
            for part in self.layers[name]:
                yield part, count

    @property
    def attends(self) -> bool:
        """Whether any layer keeps a KV cache."""
        return bool(self.state_bytes(2, Precision()) > self.state_bytes(1, Precision()))

    def rows(self, p: Pass) -> tuple[Row, ...]:
        """The operators of a pass: embedding, each kind of layer with its count, head."""
        body = (Row(name, count, tuple(self._layer(self.layers[name], p))) for name, count in self.counts.items())
        return Row("embedding", 1, tuple(self._embedding(p))), *body, Row("head", 1, tuple(self._head(p)))

    def _norm(self, p: Pass, name: str, *uses: str) -> Operator:
        function = pointwise.rms_norm if self.norm == "rms" else pointwise.layer_norm
        return elementwise(p, name, function, self.d_model, *uses, weights=True)

    def _embedding(self, p: Pass) -> Iterator[Operator]:
        yield elementwise(p, "embedding", pointwise.embedding, self.d_model, weights=True)
        if self.positions:
            yield elementwise(p, "position_embedding", pointwise.embedding, self.d_model, weights=True)
            yield elementwise(p, "add_positions", pointwise.add, self.d_model, "embedding", "position_embedding")

    def _layer(self, layer: Layer, p: Pass) -> Iterator[Operator]:
        stream = "x"
        for number, part in enumerate(layer, 1):
            source = stream
            if part.normed:
                source = f"norm_{number}"
                yield self._norm(p, source, stream)
            last = source
            for each in part.operators(p, self.d_model):
                uses = tuple(source if use == "x" else use for use in each.uses)
                yield Operator(each.name, each.function, each.sizes, each.out, uses, each.reported_as)
                last = each.name
            yield elementwise(p, f"residual_{number}", pointwise.add, self.d_model, stream, last)
            stream = f"residual_{number}"

    def _head(self, p: Pass) -> Iterator[Operator]:
        yield self._norm(p, "final_norm", "x")
        scored = p if p.logits == "all" else Pass(p.batch, 1, p.context, p.precision)
        yield linear(scored, "lm_head", self.d_model, self.vocab, "final_norm")
        if self.logits_scaled:
            yield elementwise(scored, "logits_scale", pointwise.scale, self.vocab, "lm_head")

    @cached_property
    def parameters(self) -> Mapping[str, int]:
        """Exact number of parameters by kind; a tied embedding and a shared block count once."""
        kinds = Counter({"embedding": self.vocab * self.d_model})
        kinds["position"] = self.positions * self.d_model + self.prefix_tokens * self.d_model
        kinds["lm_head"] = 0 if self.tied_embeddings else self.vocab * self.d_model
        width = self.d_model if self.norm == "rms" else 2 * self.d_model
        kinds["norm"] = width
        blocks: dict[str, Mapping[str, int]] = {}
        for part, count in self.parts():
            kinds["norm"] += part.normed * count * width
            for kind, number in part.parameters(self.d_model).items():
                kinds[kind] += count * number
            blocks |= part.shared_parameters(self.d_model)
        for block in blocks.values():
            kinds.update(block)
        return dict(kinds)

    @property
    def total_parameters(self) -> int:
        """Exact number of parameters."""
        return sum(self.parameters.values())

    def state_bytes(self, tokens: Number, precision: Precision) -> Number:
        """Bytes that one sequence holds after a prompt of `tokens` tokens: caches and recurrent states."""
        held = tokens + self.prefix_tokens
        return sum(count * part.state_bytes(held, precision) for part, count in self.parts())

    def declared_window(self) -> int | None:
        """The window that the published config states but switches off, if any."""
        windows = [getattr(part, "declared_window", None) for part, _ in self.parts()]
        return min((w for w in windows if w), default=None)


def describe_part(part: Any) -> str:
    """`attention(heads=14, kv_heads=2, head_dim=64)`: the fields of a part that are not defaults."""
    shown = []
    for name, info in type(part).model_fields.items():
        value = getattr(part, name)
        if name == "kind" or value == info.default:
            continue
        shown.append(f"{name}={describe_part(value) if isinstance(value, Part) else value}")
    return f"{part.kind}({', '.join(shown)})"
