"""What is asked of a model: how many sequences, how long, in which precision."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from pydantic import field_validator

from roofsim.errors import InputError
from roofsim.passes import Logits, Precision
from roofsim.schema import Spec

DTYPE_BYTES: Mapping[str, float] = MappingProxyType(
    {"fp32": 4, "tf32": 4, "bf16": 2, "fp16": 2, "fp8": 1, "int8": 1, "fp4": 0.5, "int4": 0.5}
)
"""Bytes per element of plain dtypes."""

WEIGHT_FORMATS: Mapping[str, float] = MappingProxyType(
    {
        **DTYPE_BYTES,
        "int8-channel": 1,
        "int4-g128": 4.25 / 8,  # 4 bits, and per 128 weights an fp16 scale and a 16-bit zero point
        "mxfp4": 4.25 / 8,  # OCP MX v1.0: 4 bits, and an 8-bit scale per 32 weights
        "nvfp4": 4.5 / 8,  # 4 bits, and an fp8 scale per 16 weights
        "q8_0": 8.5 / 8,  # llama.cpp ggml-common.h: 32 bytes and an fp16 scale per 32 weights
        "q4_0": 4.5 / 8,  # llama.cpp ggml-common.h: 16 bytes and an fp16 scale per 32 weights
        "q5_0": 5.5 / 8,  # llama.cpp ggml-common.h: 20 bytes and an fp16 scale per 32 weights
        "q6_k": 6.5625 / 8,  # llama.cpp ggml-common.h: 210 bytes per 256 weights
        "q4_k_m": 4.9 / 8,  # a mixture of Q4_K and Q6_K: 4.58 GiB for the 8.03e9 weights of LLaMA-3-8B
    }
)
"""Bytes per weight of the formats that weights can be stored in, their scales included."""

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

    def precision(self, state: StateType = "fp32") -> Precision:
        """Bytes per element; recurrent states are fp32 or in the model's dtype."""
        activations = DTYPE_BYTES[self.dtype]
        return Precision(
            WEIGHT_FORMATS[self.weight_format or self.dtype],
            activations,
            DTYPE_BYTES[self.cache_dtype or self.dtype],
            activations if state == "model" else DTYPE_BYTES["fp32"],
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
