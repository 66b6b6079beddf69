"""Sweeps: every point is the prediction of that point, however many there are and wherever they are written."""

from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest

from roofsim import sweep
from roofsim.foundation.errors import InputError
from roofsim.prediction.evaluation import Evaluation, figure
from roofsim.prediction.fitted import chosen
from roofsim.prediction.request import settled
from roofsim.prediction.setup import setup
from roofsim.prediction.what_if import what_if
from roofsim.spaces import executors
from roofsim.spaces.evaluate import FEW, Runner
from roofsim.spaces.sweep import study, swept, write
from roofsim.specs.workload import workload

SMALL = {"model": "Qwen2.5-0.5B,mamba2-130m", "device": "orin", "prompt": "1k,4k", "device.memory.bandwidth": "1x,2x"}
FIGURES = {"ttft": "ttft", "tpot": "tpot", "memory_peak": "memory.peak", "energy": "energy", "fits": "fits"}


def predicted(row: dict, changes: list[str]) -> dict[str, float]:
    """The figures of a point, by the way that `roofsim predict --set` takes."""
    found = chosen(setup(row["model"], row["device"], row.get("runtime", "transformers-4.52-eager")))
    s = what_if(found, changes)
    counts = {name: row[name] for name in ("batch", "prompt", "generate") if name in row}
    e = Evaluation(s, settled(s, workload(dtype=s.device.default_dtype, **counts)))
    return {name: float(figure(path)(e)) for name, path in FIGURES.items()}


@pytest.mark.parametrize("prompts", ["1k,4k", "512..8k*1.3"])
@pytest.mark.parametrize("runtime", ["transformers-5-eager", "llama.cpp", "vllm"])
def test_every_point_is_its_prediction_whether_compiled_or_not(prompts, runtime):
    axes = {**SMALL, "runtime": runtime, "device": "rtx-4090", "prompt": prompts, "batch": "1,8"}
    found = sweep(axes, figures=list(FIGURES))
    factors = ("1x", "2x")
    rows = list(found.rows())
    assert len(rows) == len(found) == found.study.space.size
    for i, row in enumerate(rows):
        if i % 7 == 0:
            expected = predicted(row, [f"device.memory.bandwidth={factors[i % 4 // 2]}"])
            assert {name: float(row[name]) for name in FIGURES} == pytest.approx(expected, rel=1e-12)


def test_a_number_that_decides_what_is_run_is_compiled_for_each_of_its_values():
    axes = {
        "model": "Qwen2.5-0.5B", "device": "rtx-4090", "runtime": "transformers-5-eager", "prompt": "1k..32k*1.2",
        "model.layers.decoder.mixer.window": "512,4k",
    }  # fmt: skip
    found = sweep(axes, figures=list(FIGURES))
    assert len(found.study.space.numbers[0]) * 2 > FEW
    for row in list(found.rows())[::5]:
        window = int(row["model.layers.decoder.mixer.window"])
        expected = predicted(row, [f"model.layers.decoder.mixer.window={window}"])
        assert {name: float(row[name]) for name in FIGURES} == pytest.approx(expected, rel=1e-12)


def test_a_number_that_is_compared_with_another_is_compiled_for_each_of_its_values_too():
    axes = {
        "model": "Qwen2.5-0.5B", "device": "rtx-4090", "runtime": "transformers-4.52-eager", "prompt": "1k..32k*1.2",
        "model.layers.decoder.mixer.kv_heads": "2,7,14", "model.layers.decoder.mixer.heads": "14",
    }  # fmt: skip
    for row in list(sweep(axes, figures=list(FIGURES)).rows())[::4]:
        heads = int(row["model.layers.decoder.mixer.kv_heads"])
        expected = predicted(row, [f"model.layers.decoder.mixer.kv_heads={heads}"])
        assert {name: float(row[name]) for name in FIGURES} == pytest.approx(expected, rel=1e-12)


def test_words_at_a_path_are_choices():
    found = sweep(
        {**SMALL, "model": "Qwen2.5-0.5B", "prompt": "4k", "runtime.logits": "all,last"}, figures=["memory_peak"]
    )
    peaks = {row["runtime.logits"]: row["memory_peak"] for row in found.rows()}
    assert peaks["last"] < peaks["all"]


