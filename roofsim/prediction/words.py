"""What a prediction takes for granted, in words."""

from __future__ import annotations

from typing import Any

from roofsim import library
from roofsim.foundation.errors import Unsupported
from roofsim.foundation.units import show
from roofsim.model.step import Precision
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.fitted import outside
from roofsim.prediction.results import Room, interval_basis
from roofsim.prediction.setup import Setup, in_words, tier
from roofsim.prediction.steps import overlaps
from roofsim.specs.workload import STORED, Workload


def assumptions(s: Setup, w: Workload, *, one_length: bool = True) -> tuple[str, ...]:
    """What was taken for granted; raises Unsupported if nothing says who launches the kernels.

    Where not `one_length` is asked for, nothing is said of whether the data and the context window reach it.
    """
    said = [f"batch {w.batch}" if isinstance(w.batch, int) else "batches as given", w.dtype, *divided(s)]
    kept = w.weight_format or (STORED if s.architecture.stored else None)
    if kept and kept != w.dtype:
        precision = s.precision(w)
        bits = 8 * s.architecture.weight_bytes(precision) / s.architecture.total_parameters
        named = f"stored{_format(s)}" if kept == STORED else kept
        said.append(f"weights {named} ({bits:.3g} bits each in {s.model_name}{_multiplied(s, precision, w.dtype)})")
    if w.cache_dtype and w.cache_dtype != w.dtype:
        said.append(f"cache {w.cache_dtype}")
    said.append("logits of all positions" if (w.logits or s.runtime.logits) == "all" else "logits of the last position")
    if s.runtime.host.mode in ("eager", "inline"):
        if s.host is None:
            known = ", ".join(library.names("hardware/hosts"))
            raise Unsupported(
                f"{s.device.id}: names no host, and {s.runtime.id} launches from one; use --host, or say "
                f"`host: desktop` in its file: {known}"
            )
        dispatch = s.machine(w.dtype)["dispatch"]
        said.append(f"host {s.host.id} ({dispatch * 1e6:.3g} us a kernel)")
    if s.offload and not s.offload.placement.nothing:
        from roofsim.prediction.offload_report import words_of

        said.append(f"offload {s.offload.words}: {words_of(s)[1]} in the memory of the host, {tier(s).id}")
    if s.device.memory.usable and s.device.memory.usable.value < s.device.memory.capacity.value:
        usable, all_of_it = (show(float(size), "B") for size in (s.device.capacity, s.device.memory.capacity.value))
        said.append(f"{usable} of {all_of_it} of memory usable")
    if s.architecture.positions:
        said.append(f"{s.model_name} has {s.architecture.positions:,} positions")
    said += cautions(s, w, one_length=one_length)
    if s.device.power.tdp is None:
        said.append(f"no energy: the power that {s.device.id} draws is not published")
    if s.runtime.implementation and not s.architecture.family:
        said.append(f"{s.model_name} has no family: what {s.runtime.implementation} does for some alone is left out")
    said += [
        f"unsourced: {each}"
        for each in map(_unsourced, (s.architecture, s.device, s.runtime, s.host, s.cluster))
        if each
    ]
    model = s.model_name
    said += [note if note.startswith(model) else f"{model}: {note}" for note in s.architecture.notes]
    said += [f"changed: {change}" for change in s.changes]
    said += outside(s, w) if one_length else ()
    if s.calibration and any(change.startswith(SPEEDS) for change in s.changes):
        said.append(
            "intervals are of the device as it was measured: how well kernels would use a changed one is not in them"
        )
    said.append(basis_of(s))
    return tuple(said)


SPEEDS = ("device.memory.bandwidth", "device.peak.", "device.units", "device.clock", "device.cache.", "device.links.")
"""Fields of a device that efficiencies are shares of."""


