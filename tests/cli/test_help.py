"""Help: every command says what it does, and shows it with an example that runs."""

from __future__ import annotations

import csv
import io
import json
import re

import click
import pytest

from roofsim.cli import group, modules, summary
from roofsim.reports.formats import FORMATS

SUMMARIES = {name: summary(module) for name, module in modules().items()}
COMMANDS = sorted(SUMMARIES)
SHOWING = [name for name in COMMANDS if name not in ("explore", "import", "new", "report")]
"""Commands that show a result, in any form; the others write a file of their own."""
DRAWN = re.compile(r" --(plot|draw|theme) \S+")
CONTEXT = click.Context(group, info_name="roofsim")


def command(name):
    return group.get_command(CONTEXT, name)


def test_the_help_lists_every_command_with_its_summary(roofsim):
    text = " ".join(roofsim("--help").split())
    for name, said in SUMMARIES.items():
        assert f"{name} {said}" in text


def test_a_long_and_a_short_flag_give_the_same_help(roofsim):
    assert roofsim("-h") == roofsim("--help")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_summary_is_one_sentence(name):
    assert re.fullmatch(r"[A-Z][^.]*[^. ]\.", SUMMARIES[name])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_is_for(name):
    silent = [p.name for p in command(name).params if isinstance(p, click.Option) and not (p.help or "").strip()]
    assert silent == []


@pytest.mark.parametrize("name", SHOWING)
def test_every_command_has_the_options_that_all_share(name):
    flags = {flag for p in command(name).params for flag in p.opts}
    assert {"--format", "-f", "--output", "-o", "--quiet", "-q"} <= flags


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_at_most_80_wide_but_for_the_example_which_is_for_copying(roofsim, name):
    lines = roofsim(f"{name} --help").splitlines()
    assert max(len(line) for line in lines if not line.startswith("  Example: ")) <= 80


def test_the_example_of_the_program_runs(roofsim, examples):
    for line in examples():
        assert roofsim(line)


@pytest.mark.parametrize("name", SHOWING)
@pytest.mark.parametrize("form", sorted(set(FORMATS) - {"table"}))
def test_the_examples_of_a_command_run_in_every_format(roofsim, examples, name, form):
    """As tables, and with their figures, which are the same in every form, they run in test_tables.py."""
    for line in examples(name):
        if form == "csv" and " -o " not in line:
            continue  # read in test_csv.py
        text = roofsim(DRAWN.sub("", line), "--format", form)
        assert text.strip()
        {"json": is_json, "csv": is_csv, "markdown": is_markdown}.get(form, bool)(text)


def is_json(text):
    data = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert next(iter(data)) == "schema"
    assert data["schema"] == 1


def is_csv(text):
    head, *rows = csv.reader(io.StringIO(text))
    assert rows
    assert len(set(head)) == len(head), f"a name heads two columns: {head}"
    assert {len(row) for row in rows} == {len(head)}


def is_markdown(text):
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert blocks
    for head, rule, *rows in blocks:
        assert re.fullmatch(r"\|(-+:?\|)+", rule)
        assert {len(re.findall(r"(?<!\\)\|", line)) for line in (head, rule, *rows)} == {rule.count("|")}


def test_the_version_is_the_packages(roofsim):
    from roofsim.foundation.version import __version__

    assert __version__ in roofsim("--version")
