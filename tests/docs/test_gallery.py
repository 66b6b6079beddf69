"""The gallery: a command and a line of Python for every figure there is, without drawing any."""

from __future__ import annotations

import ast
import shlex

import click
import pytest

import roofsim
from roofsim.cli import group, modules
from roofsim.reports.docs.gallery import GALLERY, RUNS

ENTRIES = [each for part in GALLERY for each in part.entries]
CONTEXT = click.Context(group, info_name="roofsim")


def command(name):
    return group.get_command(CONTEXT, name)


def option(name, wanted):
    return next((each for each in command(name).params if each.name == wanted), None)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.title)
def test_a_command_of_the_gallery_is_one_that_draws(entry, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs.csv").write_text(RUNS, encoding="utf-8")
    _, name, *words = shlex.split(entry.command)
    made = command(name).make_context(name, [*words], parent=CONTEXT)
    assert made.params["plot"].path == words[words.index("--plot") + 1]


@pytest.mark.parametrize("entry", [each for each in ENTRIES if each.python], ids=lambda entry: entry.title)
def test_python_of_the_gallery_names_functions_that_there_are(entry):
    calls = [each for each in ast.walk(ast.parse(entry.python)) if isinstance(each, ast.Attribute)]
    known = [each for each in calls if isinstance(each.value, ast.Name) and each.value.id == "roofsim"]
    assert known
    assert all(hasattr(roofsim, each.attr) for each in known)
    plots = [each.attr for each in calls if isinstance(each.value, ast.Attribute) and each.value.attr == "plots"]
    assert all(hasattr(roofsim.plots, name) for name in plots)


def test_titles_are_told_apart_and_figures_have_names_of_their_own():
    assert len({each.title for each in ENTRIES}) == len(ENTRIES)
    files = [shlex.split(each.command)[shlex.split(each.command).index("--plot") + 1] for each in ENTRIES]
    assert len(set(files)) == len(files)


def test_every_command_that_draws_and_every_figure_of_one_is_in_the_gallery():
    lines = [each.command for each in ENTRIES]
    for name in modules():
        if option(name, "plot") is None:
            continue
        own = [line for line in lines if line.startswith(f"roofsim {name} ")]
        assert own, name
        draws = option(name, "draw")
        for choice in [] if draws is None else draws.type.choices[1:]:
            assert choice in modules() or any(f"--draw {choice}" in line for line in lines), (name, choice)