def test_factors_are_of_what_each_case_has():
    found = sweep(
        {"model": "mamba2-130m", "device": "orin,rtx-4090", "device.memory.bandwidth": "1x,2x"}, figures=["tpot"]
    )
    assert [row["device.memory.bandwidth"] for row in found.rows()] == [102e9, 204e9, 1008e9, 2016e9]


def test_what_cannot_be_run_is_a_row_with_the_reason_and_no_numbers():
    found = sweep(
        {"model": "Hymba-1.5B,Qwen2.5-0.5B", "device": "rtx-4090", "runtime": "llama.cpp"}, figures=["ttft", "fits"]
    )
    refused, runs = found.rows()
    assert refused["refused"].startswith("llama.cpp does not run hymba")
    assert refused["ttft"] is refused["fits"] is None
    assert runs["refused"] is None
    assert runs["ttft"] > 0


def test_a_case_without_the_field_that_varies_says_so():
    axes = {"model": "mamba2-130m,Qwen2.5-0.5B", "device": "orin", "model.layers.decoder.mixer.kv_heads": "2,7"}
    found = list(sweep(axes, figures=["memory_peak"]).rows())
    assert [bool(row["refused"]) for row in found] == [True, True, False, False]


def test_derived_columns_and_conditions_are_of_figures_axes_and_specs():
    found = sweep(
        {**SMALL, "batch": "1,2"}, figures=["tpot", "ttft"], where="prompt >= 4k and memory <= capacity and tpot > 0",
        derive={"share": "memory / capacity", "spent": "tpot * batch + share * 0", "clock": "device.clock / 1 GHz"},
    )  # fmt: skip
    rows = list(found.rows())
    assert len(rows) == 8 == found.study.space.size / 2
    for row in rows:
        assert row["spent"] == pytest.approx(row["tpot"] * row["batch"])
        assert 0 < row["share"] < 1
        assert row["clock"] == pytest.approx(1.02)
        assert row["prompt"] == 4096


def test_a_sample_and_a_list_give_the_points_of_the_grid():
    axes = {**SMALL, "prompt": "512..8k*1.3", "batch": "1..16*2"}
    whole = {tuple(row[a] for a in axes): row for row in sweep(axes, figures=["ttft"]).rows()}
    drawn = list(sweep(axes, figures=["ttft"], sample=50, seed=3).rows())
    assert len(drawn) == 50
    for row in drawn:
        assert row["ttft"] == pytest.approx(whole[tuple(row[a] for a in axes)]["ttft"], rel=1e-12)
    points = [{"prompt": 4096, "model": "mamba2-130m"}, {"prompt": 1024, "model": "Qwen2.5-0.5B"}]
    listed = sweep({"device": "orin"}, points=points, figures=["ttft"]).rows()
    expected = [next(sweep({"device": "orin", **p}, figures=["ttft"]).rows())["ttft"] for p in points]
    assert [row["ttft"] for row in listed] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("axes", "options", "says"),
    [
        ({"device": "orin"}, {}, "needs a model"),
        ({"model": "mamba2-130m"}, {}, "needs a device"),
        ({**SMALL, "device.memory.bandwith": "1x"}, {}, "no 'bandwith'; nearest: bandwidth"),
        (
            {**SMALL, "device.memory.bandwidth": "1 GiB"},
            {},
            "memory.bandwidth: '1 GiB' is not a quantity in B/s",
        ),
        ({**SMALL, "device.memory.bandwidth": "0x"}, {}, "bandwidth"),
        ({**SMALL, "model": "mamba3"}, {}, "no 'mamba3'"),
        (SMALL, {"figures": ["ttfft"]}, "figures: no 'ttfft'; nearest: ttft"),
        (SMALL, {"where": "tpott < 1"}, "--where: no 'tpott'; nearest: tpot"),
        (SMALL, {"where": "tpot < "}, "cannot be read"),
        (SMALL, {"derive": {"ttft": "1 + tpot"}}, "--derive ttft: a new name"),
        (SMALL, {"derive": {"a b": "tpot"}}, "--derive a b: a new name"),
        (SMALL, {"derive": {"a": "b", "b": "tpot"}}, "--derive: no 'b'"),
        ({**SMALL, "batch": range(1, 10**4), "prompt": range(1, 10**4)}, {}, "more than are kept in memory"),
    ],
)
def test_what_cannot_be_asked_is_said_before_any_work(axes, options, says):
    with pytest.raises(InputError, match=says.replace("(", r"\(")):
        sweep(axes, **options)


