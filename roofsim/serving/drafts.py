"""What drafts tokens: another model, the text itself, or a head on the model's last hidden state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

from roofsim.foundation.errors import InputError
from roofsim.foundation.schema import variant
from roofsim.foundation.values import dataclass
from roofsim.model.architecture import Architecture, Layer, Stretch
from roofsim.model.ffn.draft_input import DraftInput
from roofsim.model.part import Part
from roofsim.model.step import Precision
from roofsim.prediction.request import settled
from roofsim.prediction.setup import Setup, setup
from roofsim.serving.acceptance import Acceptance
from roofsim.serving.shapes import Shape
from roofsim.serving.timed import within_step
from roofsim.specs.workload import Workload

Kind = Literal["model", "ngram", "mtp", "eagle", "eagle3", "medusa"]

CALLED = {
    "ngram": "n-grams of the text", "mtp": "the MTP module", "eagle": "an EAGLE head", "eagle3": "an EAGLE-3 head",
    "medusa": "Medusa heads",
}  # fmt: skip
"""What drafts beside models, by the words for it."""

VOCABULARIES = 128
"""Tokens by which two vocabularies may differ and still be one, padded to other sizes (`SPEC_VOCAB_MAX_SIZE_DIFFERENCE`
of llama.cpp, common/speculative.cpp)."""

TABLES = ("embedding", "lm_head")
"""Matrices that a head has of its model."""

FREQUENT = 32000
"""Tokens that an EAGLE-3 head may draft (`draft_vocab_size` of published ones, of SpecForge's and of NVIDIA's)."""


@dataclass(frozen=True, slots=True)
class Drafter:
    """What drafts, on what the model runs on; `s` and `w` are None where drafts take no pass of any network.

    `joined` is the network of its first pass in a round, where that is another. `notes` are what was taken for granted
    of it.
    """

    kind: Kind
    name: str
    s: Setup | None = None
    w: Workload | None = None
    notes: tuple[str, ...] = ()
    joined: Architecture | None = None

    def weights(self, drafted: Shape) -> float:
        """Bytes of weights that are held for it, beside the model's."""
        if self.s is None or self.w is None:
            return 0.0
        precision, network = self.s.precision(self.w), self.s.stage
        if self.joined is not None:
            network = replace(self.s, architecture=self.joined).stage
        held = float(network.weight_bytes(precision))
        if self.kind == "model":
            return held
        tables = TABLES[:1] if self.kind in ("eagle3", "medusa") else TABLES
        shared = {m.operator: m.count * m.weights for m in network.matrices if m.operator in tables}
        own = held - sum(float(size * precision.of(name)) for name, size in shared.items())
        return own * drafted.depth if self.kind == "medusa" else own  # a head for each place

    def passes(self, drafted: Shape) -> Iterator[tuple[int, int, Setup]]:
        """Its passes in a round: how many, new tokens of a sequence in each, and the setup as it runs within a step.

        The first of a head goes over all that may have been accepted, whose states it has from the verification: stacks
        pad it to that (`prepare_inputs_padded` of vLLM, draft extension in SGLang). A model has read what it drafted.
        Medusa's heads each read the last state alone.
        """
        if self.s is None:
            return
        if self.kind == "medusa":
            yield drafted.depth, 1, replace(self.s, runtime=within_step(self.s.runtime))
            return
        runtime = within_step(self.s.runtime, self.kind == "eagle3")
        first = self.s if self.joined is None else replace(self.s, architecture=self.joined)
        yield 1, 1 if self.kind == "model" else drafted.depth + 1, replace(first, runtime=runtime)
        if drafted.depth > 1:
            yield drafted.depth - 1, drafted.width, replace(self.s, runtime=runtime)

    def state(self, tokens: float) -> float:
        """Bytes of its cache of one sequence of so many tokens, on a device."""
        if self.s is None or self.w is None:
            return 0.0
        return float(self.s.stage.state_bytes(tokens, self.s.precision(self.w)))


def drafter(s: Setup, w: Workload, draft: str | Architecture, weights: str | None = None) -> Drafter:
    """What a word or a model means; `weights` is the format of a draft's weights, if that is not the model's.

    Raises InputError for a model with another vocabulary or more parameters, and what looking one up raises.
    """
    own = w if weights is None else variant(w, weight_format=weights)
    if draft == "ngram":
        note = "looking drafts up takes no time of the device, and the host does it while the device is at work"
        return Drafter("ngram", "ngram", notes=(note,))
    heads: tuple[Kind, ...] = ("mtp", "eagle", "eagle3", "medusa")
    for kind in heads:
        if draft == kind:
            network, joined = predictor(s.architecture, dense=kind != "mtp"), None
            if kind == "medusa":
                network = _guessing(network)
            if kind == "eagle3":
                network = variant(network, vocab=min(network.vocab, FREQUENT), tied_embeddings=False)
                joined = _joining(network)
            said = tuple(_said(s.architecture, kind))
            return Drafter(kind, kind, replace(s, architecture=network, offload=None), own, said, joined)
    found = setup(draft, s.device, s.runtime, s.host)
    theirs, ours = found.architecture, s.architecture
    if abs(theirs.vocab - ours.vocab) > VOCABULARIES:
        raise InputError(
            f"draft: {found.model_name} has {theirs.vocab:,} tokens in its vocabulary and {s.model_name} "
            f"{ours.vocab:,}; a draft must be of the same tokens"
        )
    if theirs.total_parameters > ours.total_parameters:
        raise InputError(
            f"draft: {found.model_name} ({theirs.total_parameters / 1e9:.3g} B parameters) is larger than "
            f"{s.model_name} ({ours.total_parameters / 1e9:.3g} B), whose tokens it would draft; name the smaller one"
        )
    ways = s.split if theirs.inventory.experts else replace(s.split, ep=1)  # it is divided as the model is
    found = replace(
        found, calibration=s.calibration, parameters=s.parameters, near=s.near, split=ways, cluster=s.cluster
    )
    return Drafter("model", found.model_name, found, settled(found, variant(own, logits="last")))


