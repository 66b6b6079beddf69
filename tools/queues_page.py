"""Write docs/queues.md: the closed forms of a serving engine beside a simulation of every request.

usage: python tools/queues_page.py [-n REQUESTS] [--only MODEL] [-o PAGE]

Takes about ten minutes: 6,000 requests at each of some 150 loads go through `roofsim.serving.events` step by step.
Both ask the same function what a step takes, so that what differs is the theory of the queue and nothing else. `-o -`
prints.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median, pstdev
from typing import NamedTuple

from roofsim.foundation.errors import InputError
from roofsim.prediction.fitted import chosen
from roofsim.prediction.setup import setup
from roofsim.serving.arrivals import Lengths, Poisson, Users, arrive, asked
from roofsim.serving.events import simulated
from roofsim.serving.outcome import Done, Simulated, Spread
from roofsim.serving.quantiles import FIGURES
from roofsim.serving.scheduler import rules
from roofsim.serving.served import Served
from roofsim.serving.server import Server
from roofsim.serving.steady import closed, open_loop
from roofsim.specs.workload import workload

PAGE = Path(__file__).resolve().parents[1] / "docs" / "queues.md"
SHARES = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9)
"""Loads, as parts of what a full engine answers."""
USERS = (1, 4, 16, 64)
SETTLES, ENDS = 1 / 8, 1 / 16
"""Parts of the requests that are left out at the beginning and at the end."""
BATCHES = 20
"""Means of as many parts of a run say how sure the mean of all is."""
UNSURE = 0.02
"""A simulated mean that is less sure than this, relative, is marked."""
ASKED = 0.05
SEED = 1


class Case(NamedTuple):
    """Requests like each other on a setup."""

    model: str
    device: str
    runtime: str
    prompt: int
    generate: int

    @property
    def said(self) -> str:
        """It in words."""
        where = "" if (self.device, self.runtime) == ("h100-sxm", "vllm") else f", {self.device}, {self.runtime}"
        return f"{self.model} {self.prompt:,} + {self.generate}{where}"

    def server(self) -> Server:
        """Its server, by priors alone: what is compared must not hang on a fit."""
        s = chosen(setup(self.model, self.device, self.runtime), "none")
        return Server(s, workload(prompt=self.prompt, generate=self.generate))


LENGTHS = ((256, 32), (256, 256), (2048, 32), (2048, 256), (4096, 64), (12_000, 128))
"""Short and long prompts and answers: many that fit a step of 8,192 tokens, some, one and a piece, less than one."""
CASES = (
    *(Case(model, "h100-sxm", "vllm", *lengths)
      for model in ("Llama-3.1-8B", "mamba2-2.7b", "Falcon-H1-7B", "Qwen3-30B-A3B") for lengths in LENGTHS),
    Case("Llama-3.1-8B", "rtx-4090", "vllm", 512, 64), Case("Llama-3.1-8B", "rtx-4090", "vllm", 1536, 64),
    Case("Llama-3.1-8B", "h100-sxm", "sglang", 1024, 128), Case("Llama-3.1-8B", "h100-sxm", "tensorrt-llm", 3000, 128),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Met:
    """What a simulation and a closed form say of a load; `none` is what the latter refuses."""

    load: float
    ttft: Mapping[str, float]
    itl: Mapping[str, float]
    there: float
    unsure: float
    put_back: int
    closed: Served | None

    def off(self, time: str, figure: str) -> float:
        """How much the closed form says more, relative."""
        if self.closed is None:
            return float("nan")
        simulated = getattr(self, time)[figure]
        found = getattr(self.closed, time)[figure] / simulated - 1 if simulated else 0.0
        return float(found)

    @property
    def concurrency(self) -> float:
        """How many more requests it says are there."""
        return float("nan") if self.closed is None else self.closed.concurrency / self.there - 1


def of_spread(values: Sequence[float]) -> Mapping[str, float]:
    """A mean and percentiles by name."""
    found = Spread.of(values)
    return {name: getattr(found, name) if found else 0.0 for name in FIGURES}


def sure(values: Sequence[float]) -> float:
    """The standard error of their mean, relative, from means of parts that follow each other."""
    size = len(values) // BATCHES
    means = [fmean(values[i * size : (i + 1) * size]) for i in range(BATCHES)]
    return float(pstdev(means) / BATCHES**0.5 / fmean(values))


def middle(requests: Sequence[Done]) -> Sequence[Done]:
    """Those between the beginning, with nobody there, and the end, when nobody comes any more."""
    ordered = sorted(requests, key=lambda each: each.arrived)
    return ordered[int(SETTLES * len(ordered)) : len(ordered) - int(ENDS * len(ordered))]


def held_against(load: float, found: Simulated, rate: float | None, ask: Callable[[], Served]) -> Met:
    """A simulation beside the closed form that is asked."""
    kept = middle(found.requests)
    tokens = [each.tpot for each in kept if each.tpot is not None]
    firsts = [each.ttft for each in kept]
    gaps = found.gaps[int(SETTLES * len(found.gaps)) : len(found.gaps) - int(ENDS * len(found.gaps))]
    itl = {**of_spread(gaps), "mean": fmean(tokens)}
    stay = fmean(each.e2e for each in kept)
    try:
        closed_form = ask()
    except InputError:
        closed_form = None
    there = (rate or len(kept) / (kept[-1].arrived - kept[0].arrived)) * stay
    doubt = max(sure(tokens), sure(firsts))
    return Met(load, of_spread(firsts), itl, there, doubt, found.preemptions, closed_form)


def at_rates(case: Case, requests: int) -> list[Met]:
    """Requests that come at a rate."""
    server, met = case.server(), []
    limits = rules(server.s, server.w)
    for share in SHARES:
        rate = share * server.capacity
        arrivals = arrive(Poisson(rate), Lengths(case.prompt, case.generate), requests, SEED)
        found = simulated(server.steps.of, arrivals, limits)
        met.append(held_against(share, found, rate, lambda rate=rate: open_loop(server, rate)))  # type: ignore[misc]
    return met


def of_users(case: Case) -> list[Met]:
    """Users who ask again."""
    server, met = case.server(), []
    limits = rules(server.s, server.w)
    for users in USERS:
        if users > server.most:
            break
        arrivals = asked(Lengths(case.prompt, case.generate), 40 * max(users, 8))
        found = simulated(server.steps.of, arrivals, limits, Users(users))
        met.append(held_against(users, found, None, lambda users=users: closed(server, users)))  # type: ignore[misc]
    return met


HEAD = """# Closed forms and the simulation of events

