"""A study that is long enough to be killed: `python killed.py OUTPUT`."""

from __future__ import annotations

import sys

from roofsim.spaces import space
from roofsim.spaces.sweep import study, write

AXES = {
    "model": "mamba2-130m,Qwen2.5-0.5B", "device": "orin", "prompt": range(1000, 1400), "batch": range(1, 51),
    "device.memory.bandwidth": "1x,2x,4x",
}  # fmt: skip

if __name__ == "__main__":
    space.SMALLEST_PART = 2**13  # as many parts as of a study of a million points, sooner
    write(study(AXES, figures=["ttft", "memory_peak"], where="ttft < 100"), sys.argv[1], workers=1)
