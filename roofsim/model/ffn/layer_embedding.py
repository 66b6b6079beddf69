"""An embedding for every layer, as in Gemma 4's small models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from roofsim.foundation.schema import Size
from roofsim.model.part import Parameters, Part, added_up, elementwise, linear
from roofsim.model.split import Split
from roofsim.model.step import Pass
from roofsim.ops import pointwise
from roofsim.ops.base import Operator


class LayerEmbedding(Part):
    """Each layer looks `width` elements up for every token, and gates them with its stream.

    What is looked up is joined with a projection of the first embedding. Read from transformers' Gemma4TextModel;
    the tables and projections of all layers are stored as one, here each layer has its share.
    """

    normed: ClassVar[bool] = False

    kind: Literal["layer_embedding"]
    width: Size
    vocab: Size

    def divided(self, split: Split) -> Mapping[str, Any]:
        """Rows of the table, the last ones padding; every rank has the projections and the gate, as in vLLM."""
        return {"vocab": -(-self.vocab // split.tp)}

    @property
    def joins(self) -> None:
        """Nothing: what was looked up is added up inside."""

    def operators(self, p: Pass, d_model: int) -> Sequence[Operator]:
        """Look-up, projection, norm, sum; gate, projection out, norm."""
        w, table, ranks = self.width, p.precision.of("layer_embedding"), self.split.tp
        read = table / ranks if ranks > 1 else table  # each rank has the rows of some tokens
        return [
            elementwise(p, "layer_embedding", pointwise.embedding, w, weight_bytes=read),
            *added_up(p, "layer_embedding_join", w, self.split.tp, "layer_embedding"),
            linear(p, "layer_input_proj", d_model, w, "x"),
            elementwise(p, "layer_input_norm", pointwise.rms_norm, w, "layer_input_proj", weights=True),
            elementwise(p, "layer_input", pointwise.add, w, "layer_embedding", "layer_input_norm"),
            linear(p, "layer_gate", d_model, w, "x"),
            elementwise(p, "layer_gated", pointwise.gated_activation, w, "layer_gate", "layer_input"),
            linear(p, "layer_out", w, d_model, "layer_gated"),
            elementwise(p, "layer_out_norm", pointwise.rms_norm, d_model, "layer_out", weights=True),
        ]

    def parameters(self, d_model: int) -> Parameters:
        """Its share of the table and of the projection in, the gate and the projection out, and a norm."""
        return {"layer_embedding": self.vocab * self.width + 3 * d_model * self.width, "norm": d_model}

    @property
    def tables(self) -> Mapping[str, tuple[int, int]]:
        """Its share of the table."""
        return {"layer_embedding": (self.vocab, self.width)}

    def shared_parameters(self, d_model: int) -> Mapping[str, Parameters]:
        """One norm serves what all layers look up."""
        return {"layer_input_norm": {"norm": self.width}}
