"""Which runtime a run was made with, by what its row says of the software."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from roofsim import library
from roofsim.foundation.errors import Unsupported
from roofsim.runs.reading import Run

STACKS: Sequence[tuple[str, str]] = (
    (r"ik_llama", ""),
    (r"llama\.?cpp.*b2\d\d\d\b.*metal", "llama.cpp-b2797-metal"),
    (r"llama\.?cpp.*b2\d\d\d\b.*cuda", "llama.cpp-b2824"),
    (r"llama\.?cpp|ggml|llama-bench", "llama.cpp"),
    (r"vllm", "vllm"),
    (r"sglang|trt-?llm|tensorrt|lmdeploy|turbomind", ""),
    (r"captured graph|cuda.?graph", "cuda-graph"),
    (r"static cache", ""),
    (r"transformers[ =-]*5.*cpu|cpu.*transformers[ =-]*5", "transformers-5-cpu"),
    (r"transformers[ =-]*5", "transformers-5-eager"),
    (r"torch|transformers|mamba_ssm|flash-attn", "transformers-4.52-eager"),
)
"""Patterns of the column `framework`, the first that is found counts; none where no runtime describes the software."""


@lru_cache(maxsize=1024)
def runtime_named(words: str) -> str | None:
    """The runtime that free text such as `vllm 0.19.0` means; None if it names no software.

    Raises Unsupported for software that no runtime describes.
    """
    text = words.lower()
    for pattern, name in STACKS:
        if re.search(pattern, text):
            if not name or name not in library.names("runtimes"):
                raise Unsupported(f"no runtime describes '{words}'")
            return name
    if words:
        raise Unsupported(f"no runtime describes '{words}'")
    return None


def runtime_of(run: Run) -> str | None:
    """The runtime that a run names, None if it names none; raises Unsupported."""
    return runtime_named(run.framework)
