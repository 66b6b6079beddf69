"""How far measured times of the same pass lie apart on one machine: what no prediction can be better than.

usage: python tools/repeats.py [RUNS.csv]

RUNS.csv (our H100 rows) has wall times and, of a run made later, energies whose notes state the mean power
(`mean_power_W`): their quotient is the time that the pass took then. Prints how far both times lie apart, and how far
steps of one model that launch the same kernels lie from their median, where the device waits for its host and where it
does not.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median, quantiles

from roofsim.runs.importers import read_runs
from roofsim.runs.reading import Run

RUNS = Path(__file__).resolve().parents[1] / "data" / "h100_sxm_transformers_eager.csv"
BUSY = 1 / 2
"""Share of a pass that the device works, from which on the host has little part in it."""
Pass = tuple[str, str, int, int, str]


def main() -> None:
    """Print a line for each kind of pass."""
    found = figures(read_runs(sys.argv[1] if len(sys.argv) > 1 else str(RUNS)).runs)
    for phase in ("prefill", "decode"):
        for waits in (True, False):
            mine = {of: at for of, at in found.items() if of[1] == phase and waiting(at) == waits}
            who = "host" if waits else "device"
            for what, ratios in (("measured again", again(mine)), ("steps of one model", alike(mine))):
                if len(ratios) > 1 and (phase == "decode" or what == "measured again"):
                    print(f"{phase} bound by the {who}, {what}: {told(ratios)}")


def figures(runs: Iterable[Run]) -> dict[Pass, dict[str, float]]:
    """Seconds on the clock, of the device, and of the run that measured energy; kernels. By model, phase, batch, length
    and logits, of the latest run.
    """
    found: dict[Pass, dict[str, float]] = {}
    for run in runs:
        if run.op not in ("e2e", "forward_gpu_busy") or any(run.stated(flag) for flag in ("suspect", "host_contended")):
            continue
        of = (run.model, run.phase, run.batch, run.prompt, run.notes.get("logits", "last"))
        value = run.value
        if run.metric == "energy_j":
            if "mean_power_W" not in run.notes:
                continue
            value /= float(run.notes["mean_power_W"])
        found.setdefault(of, {})[run.metric] = value
    return {of: at for of, at in found.items() if {"latency_s", "device_time_s"} <= at.keys()}


def waiting(at: Mapping[str, float]) -> bool:
    """Whether the device waits for its host for half of the pass."""
    return at["device_time_s"] < BUSY * at["latency_s"]


def again(found: Mapping[Pass, Mapping[str, float]]) -> list[float]:
    """The time of the run that measured energy over that of the run that measured time."""
    return [at["energy_j"] / at["latency_s"] for at in found.values() if "energy_j" in at]


def alike(found: Mapping[Pass, Mapping[str, float]]) -> list[float]:
    """Times over the median of their model, of models with several."""
    of_model: dict[str, list[float]] = {}
    for (model, *_), at in found.items():
        of_model.setdefault(model, []).append(at["latency_s"])
    return [time / median(times) for times in of_model.values() if len(times) > 2 for time in times]


def told(ratios: Sequence[float]) -> str:
    """How far they lie from 1."""
    apart = [abs(each - 1) for each in ratios]
    most = quantiles(apart, n=10, method="inclusive")[-1]
    return f"{len(ratios)} passes, apart {median(apart):.1%} in the median, 90th {most:.1%}"


if __name__ == "__main__":
    main()
