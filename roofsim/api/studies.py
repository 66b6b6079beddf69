"""Questions about every combination of choices: side by side, over axes, the best of them, those within budgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from roofsim import library
from roofsim.api import checked
from roofsim.api.asked import CALLED
from roofsim.api.choices import axes_of, budget_limit, choices_of, processes_of, selected, study_of, workers_of
from roofsim.api.found import Advice, Comparison, Front, Swept, limits_of
from roofsim.api.words import (
    Axes,
    CalibrationLike,
    Choices,
    ClusterLike,
    Counts,
    DeviceLike,
    HostLike,
    Logits,
    ModelLike,
    Quantity,
    RuntimeLike,
    Several,
)
from roofsim.foundation.errors import InputError
from roofsim.prediction.results import columns
from roofsim.prediction.setup import DEFAULT_RUNTIME
from roofsim.spaces import advise as advising
from roofsim.spaces import fronts
from roofsim.spaces.compare import compare_choices
from roofsim.spaces.sweep import swept
from roofsim.specs.workload import called


def compare(
    *models: ModelLike, device: Several[DeviceLike], runtime: Several[RuntimeLike] = DEFAULT_RUNTIME,
    prompt: Counts = 1024, batch: Counts = 1, generate: Counts = 128, dtype: Several[str] | None = None,
    weights: Several[str | None] = None, cache: Several[str | None] = None, logits: Several[Logits] | None = None,
    host: Several[HostLike] = None, calibration: Several[CalibrationLike] = "auto", transfer: bool = False,
    set: Choices = (), kind: str | None = None, family: str | None = None, min_size: float | str | None = None,
    max_size: float | str | None = None, price: Quantity | None = None, fits: bool = False,
    min_tps: float | None = None, context: int | str | None = None, max_memory: Quantity | None = None,
    max_ttft: Quantity | None = None, max_tpot: Quantity | None = None, sort: str | None = None,
    workers: int | None = 1,
    tp: Counts | None = None, pp: Counts | None = None, ep: Counts | None = None, dp: Counts | None = None,
    cp: Counts | None = None, cluster: Several[ClusterLike] = None, offload: Several[str] | None = None,
) -> Comparison:  # fmt: skip
    """Predict every combination of models, devices, runtimes, formats, lengths and batches: a row for each.

    Without models all that ship, or those of a `kind`, `family` or size. Every choice is one value or several (a list,
    or text with commas); `set` are values of fields by path, as --set has them; with `transfer` calibrations may be of
    other devices and runtimes. `price` is that of an hour of the device in dollars, or text such as 2.5USD/h. The
    filters (`fits` to `max_tpot`) leave only rows that pass, `sort` puts the best by a column first. `workers` is the
    number of processes, None for one a processor. Raises InputError.
    """
    choices = choices_of(
        selected(models, kind, family, min_size, max_size), device, runtime,
        prompt=prompt, batch=batch, generate=generate, dtype=dtype, weights=weights, cache=cache, logits=logits,
        host=host, calibration=calibration, set=set, tp=tp, pp=pp, ep=ep,
        dp=dp, cp=cp, cluster=cluster, offload=offload,
    )  # fmt: skip
    choices.setdefault("runtime", [DEFAULT_RUNTIME])
    for path, _, value in (each.partition("=") for each in checked.terms((), price=price)):
        choices[path] = [value]
    limits = limits_of(fits, min_tps, context, max_memory, max_ttft, max_tpot)
    if sort is not None:
        checked.text("sort", sort)
    with called(CALLED):
        found = compare_choices(choices, processes_of(workers), transfer=checked.flag("transfer", transfer))
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
    tp: Counts | None = None, pp: Counts | None = None, ep: Counts | None = None, dp: Counts | None = None,
    cp: Counts | None = None, cluster: Several[ClusterLike] = None, offload: Several[str] | None = None,
) -> Swept:  # fmt: skip
    """Compute figures at every point of a space, or of a sample of it.

    Every word is one value, several, or text as the command line takes it ("1k..64k*2"); `set` are values of fields
    by path, such as {"device.memory.bandwidth": "0.5x..4x*1.4142"}. In the place of models may stand one mapping of
    axes by name. `points` lists single points instead, a mapping each. `derive` are expressions by name, `where` a
    condition that points must meet. `workers` is the number of processes, one for each processor if None; with more
    than one the calling module must be importable, as multiprocessing asks. Raises InputError for what cannot be asked.
    """
    axes = axes_of(models, device, runtime, prompt=prompt, batch=batch, generate=generate, dtype=dtype, weights=weights,
                 cache=cache, logits=logits, host=host, calibration=calibration, set=set, tp=tp, pp=pp, ep=ep,
        dp=dp, cp=cp, cluster=cluster, offload=offload)  # fmt: skip
    how: Literal["local", "dask"] = "dask" if checked.one_of("engine", engine, ("local", "dask")) == "dask" else "local"
    with called(CALLED):
        made = study_of(axes, points, figures, derive, where, sample, seed)
        found = swept(made, engine=how, scheduler=scheduler, workers=workers_of(workers))
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
    tp: Counts | None = None, pp: Counts | None = None, ep: Counts | None = None, dp: Counts | None = None,
    cp: Counts | None = None, cluster: Several[ClusterLike] = None, offload: Several[str] | None = None,
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
    axes = axes_of(named, device, runtime, prompt=prompt, batch=batch, generate=generate, dtype=dtype, weights=weights,
                 cache=cache, logits=logits, host=host, calibration=calibration, set=set, tp=tp, pp=pp, ep=ep,
        dp=dp, cp=cp, cluster=cluster, offload=offload)  # fmt: skip
    derived = {} if derive is None else checked.mapping("derive", derive)
    wanted: Any = checked.words("objectives", objectives) if isinstance(objectives, Mapping) else checked.names(
        "objectives", objectives)  # fmt: skip
    senses = fronts.senses_of(wanted, derived)
    more = [] if figures is None else checked.names("figures", figures)
    shown = list(dict.fromkeys(name for name in (*senses, *more) if name not in derived))
    many = None if budget is None else checked.count("budget", budget)
    with called(CALLED):
        made = study_of(axes, points, shown, derive, where, sample, seed)
        found = fronts.front_of(made, senses, unfit=checked.flag("unfit", unfit), budget=many, seed=seed,
                                workers=workers_of(workers))  # fmt: skip
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
    tp: Counts | None = None, pp: Counts | None = None, ep: Counts | None = None, dp: Counts | None = None,
    cp: Counts | None = None, cluster: Several[ClusterLike] = None, offload: Several[str] | None = None,
) -> Advice:  # fmt: skip
    """Rank the combinations that meet budgets, and say of every other by how much it misses which.

    Budgets are `ttft`, `tpot`, `total_time`, `max_memory`, `energy` (per output token), `price` (of the device),
    `token_price` (of a million, by the rent of an `hour` or the usual price), `min_tps` and `context`, or the same
    by name in `budgets`. Without models all that ship are taken, or those of a `kind`, `family` or size; without a
    runtime the usual ones of each device, without weights their usual formats. `rank` is headroom, parameters or a
    figure of `compare`, the rest as there. Raises InputError.
    """
    asked: dict[str, object] = {
        "ttft": ttft, "tpot": tpot, "total_time": total_time, "max_memory": max_memory, "energy": energy,
        "price": price, "token_price": token_price, "min_tps": min_tps, "context": context,
    }  # fmt: skip
    given = {**({} if budgets is None else checked.mapping("budgets", budgets)),
             **{name: each for name, each in asked.items() if each is not None}}  # fmt: skip
    limits = {name: budget_limit(name, each) for name, each in given.items()}
    choices = choices_of(
        selected(models, kind, family, min_size, max_size), device, runtime, prompt=prompt, batch=batch,
        generate=generate, dtype=dtype, weights=weights, cache=cache, logits=logits, host=host,
        calibration=calibration, set=set, tp=tp, pp=pp, ep=ep,
        dp=dp, cp=cp, cluster=cluster, offload=offload,
    )  # fmt: skip
    networks = [library.architecture(each) if isinstance(each, str) else each for each in choices.pop("model")]
    cost = None if hour is None else checked.number("hour", hour, "USD")
    with called(CALLED):
        found = advising.advise(*networks, budgets=limits, hour=cost, rank=checked.text("rank", rank),
                                processes=processes_of(workers), **choices)  # fmt: skip
    return Advice(**columns(found))
