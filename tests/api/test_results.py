"""Results are the records of the command line, and show themselves."""

from __future__ import annotations

import copy
import csv
import io
import json
import pickle
import shlex
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import roofsim
from roofsim.api.shown import Shown
from roofsim.cli import group
from roofsim.specs.runtime import Runtime

MODEL, OTHER, DEVICE = "mamba-130m", "Qwen2.5-0.5B", "orin"


def said(line: str, form: str) -> str:
    result = CliRunner().invoke(group, [*shlex.split(line), "-f", form], prog_name="roofsim")
    assert result.exit_code == 0, result.output
    return result.stdout


ASKED: dict[str, tuple[Callable[[], Any], str]] = {
    "predict": (
        lambda: roofsim.predict(MODEL, DEVICE, prompt="2k", set="device.memory.bandwidth=2x", calibration="none"),
        f"predict {MODEL} -d {DEVICE} -p 2k --set device.memory.bandwidth=2x --calibration none",
    ),
    "limits": (
        lambda: roofsim.limits(OTHER, DEVICE, lengths=[1024, 2048], weights="int4-g128"),
        f"limits {OTHER} -d {DEVICE} --lengths 1k,2k --weights int4-g128",
    ),
    "explain": (
        lambda: roofsim.explain(MODEL, DEVICE, metric="tpot", batch=4),
        f"explain {MODEL} -d {DEVICE} -m tpot -b 4",
    ),
    "crossover": (
        lambda: roofsim.crossover(MODEL, OTHER, device=DEVICE, longest="4k", metric="memory"),
        f"crossover {MODEL} {OTHER} -d {DEVICE} --longest 4k -m memory",
    ),
    "sensitivity": (
        lambda: roofsim.sensitivity(MODEL, DEVICE, figure="tpot", over=["host", "device"]),
        f"sensitivity {MODEL} -d {DEVICE} -m tpot --over host,device",
    ),
    "sampling": (
        lambda: roofsim.sampling(MODEL, DEVICE, "ideal", trials=[1, 8], budget="5s", prompt=512),
        f"sampling {MODEL} -d {DEVICE} -r ideal --trials 1,8 --budget 5s -p 512",
    ),
    "phases": (
        lambda: roofsim.phases(MODEL, "a100-sxm-80gb", prompt=[512], slo="itl=1s", generate=64),
        f"phases {MODEL} -d a100-sxm-80gb -p 512 --slo itl=1s -g 64",
    ),
    "reload": (
        lambda: roofsim.reload(MODEL, "rtx-4090", "ideal", tiers="host,2GB/s", batch=2),
        f"reload {MODEL} -d rtx-4090 -r ideal --from host,2GB/s -b 2",
    ),
    "speculate": (
        lambda: roofsim.speculate(MODEL, DEVICE, "ideal", draft="ngram", accept=[0.8, 0.5], batch=2, prompt=512),
        f"speculate {MODEL} -d {DEVICE} -r ideal --draft ngram --accept 0.8,0.5 -b 2 -p 512",
    ),
    "serve": (
        lambda: roofsim.serve(MODEL, "h100-sxm", concurrency=[4], prompt=512, calibration="none"),
        f"serve {MODEL} -d h100-sxm -c 4 -p 512 --calibration none",
    ),
    "serve_front": (
        lambda: roofsim.serve_front(
            OTHER, "h100-sxm", concurrency=[1, 8], weights=["bf16", "fp8"], tp=[1, 3], draft="ngram", accept=0.8,
            draft_tokens=2, prefix=256, hit_rate=0.5,
        ),
        f"serve {OTHER} -d h100-sxm --front -c 1,8 --weights bf16,fp8 --tp 1,3 --draft ngram --accept 0.8 -k 2"
        " --prefix 256 --hit-rate 0.5",
    ),
    "simulate": (
        lambda: roofsim.simulate(MODEL, DEVICE, "ideal", rate=2, cv=2, spread=0.5, requests=20, prompt=64, generate=4),
        f"simulate {MODEL} -d {DEVICE} -r ideal --rate 2 --cv 2 --spread 0.5 -n 20 -p 64 -g 4",
    ),
    "show": (lambda: roofsim.show("orin"), "show orin"),
    "show a model": (lambda: roofsim.show("dense:width=1024", dtype="fp16"), "show dense:width=1024 --dtype fp16"),
    "compare": (
        lambda: roofsim.compare(MODEL, OTHER, device=[DEVICE, "rtx-4090"], prompt=[1024, 4096], sort="tpot", fits=True),
        f"compare {MODEL} {OTHER} -d {DEVICE},rtx-4090 -p 1k,4k --sort tpot --fits",
    ),
    "sweep": (
        lambda: roofsim.sweep(MODEL, device=DEVICE, batch=range(1, 4), set={"device.memory.bandwidth": ["1x", "2x"]}),
        f"sweep {MODEL} -d {DEVICE} -b 1,2,3 --set device.memory.bandwidth=1x,2x",
    ),
    "pareto": (
        lambda: roofsim.pareto(MODEL, OTHER, device=DEVICE, batch=[1, 2], objectives=["ttft", "tokens_per_second:max"]),
        f"pareto {MODEL} {OTHER} -d {DEVICE} -b 1,2 --objectives ttft,tokens_per_second:max",
    ),
    "advise": (
        lambda: roofsim.advise(MODEL, device=DEVICE, runtime=["ideal", "llama.cpp"], tpot="50ms", max_memory=2**32),
        f"advise {MODEL} -d {DEVICE} -r ideal,llama.cpp --tpot 50ms --max-memory 4GiB",
    ),
    "search": (
        lambda: roofsim.search("dense", DEVICE, over={"depth": range(8, 17, 8)}, train_tokens="20B"),
        f"search dense -d {DEVICE} --over depth=8,16 --train-tokens 20B",
    ),
}  # fmt: skip
"""Questions in both tongues."""


