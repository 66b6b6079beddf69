"""Names complete in the shell."""

from __future__ import annotations

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from roofsim import library
from roofsim.cli import group, modules
from roofsim.specs.workload import CACHE_BYTES, DTYPE_BYTES, WEIGHT_FORMATS


def completed(line: str) -> set[str]:
    """What the last word of a command line could become."""
    *words, last = line.split(" ")
    shell = ShellComplete(group, {}, "roofsim", "_ROOFSIM_COMPLETE")
    return {each.value for each in shell.get_completions(words, last)}


def test_commands_complete():
    assert completed("") == set(modules())
    assert completed("pre") == {"predict"}


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("predict ", "models"),
        ("limits ", "models"),
        ("explain ", "models"),
        ("roofline ", "models"),
        ("crossover ", "models"),
        ("crossover mamba2-780m ", "models"),
        ("show ", "models"),
        ("show ", "hardware"),
        ("show ", "runtimes"),
        ("show ", "hardware/hosts"),
        ("predict mamba2-780m -d ", "hardware"),
        ("predict mamba2-780m --device ", "hardware"),
        ("crossover --device ", "hardware"),
        ("predict mamba2-780m -r ", "runtimes"),
        ("predict mamba2-780m --host ", "hardware/hosts"),
    ],
)
def test_every_name_and_alias_completes_where_it_can_stand(line, kind):
    assert {*library.names(kind), *library.aliases(kind)} <= completed(line)


def test_a_beginning_completes_whatever_its_case():
    assert completed("predict QWEN2.5-0.5b-") == {"qwen2.5-0.5b-instruct"}
    assert "Qwen2.5-0.5B" in completed("predict qwen")
    assert "mamba2-780m" not in completed("predict qwen")


def test_the_modes_of_a_device_complete_after_the_at_sign():
    modes = {"orin@7w", "orin@15w", "orin@25w", "orin@maxn"}
    assert completed("predict mamba2-780m -d orin@") == modes
    assert completed("predict mamba2-780m -d jetson-orin-nano-8gb@1") == {"jetson-orin-nano-8gb@15w"}


@pytest.mark.parametrize("line", ["predict mamba2-780m -d nope@", "predict nope", "predict -r ./absent/"])
def test_what_is_not_known_completes_to_nothing_new_and_without_an_error(line):
    assert completed(line) <= {line.rpartition(" ")[2]}


@pytest.mark.parametrize(
    ("option", "known"), [("--dtype", DTYPE_BYTES), ("--cache", CACHE_BYTES), ("--weights", WEIGHT_FORMATS)]
)
def test_dtypes_and_formats_complete(option, known):
    assert completed(f"predict mamba2-780m {option} ") == set(known)


@pytest.mark.parametrize("words", ["roofsim predict mamba2-780", "roofsim pre"])
def test_the_shell_gets_its_answer_through_the_environment(words):
    environment = {
        "_ROOFSIM_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" ")),
    }  # fmt: skip
    result = CliRunner().invoke(group, env=environment, prog_name="roofsim")
    expected = {"predict", "mamba2-780m"} & set(result.stdout.replace(",", "\n").split())
    assert result.exit_code == 0
    assert expected == ({"mamba2-780m"} if "predict" in words else {"predict"})


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_gets_a_script(shell):
    result = CliRunner().invoke(group, env={"_ROOFSIM_COMPLETE": f"{shell}_source"}, prog_name="roofsim")
    assert result.exit_code == 0
    assert "_ROOFSIM_COMPLETE" in result.stdout
