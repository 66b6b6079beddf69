"""Roofsim beside its peers from the package index, on the same points.

    python tools/compare_peers.py -o docs/peers.json

Every program, roofsim from this checkout among them, is installed alone into an environment of its own in a temporary
folder, and asked for prefill and decode of Llama-3.1-8B in 16 bits on one GPU. Measured are

- start: processor time of a fresh Python that imports it and predicts one point, and of its own command if it has one;
- rate: points per second of processor time in one process that goes through many lengths;
- size: what installing it adds to an empty environment, compiled modules included.

Programs take turns, and ratios are of one round, so that a machine that changes its speed does not change them.
`--rounds 3` is quicker. `python tools/performance_page.py` puts the file that is written on its page.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
GENERATED = 128
SECONDS = 0.6
"""Processor time for which a rate is measured, at least."""

CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256,
    "max_position_embeddings": 131072, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
}  # fmt: skip
"""The published config.json of Llama-3.1-8B, for programs that read one."""

POINTS = (("H100", 512, 1), ("H100", 2048, 1), ("H100", 8192, 1), ("H100", 2048, 16), ("A100", 2048, 1),
          ("A100", 2048, 16))  # fmt: skip
"""Device (80 GB, SXM), tokens of a prompt, prompts at once."""
COLD = POINTS[1]


@dataclass(frozen=True)
class Program:
    """How one program is had and asked.

    `code` defines `ask(device, prompt, batch)`, whose answer `read` turns into seconds of prefill and of a decode step
    (None where it has none). `many`, if given, defines `rate(count)`, which answers so many points at once. `command`
    are the words of its own command for the first point. `says` is what its figures are of.
    """

    name: str
    requirement: str
    code: str
    says: str
    command: tuple[str, ...] = ()
    many: str = ""
    alone: bool = False
    """Answers for one prompt only."""


ROOFSIM = """
import json, roofsim
NAMES = {"H100": "h100-sxm", "A100": "a100-sxm-80gb"}
def ask(device, prompt, batch):
    return roofsim.predict("Llama-3.1-8B", NAMES[device], "vllm", prompt=prompt, batch=batch, generate=GENERATED)
def read(found):
    return found.request.ttft, found.request.tpot
"""
COMPILED = """
import roofsim
f = roofsim.compile("Llama-3.1-8B", "h100-sxm", "vllm", figures=["ttft", "tpot", "memory"], generate=GENERATED)
def ask(device, prompt, batch):
    return f.at(prompt, batch)
def read(found):
    return found[:2]
"""
ARRAYS = """
import numpy as np
def rate(count):
    f(prompt=512.0 + np.arange(count) % LENGTHS, batch=1)
"""

PROGRAMS = (
    Program(
        "roofsim", str(ROOT), ROOFSIM, "static batch with vLLM",
        ("predict", "Llama-3.1-8B", "--device", "h100-sxm", "--runtime", "vllm", "--prompt", "2048"),
    ),
    Program("roofsim.compile, numbers", "", COMPILED, "the same, with peak memory"),
    Program("roofsim.compile, arrays", "", COMPILED, "the same, with peak memory", many=ARRAYS),
    Program(
        "ridgepoint", "ridgepoint==0.1.2",
        """
