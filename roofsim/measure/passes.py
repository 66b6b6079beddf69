"""Prefill and decode of a built model: clock, memory, kernels and energy of one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from statistics import median, stdev
from time import perf_counter
from typing import Any

from roofsim.foundation.errors import Unsupported
from roofsim.foundation.values import dataclass
from roofsim.measure.build import Built
from roofsim.measure.meters import Counter, Energy, Memory, Profile, energy_of, profiled, with_memory
from roofsim.measure.stack import Stack
from roofsim.model.step import Logits, Phase


@dataclass(frozen=True, slots=True)
class Protocol:
    """How often a pass is run: `warmup` times unwatched, `repeats` times with the clock, `energy` seconds on end.

    `warmup` is at least 1: memory is that of the last of them. `enough` seconds of passes end the warm-up and
    the repeats before their number is reached.
    """

    warmup: int = 2
    repeats: int = 5
    energy: float = 1.0
    enough: float = 2.0

    @property
    def steps(self) -> int:
        """Passes at most, those for energy apart; one is for the profiler."""
        return self.warmup + self.repeats + 1


@dataclass(frozen=True, slots=True)
class Measured:
    """One phase of one workload: seconds of every repeat, and what the other meters say."""

    times: tuple[float, ...]
    memory: Memory
    profile: Profile | None
    energy: Energy | None
    logits: Logits

    @property
    def latency(self) -> float:
        """Median of the repeats."""
        return median(self.times)

    @property
    def spread(self) -> str:
        """Standard deviation, least and number of the repeats, for the note of a row."""
        deviation = f"std={stdev(self.times):.4g};" if len(self.times) > 1 else ""
        return f"{deviation}min={min(self.times):.6g};n={len(self.times)}"


@dataclass(frozen=True, slots=True)
class Bench:
    """A built model on its device."""

    stack: Stack
    built: Built
    counter: Counter

    def tokens(self, batch: int, count: int) -> Any:
        """Random tokens."""
        return self.stack.torch.randint(0, self.built.vocab, (batch, count), device=self.stack.on)

    def forward(self, tokens: Any, cache: Any = None, logits: Logits = "last", call: Any = None) -> Any:
        """One pass as a program would call it: no mask, with a cache; of the model, or of what was compiled of it."""
        options = {"logits_to_keep": 1} if self.scored(logits) == "last" else {}
        if cache is not None:
            options["cache_params" if self.built.takes("cache_params") else "past_key_values"] = cache
        with self.stack.torch.inference_mode():
            model = self.built.model if call is None else call
            return model(input_ids=tokens, use_cache=True, **options)

    def scored(self, logits: Logits) -> Logits:
        """The positions that are scored: all, if the class cannot leave any out."""
        return logits if self.built.takes("logits_to_keep") else "all"


def settle(bench: Bench, tokens: int) -> None:
    """Run what is compiled or set up once, so that no measured pass does: a prefill and a decode step."""
    bench.forward(bench.tokens(1, 1), held(bench, 1, tokens))
    bench.stack.sync()


def measured(bench: Bench, phase: Phase, batch: int, tokens: int, logits: Logits, protocol: Protocol) -> Measured:
    """A prefill of `tokens` tokens, or a decode step with as many in the cache."""
    if phase == "prefill":
        prompt, logits = bench.tokens(batch, tokens), bench.scored(logits)
        return watched(bench, lambda: bench.forward(prompt, logits=logits), logits, protocol)
    cache, token = held(bench, batch, tokens), bench.tokens(batch, 1)
    room = bench.built.positions and bench.built.positions - tokens - protocol.steps
    return watched(bench, lambda: bench.forward(token, cache), "last", protocol, room)


def held(bench: Bench, batch: int, tokens: int) -> Any:
    """The cache after a prompt: of one sequence that is run, repeated for the others, so that it costs one prefill."""
    out = bench.forward(bench.tokens(1, tokens))
    cache = getattr(out, "past_key_values", None)
    cache = getattr(out, "cache_params", None) if cache is None else cache
    if cache is None:
        raise Unsupported(f"{type(bench.built.model).__name__} returns no cache: there is no decode step to measure")
    if batch > 1:
        for layer in cache.layers:
            _repeat(bench.stack, vars(layer), batch)
    return cache


def _repeat(stack: Stack, values: dict[Any, Any], batch: int) -> None:
    """Repeat every tensor of one sequence in a mapping."""
    for key, value in values.items():
        if isinstance(value, dict):
            _repeat(stack, value, batch)
        elif stack.torch.is_tensor(value) and value.ndim > 1 and len(value) == 1:
            values[key] = value.repeat(batch, *[1] * (value.ndim - 1))


def watched(
    bench: Bench, work: Callable[[], object], logits: Logits, protocol: Protocol, room: int | None = None
) -> Measured:
    """Run a pass as often as the protocol says, and read every meter; at most `room` passes for its energy."""
    stack, spent = bench.stack, 0.0
    for _ in range(protocol.warmup):
        time, memory = with_memory(stack, bench.built.weights_bytes, lambda: seconds(stack, work))
        spent += time
        if spent > protocol.enough:
            break
    times = tuple(repeated(stack, work, protocol))
    profile = profiled(stack, work)
    return Measured(times, memory, profile, energy_of(stack, bench.counter, work, protocol.energy, room), logits)


def repeated(stack: Stack, work: Callable[[], object], protocol: Protocol) -> Iterator[float]:
    """Seconds of each repeat, fewer if they take long."""
    spent = 0.0
    for _ in range(protocol.repeats):
        time = seconds(stack, work)
        yield time
        spent += time
        if spent > protocol.enough:
            return


def seconds(stack: Stack, work: Callable[[], object]) -> float:
    """Wall-clock time of a pass from an idle device to an idle device; what it returns lives until then."""
    stack.sync()
    start = perf_counter()
    result = work()
    stack.sync()
    time = perf_counter() - start
    del result
    return time
