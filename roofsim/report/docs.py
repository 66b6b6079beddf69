"""Writes the pages of `docs/` that say what the code says: `python -m roofsim.report.docs [--check]`.

Each entry of PAGES is a page made from the code and the spec files; the consoles of the pages in CONSOLES are
filled with what their commands print. `--check` writes nothing and names the pages that are not up to date.
"""

from __future__ import annotations

import inspect
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import MappingProxyType
from typing import Any

from roofsim import ops, symbolic, units
from roofsim.mixers.base import PARTS, Part
from roofsim.nomenclature import SYMBOLS
from roofsim.ops.base import REGISTER, CostFunction
from roofsim.parameters import PARAMETERS, Parameter
from roofsim.passes import Pass, Precision
from roofsim.report.formats import as_markdown
from roofsim.report.specs import plain_spec
from roofsim.report.table import Column, Table
from roofsim.specs import library
from roofsim.specs.architecture import Architecture, describe_part
from roofsim.specs.quantity import Sourced

SYMPY = sys.modules["sympy"]
"""Loaded by `symbolic`, its one importer."""

ROOT = Path(__file__).resolve().parents[2]
COMMAND = "python -m roofsim.report.docs"
MARK = f"<!-- Written by `{COMMAND}` from the code: edit that, not this page. -->"
COLOUR = ("FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE")

MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        "windowed_cache": "whether the cache is cut to the window",
        "declared_window": "a window that the published config states but switches off",
        "d_in": "width of its input where that is not the model's",
        "qkv_bias": "the projections to queries, keys and values have a bias",
        "out_bias": "the output projection has a bias",
        "fused_qkv": "queries, keys and values come from one matrix",
        "qk_norm": "queries and keys are normed before they meet",
        "rotary": "positions enter by rotation",
        "lora_rank": "rank of the adapters on its input projections",
        "dt_rank": "rank of the projection that makes Δ",
        "d_conv": "taps of the convolution",
        "conv_bias": "the convolution has a bias",
        "gated_norm": "the gate is followed by a norm",
        "reuses_kv": "attends to the keys and values of the layer before and keeps none",
        "width": "width between its matrices",
        "bias": "its matrices have a bias",
        "fused": "gate and up are one matrix",
        "block": "name of the block whose uses share their weights",
        "attention": "the attention inside",
        "ssm": "the state-space layer inside",
        "mlp": "the channel mixer inside",
    }
)
"""What a field of a part means, where neither its description nor the nomenclature says it."""


# --- what pages are made of ---


def run(line: str) -> str:
    """What `roofsim ...` prints, 80 columns wide and without colour; raises RuntimeError if it fails."""
    words = shlex.split(line)
    changes = {"COLUMNS": "80", "TERM": "dumb", "PYTHONUTF8": "1", "MPLBACKEND": "Agg"}
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    kept = {name: value for name, value in os.environ.items() if name not in COLOUR}
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", *words],
            capture_output=True, check=False, cwd=folder, encoding="utf-8", stdin=subprocess.DEVNULL,
            env=kept | changes | {"PYTHONPATH": path},
        )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{line}: exit code {done.returncode}\n{done.stderr.rstrip()}")
    return "\n".join(row.rstrip() for row in (done.stderr + done.stdout).rstrip().split("\n"))