Generated by `python tools/queues_page.py`; do not edit.

What [`roofsim serve`](load.md) says of a load in an instant, beside what [`roofsim simulate`](simulate.md) finds with
every request and every step. Both ask the same function what a step takes, so that what differs is the theory of the
queue. Devices are predicted by their priors alone. Errors are those of the closed form in per cent: +5 is 5 % more
than was simulated.

## Requests at a rate

{count} loads of {requests:,} requests each that come independently of each other (Poisson); the first and last ones,
with an engine that is nearly empty, are left out. Loads are parts of what a full engine [answers](load.md).
"""
ASSUMED = """
**What is solved.** Beside n sequences that decode, what waits for the next step is a Markov chain: who comes while a
step runs goes into the next, or the one after that where a step is laid out ahead, as far as there is room. That is a
queue with batch service behind a gate (Bailey 1954; Neuts 1967), of which prompts are equal parts of a prompt, so
that one that does not fit is cut. The chain says how long a request decodes beside n others, D(n), in it the prompts
that came with its own. All who decode have their share of steps, which is generalised processor sharing (Cohen 1979;
Kelly 1979): n p(n) = D(n) · (what arrives at n), whatever the lengths of answers are. Prompts that end close to each
other arrive together, for which there is the recursion of Kaufman (1981) and Roberts (1981), with bursts as large as
the chain has them. Times to the first token are those of 1,024 requests that come at evenly spread places of the
chain. The mean between tokens is Little's law.

**What is assumed.** Requests are alike and independent of each other; n changes slowly against what waits; sequences
hold what they hold in the mean; nothing is put back. Who finds no place waits as for one of so many servers whose
services take equally long (Cosmetatos 1976).

**Where it is less sure.** Beyond 0.8 of what a full engine answers; where sequences are put back (p); and where an
engine has two levels: with few sequences steps are short, so that few prompts come in a step, with many they are long
and many come. Between the two a run changes seldom, so that even 100,000 simulated requests do not agree with each
other (recurrent models at half load, whose steps with prompts take many times as long as those without). `serve` says
so where it is so.

