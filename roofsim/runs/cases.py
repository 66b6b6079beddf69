"""What a measured figure means in the model: which passes, which of their figures, and how they add up."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from roofsim import library
from roofsim.adapters import hub
from roofsim.foundation.arith import Number
from roofsim.foundation.errors import RoofsimError, shortened
from roofsim.foundation.schema import variant
from roofsim.foundation.values import dataclass
from roofsim.model.architecture import Architecture
from roofsim.model.split import RANKS, Split
from roofsim.model.step import Pass, Phase, Precision, Product
from roofsim.model.weights import CACHE_BYTES, DTYPE_BYTES, ENCODINGS, format_named
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.limits import cache_capacity
from roofsim.prediction.loop import Loop, Passes, alike_steps, first_token, next_token, passes
from roofsim.prediction.request import settled
from roofsim.prediction.setup import ALONE, Setup, setup, with_scales
from roofsim.prediction.steps import decode, late, pieces, samples, turns
from roofsim.runs.columns import ENDS
from roofsim.runs.names import device_of, family, same_device
from roofsim.runs.operators import BUILDERS, PARTS, Sizes, kernels_of, lacks, part_of
from roofsim.runs.reading import FLAGS, Run
from roofsim.runs.serving import CHAT_TOKENS, SERVING, cache_of, load_of, mean_length, rate_of, template_of, unstated
from roofsim.runs.targets import Figure, Group, Job, Jobs, Target
from roofsim.specs.calibration import Reach
from roofsim.specs.device import Device
from roofsim.specs.host import Host
from roofsim.specs.kinds import kind_named
from roofsim.specs.products import product_of
from roofsim.specs.runtime import Runtime
from roofsim.specs.workload import Workload, workload

WHOLE_PASS = {"e2e": None, SERVING: None, "forward_gpu_busy": "device_time_s"}
"""Values of `op` that mean a whole pass, and the metric that they stand for if not the row's own."""


REQUEST = "request"
"""The phase of a figure that is of a whole request: of its prompt and of all steps after it."""


class Skip(Exception):
    """A run that the model has no figure for, and why."""

    def __init__(self, reason: str) -> None:
        super().__init__(shortened(reason))


MOST_APART = 10_000
"""Configurations that are predicted of one file: each is a network that is laid out anew, for milliseconds."""


def alike(run: Run) -> tuple[object, ...]:
    """What repeats of a run share: all but the line, the source and the value."""
    return run[2:15] + run[16:]


