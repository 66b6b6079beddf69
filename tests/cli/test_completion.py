"""Names complete in the shell."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from roofsim import library
from roofsim.cli import ASKED, group, modules, summary
from roofsim.cli._shells import SHELLS, Shell, script
from roofsim.foundation.parameters import PARAMETERS
from roofsim.specs.workload import CACHE_BYTES, DTYPE_BYTES, WEIGHT_FORMATS


def offered(line: str) -> dict[str, str | None]:
    """What the last word of a command line could become, and what is said of it."""
    *words, last = line.split(" ")
    return {each.value: each.help for each in Shell(group, {}, "roofsim", ASKED).get_completions(words, last)}


def completed(line: str) -> set[str]:
    """The same without the meanings."""
    return set(offered(line))


def test_commands_complete():
    assert completed("") == set(modules())
    assert offered("pre") == {"predict": summary("predict")}


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
        ("show ", "hardware/clusters"),
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


@pytest.mark.parametrize("option", ["-d ", "-d=", "--device ", "--device="])
def test_an_option_may_be_joined_to_its_value(option):
    kept = option if option.endswith("=") else ""
    assert completed(f"predict mamba2-780m {option}rtx-309") == {f"{kept}rtx-3090"}


@pytest.mark.parametrize("command", ["predict", "compare", "sweep"])
def test_the_last_of_several_completes_and_none_comes_twice(command):
    assert completed(f"{command} mamba2-780m -r cuda-graph,idea") == {"cuda-graph,ideal"}
    assert completed(f"{command} mamba2-780m -d rtx-3090,orin@1") == {"rtx-3090,orin@15w"}
    assert completed(f"{command} mamba2-780m -r ideal,idea") == set()


def test_formats_complete_in_lists():
    assert completed("compare mamba2-780m --weights q4_k_m,q4_k") == {"q4_k_m,q4_k_s"}


def test_nothing_that_can_be_typed_stops_completion():
    commands = [group.get_command(click.Context(group), name) for name in modules()]
    kinds = {repr((type(p.type), vars(p.type))): (command, p) for command in commands for p in command.params}
    for command, param in kinds.values():
        for typed in ("", "a=", "a.b=c", "x,:@="):
            param.shell_complete(click.Context(command), typed)


def test_figures_complete_where_they_are_asked_for():
    assert completed("sweep x --figures ttft,tpo") == {"ttft,tpot"}
    assert completed("sensitivity x -m memory_p") == {"memory_peak"}
    assert completed("compare x --sort max_p") == {"max_prompt"}
    assert completed("advise x --rank head") == {"headroom"}
    assert completed("pareto x --objectives tpot:min,ttft:") == {"tpot:min,ttft:min", "tpot:min,ttft:max"}
    assert completed("pareto x --objectives nope:") == set()


def test_models_in_the_cache_of_hugging_face_complete(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "none"))
    assert completed("predict maker/") == {"maker/"}  # perhaps a file
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    (tmp_path / "models--maker--some-model").mkdir()
    (tmp_path / "datasets--maker--runs").mkdir()
    assert completed("predict maker/so") == {"maker/some-model"}
    assert completed("compare x maker") == {"maker/some-model"}
    assert completed("predict x -d maker/so") == {"maker/so"}


def test_a_calibration_may_be_chosen_by_a_word():
    assert {"auto", "none", "rtx-4090@ssm-scope"} <= completed("predict mamba2-780m --calibration ")


def test_parameters_of_a_family_complete_after_a_colon():
    assert {"dense:width=", "dense:depth="} <= completed("predict dense:")
    assert completed("predict dense:depth=12:wid") == {"dense:depth=12:width="}
    assert completed("predict dense:width=12:wid") <= {"dense:width=12:wid"}
    assert completed("predict nope:") <= {"nope:"}


SET = "predict Falcon-H1-0.5B -d orin --set "


def test_paths_of_changes_complete_step_by_step():
    assert completed(SET) == {"device.", "cluster.", "cost.", "model.", "runtime.", "host.", "parameters."}
    assert completed(f"{SET}device.mem") == {"device.memory."}
    assert completed(f"{SET}device.memory.c") == {"device.memory.capacity="}
    assert completed(f"{SET}host.di") == {"host.dispatch=", "host.disk="}
    assert completed(f"{SET}parameters.") == {f"parameters.{name}=" for name in PARAMETERS}


def test_paths_are_those_of_the_specs_on_the_line():
    assert "device.peak.matrix.fp8=" not in completed(f"{SET}device.peak.matrix.")
    assert "device.peak.matrix.fp8=" in completed("predict x -d rtx-4090,orin --set device.peak.matrix.")
    assert completed(f"{SET}runtime.host.mo") == {"runtime.host.mode="}
    assert offered("predict x -r ideal,cuda-graph --set runtime.host.mo") == {"runtime.host.mode=": "none"}
    assert completed(f"{SET}model.layers.") == {"model.layers.hybrid."}
    steps = {"mixer", "ffn", "parallel", "gated_mlp"}
    assert completed(f"{SET}model.layers.hybrid.") == {f"model.layers.hybrid.{each}." for each in steps}
    assert "model.layers.hybrid.mixer.ssm.d_state=" in completed(f"{SET}model.layers.hybrid.mixer.ssm.")


def test_paths_of_a_cluster_are_those_of_the_one_that_a_device_stands_in():
    line = "predict x -d h100-sxm --set cluster."
    assert {"cluster.nodes=", "cluster.links."} <= completed(line)
    assert offered(f"{line}links.between.b") == {"cluster.links.between.bandwidth=": "50.0 GB/s"}
    assert completed("predict x -d rtx-3060 --set cluster.") == set()


def test_without_specs_on_the_line_those_of_some_are_shown():
    assert "device.memory.bandwidth=" in completed("sweep --set device.memory.")
    assert "runtime.logits=" in completed("sweep --set runtime.")


def test_a_path_says_what_is_there_now():
    assert offered(f"{SET}device.memory.bandwidth") == {"device.memory.bandwidth=": "102 GB/s"}
    assert offered(f"{SET}device.memory.unified") == {"device.memory.unified=": "true"}
    assert offered(f"{SET}device.links.h") == {"device.links.host=": "not stated"}
    assert offered(f"{SET}parameters.gemm_f") == {"parameters.gemm_fill=": PARAMETERS["gemm_fill"].meaning}


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("device.memory.bandwidth", ["0.5x", "2x"]),
        ("parameters.gemm_fill", ["0.5x", "2x"]),
        ("model.layers.hybrid.mixer.ssm.d_state", ["0.5x", "2x"]),
        ("device.memory.unified", ["true", "false"]),
        ("runtime.attention.mask", ["never", "always", "declared_window", "steps"]),
        ("runtime.host.prefill", ["none", "eager", "graph"]),
        ("parameters.nope", []),
        ("device.nope", []),
        ("device.memory", []),
        ("nope.memory", []),
    ],
)
def test_words_and_factors_complete_after_the_path(path, values):
    assert list(offered(f"{SET}{path}=")) == [f"{path}={each}" for each in values]
    assert list(offered(f"{SET.strip()}={path}=")) == [f"--set={path}={each}" for each in values]


def test_several_values_of_a_path_complete():
    assert completed("sweep x --set device.memory.bandwidth=1x,2") == {"device.memory.bandwidth=1x,2x"}


@pytest.mark.parametrize("line", ["predict x -d nope --set device.", f"{SET}nope.", f"{SET}model.layers.nope."])
def test_paths_that_are_not_there_complete_to_nothing(line):
    assert completed(line) == set()


def every_place(spec):
    """The paths of all fields that completion leads to, from the first step on."""
    from roofsim.cli import _completion

    def below(node, path):
        for step, _ in _completion._steps(node):
            where = f"{path}.{step[:-1]}"
            inside = _completion._reached(node, [step[:-1]])[1]
            yield from below(inside, where) if step.endswith(".") else [where]

    return list(below(spec, "")) if spec else []


@pytest.mark.parametrize(("root", "part"), [("device", "device"), ("runtime", "runtime"), ("model", "architecture")])
def test_every_number_that_completes_can_be_set(root, part):
    from roofsim.prediction.setup import setup
    from roofsim.prediction.what_if import what_if

    s = setup("mamba2-780m", "rtx-4090", "vllm")
    spec = getattr(s, part)
    line = "predict mamba2-780m -d rtx-4090 -r vllm --set"
    numbers = [path for path in every_place(spec) if f"{root}{path}=2x" in offered(f"{line} {root}{path}=")]
    assert len(numbers) > 5
    for path in numbers:
        assert what_if(s, [f"{root}{path}=1x"]).changes


@pytest.mark.parametrize("words", ["predict x -d rtx-309", "pre"])
def test_the_shell_gets_its_answer_through_the_environment(words):
    environment = {ASKED: "bash_complete", "COMP_LINE": f"X=1 roofsim {words}"}
    result = CliRunner().invoke(group, env=environment, prog_name="roofsim")
    assert result.exit_code == 0
    answers = [line.split("\t") for line in result.stdout.splitlines()]
    assert answers == ([["plain", "rtx-3090"]] if "-d" in words else [["plain", "predict", summary("predict")]])


def test_a_word_that_is_begun_is_told_from_one_that_is_not():
    for line, expected in (("roofsim ", set(modules())), ("roofsim show", {"show"})):
        result = CliRunner().invoke(group, env={ASKED: "zsh_complete", "COMP_LINE": line}, prog_name="roofsim")
        assert {each.split("\t")[1] for each in result.stdout.splitlines()} == expected


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_gets_a_script(shell):
    result = CliRunner().invoke(group, env={ASKED: f"{shell}_source"}, prog_name="roofsim")
    assert result.exit_code == 0
    assert result.stdout.strip() == script(shell).strip()
    assert f"{ASKED}={shell}_complete" in result.stdout


def test_without_a_shell_it_is_told_what_to_type_for_each(data, roofsim, monkeypatch):
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    monkeypatch.setattr("sys.argv", ["/some where/bin/roofsim"])
    found = data("completion")["shells"]
    assert [each["shell"] for each in found] == list(SHELLS)
    assert found[0]["command"] == """echo 'eval "$('"'"'/some where/bin/roofsim'"'"' completion bash)"' >> ~/.bashrc"""
    shown = roofsim("completion")
    assert "this is fish" in shown
    assert {"    " + each["command"] for each in found} <= set(shown.splitlines())


def test_the_program_is_typed_as_it_was_started(monkeypatch, tmp_path):
    from roofsim.cli._shells import program

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [".venv/bin/roofsim"])
    assert program() == f"{tmp_path}/.venv/bin/roofsim"
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr("sys.argv", ["roofsim"])
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "roofsim").touch(0o755)
    assert program() == f"{tmp_path}/bin/roofsim"
    monkeypatch.setattr("sys.executable", "/usr/bin/python3")
    for called in (f"{tmp_path}/roofsim/__main__.py", "-c", ""):
        monkeypatch.setattr("sys.argv", [called])
        assert program() == "/usr/bin/python3 -m roofsim"


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_is_printed_or_written(roofsim, here, shell):
    assert roofsim(f"completion {shell}") == script(shell)
    roofsim(f"completion {shell} -o script -q")
    assert (here / "script").read_text() == script(shell)


def test_a_script_has_one_form(refused):
    assert "--format" in refused("completion bash -f json")
    assert "'bash', 'zsh', 'fish'" in refused("completion tcsh")
