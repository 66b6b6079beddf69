"""The answers that a page opens with: whether it fits, how fast it is, how far it goes, and what binds."""

from __future__ import annotations

from roofsim.engine.passes import OperatorRow
from roofsim.foundation.arith import Number
from roofsim.prediction.results import PassPrediction, Prediction
from roofsim.prediction.words import MISFIT, interval_label
from roofsim.reports.limits import batch_end, prompt_end
from roofsim.reports.onepage.document import Answer, Answers
from roofsim.reports.onepage.gathered import Gathered
from roofsim.reports.table import TOGETHER, Figure, tokens_that_fit


def answers(g: Gathered) -> Answers:
    """What people come with, whether it fits first."""
    p, w = g.prediction, g.prediction.workload
    limits, intervals = g.known
    r = p.request

    def of(question: str, name: str, value: float, unit: str, why: str) -> Answer:
        within = f"{ends(intervals[name], unit)} ({interval_label(p.calibration)})"
        return Answer(question, shown(value, unit), value, within, why)

    def most(question: str, name: str, value: int, why: str) -> Answer:
        within = f"{tokens(intervals[name])} ({interval_label(p.calibration)})"
        return Answer(question, tokens_that_fit(value) if value else "none", value, within, why)

    whole = f"over the whole request, {shown(r.total_time, 's')} ({ends(intervals['total_time'], 's')})"
    return Answers((
        _fits(g),
        of("Time to first token", "ttft", float(r.ttft), "s", f"a prompt of {w.prompt:,} tokens, batch {w.batch:,}"),
        of("Time per output token", "tpot", float(r.tpot), "s", "the mean of the tokens after the first"),
        of("Tokens per second", "tokens_per_second", float(r.tokens_per_second), "rate", whole),
        most("Longest prompt", "max_prompt", limits.max_prompt, f"at batch {w.batch:,}{prompt_end(limits)}"),
        most("Largest batch", "max_batch", limits.max_batch,
             f"at {w.prompt:,} tokens{batch_end(limits, p.room.sequences)}"),
        of("Energy", "energy", float(r.energy), "J", "of the whole request"),
        *([of("Cost", "usd_per_million_output", price, "USD", _paid(p))]
          if (price := float(p.cost.usd_per_million_output)) == price else []),
        Answer("What binds a prefill", _bound(p.prefill), why=_most(p.prefill)),
        Answer("What binds a decode step", _bound(p.decode), why=_most(p.decode)),
        Answer("What binds memory", p.memory.binding, why=f"the peak of a prefill, {shown(p.memory.peak, 'B')}"),
    ))  # fmt: skip


def _paid(p: Prediction) -> str:
    """What an hour of a device in use costs."""
    hour = f", a device at {shown(p.cost_basis.usd_per_device_hour, 'USD/h')}" if p.cost_basis else ""
    return f"of a million output tokens{hour}"


def _fits(g: Gathered) -> Answer:
    """Whether the request fits, and how certain that is."""
    p, w = g.prediction, g.prediction.workload
    fewest, most = g.known[1]["max_batch"]
    misfit = next((each.removeprefix(MISFIT) for each in p.cautions if each.startswith(MISFIT)), "")
    peak = shown(p.memory.peak, "B")
    said = f"No: {misfit}" if misfit else f"Yes: the peak is {peak} of {p.room.words}"
    within = f"peak of a prefill {ends(g.known[1]['peak'], 'B')} ({interval_label(p.calibration)})"
    sure = fewest >= w.batch if p.fits else most < w.batch
    doubt = "" if sure else "not for certain: the other answer is within the interval"
    return Answer("Does it fit?", said, float(p.memory.peak), within, doubt, bool(p.fits))


def shown(value: Number, unit: str) -> str:
    """A quantity whose number is not parted from its unit."""
    return str(Figure(value, unit)).replace(" ", TOGETHER)


def ends(interval: tuple[float, float], unit: str) -> str:
    """Both ends of an interval."""
    return " to ".join(shown(end, unit) for end in interval)


def tokens(interval: tuple[float, float]) -> str:
    """Both ends of an interval of a limit."""
    return " to ".join(tokens_that_fit(int(end)) for end in interval)


def _bound(p: PassPrediction) -> str:
    return f"{p.bound}".capitalize()


SEEN = 1e-3
"""Shares of less are not told."""


def _most(p: PassPrediction) -> str:
    """The operator that takes most of the device's time in a pass, and how long the device waits for launches."""
    first: OperatorRow = max(p.operators, key=lambda o: float(o.time))
    most = f"{first.operator} takes {Figure(first.time / p.device_time, '%')} of the device time"
    waits = float(p.idle_time / p.time)
    if p.bound != "launch" or waits < SEEN:
        return most
    return f"{most}; the device waits for {Figure(waits, '%')} of the pass"
