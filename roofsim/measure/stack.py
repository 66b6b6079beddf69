"""The software that is measured: PyTorch and transformers, loaded when first used and kept off the network."""

from __future__ import annotations

import os
import platform
import re
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from roofsim.foundation.errors import InputError, MissingExtra
from roofsim.foundation.values import dataclass

OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "USE_HUB_KERNELS": "NO",  # else transformers looks for kernels on the hub
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
}
"""Environment of this process while it measures: nothing is downloaded."""

DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
"""Dtypes that models are built in, and PyTorch's names of them."""

SCANS = ("mamba_ssm", "causal_conv1d")
"""Packages with the kernels of recurrent layers."""

VENDORS = re.compile(r"\b(?:NVIDIA|GeForce|Tesla)\s+")
"""Words in front of the name by which a device is known."""


@dataclass(frozen=True, slots=True)
class Stack:
    """PyTorch, and where it runs: `cuda` or `cpu`."""

    torch: Any
    on: str

    def sync(self) -> None:
        """Wait until the device has done all that it was given."""
        if self.on == "cuda":
            self.torch.cuda.synchronize()

    def release(self) -> None:
        """Give memory that no tensor uses back to the device."""
        if self.on == "cuda":
            self.torch.cuda.empty_cache()

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Whether an exception says that memory ran out."""
        if isinstance(error, MemoryError | self.torch.cuda.OutOfMemoryError):
            return True
        return isinstance(error, RuntimeError) and bool(
            re.search(r"out of memory|can't allocate memory|CUBLAS_STATUS_ALLOC_FAILED", str(error))
        )


def load(on: str | None = None) -> Stack:
    """PyTorch on `cuda` or `cpu`, by default on what is there; raises InputError that says what is missing."""
    os.environ.update(OFFLINE)
    missing = [name for name in ("torch", "transformers") if find_spec(name) is None]
    if missing:
        raise MissingExtra(f"measuring needs PyTorch and transformers; not installed: {', '.join(missing)}", "measure")
    torch = import_module("torch")
    has_gpu = torch.cuda.is_available()
    if on == "cuda" and not has_gpu:
        raise InputError(f"--on cuda: PyTorch {torch.__version__} sees no GPU; write --on cpu to measure the processor")
    return Stack(torch, on or ("cuda" if has_gpu else "cpu"))


def device_name(stack: Stack | None) -> str:
    """What the device calls itself, without its maker; without PyTorch the processor."""
    if stack is not None and stack.on == "cuda":
        return VENDORS.sub("", stack.torch.cuda.get_device_name())
    return processor()


def processor() -> str:
    """The processor's name, of /proc/cpuinfo where there is one."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def versions(*, models: bool) -> str:
    """The column `framework`: PyTorch and transformers, for models also how they run."""
    torch = import_module("torch").__version__  # with the CUDA it was built for
    text = f"torch {torch} transformers {metadata.version('transformers')}"
    if not models:
        return text
    scans = [f"{name} {metadata.version(name)}" for name in SCANS if find_spec(name)]
    return f"{text}; eager, SDPA{', ' + ' and '.join(scans) + ' kernels' if scans else ''}"
