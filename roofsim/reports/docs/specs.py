"""The pages of what files and tables state: parameters, devices, clusters, models and runtimes."""

from __future__ import annotations

from collections.abc import Iterator

from roofsim import library
from roofsim.foundation import units
from roofsim.foundation.parameters import PARAMETERS, Parameter
from roofsim.foundation.quantity import Sourced
from roofsim.model.architecture import describe_part
from roofsim.model.step import Pass
from roofsim.model.weights import ENCODINGS, WEIGHT_FORMATS, bytes_per_weight
from roofsim.ops.base import ROLES, Role
from roofsim.reports.docs.console import listed
from roofsim.reports.docs.markdown import documented, inline, symbol, table, untitled
from roofsim.reports.specs import cluster, implementation, plain_spec
from roofsim.specs.calibration import NORMAL_95
from roofsim.specs.implementation import Facts
from roofsim.specs.workload import workload


def parameters() -> Iterator[str]:
    """Every parameter that can be calibrated, and who states a value of it."""
    yield "# Parameters"
    yield (
        "The numbers between what a data sheet says and what a kernel takes. A device or host file may state its own "
        "value, which wins over the prior, a [calibration](calibration.md) wins over both, and "
        "`--set parameters.NAME=VALUE` over all. The limits are those of `--set` and of a fit. What was read by hand, "
        "and by how much it differs between devices or hosts, is where learning begins; what was "
        "[learnt](calibration.md#priors) of a class of devices and runtimes takes its place. [model.md](model.md) says "
        "where each one enters."
    )
    rows = [
        [
            f"[{p.name}](#{p.name})",
            inline(symbol(p.symbol)),
            _shown(p, p.prior),
            f"{_shown(p, p.low)} to {_shown(p, p.high)}",
            f"{p.spread:.0%}",
            p.scope,
        ]
        for p in PARAMETERS.values()
    ]
    yield table(["parameter", "symbol", "read by hand", "limits", "spread", "belongs to"], rows)
    stated = _stated()
    for p in PARAMETERS.values():
        known = p.source.removeprefix("prior: ")
        yield f"## {p.name}"
        yield f"{p.meaning[0].upper()}{p.meaning[1:]}."
        yield f"Read by hand: {_shown(p, p.prior)}{', not measured' * (known != p.source)}: {known}."
        if rows := list(_learnt(p)):
            yield table(["learnt of devices", "with runtimes", "mean", "95 % of them", "fits", "devices"], rows)
        if found := stated.get(p.name):
            rows = [[who, _shown(p, sourced.value), text, sourced.note] for who, sourced, text in found]
            yield table(["stated by", "value", "source", "note"], rows)


def _learnt(p: Parameter) -> Iterator[list[str]]:
    """A parameter in each class that the population knows of."""
    for group in library.population().groups:
        if each := group.parameters.get(p.name):
            ends = [p.bounded(p.free(each.mean) + side * NORMAL_95 * each.spread) for side in (-1, 1)]
            low, high = (_shown(p, float(f"{end:.3g}")) for end in ends)
            yield [group.devices or "any", group.runtimes or "any", _shown(p, float(f"{each.mean:.3g}")),
                   f"{low} to {high}", str(each.fits), str(each.devices)]  # fmt: skip


def _shown(p: Parameter, value: float) -> str:
    return units.show(value, p.unit) if p.unit else f"{value:g}"


def _stated() -> dict[str, list[tuple[str, Sourced, str]]]:
    """Who states a value of each parameter: the file, the value and its source; a device once for modes that agree."""
    found: dict[str, dict[tuple[str, float], tuple[str, Sourced, str]]] = {}
    for d in library.all_devices():
        file = d.id.partition("@")[0]
        for name, value in d.parameters.items():
            seen = found.setdefault(name, {})
            who = file if (file, value.value) in seen else d.id
            seen[file, value.value] = (who, value, d.sources[value.source])
    for file in library.names("hardware/hosts"):
        h = library.host(file)
        for name in PARAMETERS:
            stated = getattr(h, name, None)
            if isinstance(stated, Sourced):
                found.setdefault(name, {})[file, stated.value] = (f"host {file}", stated, h.sources[stated.source])
    return {name: list(seen.values()) for name, seen in found.items()}


def devices() -> Iterator[str]:
    """Every device and host: each number with its source."""
    yield "# Devices and hosts"
    yield listed("devices")
    for name in library.names("hardware"):
        d = library.device(name)
        modes = ", ".join(f"`@{mode}`" for mode in library.modes(name))
        yield f"## {name}"
        yield f"{d.name}." + (f" Modes: {modes}; shown is `{d.id}`." if modes else "")
        yield untitled(plain_spec("hardware", d)[0])
    yield "## Hosts"
    for name in library.names("hardware/hosts"):
        h = library.host(name)
        yield f"### {name}"
        yield f"The {h.name}."
        yield untitled(plain_spec("hardware/hosts", h)[0])


def clusters() -> Iterator[str]:
    """Every cluster: each number with its source."""
    yield "# Clusters"
    yield listed("clusters")
    for name in library.names(library.CLUSTERS):
        c = library.cluster(name)
        stands = ", and where several of them are thought to stand" if library.device(c.device).cluster == name else ""
        yield f"## {name}"
        counted = f"{c.nodes:,} × {c.per_node:,} [{c.device}](devices.md#{c.device})"
        yield f"{c.name[0].upper()}{c.name[1:]}: {counted}{stands}."
        yield untitled(cluster(c)[0])


