"""Measuring without the software that is measured: files of runs, what is left to do, meters."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roofsim import library
from roofsim.foundation.errors import InputError, Unsupported
from roofsim.measure import build, meters, passes, programs, session
from roofsim.measure.configs import FAMILIES, config_fields, stacked
from roofsim.measure.meters import Counter, Memory, energy_of
from roofsim.measure.passes import Measured, Protocol
from roofsim.measure.runs import COLUMNS, Case, Runs, runs, sizes
from roofsim.measure.session import cases, state
from roofsim.measure.stack import Stack

CASE = Case("mamba2-780m", "prefill", "bf16", 1, 1024)
DECODE = Case("mamba2-780m", "decode", "bf16", 8, 1024)
OutOfMemory = type("OutOfMemoryError", (RuntimeError,), {})
HERE = Stack(torch=SimpleNamespace(cuda=SimpleNamespace(OutOfMemoryError=OutOfMemory)), on="cpu")


def again(file: Runs, device: str = "") -> Runs:
    return runs(device or file.device, file.text, "runs.csv")


@pytest.mark.parametrize("case", [CASE, DECODE, replace(CASE, logits="all"), replace(CASE, dtype="fp32")])
@pytest.mark.parametrize(("metric", "end"), [("latency_s", "done"), ("oom", "oom"), ("failed", "failed")])
def test_a_case_that_was_written_is_known_when_its_file_is_read(case: Case, metric: str, end: str) -> None:
    note = f"logits={case.logits};std=1e-05" if case.phase == "prefill" else "per step, library cache;std=1e-05"
    file = runs("A").plus([case.row(metric, 1.0, note), case.row("peak_mem_bytes", 2.0, note)])
    assert again(file).cases == {case: end}
    assert again(file) == file
    assert again(file, "B").cases == {}, "another device has not measured it"


def test_a_new_file_has_the_columns_of_the_data_and_a_row_fills_them() -> None:
    file = runs("A").plus([DECODE.row("latency_s", 0.25, "per step, library cache")])
    head, row = file.text.splitlines()
    assert head == ",".join(COLUMNS)
    assert row == ',A,,mamba2-780m,,decode,e2e,bf16,bf16,8,1024,1024,0,latency_s,0.25,"per step, library cache"'


def test_rows_are_added_in_the_order_of_columns_that_the_file_has() -> None:
    columns = ["more", *reversed(COLUMNS)]
    file = runs("A", ",".join(columns) + "\n").plus([CASE.row("latency_s", 0.5)])
    assert file.text.splitlines()[1].split(",")[2:5] == ["0.5", "latency_s", "0"]
    assert again(file).cases == {CASE: "done"}


def test_a_last_line_that_was_cut_off_is_measured_again() -> None:
    file = runs("A").plus([CASE.row("latency_s", 0.5)])
    cut = file.plus([DECODE.row("latency_s", 0.25)]).text[:-7]
    assert runs("A", cut) == file


def test_a_file_without_a_column_is_refused_with_its_name() -> None:
    with pytest.raises(InputError, match=r"mine\.csv: .*no column 'note'"):
        runs("A", ",".join(COLUMNS[:-1]) + "\n", "mine.csv")


def test_an_operator_is_known_by_its_sizes_and_not_by_how_it_was_timed() -> None:
    row = {"phase": "op", "op": "linear", "dtype": "bf16", "note": "M=1;N=2;K=3;timed=graph"}
    assert again(runs("A").plus([row])).operators == {("linear", "bf16", "M=1;N=2;K=3")}
    assert sizes("per small kernel, 1000 back to back;timed=clock;std=1") == "per small kernel, 1000 back to back"


counts = st.integers(1, 64)


@given(counts, counts, counts, counts, st.sampled_from(["last", "all"]), st.sampled_from(["last", "all"]))
def test_what_needs_no_less_memory_than_what_ran_out_is_left_out(
    batch: int, tokens: int, more: int, longer: int, logits: Any, scored: Any
) -> None:
    ended = {replace(CASE, batch=batch, tokens=tokens, logits=logits): "oom"}
    bigger = replace(CASE, batch=batch + more, tokens=tokens + longer, logits=scored)
    skipped = logits == scored or scored == "all"
    assert (state(bigger, ended) == "left out") is skipped
    assert state(replace(bigger, phase="decode"), ended) == "to do"
    assert state(replace(bigger, model="another"), ended) == "to do"
    assert state(replace(bigger, batch=batch - 1), ended) == "to do"


def test_cases_are_asked_for_from_small_to_large_each_once() -> None:
    asked = cases("m", ["prefill", "decode"], "bf16", [8, 1], [4096, 128, 128], "all")
    assert [(c.batch, c.tokens) for c in asked] == sorted((c.batch, c.tokens) for c in asked)
    assert len(set(asked)) == len(asked) == 8
    assert {c.logits for c in asked if c.phase == "decode"} == {"last"}


@pytest.mark.parametrize("name", library.names("models"))
def test_a_model_has_a_config_of_as_many_layers_or_its_published_one_is_asked_for(name: str) -> None:
    a = library.architecture(name)
    assert len(stacked(a)) == a.depth
    if a.family not in FAMILIES:
        with pytest.raises(Unsupported, match=rf"{a.id}: .*'{a.family}' give the published config\.json"):
            config_fields(a)
        return
    fields = config_fields(a)
    assert fields["model_type"] == a.family
    assert fields.get("num_hidden_layers", fields.get("num_layers")) == a.depth


def test_every_family_is_that_of_a_shipped_model() -> None:
    assert set(FAMILIES) <= {library.architecture(name).family for name in library.names("models")}


def test_a_model_may_be_called_by_a_name_of_ones_own() -> None:
    ours = build.subject("mine=mamba2-780m")
    assert (ours.name, ours.arch, ours.parameters) == ("mine", "ssm", 780161280)
    assert build.subject("MAMBA2-780M").name == "mamba2-780m"


@pytest.mark.parametrize(("text", "wrong"), [("{", "line 1"), ("[]", "config.json"), ("{}", "model_type")])
def test_a_config_that_is_none_is_refused_with_what_is_expected(tmp_path: Any, text: str, wrong: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(InputError, match=wrong):
        build.subject(str(tmp_path))


class Clock:
    """Time that only work takes."""

    def __init__(self) -> None:
        self.now = 0.0

    def work(self, seconds: float) -> Callable[[], None]:
        """Work of so many seconds."""

        def run() -> None:
            self.now += seconds

        return run


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for module in (meters, passes):
        monkeypatch.setattr(module, "perf_counter", lambda: made.now)
    return made


@pytest.mark.parametrize("step", [0.02, 0.1])
@pytest.mark.parametrize("duration", [0.0007, 0.013, 0.03])
def test_at_constant_power_a_pass_costs_power_times_time(clock: Clock, step: float, duration: float) -> None:
    # the counter has counted before, and stands still for as long as a step
    counter = Counter(HERE)
    counter.read = lambda: 5000.0 + 300.0 * step * math.floor(clock.now / step + 0.4)
    found = energy_of(HERE, counter, clock.work(duration), seconds=0.97)
    assert found is not None
    # the first and the last step are seen when a pass ends: that long after they were made at most
    late = 2 * duration / (0.97 - 2 * step)
    assert found.per_pass == pytest.approx(300.0 * duration, rel=late)
    assert found.power == pytest.approx(300.0, rel=late)


def test_without_a_counter_or_time_for_it_there_is_no_energy(clock: Clock) -> None:
    counter = Counter(HERE)
    assert counter.read is None
    assert energy_of(HERE, counter, clock.work(1), seconds=5) is None
    counter.read = lambda: clock.now
    assert energy_of(HERE, counter, clock.work(1), seconds=0) is None
    assert energy_of(HERE, counter, clock.work(1), seconds=5, most=1) is None


@pytest.mark.parametrize(("duration", "times"), [(0.1, 5), (0.6, 4), (30.0, 1)])
def test_repeats_end_early_when_they_take_long_but_one_is_made(clock: Clock, duration: float, times: int) -> None:
    made = list(passes.repeated(HERE, clock.work(duration), Protocol(repeats=5, enough=2.0)))
    assert made == pytest.approx([duration] * times)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Models that take 1 ms, but for what is put under a number of tokens: an exception."""
    raised: dict[str, Any] = {}

    def measured(bench: Any, phase: Any, batch: int, tokens: int, logits: Any, protocol: Protocol) -> Measured:
        if str(tokens) in raised:
            raise raised[str(tokens)]
        return Measured((0.001, 0.003, 0.002), Memory(100, 200), None, None, logits)

    model = SimpleNamespace(arch="ssm", positions=None, fallback=(), weights_bytes=64)
    monkeypatch.setattr(session, "built", lambda *_: model)
    monkeypatch.setattr(passes, "measured", measured)
    monkeypatch.setattr(passes, "settle", lambda *_: None)
    monkeypatch.setattr(session, "_forget", lambda stack: "lost" not in raised)
    raised["model"] = model
    return raised


