"""Which runtime a run was made with, by what its row says of the software."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from roofsim import library
from roofsim.foundation.errors import RoofsimError, Unsupported
from roofsim.runs.names import device_of, same_device
from roofsim.runs.reading import Run
from roofsim.specs.device import Device

BACK_ENDS = (("cpu", "cpu"), ("metal", "metal"), ("vulkan", "vulkan"), ("(hip|rocm)", "hip"), ("sycl", "sycl"))
"""Words for back ends of llama.cpp, and the runtimes that are named after them."""
STACKS: Sequence[tuple[str, str]] = (
    (r"ik_llama", ""),
    (r"llama\.?cpp.*b(1[5-9]|2\d)\d\d\b.*metal", "llama.cpp-b2797-metal"),
    (r"llama\.?cpp.*b2\d\d\d\b.*cuda", "llama.cpp-b2824"),
    (r"llama\.?cpp.*(b4[0-7]\d\d|2024)\b.*cpu", "llama.cpp-b4384-cpu"),
    *((rf"(llama\.?cpp|ggml|llama-bench).*\b{words}", f"llama.cpp-{name}") for words, name in BACK_ENDS),
    (r"llama\.?cpp|ggml|llama-bench", "llama.cpp"),
    (r"vllm", "vllm"),
    (r"sglang|trt-?llm|tensorrt|lmdeploy|turbomind", ""),
    (r"static.?cache.*(captured|cuda).*graph|captured graph", "transformers-5-static"),
    (r"static.?cache.*eager", "transformers-5-static-eager"),
    (r"static.?cache|torch\.?compile", ""),
    (r"transformers[ =-]*5.*cpu|cpu.*transformers[ =-]*5", "transformers-5-cpu"),
    (r"transformers[ =-]*5", "transformers-5-eager"),
    (r"torch|transformers|mamba_ssm|flash-attn", "transformers-4.52-eager"),
)
"""Patterns of the column `framework`, the first that is found counts; none where no runtime describes the software."""
SERVERS: Sequence[tuple[str, str]] = ((r"trt-?llm 1\.|tensorrt-?llm 1\.", "tensorrt-llm"), (r"sglang 0\.5", "sglang"))
"""The same of what serves, of which whole steps are described."""


@lru_cache(maxsize=1024)
def runtime_named(words: str) -> str | None:
    """The runtime that free text such as `vllm 0.19.0` means; None if it names no software.

    Raises Unsupported for software that no runtime describes.
    """
    text = words.lower()
    for pattern, name in STACKS:
        if re.search(pattern, text):
            if not name:
                raise Unsupported(f"no runtime describes '{words}'")
            return name
    if words:
        raise Unsupported(f"no runtime describes '{words}'")
    return None


def runtime_of(run: Run, own: Device | None = None) -> str | None:
    """The runtime that a run names, None if it names none; raises Unsupported.

    Software without a word on its back end has the one that is usual on the device: llama.cpp on every kind, PyTorch on
    a processor. `own` is a device that has no name of those that are shipped.
    """
    if run.op == "e2e_serving":
        for pattern, server in SERVERS:
            if re.search(pattern, run.framework.lower()):
                return server
    name = runtime_named(run.framework)
    if name not in ("llama.cpp", "transformers-5-eager"):
        return name
    try:
        mine = own is not None and (not run.device or same_device(run, own))
        device = own if own and mine else library.device(device_of(run))
    except RoofsimError:
        return name
    if name == "transformers-5-eager":
        return "transformers-5-cpu" if device.kind == "cpu" else name
    usual = "cpu" if device.kind == "cpu" else {"Apple": "metal", "AMD": "hip"}.get(device.vendor)
    return f"{name}-{usual}" if usual else name
