"""A traced graph as a function: of numbers, of arrays in pieces that stay in a processor's cache, in JavaScript."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from roofsim.engine.emit import javascript, python
from roofsim.engine.graph import Graph
from roofsim.foundation.errors import InputError, MissingExtra
from roofsim.foundation.values import dataclass

CHUNK = 2**13
"""Points computed at once: few enough that what is alive at a time stays in a processor's cache."""


@dataclass(frozen=True)
class Function:
    """Outputs of a graph as one function of its variables; with `numba`, arrays go through machine code."""

    graph: Graph
    outputs: Mapping[str, Any]
    variables: tuple[str, ...]
    numba: bool = False

    @cached_property
    def source(self) -> str:
        """Its text in Python."""
        return python(self.graph, list(self.outputs.values()), self.variables)

    @cached_property
    def _code(self) -> Any:
        return compile(self.source, "<compiled pass>", "exec")

    def _made(self, names: dict[str, Any]) -> Callable[..., tuple[Any, ...]]:
        names |= NOT_KNOWN
        exec(self._code, names)
        function: Callable[..., tuple[Any, ...]] = names["f"]
        return function

    @cached_property
    def at(self) -> Callable[..., tuple[Any, ...]]:
        """The outputs, in order, for one number per variable, in order."""
        return self._made(dict(PLAIN))

    @cached_property
    def _of_arrays(self) -> Callable[..., Sequence[Any]]:
        if self.numba:
            return _machine_code(self)
        import numpy as np

        return self._made(
            {"maximum": np.maximum, "minimum": np.minimum, "ceil": np.ceil, "power": np.power,
             "at_least": lambda a, b: (a >= b) * 1.0}
        )  # fmt: skip

    def __call__(self, **values: Any) -> dict[str, Any]:
        """The outputs for numbers, or for arrays that broadcast; raises InputError for values that cannot be."""
        if unknown := sorted(values.keys() ^ set(self.variables)):
            raise InputError(f"compiled for {', '.join(self.variables)}; wrong or missing: {', '.join(unknown)}")
        given = [values[name] for name in self.variables]
        if all(isinstance(x, int | float) for x in given):
            for name, x in zip(self.variables, given, strict=True):
                if not 0 < x <= sys.float_info.max:
                    raise _wrong(name)
            return dict(zip(self.outputs, self.at(*map(float, given)), strict=True))
        return dict(zip(self.outputs, self.many(*map(_array, self.variables, given)), strict=True))

    def many(self, *arrays: Any) -> list[Any]:
        """The outputs, in order, for one array of floats per variable, which are not looked at; raises InputError."""
        import numpy as np

        try:
            shape = np.broadcast_shapes(*(x.shape for x in arrays))
        except ValueError:
            shapes = ", ".join(f"{n} {x.shape}" for n, x in zip(self.variables, arrays, strict=True))
            raise InputError(f"shapes that do not broadcast: {shapes}") from None
        given = [x.reshape((1,) * (len(shape) - x.ndim) + x.shape) for x in arrays]
        results = [np.empty(shape) for _ in self.outputs]
        for place in _pieces(shape):
            piece = [x[tuple(slice(None) if n == 1 else p for n, p in zip(x.shape, place, strict=True))] for x in given]
            for result, value in zip(results, self._of_arrays(*piece), strict=True):
                result[place] = value
        return results

    def javascript(self) -> str:
        """A JavaScript function from an object of the variables to an object of the outputs."""
        return javascript(self.graph, self.outputs, self.variables)


PLAIN: Mapping[str, Callable[..., float]] = {
    "maximum": lambda a, b: a if a >= b else b,
    "minimum": lambda a, b: a if a <= b else b,
    "ceil": math.ceil,
    "power": pow,
    "at_least": lambda a, b: 1.0 if a >= b else 0.0,
}


NOT_KNOWN: Mapping[str, float] = {"nan": math.nan}
"""What the text of a figure that nobody knows is, such as the energy of a device whose power is not published."""


def _machine_code(function: Function) -> Callable[..., Sequence[Any]]:
    """The outputs of arrays, point by point in a loop that numba compiles; raises MissingExtra without it."""
    try:
        from numba import njit
    except ImportError:
        raise MissingExtra("machine code for compiled requests needs numba", "numba") from None
    import numpy as np

    functions = {name: each if name in ("ceil", "power") else njit(each) for name, each in PLAIN.items()}
    given = [f"v{i}" for i in range(len(function.variables))]
    made = [f"y{i}" for i in range(len(function.outputs))]
    point = f"{', '.join(f'{y}[i]' for y in made)}, = f({', '.join(f'{v}[i]' for v in given)})"
    source = f"def loop({', '.join((*given, *made))}):\n    for i in range({given[0]}.size):\n        {point}\n"
    names: dict[str, Any] = {**functions, **NOT_KNOWN}
    exec(compile(function.source, "<compiled pass>", "exec"), names)
    names["f"] = njit(names["f"])
    exec(source, names)
    loop = njit(names["loop"])

    def run(*arrays: Any) -> Sequence[Any]:
        shape = np.broadcast_shapes(*(x.shape for x in arrays))
        flat = [np.ascontiguousarray(np.broadcast_to(x, shape)).ravel() for x in arrays]
        results = [np.empty(flat[0].size) for _ in made]
        loop(*flat, *results)
        return [each.reshape(shape) for each in results]

    return run


def _array(name: str, value: Any) -> Any:
    import numpy as np

    try:
        # int64 overflows silently near 10^19 FLOP
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{name}: {value!r} is not a number or an array of numbers") from None
    if not np.isfinite(array).all() or not (array > 0).all():
        raise _wrong(name)
    return array


def _wrong(name: str) -> InputError:
    return InputError(f"{name}: every number must be above 0 and finite")


def _pieces(shape: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    """Slices that cover an array of this shape, of at most `CHUNK` elements each where one row is no longer."""
    inner = math.prod(shape[1:])
    if not shape:
        yield ()
        return
    if inner > CHUNK:
        for i in range(shape[0]):
            for rest in _pieces(shape[1:]):
                yield (slice(i, i + 1), *rest)
        return
    rows = max(CHUNK // max(inner, 1), 1)
    for i in range(0, shape[0], rows):
        yield (slice(i, i + rows), *(slice(None) for _ in shape[1:]))