class Sample:
    """Of runs of too many configurations to predict them all, those of some, evenly spread over the file."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self._all = dict.fromkeys(map(alike, runs))
        every = -(-len(self._all) // MOST_APART)
        self._some = frozenset(list(self._all)[::every]) if every > 1 else None

    def check(self, run: Run) -> None:
        """Raises Skip for what is not predicted."""
        if self._some is not None and alike(run) not in self._some:
            known, predicted = len(self._all), len(self._some)
            raise Skip(f"of {known:,} configurations {predicted:,} are predicted; --where chooses others")


@dataclass(frozen=True, slots=True)
class Case:
    """A measured figure and what it is predicted from: a weighted sum over jobs, or a number that needs none.

    `configuration` names what was run (all figures of one run share it), `kinds` the kinds of operator in it. Of what
    takes time `weights` is the format, `cache` that of keys and values, if it reads any. `otherwise` are targets of
    what the run may have been instead, as far as it is stated.
    """

    run: Run
    device: str
    model: str
    metric: str
    phase: str
    measured: float
    target: Target
    configuration: str
    kinds: frozenset[str]
    flags: tuple[str, ...] = ()
    weights: str = ""
    cache: str = ""
    otherwise: tuple[Target, ...] = ()

    @property
    def group(self) -> str:
        """Figures that are alike: their residuals have one scatter."""
        return f"{self.metric} {self.phase}" if self.run.op in WHOLE_PASS else f"{self.metric} {self.run.op}"

    @property
    def tokens(self) -> int:
        """The length that a residual is shown over: the prompt or what is held."""
        return self.run.prompt or self.run.context or self.run.generated or 0

    @property
    def reach(self) -> Reach:
        """What it asks of the data of a calibration."""
        model = "" if self.run.op in BUILDERS else self.model
        return Reach(self.run.batch or 1, self.tokens or 1, model, self.kinds, self.weights, self.cache)


_SUFFIXES = ("-hf", "-instruct", "-chat", "-base", "-it")


def network_named(words: str) -> Architecture:
    """The model that a cell means: its file, its name without the owner, or without what only says how it was tuned."""
    if words.lower().endswith((".yaml", ".yml", ".json", library.GGUF)):
        return library.architecture(words)
    name = words.rsplit("/", 1)[-1]
    plain = name.lower()
    for suffix in _SUFFIXES:
        plain = plain.removesuffix(suffix)
    for each in (name, plain, plain.removeprefix("meta-")):
        if each in library.names("models") or each.lower() in _known_models():
            return library.architecture(each)
    return library.architecture(words if hub.is_name(words) and hub.cached(words) else name)


def _known_models() -> frozenset[str]:
    return frozenset([*(name.lower() for name in library.names("models")), *library.aliases("models")])


class Reader:
    """Turns runs into cases on one runtime, and keeps what they share: setups, and jobs by their key.

    `device` is that of rows that name none, or that name it by the words of its own file; `models` are networks that
    rows may name so besides those of the library, and a single one is that of rows that name none.
    """

    def __init__(
        self, runtime: str | Runtime, device: str | Device | None = None, host: str | Host | None = None,
        models: Sequence[Architecture] = (),
    ):  # fmt: skip
        self.runtime = library.runtime(runtime) if isinstance(runtime, str) else runtime
        self.jobs = Jobs()
        self._device = library.device(device) if isinstance(device, str) else device
        self._host = library.host(host) if isinstance(host, str) else host
        self._only = models[0] if len(models) == 1 else None
        self._models = {name.lower(): each for each in models for name in (each.id, each.name, *each.aliases) if name}
        self._devices: dict[str, Device] = {}
        self._setups: dict[tuple[str, str, Split], Setup | Skip] = {}
        self._footprints: dict[str, float] = {}
        self._lacking: dict[tuple[str, str], bool] = {}
        self._seen: dict[tuple[object, ...], tuple[Case, float] | Skip] = {}

    def device(self, run: Run) -> Device:
        """The device of a run: as it names it, or the one given if it names none; raises Skip."""
        if not run.device:
            if self._device is None:
                raise Skip("the row names no device")
            return self._device
        key = f"{run.device}|{run.notes.get('power_mode', '')}|{run.notes.get('gpu_mhz', '')}"
        if key not in self._devices:
            if self._device is not None and same_device(run, self._device):
                self._devices[key] = self._device
                return self._device
            try:
                name = device_of(run)
            except RoofsimError as error:
                raise Skip(str(error).split(";")[0]) from None
            found = library.device(name)
            same = self._device is not None and found.id == self._device.id
            self._devices[key] = self._device if same and self._device else found
        return self._devices[key]

    def case(self, run: Run) -> Case:
        """What a run is predicted from; raises Skip if the model has no such figure.

        Repeats of a run, which differ in their value alone, are looked up: files of a million rows have many.
        """
        key = (*alike(run), _is_random(run))
        if key not in self._seen:
            try:
                made = self._case(run)
                self._seen[key] = (
                    made,
                    made.measured * (run.value if run.metric == "throughput_tok_s" else 1 / run.value),
                )
            except Skip as reason:
                self._seen[key] = reason
        found = self._seen[key]
        if isinstance(found, Skip):
            raise found
        first, per = found
        return replace(
            first, run=run, measured=per / run.value if run.metric == "throughput_tok_s" else per * run.value
        )

    def _case(self, run: Run) -> Case:
        if run.metric in ENDS:
            raise Skip(f"a run that {ENDS[run.metric]}")
        device = self.device(run)
        threads = re.match(r"\d{1,9}", run.notes.get("threads", ""))
        if device.kind == "cpu" and threads and int(threads[0]) < device.units.value:
            raise Skip(f"made with fewer threads than the {device.units.value:g} cores of {device.id}")
        if run.op in BUILDERS:
            return self._operator(run, device)
        if run.op not in WHOLE_PASS and run.op not in PARTS:
            raise Skip(f"op {run.op} is not predicted")
        return self._pass(run, device, None if run.op in WHOLE_PASS else run.op)

    def _operator(self, run: Run, device: Device) -> Case:
        if run.metric not in ("latency_s", "device_time_s"):
            raise Skip(f"{run.metric} of one operator is not predicted")
        if run.model and self._lacks(run.model, run.op):
            raise Skip(f"{run.model} has no operator such as {run.op}")
        dtype, format_ = _formats(run, device)
        phase: Phase = "decode" if run.phase == "decode" else "prefill"
        try:
            precision = _of_state(run, self._precision(run, device, dtype, format_))
            kernels = kernels_of(run.op, Sizes(run, network_named, device), precision, self.runtime)
            device.matrix_peak(dtype)
        except KeyError as error:
            raise Skip(f"{run.op}: its note lacks {error.args[0]}") from None
        except ValueError as error:
            raise Skip(f"{run.op}: its note: {error}") from None
        except RoofsimError as error:
            raise Skip(str(error).split(";")[0]) from None
        key = f"{run.op}|{dtype}|{kernels!r}"
        self.jobs.setdefault(key, Job(phase, dtype, (Group(1, kernels),), alone=True))
        graph = run.notes.get("timed") == "graph"  # one launch for many: what is timed is the device
        eager = self.runtime.host.mode == "eager" and run.metric == "latency_s" and not graph
        kind = kind_named(run.op)
        return Case(
            run, device.id, run.model, run.metric, run.phase, run.value,
            Target("wall" if eager else "device", ((1.0, key),)), key, frozenset({kind}), _flags(run),
            format_ or dtype if kind == "gemm" else "", _cache(run) or dtype if kind == "attention" else "",
        )  # fmt: skip

    def _lacks(self, model: str, op: str) -> bool:
        """Whether a model that is known has no such operator."""
        if (model, op) not in self._lacking:
            try:
                network = self._models.get(model.lower()) or network_named(model)
            except RoofsimError:  # a name of sizes, which are those of the note
                return False
            self._lacking[model, op] = lacks(network, op, kind_named(op))
        return self._lacking[model, op]

    def _pass(self, run: Run, device: Device, part: str | None) -> Case:
        s = _as_cut(_as_trained(self._setup(run.model, device, _split(run)), run), run)
        metric = WHOLE_PASS.get(run.op) or ("device_time_s" if part else run.metric)
        if run.phase == "load" and metric == "weights_bytes":
            size = float(s.architecture.weight_bytes(_precision(s, self._loaded(run, s))))
            return self._made(run, s, metric, run.value, Target("constant", constant=size), f"{run.model}|load")
        if metric == "kv_tokens":
            w = self._loaded(run, s)
            _precision(s, w)
            tokens = cache_capacity(s, w)
            if tokens is None:
                raise Skip(f"{s.runtime.id} lays out no cache at its start")
            return self._made(run, s, metric, run.value, Target("constant", constant=tokens), f"{run.model}|load")
        if run.phase not in ("prefill", "decode", REQUEST):
            raise Skip(f"op {run.op} of phase {run.phase or 'none'} is no whole pass of a model")
        if part and (run.phase != "prefill" or part_of(part, s.architecture.family) is None):
            raise Skip(f"op {part} is not predicted")
        w = self._workload(run, s)
        if run.op == SERVING:
            return self._served(run, s, w)
        precision = _precision(s, w)
        each = [(float(n), p) for n, p in _passes(run, s, w)]
        configuration = "|".join(
            map(str, (s.device.id, s.architecture.id, run.phase, w.batch, run.prompt, run.context, run.generated,
                      w.logits, w.dtype, precision, s.runtime.memory.chunk))
        )  # fmt: skip
        held = w if run.phase == "prefill" else variant(w, prompt=w.prompt + w.generate, logits="last")
        base = self._footprint(s, held, configuration)
        if base > float(s.device.capacity):
            raise Skip(f"{s.architecture.id} does not fit the memory of {s.device.id}: the run must have swapped")
        measured = run.value
        if metric == "throughput_tok_s":
            metric, measured = "latency_s", _seconds(run, w)
        if metric == "peak_mem_bytes":
            if run.phase != "prefill":
                raise Skip("peak_mem_bytes of decode is not predicted")
            return self._made(run, s, metric, measured, Target("memory", constant=base), configuration)
        if metric == "kernel_count":
            count = sum(n * self.jobs[self.jobs.add(s, p, w.dtype)].launches for n, p in each)
            return self._made(run, s, metric, measured, Target("constant", constant=float(count)), configuration)
        figures: Mapping[str, Figure] = {"latency_s": "wall", "device_time_s": "device", "energy_j": "energy"}
        if metric not in figures:
            raise Skip(f"{metric} of {run.phase} is not predicted")
        parts = tuple((n, self.jobs.add(s, p, w.dtype, part)) for n, p in each)
        if part and not any(self.jobs[key].groups for _, key in parts):
            raise Skip(f"{s.architecture.id} has no operator that {part} sums")
        if metric == "energy_j" and (rail := _rail(run)):
            if rail not in s.device.power.rails:
                raise Skip(f"{s.device.id} does not say what its rail {rail} feeds")
            idle = float(s.device.power.rails[rail].value)
            return self._made(run, s, metric, measured, Target("rail", parts, idle=idle), configuration, w)
        return self._made(run, s, metric, measured, Target(figures[metric], parts), configuration, w)

    def _served(self, run: Run, s: Setup, w: Workload) -> Case:
        """A time of requests that are served at a concurrency: a sum over the two kinds of step of a round."""
        if run.metric != "latency_s":
            raise Skip(f"{run.metric} of serving is not predicted")
        if rate_of(run) is not None or run.batch is None:
            raise Skip("requests that come at a rate: their waiting is no sum of steps; `roofsim serve --rate` has it")
        if not (run.prompt and run.generated):
            raise Skip("the lengths of prompt and answer are not stated")
        precision = _precision(s, w)
        try:
            load = load_of(run, s, w)
        except RoofsimError as error:
            raise Skip(str(error).split(";")[0]) from None
        loop, rounds = load.loop, load.rounds
        counted, taken = {"prefill": first_token, "decode": next_token}[run.phase], passes(s, w, loop)

        def target(of: Loop, p: Passes, begun: Number) -> Target:
            parts = tuple((float(n), self.jobs.add(s, each, w.dtype)) for n, each in counted(of, p, begun) if float(n))
            return Target("wall", parts)

        may = tuple(
            target(each.loop, taken if alike_steps(each.loop, loop) else passes(s, w, each.loop), each.rounds)
            for each in unstated(run, load)
        )
        configuration = "|".join(
            map(str, (s.device.id, s.runtime.id, s.architecture.id, s.split, loop, rounds, w.dtype, precision))
        )
        made = self._made(run, s, run.metric, run.value, target(loop, taken, rounds), configuration, w)
        return replace(made, otherwise=may)

    def _made(
        self, run: Run, s: Setup, metric: str, measured: float, target: Target, configuration: str,
        timed: Workload | None = None,
    ) -> Case:  # fmt: skip
        flags = _flags(run)
        if metric not in ("latency_s", "energy_j"):
            flags = tuple(f for f in flags if f != "host_contended")
        kinds = kinds_of(s.architecture)
        return Case(
            run, s.device.id, s.model_name, metric, run.phase, measured, target, configuration, kinds, flags,
            *(s.formats(timed, kinds) if timed else ()),
        )  # fmt: skip

    def _setup(self, model: str, device: Device, split: Split = ALONE) -> Setup:
        key = (model, device.id, split)
        only = self._only if not model else None
        if not model and only is None:
            raise Skip("the row names no model; say which with --model")
        if key not in self._setups:
            try:
                network = only or self._models.get(model.lower()) or network_named(model)
                self._setups[key] = setup(network, device, self.runtime, self._host, split)
            except RoofsimError as error:
                self._setups[key] = Skip(str(error).split(";")[0])
        found = self._setups[key]
        if isinstance(found, Skip):
            raise found
        return found

    def _precision(self, run: Run, device: Device, dtype: str, format_: str | None) -> Precision:
        """Bytes per element of an operator by itself, and how it is computed: its row's dtype may name the unit."""
        w = Workload(dtype=dtype, weight_format=format_, cache_dtype=_cache(run))
        unit = _unit(run.dtype)
        product: Product = "weights_only"
        if unit:
            product = unit
        elif format_ and format_ != dtype and not run.notes.get("quant", "").endswith("_wo"):
            product = product_of(format_, self.runtime, device)
        # fp32 as tables of recurrences have states that say nothing of them
        return with_scales(w.precision("fp32", product=product), format_, product)

    def _loaded(self, run: Run, s: Setup) -> Workload:
        """The workload of an engine that was started with the formats of a run."""
        dtype, format_ = _formats(run, s.device)
        return settled(s, Workload(dtype=dtype, weight_format=format_, cache_dtype=_cache(run), logits="last"))

    def _workload(self, run: Run, s: Setup) -> Workload:
        """The workload of a run."""
        if run.batch == 0:
            raise Skip("the row is no single batch of equal requests")
        logits = run.notes.get("logits")
        dtype, format_ = _formats(run, s.device)
        prompt, generated = run.prompt or run.context or 0, run.generated or 0
        if run.op == SERVING:
            prompt, generated = mean_length(run, prompt), mean_length(run, generated)
        fields = {
            "batch": run.batch or 1,
            "prompt": max(prompt + _beside(run, s), 1),
            "generate": max(generated, 1),
            "dtype": dtype,
            "weight_format": format_,
            "cache_dtype": _cache(run) or (cache_of(run) if run.op == SERVING else None),
            "logits": logits if logits in ("all", "last") else s.runtime.logits,
        }
        if run.phase in ("prefill", REQUEST) and not run.prompt:
            raise Skip("the length of the prompt is not stated")
        if run.phase == REQUEST and not run.generated:
            raise Skip("how many tokens were generated is not stated")
        try:
            return settled(s, workload(**fields))
        except RoofsimError as error:
            raise Skip(str(error).splitlines()[0]) from None

    def _footprint(self, s: Setup, w: Workload, key: str) -> float:
        """Peak memory without the workspace of the matrix library, which is a parameter."""
        if key not in self._footprints:
            held = Evaluation(s, w).memory
            self._footprints[key] = float(held.peak - held.workspace)
        return self._footprints[key]


