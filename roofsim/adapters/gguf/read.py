"""The network that a GGUF file describes, and how its weights are stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from roofsim.adapters.gguf.contents import LONGEST
from roofsim.adapters.gguf.header import Header, Tensor, read_header
from roofsim.adapters.gguf.keys import ARCHITECTURES, BALANCE, NO_WEIGHTS, OPERATORS, VECTORS, Model, config, model_type
from roofsim.adapters.published.base import architecture_values
from roofsim.adapters.published.read import Published, adapters, context_window
from roofsim.foundation.errors import SpecError, UnknownName
from roofsim.model.architecture import Architecture
from roofsim.specs.files import build, problem_line
from roofsim.specs.workload import WHOLE

SOURCE = "file"
CLOSE = 1e-3
"""Parameters of a file may differ from those counted by this share; norms that layers have or lack are less."""


def read_gguf(path: Path) -> Published:
    """The values of a model file that a GGUF file gives; raises SpecError that says what is wrong.

    Only the header is read. The parameters of the tensors must be those that the network has.
    """
    return published(read_header(path))


def published(header: Header) -> Published:
    """The values of a model file that the header of a GGUF file gives; raises SpecError that says what is wrong."""
    path = header.path
    name = header.fields.get("general.architecture")
    if not isinstance(name, str):
        raise SpecError([f"{path}: general.architecture: is missing; without it nothing says what the fields mean"])
    if header.fields.get(f"{name}.attention.causal") is False:
        raise SpecError([f"{path}: {name}.attention.causal: a model that sees what follows does not generate"])
    row = ARCHITECTURES.get(name)
    if row is None:
        raise SpecError([f"{path}: general.architecture: {UnknownName('architectures', name[:80], ARCHITECTURES)}"])
    model = Model(header, name)
    try:
        kind = model_type(model, row)
        adapter = adapters()[kind]
        accepted = adapter.accepts()
        said = {"model_type": kind, **config(model, row, accepted)}
        known = {key: value for key, value in said.items() if accepted.get(key, False) or value is not None}
        values = architecture_values(adapter.model_validate(known))
    except ValidationError as error:
        raise SpecError([problem_line(str(path), problem) for problem in error.errors(include_url=False)]) from None
    except ValueError as error:
        raise SpecError([f"{path}: {error}"]) from None
    called = header.fields.get("general.name")
    stated = header.fields.get(f"{name}.context_length")
    values = {
        "name": called if isinstance(called, str) and 0 < len(called) <= 100 else path.stem,
        "id": path.stem,
        "family": kind.removesuffix("_text"),
        **({} if values.get("positions") or stated == LONGEST else context_window(stated)),
        **({"mtp_modules": further} if (further := model.size("nextn_predict_layers")) else {}),
        **values,
        "sources": {SOURCE: f"header of {path.name} (architecture {name})"},
    }
    network = build(Architecture, values, str(path))
    mine = [tensor for inside in model.by_layer.values() for layer, tensor in inside.items() if layer < model.depth]
    notes = list(_differences(path, network, [tensor for tensor in mine if base(tensor) not in NO_WEIGHTS]))
    beyond = sum(tensor.size for tensor in header.tensors.values()) - sum(tensor.size for tensor in mine)
    if beyond:
        notes.append(f"{beyond:,} bytes of layers that predict further tokens are left out")
    bits = stored_bits(network, mine)
    quantised = {"family": "ggml"} if min(bits.values()) < WHOLE else {}
    values["stored"] = {"bits": bits, "source": SOURCE, **quantised}
    ignored = sorted(key for key in header.fields if not key.startswith(f"{name}."))
    return Published(values, tuple(ignored), tuple(notes))


def base(tensor: Tensor) -> str:
    """The name of a tensor without its layer and its end: `attn_q` of `blk.0.attn_q.weight`."""
    name = tensor.name
    if name.startswith("blk."):
        name = name.split(".", 2)[-1]
    return name.removesuffix(".weight").removesuffix(".bias")


def stored_bits(network: Architecture, tensors: list[Tensor]) -> dict[str, float]:
    """Bits per weight by operator, of other matrices (`weights`), and of what is no matrix (`vectors`)."""
    ours: Counter[str] = Counter()
    for matrix in network.inventory.matrices:
        ours[matrix.operator] += matrix.count * matrix.weights
    weights: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for tensor in tensors:
        operator = operator_of(network, tensor)
        weights[operator] += tensor.weights
        sizes[operator] += tensor.size
    # operators whose matrices are the tensors of that name; all other matrices are taken together
    same = [operator for operator in ours if weights[operator] == ours[operator]]
    vectors = network.total_parameters - sum(ours.values())
    others = sum(ours.values()) - sum(ours[operator] for operator in same)
    size = sum(sizes.values()) - sum(sizes[operator] for operator in (*same, "vectors"))
    if not others:  # what is left is no matrix either
        sizes["vectors"] += size
        others, size = sum(ours[operator] for operator in same), sum(sizes[operator] for operator in same)
    bits = {"weights": 8 * size / others, "vectors": 8 * sizes["vectors"] / vectors if vectors > 0 else VECTOR_BITS}
    return bits | {operator: 8 * sizes[operator] / ours[operator] for operator in same}


VECTOR_BITS = 32
"""Bits of what is no matrix, for a network that has no such weights."""


def operator_of(network: Architecture, tensor: Tensor) -> str:
    """The operator that reads a tensor; `vectors` if it is no matrix, and its own name if no operator is known."""
    name = base(tensor)
    if name == "token_embd" and network.tied_embeddings:
        return "lm_head"
    if name in OPERATORS:
        return OPERATORS[name]
    return "vectors" if len(tensor.shape) == 1 or name.startswith(VECTORS) or name.endswith("_norm") else name


def _differences(path: Path, network: Architecture, tensors: list[Tensor]) -> Iterator[str]:
    """A word on parameters that differ a little; raises SpecError that names them if they differ more."""
    ours, total = network.total_parameters, sum(tensor.weights for tensor in tensors)
    balance = sum(tensor.weights for tensor in tensors if base(tensor) in BALANCE)
    if ours in (total, total - balance):
        return
    message = f"its tensors hold {total:,} parameters, the network that its metadata describes {ours:,}"
    if abs(total - ours) <= CLOSE * ours:
        yield message
        return
    found: Counter[str] = Counter()
    example: dict[str, Tensor] = {}
    for tensor in tensors:
        operator = operator_of(network, tensor)
        found[operator] += tensor.weights
        example.setdefault(operator, tensor)
    counted: Counter[str] = Counter()
    for matrix in network.inventory.matrices:
        counted[matrix.operator] += matrix.count * matrix.weights
    lines = [f"{path}: {message}"]
    for operator in sorted({*found, *counted}, key=lambda each: -abs(found[each] - counted[each]))[:MOST]:
        if found[operator] != counted[operator] and operator != "vectors":
            where = f"{example[operator].name} and alike" if operator in example else operator
            lines.append(f"{path}: {where}: {found[operator]:,} weights, counted are {counted[operator]:,}")
    raise SpecError(lines)


MOST = 6
"""Kinds of tensor that a message names at most."""
