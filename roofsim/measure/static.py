"""transformers with a cache of fixed size: passes launched kernel by kernel, replayed as a captured graph, compiled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from roofsim.foundation.errors import Unsupported
from roofsim.measure.meters import Memory
from roofsim.measure.passes import Bench, Measured, Protocol, watched
from roofsim.measure.runs import ROOM, Mode
from roofsim.model.step import Phase

BEFORE = 3
"""Steps before a graph is captured, or after one is compiled: what libraries set up once is set up then."""

REACH = 8
"""Steps that stay free of the room behind the context: those before a capture take some."""


def measured(bench: Bench, mode: Mode, phase: Phase, batch: int, tokens: int, protocol: Protocol) -> Measured:
    """A prefill of `tokens` tokens into an empty cache, or a decode step with as many in the cache.

    The cache has room for 64 tokens more, which the library's mask and attention cover as well. Memory is told of
    passes that are launched: a graph holds what it needs from its capture on. Raises Unsupported for a prefill in
    another mode than `eager`, and for a graph without a GPU.
    """
    if phase == "prefill":
        if mode != "eager":
            raise Unsupported(f"a prefill is measured in the mode eager, not {mode}")
        prompt = bench.tokens(batch, tokens)
        return watched(bench, lambda: bench.forward(prompt, empty(bench, tokens)), bench.scored("last"), protocol)
    cache = filled(bench, batch, tokens)
    steps = Steps(_step(bench, mode, cache, bench.tokens(batch, 1)), lambda: rewind(bench, cache, tokens))
    found = watched(bench, steps, "last", protocol)
    return found if mode == "eager" else replace(found, memory=Memory(None, found.memory.reserved))


def empty(bench: Bench, tokens: int) -> Any:
    """A static cache for a context; the library makes its tensors in the first pass."""
    from transformers import StaticCache

    return StaticCache(config=bench.built.model.config, max_cache_len=tokens + ROOM)


def filled(bench: Bench, batch: int, tokens: int) -> Any:
    """A cache as after a prompt: its keys and values are random, since no step takes longer for what they are."""
    cache = empty(bench, tokens)
    bench.forward(bench.tokens(batch, 2), cache)
    with bench.stack.torch.inference_mode():
        for layer in cache.layers:
            for held in (getattr(layer, "keys", None), getattr(layer, "values", None)):
                if held is not None:
                    held[:, :, :tokens].normal_()
    rewind(bench, cache, tokens)
    return cache


def rewind(bench: Bench, cache: Any, tokens: int) -> None:
    """Let a cache hold so many tokens: what a layer counts is in a tensor, and under a window in a number too."""
    with bench.stack.torch.inference_mode():
        for layer in cache.layers:
            if hasattr(layer, "cumulative_length"):
                layer.cumulative_length.fill_(tokens)
            if hasattr(layer, "cumulative_length_int"):
                layer.cumulative_length_int = tokens


@dataclass
class Steps:
    """Decode steps one after another; before the cache is full it is set back to the context."""

    step: Callable[[], object]
    rewind: Callable[[], None]
    most: int = ROOM - REACH
    done: int = 0

    def __call__(self) -> object:
        """One step."""
        if self.done % self.most == 0:
            self.rewind()
        self.done += 1
        return self.step()


def _step(bench: Bench, mode: Mode, cache: Any, token: Any) -> Callable[[], object]:
    """A call that does one step in a mode."""

    def launched() -> object:
        return bench.forward(token, cache)

    if mode == "eager":
        return launched
    if mode == "graph":
        if bench.stack.on != "cuda":
            raise Unsupported("a graph is captured on a GPU only")
        return _captured(bench, launched)
    torch = bench.stack.torch
    torch._dynamo.reset()  # else it gives up after a few lengths of the cache
    how = {"mode": "reduce-overhead"} if bench.stack.on == "cuda" else {}
    compiled = torch.compile(bench.built.model, dynamic=False, **how)
    for _ in range(BEFORE):
        bench.forward(token, cache, call=compiled)
    return lambda: bench.forward(token, cache, call=compiled)


def _captured(bench: Bench, step: Callable[[], object]) -> Callable[[], object]:
    """One step as a graph, captured as PyTorch's documentation does: after some steps on a stream of their own."""
    cuda = bench.stack.torch.cuda
    beside = cuda.Stream()
    beside.wait_stream(cuda.current_stream())
    with cuda.stream(beside):
        for _ in range(BEFORE):
            step()
    cuda.current_stream().wait_stream(beside)
    graph = cuda.CUDAGraph()
    with cuda.graph(graph):
        kept = step()

    def replay(kept: object = kept) -> None:
        graph.replay()

    return replay
