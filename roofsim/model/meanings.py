"""What the fields of parts mean, in words that kinds share."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from roofsim.foundation.nomenclature import SYMBOLS

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
        "rwkv4.width": "width of the model",
        "rwkv_mlp.d_in": "width of the model",
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
        "expert_groups": "groups that its experts stand in",
        "group_limit": "groups that a token's experts are of",
        "inputs": "vectors of the model's width that it reads side by side",
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
        "shared_block.block": "name of the block whose uses share their weights",
        "attention.chunk": "tokens of a piece whose tokens see each other only",
        "attention": "the attention inside",
        "ssm": "the state-space layer inside",
        "mlp": "the channel mixer inside",
    }
)
"""What a field means, where neither its own description nor the nomenclature says it; `kind.field` for one kind."""


def meaning_of(kind: str, field: str) -> str:
    """What a field of a kind of part means; empty if nothing says it."""
    return MEANINGS.get(f"{kind}.{field}") or MEANINGS.get(field) or SYMBOLS.get(field, ("", ""))[1]
