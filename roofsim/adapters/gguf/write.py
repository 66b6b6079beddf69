"""Writes a GGUF file of an architecture with random weights, for a program that is to be timed and not to be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from roofsim.adapters.gguf.contents import DECAY, MATRIX, NORM, Contents, Entry, contents
from roofsim.adapters.gguf.header import Header, Tensor
from roofsim.adapters.gguf.read import published
from roofsim.foundation import writing
from roofsim.foundation.errors import MissingExtra, Unsupported
from roofsim.model.architecture import Architecture
from roofsim.model.mixers.attention import Attention
from roofsim.model.mixers.mamba2 import Mamba2
from roofsim.model.mixers.parallel import Parallel
from roofsim.model.part import Part
from roofsim.specs.files import build

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]

FORMATS = ("f32", "f16", "bf16", "q8_0")
"""Formats that are written as they stand; all others are llama.cpp's own mixtures, made from f16 by llama-quantize."""

POOL = 1 << 22
"""Random numbers that are drawn; all tensors take theirs from here."""

ALIKE = (
    "d_model", "vocab", "tied_embeddings", "norm", "norm_position", "parallel_residual", "final_norm",
    "embedding_norm", "logits_soft_cap", "positions", "prefix_tokens", "embedding_width", "lm_head_bias",
)  # fmt: skip
"""Fields that a network which is read back has in common with the one that was written, its layers apart."""


def write_gguf(a: Architecture, path: Path, weights: str = "f16") -> int:
    """Write the file, whole or not at all; gives the bytes of its tensors.

    Raises Unsupported for an architecture or a format that cannot be written, InputError if the folder cannot be.
    """
    if weights not in FORMATS:
        raise Unsupported(f"{a.id or a.name}: {weights} is made by llama-quantize; written are {', '.join(FORMATS)}")
    gguf = _package()
    held = checked(a, weights)
    with writing.whole(str(path), at_once=True) as partial:
        writer = gguf.GGUFWriter(partial, held.architecture)
        try:
            return _write(gguf, writer, held, weights)
        finally:
            writer.close()


def checked(a: Architecture, weights: str = "f16") -> Contents:
    """What the file holds; raises Unsupported if it would not be read back as the same network."""
    held = contents(a)
    tensors = {name: Tensor(name, each.shape, "", each.weights) for name, each in held.tensors.items()}
    header = Header(
        Path(f"{a.id or a.name}.gguf"), {"general.architecture": held.architecture, **held.metadata}, tensors
    )
    back = build(Architecture, published(header).values, str(header.path))
    differs = [name for name in ALIKE if getattr(a, name) != getattr(back, name)]
    ours, theirs = _stacked(a), _stacked(back)
    for number, (one, other) in enumerate(zip(ours, theirs, strict=False)):
        if one != other:
            differs.append(f"layer {number}")
            break
    if differs or len(ours) != len(theirs):
        raise Unsupported(
            f"{a.id or a.name}: a GGUF file of the architecture '{held.architecture}' does not say all of it: "
            f"{', '.join(differs) or 'layers'} would be another"
        )
    return held


def _stacked(a: Architecture) -> list[tuple[Part, ...]]:
    """Every layer, without what a file does not say."""
    said = {name: tuple(_said(part) for part in layer) for name, layer in a.layers.items()}
    return [said[name] for stretch in a.layout for _ in range(stretch.repeat) for name in stretch.of]


def _said(part: Part) -> Part:
    """A part without what a file does not say, since it changes nothing of what llama.cpp does."""
    if isinstance(part, Parallel):
        both: dict[str, Any] = {"attention": _said(part.attention), "ssm": _said(part.ssm)}
        return replace(part, **both)
    if isinstance(part, Attention):
        whole = part.rotary_dim == part.head_dim
        return replace(part, declared_window=None, rotary_dim=None if whole else part.rotary_dim)
    return replace(part, chunk=1) if isinstance(part, Mamba2) else part


def _package() -> Any:
    try:
        import gguf
        import numpy  # noqa: F401
    except ImportError:
        raise MissingExtra("writing a GGUF file needs the package gguf", "gguf") from None
    return gguf


def _write(gguf: Any, writer: Any, held: Contents, weights: str) -> int:
    _metadata(gguf, writer, held.metadata, weights)
    pools = _Pools(gguf)
    kinds = {name: _encoding(gguf, entry, weights) for name, entry in held.tensors.items()}
    sizes = {}
    for name, entry in held.tensors.items():
        block, size = gguf.GGML_QUANT_SIZES[kinds[name]]
        sizes[name] = entry.weights // block * size
        writer.add_tensor_info(name, entry.shape[::-1], pools.type_of(kinds[name]), sizes[name], raw_dtype=kinds[name])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    file = writer.fout[0]
    writer.write_padding(file, file.tell())
    for number, (name, entry) in enumerate(held.tensors.items()):
        _fill(file, pools.of(entry.kind, kinds[name]), sizes[name], number)
        writer.write_padding(file, sizes[name])
    return sum(sizes.values())


def _metadata(gguf: Any, writer: Any, metadata: Mapping[str, Any], weights: str) -> None:
    add = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32, list: writer.add_array,
           str: writer.add_string}  # fmt: skip
    for key, value in metadata.items():
        add[type(value)](key, value)
    ending = "ALL_F32" if weights == "f32" else f"MOSTLY_{weights.upper()}"
    writer.add_file_type(gguf.LlamaFileType[ending])
    if weights.startswith("q"):
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def _encoding(gguf: Any, entry: Entry, weights: str) -> Any:
    """The type of a tensor: as llama.cpp's converter, f16 for a row that is no whole number of blocks."""
    types = gguf.GGMLQuantizationType
    if entry.kind != MATRIX:
        return types.F32
    wanted = types[weights.upper()]
    return types.F16 if entry.shape[0] % gguf.GGML_QUANT_SIZES[wanted][0] else wanted


def _fill(file: BinaryIO, pool: Bytes, size: int, number: int) -> None:
    """Write so many bytes of a pool, from another place for every tensor, over and over."""
    step = len(pool) // 64
    start = number * 37 % 64 * step
    while size > 0:
        piece = pool[start : start + size]
        file.write(piece.data)
        size -= len(piece)
        start = 0


class _Pools:
    """Random weights in every format, as bytes."""

    def __init__(self, gguf: Any) -> None:
        import numpy as np

        self.np, self.gguf, self.made = np, gguf, dict[tuple[str, str], "Bytes"]()
        self.numbers = (np.random.default_rng(0).standard_normal(POOL) * 0.02).astype(np.float32)

    def type_of(self, encoding: Any) -> Any:
        """The NumPy type that the writer asks for; what counts is the encoding."""
        return self.np.dtype(self.np.float32 if encoding.name == "F32" else self.np.float16)

    def of(self, kind: str, encoding: Any) -> Bytes:
        """The bytes of random weights of a kind."""
        key = (kind, encoding.name)
        if key not in self.made:
            np = self.np
            numbers = np.ones(4096, np.float32) if kind == NORM else self.numbers
            numbers = -1 - np.abs(numbers) if kind == DECAY else numbers
            encoded = self.gguf.quants.quantize(numbers.reshape(-1, 4096), encoding)
            self.made[key] = np.ascontiguousarray(encoded).view(np.uint8).reshape(-1)
        return self.made[key]
