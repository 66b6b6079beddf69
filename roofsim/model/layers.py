"""What single layers of a network hold: the bytes of their weights, of the experts among them, and of their state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from roofsim.foundation.arith import Number, maximum
from roofsim.foundation.schema import variant
from roofsim.model.architecture import Architecture, Stretch, matrices_of
from roofsim.model.step import Pass, Precision
from roofsim.ops.base import Operator, Role

OF_EXPERTS = (Role.EXPERT, Role.EXPERT_IN, Role.EXPERT_OUT)
"""Roles of products with routed experts."""


def first_layers(architecture: Architecture, layers: int) -> Mapping[str, int]:
    """How often each kind is among the first so many layers."""
    found: Counter[str] = Counter()
    left = layers
    for stretch in architecture.layout:
        whole = min(left // len(stretch.of), stretch.repeat)
        left -= whole * len(stretch.of)
        rest = stretch.of[:left] if whole < stretch.repeat else ()
        left -= len(rest)
        for name in stretch.of:
            found[name] += whole
        found.update(rest)
    return {name: count for name, count in found.items() if count}


def layer_bytes(architecture: Architecture, name: str, precision: Precision) -> Number:
    """Bytes of the weights of one layer; a block that layers share belongs to none of them."""
    one, two = (
        variant(architecture, layers={name: architecture.layers[name]}, layout=(Stretch(repeat=n, of=(name,)),))
        for n in (1, 2)
    )
    return two.weight_bytes(precision) - one.weight_bytes(precision)


def expert_bytes(architecture: Architecture, name: str, precision: Precision) -> Number:
    """Bytes of all routed experts of one layer."""
    p = Pass(1, 1, 0, precision)
    return sum(
        weights * precision.of(of)
        for part in architecture.layers[name]
        for operator in part.operators(p, architecture.d_model)
        if operator.role in OF_EXPERTS
        for of, weights, _ in matrices_of(operator)
    )


def largest_matrix(architecture: Architecture, name: str, precision: Precision) -> Number:
    """Bytes of the largest matrix of one layer, all experts' together."""
    p = Pass(1, 1, 0, precision)
    most: Number = 0
    for part in architecture.layers[name]:
        for operator in part.operators(p, architecture.d_model):
            for of, weights, _ in matrices_of(operator):
                most = maximum(most, weights * precision.of(of))
    return most


def state_bytes(architecture: Architecture, name: str, tokens: Number, precision: Precision) -> Number:
    """Bytes that a sequence of `tokens` tokens holds in one layer: its cache, or its recurrent state."""
    held = tokens + architecture.prefix_tokens
    return sum(part.state_bytes(held, precision) for part in architecture.layers[name])


def table_bytes(architecture: Architecture, precision: Precision) -> Number:
    """Bytes of the table that tokens are looked up in, where it is not the LM head as well."""
    if architecture.tied_embeddings:
        return 0
    width = architecture.embedding_width or architecture.d_model
    return architecture.vocab_share * width * precision.of("embedding")


def head_bytes(architecture: Architecture, precision: Precision) -> Number:
    """Bytes of the LM head."""
    width = architecture.embedding_width or architecture.d_model
    return architecture.vocab_share * width * precision.of("lm_head")


def by_experts(operators: Sequence[Operator]) -> tuple[bool, ...]:
    """Which operators of a layer go with its routed experts: their products, and what stands between the two."""
    places = [i for i, each in enumerate(operators) if each.role in OF_EXPERTS]
    first, last = (places[0], places[-1]) if places else (1, 0)
    return tuple(first <= i <= last for i in range(len(operators)))