@pytest.fixture(params=ASKED)
def both(request: pytest.FixtureRequest) -> tuple[Any, str]:
    """A result, and the command line for it."""
    ask, line = ASKED[request.param]
    return ask(), line


def test_a_result_is_what_the_command_line_says(both: tuple[Any, str]) -> None:
    found, line = both
    assert found.to_dict() == json.loads(said(line, "json"))
    pandas = pytest.importorskip("pandas")
    frame = found.to_pandas()
    head, *rows = csv.reader(io.StringIO(said(line, "csv")))
    assert list(frame.columns) == [name.partition(" [")[0] for name in head]
    assert len(frame) == len(rows)
    units = {name: name.partition(" [")[2].rstrip("]") for name in head}
    assert all(frame.attrs["units"].get(name.partition(" [")[0]) == unit for name, unit in units.items() if unit)
    assert isinstance(frame, pandas.DataFrame)


def test_a_result_is_a_line_and_tables(both: tuple[Any, str]) -> None:
    found, _ = both
    assert isinstance(found, Shown)
    line = repr(found)
    assert line.startswith(f"{type(found).__name__}(")
    assert line.count("\n") == 0 < len(line) < 300
    html = found._repr_html_()
    assert html.count("<table>") == html.count("</table>") >= 1
    assert html.count("<td") == html.count("</td>") > 0


def test_what_stands_in_a_cell_is_text_and_no_markup() -> None:
    from roofsim.reports.html import as_html
    from roofsim.reports.table import Column, Table

    made = as_html([Table("a<b", [Column("n", "B"), Column("<i>")], [[2048, "<script>&"]], ["x\ny"])])
    assert made == (
        "<p><b>a&lt;b</b></p>\n"
        '<table><thead><tr><th style="text-align: right">n</th><th style="text-align: left">&lt;i&gt;</th></tr></thead>'
        '<tbody>\n<tr><td style="text-align: right">2.00 KiB</td><td style="text-align: left">&lt;script&gt;&amp;</td>'
        "</tr>\n</tbody></table>\n<p><small>x<br>y</small></p>"
    )


def test_arrays_are_the_requests_one_by_one() -> None:
    pandas = pytest.importorskip("pandas")
    grid = roofsim.predict(OTHER, DEVICE, prompt=[1024, 4096], batch=[[1], [3]], generate=[[16], [200]])
    assert np.shape(grid.request.tpot) == (2, 2)
    frame = grid.to_pandas()
    assert len(frame) == 4
    for _, row in frame.iloc[[0, 3]].iterrows():
        counts = {name: int(row[name]) for name in ("prompt", "batch", "generate")}
        one = roofsim.predict(OTHER, DEVICE, **counts)
        expected = one.to_pandas().iloc[0]
        for name in frame.columns:
            value = expected[name]
            assert row[name] == (value if isinstance(value, str) else pytest.approx(value, rel=1e-9)), name
    assert isinstance(frame, pandas.DataFrame)
    assert "4 requests" not in repr(grid)
    assert "2 x 2 requests" in repr(grid)
    assert grid._repr_html_().count("<tr>") == 5
    assert len(grid.to_dict()["request"]["ttft"]) == 2
    for kind in ("roofline", "memory"):
        with pytest.raises(roofsim.InputError, match="one request"):
            grid.plot(kind)
    with pytest.raises(roofsim.InputError, match="one request"):
        grid.remedies()


