"""What the functions give: the engine's results, which know what they were asked for and show themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any, Self, TypedDict, TypeVar, Unpack

from roofsim.api import checked
from roofsim.api.asked import Asked
from roofsim.api.shown import Shown
from roofsim.api.words import CalibrationLike, Changes, Counts, DeviceLike, HostLike, Logits, ModelLike, RuntimeLike
from roofsim.foundation.arith import single
from roofsim.foundation.errors import InputError
from roofsim.foundation.units import show
from roofsim.foundation.values import dataclass
from roofsim.prediction import results
from roofsim.prediction.metrics import METRICS
from roofsim.prediction.request import predict_arrays, predict_request
from roofsim.prediction.setup import Setup
from roofsim.reports.choices import OF_PREDICTION, OfPrediction

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from roofsim.reports.table import Table
    from roofsim.reports.theme import Theme
    from roofsim.studies.compare import Remedy


R = TypeVar("R")


class Words(TypedDict, total=False):
    """What `with_` takes: any word of the functions, and changes in the place of a name."""

    model: ModelLike | Changes
    device: DeviceLike | Changes
    runtime: RuntimeLike | Changes
    host: HostLike | Changes
    parameters: Changes
    prompt: Counts
    batch: Counts
    generate: Counts
    dtype: str | None
    weights: str | None
    cache: str | None
    logits: Logits | None
    calibration: CalibrationLike
    transfer: bool
    set: Changes
    offload: str | None


@dataclass(frozen=True, repr=False)
class OfOne(Shown):
    """A result of one model on one device: `asked` is what it was asked for, `on` what that was found to be."""

    asked: Asked = field(kw_only=True, compare=False)
    on: Setup = field(kw_only=True, compare=False)

    def with_(self, **words: Unpack[Words]) -> Self:
        """The same question with other words: `with_(prompt=8192)`, `with_(device="rtx-4090")`.

        A change in the place of a name is a what-if, as --set has it: `with_(device="memory.bandwidth=2x")`,
        `with_(parameters={"gemm_efficiency": 0.9})`. Changes follow those that were made before. Raises InputError.
        """
        return self._again(self.asked.otherwise(**words))

    def _again(self, asked: Asked) -> Self:
        raise NotImplementedError

    @property
    def _names(self) -> tuple[str, str]:
        """Device and runtime in full."""
        return self.on.device_name, self.on.runtime.name

    @property
    def _where(self) -> str:
        return f"{self.on.model_name} on {self.on.device.id} with {self.on.runtime.id}"


@dataclass(frozen=True, repr=False)
class Prediction(OfOne, results.Prediction):
    """A predicted request: seconds, joules and bytes, numbers or, where several were asked for, arrays.

    `request` is what a user sees (ttft, tpot, total_time, tokens_per_second, energy), `prefill` and `decode` are the
    passes with their operators, `memory` the peak by part; of numbers there are `limits` and 95 % `intervals` too.
    """

    @classmethod
    def of(cls, asked: Asked) -> Self:
        """The prediction that was asked for."""
        s, w = asked.case(one=False)
        plain = single(w.batch) and single(w.prompt) and single(w.generate)
        return cls(**results.columns(predict_request(s, w) if plain else predict_arrays(s, w)), asked=asked, on=s)

    def _again(self, asked: Asked) -> Self:
        return self.of(asked)

    @property
    def _single(self) -> bool:
        return single(self.request.ttft)

    def _short(self) -> str:
        if not self._single:
            shape: Any = self.request.ttft
            return f"{self._where}: {' x '.join(map(str, shape.shape))} requests"
        r = self.request
        said = f"TTFT {show(float(r.ttft), 's')}, TPOT {show(float(r.tpot), 's')}, peak {_bytes(self.memory.peak)}"
        return f"{self._where}: {said}, {'fits' if self.fits else 'does not fit'}"

    def _data(self) -> Mapping[str, Any]:
        return results.Prediction.to_dict(self)

    def _tables(self) -> Sequence[Table]:
        if not self._single:
            from roofsim.reports.arrays import array_tables

            return array_tables(self, *self._names)
        from roofsim.reports.prediction import prediction_tables

        return prediction_tables(self, *self._names, operators=False)

    def _records(self) -> Table:
        if not self._single:
            from roofsim.reports.arrays import array_records

            return array_records(self)
        from roofsim.reports.prediction import prediction_records

        return prediction_records([self])

    def remedies(self) -> tuple[Remedy, ...]:
        """What other choices of the stack would give, each alone; of a prediction of numbers."""
        from roofsim.studies.compare import remedies

        self._of_numbers("what would help")
        return tuple(remedies(self.on, self.workload))

    def _of_numbers(self, what: str) -> None:
        if not self._single:
            raise InputError(f"{what} is told of one request, and this is a prediction of several")

    def plot(self, kind: OfPrediction = "breakdown", *, theme: Theme = "light") -> Figure:
        """Where the time goes over length, memory over operators, operators on the roofline, energy of a token, or time
        over what lies on the device."""
        from roofsim.api import plots

        checked.one_of("kind", kind, OF_PREDICTION)
        figure: Figure = getattr(plots, kind)(self, theme=theme)
        return figure


def as_engine(found: Any, kind: type[R]) -> R:
    """The engine's own result, without what it is asked for here."""
    of: Any = kind
    return kind(**{name: getattr(found, name) for name in of.__dataclass_fields__})


def _bytes(x: Any) -> str:
    return show(float(x), "B")


def metric_value(name: str, value: float) -> str:
    """A value of a metric with its unit."""
    row = METRICS[name]
    return show(value, row.unit) if row.unit else f"{value:.3g}"
