"""llama.cpp, timed by its own llama-bench and llama-batched-bench, on files with random weights that are written."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from roofsim.adapters.gguf.header import read_header
from roofsim.adapters.gguf.write import FORMATS, checked, write_gguf
from roofsim.foundation.errors import InputError, SpecError
from roofsim.foundation.units import show
from roofsim.measure.points import STEPS, Done, Point, state
from roofsim.measure.programs import Ended, lines
from roofsim.measure.stack import VENDORS, processor
from roofsim.model.architecture import Architecture
from roofsim.runs.importers import llama_bench
from roofsim.runs.reading import Bad

UBATCH = 512
"""Tokens that are worked on at once: llama.cpp's own default, stated so that it stays."""
BATCH = 2048

QUANTISED = (
    "q2_k", "q3_k_s", "q3_k_m", "q3_k_l", "q4_0", "q4_1", "q4_k_s", "q4_k_m", "q5_0", "q5_1", "q5_k_s", "q5_k_m",
    "q6_k", "iq4_nl", "iq4_xs", "mxfp4_moe",
)  # fmt: skip
"""Formats that llama-quantize makes without an importance matrix."""


@dataclass(frozen=True, slots=True)
class Programs:
    """llama.cpp's programs; those that may not be needed are asked for when they are."""

    bench: Path
    batched: Callable[[], Path]
    quantize: Callable[[], Path]

    def device(self) -> str:
        """What llama-bench calls the first of its devices, without its maker; else the processor."""
        try:
            listed = "".join(lines([self.bench, "--list-devices"]))
        except Ended:
            return processor()
        found = re.search(r"^\s+\w+: (.+?) \(\d+ MiB", listed, re.MULTILINE)
        return VENDORS.sub("", found[1]) if found else processor()


@dataclass
class Files:
    """GGUF files in a folder, made when they are needed; those that are not to be kept go when the next model comes."""

    folder: Path
    keep: bool
    programs: Programs
    made: list[Path] = field(default_factory=list)

    def file(self, a: Architecture, name: str, weights: str, until: float | None, say: Callable[[str], None]) -> Path:
        """The file of a model in a format; raises InputError if there is no room, Ended if there is no time."""
        path = self.folder / f"{re.sub(r'[^a-zA-Z0-9._-]', '_', name)}-{weights}.gguf"
        if path in self.made or (self.keep and self._holds(path, a)):
            return path
        if weights in FORMATS:
            self._room(path, a.total_parameters * {"f32": 4.0, "q8_0": 1.07}.get(weights, 2.0))
            say(f"{name} {weights}: writing {path}")
            self.made.append(path)
            write_gguf(a, path, weights)
            return path
        quantize = self.programs.quantize()
        plain = self.file(a, name, "f16", until, say)
        self._room(path, a.total_parameters * 0.9)
        say(f"{name} {weights}: {quantize.name}")
        partial = path.with_name(f".{path.name}.partial")
        self.made.append(path)
        try:
            for _ in lines([quantize, plain, partial, weights.upper()], until):
                pass
            partial.replace(path)
        except Ended as error:
            if error.killed:
                raise
            raise InputError(f"{quantize}: {name} {weights}: {error.reason}") from None
        except OSError as error:
            raise InputError(f"{path}: {error.strerror or error}") from None
        finally:
            partial.unlink(missing_ok=True)
        return path

    def forget(self, *weights: str) -> None:
        """Remove what was made and is not to be kept: all, or only some formats."""
        for path in list(self.made):
            if not weights or any(path.stem.endswith(f"-{each}") for each in weights):
                self.made.remove(path)
                if not self.keep:
                    path.unlink(missing_ok=True)

    def _holds(self, path: Path, a: Architecture) -> bool:
        """Whether a file is there that was made of this model before."""
        if not path.is_file():
            return False
        try:
            header = read_header(path)
        except SpecError:
            return False
        return {name: each.shape for name, each in header.tensors.items()} == {
            name: each.shape for name, each in checked(a).tensors.items()
        }

    def _room(self, path: Path, size: float) -> None:
        try:
            free = shutil.disk_usage(self.folder).free
        except OSError as error:
            raise InputError(f"{self.folder}: {error.strerror or error}") from None
        if size > free:
            raise InputError(
                f"{path}: needs {show(size, 'B')}, {show(free, 'B')} are free; name a roomier folder with --scratch"
            )


Ask = tuple[list[str | Path], list[Point]]
"""A command, and the points whose figures it prints, in the order in which it prints them."""