def outcomes(known: Any = None, may_begin: Callable[[Case], bool] = lambda case: True) -> list[session.Outcome]:
    each = build.subject("mamba2-780m")
    asked = cases(each.name, ["prefill", "decode"], "bf16", [1], [1, 2, 4, 8], "last")
    return list(session.measure_model(HERE, each, asked, known or {}, Protocol(), may_begin))


def test_a_measured_case_gives_its_rows_with_median_and_spread(fake: dict[str, Any]) -> None:
    load, first, *_ = outcomes()
    assert [(r["phase"], r["metric"], r["value"]) for r in load.rows] == [("load", "weights_bytes", "64.0")]
    assert [(r["metric"], r["value"]) for r in first.rows] == [
        ("latency_s", "0.002"), ("peak_mem_bytes", "100.0"), ("peak_reserved_bytes", "200.0"),
    ]  # fmt: skip
    assert first.rows[0]["note"] == "logits=last;std=0.001;min=0.001;n=3"
    assert all(r["arch"] == "ssm" for r in first.rows)


def test_out_of_memory_is_a_row_and_what_is_larger_is_left_out(fake: dict[str, Any]) -> None:
    fake["4"] = RuntimeError("CUDA out of memory. Tried to allocate 20 GiB")
    ends = [(o.case.phase, o.case.tokens, o.end) for o in outcomes()[1:]]
    assert ends == [
        ("prefill", 1, "done"), ("decode", 1, "done"), ("prefill", 2, "done"), ("decode", 2, "done"),
        ("prefill", 4, "oom"), ("decode", 4, "oom"),
    ]  # fmt: skip


