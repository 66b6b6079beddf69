"""From which length on loading what a sequence holds is faster than computing it again, from each memory behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from roofsim.engine.regime import LENGTH, Expansion, expand
from roofsim.foundation.errors import InputError, Unsupported
from roofsim.foundation.schema import variant
from roofsim.foundation.units import parse
from roofsim.foundation.values import dataclass
from roofsim.foundation.version import SCHEMA
from roofsim.prediction.compiled import compiled
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.fitted import reach, unsure
from roofsim.prediction.intervals import LINK_SPREAD, logs, scatter, variance
from roofsim.prediction.metrics import METRICS
from roofsim.prediction.places import placed
from roofsim.prediction.results import interval_basis, plain
from roofsim.prediction.setup import Setup, tier
from roofsim.prediction.steps import held_sequences
from roofsim.prediction.symbols import symbols_of
from roofsim.prediction.words import assumptions, cautions
from roofsim.specs.calibration import NORMAL_95
from roofsim.specs.workload import Workload
from roofsim.studies.crossover import LONGEST, POINTS, SHORTEST

TIERS = ("host", "disk", "remote")
"""Where what a sequence holds may be kept, the nearest first."""
LENGTHS = (1024, 8192, 65536)


@dataclass(frozen=True, slots=True)
class Tier:
    """A memory from which caches come, and the bytes a second that reach the device, or all devices together."""

    name: str
    rate: float


@dataclass(frozen=True, slots=True)
class At:
    """One length: bytes that a sequence holds, seconds to the first token with them loaded and computed, and more.

    `needed` is the rate in bytes a second from which loading is the faster; None if it never is. `kept` are sequences
    that the memory of the host has room for; None where nothing is known of it.
    """

    prompt: int
    bytes: float
    recomputed: float
    reloaded: Mapping[str, float]
    needed: float | None
    kept: int | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """Where one memory overtakes computing: the length from which on loading is faster whatever the length.

    It is None if computing is still faster at the longest looked at. `interval` holds the lengths at which the order
    is not certain at 95 %, `closed_form` the difference as a polynomial of the length in the regime there.
    """

    tier: str
    rate: float
    length: int | None
    interval: tuple[int, int] | None
    closed_form: str | None
    root: float | None


@dataclass(frozen=True, slots=True)
class Reload:
    """Loading against computing again, of one model on one device.

    `values` holds the seconds to the first token at `lengths`, computed and by memory. `grows` says whether what a
    sequence holds grows with its length, `constant` are the bytes of it that do not.
    """

    model: str
    device: str
    runtime: str
    workload: Workload
    turns: tuple[Turn, ...]
    at: tuple[At, ...]
    grows: bool
    context_window: int | None
    lengths: tuple[int, ...]
    values: Mapping[str, tuple[float, ...]]
    assumptions: tuple[str, ...]
    cautions: tuple[str, ...]
    calibration: str | None
    constant: float = 0.0
    devices: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Plain values, SI units."""
        found: dict[str, Any] = plain(self)
        w = found.pop("workload")
        return {"schema": SCHEMA, **found, "batch": w["batch"], "basis": interval_basis(self.calibration)}


COMPUTED = "computed"


def tiers_of(s: Setup, names: Sequence[str] = ()) -> tuple[Tier, ...]:
    """The memories that are named, or all that the host of the device states; a rate names itself.

    Raises InputError for what is none, Unsupported for one that is not there or not stated.
    """
    if names:
        return tuple(_tier(s, name.strip()) for name in names)
    found = []
    for name in TIERS:
        try:
            found.append(_tier(s, name))
        except Unsupported:
            continue
    if not found:
        raise Unsupported(
            f"reload: nothing is stated of memories behind that of {s.device.id}; name a rate: --from 25GB/s"
        )
    return tuple(found)


