"""What a network computes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, fields, replace
from functools import cached_property
from itertools import groupby
from typing import Annotated, Any, ClassVar, Literal

from roofsim.foundation.arith import Number, maximum, single
from roofsim.foundation.errors import InputError, one_of
from roofsim.foundation.quantity import Documented, Name, Valued
from roofsim.foundation.schema import Extra, Limit, Size, Spec, assembled, default, items, variant
from roofsim.foundation.values import dataclass
from roofsim.model import contexts
from roofsim.model.groups import side_by_side
from roofsim.model.part import Part, added_up, elementwise, exchange, linear
from roofsim.model.split import Indivisible, Split, possible
from roofsim.model.step import Pass, Precision
from roofsim.model.weights import ENCODINGS, WEIGHT_FORMATS, Inventory, Matrix
from roofsim.ops import collective, pointwise
from roofsim.ops.base import CostFunction, Operator, Role

Layer = tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """Equal layers: their name, how often they occur, and the operators of one."""

    layer: str
    count: int
    operators: tuple[Operator, ...]


class Stretch(Spec):
    """Layers that follow each other, and how often they do."""

    repeat: Size
    """How often all of them come, one time after the other."""
    of: Annotated[tuple[str, ...], Limit(min_length=1)]
    """Their names, in order."""


Norm = Literal["rms", "rms_no_weights", "layer", "layer_no_bias", "layer_no_weights"]
NORM_VECTORS = {"rms": 1, "rms_no_weights": 0, "layer": 2, "layer_no_bias": 1, "layer_no_weights": 0}
"""Learned vectors of each kind of norm."""


class Published(Valued):
    """The number of parameters that its makers or a checkpoint state."""

    value: Annotated[int, Limit(gt=0)]
    """The number."""
    digits: Annotated[int, Limit(ge=1, le=15)] | None = None
    """Significant digits of it, if it is rounded."""
    source: str = ""
    """Where it is from."""

    def agrees(self, parameters: int) -> bool:
        """Whether a count is the one stated, rounded as it is."""
        return (parameters if self.digits is None else int(float(f"{parameters:.{self.digits}g}"))) == self.value


class Stored(Spec):
    """How the weights of a quantised file are stored."""

    bits: Mapping[str, Annotated[float, Limit(gt=0, le=10_000)]]
    """Bits per weight: of what each operator reads, of other matrices (weights) and of the vectors."""
    source: str = ""
    """Where they are from."""
    format: str | None = None
    """The weight format of what is quantised, where there is one, which says how it is multiplied."""
    family: str | None = None
    """Where there is none, the family of encodings of what is quantised (ggml): a runtime needs kernels for it."""

    def __post_init__(self) -> None:
        if missing := {"weights", "vectors"} - set(self.bits):
            raise ValueError(f"bits: {', '.join(sorted(missing))} is missing")
        if self.format is not None and self.format not in WEIGHT_FORMATS:
            raise ValueError(f"format: {one_of('weight format', self.format, WEIGHT_FORMATS)}")
        families = sorted({each.family for each in ENCODINGS.values() if each.family})
        if self.family is not None and self.family not in families:
            raise ValueError(f"family: {one_of('family of encodings', self.family, families)}")


class Architecture(Documented):
    """A decoder-only language model: kinds of layer by name, and how they are stacked."""

    derived: ClassVar[tuple[str, ...]] = ("split", "begins", "ends", "stream_shared")
    split: ClassVar[Split] = Split()
    """The ranks of which this is what one computes."""
    begins: ClassVar[bool] = True
    """Whether the embedding is part of it."""
    ends: ClassVar[bool] = True
    """Whether the LM head is."""
    stream_shared: ClassVar[bool] = False
    """Whether each rank of a layer has the stream of a share of the tokens between its parts."""

    name: str
    """What it is called in full."""
    id: str = ""
    """What it is called on the command line: its file."""
    family: str = ""
    """The kind of model as which software knows it (llama, qwen2, mamba2: the model_type of a config.json). Runtimes
    that run some families only, llama.cpp and vLLM, need it; others run a model without one as they run most."""
    aliases: tuple[Name, ...] = ()
    """Other names of a shipped file."""
    d_model: Size
    """Width of the residual stream."""
    vocab: Size
    """Rows of the embedding and outputs of the LM head, padding included: so many logits has each position that
    is scored."""
    tied_embeddings: bool
    """Whether the LM head is the embedding, and counts once."""
    norm: Norm = "rms"
    """The norms of the layers and the last: RMS with a scale, or LayerNorm with scale and shift, or with less."""
    norm_position: Literal["before", "after", "both"] = "before"
    """Whether a norm stands before each part of a layer, after it, or both."""
    parallel_residual: bool = False
    """Whether all parts of a layer read its input, and not what the part before made of it."""
    shared_norm: bool = False
    """Whether those have one norm before them, and not each its own."""
    final_norm: bool = True
    """Whether a norm stands before the LM head."""
    positions: Extra = 0
    """Rows of a table of learned positions, beyond which no sequence goes; 0 if it has none."""
    spare_positions: Extra = 0
    """Rows that the table has more than that."""
    context_window: Size | None = None
    """Tokens that it was made for, where nothing but training ends there: predictions beyond it say so."""
    prefix_tokens: Extra = 0
    """Learned tokens that are put before every prompt."""
    embedding_width: Size | None = None
    """Width of the embedding, where two matrices go between it and the model's."""
    embedding_norm: bool = False
    """Whether what the layers read is normed first."""
    embedding_scaled: bool = False
    """Whether it is multiplied by a number."""
    lm_head_bias: bool = False
    """Whether the LM head has a bias."""
    logits_scaled: bool = False
    """Whether the logits are multiplied by a number."""
    logits_soft_cap: bool = False
    """Whether the logits are bent by a hyperbolic tangent."""
    mtp_modules: Extra = 0
    """Layers that guess further tokens, which its makers publish beside the model (num_nextn_predict_layers). They are
    not part of a prediction, but can draft (`roofsim speculate --draft mtp`)."""
    layers: Annotated[Mapping[str, Layer], Limit(min_length=1)]
    """Kinds of layer by names that you choose, each a list of parts in their order. A part is one residual branch: its
    `kind` says what it computes (docs/mixers.md), the norm before it and the sum after it are there without being
    said."""
    layout: Annotated[tuple[Stretch, ...], Limit(min_length=1)]
    """How they are stacked, from the first layer to the last: `{repeat: 6, of: [mamba, mamba, attention]}` is 18
    layers, of which every third attends."""
    published_parameters: Published | None = None
    """The number of parameters that its makers or a checkpoint state; shown beside the count."""
    stored: Stored | None = None
    """How the weights of a quantised file are stored."""
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What predictions are to say among their assumptions, such as what of a published file is not counted."""

    def __post_init__(self) -> None:
        super().__post_init__()
        used = {name for stretch in self.layout for name in stretch.of}
        if unknown := sorted(used - set(self.layers)):
            raise ValueError(f"layout names layers that are not defined: {', '.join(unknown)}")
        if unused := sorted(set(self.layers) - used):
            raise ValueError(f"layers defined but not in the layout: {', '.join(unused)}")

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """How often each layer occurs."""
        counter: Counter[str] = Counter()
        for stretch in self.layout:
            for name in stretch.of:
                counter[name] += stretch.repeat
        return counter

    @property
    def window(self) -> int:
        """Tokens of the longest sequence that it is made for, by its table of positions or its config; 0 for any."""
        return self.positions or self.context_window or 0

    @property
    def order(self) -> list[str]:
        """The kinds of all layers, from the first to the last."""
        return [name for stretch in self.layout for _ in range(stretch.repeat) for name in stretch.of]

    @property
    def depth(self) -> int:
        """Number of layers."""
        return sum(self.counts.values())

    def parts(self) -> Iterator[tuple[Part, int]]:
        """Every part of every kind of layer, with the number of its uses."""
        for name, count in self.counts.items():
            for part in self.layers[name]:
                yield part, count

    def sharded(self, split: Split) -> Architecture:
        """What one rank computes in a pass of the tokens of its share of the sequences, with what ranks exchange.

        Parts and vocabulary are divided, the stages of `pp` are not: they follow each other. Raises InputError if a
        size cannot be divided, with the numbers of ranks that can.
        """
        if split.alone:
            return self
        if split.ep > 1 and not any(
            operator.role == Role.ROUTING for row in self.rows(Pass(1, 1, 0)) for operator in row.operators
        ):
            raise InputError(f"ep {split.ep}: {self.name} has no experts to divide")
        if split.pp > self.depth:
            raise InputError(f"pp {split.pp}: {self.name} has {self.depth} layers, and each stage needs one")
        layers = {name: tuple(self._share(name, part, split) for part in layer) for name, layer in self.layers.items()}
        return variant(self, layers=layers, split=self.split * split)

    def sharing(self, caches: bool, stream: bool) -> Architecture:
        """The same rank where ranks hold shares of caches instead of copies, and of the stream; raises InputError.

        What stands between parts is then done for a share of the tokens, in place of all on each rank (Korthikanti et
        al. 2022, sequence parallelism, arXiv 2205.05198).
        """
        if not stream or self.split.tp == 1:
            shared = {name: tuple(part.shared() for part in layer) for name, layer in self.layers.items()}
            return variant(self, layers=shared) if caches and shared != self.layers else self
        if self.parallel_residual or self.norm_position != "before":
            raise InputError(f"{self.name}: the stream can be shared where a norm stands before each part, in turn")
        if any(part.joins is not collective.all_reduce for part, _ in self.parts()):
            raise InputError(f"{self.name}: the stream can be shared where the results of ranks are summands alone")
        return variant(self.sharing(caches, False), stream_shared=True)

    def _share(self, layer: str, part: Part, split: Split) -> Part:
        try:
            return part.sharded(split)
        except Indivisible as problem:
            can = possible(lambda ranks: [each.sharded(replace(split, tp=ranks, ep=1)) for each, _ in self.parts()])
            where = f"{self.name}, layer {layer}, {getattr(part, 'kind', '')}: {problem}"
            raise InputError(f"{where}; tp can be {', '.join(map(str, can))}") from None

    def stage(self, split: Split) -> Architecture:
        """What a rank of the stage with the most parameters holds and computes; raises InputError as `sharded` does."""
        rank = self.sharded(split)
        if split.pp == 1:
            return rank
        order = self.order
        stages = [rank.between(order, *ends, n, split.pp) for n, ends in enumerate(_stages(len(order), split.pp))]
        return max(stages, key=lambda stage: stage.total_parameters)

    def between(self, order: Sequence[str], first: int, end: int, stage: int, stages: int) -> Architecture:
        """The layers from one to another, with what stands at the ends of the model."""
        names = order[first:end]
        runs = [(name, len(tuple(alike))) for name, alike in groupby(names)]
        layout = tuple(assembled(Stretch, repeat=often, of=(name,)) for name, often in runs)
        layers = {name: layer for name, layer in self.layers.items() if name in names}
        return variant(self, layers=layers, layout=layout, begins=stage == 0, ends=stage == stages - 1)

    @property
    def vocab_share(self) -> int:
        """Rows of the embedding and columns of the LM head that a rank has; the last ones are padding."""
        return -(-self.vocab // self.split.tp)

    @property
    def kind(self) -> Literal["transformer", "ssm", "hybrid"]:
        """What it keeps of its past: a cache that grows, a constant state, or both."""
        if not self.attends:
            return "ssm"
        return "hybrid" if float(self.state_bytes(0, Precision())) > 0 else "transformer"

    @property
    def cached_heads(self) -> frozenset[int]:
        """Elements of the keys and of the values (or latents) of a head in a KV cache."""
        sizes = ("qk_dim", "v_dim", "kv_rank", "rope_dim")
        operators = (each for row in self.rows(Pass(1, 1, 0)) for each in row.operators if "cache_bytes" in each.sizes)
        return frozenset(int(float(each.sizes[name])) for each in operators for name in sizes if name in each.sizes)

    @property
    def attends(self) -> bool:
        """Whether any layer keeps a KV cache."""
        one, two = (float(self.state_bytes(tokens, Precision())) for tokens in (1, 2))
        return two > one

    @property
    def chooses_tokens(self) -> bool:
        """Whether any layer attends to tokens that are chosen one by one for each query."""
        return any(getattr(part, "index_top_k", None) for part, _ in self.parts())

    def rows(self, p: Pass) -> tuple[Row, ...]:
        """The operators of a pass: embedding, each kind of layer with its count, head; sends between stages.

        Of a step of several groups, what is done token by token is one operator, what goes by sequences one of each.
        """
        if p.beside:
            rows = zip(*(self.rows(group) for group in p.groups), strict=True)
            return tuple(replace(same[0], operators=side_by_side([row.operators for row in same])) for same in rows)
        p = contexts.share_of(p, self.split)
        head = tuple(self._head(p))
        if p.scored is None:
            body = tuple(Row(name, n, tuple(self._layer(self.layers[name], p))) for name, n in self.counts.items())
        else:
            body, head = tuple(self._until_scored(p, p.scored)), tuple(replace(o, often=p.scored) for o in head)
        made = [Row("embedding", 1, tuple(self._embedding(p))), *body, *self._sends(p), Row("head", 1, head)]
        return tuple(made[not self.begins : None if self.ends else -1])

    def _sends(self, p: Pass) -> Iterator[Row]:
        """What each stage but the last passes on to the next: the stream."""
        split = self.split
        if split.pp > 1:
            passed, stride = p.activation_bytes(self.d_model), split.stage
            send = exchange("send", collective.send, passed, split.pp, "x", stride=stride, out=passed)
            yield Row("stages", split.pp - 1, (send,))

    def _until_scored(self, p: Pass, scored: Number) -> Iterator[Row]:
        """The layers where only scored positions go on after the mixer of the last, which is a row of its own."""
        ends = self.layout[-1].of[-1]
        for name, count in self.counts.items():
            operators, others = tuple(self._layer(self.layers[name], p)), count - (name == ends)
            if not single(others) or others:
                yield Row(name, others, operators)
        layer = self.layers[ends]
        before = tuple(self._layer(layer, p, until=len(layer) - 1 or 1))
        after = tuple(self._layer(layer, replace(p, new=1)))[len(before) :]
        yield Row(f"last {ends}", 1, (*before, *(replace(o, often=scored) for o in after)))

    def _norm(self, p: Pass, name: str, *uses: str, acts_as: Role | None = None) -> Operator:
        vectors = NORM_VECTORS[self.norm]
        function: CostFunction = pointwise.layer_norm
        bias = {"bias": int(vectors == 2)}
        if self.norm.startswith("rms"):
            function, bias = pointwise.rms_norm, {}
        return elementwise(p, name, function, self.d_model, *uses, weights=vectors > 0, acts_as=acts_as, **bias)

    def _embedding(self, p: Pass) -> Iterator[Operator]:
        table = p.precision.of("lm_head" if self.tied_embeddings else "embedding")
        width = self.embedding_width or self.d_model
        read = table / self.split.tp if self.split.tp > 1 else table  # each rank has the rows of some tokens
        yield elementwise(p, "embedding", pointwise.embedding, width, weight_bytes=read, acts_as=Role.EMBEDDING)
        last = "embedding"
        if self.stream_shared and not self.embedding_width:
            yield self._scatter(p, "embedding_join", last)
            p = self._stream(p)
        else:
            yield from added_up(p, "embedding_join", width, self.split.tp, last)
        if self.embedding_width:
            yield linear(p, "embedding_up", self.embedding_width, self.d_model, last)
            last = "embedding_up"
        if self.embedding_scaled:
            yield elementwise(p, "embedding_scale", pointwise.scale, self.d_model, last)
            last = "embedding_scale"
        if self.positions:
            yield elementwise(p, "position_embedding", pointwise.embedding, self.d_model, weights=True)
            yield elementwise(p, "add_positions", pointwise.add, self.d_model, last, "position_embedding")
            last = "add_positions"
        if self.embedding_norm:
            yield self._norm(p, "embedding_norm", last)

    def _layer(self, layer: Layer, p: Pass, until: int | None = None) -> Iterator[Operator]:
        """The operators of a layer, or of its first parts."""
        stream = "x"
        norm = ""
        awaited = ""  # of parts that read the same, ranks add up the sum
        own = self._stream(p)
        for number, part in enumerate(layer[:until], 1):
            source = "x" if self.parallel_residual else stream
            if part.normed and self.norm_position != "after":
                if not (norm and self.shared_norm):
                    norm = f"norm_{number}"
                    yield self._norm(own, norm, source, acts_as=Role.PART_NORM)
                source = norm
            if self.stream_shared:
                whole = p.activation_bytes(self.d_model)
                yield exchange(f"gather_{number}", collective.all_gather, whole, self.split.tp, source, out=whole)
                source = f"gather_{number}"
            last = source
            for each in part.operators(p, self.d_model):
                yield each.reading(source)
                last = each.name
            if awaited:
                yield elementwise(p, f"branches_{number}", pointwise.add, self.d_model, awaited, last)
                last = f"branches_{number}"
            if self._joins_later(layer, number):
                awaited = last
                continue
            if self.stream_shared:
                yield self._scatter(p, f"join_{number}", last)
                last = f"join_{number}"
            else:
                yield from part.join(p, f"join_{number}", self.d_model, last)
            if part.normed and self.norm_position != "before":
                yield self._norm(p, f"post_norm_{number}", last)
                last = f"post_norm_{number}"
            total = f"residual_{number}"
            yield elementwise(own, total, pointwise.add, self.d_model, stream, last, acts_as=Role.RESIDUAL)
            stream = total

    def _stream(self, p: Pass) -> Pass:
        """The tokens whose stream a rank has."""
        tp = self.split.tp
        return replace(p, batch=p.batch / tp, padding=p.padding / tp) if self.stream_shared else p

    def _scatter(self, p: Pass, name: str, last: str) -> Operator:
        """The sum of what ranks made, each of which gets that of its tokens."""
        summands, out = p.activation_bytes(self.d_model), self._stream(p).activation_bytes(self.d_model)
        return exchange(name, collective.reduce_scatter, summands, self.split.tp, last, out=out)

    def _joins_later(self, layer: Layer, number: int) -> bool:
        """Whether what a part made is first added to what the next one makes of the same input, as summands."""
        alike = self.parallel_residual and self.norm_position == "before"
        return (
            alike
            and all(part.joins is collective.all_reduce for part in layer[number - 1 : number + 1])
            and (number < len(layer))
        )

    def _scored_positions(self, p: Pass) -> Number:
        """Positions of each sequence that go to the LM head: the last, or all but the learned ones before a prompt."""
        if p.logits != "all":
            return 1
        begins = p.phase == "prefill" and single(p.context) and not p.context
        return maximum(p.new - self.prefix_tokens, 1) if self.prefix_tokens and begins else p.new

    def _head(self, p: Pass) -> Iterator[Operator]:
        scored = replace(p, new=self._scored_positions(p), padding=0)
        last = "x"
        if self.final_norm:
            yield self._norm(self._stream(p), "final_norm", last)
            last = "final_norm"
        if self.stream_shared:
            whole = p.activation_bytes(self.d_model)
            yield exchange("stream_gather", collective.all_gather, whole, self.split.tp, last, out=whole)
            last = "stream_gather"
        if self.embedding_width:
            yield linear(scored, "embedding_down", self.d_model, self.embedding_width, last)
            last = "embedding_down"
        width, bias = self.embedding_width or self.d_model, self.lm_head_bias
        columns, ranks = self.vocab_share, self.split.tp
        yield linear(scored, "lm_head", width, columns, last, bias=bias, acts_as=Role.LOGITS)
        if ranks > 1:
            whole = scored.activation_bytes(columns * ranks)
            yield exchange("logits_gather", collective.all_gather, whole, ranks, "lm_head", out=whole)
        if self.logits_scaled:
            scale, role = pointwise.scale, Role.LOGITS_SCALE
            yield elementwise(scored, "logits_scale", scale, self.vocab, "lm_head", acts_as=role)
        if self.logits_soft_cap:
            yield elementwise(scored, "logits_soft_cap", pointwise.soft_cap, self.vocab, "lm_head")

    @cached_property
    def parameters(self) -> Mapping[str, int]:
        """Exact number of parameters by kind; a tied embedding and a shared block count once."""
        embedded, rows = self.embedding_width or self.d_model, self.vocab_share
        begins, ends = self.begins, self.ends
        kinds = Counter({"embedding": begins * rows * embedded})
        if self.embedding_width:
            kinds["embedding_projection"] = (begins + ends) * embedded * self.d_model
        kinds["position"] = begins * (self.positions + self.spare_positions + self.prefix_tokens) * self.d_model
        own = not (self.tied_embeddings and begins)
        kinds["lm_head"] = ends * (own * rows * embedded + self.lm_head_bias * rows)
        width = NORM_VECTORS[self.norm] * self.d_model
        kinds["norm"] = width * (ends * self.final_norm + begins * self.embedding_norm + self._layer_norms)
        blocks: dict[str, Mapping[str, int]] = {}
        for part, count in self.parts():
            for kind, number in part.parameters(self.d_model).items():
                kinds[kind] += count * number
            blocks |= part.shared_parameters(self.d_model)
        for block in blocks.values():
            kinds.update(block)
        return dict(kinds)

    @property
    def _layer_norms(self) -> int:
        """Norms of all layers that stand before or after their parts."""
        total = 0
        for name, count in self.counts.items():
            normed = sum(part.normed for part in self.layers[name])
            before = 0 if self.norm_position == "after" else min(normed, 1) if self.shared_norm else normed
            total += count * (before + (0 if self.norm_position == "before" else normed))
        return total

    @property
    def total_parameters(self) -> int:
        """Exact number of parameters."""
        return sum(self.parameters.values())

    @property
    def active_parameters(self) -> int:
        """Parameters that one token uses: all but those of the experts that it does not go to."""
        return self.total_parameters - sum(count * part.idle_parameters(self.d_model) for part, count in self.parts())

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        """The matrices by the operator that reads them, tables included; a block that layers share once."""
        return self._read[0]

    @cached_property
    def inventory(self) -> Inventory:
        """The matrices, and what else formats look at."""
        matrices, sizes = self._read
        return Inventory(
            matrices,
            max(
                (int(float(size["heads"]) / float(size["kv_heads"])) for size in sizes if "kv_heads" in size), default=1
            ),
            max((int(float(size["experts"])) for size in sizes if "experts" in size), default=0),
        )

    @cached_property
    def _read(self) -> tuple[tuple[Matrix, ...], list[Mapping[str, Any]]]:
        """The matrices, and the sizes of the operators."""
        p = Pass(1, 1, 0, latents="expanded")  # in this form one operator reads the matrices of latent attention
        found: Counter[tuple[str, int, int]] = Counter()
        if self.begins and not (self.tied_embeddings and self.ends):
            width = self.embedding_width or self.d_model
            found["embedding", self.vocab_share * width, width] = 1
        operators = [*(self._embedding(p) if self.begins else ()), *(self._head(p) if self.ends else ())]
        found.update(matrix for operator in operators for matrix in matrices_of(operator))
        blocks: set[str] = set()
        for part, count in self.parts():
            shared = set(part.shared_parameters(self.d_model))
            for operator in part.operators(p, self.d_model):
                operators.append(operator)
                times = int(not shared <= blocks) if part.shares(operator.role) else count
                found.update(dict.fromkeys(matrices_of(operator), times))
            for name, (rows, width) in part.tables.items():
                found[name, rows * width, width] += count
            blocks |= shared
        held = ((matrix, count) for matrix, count in found.items() if not single(count) or count)
        matrices = tuple(Matrix(name, count, weights, row) for (name, weights, row), count in held)
        return matrices, [operator.sizes for operator in operators]

    def weight_bytes(self, precision: Precision) -> Number:
        """Bytes of all parameters as they are stored."""
        if not precision.stored:
            return self.total_parameters * precision.weights
        matrices = self.matrices
        vectors = self.total_parameters - sum(m.count * m.weights for m in matrices)
        return sum(m.count * m.weights * precision.of(m.operator) for m in matrices) + vectors * precision.vectors

    def state_bytes(self, tokens: Number, precision: Precision) -> Number:
        """Bytes that one sequence holds after a prompt of `tokens` tokens: caches and recurrent states."""
        held = tokens + self.prefix_tokens
        if self.split.cp > 1:
            held = held / self.split.cp
        return sum(count * part.state_bytes(held, precision) for part, count in self.parts())

    def with_whole_caches(self) -> Architecture:
        """The same network where no cache is cut to the window of its layer."""
        return self._with_whole_caches

    @cached_property
    def _with_whole_caches(self) -> Architecture:
        layers = {name: tuple(map(_with_whole_cache, layer)) for name, layer in self.layers.items()}
        return self if layers == self.layers else variant(self, layers=layers)

    def declared_window(self) -> int | None:
        """The window that the published config states but switches off, if any."""
        windows = [getattr(part, "declared_window", None) for part, _ in self.parts()]
        return min((w for w in windows if w), default=None)


def _stages(layers: int, stages: int) -> Iterator[tuple[int, int]]:
    """The first and the end layer of each stage; those left over go to the stages before the last, as in vLLM."""
    few, left = divmod(layers, stages)
    first = 0
    for stage in range(stages):
        more = stages - 1 - left <= stage < stages - 1
        yield first, first + few + more
        first += few + more


def _with_whole_cache(part: Any) -> Any:
    changes = {name: _with_whole_cache(each) for name, each in items(part) if isinstance(each, Part)}
    if getattr(part, "windowed_cache", False):
        changes["windowed_cache"] = False
    return variant(part, **changes) if changes else part


def matrices_of(operator: Operator) -> Iterator[tuple[str, int, int]]:
    """The matrix that an operator reads, if it does: its name, weights and length of a row."""
    size = operator.sizes
    if "d_in" in size:
        copies = size.get("experts", size.get("heads", 1))
        weights = copies * (size["d_in"] + size.get("bias", 0)) * size["d_out"]
        yield operator.name.rpartition(".")[2], _whole(weights), _whole(size["d_in"])


def _whole(size: Any) -> int:
    """A size as a whole number; a traced one as it is."""
    whole: int = int(float(size)) if single(size) else size
    return whole


def describe_part(part: Any) -> str:
    """`attention(heads=14, kv_heads=2, head_dim=64)`: the fields of a part that are not defaults."""
    shown = []
    for each in fields(part):
        value = getattr(part, each.name)
        if each.name == "kind" or value == default(each):
            continue
        shown.append(f"{each.name}={describe_part(value) if isinstance(value, Part) else value}")
    return f"{part.kind}({', '.join(shown)})"
