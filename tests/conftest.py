"""Settings and fixtures that all tests share."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from roofsim import library
from roofsim.model.architecture import Architecture

# Specs that were read once are kept for all tests of a run, and not in the user's home.
_CACHE = None if "ROOFSIM_CACHE" in os.environ else tempfile.TemporaryDirectory(prefix="roofsim-")
if _CACHE:
    os.environ["ROOFSIM_CACHE"] = _CACHE.name

# The same examples every time, so that a failure is the change's; ROOFSIM_RANDOM=1 looks for others.
settings.register_profile("roofsim", deadline=None, derandomize="ROOFSIM_RANDOM" not in os.environ)
settings.load_profile("roofsim")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data; a test that needs it is skipped where there is none."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip(f"no reference data: {folder} is not there")
    return folder


SUPPORTS = {name: library.runtime(name).supports for name in library.names("runtimes")}


def stacks_of(model: Architecture) -> list[tuple[str, str]]:
    """The model with every shipped runtime that runs it."""
    return [(model.id, name) for name, known in SUPPORTS.items() if not known or model.family in known]


def like(model: Architecture) -> frozenset[str]:
    """What sets a model apart from others: its kinds of part, and where it keeps or leaves the beaten track."""
    kinds = {part.kind for part, _ in model.parts()}
    kinds |= {"window" for part, _ in model.parts() if getattr(part, "window", None)}
    kinds |= {"declared" for part, _ in model.parts() if getattr(part, "declared_window", None)}
    return frozenset(kinds | {"ssm-scope"} if model.family in ("gpt_neo", "phi3", "zamba2", "falcon_h1") else kinds)


MODELS = sorted(
    map(library.architecture, library.names("models")), key=lambda m: (-len(stacks_of(m)), m.total_parameters)
)
ALIKE = {like(model): model for model in reversed(MODELS)}
"""Of all models of the same kinds of part one: the smallest of those that most runtimes run."""


def sort_of(runtime: str) -> tuple[object, ...]:
    """What sets a runtime apart from others: its code and its policies, not the rates of its kernels."""
    r = library.runtime(runtime)
    return r.lowering, r.implementation, r.cache, r.call, r.experts, r.host.mode, r.host.prefill, r.attention


SORTS = {sort_of(name): name for name in sorted(library.names("runtimes"), key=len, reverse=True)}
"""Of all runtimes of the same sort the one with the shortest name."""
STACKS = [stack for model in ALIKE.values() for stack in stacks_of(model) if stack[1] in SORTS.values()]


@pytest.fixture(scope="session")
def stacks() -> list[tuple[str, str]]:
    """One model of every make with every shipped runtime that runs it, by name."""
    return STACKS


@pytest.fixture(params=STACKS, ids="-".join)
def stack(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Each of them."""
    name: tuple[str, str] = request.param
    return name


def covering(stacks: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Of stacks so few that each kind of part meets each lowering, and each runtime models with attention and without.

    What turns a formula into another form (arrays, compiled code) goes wrong in a part or in a lowering, whatever the
    others of a model are.
    """
    by_name = {model.id: like(model) for model in ALIKE.values()}

    lowerings = {name: library.runtime(name).lowering for _, name in stacks}
    pairs = {
        (model, runtime): {(kind, lowerings[runtime]) for kind in by_name[model]}
        | {("attention" in by_name[model], runtime)}
        for model, runtime in stacks
    }
    found: list[tuple[str, str]] = []
    left = set[tuple[object, object]]().union(*pairs.values())
    while left:
        found.append(max(stacks, key=lambda stack: len(pairs[stack] & left)))
        left -= pairs[found[-1]]
    return found


COVERING = covering(STACKS)


@pytest.fixture(params=COVERING, ids="-".join)
def covering_stack(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Each of those that cover parts, lowerings and runtimes."""
    name: tuple[str, str] = request.param
    return name


@pytest.fixture(scope="session")
def covering_stacks() -> list[tuple[str, str]]:
    """All of them."""
    return COVERING


Tensors = Mapping[str, tuple[Sequence[int], str]]
"""By name the length of a row first, and the type."""


@pytest.fixture(scope="session")
def write_gguf() -> Callable[[Path, str, Mapping[str, Any], Tensors], int]:
    """Writes a GGUF file whose data are holes, with the writer of llama.cpp; gives the bytes of its tensors."""
    gguf = pytest.importorskip("gguf", reason="the package gguf is not installed")
    import numpy as np

    def write(path: Path, architecture: str, metadata: Mapping[str, Any], tensors: Tensors) -> int:
        writer = gguf.GGUFWriter(path, architecture)
        add = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32, list: writer.add_array,
               str: writer.add_string}  # fmt: skip
        for key, value in metadata.items():
            add[type(value)](key if key.startswith(("general.", "split.")) else f"{architecture}.{key}", value)
        writer.add_token_list([f"token {i}" for i in range(64)])
        total, end = 0, 0
        for name, (shape, kind) in tensors.items():
            encoding = gguf.GGMLQuantizationType[kind]
            weights, size = gguf.GGML_QUANT_SIZES[encoding]
            size = int(np.prod(shape, dtype=object)) // weights * size
            writer.add_tensor_info(name, shape[::-1], np.dtype(np.float16), size, raw_dtype=encoding)
            total, end = total + size, end + writer.ggml_pad(size, writer.data_alignment)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        header = writer.fout[0].tell()
        writer.close()
        os.truncate(path, writer.ggml_pad(header, writer.data_alignment) + end)
        return total

    return write
