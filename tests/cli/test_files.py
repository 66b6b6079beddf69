"""What --output and --plot write: whole files or none."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import threading
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from roofsim.reports.formats import FORMATS

CROSSOVER = "crossover Qwen2.5-0.5B mamba2-780m -d rtx-4090"
PREDICT = "predict mamba2-780m -d rtx-4090"
PLOTTED = {
    "crossover": CROSSOVER,
    "limits": "limits Qwen2.5-0.5B -d orin",
    "roofline": "roofline mamba2-780m -d rtx-4090",
}


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_output_writes_what_would_be_printed(attempt, roofsim, here, form):
    printed = roofsim(PREDICT, "-f", form)
    result = attempt(PREDICT, "-f", form, "-o", "out.txt")
    assert (result.exit_code, result.stdout) == (0, "")
    assert (here / "out.txt").read_text(encoding="utf-8") == printed
    assert [path.name for path in here.iterdir()] == ["out.txt"]


def test_what_was_written_is_said_on_stderr_unless_quiet(attempt):
    assert "wrote out.txt" in attempt(f"{PREDICT} -o out.txt").stderr
    assert attempt(f"{PREDICT} -q -o out.txt").stderr == ""
    assert "drew figure.svg" in attempt(f"{CROSSOVER} --plot figure.svg").stderr
    assert attempt(f"{CROSSOVER} -q --plot figure.svg").stderr == ""


def test_output_replaces_a_file_that_was_there(roofsim, here):
    (here / "out.json").write_text("before " * 10_000)
    roofsim(f"{PREDICT} -f json -o out.json")
    assert json.loads((here / "out.json").read_text())["model"] == "mamba2-780m"


def test_output_has_the_permissions_of_any_new_file(roofsim, here):
    (here / "plain").touch()
    roofsim(f"{PREDICT} -o out.txt")
    assert stat.S_IMODE((here / "out.txt").stat().st_mode) == stat.S_IMODE((here / "plain").stat().st_mode)


def test_output_goes_to_another_folder_by_its_path(roofsim, here):
    (here / "folder").mkdir()
    roofsim(f"{PREDICT} -o folder/out.txt")
    roofsim(f"{CROSSOVER} --plot folder/figure.svg")
    assert sorted(path.name for path in (here / "folder").iterdir()) == ["figure.svg", "out.txt"]


def test_output_to_a_link_writes_the_file_that_it_points_to(roofsim, here):
    (here / "far").mkdir()
    (here / "far" / "out.txt").write_text("before")
    (here / "out.txt").symlink_to(here / "far" / "out.txt")
    roofsim(f"{PREDICT} -o out.txt")
    assert (here / "out.txt").is_symlink()
    assert "mamba2-780m" in (here / "far" / "out.txt").read_text()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
@pytest.mark.parametrize("option", ["-o {}.txt", "--plot {}.png"])
def test_what_is_no_file_stays_what_it_is(attempt, here, option):
    path = here / option.partition(" ")[2].format("pipe")
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a writer waits until there is a reader
    done = threading.Event()

    def drain():
        while not done.wait(0.01):
            with contextlib.suppress(BlockingIOError):
                os.read(reader, 2**20)

    thread = threading.Thread(target=drain)
    thread.start()
    try:
        attempt(f"{CROSSOVER} {option.format('pipe')}")
    finally:
        done.set()
        thread.join()
        os.close(reader)
    assert stat.S_ISFIFO(path.lstat().st_mode)


def test_a_write_that_fails_midway_leaves_the_old_file_and_nothing_else(refused, here, monkeypatch):
    (here / "out.txt").write_text("before")

    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    monkeypatch.setattr(os, "replace", full)
    assert "No space left on device" in refused(f"{PREDICT} -o out.txt")


def starts_like_png(path):
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert data.endswith(b"IEND\xaeB`\x82")


def is_svg(path):
    root = ElementTree.parse(path).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    return root


def is_pdf(path):
    data = path.read_bytes()
    assert data.startswith(b"%PDF-")
    assert data.rstrip().endswith(b"%%EOF")


@pytest.mark.parametrize(
    ("name", "ending", "valid"),
    [
        *((name, *each) for name in PLOTTED for each in (("png", starts_like_png), ("svg", is_svg), ("pdf", is_pdf))),
        ("limits", "SVG", is_svg),
    ],
)
def test_a_figure_is_a_valid_file_of_its_ending(roofsim, here, name, ending, valid):
    said = roofsim(f"{PLOTTED[name]} --plot figure.{ending}")
    assert said == roofsim(PLOTTED[name]), "a figure changes nothing about the result"
    valid(here / f"figure.{ending}")
    assert [path.name for path in here.iterdir()] == [f"figure.{ending}"]


def words(path):
    return " ".join(text.strip() for text in is_svg(path).itertext() if text.strip())


def test_a_figure_names_models_device_runtime_axes_and_crossing(roofsim, data, here):
    roofsim(f"{CROSSOVER} --plot figure.svg")
    said = words(here / "figure.svg")
    (crossing,) = data(CROSSOVER)["pairs"][0]["crossings"]
    for word in ("Qwen2.5-0.5B", "mamba2-780m", "NVIDIA GeForce RTX 4090", "transformers 4.52", "time to first token",
                 "prompt length (tokens)", f"{crossing['length']:,}"):  # fmt: skip
        assert word in said


def test_a_figure_of_memory_names_its_parts_and_the_capacity(roofsim, here):
    roofsim("limits Qwen2.5-0.5B -d rtx-4090 --plot figure.svg")
    said = words(here / "figure.svg")
    for word in ("weights", "logits", "state", "23.5 GiB", "24.0 GiB", "Qwen2.5-0.5B", "NVIDIA GeForce RTX 4090"):
        assert word in said


def test_a_roofline_names_its_roofs_and_kinds_of_operators(roofsim, here):
    roofsim("roofline mamba2-780m -d rtx-4090 --plot figure.svg")
    said = words(here / "figure.svg")
    for word in ("bf16 matrix peak", "165 TFLOP/s", "1.01 TB/s", "gemm", "scan", "prefill", "decode", "FLOP/B"):
        assert word in said


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_the_same_input_draws_the_same_bytes(roofsim, here, ending):
    for name in ("one", "two"):
        roofsim(f"{CROSSOVER} --plot {name}.{ending}")
    assert (here / f"one.{ending}").read_bytes() == (here / f"two.{ending}").read_bytes()


def test_a_figure_that_fails_midway_leaves_the_old_file_and_nothing_else(attempt, here, monkeypatch):
    from matplotlib.figure import Figure

    (here / "figure.png").write_text("before")

    def savefig(self, path, **_):
        Path(path).write_bytes(b"half a fig")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", savefig)
    result = attempt(f"{CROSSOVER} --plot figure.png")
    assert result.exit_code == 2
    assert "No space left on device" in result.stderr
    assert [(path.name, path.read_text()) for path in here.iterdir()] == [("figure.png", "before")]


@pytest.mark.parametrize(
    "line",
    [
        f"{CROSSOVER} --longest 300",
        f"{CROSSOVER} --longest 100",
        "crossover Qwen2.5-0.5B mamba2-780m -d rtx-4090 -b 1000000",
        "crossover Llama-3.1-8B Phi-3-mini -d orin",
        "crossover GPT-Neo-125M mamba-130m -d orin",
        f"{CROSSOVER} -m tpot",
        f"{CROSSOVER} -m memory",
        f"{CROSSOVER} -m throughput -g 0",
        "limits mamba2-780m -d orin --lengths 4k",
        "limits mamba2-780m -d orin --lengths 8k,4k",
        "limits Llama-3.1-8B -d orin",
        "limits GPT-Neo-125M -d orin",
        "roofline mamba2-780m -d rtx-4090 -p 1 -b 1",
        "roofline Zamba2-1.2B -d b200-sxm -p 1M",
        "roofline mamba-130m -d raspberry-pi-5",
    ],
)
def test_unusual_input_draws_a_figure_without_a_warning(attempt, here, line):
    result = attempt(f"{line} --plot figure.svg")
    assert (result.exit_code, result.stderr) == (0, "drew figure.svg\n")
    is_svg(here / "figure.svg")