def test_figures_have_units_and_unknown_ones_are_names():
    found = sweep(SMALL, figures=["ttft", "memory_peak", "prefill_mfu", "decode_bytes", "energy", "tokens_per_second"])
    units = found.units()
    assert [units[c] for c in found.study.figures] == ["s", "B", "", "B", "J", ""]
    assert units["device.memory.bandwidth"] == "B/s"
    assert units["model"] == units["prompt"] == units["refused"] == ""


# --- files ---


@pytest.fixture(scope="module")
def asked():
    return study({**SMALL, "model": "Hymba-1.5B,mamba2-130m", "runtime": "llama.cpp"}, figures=["ttft", "fits"])


@pytest.fixture(scope="module")
def rows(asked):
    return list(swept(asked).rows())


def test_a_csv_has_one_header_with_units_and_plain_cells(asked, rows, tmp_path):
    write(asked, tmp_path / "s.csv", workers=1)
    head, *lines = csv.reader((tmp_path / "s.csv").read_text().splitlines())
    assert head == [
        "model",
        "device",
        "runtime",
        "prompt",
        "device.memory.bandwidth [B/s]",
        "ttft [s]",
        "fits",
        "refused",
    ]
    assert [[x or None for x in line] for line in lines] == [
        [None if x is None else str(x) for x in row.values()] for row in rows
    ]


def test_json_lines_are_the_rows(asked, rows, tmp_path):
    write(asked, tmp_path / "s.jsonl", workers=1)
    assert [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines()] == rows


@pytest.mark.parametrize("name", ["s.parquet", "folder"])
def test_parquet_files_are_the_rows(asked, rows, tmp_path, name):
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet needs the extra `studies`")
    write(asked, tmp_path / name, workers=1)
    table = parquet.read_table(tmp_path / name)
    assert table.to_pylist() == rows
    assert table.schema.field("ttft").metadata == {b"unit": b"s"}


def test_a_mesh_is_labelled_in_a_file_and_in_memory(asked, rows, tmp_path):
    xarray = pytest.importorskip("xarray", reason="meshes need the extra `studies`")
    pytest.importorskip("netCDF4", reason="NetCDF files need the extra `studies`")
    write(asked, tmp_path / "s.nc", workers=1)
    in_memory = swept(asked).to_xarray()
    with xarray.open_dataset(tmp_path / "s.nc") as written:
        xarray.testing.assert_equal(written.load(), in_memory)
        assert written["ttft"].attrs["units"] == "s"
        for row in rows:
            place = {a.name: row[a.name] for a in asked.space.axes}
            if row["refused"]:
                assert math.isnan(float(written["ttft"].sel(model=row["model"]).sum(skipna=False)))
            else:
                assert float(written["ttft"].sel(place)) == row["ttft"]


def test_a_data_frame_has_typed_columns(asked, rows):
    pytest.importorskip("pandas", reason="data frames need the extra `studies`")
    frame = swept(asked).to_pandas()
    assert frame["prompt"].dtype == np.int64
    assert frame["ttft"].dtype == np.float64
    assert str(frame["model"].dtype) == "category"
    assert frame["model"].tolist() == [row["model"] for row in rows]


def test_points_are_no_mesh(tmp_path):
    pytest.importorskip("xarray", reason="meshes need the extra `studies`")
    some = study(SMALL, figures=["ttft"], sample=3)
    with pytest.raises(InputError, match="all combinations"):
        write(some, tmp_path / "s.nc")
    with pytest.raises(InputError, match="all combinations"):
        swept(some).to_xarray()