def _split(run: Run) -> Split:
    """How a row says that the model is divided; raises Skip for what cannot be."""
    said = {name: run.notes.get(name, "") for name in RANKS}
    try:
        return Split(**{name: int(words) for name, words in said.items() if words.isdigit()})
    except RoofsimError as error:
        raise Skip(str(error)) from None


def _is_random(run: Run) -> bool:
    """Whether the weights were those of no trained model, as its source says."""
    return "random weights" in run.source


def _as_trained(s: Setup, run: Run) -> Setup:
    """The same where experts are chosen evenly, if the weights are random: only training makes some of them popular."""
    if not (_is_random(run) and s.runtime.parallel.expert_spread):
        return s
    return replace(s, runtime=replace(s.runtime, parallel=replace(s.runtime.parallel, expert_spread=None)))


def _as_cut(s: Setup, run: Run) -> Setup:
    """The same where prompts are cut into pieces of as many tokens as the note says (llama.cpp's -ub)."""
    words, policy = run.notes.get("n_ubatch") or run.notes.get("ubatch", ""), s.runtime.memory
    if policy.chunk is None or not words.isdigit() or not 0 < int(words) != policy.chunk:
        return s
    together = policy.side_by_side and max(policy.side_by_side, int(words))
    cut = replace(policy, chunk=int(words), side_by_side=together)
    return replace(s, runtime=replace(s.runtime, memory=cut))


