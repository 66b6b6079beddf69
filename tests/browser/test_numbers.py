"""The numbers of the page, in a real browser: they are Python's."""

from __future__ import annotations

from exploring import CHOICES, disagreements, in_browser

SETTINGS, POINTS = 4, 250
"""Of each model and runtime: settings of device, formats, calibration and own numbers, and random points of each."""


def test_a_thousand_random_points_of_every_model_and_runtime_are_those_of_python(opened):
    ask = in_browser(opened())
    assert len(ask(CHOICES)) > 1
    assert disagreements(ask, seed=56, settings=SETTINGS, points=POINTS) == []


def test_a_page_holds_less_than_three_megabytes(opened):
    assert opened().evaluate("new Blob([document.documentElement.outerHTML]).size") < 3e6
