"""A page of `roofsim explore` asked in JavaScript, and the same asked of Python."""

from __future__ import annotations

import itertools
import json
import random
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from roofsim import library
from roofsim.engine.passes import BOUNDS
from roofsim.prediction.compiled import compiled
from roofsim.prediction.fitted import chosen
from roofsim.prediction.setup import Setup
from roofsim.specs.workload import Workload
from roofsim.web.cases import request_of
from roofsim.web.choices import combined

ENGINE = Path(__file__).resolve().parents[2] / "roofsim/web/assets/engine.js"
Ask = Callable[..., Any]
"""Asks a page: the text of a JavaScript function, and its arguments."""


def by_node(node: str, packed: str, folder: Path) -> Ask:
    """Asks the data of a page in node."""
    script, data = folder / "ask.js", folder / "data.txt"
    data.write_text(packed)
    script.write_text(
        f"const fs = require('fs'); require({json.dumps(str(ENGINE))});\n"
        f"roofsim.load(fs.readFileSync({json.dumps(str(data))}, 'utf8')).then(() => {{\n"
        "  const [text, args] = JSON.parse(fs.readFileSync(0, 'utf8'));\n"
        "  process.stdout.write(JSON.stringify(eval(text)(...args)));\n});\n"
    )

    def ask(text: str, *args: Any) -> Any:
        given = json.dumps([f"({text})", args])
        done = subprocess.run([node, str(script)], input=given, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return ask


def by_browser(page: Any, packed: str) -> Ask:
    """Asks the data of a page in a browser's page, which has nothing else."""
    data = f'<script type="application/json" id="data">{packed}</script>'
    page.set_content(f"{data}<script>{ENGINE.read_text()}</script>")
    page.evaluate("roofsim.ready.then(() => null)")
    return in_browser(page)


def in_browser(page: Any) -> Ask:
    """Asks a page of `roofsim explore` that is open in a browser."""

    def ask(text: str, *args: Any) -> Any:
        return json.loads(page.evaluate(f"(args) => JSON.stringify(({text})(...args))", list(args)))

    return ask


PREDICT = """(views) => views.map((view) => {
  const p = roofsim.predict(view), flat = {};
  for (const each of roofsim.figures) flat[each.figure] = p[each.name];
  flat.cost = p.usd_per_million * view.batch * view.generate / 1e6;
  for (const name in p.parts) flat[`memory.${name}`] = p.parts[name];
  for (const phase of ["prefill", "decode"]) for (const name in p[phase]) flat[`${phase}.${name}`] = p[phase][name];
  return {...flat, fits: p.fits ? 1 : 0};
})"""
FIGURES = (
    "ttft", "tpot", "total_time", "tokens_per_second", "energy", "cost", "fits",
    *(f"memory.{name}" for name in (
        "weights", "state", "activations", "logits", "masks", "workspace", "peak", "reserved")),
    *(f"{phase}.{name}" for phase in ("prefill", "decode") for name in (
        "time", "device_time", "host_time", "kernels", "matrix_flops", "vector_flops", "bytes", "energy", "bound")),
)  # fmt: skip


@dataclass(frozen=True)
class Point:
    """What is chosen of a page, what is asked of it, and the numbers of one's own, by path."""

    model: str
    device: str
    runtime: str
    weights: str
    cache: str
    calibration: str
    numbers: tuple[str, ...]
    tp: int = 1

    def setup(self) -> tuple[Setup, Workload]:
        parts = library.architecture(self.model), library.device(self.device), library.runtime(self.runtime)
        s = chosen(combined(*parts, self.tp), self.calibration)
        return s, request_of(s, None if self.weights == s.device.default_dtype else self.weights, self.cache)

    def view(self, values: Mapping[str, float]) -> dict[str, Any]:
        counts = {name: values[name] for name in ("batch", "prompt", "generate")}
        return {**vars(self), **counts, "numbers": {path: values[path] for path in self.numbers}}


CHOICES = """() => {
  const found = [];
  for (const {name: model} of roofsim.models) for (const {name: device} of roofsim.devices)
    for (const {name: runtime} of roofsim.runtimes) for (const tp of roofsim.tp) {
      const view = {model, device, runtime, tp};
      if (roofsim.lacks(view)) continue;
      for (const {name: weights, lacks} of roofsim.formats(view).weights) {
        if (lacks) continue;
        const cache = roofsim.formats({...view, weights}).cache.filter((each) => !each.lacks).map(({name}) => name);
        const calibrations = roofsim.calibrations(view).map(({name}) => name);
        const knobs = roofsim.knobs.map(({path}) => [path, roofsim.value(view, path)]).filter(([, x]) => x !== null);
        found.push({...view, weights, cache, calibrations, knobs});
      }
    }
  return found;
}"""


def drawn(choices: Sequence[Mapping[str, Any]], seed: int, settings: int) -> Iterator[tuple[Point, dict[str, float]]]:
    """So many settings of each model and runtime of a page, with the numbers that are varied and what they are."""
    draw = random.Random(seed)
    for model, runtime in dict.fromkeys((each["model"], each["runtime"]) for each in choices):
        own = [each for each in choices if (each["model"], each["runtime"]) == (model, runtime)]
        for _ in range(settings):
            one = draw.choice(own)
            knobs = dict(draw.sample(one["knobs"], min(4, len(one["knobs"]))))
            yield Point(
                model, one["device"], runtime, one["weights"], draw.choice(one["cache"]),
                draw.choice(one["calibrations"]), tuple(knobs), one["tp"],
            ), knobs  # fmt: skip


def disagreements(ask: Ask, seed: int, settings: int, points: int) -> list[str]:
    """Where the page and Python differ by more than 1e-9, at so many random points of every setting.

    Where a number lies on a step (a whole number of tiles, of tokens of a piece), its last bits decide on which side it
    falls: page and Python then agree at lengths and batches that are other by 1e-12.
    """
    draw = np.random.default_rng(seed)
    wrong = []
    for point, knobs in drawn(ask(CHOICES), seed, settings):
        s, w = point.setup()
        over = ("batch", "prompt", "generate", *point.numbers)
        values: dict[str, Any] = {
            name: np.exp(draw.uniform(0, np.log(top), points)).round()
            for name, top in (("batch", 256), ("prompt", 2**18), ("generate", 4096))
        }
        # parameters have limits: none goes beyond what it is
        values |= {path: knobs[path] * np.exp(draw.uniform(-1, 0, points)) for path in point.numbers}
        f = compiled(s, w, FIGURES, over)
        found = f(**values)
        found = {name: np.broadcast_to(x, points) for name, x in found.items()}
        views = [point.view({name: float(x[i]) for name, x in values.items()}) for i in range(points)]
        for i, (view, there) in enumerate(zip(views, ask(PREDICT, views), strict=True)):
            here = {name: float(found[name][i]) for name in FIGURES}
            if found_here := differing(there, here):
                near = list(nearby({name: float(x[i]) for name, x in values.items()}))
                beside = [dict(zip(FIGURES, f.at(*each.values()), strict=True)) for each in near]
                said = ask(PREDICT, [point.view(each) for each in near])
                if all(differing(a, b) for a in said for b in beside):
                    wrong += [f"{view}: {each}" for each in found_here]
    return wrong


STEP = 1e-12


def nearby(asked: Mapping[str, float]) -> Iterator[dict[str, float]]:
    for more, longer in itertools.product((0, STEP, -STEP), repeat=2):
        yield {**asked, "batch": asked["batch"] * (1 + more), "prompt": asked["prompt"] * (1 + longer)}


def differing(there: Mapping[str, Any], here: Mapping[str, float]) -> list[str]:
    """The figures that differ."""
    found = []
    for name, x in here.items():
        if name.endswith(".bound"):
            same = BOUNDS[int(x)] == there[name]
        else:
            y = float("nan") if there[name] is None else there[name]  # JSON knows no number that is none
            same = (y != y and x != x) or abs(y - x) <= 1e-9 * abs(x)
        if not same:
            found.append(f"{name} is {there[name]} there and {x} here")
    return found
