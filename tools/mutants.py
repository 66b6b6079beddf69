"""Seeds single mistakes into the formulas and says which of them the reference tests do not notice.

    python tools/mutants.py [--seed 0] [--count 150] [--only MODULE ...] [--limit SECONDS] [--all]

A mistake is one change of one expression: a factor, a sign, a term dropped, off by one, another column, another size of
the same kind, minimum for maximum, a rounding dropped, a comparison shifted, a branch taken the other way. The function
that holds it is compiled anew and gets the mutated code in place, so that registers keyed by function stay valid, and
the tests of `TESTS` run in this process, those that noticed a mistake in the same module first, until one
fails. Mistakes that merely crash (an unknown name or key) are no test of a number and are not counted.

`tests/reference/survivors.yaml` explains survivors that are known. Exit code 1 if more than 5 % survive, explained or
not; 2 if the tests fail without any mistake.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import pkgutil
import random
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import _lru_cache_wrapper
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
UNIT = ROOT / "tests" / "unit"
TESTS = (ROOT / "tests" / "reference", UNIT / "test_graph.py")
EXPLAINED = TESTS[0] / "survivors.yaml"
PACKAGES = ("roofsim.ops", "roofsim.model.mixers", "roofsim.model.ffn", "roofsim.lowering", "roofsim.engine")
"""Where mistakes are seeded: in every module of these."""
MODULES = {
    "roofsim.fitting.population": UNIT / "test_population.py", "roofsim.specs.cluster": UNIT / "test_cluster.py",
    "roofsim.prediction.cost": TESTS[0] / "test_costs.py", "roofsim.prediction.loop": TESTS[0] / "test_loop.py",
}  # fmt: skip
"""And in these, each with its own tests in place of the others."""
MOST = 0.05
"""Share of the mistakes that may survive."""
STILLBORN = (KeyError, NameError, AttributeError, TypeError, ImportError, RecursionError)
"""What a mistake raises that nobody could overlook."""

COLUMNS = {"matrix": "vector", "vector": "matrix", "weights": "activations", "activations": "state",
           "state": "activations"}  # fmt: skip
ALIKE = {
    "act_bytes": ("cache_bytes", "state_bytes", "weight_bytes"), "cache_bytes": ("act_bytes",),
    "state_bytes": ("act_bytes",), "weight_bytes": ("act_bytes",), "d_in": ("d_out",), "d_out": ("d_in",),
    "heads": ("kv_heads", "key_heads", "groups"), "kv_heads": ("heads",), "key_heads": ("heads",),
    "qk_dim": ("v_dim",), "v_dim": ("qk_dim",), "new": ("context", "chunk"), "context": ("new",), "chunk": ("new",),
    "chunks": ("batch",), "pairs": ("below", "tokens"), "below": ("pairs",), "queries": ("keys", "values"),
    "keys": ("values",), "values": ("keys",), "kv_rank": ("rope_dim",), "rope_dim": ("kv_rank",),
    "d_state": ("head_dim", "groups"), "width": ("mixes", "new"), "top_k": ("experts",), "experts": ("top_k",),
    "full": ("rest", "share"), "rest": ("full",), "d_model": ("width",),
}  # fmt: skip
"""Sizes and bytes that stand for each other easily, where both are at hand."""
FIELDS = {
    "activations": ("cache", "state", "weights"), "cache": ("activations",), "state": ("activations", "cache"),
    "vectors": ("weights",), "new": ("context",), "context": ("new",), "matrix_rate": ("vector_rate",),
    "vector_rate": ("matrix_rate",), "heads": ("kv_heads", "key_heads"), "kv_heads": ("heads",),
    "key_heads": ("value_heads",), "value_heads": ("key_heads",), "key_dim": ("value_dim",), "value_dim": ("key_dim",),
    "qk_dim": ("v_dim",), "v_dim": ("qk_dim",), "kv_rank": ("q_rank", "rope_dim"), "nope_dim": ("v_dim",),
    "out_width": ("q_width",), "q_width": ("k_width",), "d_inner": ("conv_channels",), "conv_channels": ("d_inner",),
    "mask_bytes": ("mask_build_bytes",), "compute": ("memory",), "memory": ("compute",), "host": ("device",),
    "device": ("host",), "count": ("device",), "tdp": ("idle",), "out": ("temporary",), "live": ("scores",),
}  # fmt: skip
"""Attributes that stand for each other easily."""
CLASSES = {"stream": "strided", "strided": "stream", "gemm": "stream", "attention": "stream", "ssd": "stream",
           "scan": "stream", "transpose": "strided", "quantised_product": "stream", "masked_attention": "attention",
           "prefill": "decode", "decode": "prefill", "expanded": "absorbed"}  # fmt: skip
"""Words that choose a class of kernel or a phase."""
CHECKS = ("__post_init__", "__init_subclass__", "__get_pydantic_core_schema__")
"""Methods that refuse wrong input or define a class, not formulas."""
CALLS = {"minimum": "maximum", "maximum": "minimum", "min": "max", "max": "min"}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Mult,
}  # fmt: skip
COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip


@dataclass(frozen=True)
class Mistake:
    """One change: in which function of which module, of which node, what it was and what it becomes."""

    module: str
    function: str
    line: int
    node: int
    choice: int
    change: str
    within: str
    again: int = 0

    @property
    def key(self) -> str:
        """What `survivors.yaml` calls it: it does not move with the lines."""
        same = f" (no. {self.again + 1})" if self.again else ""
        return f"{self.module}:{self.function}: {self.change} in {self.within}{same}"


def changes(node: ast.AST, names: set[str]) -> Iterator[ast.AST]:
    """What a node may become by mistake; `names` are those that the function knows."""
    match node:
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield ast.Constant(value + 1)
            if value > 1:
                yield ast.Constant(2 * value)
                yield ast.Constant(value - 1)
        case ast.Constant(value=str(value)):
            for other in (*ALIKE.get(value, ()), *([CLASSES[value]] if value in CLASSES else [])):
                yield ast.Constant(other)
        case ast.BinOp(left=left, op=op, right=right):
            if type(op) in OPERATORS:
                yield ast.BinOp(left, OPERATORS[type(op)](), right)
            yield left
            yield right
            if isinstance(op, ast.Sub | ast.Div):
                yield ast.BinOp(right, op, left)
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield operand
        case ast.Compare(left=left, ops=[op], comparators=comparators):
            yield ast.Compare(left, [COMPARISONS[type(op)]()], comparators)
        case ast.BoolOp(op=op, values=values):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
            for i in range(len(values)):
                kept = values[:i] + values[i + 1 :]
                yield kept[0] if len(kept) == 1 else ast.BoolOp(op, kept)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            yield ast.IfExp(test, orelse, body)
        case ast.Name(id=name, ctx=ast.Load()):
            for other in ALIKE.get(name, ()):
                if other in names:
                    yield ast.Name(other, ast.Load())
        case ast.Attribute(value=value, attr=name, ctx=ast.Load()):
            for other in FIELDS.get(name, ()):
                yield ast.Attribute(value, other, ast.Load())
        case ast.Call():
            yield from called(node)
        case ast.Tuple(elts=elements, ctx=ast.Load()) | ast.List(elts=elements, ctx=ast.Load()):
            for i, element in enumerate(elements):
                if len(elements) > 1 and isinstance(element, ast.Call):
                    yield type(node)(elements[:i] + elements[i + 1 :], ast.Load())  # type: ignore[call-arg]
        case ast.AugAssign(target=target, op=op, value=value):
            if type(op) in OPERATORS:
                yield ast.AugAssign(target, OPERATORS[type(op)](), value)
            yield ast.Pass()
        case ast.If(test=test, body=body, orelse=orelse):
            yield ast.If(ast.UnaryOp(ast.Not(), test), body, orelse)


def called(node: ast.Call) -> Iterator[ast.AST]:
    """Another function, a rounding dropped, a switch the other way round, columns of a cost exchanged or dropped."""
    if isinstance(node.func, ast.Name):
        name = node.func.id
        if name in CALLS:
            yield ast.Call(ast.Name(CALLS[name], ast.Load()), node.args, node.keywords)
        if name == "ceil":
            yield node.args[0]
        if name == "at_least":
            yield ast.BinOp(ast.Constant(1), ast.Sub(), node)
    for i, keyword in enumerate(node.keywords):
        if keyword.arg not in COLUMNS:
            continue
        other = COLUMNS[keyword.arg]
        swapped = {keyword.arg: other, other: keyword.arg}
        renamed = [ast.keyword(swapped.get(k.arg or "", k.arg), k.value) for k in node.keywords]
        yield ast.Call(node.func, node.args, renamed)
        if len(node.keywords) > 1:
            yield ast.Call(node.func, node.args, node.keywords[:i] + node.keywords[i + 1 :])


def inside(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """The nodes of a function that compute: no signature, docstring, message or nested name."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    queue: list[ast.AST] = list(body)
    while queue:
        node = queue.pop(0)
        if isinstance(node, ast.Raise | ast.JoinedStr | ast.AnnAssign) and not getattr(node, "value", None):
            continue
        if isinstance(node, ast.Raise | ast.JoinedStr):
            continue
        yield node
        skipped = node.annotation if isinstance(node, ast.AnnAssign) else None
        queue.extend(child for child in ast.iter_child_nodes(node) if child is not skipped)


def functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    """Functions of a module and methods of its classes, by qualified name; not what refuses wrong input."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield from functions(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef) and node.name not in CHECKS:
            yield prefix + node.name, node


def mistakes(module: ModuleType) -> Iterator[Mistake]:
    """All of a module that can be seeded into functions that are there at run time."""
    tree = ast.parse(inspect.getsource(module))
    present = live(module)
    for name, function in functions(tree):
        if name not in present:
            continue
        names = set(present[name].__code__.co_varnames)
        seen: Counter[tuple[str, str]] = Counter()
        parents = {child: node for node in ast.walk(function) for child in ast.iter_child_nodes(node)}
        for index, node in enumerate(inside(function)):
            around = parents.get(node, node)
            within = ast.unparse(around if isinstance(around, ast.expr) else node).replace("\n", " ")[:90]
            was = ast.unparse(node).split("\n")[0][:60]
            for choice, other in enumerate(changes(node, names)):
                becomes = "..." if isinstance(other, ast.stmt) else ast.unparse(ast.fix_missing_locations(other))[:60]
                if isinstance(other, ast.If):
                    becomes = ast.unparse(ast.fix_missing_locations(other)).split("\n")[0][:60]
                change = f"{was} -> {becomes}"
                yield Mistake(module.__name__, name, node.lineno, index, choice, change, within, seen[change, within])
                seen[change, within] += 1


def live(module: ModuleType) -> dict[str, FunctionType]:
    """The functions that a module has at run time, by qualified name."""
    found: dict[str, FunctionType] = {}
    spaces: list[Any] = [vars(module)]
    spaces += [vars(c) for c in vars(module).values() if isinstance(c, type) and c.__module__ == module.__name__]
    for space in spaces:
        for member in list(space.values()):
            for name in ("fget", "func", "__func__", "__wrapped__"):
                member = getattr(member, name, None) or member
            if isinstance(member, FunctionType) and member.__module__ == module.__name__:
                found[member.__qualname__] = member
    return found


def mutated(module: ModuleType, mistake: Mistake) -> CodeType | None:
    """The code of the function with the mistake in it."""
    tree = ast.parse(inspect.getsource(module))
    function = next(node for name, node in functions(tree) if name == mistake.function)
    original = live(module)[mistake.function].__code__
    target = next(node for index, node in enumerate(inside(function)) if index == mistake.node)
    other = list(changes(target, set(original.co_varnames)))[mistake.choice]

    class Swap(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> Any:
            return ast.copy_location(deepcopy(other), node) if node is target else self.generic_visit(node)

    compiled = compile(ast.fix_missing_locations(Swap().visit(tree)), str(module.__file__), "exec")
    queue = [compiled]
    while queue:
        code = queue.pop()
        if code.co_qualname == original.co_qualname and code.co_firstlineno == original.co_firstlineno:
            return code if code.co_freevars == original.co_freevars else None
        queue += [const for const in code.co_consts if isinstance(const, CodeType)]
    return None


@contextmanager
def seeded(module: ModuleType, mistake: Mistake, code: CodeType) -> Iterator[None]:
    """The function computes with the mistake for as long as this lasts; nothing it made stays in a cache."""
    function = live(module)[mistake.function]
    original = function.__code__
    forget()
    function.__code__ = code
    try:
        yield
    finally:
        function.__code__ = original
        forget()


def forget() -> None:
    """Empty every cache of the package."""
    for name, module in list(sys.modules.items()):
        if name.startswith("roofsim"):
            for member in vars(module).values():
                if isinstance(member, _lru_cache_wrapper):
                    member.cache_clear()


class Overdue(BaseException):
    """A mistake that makes a test run for ever."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raises Overdue when the time is up."""

    def ring(*_: Any) -> None:
        raise Overdue

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