def _passes(run: Run, s: Setup, w: Workload) -> Sequence[tuple[Number, Pass]]:
    """The passes of a run with their weights; a rate over a whole request counts its prefill and its steps."""
    before = _depth(run)
    prompt = [(n, replace(p, context=p.context + before)) for n, p in pieces(s, w)] if before else pieces(s, w)
    if run.phase == "prefill":
        return prompt
    held = run.context if run.context is not None and (run.context or not run.prompt) else run.prompt or 0
    if run.phase == REQUEST:
        held = (run.prompt or 0) + before
    steps = max((run.generated or 0) - (1 if run.prompt else 0), 1)
    times = turns(s, w.batch, Sizes(run).get("max_num_seqs", 0))
    start = replace(decode(s, w), context=held + s.architecture.prefix_tokens, batch=w.batch / times)
    mean = [(times * share, replace(start, context=start.context + done)) for share, done in samples(steps)]
    if run.prompt and steps > 1 and run.notes.get("prompts") != "apart":  # a longer call less one of a single token
        mean += [(again / steps, p) for again, p in late(s, w, times)]
    if _whole_request(run):  # its first token comes with the prompt
        return [*prompt, *((share * steps, p) for share, p in mean if run.generated != 1)]
    return mean


MARKED = ("llama", "zamba2", "hymba")
"""Families whose tokenizers put a mark before a text. SSM-Scope's prompts of N tokens are N − 1 words and a space,
which is a token; with the mark they have N + 1: caches of Llama-3.2 (`kv_mb` of its rows) hold 257 to 32,769."""


