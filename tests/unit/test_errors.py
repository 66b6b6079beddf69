from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roofsim.foundation.errors import (
    InputError,
    MissingExtra,
    RoofsimError,
    SpecError,
    UnknownName,
    Unsupported,
    nearest,
)
from roofsim.foundation.installation import install

NAMES = ["rtx-4090", "rtx-3090", "h100-sxm", "Llama-3.2-1B"]


@pytest.mark.parametrize("kind", [SpecError, UnknownName, MissingExtra, Unsupported])
def test_whatever_the_user_can_cause_is_an_input_error(kind: type[Exception]) -> None:
    assert issubclass(kind, InputError)
    assert issubclass(kind, RoofsimError)


def test_a_spec_error_has_one_line_per_problem() -> None:
    error = SpecError(["a.yaml: x: is missing", "a.yaml: y: no such field"])
    assert str(error).splitlines() == list(error.problems)


def test_a_missing_extra_ends_with_the_line_that_adds_it_here() -> None:
    message = str(MissingExtra("reading a GGUF file needs the package gguf", "gguf"))
    assert message.startswith("reading a GGUF file needs the package gguf; install the extra `gguf`:\n")
    assert message.splitlines()[-1] == install("gguf")


def test_an_unknown_name_is_told_the_nearest_first() -> None:
    assert str(UnknownName("devices", "rtx-409", NAMES)) == "devices: no 'rtx-409'; nearest: rtx-4090, rtx-3090"


def test_case_does_not_hide_the_nearest_name() -> None:
    assert nearest("LLAMA-3.2-1b", NAMES)[0] == "Llama-3.2-1B"


def test_a_name_like_no_other_is_told_what_is_known() -> None:
    assert str(UnknownName("devices", "zzzz", NAMES)).endswith("known: rtx-4090, rtx-3090, h100-sxm, Llama-3.2-1B")


def test_at_most_twelve_known_names_are_listed() -> None:
    message = str(UnknownName("devices", "zzzz", [f"a{i}" for i in range(13)]))
    assert message.endswith("a10, a11, ...")
    assert str(UnknownName("devices", "zzzz", [f"a{i}" for i in range(12)])).endswith("a10, a11")


def test_a_name_may_be_near_to_one_that_is_not_listed() -> None:
    assert str(UnknownName("devices", "oring", NAMES, ["orin"])) == "devices: no 'oring'; nearest: orin"
    assert str(UnknownName("devices", "zzzz", ["a"], ["b"])) == "devices: no 'zzzz'; known: a"


def test_where_nothing_is_known_that_is_said() -> None:
    assert str(UnknownName("modes", "15w", [])) == "modes: no '15w'; there are none"


@given(name=st.text(min_size=1), names=st.lists(st.text(), max_size=20))
def test_at_most_three_names_are_near_and_all_are_known(name: str, names: list[str]) -> None:
    near = nearest(name, names)
    assert len(near) <= 3
    assert set(near) <= set(names)