Test = Callable[[], None]


class Collector:
    """Takes the tests that pytest finds and that need no fixture, and runs none."""

    def __init__(self) -> None:
        self.tests: dict[str, Test] = {}

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """In place of the run."""
        for item in session.items:
            if isinstance(item, pytest.Function):
                given = dict(item.callspec.params) if hasattr(item, "callspec") else {}
                if set(item.fixturenames) <= set(given):
                    self.tests[item.nodeid] = self.test(item, given)
        return True

    @staticmethod
    def test(item: pytest.Function, given: dict[str, Any]) -> Test:
        """The test function with its parameters."""
        return lambda: item.obj(**given)


def collected(files: Sequence[Path]) -> dict[str, Test]:
    """The tests of files by name."""
    collector = Collector()
    options = ["-qq", "--no-header", "--no-summary", "-p", "no:cacheprovider", *map(str, files)]
    if pytest.main(options, plugins=[collector]) not in (0, 5):
        raise SystemExit(2)
    return collector.tests


def first_failure(tests: dict[str, Test], order: Sequence[str]) -> tuple[str, BaseException] | None:
    """The first test that fails, and how."""
    for name in order:
        try:
            tests[name]()
        except Overdue as late:
            return name, late
        except (Exception, pytest.fail.Exception) as error:
            return name, error
    return None


