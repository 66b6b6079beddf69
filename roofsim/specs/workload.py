"""What is asked of a model: how many sequences, how long, in which precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args

from roofsim.foundation.errors import InputError, UnknownName, one_of
from roofsim.foundation.schema import Spec
from roofsim.foundation.units import MAX_COUNT, parse_count, parse_counts
from roofsim.model.step import Logits, Precision, Product
from roofsim.model.weights import (
    CACHE_BYTES,
    DTYPE_BYTES,
    WEIGHT_FORMATS,
    Inventory,
    cache_named,
    format_named,
    multiplied,
    stored,
)  # fmt: skip

if TYPE_CHECKING:
    from roofsim.model.architecture import Architecture

STORED = "stored"
"""The weight format of a model whose file says how its weights are stored, unless another is asked for."""

WHOLE = 16
"""Bits from which on weights are not quantised."""

FIELDS: Mapping[str, str] = {"weights": "weight_format", "cache": "cache_dtype", "dtype": "dtype", "logits": "logits"}
"""What users call the fields of a workload beside its counts, and which those are."""

StateType = Literal["fp32", "model"]


class Workload(Spec):
    """A request: `batch` sequences with `prompt` tokens each, of which `generate` more are made.

    Each of the three is a number, text such as `32k`, or several: a list, a range, text such as `1k..64k*2`, an array.
    Several become an array, and then results are arrays.
    """

    batch: Any = 1
    prompt: Any = 1024
    generate: Any = 128
    dtype: str = "bf16"
    cache_dtype: str | None = None
    weight_format: str | None = None
    logits: Logits | None = None

    @classmethod
    def validated(cls, given: Mapping[str, object]) -> Mapping[str, object]:
        """Checked here and not by pydantic, which takes longer to import than a prediction; raises InputError."""
        values = {each.name: each.default for each in fields(cls)}
        problems = [f"{name}: no such field; it has {', '.join(values)}" for name in given if name not in values]
        for name in reversed([name for name in values if name in given]):
            try:
                values[name] = CHECKS[name](given[name])
            except ValueError as error:
                problems.insert(0, f"{name}: {error}")
        if problems:
            raise InputError("\n".join(problems))
        return values

    def precision(
        self, state: StateType = "fp32", architecture: Architecture | None = None, product: Product = "weights_only"
    ) -> Precision:
        """Bytes per element; recurrent states are fp32 or in the model's dtype.

        A weight format may store the matrices of an architecture in several ways, as may the file that it is from;
        `product` is how those on quantised matrices are multiplied.
        """
        activations = DTYPE_BYTES[self.dtype]
        weights: Mapping[str, Any] = {}
        products: dict[str, Product] = {}
        if self.weight_format in (None, STORED):
            if architecture and architecture.stored:
                bits = architecture.stored.bits
                weights = {operator: each / 8 for operator, each in bits.items()}
                products = {operator: product if each < WHOLE else "weights_only" for operator, each in bits.items()}
        elif self.weight_format != self.dtype:
            network = architecture.inventory if architecture else Inventory()
            weights = stored(self.weight_format, self.dtype, network)
            if product != "weights_only":
                products = multiplied(self.weight_format, product, network)
        return Precision(
            weights.get("weights", activations),
            activations,
            CACHE_BYTES[self.cache_dtype or self.dtype],
            activations if state == "model" else DTYPE_BYTES["fp32"],
            weights,
            products,
        )


def _counts(least: int, value: Any) -> Any:
    """A whole number, or an array of them where there are several."""
    if isinstance(value, str):
        value = _written(least, value)
    if isinstance(value, list | tuple | range) or getattr(value, "shape", None):
        return _array(value)
    return _whole(least, value)


def _written(least: int, text: str) -> int | list[int]:
    """The count or the counts in a text."""
    if least == 0 and text.strip() == "0":
        return 0
    found = parse_counts(text)
    return found if len(found) > 1 else found[0]


def _array(value: Any) -> Any:
    """An array of whole numbers from 1 on."""
    import numpy as np

    try:
        value = np.asarray(value if hasattr(value, "shape") else _parsed(value))
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"several counts are expected: {error}") from None
    if value.dtype.kind not in "iuf":
        raise ValueError(f"an array of {value.dtype} is not one of numbers")
    # int64 overflows silently near 10^19 FLOP
    value = value.astype(float)
    inside = value.size and ((value >= 1) & (value <= MAX_COUNT)).all()
    if not inside or (value % 1).any():
        raise ValueError("every element must be a whole number from 1 to 10^12, and there must be one")
    return value


def _parsed(value: Any) -> Any:
    """A list with texts in it as counts; `True` is none."""
    if isinstance(value, list | tuple):
        return [_parsed(each) for each in value]
    if isinstance(value, bool):
        raise ValueError(f"{value!r} is not a whole number")
    return parse_count(value) if isinstance(value, str) else value


def _word(what: str, table: Mapping[str, Any], value: Any, optional: bool = True) -> str | None:
    """A word in lower case that the table has; raises ValueError that lists what it has."""
    if value is None and optional:
        return None
    if not isinstance(value, str):
        raise ValueError("input should be a valid string")
    if value.lower() not in table:
        raise ValueError(one_of(what, value, table))
    return value.lower()


def _named(what: str, table: Mapping[str, Any], named: Callable[[str], str], value: Any) -> str | None:
    """What one of several names means; raises ValueError that lists what there is."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError("input should be a valid string")
    try:
        return named(value)
    except UnknownName:
        raise ValueError(one_of(what, value, table)) from None


def _logits(value: Any) -> Logits | None:
    words: tuple[Logits, ...] = get_args(Logits)
    for word in (None, *words):
        if type(value) is type(word) and value == word:
            return word
    raise ValueError(f"input should be {' or '.join(map(repr, words))}")


def _whole(least: int, value: Any) -> int:
    """A whole number, a NumPy scalar included."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= MAX_COUNT:
        raise ValueError(f"{value!r} is not a whole number from {least} to 10^12")
    if value != int(value):
        raise ValueError(f"{value!r} is not a whole number")
    return int(value)


CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "batch": partial(_counts, 1),
    "prompt": partial(_counts, 1),
    "generate": partial(_counts, 0),
    "dtype": partial(_word, "dtype", DTYPE_BYTES, optional=False),
    "cache_dtype": partial(_named, "encoding of a cache", CACHE_BYTES, cache_named),
    "weight_format": partial(_named, "weight format", WEIGHT_FORMATS, format_named),
    "logits": _logits,
}
"""What reads each field of a workload."""


@contextmanager
def called(names: Mapping[str, str]) -> Iterator[None]:
    """Messages about fields of a workload call them what their user does, by these names."""
    try:
        yield
    except InputError as error:
        lines = str(error).splitlines()
        for field, name in names.items():
            lines = [name + line.removeprefix(field) if line.startswith(f"{field}:") else line for line in lines]
        if lines == str(error).splitlines():
            raise
        raise InputError("\n".join(lines)) from None


def workload(**fields: Any) -> Workload:
    """A checked workload; raises InputError with one line for each wrong field."""
    return Workload(**fields)
