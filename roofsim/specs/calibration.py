"""A set of parameters fitted to measured runs: estimates, their covariance, and what the data covered."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence, Set
from math import exp, isfinite, sqrt
from typing import Annotated

from roofsim.foundation.arith import Number, maximum
from roofsim.foundation.parameters import PARAMETERS
from roofsim.foundation.quantity import File, Name
from roofsim.foundation.schema import Limit, Spec, variant
from roofsim.foundation.values import dataclass
from roofsim.model.weights import read_as

NORMAL_95 = 1.959963984540054
"""Standard deviations on each side of the mean that hold 95 % of a normal distribution."""

SEVERAL = 3
"""Configurations, and models, from which on a part of them can be held out to see how far off the rest is."""

HOST_MATTERS = 1 / 2
"""Where the host needs at least this share of the device's time, what it takes longer in a bad run shows in the wall
time: hosts were seen to take twice as long from one run to the next."""


class Dataset(Spec):
    """The file that was fitted: its name, the SHA-256 of its bytes, and which of its rows were used."""

    file: str
    sha256: Annotated[str, Limit(pattern="^[0-9a-f]{64}$")]
    rows: Annotated[int, Limit(ge=1)]
    used: Annotated[int, Limit(ge=1)]
    where: str = ""


class Estimate(Spec):
    """One parameter: the estimate with its 95 % interval, and the prior that it began from.

    One that the data could not determine is at its prior, with the prior's interval or a little less.
    """

    value: float
    low: float
    high: float
    prior: float
    determined: bool


class Covariance(Spec):
    """Covariance of `names` on their scale without limits (`Parameter.free`); the lower triangle, row by row."""

    names: tuple[str, ...]
    lower: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        if [len(row) for row in self.lower] != list(range(1, len(self.names) + 1)):
            raise ValueError(f"lower is no triangle of {len(self.names)} rows")

    def variance(self, slopes: Mapping[str, Number]) -> Number:
        """Variance of a figure that changes by `slopes` with each parameter on its scale without limits."""
        found = [(i, slopes[name]) for i, name in enumerate(self.names) if name in slopes]
        total: Number = 0.0
        for n, (i, a) in enumerate(found):
            for j, b in found[:n]:
                total = total + 2 * self.lower[i][j] * a * b
            total = total + self.lower[i][i] * a * a
        return maximum(total, 0.0)

    def without(self, names: Container[str]) -> Covariance:
        """The covariance of the others."""
        kept = [i for i, name in enumerate(self.names) if name not in names]
        lower = tuple(tuple(self.lower[i][j] for j in kept if j <= i) for i in kept)
        return variant(self, names=tuple(self.names[i] for i in kept), lower=lower)


class Scatter(Spec):
    """What is left between predictions and measurements of one kind of figure, as a standard deviation of logs.

    `sigma` is from rows that were held out, its bias included. `host` says that it is of wall times in which the
    host matters (`HOST_MATTERS`).
    """

    metric: str
    phase: str
    host: bool = False
    sigma: Annotated[float, Limit(ge=0)]
    rows: Annotated[int, Limit(ge=1)]


class HeldOut(Spec):
    """Errors on rows that were not fitted: sizes of relative errors, their median sign, how many intervals cover."""

    metric: str
    phase: str
    lengths: str = "all"
    rows: Annotated[int, Limit(ge=1)]
    median_error: float
    p90_error: float
    bias: float
    coverage: float


@dataclass(frozen=True, slots=True)
class Reach:
    """What a figure asks of data: batch and prompt (or what is held), one or several; a model; operators; formats.

    A single operator is of no model, and no format is named of weights or of a cache that it does not read.
    """

    batch: object
    prompt: object
    model: str
    kinds: Set[str]
    weights: str
    cache: str


class Covered(Spec):
    """What the data reached: spans of batch and of tokens (prompt or context), models, kinds of operator.

    `weights` and `caches` are the formats of `SEVERAL` timed configurations; None in files from before that was kept.
    """

    batch: tuple[int, int]
    tokens: tuple[int, int]
    models: tuple[str, ...]
    kinds: tuple[str, ...]
    weights: tuple[str, ...] | None = None
    caches: tuple[str, ...] | None = None

    def tells_rates(self, r: Reach) -> bool:
        """Whether the data tell at which rates weights are read and multiplied: in this format, and in such models.

        Rows of one or two models fix what their own products take together, not what each of them does.
        """
        return _among(r.weights, self.weights) and self._tells_of(r.model)

    def _tells_of(self, model: str) -> bool:
        return not model or not self.models or model in self.models or len(self.models) >= SEVERAL

    def lacks(self, r: Reach) -> Iterator[str]:
        """What the data did not reach, in words."""
        yield from _beyond("batch", r.batch, self.batch)
        yield from _beyond("prompt", r.prompt, self.tokens, "tokens")
        if not self._tells_of(r.model):
            yield f"{r.model} was not measured, but {' and '.join(self.models)} alone"
        if missing := sorted(r.kinds - set(self.kinds)):
            yield f"operators that were not measured: {', '.join(missing)}"
        if not _among(r.weights, self.weights):
            yield f"weights in {r.weights} were not measured{_but(self.weights)}"
        if not _among(r.cache, self.caches):
            yield f"attention on a cache in {r.cache} was not measured{_but(self.caches)}"


def _among(name: str, measured: Sequence[str] | None) -> bool:
    """Whether what kernels read of a format is among what they read of others; no format, and nothing known, is."""
    return not name or measured is None or read_as(name) in map(read_as, measured)


def _but(measured: Sequence[str] | None) -> str:
    return f" ({', '.join(measured)} {'was' if len(measured) == 1 else 'were'})" if measured else ""


def _beyond(what: str, value: object, span: tuple[int, int], unit: str = "") -> Iterator[str]:
    if isinstance(value, int) and not span[0] <= value <= span[1]:
        yield f"{what} {value:,} is outside the {span[0]:,} to {span[1]:,} {unit}".rstrip() + " that were measured"


class Calibration(File):
    """Parameters of one device with one runtime behind one host, as `roofsim calibrate` fitted them."""

    name: str
    id: str = ""
    aliases: tuple[Name, ...] = ()
    device: str
    runtime: str
    host: str | None = None
    date: str
    versions: Mapping[str, str]
    source: str = ""
    dataset: Dataset
    method: str
    covered: Covered
    parameters: Annotated[Mapping[str, Estimate], Limit(min_length=1)]
    scatter: Annotated[tuple[Scatter, ...], Limit(min_length=1)]
    held_out: tuple[HeldOut, ...] = ()
    covariance: Covariance
    notes: tuple[str, ...] = ()
    transferred_from: str = ""

    def __post_init__(self) -> None:
        for name, each in self.parameters.items():
            row = PARAMETERS.get(name)
            if row is None:
                raise ValueError(f"parameters: no '{name}' in roofsim.foundation.parameters")
            if not (isfinite(each.value) and row.low <= each.value <= row.high):
                raise ValueError(f"parameters.{name}: {each.value:g} is not from {row.low:g} to {row.high:g}")
        if missing := sorted(set(self.covariance.names) - set(self.parameters)):
            raise ValueError(f"covariance: {', '.join(missing)} are not among parameters")

    def values(self, scopes: Sequence[str] = ("device", "host", "runtime")) -> dict[str, float]:
        """The estimates of parameters of these scopes."""
        return {name: each.value for name, each in self.parameters.items() if PARAMETERS[name].scope in scopes}

    def scatter_of(self, metric: str, phase: str, host: bool = False) -> Scatter | None:
        """The scatter of a kind of figure, or the largest of those most like it; None if there is none like it."""
        return most_alike(self.scatter, metric, phase, host)

    @property
    def of_passes(self) -> bool:
        """Whether whole passes were measured, not single operators alone."""
        return any(each.phase in PHASES for each in self.scatter)


def most_alike(scatter: Sequence[Scatter], metric: str, phase: str, host: bool) -> Scatter | None:
    """The scatter of a kind of figure, or the largest of those most like it; None if there is none like it.

    Whole passes and single operators are not alike.
    """
    whole = [s for s in scatter if (s.phase in PHASES) == (phase in PHASES)]
    mine = [s for s in whole if s.metric == metric]
    alike = [s for s in mine if s.phase == phase and s.host == host]
    alike = alike or [s for s in mine if s.phase == phase] or mine
    if metric in TIMES:
        alike = alike or [s for s in whole if s.metric in TIMES]
    return max(alike, key=lambda s: s.sigma, default=None)


TIMES = ("latency_s", "device_time_s")
PHASES = ("prefill", "decode")


def interval(value: float, variance: float) -> tuple[float, float]:
    """The 95 % interval of a figure whose logarithm has this variance."""
    factor = exp(NORMAL_95 * sqrt(variance))
    return value / factor, value * factor
