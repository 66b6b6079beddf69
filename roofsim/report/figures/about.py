"""What stands below the title of a figure: of which model, device, stack and request it is."""

from __future__ import annotations

from roofsim.prediction.setup import Setup
from roofsim.prediction.words import interval_label
from roofsim.report.figures.style import tokens
from roofsim.specs.workload import STORED, Workload


def case(s: Setup, w: Workload, *, over: str = "", interval: bool = True) -> tuple[str, str]:
    """Two lines of one case; `over` is what the figure is over, which is then not said: prompt, batch."""
    host = f" from a {s.host.name}" if s.host and s.runtime.host.mode in ("eager", "inline") else ""
    asked = {"batch": f"batch {w.batch:,}", "prompt": f"prompt {tokens(w.prompt)} tokens"}
    said = [f"weights {_weights(s, w)}", *(words for name, words in asked.items() if name != over), *s.changes]
    if interval:
        said.append(f"band: {interval_label(s.calibration_name)}")
    return f"{s.model_name} on {s.device.name}, with {s.runtime.name}{host}", ", ".join(said)


def _weights(s: Setup, w: Workload) -> str:
    """What weights are stored in."""
    kept = w.weight_format or (STORED if s.architecture.stored else w.dtype)
    if kept == STORED and s.architecture.stored:
        return s.architecture.stored.format or f"as in its file, activations {w.dtype}"
    return kept if kept == w.dtype else f"{kept}, activations {w.dtype}"
