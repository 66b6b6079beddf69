"""The formats that weights are stored in: what each kind of matrix takes, scales and zero points included."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field, replace
from itertools import pairwise
from types import MappingProxyType

from roofsim.foundation.arith import Number
from roofsim.foundation.errors import UnknownName
from roofsim.foundation.values import dataclass
from roofsim.model.step import Product

DTYPE_BYTES: Mapping[str, float] = MappingProxyType(
    {"fp32": 4, "tf32": 4, "bf16": 2, "fp16": 2, "fp8": 1, "int8": 1, "fp4": 0.5, "int4": 0.5}
)
"""Bytes per element of plain dtypes."""

ROW = 0
"""A group as long as a row of the matrix."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """`bits` for each weight, and `shared` bits for each `group` of them: scales, zero points, minima.

    A row that groups do not divide is stored in the encoding `fallback`, if there is one. Kernels are written for a
    `family` of encodings; those of plain 16 or 32 bits are of none. Where groups are blocks that scale the sums over
    some inputs, `scaled` says how many.
    """

    bits: float
    group: int = ROW
    shared: float = 0
    source: str = ""
    fallback: str = ""
    family: str = ""
    scaled: int = 0


PLAIN = "IEEE 754, OCP OFP8: the width of the type"
GGML = "llama.cpp, ggml/src/ggml-common.h, block_{}"
FALLBACK = "src/llama-quant.cpp, tensor_type_fallback"


def _ggml(name: str, bits: float, group: int, shared: float, fallback: str = "fp16") -> Encoding:
    """A block of llama.cpp, and what its quantiser takes where blocks do not divide a row."""
    return Encoding(bits, group, shared, f"{GGML.format(name)}; {FALLBACK}", fallback, "ggml")


ENCODINGS: Mapping[str, Encoding] = MappingProxyType(
    {
        **{n: Encoding(8 * b, source=PLAIN, family=n if b < 2 else "") for n, b in DTYPE_BYTES.items()},
        # an fp16 scale; _1 also an fp16 minimum
        "q4_0": _ggml("q4_0", 4, 32, 16),
        "q4_1": _ggml("q4_1", 4, 32, 16 + 16),
        "q5_0": _ggml("q5_0", 5, 32, 16),
        "q5_1": _ggml("q5_1", 5, 32, 16 + 16),
        "q8_0": _ggml("q8_0", 8, 32, 16),
        "iq4_nl": _ggml("iq4_nl", 4, 32, 16),
        # scales (and minima) of the blocks inside, and their own fp16 scale (and fp16 minimum)
        "q2_k": _ggml("q2_K", 2, 256, 16 * 8 + 16 + 16, "q4_0"),
        "q3_k": _ggml("q3_K", 3, 256, 16 * 6 + 16, "q4_0"),
        "q4_k": _ggml("q4_K", 4, 256, 8 * 12 + 16 + 16, "q5_0"),
        "q5_k": _ggml("q5_K", 5, 256, 8 * 12 + 16 + 16, "q5_1"),
        "q6_k": _ggml("q6_K", 6, 256, 16 * 8 + 16, "q8_0"),
        "iq4_xs": _ggml("iq4_xs", 4, 256, 8 * 6 + 16, "iq4_nl"),
        # an fp16 scale and a zero point of 4 bits
        **{
            f"int4-g{group}": Encoding(
                4,
                group,
                16 + 4,
                "Frantar et al. 2023 (GPTQ), Lin et al. 2024 (AWQ): scales, packed qzeros",
                family="int4",
            )
            for group in (128, 64, 32)
        },
        "int8-channel": Encoding(
            8, ROW, 16, "compressed-tensors, strategy channel: a 16-bit scale per row", family="int8"
        ),
        "int8-weights": Encoding(
            8, ROW, 16, "as int8-channel, for kernels that unpack weights to 16 bits (W8A16)", family="w8a16"
        ),
        "fp8-block128": Encoding(
            8,
            128 * 128,
            32,
            "DeepSeek-V3 (arXiv 2412.19437), 3.3.2: an fp32 scale per 128 x 128",
            family="fp8",
            scaled=128,
        ),
        "nvfp4": Encoding(
            4,
            16,
            8,
            "NVIDIA, Introducing NVFP4 (2025): an fp8 scale per 16; that per tensor is left out",
            family="nvfp4",
        ),
        "mxfp4": Encoding(4, 32, 8, "OCP Microscaling Formats v1.0, 5.3: an 8-bit scale per 32", family="mxfp4"),
        "nf4": Encoding(
            4, 64, 32, "Dettmers et al. 2023 (QLoRA, arXiv 2305.14314), 3: an fp32 constant per 64", family="nf4"
        ),
        "nf4-double": Encoding(
            4, 64, 8 + 32 / 256, "QLoRA, 3: 8-bit constants per 64, an fp32 one per 256 of them", family="nf4"
        ),
    }
)
"""Every way to store a matrix."""


def bytes_per_weight(name: str, row: int | None = None) -> float:
    """Bytes per weight of an encoding, for rows of `row` weights; without, for rows that groups divide."""
    encoding = ENCODINGS[name]
    if row and encoding.fallback and row % encoding.group:
        return bytes_per_weight(encoding.fallback, row)
    group = encoding.group or row
    return (encoding.bits + (encoding.shared / group if group else 0)) / 8


CACHE_BYTES: Mapping[str, float] = MappingProxyType(
    {**DTYPE_BYTES, **{n: bytes_per_weight(n) for n in ("q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl")}}
)
"""Bytes per element of every encoding that a KV cache can be asked for in."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """`count` matrices that operators of one name read, of `weights` (biases included) in rows of `row`."""

    operator: str
    count: int
    weights: int
    row: int


@dataclass(frozen=True, slots=True)
class Inventory:
    """The matrices of a network, and what else formats look at: queries that share a key, and experts."""

    matrices: tuple[Matrix, ...] = ()
    queries_per_key: int = 1
    experts: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Which of the `of` matrices that one operator reads in all layers, and the network that they are in."""

    index: int
    of: int
    network: Inventory


