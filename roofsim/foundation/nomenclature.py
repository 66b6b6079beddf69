"""Every symbol that a printed formula may contain, beside those of `roofsim.foundation.parameters`.

A symbol is written as SymPy reads it; SymPy knows its LaTeX (`d_in` is d with an index, `kappa` the letter).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from roofsim.foundation.units import UNITS

SYMBOLS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "length": ("N", "tokens of the prompt"),
        "batch": ("B", "sequences in the pass"),
        "new": ("T", "tokens that each sequence adds"),
        "context": ("S", "tokens that each sequence already holds"),
        "tokens": ("n", "new tokens of all sequences, B T"),
        "d_in": ("d_in", "width of the input of a linear layer"),
        "d_out": ("d_out", "width of its output"),
        "bias": ("b", "1 if it has a bias, else 0"),
        "width": ("w", "elements per token; taps of a convolution"),
        "channels": ("c", "channels of a convolution"),
        "heads": ("H", "query heads, or heads of a state-space layer"),
        "kv_heads": ("H_kv", "key and value heads"),
        "qk_dim": ("d_qk", "width of a query or key head"),
        "v_dim": ("d_v", "width of a value head"),
        "head_dim": ("d_h", "width of a head"),
        "window": ("w_a", "tokens that a query can see"),
        "d_inner": ("d_i", "channels of the recurrence"),
        "d_state": ("d_s", "state elements per channel"),
        "pair_flops": ("f", "vector FLOP per query-key pair and head"),
        "kv_rank": ("r_kv", "elements of the latent that keys and values are made of"),
        "rope_dim": ("d_r", "width of the key that carries the position in latent attention"),
        "experts": ("E", "routed experts"),
        "top_k": ("k", "experts that a token uses"),
        "block": ("b_a", "keys per block of block-sparse attention"),
        "blocks": ("k_b", "blocks that a query sees"),
        "key_heads": ("H_k", "heads of queries and keys that groups of value heads share"),
        "keys": ("n_k", "keys per token of a delta rule: 2 where another is removed than is written, else 1"),
        "gates": ("g", "decays and learning rates that are computed per head and token"),
        "mixes": ("m", "mixes of a token with the one before"),
        "held": ("w_h", "inputs per channel that a convolution keeps"),
        "norm_weights": ("w_n", "learned numbers of a norm, fewer than its elements where heads share them"),
        "groups": ("G", "groups that share B and C"),
        "chunk": ("Q", "tokens per chunk of the scan"),
        "payload": ("M", "bytes that a group of ranks exchanges, all of them together"),
        "ranks": ("r", "ranks of a group"),
        "copies": ("c_r", "ranks that have experts of a token, on average"),
        "expert_groups": ("G_e", "groups in which experts stand"),
        "group_limit": ("l_e", "groups of them that are open to a token"),
        "stride": ("s_r", "distance of neighbours in a group, in the order of devices"),
        "weight_bytes": ("beta_w", "bytes per weight"),
        "act_bytes": ("beta_a", "bytes per activation"),
        "cache_bytes": ("beta_k", "bytes per element of the KV cache"),
        "state_bytes": ("beta_s", "bytes per element of the recurrent state"),
        "matrix_rate": ("P", "dense peak of the matrix unit, FLOP/s"),
        "vector_rate": ("P_v", "fp32 peak of the vector unit, FLOP/s"),
        "bandwidth": ("W", "memory bandwidth, B/s"),
        "cache": ("C", "last-level cache, B"),
        "link_rate": ("W_l", "bandwidth of a device's links within a node, each way, B/s"),
        "link_latency": ("lambda_l", "latency of a message over them, s"),
        "far_rate": ("W_f", "bandwidth of a device's links to other nodes, each way, B/s"),
        "far_latency": ("lambda_f", "latency of a message to another node, s"),
        "units": ("u", "compute units"),
        "clock": ("nu", "clock, Hz"),
    }
)
"""Name in the code: (symbol, meaning and unit)."""


def unit_of(meaning: str) -> str:
    """The unit that a meaning ends with; "" for a number."""
    last = meaning.rpartition(", ")[2]
    return last if last in UNITS else ""
