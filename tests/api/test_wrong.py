"""Every wrong value ends in an InputError that names what was given, and in nothing else."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import roofsim
from roofsim import InputError

NAN = float("nan")
RIGHT: Mapping[str, Mapping[str, Any]] = {
    "predict": {"model": "mamba-130m", "device": "orin", "runtime": "ideal"},
    "limits": {"model": "mamba-130m", "device": "orin", "runtime": "ideal", "lengths": [1024]},
    "explain": {"model": "mamba-130m", "device": "orin", "runtime": "ideal"},
    "compile": {"model": "mamba-130m", "device": "orin", "runtime": "ideal", "figures": "memory"},
    "sensitivity": {"model": "mamba-130m", "device": "orin", "runtime": "ideal", "over": "device.memory"},
    "report": {"model": "mamba-130m", "device": "orin", "runtime": "ideal"},
    "explore": {"models": ("mamba-130m",), "device": "orin", "runtime": "ideal"},
    "sampling": {"model": "mamba-130m", "device": "orin", "runtime": "ideal", "trials": [1], "tokens": 16},
    "reload": {"model": "mamba-130m", "device": "rtx-4090", "runtime": "ideal", "tiers": "disk"},
    "speculate": {"model": "mamba-130m", "device": "orin", "runtime": "ideal", "draft": "ngram", "accept": 0.5},
    "phases": {"model": "mamba-130m", "device": "a100-sxm-80gb", "prompt": [512], "slo": "itl=1s"},
    "serve": {"model": "mamba-130m", "device": "h100-sxm", "concurrency": 2},
    "serve_front": {"model": "mamba-130m", "device": "h100-sxm", "concurrency": 2},
    "simulate": {
        "model": "mamba-130m",
        "device": "orin",
        "runtime": "ideal",
        "rate": 1.0,
        "requests": 3,
        "generate": 2,
    },
    "step_time": {"model": "mamba-130m", "device": "orin", "runtime": "ideal"},
    "crossover": {"models": ("mamba-130m", "mamba-370m"), "device": "orin", "runtime": "ideal", "longest": 64},
    "compare": {"models": ("mamba-130m",), "device": "orin", "runtime": "ideal"},
    "sweep": {"models": ("mamba-130m",), "device": "orin", "runtime": "ideal", "figures": "memory_peak"},
    "pareto": {"models": ("mamba-130m",), "device": "orin", "runtime": "ideal", "objectives": "memory_peak"},
    "advise": {"models": ("mamba-130m",), "device": "orin", "runtime": "ideal", "tpot": 1.0},
    "search": {"family": "dense", "device": "orin", "runtime": "ideal", "over": {"depth": [8]}},
    "calibrate": {"runs": ("no.csv",), "device": "orin", "runtime": "ideal"},
    "validate": {"runs": "no.csv"},
    "validate_trace": {"trace": "no.json", "model": "mamba-130m", "device": "orin", "runtime": "ideal"},
    "device": {"name": "orin"},
    "architecture": {"name": "mamba-130m"},
    "runtime": {"name": "ideal"},
    "host": {"name": "desktop"},
    "cluster": {"name": "dgx-h100"},
    "calibration": {"name": "rtx-4090@ssm-scope"},
    "show": {"name": "orin"},
    "download": {"name": "no name on the Hub"},
    "devices": {},
    "models": {},
    "families": {},
    "runtimes": {},
    "hosts": {},
    "clusters": {},
    "calibrations": {},
}
"""Arguments with which each function can be asked, as cheap as they come."""

WRONG = (
    object(), NAN, -1, 0.5, True, b"orin", (), [], {}, {"a"}, {"a": 1}, [["a", "b"]], "", " ", "no such thing",
    "a=b", "..", "\0", Path("nowhere"), Path("nowhere.yaml"), np.array([NAN]), np.array(["a"]), [None],
    ["orin", "a100"], 1e400, 10**30, 1j, lambda: 1, int,
)  # fmt: skip


LONGEST = 800
"""Letters of the first line of a message: a list of all weight formats is the longest."""


def ask(name: str, given: Mapping[str, Any]) -> object:
    function: Callable[..., object] = getattr(roofsim, name)
    words = dict(given)
    spread = [
        each.name
        for each in inspect.signature(function).parameters.values()
        if each.kind is inspect.Parameter.VAR_POSITIONAL
    ]
    several = words.pop(spread[0], ()) if spread else ()
    return function(*several, **words)


ARGUMENTS = [(name, word) for name in RIGHT for word in inspect.signature(getattr(roofsim, name)).parameters]


def test_every_function_is_asked() -> None:
    assert set(RIGHT) == {name for name in roofsim.__all__ if inspect.isfunction(getattr(roofsim, name))}


@pytest.mark.parametrize(("name", "word"), ARGUMENTS)
def test_a_wrong_value_is_an_input_error_or_none_at_all(name: str, word: str) -> None:
    for value in WRONG:
        given = (value,) if isinstance(RIGHT[name].get(word), tuple) else value
        try:
            ask(name, {**RIGHT[name], word: given})
        except InputError as error:
            said = str(error)
        else:
            said = "taken"
        assert 0 < len(said.partition("\n")[0]) < LONGEST


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("predict", {"device": ["orin", "rtx-4090"]}, "device: .* roofsim.compare and roofsim.sweep take several"),
        ("predict", {"device": 3}, "device: 3 is no device; give a name, a path or a Device"),
        ("predict", {"model": Path("Qwen2.5-0.5B")}, "Qwen2.5-0.5B.*no such file"),
        (
            "predict",
            {"prompt": [1, 2], "batch": [1, 2, 3]},
            r"do not broadcast: batch \(3,\), prompt \(2,\)",
        ),
        ("predict", {"prompt": NAN}, "prompt: nan is not a whole number"),
        ("predict", {"prompt": [1024, NAN]}, "prompt: every element must be a whole number"),
        ("predict", {"generate": [0, 1]}, "generate: every element"),
        ("predict", {"weights": "q4_q"}, "weights: no weight format 'q4_q'"),
        ("predict", {"price": "3EUR"}, "price: '3EUR' cannot be read; write it like 2.5USD/h or 1599USD"),
        ("predict", {"utilisation": 2}, "cost.utilisation: 2 is not plausible here"),
        ("predict", {"lifetime": -1}, "lifetime: -1 is not a number above 0"),
        ("compare", {"price": "cheap"}, "price: 'cheap' cannot be read"),
        ("predict", {"cache": "q4_q"}, "cache: no encoding of a cache 'q4_q'"),
        ("predict", {"weights": "int4", "weight_format": "int4"}, "weights, weight_format: are one thing"),
        ("predict", {"set": {"device.memory.bandwith": 2}}, "no 'bandwith'; nearest: bandwidth"),
        ("predict", {"set": "2x"}, "write it like device.memory.bandwidth=2x"),
        ("predict", {"transfer": "yes"}, "transfer: 'yes' is neither True nor False"),
        ("serve", {"rate": 2}, "concurrency, rate: are two kinds of load"),
        ("serve", {"concurrency": 0}, "concurrency: 0 is not a whole number"),
        ("serve", {"concurrency": None, "rate": 1e9}, "more than mamba-130m on h100-sxm answers"),
        ("serve", {"find": "users"}, "find: no 'users'"),
        ("serve", {"find": "rate"}, "what is promised"),
        ("limits", {"prompt": [1, 2]}, "prompt: one is expected here, not several"),
        ("limits", {"lengths": []}, "lengths: at least one"),
        ("explain", {"metric": "tptt"}, "metric: no 'tptt'; nearest: tpot"),
        ("compile", {"over": "prompts"}, "no 'prompts'"),
        ("crossover", {"models": ("Qwen2.5-0.5B",)}, "one model cannot cross itself"),
        ("compare", {"device": []}, "device: there is nothing to choose from"),
        ("compare", {"kind": "rnn"}, "kind: no 'rnn'"),
        ("compare", {"max_memory": "6 s"}, "max_memory: "),
        ("sweep", {"models": ()}, "a study needs a model"),
        ("pareto", {"objectives": None}, "objectives: which figures"),
        ("compare", {"device": "none"}, "devices: no 'none'"),
        ("compare", {"runtime": "auto"}, "runtimes: no 'auto'"),
        ("pareto", {"where": "llama.cpp > 1"}, "where: no 'llama.cpp'"),
        ("pareto", {"objectives": {"ttft": ["min"]}}, r"objectives: ttft: \['min'\] is no text"),
        ("search", {"over": {"depth": ["8x"]}}, "depth: '8x' is not a whole number"),
        ("models", {"family": np.array([1, 2])}, r"family: array\(\[1, 2\]\) is no text"),
        ("advise", {"tpot": None}, "there is no budget"),
        ("search", {"seed": 0.5}, "seed: 0.5 is not a whole number"),
        ("validate", {"runs": 3}, "runs: 3 is no path"),
    ],
)
def test_the_message_says_what_would_be_right(name: str, given: Mapping[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        ask(name, {**RIGHT[name], **given})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"devise": "orin"}, "with_: no 'devise'"),
        ({"device": "memory.bandwith=2x"}, "no 'bandwith'"),
        ({"parameters": "gemm_efficiency"}, "parameters.gemm_efficiency: write it like"),
        ({"prompt": "1k", "generate": -1}, "generate: "),
        ({"device": {"memory.bandwidth": [1]}}, "memory.bandwidth: "),
    ],
)
def test_a_wrong_what_if_is_an_input_error(words: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        roofsim.predict("mamba-130m", "orin").with_(**words)


def test_a_wrong_filter_is_an_input_error() -> None:
    table = roofsim.compare("mamba-130m", device="orin", runtime="ideal")
    assert len(table.where(max_ttft="10 s", max_memory="1TB", context="1k", min_tps=0.1)) == 1
    for words in ({"max_ttft": "6 B"}, {"max_memory": NAN}, {"min_tps": []}, {"context": 0.5}, {"fits": 1}):
        with pytest.raises(InputError, match=next(iter(words))):
            table.where(**words)  # type: ignore[arg-type]
    for name in ("speed", 3):
        with pytest.raises(InputError, match="sort"):
            table.sorted_by(name)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [NAN, 0, -1.0, 1e400, 10**400, "x", None, [1, NAN], [[1, 2], [3]], 1j, object()])
def test_a_compiled_request_takes_no_wrong_number(value: Any) -> None:
    f = roofsim.compile("mamba-130m", "orin", figures="memory", over="prompt")
    for function in (f, f.derivative("memory", "prompt"), f.elasticity("memory", "prompt")):
        with pytest.raises(InputError, match="prompt: "):
            function(prompt=value)
    with pytest.raises(InputError, match="wrong or missing: batch"):
        f(prompt=1, batch=1)


@pytest.mark.parametrize("name", [name for name, each in vars(roofsim.plots).items() if inspect.isfunction(each)])
def test_a_figure_of_something_else_is_an_input_error(name: str, tmp_path: Path) -> None:
    if name.startswith("_"):
        return
    with pytest.raises(InputError, match="found: 3 is no "):
        getattr(roofsim.plots, name)(3, *([tmp_path / "x.png"] if name == "save" else []))


def test_files_are_written_by_their_endings(tmp_path: Path) -> None:
    figure = roofsim.limits("mamba-130m", "orin", lengths=[512]).plot()
    study = roofsim.sweep("mamba-130m", device="orin", figures="memory_peak")
    for path in (3, None, tmp_path / "x", tmp_path / "x.txt", tmp_path / "no" / "x.png", ""):
        with pytest.raises(InputError):
            roofsim.plots.save(figure, path)  # type: ignore[arg-type]
    for path in (3, None, tmp_path / "x.txt", tmp_path / "no" / "x.csv", ""):
        with pytest.raises(InputError):
            study.save(path)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["Architecture", "Device", "Runtime", "Host"])
@pytest.mark.parametrize("fields", [{}, {"name": 3}, {"name": "x", "layers": {"a": []}, "memory": 3}])
def test_a_bad_spec_is_an_input_error(kind: str, fields: Mapping[str, Any]) -> None:
    with pytest.raises(InputError, match=f"{kind}: "):
        getattr(roofsim, kind)(**fields)


def test_an_architecture_that_does_not_hold_together_is_an_input_error() -> None:
    good = roofsim.architecture("Qwen2.5-0.5B")
    fields = {name: getattr(good, name) for name in good.__dataclass_fields__}
    with pytest.raises(InputError, match="layout"):
        roofsim.Architecture(**{**fields, "layout": ()})


def test_a_limit_with_more_digits_than_a_float_has_is_refused() -> None:
    with pytest.raises(InputError, match=r"min_tps: .* is not a number above 0"):
        roofsim.compare("Qwen2.5-0.5B", device="rtx-4090", min_tps=10**400)
