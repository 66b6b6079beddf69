"""The page of the mixers and channel mixers: their fields, and their parameters and state in symbols."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, get_args

from roofsim.mixers.base import PARTS, Part
from roofsim.nomenclature import SYMBOLS
from roofsim.passes import Pass, Precision
from roofsim.report.docs.markdown import SYMPY, anchor, documented, formula, inline, named, symbol, table
from roofsim.specs import library
from roofsim.specs.architecture import Architecture

MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        "windowed_cache": "whether the cache is cut to the window",
        "declared_window": "a window that the published config states but switches off",
        "d_in": "width of its input where that is not the model's",
        "qkv_bias": "the projections to queries, keys and values have a bias",
        "out_bias": "the output projection has a bias",
        "fused_qkv": "queries, keys and values come from one matrix",
        "qk_norm": "queries and keys are normed before they meet",
        "v_norm": "values are normed, without weights",
        "k_is_v": "one projection serves keys and values",
        "output_gate": "the query projection makes a gate on what the heads made as well",
        "out_norm": "what the heads made is normed before the projection out",
        "repeated_cache": "keys and values are cached once for every query head",
        "rotary": "positions enter by rotation",
        "rotary_dim": "elements of a head that are rotated, where not all are",
        "alibi": "positions enter by a slope on the scores",
        "soft_cap": "scores are bent by a hyperbolic tangent",
        "sinks": "a learned score per head takes part in the softmax",
        "q_rank": "rank of the queries, where they have one",
        "nope_dim": "elements of a head that carry no position",
        "index_heads": "heads of the indexer that chooses tokens",
        "index_dim": "width of a head of the indexer",
        "index_top_k": "tokens that a query sees",
        "lora_rank": "rank of the adapters on its input projections",
        "dt_rank": "rank of the projection that makes Δ",
        "d_conv": "taps of the convolution",
        "conv_bias": "the convolution has a bias",
        "gated_norm": "the gate is followed by a norm",
        "reuses_kv": "attends to the keys and values of the layer before and keeps none",
        "width": "width between its matrices",
        "inner_norm": "what goes into the last matrix is normed",
        "activation_weights": "learned numbers of its activation",
        "vocab": "rows of its table",
        "gated": "its experts have three matrices, not two",
        "expert_bias": "its experts have biases",
        "router_bias": "the router has a bias",
        "shared_width": "width of the expert that every token uses; 0 if there is none",
        "shared_gate": "a learned gate on that expert",
        "shared_bias": "that expert has biases",
        "latent": "width at which the experts work, where it is not the model's",
        "latent_bias": "the projections to that width and back have biases",
        "normed_input": "the router has a norm of its own, with a scale per channel and per expert",
        "bias": "its matrices have a bias",
        "fused": "gate and up are one matrix",
        "joined": "one matrix makes queries, keys, values and output gate, another the gates of the rule",
        "value_heads": "heads of values, each with a state",
        "key_dim": "width of a query or key head",
        "value_dim": "width of a value head",
        "norms": "norms of Δ, B and C: none, learned or plain (without weights)",
        "mamba_heads": "heads that make Δ, B and C for their own channels",
        "mix_rank": "rank of the matrices that make the mixes",
        "decay_rank": "rank of the matrices that make the decay",
        "rate_rank": "rank of the matrices that make the learning rate",
        "gate_rank": "rank of the matrices that make the output gate",
        "value_rank": "rank of the matrices that share the first layer's values; 0 in that layer",
        "receptance": "a third matrix gates the result",
        "block": "name of the block whose uses share their weights",
        "attention": "the attention inside",
        "ssm": "the state-space layer inside",
        "mlp": "the channel mixer inside",
    }
)
"""What a field means, where neither its own description nor the nomenclature says it."""

UNKNOWN = "–"
WORDS = {"None": "none", "True": "yes", "False": "no"}
CHANNEL_MIXERS = "roofsim.ffn"


def mixers() -> Iterator[str]:
    """Every kind of part of a layer: mixers, then channel mixers."""
    yield "# Mixers and channel mixers"
    yield (
        "The parts of a layer that a model file can name by `kind`. Each stands for one residual branch; the norm "
        "before it and the sum after it belong to the layer. Parameters and state are the part's own methods run on "
        "symbols, with every switch as it is by default; the lists say what a switch or an optional size changes. "
        f"{inline(symbol('d_model'))} is the width of the model, the other symbols are those of "
        "[formulas.md](formulas.md) or the field's name."
    )
    models = [library.architecture(name) for name in library.names("models")]
    for kind, part in sorted(PARTS.items(), key=lambda each: (each[1].__module__.startswith(CHANNEL_MIXERS), each[0])):
        yield f"## {kind}"
        yield documented(part)
        fields = [_field(name, info) for name, info in part.model_fields.items() if name != "kind"]
        yield table(["field", "default", "meaning"], fields)
        yield from _algebra(part)
        yield from _example(kind, models)


def _field(name: str, info: Any) -> list[str]:
    meaning = info.description or MEANINGS.get(name) or SYMBOLS.get(name, ("", UNKNOWN))[1]
    if inside := part_of(info):
        (kind,) = inside.model_fields["kind"].annotation.__args__  # type: ignore[union-attr]
        meaning += f", a [{kind}](#{kind})"
    default = "required" if info.is_required() else WORDS.get(str(info.default), str(info.default))
    return [f"`{name}`", default, meaning]


def part_of(info: Any) -> type[Part] | None:
    """The kind of part that a field holds, if it holds one."""
    return info.annotation if isinstance(info.annotation, type) and issubclass(info.annotation, Part) else None


def construct(part: type[Part], inside: str = "") -> Part:
    """A part whose sizes are symbols, with its switches as they are by default (0 or 1)."""
    values: dict[str, Any] = {}
    for name, info in part.model_fields.items():
        if within := part_of(info):
            values[name] = construct(within, name)
        elif info.annotation is bool:
            values[name] = int(info.default)
        elif info.annotation in (int, float):
            values[name] = symbol(named(name) + (f"__{inside}" if inside else ""))
        else:
            values[name] = name if info.is_required() else info.default
    return part.model_construct(**values)


def switched(made: Part) -> Iterator[tuple[str, Part]]:
    """The same part with each of its switches the other way, each choice, and each size that may be left out."""
    for name, info in type(made).model_fields.items():
        if info.annotation is bool:
            yield f"`{name}: {'no' if info.default else 'yes'}`", made.model_copy(update={name: 1 - info.default})
        elif choices := [
            each for kind in get_args(info.annotation) for each in get_args(kind) if isinstance(each, str)
        ]:
            yield from ((f"`{name}: {each}`", made.model_copy(update={name: each})) for each in choices)
        elif not info.is_required() and info.default is None:
            yield f"`{name}`", made.model_copy(update={name: symbol(named(name))})


def own_parameters(part: Part, d_model: Any) -> dict[str, Any]:
    """Parameters of one use by kind, then those that all uses share by block and kind."""
    shared = part.shared_parameters(d_model).items()
    return {**part.parameters(d_model), **{f"{b}: {kind}": n for b, kinds in shared for kind, n in kinds.items()}}


def held(part: Part) -> Any:
    """Bytes of state in symbols, after as many tokens as the context."""
    of = {"weights": "weight_bytes", "activations": "act_bytes", "cache": "cache_bytes", "state": "state_bytes"}
    precision = Precision(**{name: symbol(named(size)) for name, size in of.items()})
    return SYMPY.sympify(part.state_bytes(symbol(named("context")), precision))


def _algebra(part: type[Part]) -> Iterator[str]:
    """Parameters and state in symbols, and what each switch changes."""
    made, width = construct(part), symbol("d_model")
    numbers, state = own_parameters(made, width), held(made)
    yield "Parameters:"
    yield from (formula(kind, n) for kind, n in numbers.items())
    yield "State of one sequence in bytes:"
    yield formula("state", state)
    lines: list[str] = []
    for name, other in switched(made):
        changes = {kind: SYMPY.expand(n - numbers.get(kind, 0)) for kind, n in own_parameters(other, width).items()}
        lines += [f"- {name} changes {kind} by {inline(n)}" for kind, n in changes.items() if n != 0]
        lines += [f"- {name} makes the state {inline(held(other))}"] * (held(other) != state)
    if lines:
        yield "\n".join(lines)


def _example(kind: str, models: Sequence[Architecture]) -> Iterator[str]:
    """Who uses a kind, and its operators in the first of them."""
    uses = [(a, part) for a in models for part, _ in a.parts() if part.model_dump()["kind"] == kind]
    if not uses:
        return
    first, part = uses[0]
    links = dict.fromkeys(f"[{a.id}](models.md#{anchor(a.id)})" for a, _ in uses)
    yield f"In {', '.join(links)}. Operators in {first.id}:"
    rows = [
        [f"`{o.name}`", f"[{o.function.__name__}](formulas.md#{o.function.__name__})", o.kind, ", ".join(o.uses)]
        for o in part.operators(Pass(1, 1024, 0), first.d_model)
    ]
    yield table(["operator", "formula", "reported as", "reads"], rows)
