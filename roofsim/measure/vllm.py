"""vLLM, timed by its offline engine with random weights in a process of its own for each model."""

from __future__ import annotations

import json
import math
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from time import sleep
from typing import Any

from roofsim.foundation.errors import InputError
from roofsim.foundation.values import dataclass
from roofsim.measure import vllm_engine
from roofsim.measure.build import Subject
from roofsim.measure.points import STEPS, Done, Point, state
from roofsim.measure.programs import Ended, lines
from roofsim.measure.runs import Row
from roofsim.measure.stack import VENDORS, processor

WEIGHTS = ("bf16", "fp16", "fp32", "fp8")
"""Formats of weights; fp8 is quantised by vLLM when it loads, activations with it."""

DTYPES: Mapping[str, str] = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32", "fp8": "bfloat16"}

SEQUENCES = 256
"""Sequences that the engine is made for, if no more are asked for: graphs are captured for batches up to this."""

MEMORY = 0.9
"""Share of the device's memory that the engine takes."""

ENOUGH = 6.0
"""Seconds of a point after which it is not repeated."""

PAUSE = 10.0
"""Seconds until an engine that found memory taken is tried once more: the one before may not have given it back yet."""

TAKEN = "less than desired GPU memory utilization"
"""What vLLM says of a device on which less is free than the share that it is to take."""


@dataclass(frozen=True, slots=True)
class Session:
    """Which Python has vLLM, how often each thing is timed, and until when by the monotonic clock.

    An engine's step takes `budget` tokens at most, and the engine the share `memory` of the device's memory.
    """

    python: Path
    repeats: int = 3
    budget: int = 16384
    memory: float = MEMORY
    steps: int = STEPS
    until: float | None = None

    def device(self) -> str:
        """What the first GPU calls itself, without its maker; else the processor."""
        script = "import torch; print('device:', torch.cuda.get_device_name() if torch.cuda.is_available() else '')"
        try:
            told = "".join(lines([self.python, "-c", script]))
        except Ended:
            return processor()
        found = re.search(r"^device: (.+)$", told, re.MULTILINE)
        return VENDORS.sub("", found[1]) if found else processor()

    def measure(
        self, each: Subject, wanted: Sequence[Point], ended: Mapping[Point, str], say: Callable[[str], None]
    ) -> Iterator[Done | tuple[Row, ...]]:
        """Time what is left of the points of a model in one format; rows of the model itself come as such.

        A process that dies costs the point that it was at, and another goes on behind it; one that dies before its
        engine is up costs all, or those that are too long where vLLM says how long a sequence may be. Two on end
        without a figure cost all as well. Raises Ended when the time is up, InputError if vLLM would run another
        model, or if others hold the memory that it is to take.
        """
        found, silent, patient = dict(ended), 0, True
        while left := [point for point in wanted if state(point, found) == "to do"]:
            say(f"{each.name} {left[0].weights}: starting vLLM")
            heard, before = Heard(left, self), len(found)
            with tempfile.TemporaryDirectory(prefix="roofsim-") as folder:
                asked = Path(folder) / "asked.json"
                asked.write_text(json.dumps(self._asked(each, left, folder)), encoding="utf-8")
                end, reason = "failed", "no figure of it was printed"
                over = heard.waiting
                try:
                    for line in lines([self.python, vllm_engine.__file__, asked], self.until):
                        for done in heard.line(line):
                            if isinstance(done, Done):
                                found[done.point] = done.end
                            yield done
                except Ended as error:
                    if error.killed:
                        raise
                    if re.search(NO_REASON, error.reason):
                        said = f"{error.how}: {heard.error}"
                    else:
                        said = "; ".join(filter(None, (error.reason, heard.error)))
                    if TAKEN in heard.error or TAKEN in error.said:
                        if not patient:
                            raise InputError(f"{each.name}: vLLM: {said}") from None
                        say(f"memory of the device is taken; once more in {PAUSE:g} s")
                        sleep(PAUSE)
                        patient = False
                        continue
                    silent = silent + 1 if len(found) == before else 0
                    short = error.out_of_memory or any(words in said.lower() for words in SHORT)
                    end, reason = "oom" if short else "failed", said
                    if heard.at is not None and silent < 2:
                        over = [point for point in heard.waiting if (point.batch, point.tokens) == heard.at]
                    elif heard.at is None and heard.most:
                        over = [point for point in heard.waiting if self._length(point) > heard.most] or over
            for point in list(over):
                found[point] = end
                yield Done(point, end, (heard.named(point.over(end, reason, self.steps)),), reason)

    def _length(self, point: Point) -> int:
        """Tokens that a sequence of a point comes to: its prompt, the steps, and those while other prompts are read."""
        return point.tokens + self.steps + 2 + point.batch * point.tokens // self.budget

    def _asked(self, each: Subject, left: Sequence[Point], folder: str) -> dict[str, Any]:
        """What the program is to do."""
        places = list(dict.fromkeys((point.batch, point.tokens) for point in left))
        longest = max(map(self._length, left))
        weights = left[0].weights
        engine = {
            "dtype": DTYPES[weights], "max_model_len": longest, "max_num_batched_tokens": self.budget,
            "max_num_seqs": sequences(left), "gpu_memory_utilization": self.memory,
            **({"quantization": "fp8"} if weights == "fp8" else {}),
        }  # fmt: skip
        fields = dict(each.fields)
        if not each.positions:  # a bound that costs no memory, and that vLLM refuses longer contexts for
            fields["max_position_embeddings"] = max(longest, fields.get("max_position_embeddings") or 0)
        return {
            "fields": fields, "parameters": each.parameters, "engine": engine, "points": places, "steps": self.steps,
            "repeats": self.repeats, "budget": self.budget, "seconds": ENOUGH, "folder": folder,
        }  # fmt: skip


