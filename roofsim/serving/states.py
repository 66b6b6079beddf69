"""What recurrent states cost that no cut of a cache takes back, where drafted tokens are rejected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Literal

from roofsim.engine.roofline import terms
from roofsim.foundation.arith import Number
from roofsim.foundation.cost import Cost
from roofsim.lowering.kernels import Kernel
from roofsim.prediction.setup import Setup
from roofsim.serving.acceptance import Acceptance
from roofsim.serving.shapes import Shape
from roofsim.specs.workload import Workload

Rollback = Literal["copies", "replay"]

SAID: Mapping[Rollback, str] = {
    "copies": "recurrent states are written after every token of a round, and each sequence holds one for each",
    "replay": "the recurrent states before a round are kept, and what was accepted runs again where not all was",
}
"""What recurrent states cost, by how they are taken back."""


def recurrent_bytes(s: Setup, w: Workload) -> Number:
    """Bytes of the states of one sequence on a device that no cut takes back."""
    return s.rank.state_bytes(w.prompt, replace(s.precision(w), cache=0))


def copies(rollback: Rollback, drafted: Shape) -> int:
    """States of a sequence that are held beside its own."""
    return drafted.tokens if rollback == "copies" else 1


def moved(rollback: Rollback, drafted: Shape, a: Acceptance) -> Number:
    """How often the states of all sequences go through memory in a round, beside what its passes read and write.

    Copies are written after every token; in a tree each token reads the state of the one before it, which a chain has
    at hand (`retrieve_parent_token` of SGLang's causal_conv1d_update and fused_recurrent_gated_delta_rule_update).
    """
    if rollback == "copies":
        return drafted.tokens * (2 if drafted.is_tree else 1)
    return 2 * (2 - drafted.kept(a))


def again(rollback: Rollback, drafted: Shape, a: Acceptance) -> Iterator[tuple[float, int]]:
    """Passes in which what was accepted runs again: the chance of each, and the tokens of a sequence.

    All drafted tokens that were accepted need none; of a tree the states are those of all its paths.
    """
    if rollback == "replay":
        ends = drafted.ends(a)
        for made, chance in enumerate(ends if drafted.is_tree else ends[:-1], 1):
            yield chance, made


def streamed(s: Setup, w: Workload, bytes_: Number) -> Number:
    """Seconds in which memory moves so many bytes of states."""
    return terms(Kernel("states", "stream", Cost(state=bytes_)), s.machine(w.dtype)).memory
