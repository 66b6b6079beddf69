"""What each kind of command loads: the heavy libraries only where they work."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = ("numpy", "pydantic", "sympy", "scipy", "matplotlib", "rich", "rich_click", "yaml")
SCRIPT = """
import contextlib, io, json, sys
from roofsim.cli import main
sys.argv = ["roofsim", *sys.argv[1:]]
with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())):
    try:
        main()
    except SystemExit as stop:
        assert not stop.code, stop.code
print(json.dumps([name for name in {heavy!r} if name in sys.modules]))
"""


def loaded(*arguments: str) -> set[str]:
    """Those of the heavy libraries that a command line loads."""
    script = SCRIPT.replace("{heavy!r}", repr(HEAVY))
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["predict", "--help"], ["crossover", "--help"], ["calibrate", "--help"]]
)
def test_help_loads_nothing_heavy(arguments):
    assert loaded(*arguments) == set()


def test_importing_the_package_loads_nothing_heavy():
    script = f"import sys, roofsim; print([name for name in {HEAVY!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"


MODELS = ["mamba2-780m", "Falcon-H1-0.5B", "zamba2-1.2B"]


@pytest.fixture(scope="module")
def read_before():
    for model in MODELS:
        loaded("predict", model, "-d", "orin")


@pytest.mark.parametrize("more", [[], ["-f", "json"], ["-f", "csv"], ["--weights", "awq", "--batch", "8"]], ids=str)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.usefixtures("read_before")
def test_a_prediction_from_specs_that_were_read_before_loads_nothing_heavy(model, more):
    assert loaded("predict", model, "-d", "orin", *more) == set()


def test_a_prediction_from_new_files_loads_what_reads_and_checks_them(monkeypatch, tmp_path):
    monkeypatch.setenv("ROOFSIM_CACHE", str(tmp_path))
    assert loaded("predict", "mamba2-780m", "-d", "rtx-4090") == {"pydantic", "yaml"}
    assert loaded("predict", "mamba2-780m", "-d", "rtx-4090") == set()


def test_what_is_changed_for_a_run_is_checked():
    loaded("predict", "mamba2-780m", "-d", "orin")
    assert "pydantic" in loaded("predict", "mamba2-780m", "-d", "orin", "--set", "device.memory.bandwidth=2x")


def test_completion_from_specs_that_were_read_before_loads_nothing_heavy(monkeypatch):
    from roofsim.cli import ASKED

    monkeypatch.setenv(ASKED, "zsh_complete")
    line = "roofsim predict Falcon-H1-0.5B -d orin -r ideal "
    for last in ("-d orin@", "--set device.memory.", "--set model.layers.hybrid.mixer.", "--set=runtime.logits="):
        monkeypatch.setenv("COMP_LINE", line + last)
        loaded()
        assert loaded() == set()


@pytest.mark.parametrize("cache", ["off", "kept"])
def test_a_model_loads_the_kinds_of_layer_that_it_has(cache, monkeypatch, tmp_path):
    monkeypatch.setenv("ROOFSIM_CACHE", cache if cache == "off" else str(tmp_path))
    script = (
        "import sys; from roofsim import library; library.architecture('mamba2-780m');"
        "print([m for m in sys.modules if m.startswith(('roofsim.model.mixers.', 'roofsim.model.ffn.'))])"
    )
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert done.stdout == "['roofsim.model.mixers.mamba2']\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["crossover", "Qwen2.5-0.5B", "mamba2-780m", "-d", "rtx-4090"],
        ["limits", "mamba2-780m", "-d", "orin"],
        ["explain", "mamba2-780m", "-d", "rtx-4090"],
        ["roofline", "mamba2-780m", "-d", "rtx-4090"],
        ["show", "mamba2-780m"],
        ["devices"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_without_a_figure_or_formulas_neither_sympy_nor_matplotlib_is_loaded(arguments):
    assert loaded(*arguments) & {"sympy", "scipy", "matplotlib"} == set()


def test_formulas_load_sympy_and_figures_matplotlib(tmp_path):
    assert "sympy" in loaded("explain", "mamba2-780m", "-d", "rtx-4090", "--formulas")
    figure = str(tmp_path / "figure.svg")
    assert "matplotlib" in loaded("limits", "mamba2-780m", "-d", "orin", "--plot", figure)
