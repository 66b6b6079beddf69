"""A request compiled once: the model run on variables, and what came out written as one function."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, overload

from roofsim.engine.compiled import Function
from roofsim.engine.derivative import derivative
from roofsim.engine.graph import Graph
from roofsim.foundation.arith import Number
from roofsim.foundation.errors import InputError, UnknownName
from roofsim.foundation.values import dataclass
from roofsim.prediction.evaluation import Evaluation, figure
from roofsim.prediction.places import COUNTS, placed
from roofsim.prediction.setup import Setup
from roofsim.specs.workload import Workload

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

KEPT = 128
"""Compiled requests that are kept, the last used ones."""


class Of(Protocol):
    """A figure as a function of numbers, or of arrays that broadcast."""

    @overload
    def __call__(self, **values: float) -> float: ...

    @overload
    def __call__(self, **values: ArrayLike) -> NDArray[np.float64]: ...


@dataclass(frozen=True)
class Compiled:
    """Figures of a request as a function of some of its numbers.

    `f(prompt=..., batch=...)` takes numbers, or arrays that broadcast, and gives the figures by name, in SI units.
    """

    function: Function

    @property
    def figures(self) -> tuple[str, ...]:
        """What it gives."""
        return tuple(self.function.outputs)

    @property
    def variables(self) -> tuple[str, ...]:
        """What it takes; every value must be above 0."""
        return self.function.variables

    @overload
    def __call__(self, **values: float) -> dict[str, float]: ...

    @overload
    def __call__(self, **values: ArrayLike) -> dict[str, NDArray[np.float64]]: ...

    def __call__(self, **values: ArrayLike) -> Mapping[str, object]:
        """The figures, for keyword arguments or `**{"device.memory.bandwidth": ...}`; raises InputError."""
        return self.function(**values)

    @cached_property
    def at(self) -> Callable[..., tuple[float, ...]]:
        """The figures in order, for one number per variable in order: the fastest way to ask."""
        return self.function.at

    def derivative(self, figure: str, variable: str) -> Of:
        """The change of a figure per unit of a variable, as a function of the same variables."""
        self._known(figure, variable)
        slope = self._slope(figure, variable)

        def at(**values: Any) -> Any:
            return slope(**values)[figure]

        return at

    def elasticity(self, figure: str, variable: str) -> Of:
        """The per cent by which a figure changes for one per cent more of a variable."""
        slope: Any = self.derivative(figure, variable)

        def at(**values: Any) -> Any:
            import numpy as np

            rise = slope(**values) / self.function(**values)[figure]
            x = values[variable]
            return rise * (x if isinstance(x, int | float) else np.asarray(x))

        return at

    def _slope(self, figure: str, variable: str) -> Function:
        graph = self.function.graph
        made = derivative(graph, self.function.outputs[figure], variable)
        return Function(graph, {figure: made}, self.variables, self.function.numba)

    def _known(self, figure: str, variable: str) -> None:
        for what, name, names in (("figures", figure, self.figures), ("variables", variable, self.variables)):
            if name not in names:
                raise UnknownName(what, name, names)

    def expression(self, figure: str) -> Number:
        """A figure as a SymPy expression of the variables, a dot in a name is an underscore; for LaTeX and algebra."""
        from roofsim.engine.symbolic import expression

        self._known(figure, self.variables[0])
        made: Number = expression(self.function.graph, self.function.outputs[figure])
        return made

    def javascript(self) -> str:
        """The same function in JavaScript, from an object of the variables to an object of the figures."""
        return self.function.javascript()


_KEPT: OrderedDict[Any, tuple[Any, Compiled]] = OrderedDict()


def compiled(s: Setup, w: Workload, figures: Sequence[str], over: Sequence[str], *, numba: bool = False) -> Compiled:
    """Figures of a workload over variables, compiled once for the same specs; raises InputError for wrong names."""
    parts = (s.architecture, s.device, s.runtime, s.host, s.calibration, s.cluster, s.terms, s.offload)
    asked = tuple((name, value) for name, value in sorted(vars(w).items()) if name not in over)
    key = (
        tuple(map(id, parts)),
        s.split,
        tuple(sorted(s.parameters.items())),
        asked,
        tuple(figures),
        tuple(over),
        numba,
    )
    if key in _KEPT:
        _KEPT.move_to_end(key)
        return _KEPT[key][1]
    made = Compiled(replace(traced(s, w, figures, over), numba=numba))
    _KEPT[key] = (parts, made)  # the parts are kept alive, so that what they are known by stays theirs
    if len(_KEPT) > KEPT:
        _KEPT.popitem(last=False)
    return made


def traced(s: Setup, w: Workload, figures: Sequence[str], over: Sequence[str]) -> Function:
    """The model run on variables."""
    if len(set(over)) < len(over):
        raise InputError(f"over: a variable is given twice in {', '.join(over)}")
    graph = Graph()
    variables = {name: graph.variable(name, whole=name in COUNTS) for name in over}
    known = {name: figure(name) for name in figures}
    e = Evaluation(*placed(s, w, variables))
    try:
        return Function(graph, {name: read(e) for name, read in known.items()}, tuple(over))
    except TypeError as error:
        # a branch was asked of a variable: it decides what is run, not only how long that takes
        others = [name for name in over if name not in COUNTS]
        if not others:
            raise
        raise InputError(f"over: one of {', '.join(others)} decides what is run, and cannot vary: {error}") from None
