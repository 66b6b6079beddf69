"""The time of one step of a serving engine, whatever sequences it holds: exact, and compiled for simulators."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

from roofsim.engine.compiled import Function
from roofsim.engine.graph import Graph
from roofsim.engine.passes import Later, Stack, run_pass, weighted
from roofsim.foundation.arith import Number, at_least
from roofsim.foundation.errors import InputError
from roofsim.foundation.values import dataclass
from roofsim.model.step import Pass, together
from roofsim.prediction.request import settled
from roofsim.prediction.setup import Setup
from roofsim.prediction.steps import decode, halves, overlaps, prefill
from roofsim.serving.timed import verifying
from roofsim.specs.workload import Workload

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from roofsim.serving.drafting import Drafting
    from roofsim.serving.table import SGLangPredictor

Group = tuple[float, float, float]
"""Sequences, new tokens of each, and tokens that each holds before."""
VARIABLES = ("decodes", "held", "pieces", "new", "context")
"""What a compiled step is asked for."""


@dataclass(frozen=True)
class StepTime:
    """Seconds and joules of one step of a model on a setup; of a workload only formats and dtypes count.

    Called with groups `[(sequences, new, held), ...]` it is exact for sequences of many lengths. `of` takes what a
    scheduler knows of a step in five numbers, and answers in some microseconds from one compiled function. Of several
    groups of devices (data parallel) it is the step of one, with the joules of all. With `drafts` every sequence that
    decodes has its drafted tokens verified in it.
    """

    s: Setup
    w: Workload
    drafts: Drafting | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "w", settled(self.s, self.w))

    def __call__(self, groups: Sequence[Group | Pass]) -> float:
        """Seconds of a step of groups (sequences, new, held); raises InputError for numbers that are none.

        Groups with one new token each, on top of what they hold, are decoding; others are pieces of prompts.
        """
        return float(self.run(groups).time)

    def run(self, groups: Sequence[Group | Pass]) -> Later:
        """All figures of such a step; of several devices those of one."""
        if not groups:
            raise InputError("step: no group of sequences; at least one is needed")
        passes = [each if isinstance(each, Pass) else self._read(each) for each in groups]
        return self.passed(together(passes))

    def passed(self, p: Pass) -> Later:
        """The figures of a step, with the drafts of its sequences if there are any."""
        return self.drafts.passed(self.s, self.w, p, self._run) if self.drafts else self._run(p)

    def _run(self, p: Pass) -> Later:
        """The figures of a step; where halves of it overlap, those of both."""
        stack = self._stack if self.drafts is None else replace(self._stack, runtime=verifying(self.s.runtime, p))
        if not overlaps(self.s):
            return run_pass(stack, p)
        times = halves(self.s, p)
        half, *others = (replace(each, batch=each.batch / times) for each in p.groups)
        return weighted([(times, run_pass(stack, replace(half, beside=tuple(others))))])

    @cached_property
    def _stack(self) -> Stack:
        return self.s.stack(self.w.dtype)

    def decoding(self, sequences: Number, held: Number) -> Pass:
        """The group of sequences that each get one more token after those that they hold."""
        return replace(decode(self.s, self.w), batch=sequences, context=held)

    def piece(self, sequences: Number, new: Number, context: Number = 0) -> Pass:
        """The group of prompts of which so many tokens go through, after others that did."""
        begins = 1 - at_least(context, 1)
        return replace(prefill(self.s, self.w), batch=sequences, new=new, context=context, begins=begins)

    def _read(self, group: Group) -> Pass:
        try:
            sequences, new, held = map(float, group)
        except (TypeError, ValueError):
            raise InputError(f"step: {group!r} is no group of (sequences, new tokens, tokens held)") from None
        if not (sequences > 0 and new > 0 and held >= 0 and sequences * (new + held) < float("inf")):
            raise InputError(f"step: {group!r}: sequences and new tokens are above 0, and what is held not below")
        return self.decoding(sequences, held) if new == 1 and held else self.piece(sequences, new, held)

    @overload
    def of(
        self, decodes: float, held: float = ..., pieces: float = ..., new: float = ..., context: float = ...
    ) -> tuple[float, float]: ...

    @overload
    def of(
        self, decodes: ArrayLike, held: ArrayLike = ..., pieces: ArrayLike = ..., new: ArrayLike = ...,
        context: ArrayLike = ...,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...  # fmt: skip

    def of(
        self, decodes: ArrayLike, held: ArrayLike = 0, pieces: ArrayLike = 0, new: ArrayLike = 0, context: ArrayLike = 0
    ) -> tuple[object, object]:
        """Seconds and joules of a step, for numbers or arrays that broadcast; raises InputError for what is neither.

        `decodes` sequences hold `held` tokens each (the mean) and get one more; beside them go `pieces` pieces of
        prompts, each of `new` tokens after `context` that went before. A step of nothing takes no time.
        """
        if (
            isinstance(decodes, _PLAIN) and isinstance(held, _PLAIN) and isinstance(pieces, _PLAIN)
            and isinstance(new, _PLAIN) and isinstance(context, _PLAIN)
        ):  # fmt: skip
            if not (pieces and new):
                return self.decodes(decodes, held) if decodes else (0.0, 0.0)
            return self.mixed(decodes, held, pieces, new, context) if decodes else self.prompts(pieces, new, context)
        return self._arrays(decodes, held, pieces, new, context)

    def batch(self, sequences: Iterable[tuple[float, float]]) -> float:
        """Seconds of a step of sequences, each with (new tokens, tokens held): the compiled answer, to the same work.

        Those that decode count as equal ones that hold the mean; pieces of prompts as equal ones with as many tokens,
        which see as many others.
        """
        return self.of(*summed(sequences))[0]

    def sglang(self) -> SGLangPredictor:
        """The time predictor that SGLang's simulator asks for a batch of its scheduler."""
        from roofsim.serving.table import SGLangPredictor

        return SGLangPredictor(self)

    @cached_property
    def decodes(self) -> Callable[[float, float], tuple[float, float]]:
        """Seconds and joules of a step of decoding sequences alone: (how many, tokens held)."""
        return self._decodes.at

    @cached_property
    def prompts(self) -> Callable[[float, float, float], tuple[float, float]]:
        """Seconds and joules of a step of pieces of prompts alone: (how many, new, context)."""
        return self._prompts.at

    @cached_property
    def mixed(self) -> Callable[[float, float, float, float, float], tuple[float, float]]:
        """Seconds and joules of a step of both: (decodes, held, pieces, new, context)."""
        return self._mixed.at

    @cached_property
    def _decodes(self) -> Function:
        return self._compiled(VARIABLES[:2])

    @cached_property
    def _prompts(self) -> Function:
        return self._compiled(VARIABLES[2:])

    @cached_property
    def _mixed(self) -> Function:
        return self._compiled(VARIABLES)

    def _compiled(self, names: Sequence[str]) -> Function:
        graph = Graph()
        x = {name: graph.variable(name, whole=name != "held") for name in names}
        groups = []
        if "decodes" in x:
            groups.append(self.decoding(x["decodes"], x["held"]))
        if "pieces" in x:
            groups.append(self.piece(x["pieces"], x["new"], x["context"]))
        figures = self.passed(together(groups))
        # the stages of a pipeline are each at another step; what they draw while they wait is not counted
        outputs = {"time": figures.time, "energy": figures.energy * self.s.split.stage}
        return Function(graph, outputs, tuple(names))

    def _arrays(self, *given: Any) -> tuple[Any, Any]:
        """The three kinds of step, each for the elements that are of its kind."""
        import numpy as np

        try:
            arrays = np.broadcast_arrays(*(np.asarray(x, dtype=float) for x in given))
        except (TypeError, ValueError):
            raise InputError("step: numbers or arrays that broadcast are asked for") from None
        if not all((x >= 0).all() and np.isfinite(x).all() for x in arrays):
            raise InputError("step: no number is below 0, and all are finite")
        x = dict(zip(VARIABLES, arrays, strict=True))
        some, begun = x["decodes"] > 0, (x["pieces"] > 0) & (x["new"] > 0)
        results = np.zeros(arrays[0].shape), np.zeros(arrays[0].shape)
        kinds = {"_decodes": some & ~begun, "_prompts": begun & ~some, "_mixed": some & begun}
        for kind, where in kinds.items():
            if where.any():
                function: Function = getattr(self, kind)
                made = function.many(*(x[name][where] for name in function.variables))
                for result, value in zip(results, made, strict=True):
                    result[where] = value
        return results


def summed(sequences: Iterable[tuple[float, float]]) -> tuple[float, float, float, float, float]:
    """What `StepTime.of` is asked for a step of sequences, each with (new tokens, tokens held)."""
    decodes = held = pieces = new = pairs = 0.0
    for tokens, before in sequences:
        if tokens == 1 and before:
            decodes += 1
            held += before
        elif tokens:
            pieces += 1
            new += tokens
            pairs += tokens * (before + (tokens + 1) / 2)
    if not pieces:
        return decodes, held / decodes if decodes else 0.0, 0.0, 0.0, 0.0
    each = new / pieces
    context = max(pairs / new - (each + 1) / 2, 0.0)
    return decodes, held / decodes if decodes else 0.0, pieces, each, context


_PLAIN = (int, float)
