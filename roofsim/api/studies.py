"""Questions about several models, devices and lengths: what overtakes, what is best, what fits a budget."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from roofsim import library
from roofsim.api import checked
from roofsim.api.asked import CALLED, Asked, device_of, runtime_of
from roofsim.api.found import (
    Advice,
    Comparison,
    Crossover,
    Front,
    Sampled,
    SearchResult,
    Sensitivities,
    Swept,
    limits_of,
)
from roofsim.api.words import (
    AnyPath,
    Axes,
    CalibrationLike,
    Changes,
    Choices,
    Counts,
    DeviceLike,
    HostLike,
    Logits,
    ModelLike,
    Quantity,
    RuntimeLike,
    Several,
)
from roofsim.explore import advise as advising
from roofsim.explore import fronts
from roofsim.explore import sampling as trying
from roofsim.explore import search as searching
from roofsim.explore.axes import axis
from roofsim.explore.cases import NAMES
from roofsim.explore.compare import compare_choices
from roofsim.explore.executors import processors
from roofsim.explore.quality import Quality
from roofsim.explore.sampling import Accuracy, Shared
from roofsim.explore.search import LAW, OBJECTIVES, TRAIN_TOKENS
from roofsim.explore.selection import chosen_models
from roofsim.explore.sweep import study, swept
from roofsim.foundation.errors import InputError
from roofsim.foundation.schema import Spec
from roofsim.foundation.units import MAX_COUNT, parse_short_count
from roofsim.model.architecture import Architecture
from roofsim.prediction.metrics import METRICS
from roofsim.prediction.results import columns
from roofsim.prediction.setup import DEFAULT_RUNTIME
from roofsim.specs.calibration import Calibration
from roofsim.specs.device import Device
from roofsim.specs.family import Family
from roofsim.specs.host import Host
from roofsim.specs.runtime import Runtime
from roofsim.specs.workload import FIELDS, called, workload
from roofsim.studies.crossover import LONGEST, compare_setups, pairs_of, set_up

KINDS: Mapping[str, type[Spec]] = {
    "model": Architecture, "device": Device, "runtime": Runtime, "host": Host, "calibration": Calibration,
}  # fmt: skip


def crossover(
    *models: ModelLike, device: DeviceLike, runtime: RuntimeLike = DEFAULT_RUNTIME, metric: str = "ttft",
    longest: int | str = LONGEST, batch: int | str = 1, generate: int | str = 128, dtype: str | None = None,
    weights: str | None = None, cache: str | None = None, logits: Logits | None = None, host: HostLike = None,
    calibration: CalibrationLike = "auto", transfer: bool = False, set: Changes = (),
    weight_format: str | None = None, cache_dtype: str | None = None,
) -> Crossover:  # fmt: skip
    """Find the prompt lengths from which one model overtakes another, for every pair of the models.

    Without models, the paper's pairs of similar size. `metric` is one of ttft, tpot, memory, energy, throughput and
    total, `longest` the longest prompt looked at; the rest is as for `predict`. Raises InputError.
    """
    found = [checked.spec("model", each, Architecture) for each in models]
    names = [each.id or each.name if isinstance(each, Architecture) else each for each in found]
    given = dict(zip(names, found, strict=True))
    pairs = pairs_of(names)
    d, stack = device_of(device), runtime_of(runtime)
    asked = {
        name: Asked(given.get(name, name), d, stack, 1, batch, generate, dtype, weights, cache, logits, host,
                    calibration, transfer, set, weight_format, cache_dtype)
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
) -> Sensitivities:  # fmt: skip
    """Say what moves a figure: by how much each number of device, host, runtime, model and workload does, how far.

    `figure` is one of ttft, tpot, memory, energy, throughput and total, or a column of a sweep. `over` are paths of
    numbers or of groups of them, such as `device` or `model.layers`; all if it is empty. Raises InputError.
    """
    return Sensitivities.of(
        Asked(model, device, runtime, prompt, batch, generate, dtype, weights, cache, logits, host, calibration,
              transfer, set, weight_format, cache_dtype),
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


def compare(
    *models: ModelLike, device: Several[DeviceLike], runtime: Several[RuntimeLike] = DEFAULT_RUNTIME,
    prompt: Counts = 1024, batch: Counts = 1, generate: Counts = 128, dtype: Several[str] | None = None,
    weights: Several[str | None] = None, cache: Several[str | None] = None, logits: Several[Logits] | None = None,
    host: Several[HostLike] = None, calibration: Several[CalibrationLike] = "auto", set: Choices = (),
    kind: str | None = None, family: str | None = None, min_size: float | str | None = None,
    max_size: float | str | None = None, price: Quantity | None = None, fits: bool = False,
    min_tps: float | None = None, context: int | str | None = None, max_memory: Quantity | None = None,
    max_ttft: Quantity | None = None, max_tpot: Quantity | None = None, sort: str | None = None,
    workers: int | None = 1,
) -> Comparison:  # fmt: skip
    """Predict every combination of models, devices, runtimes, formats, lengths and batches: a row for each.

    Without models all that ship, or those of a `kind`, `family` or size. Every choice is one value or several (a list,
    or text with commas); `set` are values of fields by path, as --set has them. `price` is that of an hour of the
    device in dollars. The filters (`fits` to `max_tpot`) leave only rows that pass, `sort` puts the best by a column
    first. `workers` is the number of processes, None for one a processor. Raises InputError.
    """
    choices = _choices(
        selected(models, kind, family, min_size, max_size), device, runtime,
        prompt=prompt, batch=batch, generate=generate, dtype=dtype, weights=weights, cache=cache, logits=logits,
        host=host, calibration=calibration, set=set,
    )  # fmt: skip
    cost = None if price is None else checked.number("price", price, "USD")
    limits = limits_of(fits, min_tps, context, max_memory, max_ttft, max_tpot)
    if sort is not None:
        checked.text("sort", sort)
    with called(CALLED):
        found = compare_choices(choices, cost, _processes(workers))
    made = Comparison(**columns(found)).where(**limits)
    return made if sort is None else made.sorted_by(sort)


def sweep(
    *models: ModelLike | Axes, device: Several[DeviceLike] | None = None, runtime: Several[RuntimeLike] | None = None,
    prompt: Counts | None = None, batch: Counts | None = None, generate: Counts | None = None,
    dtype: Several[str] | None = None, weights: Several[str | None] = None, cache: Several[str | None] = None,
    logits: Several[Logits] | None = None, host: Several[HostLike] = None,
    calibration: Several[CalibrationLike] = "auto", set: Choices = (), points: Sequence[Axes] | None = None,
    figures: str | Sequence[str] | None = None, derive: Mapping[str, str] | None = None, where: str | None = None,
    sample: int | None = None, seed: int = 0, engine: Literal["local", "dask"] = "local",
    scheduler: str | None = None, workers: int | None = 1,
) -> Swept:  # fmt: skip
    """Compute figures at every point of a space, or of a sample of it.

    Every word is one value, several, or text as the command line takes it ("1k..64k*2"); `set` are values of fields
    by path, such as {"device.memory.bandwidth": "0.5x..4x*1.4142"}. In the place of models may stand one mapping of
    axes by name. `points` lists single points instead, a mapping each. `derive` are expressions by name, `where` a
    condition that points must meet. `workers` is the number of processes, one for each processor if None; with more
    than one the calling module must be importable, as multiprocessing asks. Raises InputError for what cannot be asked.
    """
    axes = _axes(models, device, runtime, prompt=prompt, batch=batch, generate=generate, dtype=dtype, weights=weights,
                 cache=cache, logits=logits, host=host, calibration=calibration, set=set)  # fmt: skip
    how = checked.one_of("engine", engine, ("local", "dask"))
    with called(CALLED):
        made = _study(axes, points, figures, derive, where, sample, seed)
        found = swept(made, engine="dask" if how == "dask" else "local", scheduler=scheduler, workers=_workers(workers))
    return Swept(**columns(found))


def pareto(
    *models: ModelLike | Axes | Sequence[str], objectives: str | Sequence[str] | Mapping[str, str] | None = None,
    device: Several[DeviceLike] | None = None, runtime: Several[RuntimeLike] | None = None,
    prompt: Counts | None = None, batch: Counts | None = None, generate: Counts | None = None,
    dtype: Several[str] | None = None, weights: Several[str | None] = None, cache: Several[str | None] = None,
    logits: Several[Logits] | None = None, host: Several[HostLike] = None,
    calibration: Several[CalibrationLike] = "auto", set: Choices = (), points: Sequence[Axes] | None = None,
    figures: str | Sequence[str] | None = None, derive: Mapping[str, str] | None = None, where: str | None = None,
    sample: int | None = None, seed: int = 0, budget: int | None = None, unfit: bool = False,
    workers: int | None = 1,
) -> Front:  # fmt: skip
    """Keep the points of a space that no other is better than in every objective.

    `objectives` are figures or derived columns: "ttft,tokens_per_second:max", a list of such words, or senses by name.
    They may also follow one mapping of axes in the place of models. Points that do not fit are left out unless `unfit`.
    With a `budget` so many points are searched, beginning with a seed, instead of all being computed. The rest is as
    for `sweep`. Raises InputError for what cannot be asked.
    """
    named: Sequence[Any] = models
    if objectives is None and len(named) == 2 and isinstance(named[0], Mapping):
        named, objectives = named[:1], named[1]
    if objectives is None:
        raise InputError("objectives: which figures? For example ttft,tokens_per_second:max")
    axes = _axes(named, device, runtime, prompt=prompt, batch=batch, generate=generate, dtype=dtype, weights=weights,
                 cache=cache, logits=logits, host=host, calibration=calibration, set=set)  # fmt: skip
    derived = {} if derive is None else checked.mapping("derive", derive)
    wanted: Any = checked.mapping("objectives", objectives) if isinstance(objectives, Mapping) else checked.names(
        "objectives", objectives)  # fmt: skip
    senses = fronts.senses_of(wanted, derived)
    more = [] if figures is None else checked.names("figures", figures)
    shown = list(dict.fromkeys(name for name in (*senses, *more) if name not in derived))
    many = None if budget is None else checked.count("budget", budget)
    with called(CALLED):
        made = _study(axes, points, shown, derive, where, sample, seed)
        found = fronts.front_of(made, senses, unfit=checked.flag("unfit", unfit), budget=many, seed=seed,
                                workers=_workers(workers))  # fmt: skip
    return Front(**{**columns(found), "found": Swept(**columns(found.found))})


def advise(
    *models: ModelLike, device: Several[DeviceLike], runtime: Several[RuntimeLike] | None = None,
    prompt: Counts = 1024, batch: Counts = 1, generate: Counts = 128, dtype: Several[str] | None = None,
    weights: Several[str | None] = None, cache: Several[str | None] = None, logits: Several[Logits] | None = None,
    host: Several[HostLike] = None, calibration: Several[CalibrationLike] = "auto", set: Choices = (),
    kind: str | None = None, family: str | None = None, min_size: float | str | None = None,
    max_size: float | str | None = None, ttft: Quantity | None = None, tpot: Quantity | None = None,
    total_time: Quantity | None = None, max_memory: Quantity | None = None, energy: Quantity | None = None,
    price: Quantity | None = None, token_price: Quantity | None = None, min_tps: float | None = None,
    context: int | str | None = None, hour: Quantity | None = None, budgets: Mapping[str, Quantity] | None = None,
    rank: str = advising.HEADROOM, workers: int | None = 1,
) -> Advice:  # fmt: skip
    """Rank the combinations that meet budgets, and say of every other by how much it misses which.

    Budgets are `ttft`, `tpot`, `total_time`, `max_memory`, `energy` (per output token), `price` (of the device),
    `token_price` (of a million, by the price of an `hour`), `min_tps` and `context`, or the same by name in `budgets`.
    Without models all that ship are taken, or those of a `kind`, `family` or size; without a runtime the usual ones of
    each device, without weights their usual formats. `rank` is headroom, parameters or a figure of `compare`, the rest
    as there. Raises InputError.
    """
    asked: dict[str, object] = {
        "ttft": ttft, "tpot": tpot, "total_time": total_time, "max_memory": max_memory, "energy": energy,
        "price": price, "token_price": token_price, "min_tps": min_tps, "context": context,
    }  # fmt: skip
    given = {**({} if budgets is None else checked.mapping("budgets", budgets)),
             **{name: each for name, each in asked.items() if each is not None}}  # fmt: skip
    limits = {name: _budget(name, each) for name, each in given.items()}
    choices = _choices(
        selected(models, kind, family, min_size, max_size), device, runtime, prompt=prompt, batch=batch,
        generate=generate, dtype=dtype, weights=weights, cache=cache, logits=logits, host=host,
        calibration=calibration, set=set,
    )  # fmt: skip
    networks = [library.architecture(each) if isinstance(each, str) else each for each in choices.pop("model")]
    cost = None if hour is None else checked.number("hour", hour, "USD")
    with called(CALLED):
        found = advising.advise(*networks, budgets=limits, hour=cost, rank=checked.text("rank", rank),
                                processes=_processes(workers), **choices)  # fmt: skip
    return Advice(**columns(found))


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
        members, d, stack, over=checked.mapping("over", over), quality=judged,
        train_tokens=_parameters("train_tokens", train_tokens),
        where=None if where is None else checked.text("where", where),
        objectives=tuple(checked.names("objectives", objectives)),
        against=None if against is None else checked.spec("model", against, Architecture),
        sample=None if sample is None else checked.count("sample", sample), seed=_seed(seed),
        host=None if host is None else checked.spec("host", host, Host),
        calibration="none" if calibration is None else checked.spec("calibration", calibration, Calibration),
        transfer=checked.flag("transfer", transfer), changes=checked.changes(set), **work,
    )  # fmt: skip
    return SearchResult(**columns(result), names=(d.name, stack.name))


def selected(
    models: Sequence[ModelLike], kind: str | None, family: str | None, min_size: object, max_size: object
) -> list[Any]:
    """The models that are named, or all that ship, of a kind, a family and a size."""
    named = [checked.spec("model", each, Architecture) for each in models]
    if kind is not None:
        checked.one_of("kind", kind, ("transformer", "ssm", "hybrid", "moe"))
    sizes = [None if each is None else _parameters(name, each)
             for name, each in (("min_size", min_size), ("max_size", max_size))]  # fmt: skip
    if family is not None:
        checked.text("family", family)
    found = chosen_models(named, kind, family, *(None if each is None else int(each) for each in sizes))
    if not found:
        raise InputError("no model is of this kind, family and size; roofsim.models() lists them")
    return list(found)


def _parameters(word: str, value: object) -> float:
    """A number of parameters or of tokens of training: 8B, 350M."""
    if isinstance(value, str):
        try:
            return float(parse_short_count(value))
        except ValueError as error:
            raise InputError(f"{word}: {error}") from None
    return checked.number(word, value)


def _choices(models: Sequence[object], device: object, runtime: object, **words: object) -> dict[str, Any]:
    """What to choose from, each a list of values."""
    given = _given(device, runtime, words)
    if "device" not in given:
        raise InputError("device: which? A name or several")
    return {"model": list(models), **{name: list(axis(name, each).values) for name, each in given.items()}}


def _axes(models: Sequence[object], device: object, runtime: object, **words: object) -> dict[str, Any]:
    """Axes of a study by name; one mapping of them may stand in the place of the models."""
    given = _given(device, runtime, words)
    if len(models) == 1 and isinstance(models[0], Mapping):
        whole = checked.mapping("axes", models[0])
        return {**{name: _spelled(name, each) for name, each in whole.items()}, **given}
    found = [checked.spec("model", each, Architecture) for each in models]
    return {**({"model": found} if found else {}), **given}


def _given(device: object, runtime: object, words: Mapping[str, object]) -> dict[str, object]:
    """The words that say something, in a form that axes are read from."""
    named = {"device": device, "runtime": runtime, **words}
    changes = _fields(named.pop("set", ()))
    usual = {"calibration": "auto"}
    found = {name: _spelled(name, each) for name, each in named.items()
             if each is not None and not (isinstance(each, str) and each == usual.get(name))}  # fmt: skip
    return {**found, **changes}


def _spelled(name: str, value: object) -> object:
    """The values of a choice; specs that are named by paths, and None for no calibration, by their texts."""
    if isinstance(value, str):
        return value
    if name in FIELDS:
        return [None if each is None else checked.text(name, each) for each in _plain(name, value)]
    if name not in NAMES:
        return value if not isinstance(value, Iterable) or hasattr(value, "tolist") else _plain(name, value)
    several = checked.several(value)
    listed = list(value) if several and isinstance(value, Iterable) else [value]
    if isinstance(value, Mapping):
        raise InputError(f"{name}: {checked.shown(value)} is not a list")
    if name == "calibration":
        listed = ["none" if each is None else each for each in listed]
    if not listed:
        raise InputError(f"{name}: there is nothing to choose from")
    return [checked.spec(name, each, KINDS[name]) for each in listed]


def _plain(name: str, value: object) -> list[object]:
    if not isinstance(value, Iterable) or isinstance(value, Mapping | bytes):
        raise InputError(f"{name}: {checked.shown(value)} is not a list")
    return list(value)


def _fields(changes: object) -> dict[str, object]:
    """Values of fields by path, from a mapping or from texts such as device.memory.bandwidth=1x,2x."""
    if isinstance(changes, Mapping):
        found = dict(checked.mapping("set", changes))
    else:
        found = {}
        for each in checked.texts("set", changes):
            path, equals, values = each.partition("=")
            if not equals or not values.strip():
                raise InputError(f"set: {each}: write it like device.memory.bandwidth=1x,2x")
            found[path.strip()] = values.strip()
    for path in found:
        if "." not in path:
            raise InputError(f"set: {path}: write it like device.memory.bandwidth=1x,2x")
    return found


def _study(
    axes: Mapping[str, Any], points: Any, figures: str | Sequence[str] | None, derive: Mapping[str, str] | None,
    where: str | None, sample: int | None, seed: int,
) -> Any:  # fmt: skip
    """The study that is asked for, checked."""
    listed = None
    if points is not None:
        if not checked.several(points) or isinstance(points, Mapping):
            raise InputError(f"points: {checked.shown(points)} is not a list of mappings")
        listed = [{name: _spelled(name, value) for name, value in checked.mapping("points", each).items()}
                  for each in points]  # fmt: skip
        listed = [{n: v[0] if isinstance(v, list) and len(v) == 1 else v for n, v in each.items()} for each in listed]
    derived = None
    if derive is not None:
        derived = {name: checked.text(f"derive: {name}", each)
                   for name, each in checked.mapping("derive", derive).items()}  # fmt: skip
    return study(
        axes, points=listed, figures=None if figures is None else checked.names("figures", figures), derive=derived,
        where=None if where is None else checked.text("where", where),
        sample=None if sample is None else checked.count("sample", sample), seed=_seed(seed),
    )  # fmt: skip


def _seed(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"seed: {checked.shown(value)} is not a whole number")
    return value


def _workers(value: object) -> int | None:
    return None if value is None else checked.count("workers", value)


def _processes(value: object) -> int:
    return _workers(value) or processors()


def _budget(name: str, value: object) -> float:
    """The limit of a budget in SI units; raises InputError for one that there is not."""
    checked.one_of("budgets", name, advising.BUDGETS)
    if name == "context":
        return float(checked.count(name, value))
    return checked.number(name, value, advising.BUDGETS[name].unit)
