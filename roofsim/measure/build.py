"""Models as transformers builds them, with random weights: from a model file of ours or from a published config."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from roofsim import library
from roofsim.adapters.published.read import read_json
from roofsim.foundation.errors import InputError, SpecError
from roofsim.foundation.values import dataclass
from roofsim.measure.configs import config_fields
from roofsim.measure.stack import DTYPES, Stack
from roofsim.model.architecture import Architecture
from roofsim.model.step import Precision

RECURRENT = ("A_log", "dt_bias", "conv1d", "conv.conv", "recurrent", "LSTM", "Lightning", "Rwkv")
"""Parts of the names of parameters and classes that only layers with a constant state have, in transformers."""

NO_CACHE = ("Lightning", "Rwkv")
"""Parts of the names of classes that are called attention and keep a constant state."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A model to be measured: the name its rows carry, its config, and what our description says of it."""

    name: str
    fields: Mapping[str, Any]
    parameters: int | None = None
    arch: str | None = None
    positions: int | None = None


def subject(words: str) -> Subject:
    """The model that `NAME`, `PATH` or `NAME=PATH` means; raises InputError.

    A path may be a model file of ours, a published config.json or a folder with one.
    """
    given, equals, rest = words.partition("=")
    name, where = (given, rest) if equals and rest else ("", words)
    path = library.on_hub(where) or Path(where).expanduser()
    if library.is_published(path) or path.is_dir():
        file = path / "config.json" if path.is_dir() else path
        fields = read_json(file)
        if not isinstance(fields.get("model_type"), str):
            raise SpecError([f"{where}: no `model_type`; a config.json as transformers writes it is expected"])
        return _described(name or where, fields, _known(file))
    a = library.architecture(where)
    own = where if path.suffix in (".yaml", ".yml") else a.id
    return _described(name or own, config_fields(a), a)


def _known(file: Path) -> Architecture | None:
    """What we make of a published config; None if we do not read its kind: transformers may."""
    try:
        return library.architecture(str(file))
    except SpecError:
        return None


def _described(name: str, fields: Mapping[str, Any], a: Architecture | None) -> Subject:
    if a is None:
        return Subject(name, fields)
    attends, recurs = a.attends, bool(a.state_bytes(0, Precision()))
    arch = ("hybrid" if attends else "ssm") if recurs else "transformer"
    return Subject(name, fields, a.total_parameters, arch, a.positions or None)


@dataclass(frozen=True, slots=True)
class Built:
    """A model on its device, and what a caller must know of it."""

    model: Any
    arch: str
    vocab: int
    positions: int | None
    fallback: tuple[str, ...]

    @property
    def weights_bytes(self) -> int:
        """Bytes of its parameters and buffers."""
        return sum(t.numel() * t.element_size() for t in (*self.model.parameters(), *self.model.buffers()))

    def takes(self, word: str) -> bool:
        """Whether a forward pass has an argument of this name."""
        return word in inspect.signature(self.model.forward).parameters


def checked(stack: Stack, each: Subject, dtype: str) -> Any:
    """The model without data; raises InputError if it cannot be built or is not the model that we describe."""
    model = made(stack, each, dtype, "meta")
    total = sum(parameter.numel() for parameter in model.parameters())
    if each.parameters not in (None, total):
        raise InputError(
            f"{each.name}: transformers builds a model with {total:,} parameters, our description has "
            f"{each.parameters:,}; what would be measured is not what is predicted"
        )
    return model


def built(stack: Stack, each: Subject, dtype: str) -> Built:
    """The model on the device; raises InputError as `checked` does."""
    empty = checked(stack, each, dtype)
    arch, positions = each.arch or architecture_of(empty), each.positions or learned_positions(empty)
    model = made(stack, each, dtype, stack.on).eval()
    vocab = model.get_input_embeddings().num_embeddings
    return Built(model, arch, vocab, positions, fallbacks(model))


def made(stack: Stack, each: Subject, dtype: str, where: str) -> Any:
    """The model on a device, or on `meta`, where tensors have no data; raises InputError if it cannot be built."""
    from transformers import AutoConfig, AutoModelForCausalLM

    fields = {name: value for name, value in each.fields.items() if name not in ("model_type", "auto_map")}
    try:
        config = AutoConfig.for_model(each.fields["model_type"], **fields)
        with stack.torch.device(where):
            return AutoModelForCausalLM.from_config(config, dtype=getattr(stack.torch, DTYPES[dtype]))
    except Exception as error:  # a config can be wrong in more ways than transformers has exceptions for
        if stack.is_out_of_memory(error):
            raise
        said = " ".join(str(error).split())
        raise InputError(f"{each.name}: transformers cannot build it: {said[:300]}") from None


def architecture_of(model: Any) -> str:
    """`transformer`, `ssm` or `hybrid`, by what its layers are called."""
    classes = {type(module).__name__ for module in model.modules()}
    attends = any(name.endswith("Attention") and not any(word in name for word in NO_CACHE) for name in classes)
    names = classes.union(name for name, _ in model.named_parameters())
    recurs = any(word in name for name in names for word in RECURRENT)
    return ("hybrid" if attends else "ssm") if recurs else "transformer"


def learned_positions(model: Any) -> int | None:
    """Rows of a learned table of positions, if there is one: no prompt may be longer."""
    words = model.get_input_embeddings()
    tables = [
        module.num_embeddings
        for name, module in model.named_modules()
        if type(module).__name__.endswith("Embedding") and module is not words and hasattr(module, "num_embeddings")
        and ("pos" in name.lower() or "wpe" in name)
    ]  # fmt: skip
    return min((*tables, model.config.max_position_embeddings)) if tables else None


def fallbacks(model: Any) -> tuple[str, ...]:
    """Kernels in whose place the model runs reference code, for want of a package.

    transformers wraps each such function; where its package is missing the wrapper calls what it wraps.
    """
    module = sys.modules[type(model).__module__]
    names = [name for name, value in vars(module).items() if callable(value) and _falls_back(value)]
    if getattr(module, "is_fast_path_available", True) is False:  # before transformers 5.16
        names.append("fast path")
    return tuple(sorted(names))


def _falls_back(function: Any) -> bool:
    while (inner := getattr(function, "__wrapped__", None)) is not None:
        names = getattr(getattr(function, "__code__", None), "co_freevars", ())
        if "implementation" in names:
            return function.__closure__[names.index("implementation")].cell_contents is inner
        function = inner
    return False