@dataclass(frozen=True, slots=True)
class Session:
    """How often each thing is timed, and until when by the monotonic clock."""

    programs: Programs
    repeats: int = 3
    steps: int = STEPS
    until: float | None = None

    def measure(self, path: Path, wanted: Sequence[Point], ended: Mapping[Point, str]) -> Iterator[Done]:
        """Time what is left of the points of one file; raises Ended when the time is up.

        What a program does not get through is written down with its reason, and the next run goes on behind it; after
        two runs on end without a figure it is the file or an option, and all that was asked has failed.
        """
        found, size, silent = dict(ended), sum(each.size for each in read_header(path).tensors.values()), 0
        while left := [point for point in wanted if state(point, found) == "to do"]:
            command, asked = self._ask(path, left)
            waiting, strange, end, reason = list(asked), list[str](), "failed", "printed no figure of it"
            over = waiting  # without an error none of them will come
            try:
                for done in self._figures(command, waiting, strange, size):
                    found[done.point], silent = done.end, 0
                    yield done
            except Ended as error:
                if error.killed:
                    raise
                end, reason = "oom" if error.out_of_memory else "failed", error.reason
                silent += len(waiting) == len(asked)
                if end == "oom" and asked[0].batch > 1:
                    over = waiting[-1:]  # sequences at once need their memory at the start
                elif end == "oom" or silent < 2:
                    over = waiting[:1]
            if strange:
                reason += f"; could not read {strange[-1]!r}"
            for point in list(over):
                found[point] = end
                yield self._over(point, end, reason)

    def _over(self, point: Point, end: str, reason: str) -> Done:
        return Done(point, end, (point.over(end, reason, self.steps),), "out of memory" if end == "oom" else reason)

    def _ask(self, path: Path, left: Sequence[Point]) -> Ask:
        """One run of a program for as much as it can do at once of what is next."""
        first = left[0]
        common: list[str | Path] = ["-m", path, "-b", str(BATCH), "-ub", str(UBATCH), "-fa", "1"]
        if first.batch == 1:
            same = [point for point in left if (point.phase, point.batch) == (first.phase, 1)]
            tokens = ",".join(str(point.tokens) for point in same)
            decode = ["-p", "0", "-n", str(self.steps), "-d", tokens]
            sizes = ["-p", tokens, "-n", "0"] if first.phase == "prefill" else decode
            return [self.programs.bench, *common, "-o", "jsonl", "-r", str(self.repeats), *sizes], same
        same = [point for point in left if point.batch > 1 and point.tokens == first.tokens]
        batches = sorted({point.batch for point in same})
        context = max(batches) * (first.tokens + self.steps)
        each = ",".join(str(batch) for batch in batches for _ in range(self.repeats))
        sizes = ["-npp", str(first.tokens), "-ntg", str(self.steps), "-npl", each, "-c", str(context), "-ngl", "99"]
        ordered = sorted(same, key=lambda point: (point.batch, point.phase != "prefill"))
        return [self.programs.batched(), *common, "--output-format", "jsonl", *sizes], ordered

    def _figures(
        self, command: Sequence[str | Path], waiting: list[Point], strange: list[str], size: int
    ) -> Iterator[Done]:
        """The figures that a program prints; what has come is taken off `waiting`, what is no figure goes to `strange`.

        Repeats of which some are missing in the end, since the program failed, are figures all the same.
        """
        times: dict[int, list[tuple[float, float]]] = {}
        failure = None
        try:
            for line in lines(command, self.until):
                if "{" not in line:
                    continue
                text = line[line.index("{") :].strip()
                try:
                    data = json.loads(text)
                    if "avg_ns" in data:
                        yield self._single(data, waiting, size)
                        continue
                    batch = int(data["pl"])
                    times.setdefault(batch, []).append((_time(data["t_pp"]), _time(data["t_tg"])))
                except (ValueError, KeyError, TypeError, AttributeError):
                    strange.append(text[:100])
                    continue
                if len(times[batch]) == self.repeats:
                    yield from self._batch(batch, times.pop(batch), waiting, size)
        except Ended as error:
            if error.killed:
                raise
            failure = error
        for batch, some in times.items():
            yield from self._batch(batch, some, waiting, size)
        if failure is not None and times:
            waiting.clear()  # it failed among these repeats, so that nothing is known of what was to come
        elif failure is not None:
            raise failure

    def _single(self, data: Mapping[str, Any], waiting: list[Point], size: int) -> Done:
        """What a line of llama-bench says; raises ValueError and the like if it is of another form."""
        (run,) = llama_bench([data])
        if isinstance(run, Bad):
            raise ValueError(run.reason)
        tokens = run.context if run.phase == "decode" else run.prompt
        point = next((p for p in waiting if p.phase == run.phase and p.tokens == tokens), None)
        if point is None:
            raise ValueError("a figure of something else")
        steps = run.generated or 1
        samples = [_time(ns) * 1e-9 / steps for ns in data.get("samples_ns") or ()] or [_time(run.value)]
        done = self._done(point, samples, size, f"ubatch={data.get('n_ubatch', UBATCH)}", run.framework)
        waiting.remove(point)
        return done

    def _batch(
        self, batch: int, times: Sequence[tuple[float, float]], waiting: list[Point], size: int
    ) -> Iterator[Done]:
        """What lines of llama-batched-bench of one batch say: of a prefill the time of all sequences together."""
        for point in [point for point in waiting if point.batch == batch]:
            decode = point.phase == "decode"
            samples = [step / self.steps if decode else prefill for prefill, step in times]
            what = "one step of all sequences" if decode else "all sequences together"
            yield self._done(point, samples, size, f"ubatch={UBATCH};llama-batched-bench;{what}", "llama.cpp")
            waiting.remove(point)

    def _done(self, point: Point, samples: Sequence[float], size: int, note: str, framework: str) -> Done:
        middle = median(samples)
        spread = (max(samples) - min(samples)) / middle
        said = f"model_bytes={size}B;spread={spread:.3f};n={len(samples)};flash_attn=1;{note}"
        row = {**point.row("latency_s", middle, said, self.steps), "framework": framework}
        return Done(point, "done", (row,), f"{middle * 1e3:.4g} ms")


def _time(value: Any) -> float:
    """A time that a program printed; raises ValueError for one that is none, TypeError for what is no number."""
    time = float(value)
    if not 0 < time < math.inf:
        raise ValueError(f"{time:g} is no time of a pass")
    return time