def _tier(s: Setup, name: str) -> Tier:
    """A memory with the rate at which it reaches the device: that of the slowest part of the way."""
    if name.lower() in TIERS:
        name = name.lower()
    else:
        try:
            return Tier(name, parse(name, "B/s"))
        except ValueError:
            raise InputError(f"from: '{name}' is none of {', '.join(TIERS)}, nor a rate such as 25GB/s") from None
    unified, host = s.device.memory.unified, s.host
    if name == "host":
        if unified:
            raise Unsupported(
                f"reload: {s.device.id} shares its memory with its host: nothing lies behind it but a disk"
            )
        return Tier(name, links(s))
    stated = getattr(host, name) if host else None
    if stated is None:
        raise Unsupported(f"reload: {host.id if host else s.device.id} states no {name}; name a rate: --from 7GB/s")
    rate = float(stated.value)
    return Tier(name, rate if unified else min(rate, links(s)))


def links(s: Setup) -> float:
    """Bytes a second over the links of all devices to their host, which its memory gives out at most."""
    every = float(s.link.rate) * s.devices
    return every if s.split.alone else min(every, tier(s).memory.bandwidth.value)


def room(s: Setup) -> float | None:
    """Bytes of the memory of the host; None where nothing is known of it, or it is that of the device."""
    try:
        return float(tier(s).capacity)
    except Unsupported:
        return None


