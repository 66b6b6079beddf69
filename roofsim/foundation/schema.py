"""The base of everything that is read from a file: a frozen dataclass, strict about unknown fields.

Pydantic checks what comes from outside, and is imported when it does: values that were checked before, such as those
of the cache, come without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from functools import cache
from typing import Annotated, Any, ClassVar, NoReturn, TypeVar, dataclass_transform


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
class Spec:
    """A frozen value whose subclasses are dataclasses; fields that it does not know are an error.

    What all have is written here once: `dataclass` would write it anew for each and compile it, which takes longer
    than a prediction.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = {"extra": "forbid", "allow_inf_nan": False}
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    derived: ClassVar[tuple[str, ...]] = ()
    """What no file sets and no reader is shown, but a variant is told and its own variants keep, by name."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        dataclass(init=False, repr=False, eq=False, kw_only=True)(cls)

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(self.validated(values))

    @classmethod
    def validated(cls, given: Mapping[str, object]) -> Mapping[str, object]:
        """All fields, from those given."""
        return checked(cls, given).__dict__

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise FrozenInstanceError(f"cannot assign to field '{name}'")

    def __delattr__(self, name: str) -> NoReturn:
        raise FrozenInstanceError(f"cannot delete field '{name}'")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and _compared(self) == _compared(other)

    def __hash__(self) -> int:
        return hash((type(self), *_compared(self)))

    def __repr__(self) -> str:
        return whole(self)


S = TypeVar("S", bound=Spec)


def checked(spec: type[S], values: Any) -> S:
    """The spec that `values` describe; raises pydantic's ValidationError."""
    hashable: Any = spec
    made: S = _checker(hashable)(values)
    return made


@cache
def _checker(spec: Any) -> Callable[[Any], Any]:
    from pydantic import TypeAdapter

    adapter: TypeAdapter[Any] = TypeAdapter(spec)
    return adapter.validate_python


def variant(spec: S, **changes: Any) -> S:
    """A copy with other values, which are not checked: they may be arrays or symbols."""
    made = object.__new__(type(spec))
    kept = {name: spec.__dict__[name] for name in spec.derived if name in spec.__dict__}
    made.__dict__.update(items(spec), **kept | changes)
    return made


def assembled(spec: type[S], **values: Any) -> S:
    """A spec of values that were checked before; the others are as they are if nothing is said."""
    made = object.__new__(spec)
    made.__dict__.update({each.name: default(each) for each in fields(spec)}, **values)
    return made


def items(spec: Any) -> Iterator[tuple[str, Any]]:
    """The fields of a spec by name, with their values."""
    return ((each.name, getattr(spec, each.name)) for each in fields(spec))


def _compared(spec: Spec) -> tuple[Any, ...]:
    """The values that specs are equal by: those of all fields but remarks, and what was derived."""
    names = (*(each.name for each in fields(spec) if each.compare), *spec.derived)
    return tuple(getattr(spec, name) for name in names)


def plain(value: Any, *, defaults: bool = True) -> Any:
    """A spec in the types that JSON and YAML know; without `defaults`, only the fields that are not at theirs."""
    if isinstance(value, Spec):
        shown = {each.name: getattr(value, each.name) for each in fields(value)}
        apart = {} if defaults else {each.name: default(each) for each in fields(value)}
        return {
            name: plain(each, defaults=defaults)
            for name, each in shown.items()
            if name not in apart or each != apart[name]
        }
    if isinstance(value, Mapping):
        return {key: plain(each, defaults=defaults) for key, each in value.items()}
    return [plain(each, defaults=defaults) for each in value] if isinstance(value, list | tuple) else value


def default(of: Field[Any]) -> Any:
    """What a field is if nothing is said; MISSING if something must be."""
    return of.default if of.default_factory is MISSING else of.default_factory()


def whole(spec: Spec) -> str:
    """A spec with all its fields, as a text."""
    return f"{type(spec).__name__}({', '.join(f'{name}={value!r}' for name, value in items(spec))})"


def place(parts: Sequence[Any], step: str) -> int | None:
    """Which of the parts of a layer a step of a path means: its number, its kind, `mixer` (the first) or `ffn` (the
    last of several); None if it means none."""
    if step.isdecimal():
        return int(step) if len(step) < 9 and int(step) < len(parts) else None
    kinds = [each.get("kind") if isinstance(each, Mapping) else getattr(each, "kind", None) for each in parts]
    if step in kinds:
        return kinds.index(step)
    return {"mixer": 0, "ffn": len(parts) - 1}.get(step) if len(parts) > 1 or step == "mixer" else None


class Limit:
    """Limits of what a field may be, under the names that pydantic has for them."""

    def __init__(self, **limits: Any) -> None:
        self.limits = limits

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic import Field

        return handler.generate_schema(Annotated[source, Field(**self.limits)])


Size = Annotated[int, Limit(ge=1, le=10**9)]
"""A dimension of a network: a whole number that a network can have."""

Extra = Annotated[int, Limit(ge=0, le=10**9)]
"""A dimension that may be nought."""
