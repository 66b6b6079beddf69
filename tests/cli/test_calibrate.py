"""Calibrating, validating and predicting with a calibration on the command line."""

from __future__ import annotations

import json
import shlex
import shutil

import pytest
from click.testing import CliRunner

from roofsim import library
from roofsim.cli import group
from roofsim.fitting.simulation import Stack, design, values_of

pytestmark = pytest.mark.xdist_group("calibrate")  # one process makes the one fit that most tests look at

FIT = "calibrate runs.csv -d h100-sxm -r transformers-5-eager -o fitted.yaml"


HEADER = "gpu,model,phase,batch_size,seq_len,context,metric,value,note"


@pytest.fixture(scope="module")
def lines():
    """Rows that the model made for an H100, with a product twice as slow as the device file says."""
    stack = Stack(library.device("h100-sxm"), library.runtime("transformers-5-eager"), library.host("h100-vm"))
    rows = list(design(("Qwen2.5-0.5B", "mamba2-780m"), (1024, 8192, 65536), (1,)))
    values = values_of(stack, rows, {"gemm_efficiency": 0.35})
    made = []
    for i, (row, value) in enumerate(zip(rows, values, strict=True)):
        size = f"{row.batch},{row.prompt},{row.context}"
        # a few per cent up and down, so that there is a scatter
        made.append(f"H100 SXM 80GB,{row.model},{row.phase},{size},{row.metric},{value * (1 + 0.02 * (i % 3 - 1))},")
    return made


@pytest.fixture(scope="module")
def fit(lines, tmp_path_factory):
    """What a fit to these rows says, and the folder of what it writes."""
    folder = tmp_path_factory.mktemp("fit")
    (folder / "runs.csv").write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        said = CliRunner().invoke(group, shlex.split(f"{FIT} --report report -f json"), prog_name="roofsim")
    assert said.exit_code == 0, said.output
    return folder, said


