"""Prefill and decode on devices of their own: what goes over the link between them, and how many of each it takes.

A replica of the first pool runs prompts one after the other; what it held of a prompt (keys and values, recurrent
states) goes to one of the second, which does nothing but steps. Prompts come independently of each other, so that they
wait as in M/D/1; of several that fit a step, so many go together. A replica is a device, or several among which the
model is divided, which may be others in each pool.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from math import inf, log
from typing import Any

from roofsim.foundation.errors import InputError
from roofsim.foundation.values import dataclass
from roofsim.model.split import Split
from roofsim.prediction.limits import largest
from roofsim.prediction.server import engine_of, lanes, room_of
from roofsim.prediction.setup import ALONE, Setup
from roofsim.prediction.steps import prefill
from roofsim.serving.quantiles import PERCENTILES
from roofsim.serving.slo import Promise
from roofsim.serving.step import StepTime
from roofsim.specs.workload import Workload


@dataclass(frozen=True, slots=True)
class Wire:
    """A link from device to device: bytes a second of long messages, and seconds until a short one is there."""

    rate: float
    latency: float = 0.0

    def __post_init__(self) -> None:
        if not self.rate > 0:
            raise InputError(f"link: {self.rate:g} bytes a second; a rate above 0 is expected")

    def seconds(self, size: float) -> float:
        """Of a message of so many bytes."""
        return self.latency + size / self.rate


@dataclass(frozen=True, slots=True)
class Slow:
    """By what factors prompts and steps take longer than predicted, for the ends of intervals."""

    prompt: float = 1.0
    step: float = 1.0


AS_PREDICTED = Slow()


def waiting(service: float, rate: float, share: float | None = None) -> float:
    """Seconds that arrivals wait for one server of `service` seconds: the mean, or what a share of them at most waits.

    M/D/1: the mean is λ S² / 2 (1 − λ S) (Pollaczek and Khinchine). Who waits at all, a share λ S, is taken to wait
    exponentially.
    """
    busy = rate * service
    if busy >= 1:
        return inf
    mean = rate * service * service / (2 * (1 - busy))
    if share is None or not busy:
        return mean
    return max(mean / busy * log(busy / (1 - share)), 0.0)


def most(service: float, limit: float | None, share: float | None = None) -> float:
    """The most arrivals a second that one server answers within `limit`, in the mean or a share of them."""
    if limit is None:
        return 1 / service
    if service > limit:
        return 0.0
    low, high = 0.0, 1 / service
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if service + waiting(service, middle, share) <= limit else (low, middle)
    return low


def most_promised(service: float, slo: Sequence[Promise], beside: float = 0.0) -> float:
    """The most arrivals a second at which all promises of a first token hold; `beside` seconds of it go elsewhere."""
    rates = [most(service, p.seconds - beside, SHARES[p.figure]) for p in slo if p.time == "ttft"]
    return min(rates, default=most(service, None))


def step_promised(slo: Sequence[Promise]) -> float | None:
    """The longest step that is promised; steps of one load are alike, so that the mean and percentiles are one."""
    return min((p.seconds for p in slo if p.time == "itl"), default=None)


SHARES: Mapping[str, float | None] = {"mean": None, **PERCENTILES}
"""The share of requests that a figure of a promise is of."""


@dataclass(frozen=True, slots=True)
class Pools:
    """Rates of one device of each pool (requests a second), and what a request takes in them.

    `together` prompts go through at once, `batch` sequences decode. `goodput` is of a device, whichever pool it is in,
    with as many in each as keep up with each other; `prefill_share` is the part of them that runs prompts. The model is
    divided as `prefill` and `decode` say.
    """

    prefill_rate: float
    decode_rate: float
    together: int
    batch: int
    prompt: float
    step: float
    moved: float
    transfer: float
    prefill: Split = ALONE
    decode: Split = ALONE

    @property
    def goodput(self) -> float:
        """Requests a second and device."""
        both = self.prefill_rate + self.decode_rate
        return self.prefill_rate * self.decode_rate / both if both else 0.0

    @property
    def prefill_share(self) -> float:
        """The share of the devices that run prompts."""
        both = self.prefill_rate + self.decode_rate
        return self.decode_rate / both if both else 0.0

    def split(self, devices: int) -> tuple[int, float]:
        """Of so many devices how many run prompts, and the requests a second that all answer then.

        Raises InputError for fewer than both pools take.
        """
        one, other = self.prefill.devices, self.decode.devices
        if devices < one + other:
            raise InputError(f"{devices} devices: pools of {one} and {other} at least take {one + other}")
        rates = {
            p: min(p * self.prefill_rate, (devices - p) // other * other * self.decode_rate)
            for p in range(one, devices - other + 1, one)
        }
        best = max(rates, key=lambda p: rates[p])
        return best, rates[best]


@dataclass(frozen=True)
class Apart:
    """Requests like a workload on pools of replicas of a setup, and the link from device to device between them."""

    s: Setup
    w: Workload
    wire: Wire

    def __post_init__(self) -> None:
        if self.w.generate < 2:
            raise InputError("generate: one token is made by the prompt, so that nothing decodes")

    @cached_property
    def steps(self) -> StepTime:
        """The time of any step."""
        return StepTime(self.s, self.w)

    @cached_property
    def moved(self) -> float:
        """Bytes that go over links for a request: what its prompt holds."""
        return float(self.s.architecture.state_bytes(self.w.prompt, self.s.precision(self.w)))

    @property
    def ranks(self) -> int:
        """Devices among which a sequence is divided: each has its part of what a prompt holds, and a link."""
        return self.s.devices // self.s.split.dp

    @property
    def part(self) -> float:
        """Lanes for each device: what a lane answers times that is what a device does."""
        return lanes(self.s) / self.s.devices

    @property
    def transfer(self) -> float:
        """Seconds from one replica to another."""
        return self.sent(self)

    def sent(self, to: Apart) -> float:
        """Seconds from a replica of this setup to one of another: as many links as the smaller has devices."""
        return self.wire.seconds(self.moved / min(self.ranks, to.ranks))

    @property
    def _tokens(self) -> int:
        whole: Any = prefill(self.s, self.w).new
        return int(whole)

    def prompt(self, together: int = 1) -> float:
        """Seconds of so many prompts at once, cut into what a step takes."""
        budget, whole = engine_of(self.s).tokens, self._tokens
        if together * whole <= budget:
            return self.steps.prompts(together, whole, 0)[0]
        full, rest = divmod(whole, budget)
        cut = [self.steps.prompts(1, budget, i * budget)[0] for i in range(full)]
        return together * (sum(cut) + (self.steps.prompts(1, rest, full * budget)[0] if rest else 0.0))

    def together(self) -> list[int]:
        """Numbers of prompts that may go at once: powers of two that fit a step."""
        fit = max(engine_of(self.s).tokens // self._tokens, 1)
        return [2**k for k in range(fit.bit_length())]

    def step(self, batch: float) -> float:
        """Seconds of a step of so many sequences, each half through."""
        return self.steps.decodes(batch, self._tokens + (self.w.generate - 1) / 2)[0]

    @cached_property
    def held(self) -> int:
        """Sequences that there is room for, or that run at once."""
        engine = engine_of(self.s)
        return min(room_of(self.s, self.w, engine).sequences(), engine.sequences)

    def pools(self, slo: Sequence[Promise] = (), slow: Slow = AS_PREDICTED) -> Pools:
        """The rates that keep what is promised, with replicas alike in both pools."""
        return pools(self, self, slo, slow)


def pools(first: Apart, second: Apart, slo: Sequence[Promise] = (), slow: Slow = AS_PREDICTED) -> Pools:
    """The rates that keep what is promised, of prompts on replicas of the first and steps on those of the second.

    Nothing is answered where a replica has no room for a sequence.
    """
    transfer = first.sent(second)
    rates = {k: k * most_promised(slow.prompt * first.prompt(k), slo, transfer) for k in first.together()}
    k = max(rates, key=lambda each: rates[each])
    batch = batch_within(lambda b: slow.step * second.step(b), step_promised(slo), second.held)
    step = slow.step * second.step(max(batch, 1))
    link = first.wire.rate / first.moved  # all links of a replica are in use, by several of the other pool if need be
    return Pools(
        min(rates[k] * first.part, link) if first.held else 0.0,
        min(batch * second.part / ((second.w.generate - 1) * step), link),
        k, batch, slow.prompt * first.prompt(k), step, first.moved, transfer, first.s.split, second.s.split,
    )  # fmt: skip


def batch_within(step: Callable[[int], float], itl: float | None, most_held: int) -> int:
    """The most sequences whose step is no longer than `itl`, of those that there is room for."""
    if most_held < 1:
        return 0
    if itl is None:
        return most_held
    return largest(lambda batch: step(batch) <= itl, most_held)