Rule = Callable[[Place], bool]


@dataclass(frozen=True, slots=True)
class Format:
    """What each kind of weight is stored in; None stands for the dtype of the model.

    `mixed` has the operators whose matrices take another encoding in some layers: the first rule that holds
    decides. `rest` is for what is no matrix (norms, filters, decays) and for the operators in `spared`. In a network
    that has the operators in `only`, all other matrices are kept in the dtype of the model.
    """

    matrices: str
    source: str
    embedding: str | None = None
    head: str | None = None
    rest: str | None = None
    mixed: Mapping[str, tuple[tuple[str, Rule], ...]] = field(default_factory=dict)
    spared: tuple[str, ...] = ("router", "shared_gate")
    only: tuple[str, ...] = ()

    def chosen(self, network: Inventory) -> tuple[str, ...]:
        """The operators of a network whose matrices alone are in this format; none if all are."""
        return tuple(each for each in self.only if any(each == matrix.operator for matrix in network.matrices))


def _every(place: Place) -> bool:
    return True


def _more_bits(place: Place) -> bool:
    """The first eighth, the last eighth, and every third between (llama-quant.cpp, use_more_bits)."""
    first = place.of // 8
    return place.index < first or place.index >= 7 * place.of // 8 or (place.index - first) % 3 == 2


def _first_eighth(place: Place) -> bool:
    return place.index < place.of // 8


def _first_sixteenth(place: Place) -> bool:
    return place.index < place.of // 16


def _first_two(place: Place) -> bool:
    return place.index < 2


def _first_four(place: Place) -> bool:
    return place.index < 4


def _shared_keys(place: Place) -> bool:
    return place.network.queries_per_key >= 4


def _eight_experts(place: Place) -> bool:
    return place.network.experts == 8


