"""The page of the classes of kernels: the terms of their time, as the code that predicts computes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from roofsim.engine import symbolic
from roofsim.engine.graph import Graph
from roofsim.engine.roofline import Machine, terms
from roofsim.foundation.cost import Cost
from roofsim.foundation.nomenclature import SYMBOLS
from roofsim.foundation.parameters import PARAMETERS
from roofsim.lowering.kernels import Class, Kernel
from roofsim.reports.docs.markdown import SYMPY, formula, inline, symbol, table

WORDS: Mapping[Class, str] = {
    "gemm": "product in the dtype of activations, or on a narrower unit",
    "vector_product": "product of few rows with vectors, bound by memory",
    "row_product": "product of few rows whose weights the units load no faster",
    "packed_product": "product of few rows on quantised weights, unpacked on the way",
    "quantised_tiles": "product of many rows on quantised weights, tile by tile",
    "attention": "fused attention over the pairs that count",
    "masked_attention": "attention that scores all pairs and reads a mask",
    "narrow_masked_attention": "the same for narrow heads",
    "delta": "fused delta rule, a block for every head",
    "ssd": "chunked scan by products (Mamba-2 and its kin)",
    "scan": "selective scan, token by token",
    "stream": "element by element, memory in its order",
    "strided": "element by element with broadcasts, sums or strides",
    "transpose": "copy in another order",
    "replay": "a captured graph of others, launched once",
    "loop": "loop of all threads of a processor, with a barrier",
    "scalar_loop": "loop of a processor without vector instructions",
    "block_product": "product of a processor in small blocks held in registers",
    "dot_product": "product of a processor by dot products of eight bits",
    "repacked_product": "product of a processor on weights that lie interleaved",
    "unpacked_product": "what unpacking alone takes of a product of a processor",
    "row_attention": "attention of a processor, a row of queries at a time",
    "collective": "what devices do together: what links take comes beside it (several.md)",
}
"""What each class is."""

OF_KERNEL = {
    "matrix": ("F_m", "matrix FLOP"),
    "vector": ("F_v", "vector FLOP"),
    "weights": ("B_w", "bytes of weights"),
    "activations": ("B_a", "bytes of activations"),
    "state": ("B_s", "bytes of state"),
    "fill": ("F_1", "matrix FLOP of one more element of the result: twice the inner width"),
}
"""The numbers of a kernel: symbol and meaning."""
MOVED = "B_m"


def kernels() -> Iterator[str]:
    """Every class of kernel: what it is, and the terms of its time."""
    yield "# Time of a kernel, class by class"
    yield (
        "A kernel takes its fixed time, and the larger of computing (with what filling the device loses) and memory: "
        f"{inline(_whole())}. The class of a kernel decides which parameters stand in the terms. The formulas are what "
        "the code computes, with symbols in the place of numbers; [model.md](model.md#time-of-a-kernel) says why they "
        "are so, and what blocks, tiles and pages of a kernel add."
    )
    rows = [[inline(symbol(sign)), words] for sign, words in OF_KERNEL.values()]
    yield table(["symbol", "of a kernel"], rows)
    yield (
        "Those of the machine are in [formulas.md](formulas.md#symbols), those of the parameters in "
        "[parameters.md](parameters.md). Of its activations a kernel finds a share in the last-level cache, which is "
        "faster than memory; what it moves then takes memory as long as so many bytes:"
    )
    moved = _moved()
    yield formula("B_m", moved).replace("\\text{B m}", symbolic.latex(symbol(MOVED)))
    rows = [[f"`{like}`", *_row(like, moved)] for like in get_args(Class)]
    yield table(["class", *(inline(symbol(name)) for name in TERMS)], rows)
    yield "## Classes"
    yield table(["class", "what it is"], [[f"`{like}`", WORDS[like]] for like in get_args(Class)])


TERMS = tuple(f"t_\\text{{{name}}}" for name in ("compute", "fill", "memory", "fixed"))


def _row(like: Class, moved: Any) -> list[str]:
    """The terms of a class, memory with the bytes that are moved under their symbol; nothing for 0."""
    compute, fill, memory, fixed = terms_of(like)
    short = symbol(MOVED) / SYMPY.simplify(moved / memory)
    fill = symbol(TERMS[2]) if fill == SYMPY.Max(0, memory) else fill
    return [inline(term) if term != 0 else "" for term in (compute, fill, short, fixed)]


def _whole() -> Any:
    """The time in its terms."""
    compute, fill, memory, fixed = map(symbol, TERMS)
    return fixed + SYMPY.Max(compute + fill, memory, evaluate=False)


def terms_of(like: Class) -> list[Any]:
    """What computing, filling, memory and the launch take, in symbols."""
    graph = Graph()
    names = ("matrix_rate", "vector_rate", "bandwidth", "cache", "units", "clock")
    matrix, vector, bandwidth, cache, units, clock = (graph.variable(SYMBOLS[name][0]) for name in names)
    parameters = {name: graph.variable(p.symbol) for name, p in PARAMETERS.items()}
    machine = Machine(matrix, vector, bandwidth, cache, units, parameters, clock)
    sizes = {name: graph.variable(sign) for name, (sign, _) in OF_KERNEL.items()}
    fill = sizes.pop("fill")
    found = terms(Kernel("", like, Cost(**sizes), fill=fill), machine)
    shown = (found.compute, found.filling, found.memory, found.fixed)
    return [SYMPY.sympify(symbolic.expression(graph, each)) for each in shown]


def _moved() -> Any:
    """Bytes that memory is asked for: those of any class at the bandwidth that it reaches."""
    reached = symbol(SYMBOLS["bandwidth"][0]) * symbol(PARAMETERS["memory_efficiency"].symbol)
    return SYMPY.expand(terms_of("stream")[2] * reached)
