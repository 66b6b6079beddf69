"""When requests arrive and how long they are: processes at a rate, users who wait for their answers, traces."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from itertools import accumulate, islice
from math import isfinite
from pathlib import Path
from random import Random

from roofsim.foundation.errors import InputError, SpecError
from roofsim.foundation.units import MAX_COUNT, finite, whole
from roofsim.foundation.values import dataclass
from roofsim.specs.text import text_file

MOST = 10**6
"""Requests of a simulation."""
HASHED = 512
"""Tokens of a block in the `hash_ids` of Mooncake's traces (arXiv 2407.00079)."""
HASHED_CHATS = 16
"""Those in Bailian's (alibaba-edu/qwen-bailian-usagetraces-anon)."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request: seconds at which it arrives, tokens of its prompt and of its answer.

    So many tokens at the beginning of the prompt are `cached`, which need not be computed.
    """

    time: float
    prompt: int
    generate: int
    cached: int = 0


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long requests are: uniform within `spread` of two means.

    A `spread` of 0.5 is from half to three halves, as `--random-range-ratio` of vLLM's benchmark has it. All prompts
    begin with the same `prefix` tokens, which are part of the mean; by so many of the requests after the first
    (`hit_rate`) they are found in the cache.
    """

    prompt: int
    generate: int
    spread: float = 0.0
    prefix: int = 0
    hit_rate: float = 1.0

    def __post_init__(self) -> None:
        for name in ("prompt", "generate"):
            _count(name, getattr(self, name), MAX_COUNT)
        _between("spread", self.spread, 0, 1, "below 1, the part of the mean by which lengths differ")
        least = max(round(self.prompt * (1 - self.spread)), 1)
        _between("prefix", self.prefix, 0, least, "less than the shortest prompt has, of which a token is computed")
        if not 0 <= self.hit_rate <= 1:
            raise InputError(f"hit_rate: {self.hit_rate!r} is no share of requests, from 0 to 1")

    def drawn(self, random: Random) -> Iterator[tuple[int, int, int]]:
        """Prompt, answer and cached tokens of one request after the other."""
        begun = 0
        while True:
            prompt, generate = (self._one(mean, random) for mean in (self.prompt, self.generate))
            found = self.hit_rate == 1 or random.random() < self.hit_rate
            yield prompt, generate, begun if found else 0
            begun = self.prefix

    def _one(self, mean: int, random: Random) -> int:
        return max(round(mean * random.uniform(1 - self.spread, 1 + self.spread)), 1) if self.spread else mean


@dataclass(frozen=True, slots=True)
class Constant:
    """Requests at equal distances, so many a second."""

    rate: float

    def __post_init__(self) -> None:
        _positive(self)

    def gaps(self, random: Random) -> Iterator[float]:
        """Seconds from each request to the next."""
        while True:
            yield 1 / self.rate


@dataclass(frozen=True, slots=True)
class Poisson:
    """Requests independent of each other, so many a second in the mean."""

    rate: float

    def __post_init__(self) -> None:
        _positive(self)

    def gaps(self, random: Random) -> Iterator[float]:
        """Seconds from each request to the next: exponential."""
        while True:
            yield random.expovariate(self.rate)


@dataclass(frozen=True, slots=True)
class Bursty:
    """Requests whose distances are gamma-distributed with a coefficient of variation: 1 is Poisson, above it bursts.

    vLLM's `--burstiness` is one over its square.
    """

    rate: float
    cv: float

    def __post_init__(self) -> None:
        _positive(self)

    def gaps(self, random: Random) -> Iterator[float]:
        """Seconds from each request to the next."""
        shape = self.cv**-2
        while True:
            yield random.gammavariate(shape, 1 / (self.rate * shape))


@dataclass(frozen=True, slots=True)
class OnOff:
    """Poisson arrivals in periods of `on` seconds in the mean, none in those of `off` seconds between them.

    Both are exponential; `rate` is that of all the time.
    """

    rate: float
    on: float
    off: float

    def __post_init__(self) -> None:
        _positive(self)

    def gaps(self, random: Random) -> Iterator[float]:
        """Seconds from each request to the next: an interrupted Poisson process."""
        within = self.rate * (self.on + self.off) / self.on
        left = random.expovariate(1 / self.on)
        while True:
            gap, work = 0.0, random.expovariate(within)
            while work > left:
                work -= left
                gap += left + random.expovariate(1 / self.off)
                left = random.expovariate(1 / self.on)
            left -= work
            yield gap + work


@dataclass(frozen=True, slots=True)
class Users:
    """A closed loop: so many users, each of whom asks again `think` seconds after an answer has ended.

    They begin together, but reach the engine one after the other. Who asks again at once comes when the step after the
    one that ended the answer has begun.
    """

    users: int
    think: float = 0.0

    def __post_init__(self) -> None:
        _count("users", self.users)
        _between("think", self.think, 0, float("inf"), "not below 0 and finite")


Process = Constant | Poisson | Bursty | OnOff
"""Arrivals that do not wait for answers."""


def arrive(process: Process, lengths: Lengths, requests: int, seed: int = 0) -> tuple[Arrival, ...]:
    """So many requests of a process; the first comes after the first gap. Raises InputError for what is no number."""
    drawn = asked(lengths, requests, seed)
    # one stream for times and one for lengths: as many requests of other lengths arrive at the same times
    times = accumulate(process.gaps(Random(f"times {seed}")))
    return tuple(replace(each, time=time) for each, time in zip(drawn, times, strict=False))


def asked(lengths: Lengths, requests: int, seed: int = 0) -> tuple[Arrival, ...]:
    """So many requests that are there from the beginning."""
    count = _count("requests", requests)
    drawn = islice(lengths.drawn(Random(f"lengths {seed}")), count)
    return tuple(Arrival(0.0, *each) for each in drawn)


def rate_of(arrivals: Sequence[Arrival]) -> float | None:
    """Requests a second from the first to the last; None where all come at once."""
    span = arrivals[-1].time - arrivals[0].time if arrivals else 0
    return (len(arrivals) - 1) / span if span > 0 else None


TIMES = ("timestamp", "time", "arrival", "arrival_time", "arrived_at", "arrival_time_ns")
PROMPTS = (
    "contexttokens", "prompt_len", "prompt_length", "prompt_tokens", "input_length", "input_len", "input_tokens",
    "num_prefill_tokens", "request_tokens", "input_toks", "prompt",
)  # fmt: skip
ANSWERS = (
    "generatedtokens", "output_len", "output_length", "output_tokens", "num_decode_tokens", "response_tokens",
    "output_toks", "generate",
)  # fmt: skip
"""What columns are called by Azure, Mooncake, BurstGPT, Vidur, SGLang, LLMServingSim and Bailian, and here."""


def read_trace(path: str | Path, requests: int = MOST, speed: float = 1.0) -> tuple[tuple[Arrival, ...], int]:
    """The first requests of a trace in their order, the first at 0 s; at twice the `speed` they come twice as often.

    A CSV has times in seconds or as dates, as Azure's traces of 2023 and 2024 have them; lines of JSON have them in
    milliseconds, as Mooncake's, in seconds where they have a `chat_id`, as Bailian's, or in nanoseconds where they say
    so, as LLMServingSim's. `hash_ids` of blocks of the prompt say what was asked for before: that counts as cached.
    Requests without an answer, which BurstGPT has where one failed, are left out; the second value is how many.
    Raises InputError for a file or a line that is no such thing.
    """
    _between("speed", speed, 0, float("inf"), "above 0 and finite", open_below=True)
    count = _count("requests", requests)
    with text_file(path) as file:
        first = file.read(1)
        file.seek(0)
        rows = _of_json(file, path) if first == "{" else _of_csv(csv.DictReader(file), path)
        found = list(islice(rows, count))
    answered = sorted((each for each in found if each.generate), key=lambda each: each.time)
    if not answered:
        raise SpecError([f"{path}: no request in it" + (" that was answered" if found else "")])
    start = answered[0].time
    return tuple(replace(each, time=(each.time - start) / speed) for each in answered), len(found) - len(answered)


def _of_csv(reader: csv.DictReader[str], path: str | Path) -> Iterator[Arrival]:
    names = {_plain(name): name for name in reader.fieldnames or ()}
    columns = [_column(names, known, path) for known in (TIMES, PROMPTS, ANSWERS)]
    for row in reader:
        yield _arrival([row[name] for name in columns], 1.0, f"{path}: line {reader.line_num}")


def _of_json(lines: Iterator[str], path: str | Path) -> Iterator[Arrival]:
    seen: set[object] = set()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path}: line {number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise SpecError([f"{where}: not valid JSON; a request on each line is expected"]) from None
        if not isinstance(row, dict):
            raise SpecError([f"{where}: not a mapping of names to values"])
        names = {_plain(name): name for name in row}
        # the text of a prompt may stand beside its length
        columns = [_column(names, known, where) for known in (TIMES, PROMPTS, ANSWERS)]
        chats = "chat_id" in names
        unit = 1e-9 if _plain(columns[0]).endswith("_ns") else 1.0 if chats else 1e-3
        made = _arrival([row[name] for name in columns], unit, where)
        blocks = row.get("hash_ids", [])
        if not isinstance(blocks, list) or not all(isinstance(each, int | str) for each in blocks):
            raise SpecError([f"{where}: hash_ids are a list of numbers"])
        asked_before = next((i for i, each in enumerate(blocks) if each not in seen), len(blocks))
        seen.update(blocks)
        yield replace(made, cached=min(asked_before * (HASHED_CHATS if chats else HASHED), made.prompt - 1))


def _plain(name: object) -> str:
    return str(name).strip().lower().replace(" ", "_").replace("-", "_")


def _column(names: Mapping[str, str], known: Sequence[str], where: object) -> str:
    found = next((names[each] for each in known if each in names), None)
    if found is None:
        raise SpecError(
            [f"{where}: has {', '.join(names.values()) or 'no names'}; one of {', '.join(known)} is needed"]
        )
    return found


def _arrival(values: Sequence[object], unit: float, where: str) -> Arrival:
    time, prompt, generate = values
    try:
        return Arrival(_seconds(time, unit), whole(prompt, 1, MAX_COUNT), whole(generate, 0, MAX_COUNT))
    except ValueError as error:
        raise SpecError([f"{where}: {error}"]) from None


def _seconds(written: object, unit: float) -> float:
    try:
        number = finite(written)
    except ValueError:
        if not isinstance(written, str):
            raise
    else:
        if number < 0:
            raise ValueError(f"time: {written} is before the beginning; times are from 0 on")
        return number * unit
    try:
        date = datetime.fromisoformat(written.strip())
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise ValueError(f"'{written}' is neither a time in seconds nor a date") from None


def _positive(process: Process) -> None:
    for each in fields(process):
        value = getattr(process, each.name)
        if not (isinstance(value, int | float) and 0 < value < float("inf")):
            raise InputError(f"{each.name}: {value!r} is not above 0 and finite")


def _between(name: str, value: float, least: float, most: float, right: str, *, open_below: bool = False) -> None:
    inside = isinstance(value, int | float) and isfinite(value) and least <= value < most
    if not inside or (open_below and value == least):
        raise InputError(f"{name}: {value!r} is not {right}")


def _count(name: str, value: object, most: int = MOST) -> int:
    try:
        return whole(value, 1, most)
    except ValueError as error:
        raise InputError(f"{name}: {error}") from None
