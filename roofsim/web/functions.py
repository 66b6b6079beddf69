"""What a model does with a runtime on a device, as JavaScript functions: of requests, of their passes, of kernels."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any

from roofsim.engine.emit import javascript_list
from roofsim.engine.graph import Graph, Sum, Undecided
from roofsim.engine.memory import Memory
from roofsim.engine.passes import Later, OperatorTimes, PassFigures, with_operators
from roofsim.foundation.arith import Number
from roofsim.foundation.errors import Unsupported
from roofsim.foundation.schema import variant
from roofsim.lowering.step import LoweredRow
from roofsim.model.step import Pass
from roofsim.prediction.cost import MILLION
from roofsim.prediction.evaluation import Evaluation, figure
from roofsim.prediction.places import COUNTS
from roofsim.prediction.setup import Setup
from roofsim.prediction.steps import decode, half, halves, pieces
from roofsim.specs.workload import Workload
from roofsim.web.kernels import Kernels, called_activity
from roofsim.web.numbers import OPERATORS, PLACES, VARIABLES, structure, varying

ALONE: Mapping[str, Number] = MappingProxyType({"network": 0, "network_time": 0})
"""What a pass of one device has not."""
OF_PASS = (*(each.name for each in fields(PassFigures) if each.name not in ALONE), "compute_time", "memory_time")
"""What the function of a pass gives; of several devices also for how long links bound it."""
SIZES = ("batch", "new", "context", "scored", "begins")
"""What it takes, of these what varies; of a piece of prompts also how many tokens it has in all."""
OF_OPERATOR: Mapping[str, Callable[[OperatorTimes], Number]] = MappingProxyType({
    "kernels": lambda o: o.kernels,
    "time": lambda o: o.time,
    "compute_time": lambda o: o.by_bound["compute"],
    "memory_time": lambda o: o.by_bound["memory"],
    "host_time": lambda o: o.host_time,
    "matrix_flops": lambda o: o.cost.matrix,
    "vector_flops": lambda o: o.cost.vector,
    "bytes": lambda o: o.cost.bytes,
    "network_time": lambda o: o.by_bound.get("network", 0),
})  # fmt: skip
"""What it gives for each operator, if operators are asked for; the last of several devices alone."""
SHOWN = ("time", "device_time", "host_time", "kernels", "matrix_flops", "vector_flops", "bytes", "energy", "bound")
FIGURES: tuple[str, ...] = (
    "ttft", "tpot", "total_time", "tokens_per_second", "energy", "cost",
    *(f"memory.{each.name}" for each in fields(Memory) if each.name != "binding"), "memory.held",
    "memory.grown", "fits",
    *(f"{part}.{name}" for part in ("prefill", "decode") for name in SHOWN),
)  # fmt: skip
MORE: Mapping[str, Callable[[Evaluation], Number]] = MappingProxyType({
    "usd_per_million": lambda e: MILLION * figure("cost")(e) / (e.w.batch * e.w.generate),
    "room": lambda e: e.s.device.share(e.s.runtime.memory.reserve or 1),
})  # fmt: skip
"""What the page needs beside the figures that have a name."""
KERNEL = re.compile(r"\bk(\d+)(?=\()")
"""The name of a kernel's function where it is called."""
OUTPUTS = (*FIGURES, *MORE)
"""What the function of a request gives."""


