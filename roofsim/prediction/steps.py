"""The steps that a request goes through: the pieces of its prompts, and the tokens that follow.

A runtime cuts the step, not the sequence: so many new tokens of all sequences go through at once.
"""

from __future__ import annotations

from dataclasses import replace

from roofsim.foundation.arith import Number, at_least, ceil, maximum, minimum, single
from roofsim.model.step import Pass, Routing
from roofsim.prediction.setup import Setup
from roofsim.specs.workload import Workload

SIMPSON = ((1 / 6, 0), (4 / 6, 1 / 2), (1 / 6, 1))
"""Weights and places of Simpson's rule over an interval of length one."""


def held_sequences(s: Setup, w: Workload) -> Number:
    """Sequences that a device holds a share of: those of its group of `dp`, of which some have one more than others."""
    return w.batch if s.split.dp == 1 else ceil(w.batch / s.split.dp)


def in_flight(s: Setup, w: Workload) -> Number:
    """Parts into which a batch is cut, so that every stage of a pipeline has one at the same time."""
    if s.split.pp == 1 or not s.runtime.parallel.micro_batches or s.waits:
        return 1
    return minimum(s.split.pp, held_sequences(s, w))


def sequences(s: Setup, w: Workload) -> Number:
    """Sequences of a device that go through a stage together."""
    held, parts = held_sequences(s, w), in_flight(s, w)
    return held if single(parts) and float(parts) == 1 else ceil(held / parts)


def overlaps(s: Setup) -> bool:
    """Whether devices compute one half of a step while they exchange the other."""
    return s.runtime.parallel.overlaps == "halves" and not s.split.alone


def halves(s: Setup, p: Pass) -> Number:
    """Passes that a step goes through: two where halves overlap, one of a single token."""
    if not overlaps(s):
        return 1
    return 2 if p.phase == "prefill" else 1 + at_least(p.batch, 2)


def half(s: Setup, p: Pass) -> Pass:
    """What goes through at once: half the sequences, of a single prompt half its tokens, each with half its keys."""
    return replace(p, batch=p.batch / halves(s, p)) if overlaps(s) else p


def routing(s: Setup, alike: int) -> Routing:
    """How the runtime gets tokens to experts where so many devices have the same ones."""
    policy = s.runtime.parallel
    spread = policy.expert_spread.value if policy.expert_spread else 0
    return Routing(spread, s.split.ep > alike, policy.tokens == "gathered")


def prefill(s: Setup, w: Workload) -> Pass:
    """The pass over whole prompts, after the model's own prefix tokens.

    Keys of latent attention are expanded for all queries together, which attention to tokens chosen for each cannot
    use: stacks that attend to latents in a step do so here as well.
    """
    new = w.prompt + s.architecture.prefix_tokens
    logits = w.logits or s.runtime.logits
    scored = 1 if s.runtime.narrows and logits == "last" else None
    latents = s.runtime.attention.latents if s.architecture.chooses_tokens else "expanded"
    p = Pass(sequences(s, w), new, 0, s.precision(w), logits, latents=latents, scored=scored)
    return p if s.split.ep == 1 else replace(p, routing=routing(s, s.split.tp))


def decode(s: Setup, w: Workload, done: Number = 0) -> Pass:
    """The step after the prompt and `done` generated tokens."""
    held = w.prompt + s.architecture.prefix_tokens + done
    precision = s.precision(w)
    p = Pass(sequences(s, w), 1, held, precision, "last", "decode", s.runtime.attention.latents)
    return p if s.split.ep == 1 else replace(p, routing=routing(s, s.split.tp * s.split.cp))


def turns(s: Setup, batch: Number, most: int = 0) -> Number:
    """How often a stack that runs only so many sequences at once takes new ones until all of a batch have run.

    `most` is how many, if those are not the runtime's.
    """
    at_once = most or s.runtime.sequences
    return 1 if at_once is None else ceil(batch / at_once)


def is_large(s: Setup) -> Number:
    """1 where the runtime takes the device to have much memory, else 0."""
    policy, name = s.runtime.memory, s.device.name.lower()
    if policy.large_from is None or any(word in name for word in policy.small):
        return 0
    return at_least(s.device.memory.capacity.value, policy.large_from.value)


