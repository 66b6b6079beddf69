"""Reading a config.json: what is in it, which adapter reads it, and what it leaves aside."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from pydantic import AliasChoices, ValidationError

from roofsim.adapters import hub, published
from roofsim.adapters.published.base import ADAPTERS, Config, architecture_values, ignorable, without_effect
from roofsim.adapters.published.quantised import CACHE, stored_weights
from roofsim.foundation.errors import SpecError, UnknownName, Unsupported
from roofsim.foundation.values import dataclass
from roofsim.model.architecture import Architecture
from roofsim.specs.files import build, problem_line
from roofsim.specs.json_text import parsed
from roofsim.specs.text import read_text

LARGEST = 10**9
"""No context window is longer."""

MOST_LINES = 12
"""Lines of a message; a list of a thousand entries may be wrong in each."""

TEXT_CONFIGS = ("text_config", "language_config", "llm_config")
"""Where multimodal models keep the config of the language model."""

OF_ALL = ("architectures", "auto_map", "quantization_config", "_name_or_path")
"""Fields beside that config which are read as well."""

HEADS = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration", "ForVision2Seq")
"""Ends of the names of classes that generate text."""


@dataclass(frozen=True, slots=True)
class Published:
    """A config.json as read: the values of a model file, and the fields that were left aside."""

    values: Mapping[str, Any]
    ignored: tuple[str, ...]
    notes: tuple[str, ...]


@cache
def adapters() -> Mapping[str, type[Config]]:
    """Every adapter by model type."""
    for module in iter_modules(published.__path__):
        import_module(f"{published.__name__}.{module.name}")
    return ADAPTERS


def read_config(path: Path) -> Published:
    """The network of a config.json (or of the folder that holds one); raises SpecError that says what is wrong."""
    file = path / "config.json" if os.path.isdir(path) else path
    fields = read_json(file)
    notes: list[str] = []
    outer = fields
    for key in TEXT_CONFIGS:
        if isinstance(fields.get(key), dict):
            inner = dict(fields[key])
            inner.setdefault("model_type", fields.get("model_type"))
            if "tie_word_embeddings" in fields:
                inner.setdefault("tie_word_embeddings", fields["tie_word_embeddings"])
            notes.append(f"{key} of a {fields.get('model_type')} model: only the language model is counted")
            fields = inner
            break
    kind = fields.get("model_type")
    if not isinstance(kind, str):
        raise SpecError([f"{file}: model_type: is missing; without it nothing says what the fields mean"])
    adapter = adapters().get(kind)
    if adapter is None:
        raise SpecError([f"{file}: model_type: {UnknownName('adapters', kind[:80], sorted(adapters()))}"])
    _check_code(outer, file)
    known, ignored = _sorted(adapter, fields, file)
    try:
        config = adapter.model_validate(known)
        values = architecture_values(config)
    except ValidationError as error:
        lines = [f"{file}: {_short(problem_line('', each)[2:])}" for each in error.errors(include_url=False)]
        more = [f"{file}: {len(lines) - MOST_LINES} more of the kind"] if len(lines) > MOST_LINES else []
        raise SpecError(lines[:MOST_LINES] + more) from None
    except ValueError as error:
        raise SpecError([f"{file}: {_short(str(error))}"]) from None
    id_, name, source = _names(outer, file)
    source = f"{source} (model_type {kind})"
    if stored := hub.named(file):
        notes.append(f"its config.json in the local Hugging Face cache, snapshot {stored[1][: hub.HASH]}")
    family = kind.removesuffix("_text")
    window = {} if values.get("positions") else _window(fields)
    ignored = [each for each in ignored if not (window and each == POSITIONS) and each not in FURTHER]
    further = sum(fields[each] for each in FURTHER if isinstance(fields.get(each), int))
    drafts = {"mtp_modules": further} if further > 0 else {}
    values = {"name": name, "id": id_, "family": family, **window, **drafts, **values, "sources": {"config": source}}
    for at in {id(each): each for each in (outer, fields)}.values():
        if said := at.get(QUANTISED):
            values["stored"] = _stored(said, build(Architecture, values, str(file)), file)
            how = f"the weights are stored quantised, in {values['stored']['format']}"
            notes.append(f"{QUANTISED}: {how}, unless --weights says otherwise")
            notes += [f"{QUANTISED}.{each}: is left to --cache" for each in CACHE if said.get(each)]
    notes += [f"{each}: layers that predict further tokens are not counted" for each in FURTHER if fields.get(each)]
    notes += [
        f"{name}: {json.dumps(fields[name])} is not known for model_type {kind} and left aside"
        for name in ignored
        if isinstance(fields[name], int | float) and not fields[name]
        and not without_effect(name, adapter.no_effect) and name not in off_unless_said()
    ]  # fmt: skip
    if outer is not fields:  # what is said of other parts than the language model
        ignored += sorted(set(outer) - set(fields) - set(OF_ALL) - set(TEXT_CONFIGS))
    return Published(values, tuple(ignored), tuple(notes))


@cache
def off_unless_said() -> frozenset[str]:
    """Fields that some kind of model reads and that are off unless a file switches them on."""
    found = set()
    for adapter in adapters().values():
        for name, info in adapter.model_fields.items():
            if info.default in (None, False, 0):
                alias = info.validation_alias
                found |= set(map(str, alias.choices)) if isinstance(alias, AliasChoices) else {str(alias or name)}
    return frozenset(found)


QUANTISED = "quantization_config"
FURTHER = ("num_nextn_predict_layers", "num_mtp_layers", "mtp_num_hidden_layers")
"""Layers beside the model that guess at more than the next token."""


def _stored(said: Any, network: Architecture, file: Path) -> dict[str, Any]:
    """How the weights are stored; raises SpecError where the format is not known."""
    try:
        format_, bits = stored_weights(network, said if isinstance(said, dict) else {})
    except (UnknownName, Unsupported) as error:
        right = "without the field, weights are counted in the dtype or the --weights that are asked for"
        raise SpecError([f"{file}: {QUANTISED}: {_short(str(error))}; {right}"]) from None
    return {"bits": bits, "source": "config", "format": format_}


POSITIONS = "max_position_embeddings"
"""Where a config states its context window, if that is no table of parameters."""


def _window(fields: Mapping[str, Any]) -> dict[str, int]:
    """The context window, where a config states one that can be."""
    return context_window(fields.get(POSITIONS))


def context_window(stated: object) -> dict[str, int]:
    """The context window that a file states, where it can be one."""
    can_be = isinstance(stated, int) and not isinstance(stated, bool) and 0 < stated <= LARGEST
    return {"context_window": stated} if can_be and isinstance(stated, int) else {}


def _names(fields: Mapping[str, Any], file: Path) -> tuple[str, str, str]:
    """Id and name of a model, and where they are from: the Hub, what the config calls itself, its folder or file."""
    if stored := hub.named(file):
        name, snapshot = stored
        return name, name, f"config.json of {name} on the Hugging Face Hub, snapshot {snapshot[: hub.HASH]}"
    id_ = file.stem if file.stem != "config" else file.resolve().parent.name
    said = fields.get("_name_or_path")
    if isinstance(said, str) and said and not said.startswith((".", "/")) and len(said) <= 100:
        name = said
    else:
        name = id_ if file.stem == "config" else file.stem.replace("__", "/")
    return id_, name, f"config.json of {name}"


MOST_LETTERS = 300
"""Letters of a message that quotes a file."""


def _short(text: str) -> str:
    """A text short enough for a message."""
    return text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]}..."


def read_json(path: Path) -> dict[str, Any]:
    """The object that a JSON file holds; raises SpecError if it does not."""
    value = parsed(read_text(path), path)
    if not isinstance(value, dict):
        raise SpecError([f"{path}: holds no object ({{...}}); a config.json is expected"])
    return value


def _check_code(fields: Mapping[str, Any], file: Path) -> None:
    """Refuse a class that is no language model, code from elsewhere, and models with an encoder."""
    named = fields.get("architectures")
    classes = named if isinstance(named, list) else []
    if classes and not any(isinstance(each, str) and each.endswith(HEADS) for each in classes):
        raise SpecError(
            [f"{file}: architectures: {_short(repr(classes[0]))} is no class of a language model (…ForCausalLM)"]
        )
    code = fields.get("auto_map")
    if code:
        made = code.get("AutoModelForCausalLM") if isinstance(code, dict) else code
        own = isinstance(made, str) and "--" not in made and made.rpartition(".")[2] in classes
        if made is not None and not own:
            what = f"the model is made by code of its own ({_short(repr(made))}), which is neither read nor run"
            hint = f"remove the field if that code computes what {fields.get('model_type')} does"
            raise SpecError([f"{file}: auto_map: {what}; {hint}"])
    if fields.get("use_bidirectional_attention") is True:  # other values concern images
        raise SpecError([f"{file}: use_bidirectional_attention: a model that sees what follows does not generate"])
    for name in ("is_encoder_decoder", "add_cross_attention"):
        if fields.get(name):
            raise SpecError([f"{file}: {name}: only decoders are modelled, without cross-attention"])


def _sorted(adapter: type[Config], fields: Mapping[str, Any], file: Path) -> tuple[dict[str, Any], list[str]]:
    """The fields that the adapter reads and those that change nothing; raises SpecError for all others."""
    names = adapter.accepts()
    known = {name: fields[name] for name in names if name in fields and (fields[name] is not None or names[name])}
    ignored, problems = [], []
    for name, value in fields.items():
        if name in names or name == "model_type":
            continue
        if ignorable(name, value, adapter.no_effect):
            ignored.append(name)
        else:
            what = f"not understood for model_type {fields['model_type']}; it may change what is computed"
            problems.append(f"{file}: {name[:80]}: {what}")
    if problems:
        more = [f"{file}: {len(problems) - MOST_LINES} more fields that are not understood"]
        raise SpecError(problems[:MOST_LINES] + (more if len(problems) > MOST_LINES else []))
    return known, sorted(ignored)
