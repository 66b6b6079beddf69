"""One forward pass over a batch: how many tokens are new, how many are held, in which precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, fields, replace
from functools import cached_property
from typing import Literal

from roofsim.foundation.arith import Number
from roofsim.foundation.values import dataclass

Logits = Literal["all", "last"]
Phase = Literal["prefill", "decode"]
Latents = Literal["absorbed", "expanded"]
Product = Literal["weights_only", "copied_from_2", "copied_from_9", "fp8", "int8", "fp4"]
"""How a product with quantised weights is computed: in the dtype of activations on weights that the kernel unpacks
(`weights_only`), or that from so many rows on another kernel unpacked to a copy before it (`copied_from_`); or on the
unit of a narrower dtype, to which activations are quantised."""


@dataclass(frozen=True, slots=True)
class Precision:
    """Bytes per element of what a pass moves; fractions where scales of a quantised format are shared.

    `stored` has the operators whose weights take another number of bytes, and under `vectors` what is no matrix.
    `products` says how products with quantised weights are computed: by operator, under `weights` for all others.
    `scaled` is after how many inputs their sums are multiplied by scales, if that is within a product.
    """

    weights: Number = 2
    activations: Number = 2
    cache: Number = 2
    state: Number = 4
    stored: Mapping[str, Number] = field(default_factory=dict)
    products: Mapping[str, Product] = field(default_factory=dict)
    scaled: int = 0

    def of(self, operator: str) -> Number:
        """Bytes per weight of the matrix that an operator reads."""
        return self.stored.get(operator, self.weights)

    def product(self, operator: str) -> Product:
        """How the product of an operator is computed; its name may begin with that of a part."""
        if not self.products:
            return "weights_only"
        return self.products.get(operator.rpartition(".")[2], self.products["weights"])

    @property
    def units(self) -> tuple[str, ...]:
        """The narrower dtypes whose matrix units compute products."""
        return tuple(sorted(set(self.products.values()) - {"weights_only", "copied_from_2", "copied_from_9"}))

    @property
    def vectors(self) -> Number:
        """Bytes per weight of norms, filters, decays and other weights that are no matrix."""
        return self.of("vectors")


@dataclass(frozen=True, slots=True)
class Routing:
    """How tokens get to experts on other ranks, and how evenly they choose them.

    `spread` is the standard deviation of how often experts are chosen, beyond chance and relative to the mean.
    `apart` says that experts of a token may be on ranks that do not have it, `gathered` that every rank then gets all
    tokens, and not those alone that chose one of its experts. In a step with prompts single tokens go with those of
    them (`beside_prompts`), by the kernels for prompts.
    """

    spread: Number = 0
    apart: bool = False
    gathered: bool = False
    beside_prompts: bool = False


@dataclass(frozen=True)
class Pass:
    """`batch` sequences, each with `new` tokens on top of `context` tokens that it already holds.

    `phase` is for software, which runs other code for a decode step; formulas do not look at it. `latents` says in
    which form latent attention runs: on keys and values expanded for every head, or on the latents themselves.
    `padding` counts tokens that belong to no sequence, added to reach a size that software is prepared for. Where code
    goes on with the scored positions alone after the last mixer, `scored` is the share of such passes that end in
    scores: all but the last piece of a prompt do not. `begins` is the share of its sequences that were handed in for
    it. A step may hold several groups of sequences that differ in this: `beside` has the others (`together`). `routing`
    is what the software and the text make of experts on several ranks.
    """

    batch: Number
    new: Number
    context: Number
    precision: Precision = Precision()
    logits: Logits = "all"
    phase: Phase = "prefill"
    latents: Latents = "absorbed"
    padding: Number = 0
    scored: Number | None = None
    begins: Number = 1
    beside: tuple[Pass, ...] = ()
    routing: Routing = Routing()

    @cached_property
    def tokens(self) -> Number:
        """New tokens of all sequences, with those that only pad."""
        own = self.batch * self.new + self.padding
        return sum((each.tokens for each in self.beside), own) if self.beside else own

    @property
    def groups(self) -> tuple[Pass, ...]:
        """Its groups of sequences, each as a pass of its own."""
        return (replace(self, beside=()), *self.beside) if self.beside else (self,)

    def activation_bytes(self, width: Number) -> Number:
        """Bytes of a tensor with `width` elements for every new token."""
        return width * self.precision.activations * self.tokens


def together(groups: Sequence[Pass]) -> Pass:
    """One step of several groups of sequences; equal groups are one, and their order does not matter.

    The first is one of prompts, if there is any: software runs the step as it runs a prefill. Where code goes on with
    the scored positions alone, a group of which all are scored counts as one that ends in scores.
    """
    narrows = any(each.scored is not None for each in groups)
    merged: list[Pass] = []
    for each in groups:
        one = replace(each, scored=1) if narrows and each.scored is None else each
        for i, known in enumerate(merged):
            if _alike(known, one):
                merged[i] = replace(known, batch=known.batch + one.batch, padding=known.padding + one.padding)
                break
        else:
            merged.append(one)
    if len(merged) == 1:
        return merged[0] if len(groups) > 1 else groups[0]
    first, *others = sorted(merged, key=_place)
    if first.phase == "prefill" and first.routing.apart:
        others = [replace(each, routing=replace(each.routing, beside_prompts=True)) for each in others]
    return replace(first, beside=tuple(others))


def _alike(a: Pass, b: Pass) -> bool:
    """Whether two groups differ in nothing but how many sequences they are."""
    sizes = (f.name for f in fields(Pass) if f.name not in ("batch", "padding"))
    return all(_same(getattr(a, name), getattr(b, name)) for name in sizes)


def _same(a: object, b: object) -> bool:
    plain = isinstance(a, _PLAIN) and isinstance(b, _PLAIN)
    return a is b or (plain and a == b)


_PLAIN = (int, float, str, Precision, Routing, tuple)


def _place(p: Pass) -> tuple[bool, float, float]:
    """Prompts come first, and where sizes are plain numbers the larger ones."""
    new, context = (float(x) if isinstance(x, int | float) else 0.0 for x in (p.new, p.context))
    return p.phase == "decode", -new, -context