def run_all(lines: Sequence[str]) -> list[str]:
    """As `run`, a few at a time."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(run, lines))


def symbol(name: str) -> Any:
    """A positive symbol, as `symbolic` makes them."""
    return SYMPY.Symbol(name, positive=True)


def maths(expression: Any) -> str:
    """An expression within a line."""
    return f"${symbolic.latex(expression)}$"


def formula(name: str, expression: Any) -> str:
    """An equation on a line of its own."""
    return f"$$\\text{{{name.replace('_', ' ')}}} = {symbolic.latex(expression)}$$"


def table(names: Iterable[str], rows: Iterable[Sequence[Any]]) -> str:
    """Rows of text."""
    return as_markdown([Table("", [Column(name) for name in names], list(rows))], {})


def untitled(tables: Iterable[Table]) -> str:
    """Tables whose heading the page has already."""
    first, *rest = tables
    return as_markdown([replace(first, title=""), *rest], {})


def anchor(heading: str) -> str:
    """What a heading is called in a link."""
    return re.sub(r"[^a-z0-9_-]", "", heading.lower())


def documented(thing: Any) -> str:
    """The docstring."""
    return inspect.getdoc(thing) or ""


# --- the pages ---


def cli() -> Iterator[str]:
    """The help of every command."""
    yield "# Command line"
    yield "What `roofsim --help` and `roofsim COMMAND --help` say."
    listed = run("roofsim --help")
    names = re.findall(r"^  ([a-z][a-z-]*)  ", listed.partition("Commands:")[2], re.MULTILINE)
    for name, text in zip(["", *names], [listed, *run_all([f"roofsim {n} --help" for n in names])], strict=True):
        yield f"## {f'roofsim {name}'.strip()}"
        yield f"```text\n{text}\n```"


def formulas() -> Iterator[str]:
    """Every cost function."""
    yield "# Formulas"
    yield (
        "What each operator costs: a plain function of named sizes in `roofsim/ops/`, printed here as SymPy reads it. "
        "`matrix` and `vector` are FLOP (a multiply-add is 2) for the two kinds of unit; `weights`, `activations` and "
        "`state` are bytes moved. A column that is left out is 0. [model.md](model.md) says what becomes of them."
    )
    yield "## Symbols"
    rows = [[maths(symbol(sign)), f"`{name}`", meaning] for name, (sign, meaning) in SYMBOLS.items()]
    yield table(["symbol", "in the code", "meaning"], rows)
    yield "The symbols of the calibratable parameters are in [parameters.md](parameters.md)."
    for found in iter_modules(ops.__path__):
        module = import_module(f"{ops.__name__}.{found.name}")
        costs = [f for f in REGISTER if f.__module__ == module.__name__]
        if costs:
            yield f"## {documented(module)}".rstrip(".")
            yield from _family(module, sorted(costs, key=_line))


def _family(module: Any, costs: Sequence[CostFunction]) -> Iterator[str]:
    """The helpers of a module, then its cost functions with the helpers by name."""
    helpers = [f for _, f in inspect.getmembers(module, inspect.isfunction) if f.__module__ == module.__name__]
    named: dict[Any, Any] = {}
    for function in sorted(set(helpers) - set(costs), key=_line):
        arguments = inspect.signature(function).parameters
        expression = function(**{name: symbol(SYMBOLS[name][0]) for name in arguments})
        words = function.__name__.replace("_", " ")
        named[expression] = symbol(f"\\text{{{words}}}")
        yield f"**{words}.** {documented(function)}"
        yield formula(words, expression)
    for function in costs:
        yield f"### {function.__name__}"
        yield f"*{REGISTER[function]}.* {documented(function)}"
        for column, expression in symbolic.cost_expressions(function).items():
            if expression != 0:
                yield formula(column, expression.subs(named))


def _line(function: Any) -> int:
    return int(function.__code__.co_firstlineno)


def mixers() -> Iterator[str]:
    """Every kind of part of a layer."""
    yield "# Mixers and channel mixers"
    yield (
        "The parts of a layer that a model file can name by `kind`. Each stands for one residual branch; the norm "
        "before it and the sum after it belong to the layer. Parameters and state are the part's own methods run on "
        "symbols, with every switch as it is by default; the lists say what a switch or an optional size changes. "
        f"{maths(symbol('d_model'))} is the width of the model, the other symbols are those of "
        "[formulas.md](formulas.md) or the field's name."
    )
    models = [library.architecture(name) for name in library.names("models")]
    for kind, part in sorted(PARTS.items(), key=lambda each: (each[1].__module__.startswith(FFN), each[0])):
        yield f"## {kind}"
        yield documented(part)
        fields = [_field(name, info) for name, info in part.model_fields.items() if name != "kind"]
        yield table(["field", "default", "meaning"], fields)
        yield from _algebra(part)
        yield from _example(kind, models)


FFN = "roofsim.ffn"
WORDS = {"None": "none", "True": "yes", "False": "no"}


def _field(name: str, info: Any) -> list[str]:
    meaning = info.description or MEANINGS.get(name) or SYMBOLS.get(name, ("", "–"))[1]
    if inside := part_of(info):
        kind = inside.model_fields["kind"].annotation.__args__[0]  # type: ignore[union-attr]
        meaning += f", a [{kind}](#{kind})"
    default = "required" if info.is_required() else WORDS.get(str(info.default), str(info.default))
    return [f"`{name}`", default, meaning]


def part_of(info: Any) -> type[Part] | None:
    """The kind of part that a field holds, if it holds one."""
    return info.annotation if isinstance(info.annotation, type) and issubclass(info.annotation, Part) else None


def construct(part: type[Part], inside: str = "") -> Part:
    """A part whose sizes are symbols, with its switches as they are by default (0 or 1)."""
    values: dict[str, Any] = {}
    for name, info in part.model_fields.items():
        if within := part_of(info):
            values[name] = construct(within, name)
        elif info.annotation is bool:
            values[name] = int(info.default)
        elif info.annotation in (int, float):
            values[name] = symbol(SYMBOLS.get(name, (name,))[0] + (f"__{inside}" if inside else ""))
        else:
            values[name] = name if info.is_required() else info.default
    return part.model_construct(**values)


def switched(made: Part) -> Iterator[tuple[str, Part]]:
    """The same part with each of its switches the other way, and each size that may be left out given."""
    for name, info in type(made).model_fields.items():
        if info.annotation is bool:
            yield f"`{name}: {'no' if info.default else 'yes'}`", made.model_copy(update={name: 1 - info.default})
        elif not info.is_required() and info.default is None:
            given = symbol(SYMBOLS.get(name, (name,))[0])
            yield f"`{name}`", made.model_copy(update={name: given})


def own(made: Part) -> dict[str, Any]:
    """Parameters by kind, those shared with other uses by block and kind."""
    d_model = symbol("d_model")
    shared = made.shared_parameters(d_model).items()
    return {**made.parameters(d_model), **{f"{b}: {k}": n for b, kinds in shared for k, n in kinds.items()}}


def held(made: Part) -> Any:
    """Bytes of state after S tokens."""
    sizes = {name: symbol(SYMBOLS[key][0]) for name, key in PRECISION.items()}
    return made.state_bytes(symbol(SYMBOLS["context"][0]), Precision(**sizes))


PRECISION = {"weights": "weight_bytes", "activations": "act_bytes", "cache": "cache_bytes", "state": "state_bytes"}


def _algebra(part: type[Part]) -> Iterator[str]:
    """Parameters and state in symbols, and what each switch changes."""
    made = construct(part)
    numbers, state = own(made), held(made)
    yield "Parameters:"
    yield from (formula(kind, n) for kind, n in numbers.items())
    yield "State of one sequence in bytes:"
    yield formula("state", state)
    lines = []
    for name, other in switched(made):
        changes = {kind: SYMPY.expand(n - numbers.get(kind, 0)) for kind, n in own(other).items()}
        lines += [f"- {name} changes {kind} by {maths(n)}" for kind, n in changes.items() if n != 0]
        lines += [f"- {name} makes the state {maths(held(other))}"] * (held(other) != state)
    if lines:
        yield "\n".join(lines)


def _example(kind: str, models: Sequence[Architecture]) -> Iterator[str]:
    """Who uses a kind, and its operators in the first of them."""
    users = [a for a in models if any(getattr(part, "kind", "") == kind for part, _ in a.parts())]
    if not users:
        return
    links = [f"[{a.id}](models.md#{anchor(a.id)})" for a in users]
    yield f"In {', '.join(links)}. Operators in {users[0].id}:"
    part = next(part for part, _ in users[0].parts() if getattr(part, "kind", "") == kind)
    rows = [
        [f"`{o.name}`", f"[{o.function.__name__}](formulas.md#{o.function.__name__})", o.kind, ", ".join(o.uses)]
        for o in part.operators(Pass(1, 1024, 0), users[0].d_model)
    ]
    yield table(["operator", "formula", "reported as", "reads"], rows)


def parameters() -> Iterator[str]:
    """The calibratable parameters."""
    yield "# Parameters"
    yield (
        "The numbers between what a data sheet says and what a kernel takes. A device file may state its own value, "
        "which wins over the prior; `--set parameters.NAME=VALUE` wins over both. The limits are those of a fit and of "
        "`--set`. [model.md](model.md) says where each one enters."
    )
    rows = [
        [
            f"[{p.name}](#{p.name})",
            maths(symbol(p.symbol)),
            _shown(p, p.prior),
            f"{_shown(p, p.low)} to {_shown(p, p.high)}",
            p.scope,
        ]
        for p in PARAMETERS.values()
    ]
    yield table(["parameter", "symbol", "prior", "limits", "of the"], rows)
    stated = _stated()
    for p in PARAMETERS.values():
        yield f"## {p.name}"
        yield f"{p.meaning[0].upper()}{p.meaning[1:]}."
        known = p.source.removeprefix("prior: ")
        yield f"Prior {_shown(p, p.prior)}{', not measured' * (known != p.source)}: {known}."
        if found := stated.get(p.name):
            yield table(
                ["stated by", "value", "source", "note"], [[w, _shown(p, q.value), s, q.note] for w, q, s in found]
            )


def _shown(p: Parameter, value: float) -> str:
    return units.show(value, p.unit) if p.unit else f"{value:g}"


def _stated() -> dict[str, list[tuple[str, Sourced, str]]]:
    """Who states a value of a parameter: the file, the value and the text of its source; modes that agree once."""
    found: dict[str, dict[tuple[str, str], tuple[str, Sourced, str]]] = {}
    for d in library.all_devices():
        for name, value in d.parameters.items():
            base = d.id.partition("@")[0]
            seen = found.setdefault(name, {})
            same = seen.get((base, repr(value)))
            seen[base, repr(value)] = (base if same else d.id, value, d.sources[value.source])
    for each in library.names("hardware/hosts"):
        h = library.host(each)
        for name in PARAMETERS:
            value = getattr(h, name, None)
            if isinstance(value, Sourced):
                found.setdefault(name, {})[each, ""] = (f"host {each}", value, h.sources[value.source])
    return {name: list(seen.values()) for name, seen in found.items()}


def devices() -> Iterator[str]:
    """Every device and host, with sources."""
    yield "# Devices and hosts"
    yield as_listed("devices")
    for name in library.names("hardware"):
        d = library.device(name)
        modes = library.modes(name)
        yield f"## {name}"
        yield f"{d.name}." + (f" Modes: {', '.join(f'`@{m}`' for m in modes)}; shown is `{d.id}`." if modes else "")
        yield untitled(plain_spec("hardware", d)[0])
    yield "# Hosts"
    for name in library.names("hardware/hosts"):
        yield f"## {name}"
        yield f"{library.host(name).name}."
        yield untitled(plain_spec("hardware/hosts", library.host(name))[0])


def as_listed(command: str) -> str:
    """What the command that lists a kind of spec prints."""
    return run(f"roofsim {command} --format markdown").partition("\n\n")[2]


def models() -> Iterator[str]:
    """Every model, with its parameters and sources."""
    yield "# Models"
    yield as_listed("models")
    for name in library.names("models"):
        a = library.architecture(name)
        yield f"## {name}"
        ends = "tied" if a.tied_embeddings else "separate"
        extra = [f"{a.positions:,} learned positions"] * bool(a.positions)
        extra += [f"{a.prefix_tokens:,} learned tokens before every prompt"] * bool(a.prefix_tokens)
        yield f"Width {a.d_model:,}, vocabulary {a.vocab:,}, embeddings {', '.join([ends, *extra])}."
        rows = [
            [layer, f"{n:,}", " ; ".join(f"`{describe_part(part)}`" for part in a.layers[layer])]
            for layer, n in a.counts.items()
        ]
        yield table(["layer", "count", "parts"], rows)
        kinds = ", ".join(f"{kind} {n:,}" for kind, n in a.parameters.items() if n)
        said = a.published_parameters
        yield f"{a.total_parameters:,} parameters ({kinds})" + (
            f"; published {said.value:,} (`{said.source}`)." if said else "."
        )
        yield "\n".join(f"- `{key}`: {text}" for key, text in a.sources.items())


def runtimes() -> Iterator[str]:
    """Every runtime: what it chooses and why."""
    yield "# Runtimes"
    yield as_listed("runtimes")
    for name in library.names("runtimes"):
        r = library.runtime(name)
        yield f"## {name}"
        yield f"{r.name}: {r.version}."
        yield untitled(plain_spec("runtimes", r)[0])


PAGES: Mapping[str, Callable[[], Iterator[str]]] = MappingProxyType(
    {f"{page.__name__}.md": page for page in (cli, devices, formulas, mixers, models, parameters, runtimes)}
)
"""Every generated page by its file name."""

CONSOLES = ("quickstart.md",)
"""Pages written by hand whose console blocks show what their commands print."""

_CONSOLE = re.compile(r"(?<=^```console\n)(.*?)(?=^```$)", re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[str]:
    """The commands of all console blocks of a page."""
    return [line[2:] for block in _CONSOLE.findall(text) for line in block.split("\n") if line.startswith("$ ")]


def filled(text: str) -> str:
    """A page with its consoles filled anew; output that ends in … is cut after as many lines as it has."""
    answers = iter(run_all(commands(text)))

    def fill(match: re.Match[str]) -> str:
        rows: list[str] = []
        for block in re.split(r"^(?=\$ )", match[1], flags=re.MULTILINE)[1:]:
            command, *old = block.rstrip("\n").split("\n")
            new = next(answers).split("\n")
            cut = old[-1:] == ["…"]
            rows += [command, *(new[: len(old) - 1] if cut else new), *["…"] * cut]
        return "\n".join(rows) + "\n"

    return _CONSOLE.sub(fill, text)


def pages(folder: Path) -> dict[str, str]:
    """The text that every page should have, by its file name."""
    made = {name: "\n\n".join([MARK, *page()]) + "\n" for name, page in PAGES.items()}
    return made | {name: filled((folder / name).read_text(encoding="utf-8")) for name in CONSOLES}


def stale(made: Mapping[str, str], folder: Path) -> list[str]:
    """The pages that are missing or different in `folder`."""
    return [
        n for n, text in made.items() if not (folder / n).is_file() or (folder / n).read_text(encoding="utf-8") != text
    ]


def main(arguments: Sequence[str]) -> int:
    """Writes the pages, or with `--check` says which are stale; the exit code."""
    folder = ROOT / "docs"
    if list(arguments) not in ([], ["--check"]) or not folder.is_dir():
        sys.stderr.write(f"usage, in a checkout: {COMMAND} [--check]\n")
        return 2
    made = pages(folder)
    old = stale(made, folder)
    if arguments:
        sys.stdout.writelines(f"docs/{name} is stale; run: {COMMAND}\n" for name in old)
        return int(bool(old))
    for name in old:
        (folder / name).write_text(made[name], encoding="utf-8")
        sys.stdout.write(f"wrote docs/{name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