def divided(s: Setup) -> list[str]:
    """What is taken for granted of several devices."""
    split, said = s.split, []
    if s.cluster is None:
        return []
    if split.alone:
        several = s.cluster.per_node if s.cluster.per_node > 1 else s.cluster.nodes
        return [f"one device of {s.cluster.name}; --tp {several} would share the model among {several}"]
    nodes = -(-split.devices // s.cluster.per_node)
    said.append(
        f"{split.devices} devices in {f'{nodes} nodes' if nodes > 1 else 'a node'} of {s.cluster.name}, "
        f"{in_words(split)}: memory and work are those of one device, energy is that of all"
    )
    if split.pp > 1:
        flight = (
            f"up to {split.pp} parts of the batch are in the pipeline at a time"
            if s.runtime.parallel.micro_batches
            else "one stage works at a time"
        )
        said.append(f"stages take the same time, {flight}")
    if split.dp > 1:
        said.append(f"each of {split.dp} groups takes its share of the batch")
    if s.split.ep > 1:
        spread = s.runtime.parallel.expert_spread
        evenly = "unevenly" if spread and spread.value else "evenly"
        said.append(f"experts are chosen {evenly}, the busiest device decides")
    if s.runtime.parallel.overlaps != "nothing":
        half = "one half of a step while they exchange the other" if overlaps(s) else "while they exchange"
        said.append(f"devices compute {half}")
    return said


def _format(s: Setup) -> str:
    """The format that a model's file is in, if it says one."""
    return f" as {s.architecture.stored.format}" if s.architecture.stored and s.architecture.stored.format else ""


def room(s: Setup) -> Room:
    """What the runtime can have of the device's memory."""
    share = s.runtime.memory.reserve
    size, usable, whole = (
        float(each) for each in (s.device.share(share or 1), s.device.capacity, s.device.memory.capacity.value)
    )
    words = show(size, "B")
    if size < usable:
        words = f"{words} that {s.runtime.id or s.runtime.name} takes"
    elif usable < whole:
        words = f"{words} usable"
    words = f"{words} ({show(whole, 'B')} in all)" if size < whole else words
    return Room(size, words, s.runtime.sequences)


MISFIT = "Does not fit: "


def beyond(e: Evaluation) -> tuple[str, ...]:
    """All that must be known before a figure of a request is used: first that it does not fit, if it does not."""
    have, positions = room(e.s), e.s.architecture.positions
    if not float(e.fits_behind):
        behind, there = (show(float(size), "B") for size in (e.behind, tier(e.s).capacity))
        return (f"{MISFIT}needs {behind} of {there} in the memory of the host, {tier(e.s).id}", *cautions(e.s, e.w))
    needed = max(float(e.memory.reserved), float(e.grown))
    found = cautions(e.s, e.w)
    if needed > have.bytes:
        digits = next((n for n in (3, 4, 5) if show(needed, "B", n) != show(have.bytes, "B", n)), 6)
        return f"{MISFIT}needs {show(needed, 'B', digits)} of {have.words}", *found
    if positions and e.w.prompt + e.steps > positions:
        return f"{MISFIT}{e.s.model_name} has {positions:,} positions", *found
    return found


def cautions(s: Setup, w: Workload, *, one_length: bool = True) -> tuple[str, ...]:
    """What must be known before a figure is used, beside whether the request fits."""
    found = []
    if not s.runtime.written_for(s.device.vendor, s.device.kind):
        found.append(elsewhere(s))
    if one_length and s.offload and all(isinstance(each, int) for each in (w.batch, w.prompt, w.generate)):
        found += _paged(Evaluation(s, w))
    window, at_once = s.architecture.window, s.runtime.sequences
    if s.architecture.positions:
        window = 0  # there a longer one does not fit
    if one_length and window and _last(w) > window:
        found.append(f"beyond the context window of {s.model_name}, {window:,} tokens")
    if at_once and isinstance(w.batch, int) and w.batch > at_once:
        found.append(f"{s.runtime.id or s.runtime.name} runs {at_once:,} sequences at once, the others wait")
    return tuple(found)


def _paged(e: Evaluation) -> list[str]:
    """That weights find no room in the memory of the host either, if so."""
    beyond = float(e.tiers.beyond(e.precision)) if e.tiers else 0
    return (
        [f"{show(beyond, 'B')} of weights come from the disk of the host, at best at its full rate"] if beyond else []
    )


def _last(w: Workload) -> int:
    """Tokens that a sequence holds at most, 0 where there are several lengths."""
    known = isinstance(w.prompt, int) and isinstance(w.generate, int)
    return w.prompt + max(w.generate - 1, 0) if known else 0


def _unsourced(spec: Any) -> str:
    """What of a spec says not where it is from, if anything."""
    silent = spec.unsourced if spec else ()
    name = spec.id or spec.name if spec else ""
    if "" in silent:
        return f"all of {name}"
    more = ", ..." if len(silent) > SOME else ""
    return f"{', '.join(silent[:SOME])}{more} of {name}" if silent else ""


def _multiplied(s: Setup, precision: Precision, dtype: str) -> str:
    """What quantised weights are multiplied as: on units of their own, as ggml's kernels do, or unpacked first."""
    if precision.units:
        return f", multiplied on {', '.join(precision.units)} units"
    if float(precision.weights) >= UNQUANTISED:
        return ""
    own = s.runtime.lowering in ("ggml_cuda", "ggml_cpu")
    return f", multiplied as {s.runtime.matrix_library.tiles}" if own else f", unpacked to {dtype}"


UNQUANTISED = 2
"""Bytes of the smallest floats that are multiplied as they are."""

SOME = 3
"""How many fields are named."""


def elsewhere(s: Setup) -> str:
    """That the software is not written for such a device, and which of that name is, else which at all."""
    d, software = s.device, s.runtime.id.partition("-")[0]
    known = map(library.runtime, library.names("runtimes"))
    there = [r.id for r in known if r.runs_on and r.written_for(d.vendor, d.kind)]
    fitting = [name for name in there if name.partition("-")[0] == software] or there
    named = ", ".join([*fitting[:-2], " and ".join(fitting[-2:])])
    other = f" ({named} {'is' if len(fitting) == 1 else 'are'})" if fitting else ""
    return f"{s.runtime.id} is written for {', '.join(s.runtime.runs_on)}, not for {d.vendor} {d.kind}{other}"


def basis_of(s: Setup) -> str:
    """Where the efficiencies are from."""
    c = s.calibration
    if c is None:
        near = f"; calibration {s.near}: --transfer takes over what can be" if s.near else ""
        return f"efficiencies are priors or stated by the device file, not fitted to this machine{near}"
    origin = f", transferred from {c.transferred_from}" if c.transferred_from else ""
    return f"calibration {c.id or c.name}{origin}: {c.dataset.used} rows of {c.dataset.file}, fitted {c.date}"


def interval_label(calibration: str | None) -> str:
    """What a band or a bar of a figure is, and what it rests on."""
    return f"95 % interval, {interval_basis(calibration)}"


def by(calibration: str | None) -> str:
    """What intervals rest on, in words."""
    return f"by calibration {calibration}" if calibration else "by the priors of such devices and runtimes"


def meaning_of_intervals(s: Setup) -> str:
    """What kind of interval the figures of a setup have, and what it is made of."""
    c = s.calibration
    if c is None:
        return (
            "These are 95 % intervals of the prior population: no calibration of this device with this runtime is "
            "used. They hold what devices and runtimes of such a class were seen to differ by, and how far predictions "
            "of one were off that had been learnt from the others."
        )
    moved = f", transferred from {c.transferred_from} and widened for that" if c.transferred_from else ""
    return (
        f"These are 95 % intervals by calibration {s.calibration_name}{moved}: they hold what its {c.dataset.used:,} "
        "measured rows leave open of its parameters, and how far predictions of rows were off that the fit had not "
        "seen. Parameters that it could not determine have the priors of such devices and runtimes."
    )
