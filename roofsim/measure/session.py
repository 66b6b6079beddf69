"""A whole run of measurements: what is left to do, in order, and the rows that come of it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from roofsim.foundation.errors import InputError
from roofsim.foundation.values import dataclass
from roofsim.measure import passes, static
from roofsim.measure.build import Built, Subject, built
from roofsim.measure.meters import Counter
from roofsim.measure.passes import Bench, Measured, Protocol
from roofsim.measure.runs import ROOM, Case, Mode, Row
from roofsim.measure.stack import Stack
from roofsim.model.step import Logits, Phase

SHORT = 128
"""Tokens of the pass that sets a model up, fewer where a table of positions is short."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a case (`done`, `oom`, `failed`, `left out`) or of building a model (`built`).

    `rows` are to be written at once; `said` is a word on it.
    `kernels` are the longest of the pass by name, their seconds and number; `lost` says that the device no longer
    answers.
    """

    case: Case
    end: str
    rows: tuple[Row, ...] = ()
    said: str = ""
    kernels: tuple[tuple[str, float, int], ...] = ()
    lost: bool = False


def cases(
    model: str, phases: Sequence[Phase], dtype: str, batches: Sequence[int], prompts: Sequence[int], logits: Logits,
    modes: Sequence[Mode] = ("",),
) -> list[Case]:  # fmt: skip
    """What is asked of a model, the smallest first; graphs and compiled passes are decode steps."""
    return [
        Case(model, phase, dtype, batch, tokens, logits if phase == "prefill" else "last", mode)
        for batch in sorted(set(batches))
        for tokens in sorted(set(prompts))
        for phase in phases
        for mode in modes
        if phase == "decode" or mode in ("", "eager")
    ]


def state(case: Case, known: Mapping[Case, str]) -> str:
    """`to do`, how it ended, or `left out` if less than it ran out of memory."""
    if case in known:
        return known[case]
    return "left out" if any(end == "oom" and case.beyond(other) for other, end in known.items()) else "to do"


def measure_model(
    stack: Stack,
    each: Subject,
    wanted: Sequence[Case],
    known: Mapping[Case, str],
    protocol: Protocol,
    may_begin: Callable[[Case], bool],
) -> Iterator[Outcome]:
    """Build a model and measure what is left to do of it; `may_begin` is asked before each case and may end it.

    Raises InputError if the model cannot be built.
    """
    found = dict(known)
    first = next((case for case in wanted if state(case, found) == "to do"), None)
    if first is None or not may_begin(first):
        return
    _forget(stack)  # the model before
    made: list[Built] = []
    failure = _tried(stack, lambda: made.append(built(stack, each, first.dtype)), InputError)
    if failure is not None:
        end, said, lost = failure
        for case in wanted:
            if state(case, found) == "to do":
                said = "weights do not fit" if end == "oom" else said
                yield Outcome(case, end, (case.row(end, 1.0, _plain(said)),), said, lost=lost)
        return
    (model,) = made
    bench = Bench(stack, model, Counter(stack))
    common = {"arch": model.arch}
    failure = _tried(stack, lambda: passes.settle(bench, min(SHORT, (model.positions or 2 * SHORT) // 2)))
    if failure is None:
        fresh = not any((case.model, case.dtype) == (first.model, first.dtype) for case in found)
        yield Outcome(first, "built", ({**loaded(first, model), **common},) if fresh else (), _word(bench))
    for case in wanted:
        if state(case, found) != "to do":
            continue
        if not _has_positions(case, model, protocol):
            yield Outcome(case, "left out", said=f"left out: {model.positions:,} positions are too few")
            continue
        if not may_begin(case):
            return
        outcome = _outcome(bench, case, protocol)
        found[case] = outcome.end
        yield replace(outcome, rows=tuple({**row, **common} for row in outcome.rows))
        if outcome.lost:
            return


def _has_positions(case: Case, model: Built, protocol: Protocol) -> bool:
    steps = ROOM if case.mode else protocol.steps if case.phase == "decode" else 0
    return model.positions is None or case.tokens + steps <= model.positions


def _outcome(bench: Bench, case: Case, protocol: Protocol) -> Outcome:
    result: list[Measured] = []

    def work() -> None:
        what = (case.phase, case.batch, case.tokens)
        if case.mode:
            result.append(static.measured(bench, case.mode, *what, protocol))
        else:
            result.append(passes.measured(bench, *what, case.logits, protocol))

    failure = _tried(bench.stack, work)
    note = fallback_note(bench)
    if failure is None:
        (m,) = result
        longest = m.profile.longest if m.profile else ()
        return Outcome(case, "done", tuple(figures(case, m, note)), f"{m.latency * 1e3:.4g} ms", longest)
    end, said, lost = failure
    logits = f"logits={case.logits}" if case.phase == "prefill" else ""
    row = case.row(end, 1.0, ";".join(filter(None, (logits, _plain(said), note))))
    return Outcome(case, end, (row,), said, lost=lost)


def _tried(
    stack: Stack, work: Callable[[], Any], but: type[Exception] | tuple[()] = ()
) -> tuple[str, str, bool] | None:
    """Run it; how it ended if not well: `oom` or `failed`, what was said, whether the device is lost.

    Exceptions of the type `but` are passed on.
    """
    try:
        work()
        return None
    except but:
        raise
    except Exception as error:  # whatever a model's own code raises is a result to be written down
        end = "oom" if stack.is_out_of_memory(error) else "failed"
        said = "out of memory" if end == "oom" else f"{type(error).__name__}: {error}".splitlines()[0][:200]
    return end, said, not _forget(stack)


def _forget(stack: Stack) -> bool:
    """Free what a failed pass left; whether the device still answers."""
    gc.collect()
    try:
        stack.release()
        stack.torch.zeros(1, device=stack.on).sum().item()
    except Exception:
        return False
    return True


def _plain(text: str) -> str:
    """Text that does not look like further keys of a note."""
    return text.replace(";", ",").replace("=", ":")


def loaded(case: Case, model: Built) -> Row:
    """The row of the weights themselves."""
    return {
        **case.row("weights_bytes", float(model.weights_bytes)), "phase": "load", "batch": "0", "prompt_len": "0",
        "context_len": "0",
    }  # fmt: skip


def fallback_note(bench: Bench) -> str:
    """What the rows of a model say that runs reference code in place of kernels: on a GPU they measure nothing."""
    if not bench.built.fallback:
        return ""
    return "kernels=fallback;suspect=1" if bench.stack.on == "cuda" else "kernels=fallback"


def _word(bench: Bench) -> str:
    """A word on a model that was built."""
    if not bench.built.fallback:
        return "built"
    warning = "; such slow code is no measurement, and its rows say suspect=1" if bench.stack.on == "cuda" else ""
    return f"reference code in place of {', '.join(bench.built.fallback)}{warning}"


def figures(case: Case, m: Measured, note: str = "") -> Iterator[Row]:
    """The rows of a measured case."""
    logits = f"logits={m.logits}" if case.phase == "prefill" else ""
    cache = f"static cache of context + {ROOM}" if case.mode else "library cache"

    def joined(*notes: str) -> str:
        return ";".join(filter(None, (*notes, note)))

    yield case.row("latency_s", m.latency, joined(logits or f"per step, {cache}", m.spread))
    if m.memory.peak is not None:
        yield case.row("peak_mem_bytes", float(m.memory.peak), joined(logits))
    if m.memory.reserved is not None:
        yield case.row("peak_reserved_bytes", float(m.memory.reserved), joined(logits))
    if m.profile is not None:
        yield case.row("kernel_count", float(m.profile.kernels), joined(logits))
        yield case.row("device_time_s", m.profile.device_time, joined(logits))
    if m.energy is not None:
        yield case.row("energy_j", m.energy.per_pass, joined(f"mean_power_W={m.energy.power:.4g}", logits))
