from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from roofsim.foundation.errors import InputError
from roofsim.model.weights import DTYPE_BYTES, WEIGHT_FORMATS, bytes_per_weight
from roofsim.specs.workload import workload


def test_a_workload_needs_nothing_said() -> None:
    w = workload()
    assert (w.batch, w.prompt, w.generate, w.dtype, w.logits) == (1, 1024, 128, "bf16", None)


@pytest.mark.parametrize("value", [1, 7.0, 10**12, np.int64(5), np.float64(5.0), np.array(5)])
def test_a_whole_number_becomes_an_int(value: Any) -> None:
    w = workload(batch=value, prompt=value)
    assert (type(w.batch), w.batch, w.prompt) == (int, int(value), int(value))


@pytest.mark.parametrize("dtype", [np.int64, np.uint32, np.float32, np.float64])
@pytest.mark.parametrize("values", [[1, 2], [[1], [8]], [2**20]])
def test_an_array_becomes_float64(values: Any, dtype: Any) -> None:
    prompt = workload(prompt=np.array(values, dtype)).prompt
    assert prompt.dtype == np.float64
    np.testing.assert_array_equal(prompt, values)


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ([1, 2], [1, 2]),
        (["1k", 3], [1024, 3]),
        ((5,), [5]),
        ([[1], ["2k"]], [[1], [2048]]),
        (range(2, 8, 3), [2, 5]),
        ("1k,5", [1024, 5]),
        ("1k..4k*2", [1024, 2048, 4096]),
    ],
)
@pytest.mark.parametrize("field", ["batch", "prompt", "generate"])
def test_lists_ranges_and_texts_with_several_counts_are_arrays(field: str, given: Any, read: Any) -> None:
    found = getattr(workload(**{field: given}), field)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, read)


def test_a_text_is_the_count_that_it_says() -> None:
    w = workload(batch="4", prompt="32k", generate="0")
    assert (w.batch, w.prompt, w.generate) == (4, 32768, 0)


NO_COUNTS = [
    0, -1, 1.5, True, "4 k", "", None, float("nan"), float("inf"), 10**13, 10**400, 1 + 0j, object(),
    [0, 1], [], [[1, 2], [3]], ["a"], [True], [None], range(0), {1: 2}, "8k..1k",
]  # fmt: skip
NO_ARRAYS = [[0, 1], [np.nan], [np.inf], ["a"], [1.5], [1j], [], [True]]


@pytest.mark.parametrize("field", ["batch", "prompt"])
@pytest.mark.parametrize("value", [*NO_COUNTS, *map(np.array, NO_ARRAYS)], ids=lambda value: str(value)[:9])
def test_what_is_no_count_is_refused(field: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"{field}: .*10\\^12|{field}: .*number|{field}: .*range|{field}: several"):
        workload(**{field: value})


def test_nothing_may_be_generated_but_not_less() -> None:
    assert workload(generate=0).generate == 0
    for wrong in (-1, 1.5, True, "x", None, float("nan"), float("inf"), 10**13, np.array([0, 2])):
        with pytest.raises(InputError, match="generate: "):
            workload(generate=wrong)


@pytest.mark.parametrize("field", ["dtype", "cache_dtype"])
@pytest.mark.parametrize("name", DTYPE_BYTES)
def test_every_dtype_is_known_in_any_case(field: str, name: str) -> None:
    assert getattr(workload(**{field: name.upper()}), field) == name


@pytest.mark.parametrize("name", WEIGHT_FORMATS)
def test_weights_take_the_bytes_of_their_format_and_the_rest_those_of_the_dtype(name: str) -> None:
    precision = workload(dtype="bf16", weight_format=name, cache_dtype="fp8").precision()
    assert (precision.activations, precision.cache, precision.state) == (2, 1, 4)
    assert precision.weights == bytes_per_weight(WEIGHT_FORMATS[name].matrices)
    assert precision.weights <= precision.of("lm_head") <= 4


@pytest.mark.parametrize("name", DTYPE_BYTES)
def test_weights_are_all_in_the_dtype_unless_another_format_is_said(name: str) -> None:
    for said in (None, name):
        precision = workload(dtype=name, weight_format=said).precision()
        assert {precision.weights, precision.vectors, precision.of("lm_head")} == {DTYPE_BYTES[name]}


def test_recurrent_states_are_fp32_unless_the_stack_keeps_them_in_the_dtype_of_the_model() -> None:
    assert workload(dtype="bf16").precision().state == 4
    assert workload(dtype="bf16").precision("model").state == 2


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"dtype": "bf17"}, "dtype: no dtype 'bf17'; nearest: bf16, fp16; one of fp32"),
        ({"cache_dtype": ""}, "cache_dtype: no encoding of a cache ''"),
        ({"dtype": 3}, "dtype: "),
        ({"weight_format": "q5"}, "weight_format: no weight format 'q5'; nearest: q5_0, q5_k_s, q5_k_m; one of fp32"),
        ({"logits": "some"}, "logits: input should be 'all' or 'last'"),
        ({"length": 1}, "length: "),
    ],
)
def test_a_wrong_word_is_told_what_is_known(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as error:
        workload(**fields)
    assert str(error.value).startswith(said)


def test_all_wrong_fields_are_told_at_once() -> None:
    with pytest.raises(InputError) as error:
        workload(batch=0, prompt=-1, dtype="x", logits="y")
    assert [line.split(":")[0] for line in str(error.value).splitlines()] == ["batch", "prompt", "dtype", "logits"]