def _beside(run: Run, s: Setup) -> int:
    """Tokens that the prompt has beside those that the row counts.

    Of a server's time to the first token, those of a chat's template; a tokenizer's mark, where words were counted.
    """
    if run.op == SERVING:
        return template_of(run, s.architecture.family)
    if run.phase != "prefill":
        return 0
    marked = "SSM-Scope" in run.source and s.architecture.family in MARKED
    return CHAT_TOKENS["llama"] if "llama-server" in run.framework else int(marked)


def _depth(run: Run) -> int:
    """Tokens in the cache before a prompt: llama-bench's depth. Other files may repeat the prompt in that column."""
    context = run.context or 0
    return context if family(run.framework) == "llama.cpp" or context != run.prompt else 0


def _whole_request(run: Run) -> bool:
    """Whether a figure is of the prompt and all steps after it, or a rate that counts both."""
    return run.phase == REQUEST or (run.metric == "throughput_tok_s" and "including prefill" in run.note)


def _seconds(run: Run, w: Workload) -> float:
    """Seconds that a rate in tokens per second stands for: of a prompt, of a request or of a step of all sequences."""
    tokens = w.batch * (w.prompt if run.phase == "prefill" else w.generate if _whole_request(run) else 1)
    return float(tokens / run.value)


def _flags(run: Run) -> tuple[str, ...]:
    return tuple(flag for flag in FLAGS if run.stated(flag))