def test_what_a_models_code_raises_is_a_row_and_the_rest_goes_on(fake: dict[str, Any]) -> None:
    fake["2"] = ValueError("a=1; b\nsecond line")
    bad = [o for o in outcomes() if o.end == "failed"]
    assert {o.case.tokens for o in bad} == {2}
    assert bad[0].rows[0]["note"] == "logits=last;ValueError: a:1, b"
    assert {o.case.tokens for o in outcomes()[1:] if o.end == "done"} == {1, 4, 8}


def test_weights_that_do_not_fit_end_every_case_and_a_wrong_model_is_refused(
    fake: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(error: Exception) -> None:
        def build_it(*_: Any) -> None:
            raise error

        monkeypatch.setattr(session, "built", build_it)

    fails(OutOfMemory("no memory"))
    assert [(o.end, o.rows[0]["note"]) for o in outcomes()] == [("oom", "weights do not fit")] * 8
    fails(ZeroDivisionError("odd"))
    assert {(o.end, o.rows[0]["metric"]) for o in outcomes()} == {("failed", "failed")}
    fails(InputError("not what is predicted"))
    with pytest.raises(InputError, match="not what is predicted"):
        outcomes()


def test_nothing_follows_when_the_device_no_longer_answers(fake: dict[str, Any]) -> None:
    fake["2"] = RuntimeError("an illegal memory access was encountered")
    fake["lost"] = True
    *_, last = outcomes()
    assert (last.case.tokens, last.end, last.lost) == (2, "failed", True)


def test_what_is_known_is_not_measured_again_and_a_finished_model_is_not_built(
    fake: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = {o.case: o.end for o in outcomes()[1:]}
    one = next(iter(done))
    rest = {case: end for case, end in done.items() if case != one}
    assert [o.case for o in outcomes(rest) if o.end == "done"] == [one]
    monkeypatch.setattr(session, "built", lambda *_: pytest.fail("was built"))
    assert outcomes(done) == []
    assert outcomes(may_begin=lambda case: False) == []


def test_nothing_begins_after_time_is_up(fake: dict[str, Any]) -> None:
    turns: Iterator[int] = count()
    assert len(outcomes(may_begin=lambda case: next(turns) < 3)) == 3  # building, and two cases


def test_a_prompt_beyond_a_table_of_positions_is_left_out_and_so_is_decoding_at_its_end(fake: dict[str, Any]) -> None:
    fake["model"].positions = 8
    ends = {(o.case.phase, o.case.tokens): o.end for o in outcomes()[1:]}
    assert ends["prefill", 8] == "done"
    assert ends["decode", 1] == ends["decode", 8] == "left out"


def test_reference_code_in_place_of_kernels_is_said_and_on_a_gpu_is_no_measurement(fake: dict[str, Any]) -> None:
    fake["model"].fallback = ("selective_scan_fn",)
    built, first, *_ = outcomes()
    assert "selective_scan_fn" in built.said
    assert all(r["note"].split(";")[-1] == "kernels=fallback" for r in first.rows)
    bench = SimpleNamespace(built=fake["model"], stack=SimpleNamespace(on="cuda"))
    assert session.fallback_note(bench) == "kernels=fallback;suspect=1"  # type: ignore[arg-type]


def test_sigterm_ends_a_measurement_as_ctrl_c_does_and_nothing_else():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), programs.told_to_end():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Traceback\n  raise RuntimeError(\nRuntimeError: no kernel\nexit\n", "RuntimeError: no kernel"),
        ("a.B.CError: first\nthen\nValueError: second\n", "ValueError: second"),
        ("load\nmain: error: failed to load\nllama_free\n", "main: error: failed to load"),
        ("one\ntwo\n", "two"),
        ("", "said nothing"),
    ],
)
def test_of_what_a_program_said_last_the_reason_is_the_line_that_tells_most(said, told):
    assert programs.Ended(1, said, False).reason == f"ended with 1: {told}"
