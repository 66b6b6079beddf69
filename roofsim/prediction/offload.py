"""What of a model goes to the memory of the host: the division that is asked for, or the best one that fits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from roofsim import library
from roofsim.engine.placement import Placement
from roofsim.foundation.arith import single
from roofsim.foundation.errors import DoesNotFit, InputError, Unsupported
from roofsim.foundation.units import show
from roofsim.foundation.values import dataclass
from roofsim.model.architecture import Architecture
from roofsim.model.layers import by_experts, first_layers, layer_bytes
from roofsim.model.step import Pass
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.fitted import chosen
from roofsim.prediction.limits import largest
from roofsim.prediction.offload_words import ALL, NONE, WORDS, AskedFor, asked_for
from roofsim.prediction.setup import Offload, Setup, tier
from roofsim.specs.workload import Workload


def offloaded(s: Setup, w: Workload, words: str | None) -> Setup:
    """The setup with what is asked for in the memory of the host; of `auto` the fastest that fits.

    Raises InputError for words that say nothing, Unsupported for more layers than there are, where there is no such
    memory, or where the software cannot.
    """
    asked = NONE if words is None else asked_for(words)
    if isinstance(asked, AskedFor):
        return divided(s, _in_layers(s, w, asked))
    if asked == NONE:
        return whole(s)
    if not all(single(each) for each in (w.batch, w.prompt, w.generate)):
        raise InputError("offload: auto is of one request, and several are asked for; name a division")
    return best(s, w)


def _in_layers(s: Setup, w: Workload, asked: AskedFor) -> AskedFor:
    """The same with layers for bytes: as many as hold so many, of what a rank has; raises Unsupported for too many."""
    if asked.bytes is None:
        return asked
    precision, order = s.precision(w), s.rank.order
    sizes = {name: float(layer_bytes(s.rank, name, precision)) for name in s.rank.layers}
    left = asked.bytes
    for layers, name in enumerate(order):
        if left <= 0:
            return replace(asked, streamed=layers)
        left -= sizes[name]
    if left > 0:
        every = show(asked.bytes - left, "B")
        raise Unsupported(
            f"offload: '{asked.words}': the layers of the model have {every} on each device; stream is all"
        )
    return replace(asked, streamed=ALL)


def served(s: Setup, w: Workload, words: str | None) -> Setup:
    """The setup with a division for steps of many requests; raises Unsupported for one that is for single requests."""
    asked = NONE if words is None else asked_for(words)
    if not isinstance(asked, AskedFor):
        if asked == NONE:
            return whole(s)
        raise InputError("offload: auto is of one request, and a server has many; name a division")
    made = divided(s, _in_layers(s, w, asked))
    if made.waits:
        raise Unsupported(
            f"offload: {s.runtime.id} serves with what its devices compute; weights can come over the link: stream=N, "
            "experts=stream"
        )
    return made


def divided(s: Setup, asked: AskedFor) -> Setup:
    """The setup with a division: how much of it lies on the host is counted from the first layer on.

    `layers` is as -ngl of llama.cpp counts: the LM head first, and then layers from the last one on; the others and the
    table of tokens are on the host, which computes with them.
    """
    a, depth = s.architecture, s.architecture.depth
    on_device = _of(asked, asked.layers, depth + 1, f"{depth} layers and the LM head, which is one more")
    away = 0 if on_device is None or on_device == depth + 1 else depth - max(on_device - 1, 0)
    computed = first_layers(a, away)
    streamed = first_layers(a, _of(asked, asked.streamed, depth) or 0)
    experts = _of(asked, asked.experts, depth)
    held = _with_experts(s, experts, away) if experts is not None else {}
    how = asked.how or ("cpu" if s.runtime.offload.processor else "stream")
    where = Placement(
        computed,
        held if how == "cpu" else {},
        streamed,
        held if how == "stream" else {},
        head=on_device == 0,
        cache=asked.cache,
    )
    if asked.cache and not s.runtime.offload.caches:
        raise Unsupported(_no_caches(s))
    if asked.streamed is not None or where.streamed_experts or (experts is not None and how == "stream"):
        _streams(s)
    by_processor = beside(s) if asked.layers is not None or (experts is not None and how == "cpu") else None
    tier(s)
    if where.nothing:
        return whole(s)
    _together(s, where)
    return replace(s, offload=Offload(_spelled(where, on_device, how, depth, a), where, by_processor))


def _of(asked: AskedFor, number: int | None, most: int, what: str = "") -> int | None:
    """How many layers are meant; raises Unsupported for more than there are."""
    if number is not None and number > most:
        raise Unsupported(f"offload: '{asked.words}': the model has {what or f'{most} layers'}")
    return most if number == ALL else number


def _with_experts(s: Setup, layers: int, away: int) -> dict[str, int]:
    """How often each kind with routed experts is among the first so many layers, but for those that are `away`."""
    a = s.architecture
    if not any(has_experts(s, name) for name in a.layers):
        raise Unsupported(f"offload: {s.model_name} has no routed experts; layers=N puts whole layers on the host")
    gone = first_layers(a, min(away, layers))
    among = {name: n - gone.get(name, 0) for name, n in first_layers(a, layers).items() if has_experts(s, name)}
    return {name: n for name, n in among.items() if n}


def _spelled(where: Placement, on_device: int | None, how: str, depth: int, a: Architecture) -> str:
    """A division in the fewest words that say it."""
    said = []
    away = sum(where.computed.values())
    if where.computed:
        said.append(f"layers={on_device}")
    experts = {**where.experts, **where.streamed_experts}
    if experts:
        last = _reaches(a, experts, away)
        said.append(f"experts={how}" if last == depth else f"experts={how}:{last}")
    if where.streamed:
        layers = sum(where.streamed.values())
        said.append("stream" if layers == depth else f"stream={layers}")
    return "+".join([*said, *(["cache"] if where.cache else [])])


def _reaches(a: Architecture, experts: Mapping[str, int], away: int) -> int:
    """Of how many layers from the first on experts lie on the host; of all, if none of those left have any."""
    gone, total = first_layers(a, away), a.counts
    if all(n == total[name] - gone.get(name, 0) for name, n in experts.items()):
        return a.depth
    for layers in range(away, a.depth):
        found = first_layers(a, layers)
        if all(found.get(name, 0) - gone.get(name, 0) >= n for name, n in experts.items()):
            return layers
    return a.depth


def _together(s: Setup, where: Placement) -> None:
    """Raises Unsupported where several devices cannot have a division."""
    if s.split.alone:
        return
    if s.cluster and s.devices > s.cluster.per_node:
        raise Unsupported(
            f"offload: {s.devices} devices of {s.cluster_name} stand in several nodes, of which each has "
            f"{s.cluster.per_node} devices and a memory of its own; ask for as many as one has"
        )
    others = [f"--{name} {n}" for name in ("dp", "cp", "ep") if (n := getattr(s.split, name)) > 1]
    if (where.computed or where.experts) and others:
        raise Unsupported(
            f"offload: what the processor of the host computes is of devices that work on the same tokens (--tp, "
            f"--pp), not with {', '.join(others)}"
        )
    if where.head:
        raise Unsupported(f"offload: layers=0 leaves nothing for {s.devices} devices")
    try:
        replace(s, offload=Offload("", where, None)).stage  # noqa: B018 - which is where it is divided
    except InputError as error:
        raise Unsupported(str(error)) from None


def _no_caches(s: Setup) -> str:
    others = [each for each in library.names("runtimes") if library.runtime(each).offload.caches]
    return (
        f"offload: {s.runtime.id} keeps caches of running sequences on the device; {', '.join(others)} can have them "
        "on the host. What leaves the device and is loaded again: roofsim reload"
    )


def whole(s: Setup) -> Setup:
    """The setup with all of the model on the device."""
    return replace(s, offload=None) if s.offload else s


def has_experts(s: Setup, name: str) -> bool:
    """Whether a kind of layer has routed experts."""
    a = s.architecture
    return any(any(by_experts(part.operators(Pass(1, 1, 0), a.d_model))) for part in a.layers[name])


def beside(s: Setup) -> Setup:
    """What computes on the host: its processor with the runtime that the runtime has for it; raises Unsupported."""
    name = s.runtime.offload.processor
    if name is None:
        others = [each for each in library.names("runtimes") if library.runtime(each).offload.processor]
        raise Unsupported(
            f"offload: {s.runtime.id} computes nothing on the host; {', '.join(others)} do"
            + ("; it can stream: ask for --offload stream" if s.runtime.offload.streams else "")
        )
    made = Setup(s.architecture, tier(s), library.runtime(name), s.host)
    return chosen(made)


def _streams(s: Setup) -> None:
    """Raises Unsupported where weights cannot come to the device from the host."""
    tier(s)
    if s.runtime.offload.streams is None:
        others = [each for each in library.names("runtimes") if library.runtime(each).offload.streams]
        raise Unsupported(
            f"offload: {s.runtime.id} streams no weights to the device; {', '.join(others)} do"
            + ("; ask for --offload layers=N" if s.runtime.offload.processor else "")
        )


def best(s: Setup, w: Workload) -> Setup:
    """The setup with the fastest division that fits, by the time of the whole request; as it is if it fits whole.

    In each family of divisions the more lies on the device the faster, so that of each the largest that fits is looked
    at. Raises Unsupported if there is none.
    """
    s = whole(s)
    if fits(s, w):
        return replace(s, offload=Offload(NONE, Placement(), None, found=True))
    e = Evaluation(s, w)  # kernels are the same wherever they run: they are lowered once
    found = [each for family in families(s) for each in _most(family, e)]
    if not found:
        families_known = ", ".join(WORDS[2:-1])
        raise DoesNotFit(
            f"offload: no division of {s.model_name} between {s.device.id} and its host fits both, at batch {w.batch} "
            f"and {w.prompt:,} + {w.generate:,} tokens (of {families_known})"
        )
    fastest = min(found, key=lambda each: float(e.under(each).total_time))
    return replace(fastest, offload=replace(fastest.offload, found=True)) if fastest.offload else fastest


@dataclass(frozen=True, slots=True)
class Family:
    """Divisions by how many layers are away, of at most so many; `of` are all that could be on the device."""

    made: Callable[[int], Setup]
    most: int
    of: int


def families(s: Setup, *, cache: bool = False) -> Iterator[Family]:
    """What the software can do: whole layers, experts or both on the host, computed there or streamed.

    Beside them caches lie there, if that is said.
    """
    policy, depth = s.runtime.offload, s.architecture.depth
    tier(s)
    experts = any(has_experts(s, name) for name in s.architecture.layers)
    if policy.processor is None and policy.streams is None:
        beside(s)

    def of(**asked: Any) -> Setup:
        return divided(s, AskedFor("", cache=cache, **asked))

    whole_model = depth + 1
    most = whole_model if s.split.alone else depth - s.split.pp  # each of several needs a layer, the last the head
    if policy.processor and s.split.dp * s.split.cp * s.split.ep == 1:
        yield Family(lambda away: of(layers=whole_model - away), most, whole_model)
        if experts:
            yield Family(lambda away: of(experts=away, how="cpu"), depth, depth)
            yield Family(lambda away: of(layers=whole_model - away, experts=ALL, how="cpu"), most, whole_model)
    if policy.streams:
        yield Family(lambda away: of(streamed=away), depth, depth)
        if experts:
            yield Family(lambda away: of(experts=away, how="stream"), depth, depth)


def _most(family: Family, e: Evaluation) -> Iterator[Setup]:
    """The division of a family with the fewest layers away that fits the device, if it fits the host too."""
    made, most = family.made, family.most

    def fits_with(kept: int) -> bool:
        return bool(e.under(made(most - kept)).fits_device)

    if fits_with(0):
        found = made(most - (largest(lambda n: fits_with(n - 1), most) - 1))
        if e.under(found).fits:
            yield found


def fits(s: Setup, w: Workload) -> bool:
    """Whether a request of numbers fits both memories."""
    return bool(Evaluation(s, w).fits)