Request = tuple[int, tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""A request: its text, the passes that it calls, and which of these prefill and decode go through, in the order in
which it gives how often they do and their sizes, if operators are asked for."""


@dataclass
class Functions:
    """Texts of functions, each with its number; equal ones are one. `operators` are those of each pass."""

    kernels: Kernels = field(default_factory=Kernels)
    passes: dict[str, int] = field(default_factory=dict)
    operators: list[list[list[Any]]] = field(default_factory=list)
    texts: dict[str, int] = field(default_factory=dict)
    requests: dict[Request, int] = field(default_factory=dict)
    _known: dict[Any, int | None] = field(default_factory=dict)

    def of(self, s: Setup, w: Workload) -> int:
        """The request of a model, once for all devices of a structure; raises InputError for what cannot be run.

        It is the same for all encodings of a cache, unless which kernels there are goes by them.
        """
        for each in (variant(w, cache_dtype=None), w):
            formats = each.weight_format, each.cache_dtype, each.logits
            key = (id(s.architecture), s.runtime.id or id(s.runtime), structure(s, w.dtype), formats)
            if key not in self._known:
                try:
                    self._known[key] = self.requests.setdefault(self.made(s, each), len(self.requests))
                except Undecided:
                    self._known[key] = None
            if (known := self._known[key]) is not None:
                return known
        raise Unsupported(f"{s.model_name} on {s.device.id} with {s.runtime.id} cannot be compiled")

    def forget(self) -> None:
        """Keeps the texts alone, which another process can take."""
        self._known.clear()
        self.kernels.forget()

    def add(self, others: Functions) -> list[int]:
        """Takes over the functions of others, and gives the number of each of their requests among its own."""
        kernels = [self.kernels.named(text) for text in others.kernels.texts]
        passes = []
        for text, rows in zip(others.passes, others.operators, strict=True):
            passes.append(self._pass(KERNEL.sub(lambda found: kernels[int(found[1])], text), rows))
        texts = [self.texts.setdefault(text, len(self.texts)) for text in others.texts]
        numbers = []
        for number, own, *phases in others.requests:
            request: Any = texts[number], tuple(passes[i] for i in own), *phases
            numbers.append(self.requests.setdefault(request, len(self.requests)))
        return numbers

    def _pass(self, text: str, rows: list[list[Any]]) -> int:
        if text not in self.passes:
            self.passes[text] = len(self.passes)
            self.operators.append(rows)
        return self.passes[text]

    def made(self, s: Setup, w: Workload) -> Request:
        """The request of a model on a device, traced; raises Undecided where it cannot be by these variables."""
        x = _variables(Graph())
        w = variant(w, **{name: x[name] for name in COUNTS})
        e = _Called(varying(s, w, x), w, functions=self, plain=s)
        outputs = [figure(name)(e) for name in FIGURES] + [read(e) for read in MORE.values()]
        prefill = [(times * halves(e.s, p), *e.call(half(e.s, p))) for times, p in pieces(e.s, e.w)]
        step = decode(e.s, e.w)
        place, sizes = e.call(half(e.s, step))
        more = [each for times, _, of in prefill for each in (times, *of)] + [halves(e.s, step), *sizes]
        text = javascript_list(x["prompt"].graph, outputs, PLACES, [], more, OPERATORS)
        number = self.texts.setdefault(text, len(self.texts))
        return number, tuple(e.passes), tuple(place for _, place, _ in prefill), (place,)

    def passed(self, s: Setup, w: Workload, p: Pass, opened: Mapping[str, bool]) -> int:
        """The function of such a pass of the sizes that are `opened`, each with whether it is a whole number."""
        graph = Graph()
        x = _variables(graph)
        sizes: dict[str, Any] = {name: graph.variable(name, whole=whole) for name, whole in opened.items()}
        if "tokens" in sizes:
            sizes["padding"] = sizes.pop("tokens") - sizes["batch"] * sizes["new"]
        s = varying(s, w, x)
        stack = replace(s.stack(w.dtype), terms=self.kernels.terms, activity=called_activity)
        p = replace(p, precision=s.precision(w), **sizes)
        found, rows = with_operators(stack, p)
        outputs = [getattr(found, name) for name in of_pass(s)]
        more = [read(row) for row in rows for name, read in OF_OPERATOR.items() if name not in ALONE or s.devices > 1]
        names = {name: f"a{i}" for i, name in enumerate(opened)}
        text = javascript_list(graph, outputs, {**PLACES, **names}, list(names.values()), more, OPERATORS)
        return self._pass(text, [[row.layer, row.operator, row.kind, row.count] for row in rows])


def of_pass(s: Setup) -> tuple[str, ...]:
    """What the function of a pass on these devices gives."""
    return OF_PASS if s.split.alone else (*OF_PASS, "network_time")


def _variables(graph: Graph) -> dict[str, Sum]:
    return {name: graph.variable(name, whole=name in COUNTS) for name in VARIABLES}


@dataclass(frozen=True)
class _Called(Evaluation):
    """A request whose passes are calls of functions; `plain` is its setup without variables."""

    functions: Functions = field(default_factory=Functions)
    plain: Setup | None = None
    passes: list[int] = field(default_factory=list, repr=False, compare=False)
    _places: dict[Any, int] = field(default_factory=dict, repr=False, compare=False)

    def call(self, p: Pass) -> tuple[int, tuple[Any, ...]]:
        """Which of the request's `passes` it is, and what it is called with.

        All pieces of prompts that a runtime cuts go through one function.
        """
        sizes = {name: x for name in SIZES if (x := getattr(p, name)) is not None}
        cut = p.phase == "prefill" and self.s.runtime.memory.chunk is not None
        if cut and not (self.s.architecture.prefix_tokens and p.logits == "all"):
            sizes["tokens"] = p.tokens  # a whole number, which batch * new need not be to the last bit
            opened = dict.fromkeys(sizes, False)
        else:
            opened = {name: x.whole for name, x in sizes.items() if isinstance(x, Sum)}
        fixed = tuple(x for name, x in sizes.items() if name not in opened)
        key = (p.phase, fixed, tuple(opened.items()))
        if key not in self._places:
            self._places[key] = len(self.passes)
            self.passes.append(self.functions.passed(self.plain or self.s, self.w, p, opened))
        return self._places[key], tuple(sizes[name] for name in opened)

    def _run(self, p: Pass, rows: Sequence[LoweredRow] | None = None) -> Later:
        place, sizes = self.call(p)
        graph: Graph = next(x.graph for x in sizes if isinstance(x, Sum))
        results = graph.called(f"p{place}", sizes, len(of_pass(self.s)))
        return Later({**ALONE, **dict(zip(of_pass(self.s), results, strict=True))}.__getitem__)