def models() -> Iterator[str]:
    """Every model: its layers, its parameters and its sources."""
    yield "# Models"
    yield listed("models")
    for name in library.names("models"):
        a = library.architecture(name)
        facts = [f"width {a.d_model:,}", f"vocabulary {a.vocab:,}"]
        facts.append(f"embeddings {'tied' if a.tied_embeddings else 'separate'}")
        facts += [f"{a.positions:,} learned positions"] * bool(a.positions)
        facts += [f"context window {a.window:,}"] * bool(a.context_window)
        facts += [f"{a.prefix_tokens:,} learned tokens before every prompt"] * bool(a.prefix_tokens)
        kinds = ", ".join(f"{kind} {n:,}" for kind, n in a.parameters.items() if n)
        said = a.published_parameters
        published = f"; published {said.value:,} (`{said.source}`)" if said else ""
        yield f"## {name}"
        yield f"{a.name}: {', '.join(facts)}."
        rows = [
            [layer, f"{count:,}", ", ".join(f"`{describe_part(part)}`" for part in a.layers[layer])]
            for layer, count in a.counts.items()
        ]
        yield table(["layer", "count", "parts"], rows)
        yield f"{a.total_parameters:,} parameters ({kinds}){published}."
        yield "\n".join(f"- `{key}`: {text}" for key, text in a.sources.items())


def weights() -> Iterator[str]:
    """Every format that weights can be stored in, and what shipped models take in it."""
    yield "# Weight formats"
    yield (
        "What `--weights` knows. A format says in which encoding the matrices of the layers are, the embedding, the "
        "LM head, and the rest (norms, filters, decays, routers, biases of no matrix): – is the dtype of the model. "
        "Mixed are the operators whose matrices have another encoding in some or all layers. Bits are the mean over "
        "all parameters of a model in bf16; a GGUF file states its own. Biases count with their matrix."
    )
    models = [library.architecture(name) for name in ("Llama-3.1-8B", "Qwen2.5-0.5B", "Mixtral-8x7B", "mamba2-2.7b")]
    rows = []
    for name, form in WEIGHT_FORMATS.items():
        bits = [8 * a.weight_bytes(workload(weight_format=name).precision("fp32", a)) / a.total_parameters
                for a in models]  # fmt: skip
        mixed = ", ".join(f"`{operator}`" for operator, rules in form.mixed.items() if rules)
        kept = [form.embedding or "–", form.head or "–", form.rest or "–"]
        rows.append([f"`{name}`", form.matrices, *kept, mixed, *(f"{each:.4g}" for each in bits), form.source])
    heads = ["format", "matrices", "embedding", "LM head", "rest", "mixed", *(f"bits, {a.id}" for a in models)]
    yield table([*heads, "source"], rows)
    yield "## Encodings"
    yield (
        "Bits of a weight and of what its group shares: scales, zero points, minima. A row that groups do not divide "
        "is in the encoding named last."
    )
    rows = [
        [f"`{name}`", f"{e.bits:g}", f"{e.shared:g}", f"{e.group:,}" if e.group else "a row" if e.shared else "–",
         f"{8 * bytes_per_weight(name):.5g}", e.fallback or "–", e.source]
        for name, e in ENCODINGS.items()
    ]  # fmt: skip
    yield table(["encoding", "bits", "shared bits", "by", "bits per weight", "else", "source"], rows)


def runtimes() -> Iterator[str]:
    """Every runtime: what it does, and why."""
    yield "# Runtimes"
    yield listed("runtimes")
    for name in library.names("runtimes"):
        r = library.runtime(name)
        yield f"## {name}"
        yield f"{r.name}. Version: {r.version}."
        yield untitled(plain_spec("runtimes", r)[0])
    yield "## Implementations"
    yield (
        "What the code of a library does to the families of models that it runs, whatever the runtime chooses: the "
        "`implementation` of a runtime is one of these, a file in `runtimes/implementations/`. Facts of every family "
        "hold for all that have none of their own in their place."
    )
    yield documented(Facts).partition("\n\n")[2]
    for name in library.names(library.IMPLEMENTATIONS):
        known = library.implementation(name)
        yield f"### {name}"
        yield f"{known.name}." + (f" Based on [{known.based_on}](#{known.based_on})." if known.based_on else "")
        yield untitled(implementation(known))
    yield "## Roles"
    yield (
        "What an operator is for. A runtime lists under `fused` the roles of operators that it runs as one kernel that "
        "moves nothing twice; a role is fused with the one that it is a kind of."
    )
    wider: dict[Role, set[Role]] = {role: set() for role in Role}
    for model in map(library.architecture, library.names("models")):
        for operator in (each for row in model.rows(Pass(1, 1, 0)) for each in row.operators):
            wider[operator.role].add(ROLES[operator.function])
    rows = [
        [f"`{role}`", ", ".join(f"`{kind}`" for kind in sorted(wider[role] - {role})), role.meaning] for role in Role
    ]
    yield table(["role", "a kind of", "meaning"], rows)