def _rail(run: Run) -> str | None:
    """The supply whose energy was measured, where that is not the whole device: `rail NAME` or `rail=NAME`."""
    found = re.search(r"\brail[ =](\w+)", run.note)
    return found[1] if found else None


_DTYPES = {"f32": "fp32", "f16": "fp16", "float16": "fp16", "float32": "fp32", "bfloat16": "bf16", "half": "fp16"}


def _dtype(words: str) -> str | None:
    """The dtype that a cell such as `f16`, `bf16/f32 CPU` or `torch.bfloat16` means first, if any."""
    for word in re.findall(r"[a-z0-9]+", words.lower()):
        name: str = _DTYPES.get(word, word)
        if name in DTYPE_BYTES:
            return name
    return None


def _cache(run: Run) -> str | None:
    """The encoding of the KV cache that the note states, if any."""
    words = run.notes.get("kv_dtype", "")
    return words.lower() if words.lower() in CACHE_BYTES else _dtype(words)


def _of_state(run: Run, precision: Precision) -> Precision:
    """With the bytes of recurrent states whose dtype the note states."""
    state = _dtype(run.notes.get("state_dtype", ""))
    return replace(precision, state=DTYPE_BYTES[state]) if state else precision


_HALF = ("fp16", "bf16")


def _activations(dtype: str | None, device: Device) -> str:
    """The dtype of activations; where a device has but one of fp16 and bf16, that one for both. Raises Skip."""
    if dtype is None or (dtype in _HALF and dtype not in device.peak.matrix):
        return device.default_dtype
    try:
        device.matrix_peak(dtype)
    except RoofsimError as error:
        raise Skip(str(error).split(";")[0]) from None
    return dtype


def _formats(run: Run, device: Device) -> tuple[str, str | None]:
    """The dtype of activations and the format of weights; of narrow units, activations are quantised on the way.

    Raises Skip for a format that is not known, and for a unit that the device lacks.
    """
    narrow = _unit(run.dtype)
    dtype = _activations(narrow or _dtype(run.dtype), device)
    dtype = device.default_dtype if narrow else dtype
    words = run.weight_dtype if run.weight_dtype.lower() not in _NOT_TOLD else ""
    try:
        format_ = format_named(words) if words else None
        if format_ is None and narrow:
            format_ = format_named(run.dtype)
    except RoofsimError:
        raise Skip(f"no weight format '{words or run.dtype}'") from None
    return dtype, format_


_NOT_TOLD = ("", "none", "no", "unquantized", "unquantised")


def _unit(words: str) -> Product | None:
    """The unit of a narrow dtype that a cell says is computed in: `fp8`, `int8`, `nvfp4`; none of `w4a16_mxfp4`."""
    if "a16" in words.lower():
        return None
    for word in re.findall(r"[a-z0-9]+", words.lower()):
        encoding = ENCODINGS.get(word)
        if encoding and encoding.family in UNIT_OF:
            return UNIT_OF[encoding.family]
    return None


UNIT_OF: Mapping[str, Product] = {"fp8": "fp8", "int8": "int8", "fp4": "fp4", "nvfp4": "fp4", "mxfp4": "fp4"}
"""The unit that computes in the dtype of a family of encodings."""


def _precision(s: Setup, w: Workload) -> Precision:
    """Bytes per element of a whole pass, as a prediction counts them; raises Skip if the stack does not run it."""
    try:
        return s.precision(w)
    except RoofsimError as error:
        raise Skip(str(error).split(";")[0]) from None


def kinds_of(network: Architecture) -> frozenset[str]:
    """The kinds of operator in a model."""
    return frozenset(o.kind for row in network.rows(Pass(1, 2, 0)) for o in row.operators)