@pytest.fixture
def runs(here, lines):
    """The rows in a file."""
    path = here / "runs.csv"
    path.write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def few(here, lines):
    """Those of three configurations alone: enough for a fit, and a quick one."""
    path = here / "runs.csv"
    kept = [line for line in lines if ",latency_s," in line and ",Qwen2.5-0.5B,prefill," in line]
    path.write_text("\n".join([HEADER, *kept]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def fitted(runs, fit):
    return shutil.copy(fit[0] / "fitted.yaml", runs.with_name("fitted.yaml"))


def test_calibrate_writes_a_calibration_and_a_report(fit, lines):
    folder, said = fit
    assert "wrote fitted.yaml" in said.stderr
    found = library.calibration(str(folder / "fitted.yaml"))
    # twelve configurations do not quite overcome a prior of twice the value
    assert found.parameters["gemm_efficiency"].value == pytest.approx(0.35, rel=0.1)
    assert (found.device, found.runtime, found.host) == ("h100-sxm", "transformers-5-eager", "h100-vm")
    assert found.dataset.used == len(lines)
    assert {path.name for path in (folder / "report").iterdir()} == {
        "summary.md", "predicted.png", "residuals.png", "parameters.png",
    }  # fmt: skip
    assert "# NVIDIA H100" in (folder / "report" / "summary.md").read_text(encoding="utf-8")
    assert (folder / "runs.csv").read_text(encoding="utf-8") == "\n".join([HEADER, *lines]) + "\n"


def test_calibrate_says_nothing_on_stderr_when_asked_to_be_quiet(few, attempt):
    quiet = attempt(f"{FIT} -q")
    assert quiet.stderr == ""
    assert "vector_efficiency" in quiet.stdout
    assert "configurations held out" in quiet.stdout


def test_rows_of_other_software_are_fitted_if_that_is_asked_for(few, data, refused):
    head, *rows = few.read_text(encoding="utf-8").splitlines()
    few.write_text("\n".join([f"{head},framework", *(f"{row},vLLM 0.10" for row in rows)]), encoding="utf-8")
    assert "made with vLLM 0.10, not transformers-5-eager" in refused(FIT)
    found = data(f"{FIT} --any-framework --folds 2 -q")
    assert found["dataset"]["used"] == len(rows)


def test_the_summary_is_machine_readable(fit):
    found = json.loads(fit[1].stdout)
    assert found["schema"] == 1
    assert found["parameters"]["gemm_efficiency"]["determined"] is True
    assert found["held_out"]


def test_predictions_with_a_calibration_carry_its_name_and_intervals(fitted, data):
    line = "predict Qwen2.5-0.5B -d h100-sxm -r transformers-5-eager -p 4096"
    found = data(f"{line} --calibration fitted.yaml")
    assert found["calibration"] == "fitted"
    for name in ("ttft", "tpot"):
        low, high = found["intervals"][name]
        assert low < found["request"][name] < high
    assert found["intervals"]["max_prompt"][0] <= found["limits"]["max_prompt"] <= found["intervals"]["max_prompt"][1]
    assert found["basis"] == "calibrated"
    plain = data(f"{line} --calibration none")
    assert (plain["calibration"], plain["basis"]) == (None, "prior")
    assert plain["request"]["ttft"] < found["request"]["ttft"]
    for name in ("ttft", "tpot", "device_time", "energy"):
        (low, high), (lowest, highest) = found["intervals"][name], plain["intervals"][name]
        assert highest / lowest > high / low, "a prior says less than a fit"


def test_a_shipped_calibration_that_fits_is_used_and_named(data, roofsim):
    line = "predict Qwen2.5-0.5B -d orin -r llama.cpp"
    found = data(line)
    assert (found["calibration"], found["basis"]) == ("jetson-orin-nano-8gb@llama.cpp", "calibrated")
    assert any("calibration jetson-orin-nano-8gb@llama.cpp" in each for each in found["assumptions"])
    assert "95 % intervals by calibration jetson-orin-nano-8gb@llama.cpp" in roofsim(line)
    assert found == data(f"{line} --calibration jetson-orin-nano-8gb@llama.cpp") == data(f"{line} --calibration auto")
    assert data(f"{line} --calibration none")["calibration"] is None
    assert "95 % intervals by the priors of such devices" in roofsim(f"{line} --calibration none")


@pytest.mark.parametrize(
    ("stack", "near"),
    [
        ("-d h200-sxm -r transformers-5-eager", "h100-sxm@transformers-5 is of h100-sxm"),
        ("-d rtx-4090 -r transformers-5-eager", "h100-sxm@transformers-5 is of h100-sxm"),
        ("-d a100-sxm-80gb -r vllm", "a100-sxm-80gb@vllm-operators is of single operators"),
        ("-d rtx-5090 -r vllm", "h100-sxm@vllm is of h100-sxm"),
        ("-d rtx-4090 -r mamba-ssm", ""),
        ("-d raspberry-pi-5 -r transformers-4.52-eager --host desktop", ""),
    ],
)
def test_a_calibration_that_nearly_fits_is_mentioned_and_taken_on_demand(data, refused, stack, near):
    line = f"predict mamba2-780m {stack}"
    plain = data(line)
    assert plain["calibration"] is None
    assert any("--transfer" in each for each in plain["assumptions"]) == bool(near)
    assert not any("--transfer" in each for each in data(f"{line} --calibration none")["assumptions"])
    if near:
        assert any(near in each for each in plain["assumptions"])
        taken = data(f"{line} --transfer")
        assert taken["calibration"] == near.split()[0]
        assert taken["basis"] == "calibrated"
    else:
        assert "name one with --calibration" in refused(f"{line} --transfer")


def test_a_validation_is_of_the_priors_unless_a_calibration_is_asked_for(runs, data):
    line = "validate runs.csv -r transformers-5-eager"
    assert data(line)["calibration"] is None
    assert data(f"{line} --calibration auto")["calibration"] == "h100-sxm@transformers-5"


def test_every_command_that_predicts_takes_a_calibration(fitted, data, roofsim):
    stack = "-d h100-sxm -r transformers-5-eager --calibration fitted.yaml"
    crossing = data(f"crossover Qwen2.5-0.5B mamba2-780m {stack}")
    assert crossing["calibration"] == "fitted"
    for each in crossing["pairs"][0]["crossings"]:
        assert each["interval"][0] <= each["length"] <= each["interval"][1]
    limits = data(f"limits Qwen2.5-0.5B {stack}")
    assert limits["calibration"] == "fitted"
    assert limits["intervals"]["max_prompt"][0] <= limits["limits"]["max_prompt"]
    for command in ("explain", "roofline"):
        assert "calibration fitted" in roofsim(f"{command} Qwen2.5-0.5B {stack}").replace("\n", " ")
    assert "95 % intervals by calibration fitted" in roofsim(f"predict Qwen2.5-0.5B {stack}")


def test_validate_with_a_calibration_says_what_its_intervals_cover(fitted, data, roofsim):
    found = data("validate runs.csv -r transformers-5-eager --calibration fitted.yaml")
    assert found["calibration"] == "fitted"
    assert all(0 <= score["coverage"] <= 1 for score in found["scores"])
    assert all(row["interval"][0] < row["interval"][1] for row in found["rows"])
    assert "Worst rows" in roofsim("validate runs.csv -r transformers-5-eager")


def test_a_transfer_is_asked_for(fitted, refused, data):
    line = "predict Qwen2.5-0.5B -d h200-sxm -r transformers-5-eager --calibration fitted.yaml"
    assert "h100-sxm, not h200-sxm" in refused(line)
    found = data(f"{line} --transfer")
    assert found["intervals"]["ttft"][0] < found["request"]["ttft"] < found["intervals"]["ttft"][1]
    assert any("transferred from h100-sxm" in each for each in found["assumptions"])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("calibrate runs.csv -d rtx-4090 -r transformers-5-eager -o c.yaml", "measured on h100-sxm"),
        ("calibrate runs.csv -d h100-sxm -r transformers-5-eager -o c.yaml --where 'batch > 9'", "left out by --where"),
        ("calibrate runs.csv -d h100-sxm -r transformers-5-eager -o c.yaml --where 'batch +'", "cannot be read"),
        ("calibrate runs.csv -d h100-sxm -r transformers-5-eager -o c.yaml --where '1 > 2'", "left out by --where"),
        ("calibrate runs.csv -d h100-sxm -r nothing -o c.yaml", "no 'nothing'"),
        ("calibrate runs.csv -d h100-sxm -r transformers-5-eager -o c.txt", "should end in .yaml"),
        ("calibrate runs.csv -d h100-sxm -r transformers-5-eager", "--output"),
        ("calibrate absent.csv -d h100-sxm -r transformers-5-eager -o c.yaml", "absent.csv"),
        ("calibrate runs.csv -d h100-sxm -r transformers-5-eager -o c.yaml --report runs.csv", "runs.csv"),
        ("predict Qwen2.5-0.5B -d h100-sxm --calibration nothing", "no 'nothing'"),
        ("predict Qwen2.5-0.5B -d h100-sxm --calibration none --transfer", "wants none"),
        ("validate runs.csv --transfer", "wants none"),
        ("validate runs.csv --where 'x('", "cannot be read"),
        ("validate runs.csv -d toaster", "toaster"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_and_nothing_is_written(runs, refused, line, reason):
    assert reason in refused(line)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("nan", "not finite"),
        ("-1", "not a positive number"),
        ("1e9", "is the unit right"),
        ("", "not a number"),
    ],
)
def test_a_wrong_row_is_refused_by_its_line_and_left_out_on_demand(few, refused, roofsim, value, reason):
    lines = few.read_text().splitlines()
    lines.append(f"H100 SXM 80GB,Qwen2.5-0.5B,prefill,1,2048,0,latency_s,{value},")
    few.write_text("\n".join(lines) + "\n")
    message = refused(FIT)
    assert f"line {len(lines)}" in message
    assert reason in message
    roofsim(f"{FIT} --skip-bad-rows")


def test_one_row_is_too_few(runs, refused):
    runs.write_text("\n".join(runs.read_text().splitlines()[:2]) + "\n")
    assert "needs at least 3 configurations" in refused(FIT)


def test_figures_in_another_unit_are_noticed(runs, refused):
    text = runs.read_text().splitlines()
    moved = [",".join([*(cells := line.split(","))[:7], str(float(cells[7]) * 1000), ""]) for line in text[1:]
             if ",latency_s," in line]  # fmt: skip
    runs.write_text("\n".join([text[0], *moved]) + "\n")
    assert "is a unit or the device wrong" in refused(FIT)


def test_the_file_of_runs_is_never_the_output(runs, refused):
    runs.rename(runs.with_name("runs.yaml"))
    assert "never changed" in refused("calibrate runs.yaml -d h100-sxm -r transformers-5-eager -o runs.yaml")


def test_what_a_table_does_not_state_is_said_beside_it(here, roofsim, refused):
    head = "| model | size | params | backend | test | t/s |"
    rows = [f"| llama 8B Q4_K - Medium | 4.58 GiB | 8.03 B | CUDA | {t} | {r} ± 1 |" for t, r in (
        ("pp512", 8000), ("pp2048", 8200), ("tg128", 140), ("tg128 @ d4096", 130)
    )]  # fmt: skip
    (here / "bench.log").write_text("\n".join([head, *rows]), encoding="utf-8")
    line = "calibrate bench.log -d rtx-4090 -r llama.cpp -o mine.yaml"
    assert "say which with --model" in refused(line)
    assert "fitted to 4 of 4 rows" in roofsim(f"{line} -m Llama-3.1-8B")
