"""What the page offers: models, devices, runtimes, and which of those a device has where one is not written for it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from typing import TypeVar

from roofsim import library
from roofsim.foundation.errors import Unsupported
from roofsim.foundation.values import dataclass
from roofsim.model.architecture import Architecture
from roofsim.model.split import Split
from roofsim.model.weights import format_named
from roofsim.prediction.setup import Setup, setup
from roofsim.prediction.words import elsewhere
from roofsim.spaces.advise import STACKS
from roofsim.specs.device import Device
from roofsim.specs.runtime import Runtime

S = TypeVar("S", Architecture, Device, Runtime)

MODELS = (
    "Qwen2.5-0.5B", "Qwen2.5-1.5B", "Llama-3.2-1B", "Phi-3-mini", "Llama-3.1-8B", "Qwen3-8B", "Gemma-3-12B",
    "Llama-3.1-70B", "mamba-790m", "mamba2-780m", "mamba2-2.7b", "Falcon-Mamba-7B", "Falcon-H1-0.5B", "Falcon-H1-1.5B",
    "Zamba2-1.2B", "LFM2-1.2B", "Nemotron-Nano-9B-v2", "Qwen3.5-4B", "gpt-oss-20b", "Qwen3-30B-A3B",
)  # fmt: skip
DEVICES = (
    "jetson-orin-nano-8gb", "rtx-4090", "h100-sxm", "a100-sxm-80gb", "rtx-5090", "mi300x", "apple-m4-max",
    "raspberry-pi-5",
)  # fmt: skip
RUNTIMES = ("transformers-4.52-eager", "transformers-5-static", "llama.cpp", "vllm")
"""What a page has if nothing is named: the models of the paper's kinds, small and large, from a board to a server."""


TP = (1, 2, 4, 8)
"""Devices that a model is divided among by a runtime that serves, where they stand in a cluster."""


@dataclass(frozen=True, slots=True)
class Choices:
    """The specs of a page; `weights` are formats beside each model's own dtype, the usual ones if none.

    `tp` says among how many devices a model can be divided, one first; the usual counts, of runtimes that serve, if
    none. `command` is what makes the same page, empty if none does.
    """

    models: tuple[Architecture, ...]
    devices: tuple[Device, ...]
    runtimes: tuple[Runtime, ...]
    weights: tuple[str, ...] = ()
    command: str = ""
    tp: tuple[int, ...] = ()

    def counts(self, runtime: Runtime) -> tuple[int, ...]:
        """Among how many devices the runtime divides a model."""
        return self.tp or (TP if runtime.server else (1,))


def chosen(
    models: Sequence[str | Architecture] = (), devices: Sequence[str | Device] = (),
    runtimes: Sequence[str | Runtime] = (), weights: Sequence[str] = (), tp: Sequence[int] = (),
) -> Choices:  # fmt: skip
    """Specs by name or value, the usual ones where none are named; raises InputError for names that are not known."""
    given = {"models": models, "devices": devices, "runtimes": runtimes, "weights": weights, "tp": tp}
    words = [f"--{name} {shlex.quote(','.join(map(str, each)))}" for name, each in given.items() if each]
    named_all = all(isinstance(one, str | int) for each in given.values() for one in each)
    return Choices(
        _each_once(library.architecture(each) if isinstance(each, str) else each for each in models or MODELS),
        _each_once(library.device(each) if isinstance(each, str) else each for each in devices or DEVICES),
        _each_once(library.runtime(each) if isinstance(each, str) else each for each in runtimes or RUNTIMES),
        tuple(dict.fromkeys(map(format_named, weights))),
        " ".join(["roofsim explore", *words]) if named_all else "",
        tuple(sorted({1, *tp})) if tp else (),
    )


def _each_once(specs: Iterable[S]) -> tuple[S, ...]:
    return tuple({named(each): each for each in specs}.values())


def named(spec: Architecture | Device | Runtime) -> str:
    """What a spec is called."""
    return spec.id or spec.name


def on(runtime: Runtime, device: Device) -> Runtime:
    """The runtime as the device has it: the same software for its kind, if there is one among the usual."""
    if runtime.written_for(device.vendor, device.kind):
        return runtime
    software = runtime.id.partition("-")[0]
    for each in map(library.runtime, STACKS):
        if each.id.partition("-")[0] == software and each.written_for(device.vendor, device.kind):
            return each
    return runtime


def combined(model: Architecture, device: Device, runtime: Runtime, tp: int = 1) -> Setup:
    """The setup of a combination, without a calibration; raises Unsupported for what cannot run."""
    if tp > 1 and library.standing(device) is None:
        raise Unsupported(f"{named(device)}: no file says what several of it stand in")
    s = setup(model, device, on(runtime, device), split=Split(tp=tp))
    if not s.runtime.written_for(device.vendor, device.kind):
        raise Unsupported(elsewhere(s))
    return s