def _said(network: Architecture, kind: Kind) -> Iterator[str]:
    """What is assumed of a head."""
    name = network.id or network.name
    if kind == "mtp" and not network.mtp_modules:
        yield f"no MTP module of {name} is known: as if it had one, of one of its own layers"
    if kind == "mtp" and network.mtp_modules == 1:
        yield "one MTP module, which drafts token after token, each from what it made of the one before"
    if kind == "eagle":
        yield "the head is one dense layer as wide as what a token uses of the model's, and has the model's LM head"
    if kind == "medusa":
        yield "each head is a matrix as wide as the model and an LM head of its own, and guesses a place of its own"
    if kind == "eagle3":
        yield (
            f"the head is one dense layer as wide as what a token uses of the model's, and has an LM head of "
            f"{min(network.vocab, FREQUENT):,} tokens; the first pass of a round joins states of three layers"
        )


def check_drafted(drafter: Drafter, a: Acceptance, tokens: int | None, tree: Shape | None) -> None:
    """Raises InputError for drafts that cannot be."""
    if tokens is not None and not 1 <= tokens <= (a.most or 10**3):
        ends = f"from 1 to {a.most}, the places that --accept speaks of" if a.most else "from 1 to 1,000"
        raise InputError(f"draft tokens: {tokens} is not a number of drafted tokens; it lies {ends}")
    if tree is None:
        return
    if tokens is not None:
        raise InputError("draft tokens, tree: a tree says itself how many tokens are drafted; give one of them")
    if a.most is not None and tree.depth > a.most:
        raise InputError(f"tree depth: {tree.depth}; --accept speaks of {a.most} places")
    if drafter.kind == "ngram":
        raise InputError("tree: what followed in the text before is one way on; a tree is drafted by a model or a head")


def predictor(network: Architecture, dense: bool = False) -> Architecture:
    """The network of a head: one matrix that joins state and token, one layer as the model's, its norm and LM head.

    The layer is the last that keeps a cache of keys (in hybrids too, as vLLM's qwen3_5_mtp.py has it), if there is any;
    with `dense` experts are as wide an MLP as a token uses.
    """
    layer = tuple(_dense(part) if dense else part for part in _layer(network))
    return variant(
        network, name=f"draft head of {network.name}", id=f"head of {network.id or network.name}",
        layers={"draft": (DraftInput(kind="draft_input"), *layer)}, layout=(Stretch(repeat=1, of=("draft",)),),
        parallel_residual=False, shared_norm=False, published_parameters=None, mtp_modules=0, notes=(),
        embedding_norm=False, prefix_tokens=0,
    )  # fmt: skip


def _guessing(network: Architecture) -> Architecture:
    """One of Medusa's heads: a matrix as wide as the model, and an LM head of its own (arXiv 2401.10774, eq. 1)."""
    block = DraftInput(kind="draft_input", inputs=1)
    return variant(
        network, layers={"draft": (block,)}, layout=(Stretch(repeat=1, of=("draft",)),), final_norm=False,
        tied_embeddings=False,
    )  # fmt: skip


def _joining(network: Architecture) -> Architecture:
    """An EAGLE-3 head with the matrix that makes one state of those of three layers (arXiv 2503.01840, figure 5)."""
    join = DraftInput(kind="draft_input", inputs=3)
    return variant(
        network, layers={"join": (join,), **network.layers}, layout=(Stretch(repeat=1, of=("join",)), *network.layout)
    )


def _layer(network: Architecture) -> Layer:
    """The parts of the layer that a head has."""
    layers = [network.layers[name] for stretch in reversed(network.layout) for name in reversed(stretch.of)]
    chosen = next((layer for layer in layers if any(map(_attends, layer))), layers[0])
    if len(chosen) > 1 or not _attends(chosen[0]):
        return chosen
    mixing = next((part for layer in layers for part in layer if not _keeps(part)), None)
    return (*chosen, mixing) if mixing else chosen


def _attends(part: Part) -> bool:
    one, two = (float(part.state_bytes(tokens, Precision())) for tokens in (1, 2))
    return two > one


def _keeps(part: Part) -> bool:
    return float(part.state_bytes(1, Precision())) > 0


def _dense(part: Any) -> Part:
    """A channel mixer without experts, as wide as what a token uses of it; other parts as they are."""
    if part.kind == "dense_and_moe":
        return _dense(part.moe)
    if part.kind != "moe":
        return part  # type: ignore[no-any-return]
    from roofsim.model.ffn.gated_mlp import GatedMlp

    return GatedMlp(kind="gated_mlp", width=part.top_k * part.width + (part.shared_width or 0))
