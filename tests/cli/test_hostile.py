"""Every way of holding the program wrong that was found: exit code 2, one message that says what is wrong, and no hang.

A case is a line of CASES: the words of a command, and what its message must say. Files that a line names are those of
FILES; `{9*400}` is as in Python.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from alarm import no_longer

from roofsim import library

SECONDS = 30
"""A command that takes longer hangs: the slowest of these takes a second on an idle machine."""

GIBIBYTES = 3
"""Address space that a process is given: one that reads without end fails in it."""

HEAD = "device,model,phase,op,batch,prompt_len,context_len,metric,value,note\n"
ROW = "RTX 4090,Qwen2.5-0.5B,prefill,e2e,1,1024,0,latency_s,0.0143,\n"
ATTENTION = "op:aten::scaled_dot_product_attention"
GEMM = "RTX 4090,Qwen2.5-0.5B,prefill,gemm,1,1024,0,latency_s,0.0143,{}\n"
BENCH = {
    "build_number": 1, "backends": "CUDA", "gpu_info": "NVIDIA GeForce RTX 4090", "cpu_info": "x",
    "model_filename": "Meta-Llama-3-8B-Q4_K_M.gguf", "model_type": "llama 8B Q4_K - Medium",
    "model_size": 4912898304, "n_prompt": 512, "n_gen": 0, "n_depth": 0, "avg_ns": 1e8,
}  # fmt: skip
SERVED = {
    "backend": "vllm", "model_id": "Qwen/Qwen2.5-0.5B", "completed": 10, "total_input_tokens": 10240,
    "total_output_tokens": 1280, "median_ttft_ms": 12.0, "median_tpot_ms": 5.0, "max_concurrency": 1,
}  # fmt: skip
OPTIMUM = {
    "config": {"backend": {"model": "Qwen/Qwen2.5-0.5B"},
               "scenario": {"input_shapes": {"batch_size": 1, "sequence_length": 1024}}},
    "report": {"prefill": {"latency": {"unit": "s", "mean": 0.0143}}},
}  # fmt: skip
MODEL = library.names("models")["Qwen2.5-0.5B"].read_text(encoding="utf-8")
DEVICE = library.names("hardware")["rtx-4090"].read_text(encoding="utf-8")


def bench(**fields: object) -> str:
    return json.dumps([{**BENCH, **fields}])


def served(**fields: object) -> str:
    return json.dumps({**SERVED, **fields})


def optimum(**latency: object) -> str:
    return json.dumps({**OPTIMUM, "report": {"prefill": {"latency": latency}}})


FILES: Mapping[str, str] = {
    # YAML
    "bool.yaml": f"{MODEL}\nlm_head_bias: !!bool maybe\n",
    "int.yaml": f"{MODEL}\npositions: !!int x\n",
    "date.yaml": f"{MODEL}\npositions: !!timestamp x\n",
    "set.yaml": f"{MODEL}\npositions: !!set {{a, b}}\n",
    "python.yaml": f"{MODEL}\npositions: !!python/object/apply:os.system ['true']\n",
    "laughs.yaml": "a: &a [x, x]\nb: &b [*a, *a]\n",
    "deep.yaml": f"a: {'[' * 100_000}{']' * 100_000}",
    "400.yaml": re.sub("vocab: .*", f"vocab: {'9' * 400}", MODEL),
    "5000.yaml": re.sub("vocab: .*", f"vocab: {'9' * 5000}", MODEL),
    "gpu400.yaml": re.sub("capacity: .*", f"capacity: {{value: {'9' * 400} GB, source: datasheet}}", DEVICE),
    "study400.yaml": f"axes:\n  model: [Qwen2.5-0.5B]\n  device: [rtx-4090]\n  prompt: {'9' * 400}\n",
    "nul.yaml": "a: \0",
    # configs
    "400.json": f'{{"model_type": "llama", "hidden_size": {"9" * 400}}}',
    "5000.json": f'{{"model_type": "llama", "hidden_size": {"9" * 5000}}}',
    "deep.json": "[" * 100_000 + "]" * 100_000,
    "layers.json": '{"model_type": "llama", "num_hidden_layers": 1000000000}',
    "twice.json": '{"model_type": "llama", "model_type": "llama"}',
    "half.json": '{"model_type": "\\ud800"}',
    # CSV
    "runs.csv": HEAD + ROW,
    "size.csv": HEAD + ROW.replace(",\n", ",model_bytes=1.2.3GB\n"),
    "context.csv": HEAD + ROW.replace("1024,0", "1024,1e30"),
    "prompt.csv": HEAD + ROW.replace("1024", "9" * 400),
    "prompt5000.csv": HEAD + ROW.replace("1024", "9" * 5000),
    "negative.csv": HEAD + ROW.replace("1024", "-1024"),
    "batch.csv": HEAD + ROW.replace("e2e,1,", f"e2e,{'9' * 400},"),
    "value.csv": HEAD + ROW.replace("0.0143", "9" * 400),
    "inf.csv": HEAD + ROW.replace("0.0143", "inf"),
    "empty.csv": HEAD + GEMM.format("m=;n=2"),
    "word.csv": HEAD + GEMM.format("m=x;n=2;k=3"),
    "below.csv": HEAD + GEMM.format("m=-1;n=2;k=3"),
    "nought.csv": HEAD + GEMM.format("m=0;n=2;k=3"),
    "note400.csv": HEAD + GEMM.format(f"m={'9' * 400};n=2;k=3"),
    "sequences.csv": HEAD + ROW.replace(",\n", ",max_num_seqs=x\n"),
    "long.csv": "x" * 200_000,
    "none.csv": "",
    "accuracy400.csv": f"tokens,accuracy\n{'9' * 400},0.5\n",
    "accuracynan.csv": "tokens,accuracy\n1024,nan\n",
    "points400.csv": f"model,device,prompt\nQwen2.5-0.5B,rtx-4090,{'9' * 400}\n",
    "absent.csv": HEAD + ROW.replace("Qwen2.5-0.5B", "mamba2-780m").replace("e2e", ATTENTION),
    # outputs of tools
    "bench0.json": bench(avg_ns=0),
    "benchinf.json": bench(avg_ns=float("inf")),
    "benchnan.json": bench(avg_ns=float("nan")),
    "benchhuge.json": bench(avg_ns=1e300),
    "bench400.json": bench(avg_ns=int("9" * 400)),
    "bench5000.json": bench().replace("512", "9" * 5000),
    "benchnull.json": bench(avg_ns=None),
    "benchlist.json": bench(avg_ns=[1]),
    "benchminus.json": bench(n_prompt=-512),
    "benchlong.json": bench(n_prompt=10**30),
    "benchsize.json": bench(model_size=0),
    "served0.json": served(completed=0),
    "servedinf.json": served(median_ttft_ms=float("inf")),
    "servedfew.json": served(total_input_tokens=-5),
    "servedmany.json": served(max_concurrency=float("inf")),
    "servednone.json": served(median_ttft_ms=0),
    "optimum0.json": json.dumps(OPTIMUM).replace("1024", "0"),
    "optimuminf.json": optimum(mean=float("inf")),
    "optimumempty.json": optimum(values=[]),
    "optimumunit.json": optimum(mean=1, unit="fortnight"),
    "engine.log": "LLM engine (v0.6)\nmodel='Qwen/Qwen2.5-0.5B'\nModel loading took 1.2.3 GiB\n",
}  # fmt: skip

PREDICT = "predict Qwen2.5-0.5B -d rtx-4090"
SWEEP = "sweep Qwen2.5-0.5B -d rtx-4090"
FIT = "-d rtx-4090 -r transformers-4.52-eager -o fitted.yaml"
SAMPLING = "sampling Qwen2.5-0.5B -d rtx-4090"
NO_FILE = "not a regular file"
LOOP = "cannot be read: Too many levels of symbolic links"
TOO_LONG = "cannot be read: File name too long"

CASES: list[tuple[str, str]] = [
    # links that lead in a circle, names that are too long
    ("predict loop.yaml -d rtx-4090", LOOP),
    ("predict Qwen2.5-0.5B -d loop.yaml", LOOP),
    ("predict loop.json -d rtx-4090", LOOP),
    ("predict loop.gguf -d rtx-4090", LOOP),
    ("validate loop.csv", LOOP),
    ("sweep --points loop.csv", LOOP),
    (f"{PREDICT} -o loop.csv", "loop.csv: cannot be written"),
    ("roofline Qwen2.5-0.5B -d rtx-4090 --plot loop.png", "loop.png: cannot be written"),
    ("predict Qwen2.5-0.5B -d orin --plot f.svg --draw heat", "--draw"),
    (
        "sweep Qwen2.5-0.5B -d orin -p 1k,2k --plot f.svg --draw heat",
        "two axes of numbers, and this study varies prompt",
    ),
    ("show ideal --plot f.svg", "--plot: models and devices are drawn"),
    ("show orin Qwen2.5-0.5B --plot f.svg", "--plot: models or devices are drawn together"),
    ("explain Qwen2.5-0.5B -d orin,rtx-4090 --plot f.svg", "--plot: is of one model on one device"),
    ("predict {'a'*300}.yaml -d rtx-4090", TOO_LONG),
    ("predict {'a'*300}.json -d rtx-4090", TOO_LONG),
    ("predict {'a'*300}.gguf -d rtx-4090", TOO_LONG),
    ("import {'a'*300}.json", TOO_LONG),
    ("validate {'a'*300}", TOO_LONG),
    ("sweep --points {'a'*300}", TOO_LONG),
    (f"{SAMPLING} --accuracy {{'a'*300}}", TOO_LONG),
    (f"{PREDICT} -o {{'a'*300}}", "cannot be written: File name too long"),
    ("predict {'a'*300} -d rtx-4090", "models: no 'aaa"),
    # YAML
    ("predict bool.yaml -d rtx-4090", "tags (tag:yaml.org,2002:bool) are not allowed"),
    ("predict int.yaml -d rtx-4090", "tags (tag:yaml.org,2002:int) are not allowed"),
    ("predict date.yaml -d rtx-4090", "are not allowed"),
    ("predict set.yaml -d rtx-4090", "are not allowed"),
    ("predict python.yaml -d rtx-4090", "are not allowed"),
    ("predict laughs.yaml -d rtx-4090", "line 1: anchors and aliases"),
    ("predict Qwen2.5-0.5B -d rtx-4090 --price=-3USD/h", "-3.00 USD/h is not plausible here"),
    ("predict Qwen2.5-0.5B -d rtx-4090 --price 1e400USD", "cannot be read; write it like 2.5USD/h or 1599USD"),
    ("predict Qwen2.5-0.5B -d rtx-4090 --set cost.lifetime=0x", "0 s is not plausible here"),
    ("predict Qwen2.5-0.5B -d rtx-4090 --set cluster.nodes=2", "one device is used; name a cluster"),
    ("predict Qwen2.5-0.5B -d rtx-4090 -r ideal --tp 2 --set cluster.per_node=0", "cluster.per_node"),
    ("predict Qwen2.5-0.5B -d rtx-4090 --tp 2 --cluster laughs.yaml", "line 1: anchors and aliases"),
    ("predict deep.yaml -d rtx-4090", "nesting"),
    ("predict nul.yaml -d rtx-4090", "not a text file"),
    ("predict 400.yaml -d rtx-4090", "vocab: input should be less than or equal to 1000000000"),
    ("predict 5000.yaml -d rtx-4090", "a number has too many digits"),
    ("predict Qwen2.5-0.5B -d gpu400.yaml", "is not finite"),
    ("sweep --study study400.yaml", "prompt: "),
    # configs
    ("predict 400.json -d rtx-4090", "hidden_size: input should be less than or equal to 1000000000"),
    ("predict 5000.json -d rtx-4090", "a number has too many digits"),
    ("import deep.json", "nested too deeply"),
    ("import layers.json", "num_hidden_layers: input should be less than or equal to 1000"),
    ("import twice.json", "'model_type' is written twice"),
    ("import half.json", "half of a surrogate pair"),
    # CSV
    ("validate size.csv", "line 2: note: model_bytes: '1.2.3GB' is not a quantity in B"),
    ("validate context.csv", "line 2: context_len: '1e30' is not a whole number from 0 to 10^12"),
    ("validate prompt.csv", "line 2: prompt_len: '999"),
    ("validate prompt5000.csv", "line 2: prompt_len: '999"),
    ("validate negative.csv", "line 2: prompt_len: '-1024' is not a whole number"),
    ("validate batch.csv", "line 2: batch: '999"),
    ("validate value.csv", "line 2: latency_s: '999"),
    ("validate inf.csv", "line 2: latency_s: 'inf' is not finite"),
    ("validate empty.csv", "line 2: note: m: '' is not a whole number"),
    ("validate word.csv", "line 2: note: m: 'x' is not a whole number"),
    ("validate below.csv", "line 2: note: m: '-1' is not a whole number"),
    ("validate nought.csv", "m: '0' is not a whole number from 1"),
    ("validate note400.csv", "line 2: note: m: '999"),
    ("validate sequences.csv", "line 2: note: max_num_seqs: 'x'"),
    ("validate long.csv", "not a CSV file: field larger"),
    ("validate none.csv", "is empty"),
    ("validate absent.csv", "no row can be predicted"),
    (f"calibrate size.csv {FIT}", "line 2: note: model_bytes"),
    (f"calibrate context.csv {FIT}", "line 2: context_len"),
    (f"{SAMPLING} --accuracy accuracy400.csv", "line 2: a count under `tokens`"),
    (f"{SAMPLING} --accuracy accuracynan.csv", "line 2: a count under `tokens`"),
    ("sweep --points points400.csv", "prompt: '999"),
    # outputs of tools
    ("validate bench0.json", "latency_s: 0 s is not plausible"),
    ("validate benchinf.json", "avg_ns: the number inf is not finite"),
    ("validate benchnan.json", "avg_ns: the number nan is not finite"),
    ("validate benchhuge.json", "latency_s: 1e+291 s is not plausible"),
    ("validate bench400.json", "avg_ns: a number of more than 30 digits is not finite"),
    ("validate bench5000.json", "a number has too many digits"),
    ("validate benchnull.json", "avg_ns: nothing is not a number"),
    ("validate benchlist.json", "avg_ns: a list of 1 is not a number"),
    ("validate benchminus.json", "n_prompt: '-512' is not a whole number from 0"),
    ("validate benchlong.json", "n_prompt: a number of more than 30 digits"),
    ("validate benchsize.json", "model_size: '0' is not a whole number from 1"),
    ("validate served0.json", "completed: '0' is not a whole number from 1"),
    ("validate servedinf.json", "median_ttft_ms: the number inf is not finite"),
    ("validate servedfew.json", "total_input_tokens: '-5' is not a whole number"),
    ("validate servedmany.json", "max_concurrency: the number inf is not a whole number"),
    ("validate servednone.json", "latency_s: 0 s is not plausible"),
    ("validate optimum0.json", "sequence_length: '0' is not a whole number from 1"),
    ("validate optimuminf.json", "mean: the number inf is not finite"),
    ("validate optimumempty.json", "states neither a mean nor values"),
    ("validate optimumunit.json", "unit: 'fortnight' is not known"),
    ("validate engine.log", "weights_bytes: '1.2.3' is not a number"),
    ("validate deep.json", "nested too deeply"),
    # 400 digits, and digits that are none
    (f"{PREDICT} -p {{'9'*400}}", "--prompt"),
    (f"{PREDICT} -b {{'9'*400}}", "--batch"),
    (f"{PREDICT} -g {{'9'*5000}}", "--generate"),
    (f"{PREDICT} --set model.embedding_width={{'9'*5000}}", "--set model.embedding_width: '999"),
    (f"{PREDICT} --set model.d_model={{'9'*400}}", "--set model.d_model: '999"),
    (f"{PREDICT} --set device.memory.bandwidth={{'9'*400}}x", "--set device.memory.bandwidth"),
    (f"{PREDICT} --set 'device.memory.bandwidth={{'9'*400}} GB/s'", "is not finite"),
    (f"{PREDICT} --set parameters.gemm_efficiency={{'9'*400}}", "--set parameters.gemm_efficiency"),
    (f"{PREDICT} --set model.embedding_width=1²", "model.embedding_width: '1²' is not a number"),
    (f"{PREDICT} --set model.d_model=1²", "'1²' is not like the '896' that is there"),
    (f"{PREDICT} --set model.layers.decoder.²=1", "no '²'"),
    (f"{PREDICT} -p 1²", "'1²' is not a whole number"),
    ("predict dense:width={'9'*400}:depth=16 -d rtx-4090", "width: '999"),
    ("models --min-size {'9'*400}", "--min-size"),
    (f"{SAMPLING} --budget {{'9'*400}}s", "--budget"),
    (f"{SWEEP} -p 1..{{'9'*400}}", "--prompt"),
    (f"{SWEEP} --set device.memory.bandwidth=1x..{{'9'*400}}x*2", "is not finite"),
    # long lists and ranges
    ("limits Qwen2.5-0.5B -d rtx-4090 --lengths 1..99999+1", "99,999 are more than are listed, 2,000 at most"),
    ("limits Qwen2.5-0.5B -d rtx-4090,orin --lengths 1..99999+1", "2,000 at most"),
    ("limits Qwen2.5-0.5B -d rtx-4090 --lengths 1..4k*{'9'*400}", "is not a growing range"),
    # conditions
    ("validate runs.csv --where '{'not '*2500}batch'", "is nested 2502 deep"),
    (f"{SWEEP} --where '{{'not '*2500}}fits'", "is nested 2502 deep"),
    (f"{SWEEP} --where '{{'('*2500}}fits'", "cannot be read"),
    (f"{SWEEP} --where '{{'9'*400}} < ttft'", "is not finite"),
    ("validate runs.csv --where 'batchs > 1'", "no 'batchs'; nearest: batch"),
    (f"calibrate runs.csv {FIT} --where 'prompts > 1'", "no 'prompts'; nearest: prompt"),
    (f"{SWEEP} --where 'A.A < 1'", "--where: no 'A.A'"),
    ("validate runs.csv --where 'sqrt(batch, 3) < 1'", "sqrt takes one value, not 2"),
    ("validate runs.csv --where '9**9**9**9 < batch'", "left out by --where"),
    ("validate runs.csv --where 'sqrt(-1) < batch'", "left out by --where"),
    # what is no text
    (f"calibrate runs.csv {FIT} --name {{chr(0xdcff)}}", "'\\udcff' is no text"),
    (f"{PREDICT} --set device.name={{chr(0xdcff)}}", "is no text"),
    # words that mean something elsewhere
    ("explain none Qwen2.5-0.5B -d rtx-4090", "models: no 'none'"),
    ("roofline auto Qwen2.5-0.5B -d rtx-4090", "models: no 'auto'"),
    # files that are to stay
    (f"{PREDICT} -o kept.txt", "'kept.txt' is read-only"),
    ("roofline Qwen2.5-0.5B -d rtx-4090 --plot kept.png", "'kept.png' is read-only"),
    ("roofline Qwen2.5-0.5B -d rtx-4090 --plot drawn.png -o kept.txt", "'kept.txt' is read-only"),
    (f"{SWEEP} -o kept.csv", "'kept.csv' is read-only"),
    (f"calibrate runs.csv {FIT.replace('fitted', 'kept')}", "'kept.yaml' is read-only"),
]


def written(words: str) -> str:
    """With `{9*400}` and its like as they are in Python."""
    return re.sub(r"\{(.+?)\}", lambda found: str(eval(found[1])), words)


@pytest.fixture
def there(here: Path) -> Callable[[str], None]:
    """Makes the files that a line names."""

    def make(line: str) -> None:
        for word in shlex.split(line):
            if word in FILES:
                (here / word).write_text(FILES[word], encoding="utf-8")
            elif word.startswith("loop."):
                (here / word).symlink_to(here / word)
            elif word.startswith("kept."):
                (here / word).write_text("before")
                (here / word).chmod(0o444)

    return make


MOST_LETTERS = 1_000
"""Of a message: a value takes a line of a screen, and names of what is known a few."""


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="this system has no alarms")
@pytest.mark.parametrize(("line", "said"), CASES, ids=[line[:60] for line, _ in CASES])
def test_it_is_refused_at_once_with_the_reason(refused, there, line, said):
    there(line)
    with no_longer(SECONDS):
        message = refused(written(line))
    assert said in message
    assert len(message) < MOST_LETTERS


def test_there_are_as_many_cases_as_were_promised():
    assert len(CASES) >= 60


# --- what needs a process of its own: input without an end, signals, two runs at once ---


def limited() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (GIBIBYTES * 2**30,) * 2)


def program(line: str, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "roofsim", *shlex.split(line)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


ENDLESS = [
    "validate {}",
    f"calibrate {{}} {FIT}",
    "predict {} -d rtx-4090",
    f"{SAMPLING} --accuracy {{}}",
    "sweep --points {}",
    "sweep --study {}",
]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/dev/zero and limits as Linux has them")
@pytest.mark.parametrize("source", ["/dev/zero", "./pipe"])
def test_what_has_no_end_or_no_writer_is_refused_unread(here, source):
    os.mkfifo(here / "pipe")
    running = [program(line.format(source), preexec_fn=limited) for line in ENDLESS]
    for each in running:
        out, err = each.communicate(timeout=SECONDS)
        assert (each.returncode, out) == (2, ""), err
        assert NO_FILE in err


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_process_substitution_is_refused_by_its_name(here):
    (here / "runs.csv").write_text(FILES["runs.csv"])
    command = f"{shlex.quote(sys.executable)} -m roofsim validate <(cat runs.csv)"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 2
    assert re.search(rf"/dev/fd/\d+: {NO_FILE}; save what it gives to a file", done.stderr)


def until_at_work(pid):
    """Waits until a process has others at work, which takes longer where somebody else needs the processors too."""
    workers = Path(f"/proc/{pid}/task/{pid}/children")
    end = time.monotonic() + (SECONDS if workers.exists() and (os.cpu_count() or 1) > 1 else 1)
    while time.monotonic() < end and not (workers.exists() and workers.read_text()):
        time.sleep(0.02)
    time.sleep(0.2)


def test_ctrl_c_exits_130_and_leaves_nothing(here):
    running = program("advise -d orin --ttft 1s -o out.txt")  # of all models: longer than any machine needs to start
    until_at_work(running.pid)  # what is interrupted while it is loaded is answered by Python itself
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=SECONDS)
    assert (running.returncode, out, err.strip()) == (130, "", "Error: interrupted")
    assert list(here.iterdir()) == []


def test_two_runs_that_draw_the_same_figure_both_succeed(here):
    running = [program("roofline Qwen2.5-0.5B -d rtx-4090 --plot same.svg") for _ in range(2)]
    assert [(each.communicate(timeout=SECONDS)[1], each.returncode) for each in running] == [("drew same.svg\n", 0)] * 2
    assert [path.name for path in here.iterdir()] == ["same.svg"]


# --- what looks wrong and is not ---


@pytest.mark.parametrize(
    "line",
    [
        "predict deep.yaml -d rtx-4090",
        "predict deep.yaml -d rtx-4090 -r llama.cpp --weights q4_k_m",
        "limits deep.yaml -d rtx-4090 -r vllm --weights int4-g128",
        "show deep.yaml",
    ],
)
def test_ten_million_layers_cost_no_more_than_one(roofsim, here, line):
    (here / "deep.yaml").write_text(re.sub("repeat: .*?,", "repeat: 10000000,", MODEL))
    with no_longer(SECONDS):
        assert "10,000,000" in roofsim(line) or line.startswith(("predict", "limits"))


@pytest.mark.parametrize(
    "line",
    [f"{PREDICT} -o", f"{SWEEP} -o", "roofline Qwen2.5-0.5B -d rtx-4090 --plot"],
    ids=["text", "study", "figure"],
)
def test_a_name_of_249_letters_can_be_written(roofsim, here, line):
    name = "a" * 245 + (".csv" if line.startswith("sweep") else ".svg")
    roofsim(line, name)
    assert [path.name for path in here.iterdir()] == [name]
