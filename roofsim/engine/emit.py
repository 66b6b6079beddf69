"""A graph written out as one function: lines of Python for numbers and arrays, of JavaScript, or as expressions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from roofsim.engine.graph import Graph, Product, Sum, reachable
from roofsim.foundation.values import dataclass

Place = tuple[str, Any]
"""An atom or a product, as something that is computed once."""


@dataclass(frozen=True, slots=True)
class Syntax:
    """How a language writes what is no `+ - * /`; `line` is an assignment to a name."""

    line: str
    maximum: str
    minimum: str
    ceil: str
    at_least: str
    power: str


PYTHON = Syntax("{} = {}", "maximum({}, {})", "minimum({}, {})", "ceil(({}) / {})", "at_least({}, {})", "power({}, {})")
JAVASCRIPT = Syntax(
    "{} = {};", "Math.max({}, {})", "Math.min({}, {})", "Math.ceil(({}) / {})", "({} >= {} ? 1 : 0)", "Math.pow({}, {})"
)


@dataclass(frozen=True, slots=True)
class Code:
    """A function as lines: `lines` assign `registers`, `results` are expressions of those and of the variables.

    The first results are known after `first` lines.
    """

    lines: tuple[str, ...]
    registers: int
    results: tuple[str, ...]
    first: int = 0


class _Writer:
    """Puts every atom and every product with several factors into a line of its own, in an order that works.

    What only `more` outputs need comes after all that the others do.
    """

    def __init__(
        self, graph: Graph, outputs: Sequence[Any], names: Mapping[str, str], syntax: Syntax, more: Sequence[Any] = ()
    ) -> None:
        self.graph, self.names, self.syntax = graph, names, syntax
        self.steps: list[tuple[Place | None, list[Any]]] = []  # text, with the places that it reads in between
        self.known: set[Place] = set()
        done: set[int] = set()
        for each in (outputs, more):
            atoms = [atom for atom in reachable(graph, each) if atom not in done]
            for atom in atoms:
                self._atom(atom)
            done.update(atoms)
            results = [self._sum(out) for out in each]  # what they read is computed first
            self.steps += [(None, text) for text in results]

    def _atom(self, number: int) -> None:
        atom = self.graph.atoms[number]
        if atom.op in ("variable", "result"):
            return
        args = [self._sum(arg) for arg in atom.args]
        s = self.syntax
        text: list[Any]
        if atom.op == "shared":
            text = args[0]
        elif atom.op == "ceil":
            text = _filled(s.ceil, *args)
        elif atom.op == "at_least":
            text = _filled(s.at_least, *args)
        elif atom.op == "power":
            text = _filled(s.power, *args)
        elif atom.op == "call":
            given = [part for arg in args for part in (", ", *arg)]
            text = [f"{atom.name}(", *given[1:], ")"]
        else:
            text = args[0]
            for each in args[1:]:
                text = _filled(s.maximum if atom.op == "max" else s.minimum, text, each)
        self.steps.append((("atom", number), text))

    def _factor(self, atom: int) -> list[Any]:
        each = self.graph.atoms[atom]
        if each.op == "result":
            return [*self._sum(each.args[0]), f"[{each.name}]"]
        return [self.names[each.name]] if each.op == "variable" else [("atom", atom)]

    def _product(self, product: Product) -> list[Any]:
        """The text of a product; one of several factors is computed before."""
        (*first, (atom, k)) = product
        if not first and k == 1:
            return self._factor(atom)
        place: Place = ("product", product)
        if place not in self.known:
            self.known.add(place)
            one = ((atom, 1 if k > 0 else -1),)
            rest = (*first, (atom, k - one[0][1])) if abs(k) > 1 else tuple(first)
            text = [*self._product(rest), " * ", *self._product(one)] if rest else ["1.0 / ", *self._factor(atom)]
            self.steps.append((place, text))
        return [place]

    def _sum(self, x: Any) -> list[Any]:
        """The text of a sum: products with their numbers, the constant last; what all lie over is divided by once."""
        if not isinstance(x, Sum):
            return [repr(float(x))]
        over: dict[Product, dict[Product, float]] = {}
        for product, c in x.products.items():
            below = tuple((atom, k) for atom, k in product if k < 0)
            over.setdefault(below, {})[tuple((atom, k) for atom, k in product if k > 0)] = c
        text: list[Any] = []
        for below in sorted(over, key=lambda each: not each):
            if len(over[below]) == 1 or not below:
                each = {_together(above, below): c for above, c in over[below].items()}
                text = self._added(text, each)
            else:
                text += [" + " if text else "", *self._product(below), " * (", *self._added([], over[below]), ")"]
        return text

    def _added(self, text: list[Any], products: Mapping[Product, float]) -> list[Any]:
        for product, c in sorted(products.items(), key=lambda item: (not item[0], item[1] < 0)):
            sign = (" - " if text else "-") if c < 0 else (" + " if text else "")
            size = abs(c)
            if not product:
                text = [*text, sign, repr(size)]
            else:
                text = [*text, sign, *([] if size == 1 else [repr(size), " * "]), *self._product(product)]
        return text

    def code(self) -> Code:
        """The lines; a register is used again as soon as nothing reads it any more."""
        last: dict[Place, int] = {}
        for i, (_, text) in enumerate(self.steps):
            for part in text:
                if isinstance(part, tuple):
                    last[part] = i
        register: dict[Place, str] = {}
        free: list[str] = []
        made = 0
        lines: list[str] = []
        results: list[str] = []
        first = 0
        for i, (place, text) in enumerate(self.steps):
            words = "".join(register[part] if isinstance(part, tuple) else part for part in text)
            if place is None:
                first = first if results else len(lines)
                results.append(words)
                continue
            free += [register[p] for p in {p for p in text if isinstance(p, tuple)} if last[p] == i]
            if place not in last:
                continue
            if not free:
                free.append(f"r{made}")
                made += 1
            register[place] = free.pop()
            lines.append(self.syntax.line.format(register[place], words))
        return Code(tuple(lines), made, tuple(results), first)


def _together(above: Product, below: Product) -> Product:
    return tuple(sorted((*above, *below)))


def _filled(pattern: str, *args: list[Any]) -> list[Any]:
    """A pattern with texts in its gaps."""
    parts = pattern.split("{}")
    text: list[Any] = [parts[0]]
    for arg, part in zip(args, parts[1:], strict=True):
        text += [*arg, part]
    return text


def python(graph: Graph, outputs: Sequence[Any], variables: Sequence[str]) -> str:
    """The source of `def f(v0, v1, ...)` that gives the outputs; it needs the functions of `PYTHON`."""
    names = {name: f"v{i}" for i, name in enumerate(variables)}
    code = _Writer(graph, outputs, names, PYTHON).code()
    body = "\n    ".join([*code.lines, f"return ({''.join(f'{each}, ' for each in code.results)})"])
    return f"def f({', '.join(names.values())}):\n    {body}\n"


def javascript(graph: Graph, outputs: Mapping[str, Any], variables: Sequence[str]) -> str:
    """A JavaScript function from an object of the variables to an object of the outputs, by their names."""
    names = {name: f"v{i}" for i, name in enumerate(variables)}
    code = _Writer(graph, list(outputs.values()), names, JAVASCRIPT).code()
    given = [f"const {register} = x[{name!r}];" for name, register in names.items()]
    made = ", ".join(f"{name!r}: {words}" for name, words in zip(outputs, code.results, strict=True))
    body = "\n  ".join([*given, *_declared(code), *code.lines, f"return {{{made}}};"])
    return f"(x) => {{\n  {body}\n}}"


def javascript_list(
    graph: Graph, outputs: Sequence[Any], names: Mapping[str, str], arguments: Sequence[str],
    more: Sequence[Any] = (), asked: str = "",
) -> str:  # fmt: skip
    """A JavaScript function of `arguments` to a list of the outputs; `names` are what variables are in it.

    If there are `more` outputs, they are what it gives where the variable `asked` is not nought.
    """
    code = _Writer(graph, outputs, names, JAVASCRIPT, more).code()
    results = [code.results[: len(outputs)], code.results[len(outputs) :]]
    first, last = (f"return [{','.join(each)}];" for each in results)
    cut = code.first if more else len(code.lines)
    lines = [*_declared(code), *code.lines[:cut]]
    lines += [f"if (!{asked}) {first}", *code.lines[cut:], last] if more else [first]
    body = "\n".join(lines)
    return f"({','.join(arguments)}) => {{\n{body}\n}}"


def _declared(code: Code) -> list[str]:
    return [f"let {', '.join(f'r{i}' for i in range(code.registers))};"] if code.registers else []


def symbolic(graph: Graph, output: Any, made: Callable[[str], Any], functions: Mapping[str, Callable[..., Any]]) -> Any:
    """The output in somebody else's expressions: `made` gives a variable, `functions` what is no arithmetic."""
    values: dict[int, Any] = {}

    def whole(x: Any) -> Any:
        if not isinstance(x, Sum):
            return int(x) if x == int(x) else x
        total: Any = 0
        for product, c in x.products.items():
            term = int(c) if c == int(c) else c
            for atom, k in product:
                term = term * values[atom] ** k
            total = total + term
        return total

    for number in reachable(graph, [output]):
        atom = graph.atoms[number]
        if atom.op == "variable":
            values[number] = made(atom.name)
        elif atom.op == "shared":
            values[number] = whole(atom.args[0])
        else:
            values[number] = functions[atom.op](*(whole(arg) for arg in atom.args))
    return whole(output)


def size(graph: Graph, outputs: Sequence[Any]) -> Counter[str]:
    """How many atoms of each kind outputs are made of."""
    return Counter(graph.atoms[number].op for number in reachable(graph, outputs))
