"""Figures of results, as a paper could print them: each is matplotlib's, and shows itself in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roofsim.api import checked
from roofsim.api.words import AnyPath, Counts
from roofsim.foundation import arith, schema
from roofsim.foundation.errors import InputError
from roofsim.reports.choices import OF_FIT, OF_VALIDATION, OfFit, OfPrediction, OfValidation
from roofsim.reports.theme import THEMES, Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from roofsim.api.answers import Explanation, LimitsResult
    from roofsim.api.found import (
        Advice,
        Comparison,
        Crossover,
        Front,
        Sampled,
        SearchResult,
        Sensitivities,
        Swept,
    )
    from roofsim.api.measured import Calibrated, Validated
    from roofsim.api.phased import Phased
    from roofsim.api.reloaded import Reloaded
    from roofsim.api.results import Prediction
    from roofsim.api.served import Serving, ServingFront
    from roofsim.api.serving import Simulation
    from roofsim.api.specs import Sheet
    from roofsim.api.speculated import Speculated


def _is(found: object, kind: str) -> None:
    """Raises InputError for what is no such result."""
    if kind not in (each.__name__ for each in type(found).__mro__):
        raise InputError(f"found: {checked.shown(found)} is no {kind}")


def _themed(theme: Theme) -> Theme:
    """Raises UnknownName for another."""
    checked.one_of("theme", theme, THEMES)
    return theme


def save(figure: Figure, path: AnyPath) -> None:
    """Write a figure as PNG, SVG or PDF, by the ending of the path; the file appears whole or not at all."""
    from roofsim.reports.figures import style

    _is(figure, "Figure")
    target = checked.path("path", path)
    if Path(target).suffix.lower() not in (".png", ".svg", ".pdf"):
        raise InputError(f"path: '{target}' should end in .png, .svg or .pdf")
    style.save(figure, target)


def roofline(found: Prediction, *others: Prediction, theme: Theme = "light") -> Figure:
    """The operators of predictions of numbers on the roofline of their device, a panel for each prediction."""
    every = (found, *others)
    for each in every:
        _is(each, "Prediction")
        each._of_numbers("a roofline")
    from roofsim.prediction.request import operator_intervals
    from roofsim.reports.figures.captions import apart
    from roofsim.reports.figures.roofline import Placed
    from roofsim.reports.figures.roofline import roofline as figure

    titles = apart(*_names(every), [each.workload for each in every])
    cases = [Placed(each, each.on, operator_intervals(each.on, each.workload), title)
             for each, title in zip(every, titles, strict=True)]  # fmt: skip
    return figure(cases, theme=_themed(theme))


def _names(every: Sequence[Prediction | LimitsResult | Crossover]) -> tuple[list[str], list[str], list[str]]:
    """Models, devices and runtimes of several results; of pairs of models there is no one."""
    models = [getattr(each, "model", "") for each in every]
    return models, [each.device for each in every], [each.runtime for each in every]


def memory(found: Prediction, *, theme: Theme = "light") -> Figure:
    """What is alive over the operators of the prefill."""
    _is(found, "Prediction")
    from roofsim.reports.figures.prediction import prediction

    found._of_numbers("memory over operators")
    return prediction("memory", found.on, found.workload, theme=_themed(theme))


def breakdown(found: Prediction, *, lengths: Counts | None = None, theme: Theme = "light") -> Figure:
    """Where the time of both passes goes over prompt length, by kind of operator, on the device and on the host.

    A prediction of several prompts is drawn at those; of one at `lengths`, or up to the longest that can be run.
    Raises InputError.
    """
    return _over_length("breakdown", found, lengths, theme)


def energy(found: Prediction, *, lengths: Counts | None = None, theme: Theme = "light") -> Figure:
    """What the energy of a token is spent on over prompt length; the lengths are as for `breakdown`."""
    return _over_length("energy", found, lengths, theme)


def tiers(found: Prediction, *, theme: Theme = "light") -> Figure:
    """Where the time of both passes goes over how many layers lie on the device, and which divisions fit."""
    _is(found, "Prediction")
    from roofsim.reports.figures.prediction import prediction

    found._of_numbers("the time over what lies on the device")
    return prediction("tiers", found.on, found.workload, theme=_themed(theme))


def _over_length(kind: OfPrediction, found: Prediction, lengths: Counts | None, theme: Theme) -> Figure:
    _is(found, "Prediction")
    from roofsim.reports.figures.prediction import prediction

    w = found.workload
    for name in ("batch", "generate"):
        if not arith.single(getattr(w, name)):
            raise InputError(f"{name}: a figure over prompt length is of one, and this is a prediction of several")
    chosen = None if lengths is None else checked.counts("lengths", lengths)
    if not arith.single(w.prompt):
        several: Any = w.prompt
        chosen = sorted({int(n) for n in several.flat}) if chosen is None else chosen
        w = schema.variant(w, prompt=max(chosen))
    w = schema.variant(w, batch=int(w.batch), generate=int(w.generate))
    return prediction(kind, found.on, w, chosen, theme=_themed(theme))


def attribution(found: Prediction, *others: Prediction, theme: Theme = "light") -> Figure:
    """What each choice of the software costs on the way from one prediction to others with other runtimes.

    All must be of the same model, device and request. Raises InputError.
    """
    for each in (found, *others):
        _is(each, "Prediction")
        each._of_numbers("what choices cost")
    from roofsim.reports.figures.attribution import attribution as figure
    from roofsim.studies.compare import compare_runtimes

    if not others:
        raise InputError("others: at least one prediction with another runtime is needed")
    for each in others:
        if (each.model, each.device, _request(each)) != (found.model, found.device, _request(found)):
            raise InputError("others: predictions of the same model, device and request are needed, which differ in "
                             "their runtimes")  # fmt: skip
    setups = [each.on for each in (found, *others)]
    return figure(compare_runtimes(setups, found.asked.single(found.on.device)), setups, theme=_themed(theme))


def _request(found: Prediction) -> tuple[object, ...]:
    """What a request asks for whatever the runtime."""
    w = found.workload
    return w.batch, w.prompt, w.generate, w.dtype, w.weight_format, w.cache_dtype


def explain(found: Explanation, *, theme: Theme = "light") -> Figure:
    """A metric over length with its interval, its regimes and its polynomial, and what moves it at the length."""
    _is(found, "Explanation")
    from roofsim.reports.figures.explain import explain as figure
    from roofsim.studies.over_length import curve

    s, w = found.on, found.asked.single(found.on.device)
    return figure(found, curve(s, w, found.metric), s, w, theme=_themed(theme))


def limits(found: LimitsResult, *others: LimitsResult, theme: Theme = "light") -> Figure:
    """Memory by part over the length of the prompt, a panel for each result."""
    every = (found, *others)
    for each in every:
        _is(each, "LimitsResult")
    from roofsim.reports.figures.captions import apart
    from roofsim.reports.figures.limits import Held
    from roofsim.reports.figures.limits import limits as figure
    from roofsim.studies.limits import limits, spread

    titles = apart(*_names(every), [each.workload for each in every])
    held = [Held(limits(each.on, each.workload, spread(each)), each.on, title)
            for each, title in zip(every, titles, strict=True)]  # fmt: skip
    return figure(held, theme=_themed(theme))


def crossover(found: Crossover, *others: Crossover, theme: Theme = "light") -> Figure:
    """A metric of all models over length, with the crossings, a panel for each result; all are of one metric."""
    every = (found, *others)
    for each in every:
        _is(each, "Crossover")
    from roofsim.reports.figures.captions import apart
    from roofsim.reports.figures.crossover import crossover as figure

    if len({pair.metric for each in every for pair in each.pairs}) > 1:
        raise InputError("others: crossovers of the same metric are needed")
    device, runtime = (found.names[i] if len({each.names[i] for each in every}) == 1 else "" for i in (0, 1))
    titles = apart(*_names(every), [each.workload for each in every])
    return figure(every, device, runtime, titles, theme=_themed(theme))


def compare(found: Comparison, *, theme: Theme = "light") -> Figure:
    """Bars for each combination that can be run."""
    _is(found, "Comparison")
    from roofsim.reports.figures.compare import compare as figure

    return figure(found, theme=_themed(theme))


def sweep(found: Swept, *, theme: Theme = "light") -> Figure:
    """Figures over the axes of a study."""
    _is(found, "Swept")
    from roofsim.reports.figures.sweep import sweep as figure

    return figure(found, theme=_themed(theme))


def heat(found: Swept, figure: str | None = None, *, theme: Theme = "light") -> Figure:
    """A figure of a study over its two axes of numbers, the first unless one is named; raises InputError for others."""
    _is(found, "Swept")
    from roofsim.reports.figures.heat import heat_of_sweep

    name = None if figure is None else checked.text("figure", figure)
    return heat_of_sweep(found, name, theme=_themed(theme))


def pareto(found: Front, *, theme: Theme = "light") -> Figure:
    """A front over its first two objectives."""
    _is(found, "Front")
    from roofsim.reports.figures.pareto import pareto as figure

    return figure(found, theme=_themed(theme))


def sensitivity(found: Sensitivities, *, theme: Theme = "light") -> Figure:
    """A tornado: the figure at half and at twice each number."""
    _is(found, "Sensitivities")
    from roofsim.reports.figures.tornado import tornado

    return tornado(found, found.on.device_name, found.on.runtime.name, theme=_themed(theme))


def search(found: SearchResult, *, theme: Theme = "light") -> Figure:
    """The front of loss and latency of a family."""
    _is(found, "SearchResult")
    from roofsim.reports.figures.search import search as figure

    return figure(found, *found.names, theme=_themed(theme))


def sampling(found: Sampled, *, theme: Theme = "light") -> Figure:
    """What trials of one prompt cost, or how a budget can be split between them."""
    _is(found, "Sampled")
    from roofsim.reports.figures.sampling import sampling as figure

    return figure(found, found.on, found.asked.single(found.on.device), theme=_themed(theme))


def phases(found: Phased, *, theme: Theme = "light") -> Figure:
    """What a device answers over the length of prompts, by how prefill and decode are laid out."""
    _is(found, "Phased")
    from roofsim.reports.figures.phases import phases as figure

    return figure(found, found.on, theme=_themed(theme))


def reload(found: Reloaded, *others: Reloaded, theme: Theme = "light") -> Figure:
    """The time to the first token over the length, computed and loaded from each memory, a panel for each result."""
    for each in (found, *others):
        _is(each, "Reloaded")
    from roofsim.reports.figures.reload import reload as figure

    return figure([(each._where if others else "", each) for each in (found, *others)], theme=_themed(theme))


def speculate(found: Speculated, *, theme: Theme = "light") -> Figure:
    """What drafts gain over the batch and over how likely they are accepted."""
    _is(found, "Speculated")
    from roofsim.reports.figures.speculation import speculation as figure

    return figure(found, found.on, theme=_themed(theme))


def serve(found: Serving, *, theme: Theme = "light") -> Figure:
    """What users see over the load, with what is promised."""
    _is(found, "Serving")
    from roofsim.reports.figures.serve import over_load

    kind = "rate" if found._given.rate or found._given.find == "rate" else "users"
    return over_load([({}, found.server)], kind, found.slo, found._given.rounds, theme=_themed(theme))


def serve_front(found: ServingFront, *, theme: Theme = "light") -> Figure:
    """Tokens per second of a device against those of a user."""
    _is(found, "ServingFront")
    from roofsim.reports.figures.serve import front

    return front(found, found.on, found.workload, theme=_themed(theme))


def simulate(found: Simulation, *, theme: Theme = "light") -> Figure:
    """The spread of times of requests, and how many are in the engine over time."""
    _is(found, "Simulation")
    from roofsim.reports.figures.simulation import simulation as figure

    return figure(found, found.on, theme=_themed(theme))


def advise(found: Advice, *, theme: Theme = "light") -> Figure:
    """Candidates beside their budgets: how far within or beyond each."""
    _is(found, "Advice")
    from roofsim.reports.figures.advise import advise as figure

    return figure(found, theme=_themed(theme))


def show(found: Sheet, *others: Sheet, theme: Theme = "light") -> Figure:
    """Parameters and state of models, or the roofs of devices; raises InputError for other specs, or several kinds."""
    for each in (found, *others):
        _is(each, "Sheet")
    from roofsim.reports.figures.show import show as figure

    if len({each._kind for each in (found, *others)}) > 1:
        raise InputError("others: models or devices are drawn together, not specs of several kinds")
    return figure(found._kind, [each.spec for each in (found, *others)], found._dtype, theme=_themed(theme))


def calibrate(found: Calibrated, kind: OfFit = "predicted", *, theme: Theme = "light") -> Figure:
    """Predictions of rows that were held out over what was measured, their errors over length, or what was fitted."""
    _is(found, "Calibrated")
    from roofsim.reports.figures.folders import of_fit

    checked.one_of("kind", kind, OF_FIT)
    return of_fit(kind, found, theme=_themed(theme))


def validate(found: Validated, kind: OfValidation = "predicted", *, theme: Theme = "light") -> Figure:
    """Predictions over what was measured, with their intervals, or their errors over length."""
    _is(found, "Validated")
    from roofsim.reports.figures.folders import of_validation

    checked.one_of("kind", kind, OF_VALIDATION)
    return of_validation(kind, found, theme=_themed(theme))
