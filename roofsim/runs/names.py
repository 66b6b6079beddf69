"""Free text in files of runs: which device and which family of software it means."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from roofsim import library
from roofsim.foundation.errors import UnknownName
from roofsim.runs.reading import Run
from roofsim.specs.device import Device
from roofsim.specs.runtime import Runtime

UNKNOWN = re.compile(r"not (stated|visible|known)")
"""What a name says that leaves open which device it is."""

MODES = {"MAXN": "25w", "25W": "25w-820", "15W": "15w", "7W": "7w"}
"""Modes of a Jetson in notes (`power_mode=`), and the variant of the device at those clocks; "" has none."""


@lru_cache(maxsize=1024)
def device_named(words: str, mode: str = "") -> str:
    """The device that free text such as `RTX 4090 24GB` means, in a mode if one is told; raises UnknownName."""
    parts = re.sub(r"[^a-z0-9.]+", "-", words.lower()).strip("-").split("-")
    for end in range(0 if UNKNOWN.search(words) else len(parts), 0, -1):
        name = "-".join(parts[:end])
        if name in library.names("hardware") or name in library.aliases("hardware"):
            return name + _mode(name, mode)
    raise UnknownName("devices", words, library.names("hardware"))


def _mode(name: str, mode: str) -> str:
    variant = MODES.get(mode, mode.lower())
    if not mode:
        return ""
    if variant not in library.modes(name):
        raise UnknownName(f"modes of {name}", mode, library.modes(name))
    return f"@{variant}"


def same_device(run: Run, device: Device) -> bool:
    """Whether a run names this device, whose file may be the user's own: by its id, its name or an alias.

    A row that tells no mode means whichever is the device's usual one, so only the full name is sure to be this mode.
    """
    base, _, mode = device.id.partition("@")
    told = run.notes.get("power_mode", "")
    if told and MODES.get(told, told.lower()) != mode:
        return False
    words = (device.id, device.name) if mode and not told else (device.id, device.name, base, *device.aliases)
    return run.device.lower() in {word.lower() for word in words if word}


def device_of(run: Run) -> str:
    """The device that a run names; raises UnknownName."""
    return device_named(run.device, run.notes.get("power_mode", ""))


_FAMILIES: Sequence[tuple[str, str]] = (
    ("llama.cpp", r"llama\.?cpp|ggml|llama-bench"),
    ("vllm", r"vllm"),
    ("sglang", r"sglang"),
    ("tensorrt-llm", r"trt-?llm|tensorrt"),
    ("lmdeploy", r"lmdeploy|turbomind"),
    ("pytorch", r"torch|transformers|mamba_ssm"),
)


@lru_cache(maxsize=1024)
def family(words: str) -> str | None:
    """The family of software that free text names, with the major version of transformers if it tells one."""
    text = words.lower()
    for name, pattern in _FAMILIES:
        if re.search(pattern, text):
            version = re.search(r"transformers[ =-]*(\d+)\b", text) if name == "pytorch" else None
            return f"{name}, transformers {version[1]}" if version else name
    return None


def made_with(run: Run, runtime: Runtime) -> bool:
    """Whether a run may have been made with a runtime: its text names no other software and no other version."""
    told, wanted = family(run.framework), family(f"{runtime.id} {runtime.version}")
    if told is None or wanted is None:
        return True
    both = [each.partition(", ") for each in (told, wanted)]
    same_version = not both[0][2] or not both[1][2] or both[0][2] == both[1][2]
    return both[0][0] == both[1][0] and same_version
