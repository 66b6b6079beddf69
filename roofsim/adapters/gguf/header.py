"""The header of a GGUF file: its metadata, and the name, shape, type and size of every tensor.

Format: ggml, docs/gguf.md. The package `gguf` says which types of tensor there are and how large their blocks are.
Its own reader makes an object of every token of the vocabulary (23 s for that of Llama 3, here 0.2 s) and trusts
the lengths that a file states.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from math import prod
from pathlib import Path
from struct import Struct
from typing import Any

from roofsim.foundation.errors import MissingExtra, SpecError
from roofsim.foundation.values import dataclass
from roofsim.specs.text import regular

MAGIC = b"GGUF"
VERSIONS = (2, 3)
ALIGNMENT = 32
"""Where the data of tensors begins, unless the file says otherwise: at a multiple of this many bytes."""

MAX_FIELDS = 100_000
MAX_TENSORS = 1_000_000
MAX_ENTRIES = 10_000_000
"""No model has as many fields, tensors or tokens."""

MAX_DIMENSIONS = 4
MAX_WEIGHTS = 2**50
MAX_NAME = 10_000
"""No name is as long, in bytes."""

KEPT = 4_096
"""Lists up to this length are read: one number per layer. Longer ones are those of the vocabulary."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of a file: the length of a row first in `shape`; `size` in bytes."""

    name: str
    shape: tuple[int, ...]
    type: str
    size: int

    @property
    def weights(self) -> int:
        """Number of its elements."""
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says before its data; of long lists only the length is kept."""

    path: Path
    fields: Mapping[str, Any]
    tensors: Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Length:
    """How many entries a list has that was not read."""

    entries: int


NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
READERS = {kind: Struct(f"<{letter}") for kind, letter in NUMBERS.items()}
TEXT, LIST = 8, 9
COUNT, WORD = Struct("<Q"), Struct("<I")


class Damaged(Exception):
    """A file is not what its header says."""


def read_header(path: Path) -> Header:
    """The header of a file, or of all files that it is split into; raises SpecError that says what is wrong."""
    first = _read(path)
    parts = first.fields.get("split.count", 0)
    if not isinstance(parts, int) or parts < 2:
        return first
    stem, of = path.stem[: -len("-00001-of-00001")], f"-of-{parts:05}.gguf"
    if not path.name.endswith(f"-00001{of}") or parts > MAX_FIELDS:
        raise SpecError([f"{path}: split.count: is one of {parts} files; give the first, called …-00001{of}"])
    tensors = dict(first.tensors)
    for number in range(2, parts + 1):
        tensors |= _read(path.with_name(f"{stem}-{number:05}{of}")).tensors
    return Header(path, first.fields, tensors)


def _read(path: Path) -> Header:
    sizes = _block_sizes()
    try:
        size = regular(path)
        if size < len(MAGIC) + WORD.size + 2 * COUNT.size:
            raise Damaged("is too short for a GGUF file")
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            fields, tensors = _Cursor(data, size).header(sizes)
    except Damaged as error:
        raise SpecError([f"{path}: {error}"]) from None
    except (OSError, ValueError) as error:
        raise SpecError([f"{path}: {getattr(error, 'strerror', None) or error}"]) from None
    return Header(path, fields, tensors)


def _block_sizes() -> dict[int, tuple[str, int, int]]:
    """The types of tensor by number: name, weights and bytes of a block; raises MissingExtra without the package."""
    try:
        from gguf.constants import GGML_QUANT_SIZES
    except ImportError:
        raise MissingExtra("reading a GGUF file needs the package gguf", "gguf") from None
    return {int(kind): (kind.name, weights, size) for kind, (weights, size) in GGML_QUANT_SIZES.items()}


class _Cursor:
    """A place in a file that moves on with what is read; nothing is read beyond the end."""

    def __init__(self, data: mmap.mmap, size: int) -> None:
        self.data, self.size, self.at = data, size, 0

    def skip(self, length: int) -> int:
        """Move on; the place before."""
        if length > self.size - self.at:
            raise Damaged(f"ends at byte {self.size:,}, in the middle of its header; is it whole?")
        before, self.at = self.at, self.at + length
        return before

    def number(self, reader: Struct) -> Any:
        return reader.unpack_from(self.data, self.skip(reader.size))[0]

    def count(self, what: str, most: int) -> int:
        number = int(self.number(COUNT))
        if number > most:
            raise Damaged(f"states {number:,} {what}, more than any model has; the file is damaged")
        return number

    def name(self) -> str:
        length = self.count("bytes of a name", MAX_NAME)
        start = self.skip(length)
        try:
            return self.data[start : self.at].decode()
        except UnicodeDecodeError:
            raise Damaged(f"byte {start:,}: a name is no text; the file is damaged") from None

    def text(self) -> str:
        length = int(self.number(COUNT))
        start = self.skip(length)
        return self.data[start : min(self.at, start + MAX_NAME)].decode(errors="replace")

    def value(self, kind: int) -> Any:
        """A number, a text or a list."""
        if kind in READERS:
            return self.number(READERS[kind])
        if kind == TEXT:
            return self.text()
        if kind != LIST:
            raise Damaged(f"byte {self.at:,}: there is no kind of value {kind}; the file is damaged")
        inner, entries = int(self.number(WORD)), self.count("entries of a list", MAX_ENTRIES)
        if inner in READERS:
            reader = Struct(f"<{entries}{NUMBERS[inner]}")
            start = self.skip(reader.size)
            return list(reader.unpack_from(self.data, start)) if entries <= KEPT else Length(entries)
        if inner != TEXT:
            raise Damaged(f"byte {self.at:,}: a list of values of kind {inner} is not known")
        if entries <= KEPT:
            return [self.text() for _ in range(entries)]
        read, at, end = COUNT.unpack_from, self.at, self.size - COUNT.size
        for _ in range(entries):
            # as self.skip, ten times as fast
            at = at + COUNT.size + read(self.data, at)[0] if at <= end else self.size + 1
        self.skip(at - self.at)
        return Length(entries)

    def header(self, sizes: Mapping[int, tuple[str, int, int]]) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """All fields and tensors."""
        if self.data[: self.skip(len(MAGIC)) + len(MAGIC)] != MAGIC:
            raise Damaged("is no GGUF file (it does not begin with 'GGUF')")
        version = self.number(WORD)
        if version not in VERSIONS:
            swapped = int.from_bytes(int(version).to_bytes(4, "little"), "big") in VERSIONS
            said = "is big-endian" if swapped else f"has version {version}"
            raise Damaged(f"{said}; little-endian files of version {VERSIONS[0]} and {VERSIONS[1]} are read")
        count, entries = self.count("tensors", MAX_TENSORS), self.count("fields", MAX_FIELDS)
        fields: dict[str, Any] = {}
        for _ in range(entries):
            key = self.name()
            if key in fields:
                raise Damaged(f"{key}: is written twice")
            fields[key] = self.value(int(self.number(WORD)))
        described = [self._tensor(sizes) for _ in range(count)]
        alignment = fields.get("general.alignment", ALIGNMENT)
        if not isinstance(alignment, int) or alignment < 1:
            raise Damaged(f"general.alignment: {alignment!r} is no number of bytes")
        start = -(-self.at // alignment) * alignment
        tensors: dict[str, Tensor] = {}
        for tensor, offset in described:
            if tensor.name in tensors:
                raise Damaged(f"{tensor.name}: is there twice")
            if (end := start + offset + tensor.size) > self.size:
                raise Damaged(f"{tensor.name}: ends at byte {end:,}, the file at {self.size:,}; is it whole?")
            tensors[tensor.name] = tensor
        return fields, tensors

    def _tensor(self, sizes: Mapping[int, tuple[str, int, int]]) -> tuple[Tensor, int]:
        """A tensor and where its data begins, counted from the end of the header."""
        name = self.name()
        dimensions = int(self.number(WORD))
        if not 1 <= dimensions <= MAX_DIMENSIONS:
            raise Damaged(f"{name}: has {dimensions} dimensions; 1 to {MAX_DIMENSIONS} are expected")
        shape = tuple(int(self.number(COUNT)) for _ in range(dimensions))
        kind, offset = int(self.number(WORD)), int(self.number(COUNT))
        if kind not in sizes:
            raise Damaged(f"{name}: is of type {kind}, which the installed gguf does not know")
        label, weights, size = sizes[kind]
        total = prod(shape)
        if not 0 < total <= MAX_WEIGHTS or shape[0] % weights:
            raise Damaged(f"{name}: {' x '.join(map(str, shape))} weights are not possible in blocks of {weights}")
        return Tensor(name, shape, label, total // weights * size), offset