def test_a_prediction_can_be_kept_and_sent() -> None:
    for p in (roofsim.predict(OTHER, DEVICE, "vllm", prompt=20_000), roofsim.predict(MODEL, DEVICE, prompt=[1024])):
        assert pickle.loads(pickle.dumps(p)).to_dict() == p.to_dict()
        assert copy.deepcopy(p).with_(batch=2).to_dict() == p.with_(batch=2).to_dict()


def test_with_asks_the_same_with_other_words() -> None:
    p = roofsim.predict(MODEL, DEVICE, prompt=2048, calibration="none")
    twice = p.with_(device="memory.bandwidth=2x")
    assert twice.request == roofsim.predict(
        MODEL, DEVICE, prompt=2048, calibration="none", set="device.memory.bandwidth=2x"
    ).request  # fmt: skip
    assert twice.request.ttft < p.request.ttft
    more = twice.with_(parameters={"gemm_efficiency": 0.5}, batch=2)
    assert more.asked.set == ("device.memory.bandwidth=2x", "parameters.gemm_efficiency=0.5")
    assert (more.workload.batch, more.workload.prompt) == (2, 2048)
    other = p.with_(device="rtx-4090")
    assert other.request == roofsim.predict(MODEL, "rtx-4090", prompt=2048, calibration="none").request
    assert other.host == roofsim.device("rtx-4090").host
    assert p.with_().request == p.request


def test_with_keeps_what_else_was_asked() -> None:
    fits = roofsim.limits(MODEL, DEVICE, lengths=[1024]).with_(device="memory.capacity=2x")
    assert [each.prompt for each in fits.at] == [1024]
    assert roofsim.explain(MODEL, DEVICE, metric="tpot").with_(prompt=2048).metric == "tpot"
    moves = roofsim.sensitivity(MODEL, DEVICE, figure="tpot", over="host").with_(runtime="attention.mask=never")
    assert {row.group for row in moves.rows} == {"host"}


def test_specs_themselves_are_taken_wherever_names_are() -> None:
    model, device, stack = roofsim.architecture(MODEL), roofsim.device(DEVICE), roofsim.runtime("ideal")
    for ask in (
        lambda m, d, r: roofsim.compare(m, device=d, runtime=r),
        lambda m, d, r: roofsim.advise(m, device=[d], runtime=[r], tpot=1.0),
        lambda m, d, r: roofsim.sweep(m, device=d, runtime=r, figures="ttft"),
        lambda m, d, r: roofsim.crossover(m, OTHER, device=d, runtime=r, longest=64),
    ):
        assert ask(model, device, stack).to_dict() == ask(MODEL, DEVICE, "ideal").to_dict()
    assert len(roofsim.compare(MODEL, device=DEVICE, runtime=None)) == 1  # type: ignore[arg-type]


def test_both_names_of_weights_and_cache_mean_the_same() -> None:
    a = roofsim.predict(OTHER, DEVICE, "llama.cpp", weights="q4_k_m", cache="q8_0")
    b = roofsim.predict(OTHER, DEVICE, "llama.cpp", weight_format="q4_k_m", cache_dtype="q8_0")
    assert a.workload == b.workload
    assert b.with_(weights="q8_0").workload.weight_format == "q8_0"
    assert b.with_(cache=None).workload.cache_dtype is None


def test_specs_are_shown_by_their_names() -> None:
    assert repr(roofsim.device("orin@15w")) == "Device(jetson-orin-nano-8gb@15w)"
    assert repr(roofsim.architecture(OTHER)) == f"Architecture({OTHER})"
    assert repr(roofsim.runtime("ideal")) == "Runtime(ideal)"
    assert isinstance(roofsim.runtime("ideal"), Runtime)


def test_importing_and_predicting_load_nothing_heavy_and_no_backend_of_pyplot() -> None:
    script = (
        "import sys, roofsim; roofsim.predict('mamba-130m', 'orin');"
        "print([n for n in ('numpy', 'pydantic', 'yaml', 'matplotlib', 'sympy', 'scipy') if n in sys.modules]);"
        "roofsim.limits('mamba-130m', 'orin', lengths=[512]).plot(); print('matplotlib.pyplot' in sys.modules)"
    )
    roofsim.predict("mamba-130m", "orin")  # specs that nothing has read yet are read by what is heavy
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "False"]


def test_a_figure_shows_itself() -> None:
    figure: Any = roofsim.limits(MODEL, DEVICE, lengths=[512, 1024]).plot()
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_a_range_is_an_array() -> None:
    grid = roofsim.predict(MODEL, DEVICE, prompt=range(1024, 4096, 1024))
    assert np.shape(grid.request.ttft) == (3,)
