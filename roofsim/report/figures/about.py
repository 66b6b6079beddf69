"""What stands above a figure of one case."""

from __future__ import annotations

from roofsim.prediction.setup import Setup
from roofsim.report.figures.captions import asked, on, rests_on
from roofsim.specs.workload import Workload


def case(s: Setup, w: Workload, *without: str, interval: bool = True) -> tuple[str, str]:
    """Two lines: where it runs, and what is asked for but for what the figure varies, with what its band is."""
    host = f", host {s.host.id}" if s.host and s.runtime.host.mode in ("eager", "inline") else ""
    said = [asked(w, *without), *s.changes]
    if interval:
        said.append(f"band: {rests_on([s.calibration_name])}")
    return on(s.device.name, s.runtime.name, s.model_name) + host, ", ".join(filter(None, said))