def alike_places(of: int) -> Iterator[tuple[int, int]]:
    """One of each run of places that all rules treat alike, and how many it stands for.

    Between the ends that rules have, they look at every third at most; so the depth of a network costs nothing.
    """
    ends = sorted({0, *(min(end, of) for end in (2, 4, of // 16, of // 8, 7 * of // 8)), of})
    for low, high in pairwise(ends):
        yield from ((index, len(range(index, high, 3))) for index in range(low, min(low + 3, high)))


LOW_RANK = tuple(f"{name}_{end}" for name in ("mix", "decay", "rate", "gate", "share") for end in "ab")
QUANT = "llama.cpp, src/llama-quant.cpp, llama_tensor_get_type: {}"


def _llama(
    matrices: str,
    name: str,
    values: tuple[tuple[str, Rule], ...] = (),
    down: tuple[tuple[str, Rule], ...] = (),
    output: tuple[tuple[str, Rule], ...] = (),
) -> Format:
    """A mix of llama.cpp; models of eight experts keep keys and values in 8 bits, and in small ones the output in 5."""
    small = matrices in ("q2_k", "q3_k", "q4_k", "iq4_nl", "iq4_xs")
    eight = (("q8_0", _eight_experts),)
    mixed = {
        "k_proj": eight,
        **dict.fromkeys(("v_proj", "qkv_proj", "kv_b_proj"), (*eight, *values)),
        **dict.fromkeys(("down_proj", "experts_down", "shared_down_proj"), down),
        "o_proj": (*((("q5_k", _eight_experts),) if small else ()), *output),
    }
    head = "q8_0" if matrices == "q8_0" else "q6_k"
    spared = ("router", "shared_gate", "layer_input_proj", *LOW_RANK)
    return Format(matrices, QUANT.format(name), matrices, head, "fp32", mixed, spared)


PUBLISHED = "checkpoints with this encoding leave the embeddings, the LM head, norms and routers as they are"
EXPERTS = "gpt-oss (arXiv 2508.10925), 2.1: the weights of experts are quantised, others are not"
HALF = (("q6_k", _more_bits),)
IN_FOURS = (("mxfp4", _every),)
_INT4 = Format("int4-g128", PUBLISHED)

WEIGHT_FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        **{n: Format(n, PLAIN, n, n, n) for n, size in DTYPE_BYTES.items() if size >= 2},
        **{n: Format(n, f"{PUBLISHED}; a scale per tensor is left out") for n, b in DTYPE_BYTES.items() if b < 2},
        **{n: Format(n, PUBLISHED) for n in ENCODINGS if n.startswith("int4-g")},
        "gptq-int4": _INT4,
        "awq-int4": _INT4,
        **{n: Format(n, PUBLISHED) for n in ("int8-channel", "int8-weights", "fp8-block128", "nvfp4")},
        "mxfp4": Format("mxfp4", f"{EXPERTS}; {PUBLISHED}", only=("experts_up", "experts_down")),
        **{n: Format(n, PUBLISHED) for n in ("nf4", "nf4-double")},
        "q2_k": _llama(
            "q2_k", "Q2_K", (("q4_k", _shared_keys), ("q3_k", _every)), (("q3_k", _every),), (("q3_k", _every),)
        ),
        "q3_k_m": _llama(
            "q3_k", "Q3_K_M", (("q5_k", _first_two), ("q4_k", _every)),
            (("q5_k", _first_sixteenth), ("q4_k", _every)), (("q4_k", _every),),
        ),
        "q3_k_s": _llama("q3_k", "Q3_K_S"),
        "q3_k_l": _llama("q3_k", "Q3_K_L", (("q5_k", _every),), (("q5_k", _every),), (("q5_k", _every),)),
        "q4_0": _llama("q4_0", "Q4_0"),
        "iq4_nl": _llama("iq4_nl", "IQ4_NL", (("q5_k", _shared_keys),), (("q5_k", _first_eighth),)),
        "iq4_xs": _llama("iq4_xs", "IQ4_XS", (("q5_k", _shared_keys),), (("q5_k", _first_eighth),)),
        "q4_k_s": _llama("q4_k", "Q4_K_S", (("q5_k", _first_four),), (("q5_k", _first_eighth),)),
        "q4_k_m": _llama("q4_k", "Q4_K_M", HALF, HALF),
        "q5_0": _llama("q5_0", "Q5_0"),
        "q5_k_s": _llama("q5_k", "Q5_K_S"),
        "q5_k_m": _llama("q5_k", "Q5_K_M", HALF, HALF),
        "q6_k": _llama("q6_k", "Q6_K"),
        "q8_0": _llama("q8_0", "Q8_0"),
        "mxfp4_moe": replace(
            _llama("q8_0", "MXFP4_MOE"), head="q8_0", mixed=dict.fromkeys(("experts_up", "experts_down"), IN_FOURS)
        ),
    }
)  # fmt: skip
"""Every format that weights can be asked for in."""


ACTIVATION_BYTES: Mapping[str, float] = MappingProxyType(
    {"fp8": 1, "int8": 1, "fp4": bytes_per_weight("nvfp4")}
)  # fmt: skip
"""Bytes per activation that was quantised for a product on a unit; one scale for each token is left out."""


def multiplied(name: str, product: Product, network: Inventory) -> dict[str, Product]:
    """How products are computed by operator, where `product` is how those on quantised matrices are; see Precision."""
    form = WEIGHT_FORMATS[name]
    if chosen := form.chosen(network):
        return {"weights": "weights_only", **dict.fromkeys(chosen, product)}
    kept = [*form.spared, *(n for n, e in (("lm_head", form.head), ("embedding", form.embedding)) if e is None)]
    return {"weights": product, **dict.fromkeys(kept, "weights_only")}


def stored(name: str, dtype: str, network: Inventory) -> dict[str, Number]:
    """Bytes per weight by operator; `weights` is for other matrices, `vectors` for what is no matrix."""
    form = WEIGHT_FORMATS[name]
    kept = {"embedding": form.embedding, "layer_embedding": form.embedding, "lm_head": form.head, "vectors": form.rest}
    usual = {**{kind: encoding or dtype for kind, encoding in kept.items()}, "weights": form.matrices}
    usual |= dict.fromkeys(form.spared, usual["vectors"])
    if chosen := form.chosen(network):
        usual |= {"weights": dtype, **dict.fromkeys(chosen, form.matrices)}
    found: dict[str, Number] = {kind: bytes_per_weight(encoding) for kind, encoding in usual.items()}
    by_operator: dict[str, list[Matrix]] = {}
    for matrix in network.matrices:
        by_operator.setdefault(matrix.operator, []).append(matrix)
    for operator, alike in by_operator.items():
        of = sum(matrix.count for matrix in alike)
        encodings: Counter[str] = Counter()
        for index, times in alike_places(of):
            place, rules = Place(index, of, network), form.mixed.get(operator, ())
            usually = usual.get(operator, usual["weights"])
            encodings[next((other for other, rule in rules if rule(place)), usually)] += times
        weights = sum(matrix.count * matrix.weights for matrix in alike)
        held = sum(
            matrix.count * matrix.weights * times / of * bytes_per_weight(encoding, matrix.row)
            for matrix in alike
            for encoding, times in encodings.items()
        )
        found[operator] = held / weights
    return found


def read_as(name: str) -> str:
    """What kernels read most of: the encoding of most matrices of a format, or of a cache; fp16 and bf16 are alike."""
    encoding = WEIGHT_FORMATS[name].matrices if name in WEIGHT_FORMATS else name
    return "16 bits" if DTYPE_BYTES.get(encoding) == 2 else encoding


_SPELLED: Mapping[str, str] = MappingProxyType(
    {
        spelling: name
        for name, spellings in {
            "fp32": "f32 float32 float",
            "fp16": "f16 float16 half",
            "bf16": "bfloat16",
            "fp8": "f8 float8 e4m3 f8-e4m3 fp8-e4m3 fp8-e4m3fn float8-e4m3fn fp8-dynamic fp8-static fp8-w8a8 w8a8-fp8 "
            "e5m2 f8-e5m2 fp8-e5m2 float8-e5m2 fbgemm-fp8 fp8-tensor fp8-per-tensor fp8-channel fp8-ootb modelopt-fp8",
            "fp8-block128": "fp8-block block-fp8 fp8-blockwise finegrained-fp8 fp8-block-128 fp8-w8a8-block",
            "int8-channel": "i8 w8a8 w8a8-int8 int8-w8a8 int8-sq sq smoothquant int8-channelwise bnb-int8 llm-int8",
            "int8-weights": "w8a16 int8-w8a16 int8-wo int8-weight-only gptq-int8 int8-gptq gptq-8bit",
            "int4-g128": "w4a16 int4-wo int4-weight-only awq gptq int4-awq awq-4bit int4-gptq gptq-4bit awq-marlin "
            "gptq-marlin autoround auto-round w4afp8 int4-g-128 w4a16-g128 compressed-tensors-int4",
            "nvfp4": "nv-fp4 modelopt-fp4 modelopt-nvfp4 nvfp4-w4a4 w4a4-nvfp4 w4a16-nvfp4 nvfp4-pack-quantized",
            "mxfp4": "mx-fp4 w4a16-mxfp4 w4a8-mxfp4-mxfp8",
            "nf4": "bnb-nf4 bitsandbytes-nf4 bitsandbytes bnb bnb-4bit bnb-int4 4bit-nf4",
            "nf4-double": "nf4-double-quant bnb-nf4-double nf4-dq",
        }.items()
        for spelling in spellings.split()
    }
)
"""What files of runs and configs call a format, words set off by dashes."""


def cache_named(words: str) -> str:
    """The encoding of a KV cache that a word such as `f16`, `fp8_e5m2` or `q8_0` means; raises UnknownName."""
    name = words.lower()
    name = _SPELLED.get(name.replace("_", "-"), name)
    if name not in CACHE_BYTES:
        raise UnknownName("encodings of a KV cache", words, CACHE_BYTES)
    return name


_SIZES = {"small": "s", "medium": "m", "large": "l"}
_SAME = {spelled.replace("_", "-"): spelled for spelled in WEIGHT_FORMATS}


def format_named(words: str) -> str:
    """The format that words such as `int4 awq`, `Q4_K - Medium` or `fp8_block` mean; raises UnknownName.

    Remarks in brackets, bits per weight and the name of the library do not count.
    """
    plain = re.sub(r"\(.*?\)|[\d.]+ *bpw", "", words.lower())
    parts = [part for part in re.split(r"[^a-z0-9]+", plain) if part not in ("", "torch", "ggml", "gguf", "mostly")]
    name = "-".join(_SIZES.get(part, part) for part in parts)
    name = _SPELLED.get(name, name)
    if name not in _SAME:
        raise UnknownName("weight formats", words, WEIGHT_FORMATS)
    return _SAME[name]