**Runs begin with an empty engine**, which short ones remember, so that the closed form seems long at high loads:
Llama-3.1-8B with 256 + 256 tokens at 0.8 has an ITL of 16.9 ms in a run of 3,000 requests, 17.2 in one of 30,000 and
20.7 ± 1.1 in one of 100,000, where 19.1 is said.
"""


OF_USERS = """\
The same of users who ask again when they are answered, which a [round](load.md) is counted for. Where whole
prompts fill steps and one round follows another, it is exact. Where they straddle steps, or their steps fill most
of a round, times to the first token are short by a sixth, and by four tenths at 64 users of 4,096 + 64 tokens."""


def per_cent(value: float) -> str:
    """It, signed and rounded."""
    return "–" if value != value else f"{100 * value:+.0f}"


def cell(met: Met) -> str:
    """TTFT and ITL of a load."""
    if met.closed is None:
        return "too many" + (" (p)" if met.put_back else "")
    marks = (f" ±{200 * met.unsure:.0f}" if met.unsure > UNSURE / 2 else "") + (" (p)" if met.put_back else "")
    return f"{per_cent(met.off('ttft', 'mean'))} / {per_cent(met.off('itl', 'mean'))}{marks}"


def row(cells: Sequence[str]) -> str:
    """A line of a table."""
    return f"| {' | '.join(cells)} |"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A table."""
    yield row(head)
    yield row(["---"] * len(head))
    yield from map(row, rows)


def summary(all_met: Sequence[Met], load: float) -> list[str]:
    """Errors at a load over all cases: median and largest, without those that are refused."""
    met = [each for each in all_met if each.load == load and each.closed is not None and not each.put_back]

    def said(errors: Sequence[float]) -> str:
        sizes = [abs(each) for each in errors]
        return f"{100 * median(sizes):.1f} ({100 * max(sizes):.0f})"

    cells = [said([each.off(time, figure) for each in met]) for time in ("ttft", "itl") for figure in FIGURES]
    within = sum(
        max(abs(each.off(time, "mean")) for time in ("ttft", "itl")) <= ASKED + 2 * each.unsure for each in met
    )
    return [f"{load:g}", *cells, said([each.concurrency for each in met]), f"{within} of {len(met)}"]


def page(rates: Mapping[Case, Sequence[Met]], users: Mapping[Case, Sequence[Met]], requests: int) -> Iterator[str]:
    """The page, line by line."""
    everything = [each for met in rates.values() for each in met]
    yield HEAD.format(count=len(everything), requests=requests)
    yield "Size of the error in per cent, median over the requests of the table below (and the largest), without loads"
    yield "where some were put back; within: both means within 5 % and two standard errors of the simulated mean."
    yield ""
    names = [f"{time} {figure}" for time in ("TTFT", "ITL") for figure in FIGURES]
    yield from table(["load", *names, "requests there", "within"], [summary(everything, load) for load in SHARES])
    yield ASSUMED
    yield "Errors of the mean times to the first token and between tokens; ± are two standard errors of what was"
    yield "simulated, (p): sequences were put back; too many: more than is answered where prompts are in every step."
    yield ""
    yield from table(
        ["requests", *(f"{load:g}" for load in SHARES)],
        [[case.said, *map(cell, met)] for case, met in rates.items()],
    )
    yield "\n## Users who ask again\n"
    yield OF_USERS
    yield ""
    yield from table(
        ["requests", *(f"{n} users" for n in USERS)],
        [[case.said, *map(cell, met), *["–"] * (len(USERS) - len(met))] for case, met in users.items()],
    )
    yield "\nNext: [Requests as they arrive](simulate.md)."


def main() -> int:
    """Simulate, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--requests", type=int, default=6000)
    parser.add_argument("--only", help="cases of one model")
    parser.add_argument("-j", "--jobs", type=int, default=1)
    parser.add_argument("-o", "--output", default=str(PAGE))
    given = parser.parse_args()
    cases = [each for each in CASES if given.only in (None, each.model)]
    with ProcessPoolExecutor(given.jobs) as pool:
        rates = pool.map(at_rates, cases, [given.requests] * len(cases))
        users = pool.map(of_users, cases)
        found = dict(zip(cases, rates, strict=True)), dict(zip(cases, users, strict=True))
    text = "\n".join(page(*found, given.requests)) + "\n"
    if given.output == "-":
        sys.stdout.write(text)
    else:
        Path(given.output).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