def most_tokens(s: Setup) -> Number | None:
    """The most tokens that go through at once on this device; None if there is no such limit."""
    policy = s.runtime.memory
    if policy.chunk is None or policy.large_chunk is None or policy.large_from is None:
        return policy.chunk
    large = is_large(s)
    return policy.chunk + large * (policy.large_chunk - policy.chunk)


def pieces(s: Setup, w: Workload) -> tuple[tuple[Number, Pass], ...]:
    """The passes that prompts go through, each with how often: one, or full ones and a last where steps are cut.

    The work of a piece grows with what came before it, so that three stand for all the full ones (Simpson's rule).
    Where only scored positions go on, that is in the last piece of a prompt.
    """
    whole = prefill(s, w)
    most = most_tokens(s)
    if most is None or (single(whole.tokens) and single(most) and float(whole.tokens) <= float(most)):
        return ((1, whole),)
    beside = _beside(s, whole, most)
    # of whole numbers, so that no last bit decides how many pieces there are and of how many tokens
    together = minimum(whole.batch * whole.new, maximum(s.runtime.memory.side_by_side or most, whole.new))
    each = minimum(whole.new, whole.new * most / together)
    full = maximum(ceil(together / most) - 1, 0)
    groups = whole.batch / beside
    last = _piece(whole, beside, whole.new - full * each, together - full * most, full * each)
    if single(full) and float(full) == 0:
        return ((groups, last),)
    earlier = replace(_piece(whole, beside, each, minimum(together, most)), scored=None if whole.scored is None else 0)
    return (
        *((groups * full * share, replace(earlier, context=before * each)) for share, before in samples(full)),
        (groups, last),
    )  # fmt: skip


def _piece(whole: Pass, batch: Number, new: Number, tokens: Number, context: Number = 0) -> Pass:
    """A piece of so many tokens in all, which are a whole number also where those of a sequence are not."""
    return replace(whole, batch=batch, new=new, context=context, padding=tokens - batch * new)


def late(s: Setup, w: Workload, turns: Number = 1) -> tuple[tuple[Number, Pass], ...]:
    """The step that is left of the prompts where sequences that are through have taken room in the steps before it.

    Sequences decode in every step after the one that ended their prompts, so that the last of `full` + 1 pieces no
    longer fits; what is left goes with a token of every sequence. For each of `turns`, in which a batch goes.
    """
    most = most_tokens(s)
    p = prefill(s, w)
    if most is None or not s.runtime.memory.mixed or (single(p.batch) and float(p.batch) <= 1):
        return ()
    batch = p.batch / turns
    tokens = batch * p.new
    full = ceil(tokens / most) - 1
    room = minimum(most / p.new * full * (full + 1) / 2, (batch - 1) * full)
    left = tokens - full * most + room - most
    again = at_least(left, 1) * at_least(full, 1)
    new = (maximum(left, 0) + batch) / batch
    return ((again * turns, replace(p, batch=batch, new=new, context=p.new, begins=0)),)


def last_piece(s: Setup, w: Workload) -> Pass:
    """The piece that ends a prompt, which holds the most."""
    whole = prefill(s, w)
    most = most_tokens(s)
    if most is None:
        return whole
    beside = _beside(s, whole, most)
    each = minimum(whole.new, most / beside)
    return replace(whole, batch=beside, new=each, context=whole.new - each)


def _beside(s: Setup, whole: Pass, most: Number) -> Number:
    """How many prompts a step has tokens of: as many as fit whole, or as go side by side."""
    return minimum(whole.batch, maximum((s.runtime.memory.side_by_side or most) / whole.new, 1))


def samples(steps: Number) -> tuple[tuple[float, Number], ...]:
    """Steps that stand for so many (the weight of each in the mean, and the tokens before it): Simpson's rule."""
    if single(steps) and float(steps) <= 1:
        return ((1, 0),)
    return tuple((share, at * maximum(steps - 1, 0)) for share, at in SIMPSON)
