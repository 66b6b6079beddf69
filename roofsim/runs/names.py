"""Free text in files of runs: which device and which family of software it means."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from roofsim import library
from roofsim.foundation.errors import UnknownName
from roofsim.runs.reading import Run
from roofsim.specs.device import Device
from roofsim.specs.runtime import Runtime

DEVICES = "devices"
"""What leads the message about a device that is not known."""

UNKNOWN = re.compile(r"not (stated|visible|known)")
"""What a name says that leaves open which device it is."""

OTHERS = re.compile(r"ti|super|max|pro|ultra|laptop|mobile|d|xt|xtx|nvl|pcie|sxm\d?|\d{4}[a-z]*")
"""Words after a name that make it that of another device: another kind of it, or the number of a processor."""

MODES = {"maxn-super": "maxn"}
"""Modes of a Jetson by other names (`power_mode=` in notes), and the variant of the device."""


OWN = "a device of your own is a file (`roofsim new device NAME`): give it with -d, rows name it by its name or alias"
"""What is told where no row names a device that is known."""


def unknown_device(reasons: Iterable[str]) -> str:
    """That, if rows were left out since they name no known device; nothing else."""
    return f"\n{OWN}" if any(reason.startswith(f"{DEVICES}: ") for reason in reasons) else ""


@lru_cache(maxsize=1024)
def device_named(words: str, mode: str = "", clock: str = "") -> str:
    """The device that free text such as `RTX 4090 24GB` means, in a mode and at a clock if told; raises UnknownName.

    A mode may also stand behind the name, as our own commands take it: `orin@15w`.
    """
    base, _, behind = words.partition("@")
    parts = _parts(base)
    while parts and parts[0] in library.MAKERS and _known(parts) is None:
        parts = parts[1:]
    name = None if UNKNOWN.search(words) else _known(parts)
    if name is None:
        raise UnknownName(DEVICES, words, library.names("hardware"))
    return name + _mode(name, mode or (behind.strip() if library.modes(name) else ""), clock)


def _parts(words: str) -> list[str]:
    return re.sub(r"[^a-z0-9.]+", "-", words.lower()).strip("-").split("-")


def _known(parts: Sequence[str]) -> str | None:
    """The longest beginning that names a device, unless what follows says that it is another one."""
    for end in range(len(parts), 0, -1):
        name = "-".join(parts[:end])
        if name in library.names("hardware") or name in library.aliases("hardware"):
            return name if _fits(name, parts[end:]) else None
    return None


def _fits(name: str, rest: Sequence[str]) -> bool:
    """Whether words after the name of a device go with it: no other kind of it, and the memory that such a part has.

    Cards and modules have one size each; computers come with several, which their other numbers do not depend on.
    """
    device = library.device(name)
    only_clocks = device.kind == "soc" and rest[:1] == ["super"]  # of a Jetson
    if rest and OTHERS.fullmatch(rest[0]) and not only_clocks:
        return False
    sizes = [float(match[1]) for word in rest if (match := re.fullmatch(r"(\d+)gb", word))]
    one_size = device.kind in ("gpu", "accelerator") or device.vendor == "NVIDIA"
    return not one_size or all(abs(size * 2**30 / device.memory.capacity.value - 1) < 0.1 for size in sizes)


def _mode(name: str, mode: str, clock: str) -> str:
    """The variant of a device in a mode, or the one that it has for that mode at a clock in MHz."""
    if not mode:
        return ""
    told = re.sub(r"[ _]+", "-", mode.lower())
    variant = MODES.get(told, told)
    known = library.modes(name)
    found = next((each for each in (f"{variant}-{clock}", variant) if each in known), None)
    if found is None:
        raise UnknownName(f"modes of {name}", mode, known)
    return f"@{found}"


def same_device(run: Run, device: Device) -> bool:
    """Whether a run names this device, whose file may be the user's own: by its id, its name or an alias.

    A row that tells no mode means whichever is the device's usual one, so only the full name is sure to be this mode.
    """
    base, _, mode = device.id.partition("@")
    told = run.notes.get("power_mode", "")
    if told and MODES.get(told, told.lower()) != mode:
        return False
    words = (device.id, device.name) if mode and not told else (device.id, device.name, base, *device.aliases)
    return _parts(run.device) in [_parts(word) for word in words if word]


def device_of(run: Run) -> str:
    """The device that a run names; raises UnknownName."""
    return device_named(run.device, run.notes.get("power_mode", ""), run.notes.get("gpu_mhz", ""))


_FAMILIES: Sequence[tuple[str, str]] = (
    ("ik_llama.cpp", r"ik_llama"),  # a fork with kernels of its own
    ("llama.cpp", r"llama\.?cpp|ggml|llama-bench"),
    ("vllm", r"vllm"),
    ("sglang", r"sglang"),
    ("tensorrt-llm", r"trt-?llm|tensorrt"),
    ("lmdeploy", r"lmdeploy|turbomind"),
    ("static cache, captured", r"static.?cache.*captured|captured graph"),
    ("static cache, launched", r"static.?cache.*eager"),
    ("static cache, compiled", r"static.?cache"),
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
    both = [each.partition(", transformers ") for each in (told, wanted)]
    same_version = not both[0][2] or not both[1][2] or both[0][2] == both[1][2]
    return both[0][0] == both[1][0] and same_version
