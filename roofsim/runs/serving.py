"""Rows of serving benchmarks: what is known of the load that a tool made and of how it set the server up."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field, replace
from typing import NamedTuple

from roofsim.foundation.schema import variant
from roofsim.foundation.units import finite
from roofsim.foundation.values import dataclass
from roofsim.prediction.loop import ENDLESS, Loop, Otherwise, apart_of, otherwise, over, served
from roofsim.prediction.server import engine_of, lanes, room_of
from roofsim.prediction.setup import Setup
from roofsim.runs.reading import Run
from roofsim.specs.workload import Workload

SERVING = "e2e_serving"
"""Online serving: many requests at once, each with its own times."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that sets a server up and loads it; None stands for the server's own.

    Each user asks `rounds` times. A step has `spare` tokens beside a prompt and a token of each user. `share` is, by
    the runtime, what of the memory that weights leave is for the cache, `reserve` what of the device the server takes,
    `caches` the encoding of the cache by the dtype of a row. `chat` says that prompts go through a chat's template,
    whose tokens are not counted. Lengths are those that are stated, or drawn evenly from the `shortest` share of them
    on, so that users drift apart.
    """

    rounds: float | None = None
    spare: int | None = None
    share: Mapping[str, float] = field(default_factory=dict)
    reserve: Mapping[str, float] = field(default_factory=dict)
    caches: Mapping[str, str] = field(default_factory=dict)
    chat: bool = False
    shortest: float = 1.0


TOOLS = (
    (
        r"InferenceMAX|InferenceX|silicon_sample\.csv id=(\d{4}_\d\d_\d\d_|\S*_cfg\d+$)",
        # benchmarks/benchmark_lib.sh, utils/bench_serving/benchmark_serving.py (sample_random_requests), read on
        # 2026-11-30: ten prompts for each user, random_range_ratio 0.8 of the workflows, a chat template within
        # the length; rows of aiconfigurator whose ids have a date or the number of a configuration name its workflow
        # runs, images, models and lengths
        Tool(10, shortest=0.8),
    ),
    (
        r"aiconfigurator",
        # genai_perf_runner.py: 10 requests a user to /v1/chat/completions, after a warm-up of two;
        # generator/rule_plugin/*.rule: steps of max_batch_size + isl + 500 tokens, a batch of the concurrency;
        # templates of extra_engine_args.yaml: free_gpu_memory_fraction; task: profile fp8 has its cache in fp8.
        # What SGLang was given is in none of its files: 0.8 is read from one of six rows of serving_h100_tp1.csv
        # (1,024 + 128 tokens of Qwen3-32B: 5.2 of 16 users had places), and is what TensorRT-LLM is given
        Tool(10, 500, {"tensorrt-llm": 0.8}, {"sglang": 0.8}, {"fp8": "fp8"}, chat=True),
    ),
)
"""Tools by a pattern of the column `source`, as their public code has it."""


def tool_of(run: Run) -> Tool:
    """The tool that made a run; one of which nothing is known otherwise."""
    return next((tool for pattern, tool in TOOLS if re.search(pattern, run.source)), Tool())


def cache_of(run: Run) -> str | None:
    """The encoding of the KV cache that a tool asks for with the dtype of a run, if its row does not say one."""
    return tool_of(run).caches.get(run.dtype.lower())


CHAT_TOKENS: Mapping[str, int] = {"llama": 35, "qwen2": 8, "qwen3": 8, "qwen2_moe": 8, "qwen3_moe": 8}
"""Tokens that a chat's template puts around the text that a client counts, by family: in Llama 3's, a system turn with
two dates and the headers of three turns; in ChatML, a user's turn and the header of the answer, four tokens each."""


def template_of(run: Run, family: str | None) -> int:
    """Tokens of a prompt that a run does not count."""
    return CHAT_TOKENS.get(family or "", 0) if tool_of(run).chat else 0


def mean_length(run: Run, tokens: int) -> int:
    """The mean length of prompts or answers of which the row states so many tokens."""
    return round(tokens * (1 + tool_of(run).shortest) / 2)


def rate_of(run: Run) -> float | None:
    """The requests a second that a run was made with, None if users asked as fast as they were answered."""
    words = run.notes.get("request_rate", "inf")
    try:
        return finite(words)
    except ValueError:
        return None


class Load(NamedTuple):
    """The round of steps of a run at a concurrency (of a lane of it), and how many rounds were measured.

    `running` are the users who are served at once, by how much more of the device's memory there is than is taken.
    """

    loop: Loop
    rounds: float
    running: Callable[[float], float]


def load_of(run: Run, s: Setup, w: Workload) -> Load:
    """The load of a run at a concurrency.

    A note may say `max_num_batched_tokens`, `max_num_seqs` and `requests`, in all.
    """
    users = run.batch or 1
    tool, engine = tool_of(run), engine_of(s)
    if tool.spare is not None:
        engine = replace(engine, tokens=(run.prompt or 0) + users + tool.spare, sequences=users)
    engine = replace(
        engine, tokens=_count(run, "max_num_batched_tokens") or engine.tokens,
        sequences=_count(run, "max_num_seqs") or engine.sequences,
    )  # fmt: skip
    requests = _count(run, "requests")
    rounds = max(requests / users, 1.0) if requests else tool.rounds or ENDLESS
    each = max(users / lanes(s), 1)
    if s.runtime.id in tool.reserve:
        memory = variant(s.runtime.memory, reserve=tool.reserve[s.runtime.id])
        s = replace(s, runtime=variant(s.runtime, memory=memory))
    room = room_of(s, w, engine, tool.share.get(s.runtime.id))
    back = float(room.put_back(min(each, engine.sequences)))

    def running(more: float) -> float:
        return max(float(served(each, min(engine.sequences, room.sequences(more)), back)), 1)

    loop = Loop(engine, each, running(0), w.prompt + s.architecture.prefix_tokens, w.generate, put_back=back)
    loop = over(loop, rounds)
    if tool.shortest < 1:
        loop = apart_of(loop) or loop
    return Load(loop, rounds, running)


def unstated(run: Run, load: Load) -> Iterator[Otherwise]:
    """What the run of a row may have been instead of what is taken: see `otherwise`.

    Of its server it is not known how many places it has, unless they are stated: tools often set as many as users. Nor
    is the share of the memory that it takes.
    """
    known = _count(run, "requests") is not None
    yield from otherwise(load.loop, load.rounds, known, places=_count(run, "max_num_seqs") is None)
    for more in (-SHARE_OFF, SHARE_OFF):
        running = load.running(more)
        if running != load.loop.running:
            yield Otherwise(replace(load.loop, running=running), load.rounds)


SHARE_OFF = 0.04
"""By how much the share of a device that a server took is off, where a row does not state it: by themselves SGLang 0.5
takes 0.84 of 80 GB (`runtimes/sglang.yaml`) and vLLM 0.9, later 0.92 (`gpu_memory_utilization` in its log)."""


def _count(run: Run, key: str) -> int | None:
    """A whole number that the note states."""
    words = run.notes.get(key, "").replace(",", "")
    return int(words) if words.isdigit() and int(words) else None