def test_a_file_of_another_kind_and_one_that_is_too_large_are_refused(asked, tmp_path):
    with pytest.raises(InputError, match="should end in"):
        write(asked, tmp_path / "s.txt")
    counts = {"batch": range(1, 10**5), "prompt": range(1, 10**5), "generate": "1..1k+1"}
    huge = study({**SMALL, **counts}, figures=["ttft"])
    with pytest.raises(InputError, match=r"points take about .* TiB.* are free .* --sample"):
        write(huge, tmp_path / "s.csv")
    with pytest.raises(InputError, match="No such file"):
        write(asked, tmp_path / "nowhere" / "s.csv")
    assert list(tmp_path.iterdir()) == []


# --- parts ---


def test_processes_give_what_one_gives(tmp_path, monkeypatch):
    monkeypatch.setattr(executors, "WORTH", 1)
    made = study({**SMALL, "prompt": range(1000, 1300), "batch": range(1, 300)}, figures=["ttft"])
    assert made.space.parts > 1
    one, two = swept(made, workers=1), swept(made, workers=2)
    for a, b in zip(one.parts, two.parts, strict=True):
        assert np.array_equal(a.values, b.values)
        assert np.array_equal(a.ordinals, b.ordinals)


def test_a_study_goes_on_from_what_is_kept_and_computes_nothing_twice(tmp_path, monkeypatch):
    made = study({**SMALL, "prompt": range(1000, 1300), "batch": range(1, 300)}, figures=["ttft"])
    whole = write(made, tmp_path / "whole.csv", workers=1)
    computed, part = [], Runner.part

    def ended(self, number):
        if len(computed) == 2:
            raise KeyboardInterrupt
        computed.append(number)
        return part(self, number)

    monkeypatch.setattr(Runner, "part", ended)
    with pytest.raises(KeyboardInterrupt):
        write(made, tmp_path / "s.csv", workers=1)
    assert not (tmp_path / "s.csv").exists()
    monkeypatch.setattr(Runner, "part", lambda self, number: computed.append(number) or part(self, number))
    again = write(made, tmp_path / "s.csv", workers=1)
    assert sorted(computed) == list(range(made.space.parts))
    assert (tmp_path / "s.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert again.kept == whole.kept == made.space.size
    assert sorted(each.name for each in tmp_path.iterdir()) == ["s.csv", "whole.csv"]


def test_what_is_kept_of_another_study_is_neither_used_nor_lost(asked, tmp_path, monkeypatch):
    other = study({**SMALL, "prompt": "2k"}, figures=["ttft"])
    with monkeypatch.context() as patch:
        patch.setattr("roofsim.spaces.sweep._assembled", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            write(other, tmp_path / "s.csv", workers=1)
    kept = sorted(each.name for each in (tmp_path / "s.csv.parts").iterdir())
    with pytest.raises(InputError, match=r"beginning of another study.*--restart"):
        write(asked, tmp_path / "s.csv", workers=1)
    assert sorted(each.name for each in (tmp_path / "s.csv.parts").iterdir()) == kept
    write(asked, tmp_path / "s.csv", workers=1, restart=True)
    assert len((tmp_path / "s.csv").read_text().splitlines()) == asked.space.size + 1


def test_a_full_disk_is_said_and_what_was_computed_is_kept(asked, tmp_path, monkeypatch):
    def full(*_args, **_more):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("roofsim.spaces.sweep._assembled", full)
        with pytest.raises(InputError, match=r"No space left on device; what was computed is kept in s\.csv\.parts"):
            write(asked, tmp_path / "s.csv", workers=1)
    assert not (tmp_path / "s.csv").exists()
    assert write(asked, tmp_path / "s.csv", workers=1).points == asked.space.size


def test_two_runs_at_once_do_not_mix(asked, tmp_path):
    from roofsim.spaces.store import opened

    with opened(tmp_path / "s.csv.parts", asked, False), pytest.raises(InputError, match="another run is at work"):
        write(asked, tmp_path / "s.csv", workers=1)
