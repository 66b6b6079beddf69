"""Questions about models over lengths, trials and designs: what overtakes, what moves, what to build."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from roofsim.api import checked
from roofsim.api.asked import Asked, device_of, runtime_of
from roofsim.api.choices import parameters_of, seed_of
from roofsim.api.found import Crossover, Sampled, SearchResult, Sensitivities
from roofsim.api.words import (
    AnyPath,
    CalibrationLike,
    Changes,
    ClusterLike,
    Counts,
    DeviceLike,
    HostLike,
    Logits,
    ModelLike,
    Quantity,
    RuntimeLike,
)
from roofsim.foundation.units import MAX_COUNT
from roofsim.model.architecture import Architecture
from roofsim.prediction.metrics import METRICS
from roofsim.prediction.results import columns
from roofsim.prediction.setup import DEFAULT_RUNTIME
from roofsim.spaces import sampling as trying
from roofsim.spaces import search as searching
from roofsim.spaces.quality import Quality
from roofsim.spaces.sampling import Accuracy, Shared
from roofsim.spaces.search import LAW, OBJECTIVES, TRAIN_TOKENS
from roofsim.specs.calibration import Calibration
from roofsim.specs.family import Family
from roofsim.specs.host import Host
from roofsim.specs.workload import workload
from roofsim.studies.crossover import LONGEST, compare_setups, pairs_of, set_up


def crossover(
    *models: ModelLike, device: DeviceLike, runtime: RuntimeLike = DEFAULT_RUNTIME, metric: str = "ttft",
    longest: int | str = LONGEST, batch: int | str = 1, generate: int | str = 128, dtype: str | None = None,
    weights: str | None = None, cache: str | None = None, logits: Logits | None = None, host: HostLike = None,
    calibration: CalibrationLike = "auto", transfer: bool = False, set: Changes = (),
    weight_format: str | None = None, cache_dtype: str | None = None,
    tp: int = 1, pp: int = 1, ep: int = 1, dp: int = 1, cp: int = 1, cluster: ClusterLike = None,
    price: Quantity | None = None, lifetime: Quantity | None = None, electricity: Quantity | None = None,
    carbon: Quantity | None = None, utilisation: float | None = None, overhead: float | None = None,
) -> Crossover:  # fmt: skip
    """Find the prompt lengths from which one model overtakes another, for every pair of the models.

    Without models, the paper's pairs of similar size. `metric` is one of ttft, tpot, memory, energy, throughput,
    total and cost, `longest` the longest prompt looked at; the rest is as for `predict`. Raises InputError.
    """
    found = [checked.spec("model", each, Architecture) for each in models]
    names = [each.id or each.name if isinstance(each, Architecture) else each for each in found]
    given = dict(zip(names, found, strict=True))
    pairs = pairs_of(names)
    d, stack = device_of(device), runtime_of(runtime)
    changes = checked.terms(set, price=price, lifetime=lifetime, electricity=electricity, carbon=carbon,
                            utilisation=utilisation, overhead=overhead)  # fmt: skip
    asked = {
        name: Asked(given.get(name, name), d, stack, 1, batch, generate, dtype, weights, cache, logits, host,
                    calibration, transfer, changes, weight_format, cache_dtype, tp, pp, ep, dp, cp, cluster)
        for name in dict.fromkeys(name for pair in pairs for name in pair)
    }  # fmt: skip
    w = next(iter(asked.values())).single(d)
    work = {name: getattr(w, name) for name in ("batch", "generate", "dtype", "weight_format", "cache_dtype", "logits")}
    setups = {name: set_up(each.setup) for name, each in asked.items()}
    row = checked.one_of("metric", metric, METRICS)
    result = compare_setups(setups, pairs, row, checked.count("longest", longest), **work)
    return Crossover(**columns(result), names=(d.name, stack.name))


def sensitivity(
    model: ModelLike, device: DeviceLike, runtime: RuntimeLike = DEFAULT_RUNTIME, *, figure: str = "ttft",
    over: str | Sequence[str] = (), prompt: int | str = 1024, batch: int | str = 1, generate: int | str = 128,
    dtype: str | None = None, weights: str | None = None, cache: str | None = None, logits: Logits | None = None,
    host: HostLike = None, calibration: CalibrationLike = "auto", transfer: bool = False, set: Changes = (),
    weight_format: str | None = None, cache_dtype: str | None = None,
    tp: int = 1, pp: int = 1, ep: int = 1, dp: int = 1, cp: int = 1, cluster: ClusterLike = None,
) -> Sensitivities:  # fmt: skip
    """Say what moves a figure: by how much each number of device, host, runtime, model and workload does, how far.

    `figure` is one of ttft, tpot, memory, energy, throughput and total, or a column of a sweep. `over` are paths of
    numbers or of groups of them, such as `device` or `model.layers`; all if it is empty. Raises InputError.
    """
    return Sensitivities.of(
        Asked(model, device, runtime, prompt, batch, generate, dtype, weights, cache, logits, host, calibration,
              transfer, set, weight_format, cache_dtype, tp, pp, ep, dp, cp, cluster),
        checked.text("figure", figure), checked.names("over", over),
    )  # fmt: skip


def sampling(
    model: ModelLike, device: DeviceLike, runtime: RuntimeLike = DEFAULT_RUNTIME, *, trials: Counts = "1..64*2",
    tokens: Counts | None = None, budget: str | None = None, share: Shared | None = None,
    accuracy: AnyPath | Accuracy | None = None, prompt: int | str = 1024, dtype: str | None = None,
    weights: str | None = None, cache: str | None = None, logits: Logits | None = None, host: HostLike = None,
    calibration: CalibrationLike = "auto", transfer: bool = False, set: Changes = (),
    weight_format: str | None = None, cache_dtype: str | None = None,
) -> Sampled:  # fmt: skip
    """Say what several answers to one prompt cost: time, energy, bytes and equivalent FLOP.

    `trials` are numbers of answers, `tokens` those of each. With a `budget` ("10s", "500J", "2 PFLOP") each number of
    trials gets as many tokens as it allows, and the best split is named, by an `accuracy` (a CSV with columns tokens
    and accuracy, or the curve) if there is one. `share` says what trials have of the prompt's cache: copied, held or
    read. The rest is as for `predict`. Raises InputError.
    """
    amount = None if budget is None else trying.budget_of(checked.text("budget", budget))
    most = [MAX_COUNT] if amount else [1024]
    curve = accuracy
    if not isinstance(curve, Accuracy | None):
        curve = trying.accuracy_in(checked.path("accuracy", curve))
    given = {
        "trials": checked.counts("trials", trials),
        "tokens": most if tokens is None else checked.counts("tokens", tokens),
        "shared": None if share is None else checked.one_of("share", share, trying.SAID),
        "budget": amount,
        "accuracy": curve,
    }
    asked = Asked(model, device, runtime, prompt, 1, 1, dtype, weights, cache, logits, host, calibration, transfer, set,
                  weight_format, cache_dtype)  # fmt: skip
    return Sampled.of(asked, given)


def search(
    family: str | Family, device: DeviceLike, runtime: RuntimeLike = DEFAULT_RUNTIME, *, over: Mapping[str, Counts],
    quality: AnyPath | Quality = LAW, train_tokens: Quantity = TRAIN_TOKENS, where: str | None = None,
    objectives: str | Sequence[str] = OBJECTIVES, against: ModelLike | None = None, sample: int | None = None,
    seed: int = 0, prompt: int | str = 1024, batch: int | str = 1, generate: int | str = 128,
    dtype: str | None = None, weights: str | None = None, cache: str | None = None, logits: Logits | None = None,
    host: HostLike = None, calibration: CalibrationLike = "auto", transfer: bool = False, set: Changes = (),
    weight_format: str | None = None, cache_dtype: str | None = None,
) -> SearchResult:  # fmt: skip
    """Evaluate the members of a family of architectures and keep those on the front.

    `family` may choose parameters for all (`dense:depth=24`); `over` says which values of which parameters are looked
    at, all combinations of them, or `sample` of them drawn with `seed`. `quality` is a scaling law by name or path
    (its loss after `train_tokens` tokens), or a CSV of losses by parameters. `where` is a condition on the columns,
    such as "memory_peak < 6 GiB and tpot < 50 ms". `objectives` are the columns that are to be small
    (tokens_per_second: large), the first of them what `best` goes by, the second the latency at which `against`, a
    model, is compared. The rest is as for `predict`. Raises InputError for what cannot be used.
    """
    d, stack = device_of(device), runtime_of(runtime)
    asked = Asked("", d, stack, prompt, batch, generate, dtype, weights, cache, logits, host, calibration, transfer,
                  set, weight_format, cache_dtype)  # fmt: skip
    w = asked.single(d)
    work = {name: getattr(w, name) for name in workload().__dataclass_fields__}
    judged = quality if isinstance(quality, Quality) else checked.path("quality", quality)
    members = family if isinstance(family, Family) else checked.text("family", family)
    result = searching.search(
        members, d, stack, over=_over(over), quality=judged,
        train_tokens=parameters_of("train_tokens", train_tokens),
        where=None if where is None else checked.text("where", where),
        objectives=tuple(checked.names("objectives", objectives)),
        against=None if against is None else checked.spec("model", against, Architecture),
        sample=None if sample is None else checked.count("sample", sample), seed=seed_of(seed),
        host=None if host is None else checked.spec("host", host, Host),
        calibration="none" if calibration is None else checked.spec("calibration", calibration, Calibration),
        transfer=checked.flag("transfer", transfer), changes=checked.changes(set), **work,
    )  # fmt: skip
    return SearchResult(**columns(result), names=(d.name, stack.name))


def _over(value: object) -> dict[str, str | list[int]]:
    """The values of parameters of a family; raises InputError."""
    given = checked.mapping("over", value)
    return {name: each if isinstance(each, str) else checked.counts(name, each, 0) for name, each in given.items()}