import json, ridgepoint
NAMES = {"H100": "h100-80gb", "A100": "a100-80gb"}
def ask(device, prompt, batch):
    return ridgepoint.fit("llama-3-8b", NAMES[device], ctx=prompt + GENERATED // 2, prompt=prompt, as_json=True)
def read(found):
    speed = json.loads(found)["speed"]
    return speed["ttft_s"]["best"], 1 / speed["decode_tok_s"]["best"]
""",
        "one sequence with vLLM, and capacity (Llama-3-8B)",
        ("fit", "llama-3-8b", "--gpu", "h100-80gb:1", "--ctx", "2112", "--prompt", "2048"), alone=True,
    ),
    Program(
        "servcalc", "servcalc==0.1.0",
        """
from servcalc import Workload, estimate
from vramcalc.loaders import load_arch
MODEL = load_arch("config.json")
def ask(device, prompt, batch):
    return estimate(MODEL, f"{device} 80GB", workload=Workload(prompt, GENERATED, (batch,)), profile="vllm")
def read(found):
    (point,) = found.points
    return point.ttft_ms.mid / 1e3, point.itl_ms.mid / 1e3
""",
        "continuous batching with vLLM in its steady state: TTFT of one request, tokens between prefills",
        ("config.json", "--gpu", "H100 80GB", "--prompt", "2048", "--gen", "128", "--concurrency", "1"),
    ),
    Program(
        "mlsysim", "mlsysim==0.3.0",
        """
from mlsysim import Hardware, Models
from mlsysim.solvers import ServingModel
MODEL = Models.Language.Llama3_8B
def ask(device, prompt, batch):
    return ServingModel().solve(MODEL, getattr(Hardware.Cloud, device), seq_len=prompt, batch_size=batch)
def read(found):
    return found.ttft.to("s").magnitude, found.itl.to("s").magnitude
""",
        "static batch, efficiency 0.5",
        ("serve", "Llama3_8B", "H100", "--seq-len", "2048", "--batch-size", "1"),
    ),
    Program(
        "GenZ", "genz-llm==0.0.16",
        """
from GenZ.LLM_inference import decode_moddeling, prefill_moddeling
SYSTEMS = {"H100": {"Flops": 989, "Memory_size": 80, "Memory_BW": 3350, "ICN": 450, "real_values": True},
           "A100": {"Flops": 312, "Memory_size": 80, "Memory_BW": 2039, "ICN": 300, "real_values": True}}
def ask(device, prompt, batch):
    given = dict(model="meta-llama/meta-llama-3.1-8b", batch_size=batch, input_tokens=prompt,
                 system_name=SYSTEMS[device])
    return prefill_moddeling(**given), decode_moddeling(**given, Bb=1, output_tokens=GENERATED)
def read(found):
    return tuple(each["Latency"] / 1e3 for each in found)
""",
        "static batch, both efficiencies 1",
    ),
    Program(
        "aiconfigurator", "aiconfigurator==0.12.0",
        """
import logging, warnings
logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")
from aiconfigurator.cli.api import cli_estimate
def ask(device, prompt, batch):
    return cli_estimate("meta-llama/Meta-Llama-3.1-8B", f"{device.lower()}_sxm", mode="static", backend_name="vllm",
                        isl=prompt, osl=GENERATED, batch_size=batch)
def read(found):
    return found.ttft / 1e3, found.tpot / 1e3
""",
        "static batch with vLLM, from tables of measured kernels",
        ("cli", "estimate", "--model-path", "meta-llama/Meta-Llama-3.1-8B", "--system", "h100_sxm", "--backend", "vllm",
         "--estimate-mode", "static", "--isl", "2048", "--osl", "128", "--batch-size", "1"),
    ),
)  # fmt: skip

START = "print(read(ask(*COLD)))"
VALUES = """
import json
print(json.dumps([read(ask(*point)) for point in POINTS]))
"""
RATE = """
import time
if "rate" not in globals():
    def rate(count):
        for n in range(count):
            ask("H100", 512 + n % LENGTHS, 1)
rate(1)
count = 1
while True:
    start = time.process_time()
    rate(count)
    took = time.process_time() - start
    if took >= SECONDS or count >= MOST:
        break
    count = min(max(count * 2, int(count * 1.2 * SECONDS / max(took, 1e-3))), MOST)
print(count / took)
"""
"""Points that are different, since some programs keep what they were asked before."""
MOST = 2_000_000
LENGTHS = 4096
"""Lengths that points go through, from 512 on."""


@dataclass(frozen=True)
class Installed:
    """A program in its environment."""

    program: Program
    python: Path
    size: int
    version: str

    @property
    def code(self) -> str:
        """What every question begins with."""
        names = {
            "GENERATED": GENERATED,
            "POINTS": POINTS,
            "COLD": COLD,
            "SECONDS": SECONDS,
            "MOST": MOST,
            "LENGTHS": LENGTHS,
        }
        constants = "".join(f"{name} = {value!r}\n" for name, value in names.items())
        return constants + self.program.code + self.program.many

    @property
    def script(self) -> Path | None:
        """Its own command, which is called as it is."""
        if not self.program.command:
            return None
        return self.python.with_name(self.program.name)


def site(python: Path) -> Path:
    """Where an environment keeps packages."""
    line = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    return Path(subprocess.run([python, "-c", line], capture_output=True, text=True, check=True).stdout.strip())


def install(program: Program, folder: Path) -> Installed:
    """The program alone in a new environment."""
    home = folder / program.name.replace(" ", "-")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    python = home / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "install", "--quiet"]
    done = subprocess.run([*pip, program.requirement], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{program.requirement}: {done.stderr.strip().splitlines()[-1]}")
    size = sum(path.stat().st_size for path in site(python).rglob("*") if path.is_file())
    line = f"from importlib.metadata import version; print(version({program.name!r}))"
    own = program.requirement.partition("==")[2]
    version = own or subprocess.run([python, "-c", line], capture_output=True, text=True, check=True).stdout.strip()
    return Installed(program, python, size, version)


def run(arguments: Sequence[Any], folder: Path) -> tuple[float, str]:
    """Processor seconds, user and system, and what was printed."""
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    environment = {**os.environ, **threads, "ROOFSIM_CACHE": str(folder / "specs")}
    environment.pop("PYTHONPATH", None)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        list(map(str, arguments)), cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{arguments[0]}: {done.stderr.strip()[-500:]}")
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, done.stdout


def measure(all_of: Sequence[Installed], folder: Path, rounds: int) -> dict[str, Any]:
    """Every figure of every round; in a round programs take turns."""
    started: list[dict[str, float]] = []
    commands: list[dict[str, float]] = []
    rates: list[dict[str, float]] = []
    for number in range(rounds + 1):  # the first is not counted: it writes what later ones read
        print(f"round {number} of {rounds}", file=sys.stderr, flush=True)
        bare = all_of[0].python
        one, two, three = {"python -c pass": run([bare, "-c", "pass"], folder)[0]}, {}, {}
        for each in all_of:
            name = each.program.name
            if each.program.requirement:
                one[name] = run([each.python, "-c", each.code + START], folder)[0]
            if each.script:
                two[name] = run([each.script, *each.program.command], folder)[0]
            if number:
                three[name] = float(run([each.python, "-c", each.code + RATE], folder)[1])
        if number:
            started.append(one)
            commands.append(two)
            rates.append(three)
    return {"start": started, "command": commands, "rate": rates}


def values(all_of: Sequence[Installed], folder: Path) -> dict[str, list[list[float | None]]]:
    """What the programs answer at each point."""
    found = {}
    for each in all_of:
        if not each.program.requirement:
            continue
        answers = json.loads(run([each.python, "-c", each.code + VALUES], folder)[1])
        found[each.program.name] = [
            [None, None] if each.program.alone and batch > 1 else answer
            for answer, (_, _, batch) in zip(answers, POINTS, strict=True)
        ]
    return found


def spread(rounds: Sequence[Mapping[str, float]], name: str, base: str) -> list[float]:
    """Least, median and largest ratio of one program to another in the same round."""
    found = [each[name] / each[base] for each in rounds]
    return [min(found), median(found), max(found)]


def summary(all_of: Sequence[Installed], found: Mapping[str, Any], answers: Mapping[str, Any]) -> dict[str, Any]:
    """The file: medians, and ratios with their ends."""
    nothing = "python -c pass"
    rows = []
    for each in all_of:
        p = each.program
        row: dict[str, Any] = {"name": p.name, "version": each.version, "says": p.says}
        row["rate"] = median(one[p.name] for one in found["rate"])
        row["rate_ratio"] = spread(found["rate"], p.name, "roofsim.compile, arrays")
        if p.requirement:
            row["size"] = each.size
            row["start"] = median(one[p.name] for one in found["start"])
            row["start_ratio"] = spread(found["start"], p.name, "roofsim")
            row["start_over_nothing"] = spread(found["start"], p.name, nothing)
        if each.script:
            row["command"] = median(one[p.name] for one in found["command"])
            row["command_ratio"] = spread(found["command"], p.name, "roofsim")
        rows.append(row)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "rounds": len(found["rate"]),
        "model": "Llama-3.1-8B",
        "generated": GENERATED,
        "programs": rows,
        "points": [{"device": device, "prompt": prompt, "batch": batch} for device, prompt, batch in POINTS],
        "answers": answers,
    }


def processor() -> str:
    """What the processor calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def table(found: Mapping[str, Any]) -> str:
    """The same for people."""
    lines = [f"{'program':26}{'start':>9}{'ratio':>8}{'command':>9}{'ratio':>8}{'points/s':>12}{'ratio':>11}{'MB':>7}"]
    for row in found["programs"]:
        start = f"{row['start']:8.3f}s{row['start_ratio'][1]:8.2f}" if "start" in row else " " * 17
        command = f"{row['command']:8.3f}s{row['command_ratio'][1]:8.2f}" if "command" in row else " " * 17
        size = f"{row['size'] / 1e6:7.1f}" if "size" in row else ""
        lines.append(f"{row['name']:26}{start}{command}{row['rate']:12,.1f}{row['rate_ratio'][1]:11.2g}{size}")
    return "\n".join(lines)


def main() -> None:
    """Install, ask in turns, print the table and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
        all_of: list[Installed] = []
        for program in PROGRAMS:
            if program.requirement:
                print(f"installing {program.name}", file=sys.stderr, flush=True)
                all_of.append(install(program, folder))
            else:
                all_of.append(Installed(program, all_of[0].python, 0, all_of[0].version))
        found = summary(all_of, measure(all_of, folder, options.rounds), values(all_of, folder))
    print(table(found))
    if options.output:
        options.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
