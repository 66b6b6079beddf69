"""`foundation.values.dataclass` is the standard decorator."""

from __future__ import annotations

import dataclasses
import pickle
from dataclasses import FrozenInstanceError, field, replace

import pytest

from roofsim.foundation.values import dataclass


def described(decorator, **options):
    """A class as `decorator` makes it."""

    @decorator(frozen=True, **options)
    class Point:
        x: int
        y: tuple[int, ...] = ()
        note: str = field(default="", compare=False)
        secret: int = field(default=0, repr=False)

    return Point


@dataclass(frozen=True, slots=True)
class Kept:
    """One field, at the top of a module, so that it can be pickled."""

    value: int


@pytest.mark.parametrize("slots", [False, True])
def test_it_does_what_the_standard_one_does(slots):
    ours, theirs = described(dataclass, slots=slots), described(dataclasses.dataclass, slots=slots)
    cases = [(1,), (1, (2,)), (1, (2,), "a"), (1, (2,), "b"), (1, (), "", 3), (2,)]
    for first in cases:
        assert repr(ours(*first)) == repr(theirs(*first))
        assert hash(ours(*first)) == hash(theirs(*first))
        for second in cases:
            assert (ours(*first) == ours(*second)) is (theirs(*first) == theirs(*second))
    assert ours(1) != theirs(1)
    assert ours(1) != 1
    assert replace(ours(1), x=2) == ours(2)
    assert hasattr(ours(1), "__dict__") is not slots
    with pytest.raises(FrozenInstanceError):
        ours(1).x = 2


def test_what_a_class_says_itself_stays():
    @dataclass(frozen=True)
    class Alike:
        x: int

        def __eq__(self, other):
            return True

        def __hash__(self):
            return 7

        def __repr__(self):
            return "alike"

    assert Alike(1) == Alike(2)
    assert hash(Alike(1)) == 7
    assert repr(Alike(1)) == "alike"


def test_classes_of_no_and_of_one_field():
    @dataclass(frozen=True, slots=True)
    class Nothing:
        pass

    assert Nothing() == Nothing()
    assert hash(Kept(1)) == hash(Kept(1))
    assert Kept(1) != Kept(2)
    assert pickle.loads(pickle.dumps(Kept(3))) == Kept(3)


def test_an_heir_is_another_class():
    @dataclass(frozen=True, repr=False)
    class Base:
        x: int

    @dataclass(frozen=True)
    class Heir(Base):
        y: int = 0

    assert Base(1) != Heir(1)
    assert repr(Base(1)).startswith("<")
    assert repr(Heir(1)) == repr(Heir(1))
    assert "y=0" in repr(Heir(1))