def crashed(error: BaseException) -> bool:
    """Whether a mistake crashed in the package itself instead of giving another number."""
    if not isinstance(error, STILLBORN):
        return False
    last = traceback.extract_tb(error.__traceback__)[-1]
    return "roofsim" in Path(last.filename).parts or "/roofsim/" in last.filename


def modules(only: Sequence[str]) -> list[ModuleType]:
    """All that there are, or those that are asked for."""
    names = list(MODULES)
    for package in PACKAGES:
        names += [each.name for each in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}.")]
    wanted = [name for name in names if not only or any(name == o or name.endswith(f".{o}") for o in only)]
    return [importlib.import_module(name) for name in wanted]


def explained() -> dict[str, str]:
    """Why a mistake that survives may."""
    if not EXPLAINED.exists():
        return {}
    return {each["mistake"]: each["why"] for each in yaml.safe_load(EXPLAINED.read_text()) or ()}


class Tests:
    """The tests of every module; raises SystemExit where one fails without any mistake."""

    def __init__(self) -> None:
        self.known: dict[Path | None, dict[str, Test]] = {}

    def of(self, module: str) -> dict[str, Test]:
        """Those that should notice a mistake in a module."""
        own = MODULES.get(module)
        if own not in self.known:
            tests = self.known[own] = collected([own] if own else TESTS)
            if failed := first_failure(tests, list(tests)):
                print(f"{failed[0]} fails without any mistake: {failed[1]}", file=sys.stderr)
                raise SystemExit(2)
            print(f"{len(tests)} tests", file=sys.stderr)
        return self.known[own]


def run(drawn: Iterator[Mistake], count: int, limit: float) -> tuple[int, list[Mistake]]:
    """How many mistakes were seeded, and which of them no test noticed."""
    every = Tests()
    noticing: dict[str, list[str]] = {}
    tried, survivors = 0, []
    for mistake in drawn:
        if tried == count:
            break
        module = sys.modules[mistake.module]
        code = mutated(module, mistake)
        if code is None:
            continue
        tests = every.of(mistake.module)
        first = noticing.setdefault(mistake.module, [])
        order = [*first, *(name for name in tests if name not in first)]
        with seeded(module, mistake, code), limited(limit):
            try:
                failed = first_failure(tests, order)
            except Overdue as late:
                failed = ("", late)
        if failed and crashed(failed[1]):
            continue
        tried += 1
        if failed is None:
            survivors.append(mistake)
        elif failed[0] and failed[0] not in first:
            first.insert(0, failed[0])
        elif failed[0]:
            first.insert(0, first.pop(first.index(failed[0])))
        print(f"{tried:4} {'SURVIVED' if failed is None else 'noticed '} {mistake.key}", file=sys.stderr)
    return tried, survivors


def main() -> int:
    """Seed, run, report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=0, help="which mistakes are drawn")
    parser.add_argument("--count", type=int, default=150, help="how many")
    parser.add_argument("--only", action="append", default=[], metavar="MODULE", help="of these modules alone")
    parser.add_argument("--limit", type=float, default=20, help="seconds for the tests of one mistake")
    parser.add_argument("--all", action="store_true", help="every mistake there is")
    options = parser.parse_args()
    chosen = modules(options.only)
    if not chosen:
        parser.error(f"no module {' or '.join(options.only)} in {', '.join((*MODULES, *PACKAGES))}")
    start = time.perf_counter()
    every = [mistake for module in chosen for mistake in mistakes(module)]
    random.Random(options.seed).shuffle(every)
    tried, survivors = run(iter(every), len(every) if options.all else options.count, options.limit)
    known = explained()
    if not options.only:
        for key in sorted(known.keys() - {mistake.key for mistake in every}):
            print(f"{EXPLAINED.relative_to(ROOT)}: there is no such mistake any more: {key}")
    for mistake in survivors:
        path = Path(str(sys.modules[mistake.module].__file__)).relative_to(ROOT)
        print(f"{path}:{mistake.line}: {mistake.key}\n    {known.get(mistake.key, 'not explained')}")
    share = len(survivors) / tried if tried else 0
    unexplained = sum(mistake.key not in known for mistake in survivors)
    print(
        f"{tried} mistakes of {len(every)} possible, seed {options.seed}: {len(survivors)} survived ({share:.1%}), "
        f"{unexplained} of them not explained; {time.perf_counter() - start:.0f} s"
    )
    return int(share > MOST)


if __name__ == "__main__":
    sys.exit(main())
