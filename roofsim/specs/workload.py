"""What is asked of a model: how many sequences, how long, in which precision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import field_validator

from roofsim.foundation.errors import InputError
from roofsim.foundation.schema import Spec
from roofsim.model.step import Logits, Precision
from roofsim.model.weights import DTYPE_BYTES, WEIGHT_FORMATS, Inventory, stored

if TYPE_CHECKING:
    from roofsim.model.architecture import Architecture

STORED = "stored"
"""The weight format of a model whose file says how its weights are stored, unless another is asked for."""

MAX_COUNT = 10**12

StateType = Literal["fp32", "model"]


class Workload(Spec):
    """A request: `batch` sequences with `prompt` tokens each, of which `generate` more are made.

    `batch` and `prompt` may be NumPy arrays; then results are arrays.
    """

    batch: Any = 1
    prompt: Any = 1024
    generate: int = 128
    dtype: str = "bf16"
    cache_dtype: str | None = None
    weight_format: str | None = None
    logits: Logits | None = None

    @field_validator("batch", "prompt")
    @classmethod
    def _counts(cls, value: Any) -> Any:
        if getattr(value, "shape", ()):
            if value.dtype.kind not in "iuf":
                raise ValueError(f"an array of {value.dtype} is not one of numbers")
            # int64 overflows silently near 10^19 FLOP
            value = value.astype(float)
            inside = value.size and ((value >= 1) & (value <= MAX_COUNT)).all()
            if not inside or (value % 1).any():
                raise ValueError("every element must be a whole number from 1 to 10^12, and there must be one")
            return value
        return _whole(value, 1)

    @field_validator("generate", mode="before")
    @classmethod
    def _generate(cls, value: Any) -> int:
        return _whole(value, 0)

    @field_validator("dtype", "cache_dtype")
    @classmethod
    def _dtype(cls, value: str | None) -> str | None:
        return known("dtype", value, DTYPE_BYTES)

    @field_validator("weight_format")
    @classmethod
    def _format(cls, value: str | None) -> str | None:
        return known("weight format", value, WEIGHT_FORMATS)

    def precision(self, state: StateType = "fp32", architecture: Architecture | None = None) -> Precision:
        """Bytes per element; recurrent states are fp32 or in the model's dtype.

        A weight format may store the matrices of an architecture in several ways, as may the file that it is from.
        """
        activations = DTYPE_BYTES[self.dtype]
        weights: Mapping[str, Any] = {}
        if self.weight_format in (None, STORED):
            if architecture and architecture.stored:
                weights = {operator: bits / 8 for operator, bits in architecture.stored.bits.items()}
        elif self.weight_format != self.dtype:
            weights = stored(self.weight_format, self.dtype, architecture.inventory if architecture else Inventory())
        return Precision(
            weights.get("weights", activations),
            activations,
            DTYPE_BYTES[self.cache_dtype or self.dtype],
            activations if state == "model" else DTYPE_BYTES["fp32"],
            weights,
        )


def known(what: str, value: str | None, table: Mapping[str, Any]) -> str | None:
    """`value` in lower case if the table has it; raises ValueError that lists what it has."""
    if value is None or value.lower() in table:
        return value and value.lower()
    raise ValueError(f"no {what} '{value}'; one of {', '.join(table)}")


def _whole(value: Any, least: int) -> int:
    """A whole number, a NumPy scalar included."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= MAX_COUNT:
        raise ValueError(f"{value!r} is not a whole number from {least} to 10^12")
    if value != int(value):
        raise ValueError(f"{value!r} is not a whole number")
    return int(value)


def workload(**fields: Any) -> Workload:
    """A checked workload; raises InputError with one line for each wrong field."""
    from pydantic import ValidationError

    try:
        return Workload(**fields)
    except ValidationError as error:
        lines = []
        for problem in error.errors(include_url=False):
            cause = problem.get("ctx", {}).get("error")
            where = ".".join(str(step) for step in problem["loc"])
            lines.append(f"{where}: {cause or problem['msg'].lower()}")
        raise InputError("\n".join(lines)) from None
