"""Figures say what their bands and bars are, and what those rest on."""

from __future__ import annotations

import pytest

pytest.importorskip("matplotlib")

COMMANDS = {
    "crossover": "crossover Qwen2.5-0.5B mamba2-780m -d {device} --longest 4k",
    "roofline": "roofline Qwen2.5-0.5B -d {device}",
    "limits": "limits Qwen2.5-0.5B -d {device} -p 1k",
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize(
    ("device", "label"), [("rtx-4090", "95 % interval, calibrated"), ("rtx-3090", "95 % interval, prior")]
)
def test_a_figure_says_what_its_intervals_rest_on(roofsim, here, command, device, label):
    roofsim(f"{command.format(device=device)} -r transformers-4.52-eager --plot figure.svg -q")
    assert label in (here / "figure.svg").read_text()


def test_the_figure_of_limits_shows_the_longest_prompt(roofsim, here):
    out = roofsim("limits Qwen2.5-0.5B -d orin --plot figure.svg -q")
    longest = out.split("Longest prompt at batch 1: ")[1].split(" ")[0]
    assert f"longest prompt, {longest}" in (here / "figure.svg").read_text()