def reload(s: Setup, w: Workload, names: Sequence[str] = (), lengths: Sequence[int] = LENGTHS) -> Reload:
    """Loading against computing again, from each memory and at each length.

    After loading, a step makes the first token; that step, and what is computed otherwise, are predictions.
    """
    import numpy as np

    tiers = tiers_of(s, names)
    w = variant(w, generate=1)
    longest = min(LONGEST, s.architecture.positions or LONGEST)
    shortest = min(SHORTEST, longest - 1)
    grid = np.unique(np.geomspace(shortest, longest, POINTS).round())
    asked = [n for n in lengths if n <= longest]
    if not asked:
        raise InputError(
            f"lengths: {s.model_name} has {longest:,} positions, and all that are asked for are beyond them"
        )
    sides = _Sides(s, w)
    computed, step, held = sides.over(grid)
    values = {COMPUTED: computed} | {each.name: held / each.rate + step for each in tiers}
    known = unsure(s, reach(s, variant(w, prompt=int(grid[-1]))))
    turns = tuple(_turn(sides, known, each, grid, computed, step, held) for each in tiers)
    at = tuple(_at(sides, tiers, n) for n in asked)
    return Reload(
        s.model_name, s.device.id, s.runtime.id, w, turns, at, s.architecture.attends,
        s.architecture.window or None,
        tuple(int(n) for n in grid), {name: tuple(map(float, each)) for name, each in values.items()},
        assumptions(s, w, one_length=False), cautions(s, w, one_length=False), s.calibration_name,
        sides.constant, s.devices,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Sides:
    """Computing, the step after loading, and what is loaded, over the length."""

    s: Setup
    w: Workload

    def over(self, lengths: Any) -> tuple[Any, Any, Any]:
        """Seconds to compute, seconds of the step, and bytes, at lengths (an array)."""
        f = compiled(self.s, variant(self.w, prompt=1), FIGURES, ("prompt",))
        found = f(prompt=lengths)
        return *(found[name] for name in FIGURES), self.bytes(lengths)

    def bytes(self, length: Any) -> Any:
        """What all sequences hold at a length, a number or a variable, on all devices that have a part of it."""
        each = self.s.rank.state_bytes(length, self.s.precision(self.w))
        return each * self.w.batch if self.s.split.alone else each * held_sequences(self.s, self.w) * self.s.split.stage

    @property
    def constant(self) -> float:
        """What they hold whatever the length: recurrent states."""
        return float(self.bytes(-self.s.architecture.prefix_tokens))

    def gain(self, length: int, rate: float) -> float:
        """Seconds by which loading is faster."""
        f = compiled(self.s, variant(self.w, prompt=1), FIGURES, ("prompt",))
        computed, step = f.at(length)
        return computed - step - float(self.bytes(length)) / rate

    def form(self, length: int, rate: float) -> Expansion | None:
        """The same as a polynomial of the length, in the regime around one."""
        symbols = symbols_of(self.s, self.w)

        def figure(variables: Mapping[str, Any]) -> Any:
            found = {path: variables[name] for name, path in symbols.paths.items()}
            e = Evaluation(*placed(self.s, self.w, {**found, "prompt": variables[LENGTH]}))
            return e.prefill.time - e.decode.time - self.bytes(variables[LENGTH]) / rate

        return expand(figure, symbols.values, length)


FIGURES = ("ttft", "decode.time")


def _at(sides: _Sides, tiers: Sequence[Tier], length: int) -> At:
    e = Evaluation(sides.s, variant(sides.w, prompt=length))
    computed, step, held = float(e.prefill.time), float(e.decode.time), float(sides.bytes(length))
    loaded = {each.name: held / each.rate + step for each in tiers}
    needed, there = held / (computed - step) if computed > step else None, room(sides.s)
    return At(length, held, computed, loaded, needed, None if there is None else int(there * sides.w.batch // held))


def _turn(sides: _Sides, known: Setup, tier: Tier, grid: Any, computed: Any, step: Any, held: Any) -> Turn:
    """Where loading from a memory becomes the faster for good, with the formula that says so."""
    import numpy as np

    faster = computed > step + held / tier.rate
    behind = np.flatnonzero(~faster)
    if len(behind) and behind[-1] == len(grid) - 1:
        return Turn(tier.name, tier.rate, None, None, None, None)
    if not len(behind):
        length, low = int(grid[0]), 0
    else:
        low = int(behind[-1])
        length = _first(lambda n: sides.gain(n, tier.rate) > 0, int(grid[low]), int(grid[low + 1]))
    uncertain = _uncertain(sides, known, tier, grid, computed, step, held)
    interval = _around(length, low, grid, uncertain)
    form = sides.form(length, tier.rate) if len(behind) else None
    root = form.root(length) if form else None
    if form is None or root is None or abs(root / length - 1) > ROOT_TOLERANCE:
        return Turn(tier.name, tier.rate, length, interval, None, None)
    powers = "; ".join(f"c{k} = {term}" for k, term in enumerate(form.texts))
    return Turn(tier.name, tier.rate, length, interval, f"{form.formula} = {root:,.0f} with {powers}", root)


ROOT_TOLERANCE = 0.02
"""How far the closed form, which leaves out rounding to whole chunks, may be from the length found."""


def _first(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The first whole number above `low` for which it holds, as it does for `high`."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _uncertain(sides: _Sides, known: Setup, tier: Tier, grid: Any, computed: Any, step: Any, held: Any) -> Any:
    """Whether the order of both is not certain, at each length: by the parameters, the link, and both scatters."""
    import numpy as np

    s, over = sides.s, variant(sides.w, prompt=grid)
    loaded = step + held / tier.rate
    share = step / loaded
    _, of_computed = logs(s, over, "ttft")
    _, of_step = logs(s, over, "decode.time")
    names = [*of_computed, *(name for name in of_step if name not in of_computed)]
    apart = {name: of_computed.get(name, 0.0) - share * of_step.get(name, 0.0) for name in names}
    by_link = (1 - share) * LINK_SPREAD
    beyond = scatter(known, METRICS["ttft"].measured) ** 2 + (share * scatter(known, METRICS["tpot"].measured)) ** 2
    spread: Any = variance(known, apart) + by_link * by_link + beyond
    return np.abs(np.log(computed / loaded)) <= NORMAL_95 * np.sqrt(spread)


def _around(length: int, before: int, grid: Any, uncertain: Any) -> tuple[int, int]:
    """The lengths next to a turn, which lies behind number `before` of the grid, at which the order is not certain."""
    first, last = before, before
    while first >= 0 and uncertain[first]:
        first -= 1
    while last < len(grid) and uncertain[last]:
        last += 1
    low = int(grid[first + 1]) if first < before else length
    high = int(grid[last - 1]) if last > before else length
    return min(low, length), max(high, length)