def sequences(points: Sequence[Point]) -> int:
    """How many sequences an engine is made for that these points are asked of."""
    return max(SEQUENCES, *(point.batch for point in points))


class Heard:
    """What a process has said so far: its version, the point it is at, what it has not come to."""

    def __init__(self, left: Sequence[Point], session: Session) -> None:
        self.waiting, self.session, self.first = list(left), session, left[0]
        self.sequences = sequences(left)
        self.at: tuple[int, int] | None = None
        self.most: int | None = None
        self.version, self.error, self.log = "", "", dict[str, float]()

    def line(self, line: str) -> Iterator[Done | tuple[Row, ...]]:
        """What comes of a line; raises InputError if it says that the model is another."""
        for pattern, unit, name in LOGGED:
            if found := re.search(pattern, line):
                self.log[name] = float(found[1].replace(",", "")) * unit
        if (found := re.search(r"\b\w*Error: .+", line)) and not re.search(NO_REASON, line):
            self.error = found[0].strip()[:300]  # of the engine's own process, whose log is among the output
        if found := re.search(LONGEST, line):
            self.most = int(found[1])
        start = line.find('{"roofsim"')
        try:
            said = json.loads(line[start:])["roofsim"] if start >= 0 else {}
            what = said.get("is", "")
            if what == "refused":
                raise InputError(f"{self.first.model}: {said['said']}; what would be measured is not what is predicted")
            if what == "engine":
                self.version = str(said["version"])
                yield self._engine(int(said["blocks"]), int(said["block_size"]))
            elif what:
                yield from self._point(what, said)
        except (ValueError, KeyError, TypeError):
            return  # a line in which another process's words are mixed: the point has no figure

    def named(self, row: Row) -> Row:
        """A row with the software and its version."""
        return {**row, "framework": f"vllm {self.version}".strip()}

    def _engine(self, blocks: int, block: int) -> tuple[Row, ...]:
        """Rows of the model itself: bytes of its weights and tokens that its cache holds, as vLLM's log has them."""
        note = f"num_gpu_blocks={blocks};block_size={block};gpu_memory_utilization={self.session.memory:g}"
        tokens = self.log.get("kv_cache_tokens", float(blocks * block))
        rows = [self.first.row("kv_cache_tokens", tokens, note)]
        if "weights_bytes" in self.log:
            rows.append(self.first.row("weights_bytes", self.log["weights_bytes"], "logged when loaded"))
        empty = {"phase": "load", "batch": "1", "prompt_len": "0", "context_len": "0", "gen_len": "0"}
        return tuple(self.named({**row, **empty}) for row in rows)

    def _point(self, what: str, said: Mapping[str, Any]) -> Iterator[Done]:
        self.at = (int(said["batch"]), int(said["tokens"]))
        if what == "at":
            return
        for point in [p for p in self.waiting if (p.batch, p.tokens) == self.at]:
            if what in ("oom", "failed"):
                row = self.named(point.over(what, str(said["said"]), self.session.steps))
                done = Done(point, what, (row,), str(said["said"]))
            else:
                done = self._times(point, [float(each) for each in said[point.phase]])
            self.waiting.remove(point)
            yield done

    def _times(self, point: Point, times: Sequence[float]) -> Done:
        middle = median(times)
        if not 0 < middle < math.inf:  # two calls whose difference is lost in their own spread
            reason = f"{middle:.3g} s is no time of a pass"
            return Done(point, "failed", (self.named(point.over("failed", reason, self.session.steps)),), reason)
        how = "one output token each" if point.phase == "prefill" else f"mean of {self.session.steps} steps"
        note = f"{how};spread={(max(times) - min(times)) / middle:.3f};n={len(times)};dummy weights;no prefix cache"
        note = f"{note};max_num_batched_tokens={self.session.budget};max_num_seqs={self.sequences};prompts=apart"
        row = point.row("latency_s", middle, note, self.session.steps)
        return Done(point, "done", (self.named(row),), f"{middle * 1e3:.4g} ms")


LOGGED = (
    (r"GPU KV cache size: ([\d,]+) tokens", 1.0, "kv_cache_tokens"),
    (r"Model loading took ([\d.]+) GiB", 2.0**30, "weights_bytes"),
)
"""What vLLM's log says of a model, in which unit, and the metric that it is."""

LONGEST = r"estimated maximum model length is (\d+)"
"""What vLLM says where the longest sequence does not fit: how long one may be."""

NO_REASON = r"EngineDeadError|Engine core initialization failed|EngineCore encountered an issue"
"""Errors that say no more than that there was another."""

SHORT = ("out of memory", "kv cache is needed", "no available memory for the cache blocks")
"""What vLLM says, in lower case, when memory is short."""
