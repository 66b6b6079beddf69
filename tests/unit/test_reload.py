"""Loading what a sequence holds against computing it again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from roofsim import library
from roofsim.foundation.errors import InputError, Unsupported
from roofsim.foundation.schema import variant
from roofsim.model.split import Split
from roofsim.prediction.evaluation import Evaluation
from roofsim.prediction.fitted import chosen
from roofsim.prediction.setup import Setup, setup
from roofsim.reports.reload import reload_tables
from roofsim.specs.workload import Workload, workload
from roofsim.studies.reload import Reload, reload, tiers_of


def case(model: str, device: str = "h100-sxm", runtime: str = "ideal", **asked: Any) -> tuple[Setup, Workload]:
    return chosen(setup(model, device, runtime)), workload(**{"dtype": "bf16", "generate": 1, **asked})


def turn(r: Reload) -> Any:
    (found,) = r.turns
    return found


def test_a_memory_reaches_the_device_as_fast_as_the_slowest_part_of_the_way() -> None:
    fast, slow = case("Llama-3.1-8B")[0], case("Llama-3.1-8B", "t4")[0]
    assert {t.name: t.rate for t in tiers_of(fast)} == {"host": 64e9, "disk": 14e9, "remote": 50e9}
    assert {t.name: t.rate for t in tiers_of(slow)} == {"host": 16e9, "disk": 14e9, "remote": 16e9}
    reached = replace(fast, runtime=case("Llama-3.1-8B", runtime="vllm")[0].runtime)
    assert {t.name: t.rate for t in tiers_of(reached)} == {"host": 0.8 * 64e9, "disk": 14e9, "remote": 50e9}
    shared = case("Llama-3.1-8B", "dgx-spark")[0]
    assert {t.name: t.rate for t in tiers_of(shared)} == {"disk": 7e9}
    assert [(t.name, t.rate) for t in tiers_of(fast, ["Host", "2 GB/s"])] == [("host", 64e9), ("2 GB/s", 2e9)]


@pytest.mark.parametrize("model", ["Llama-2-7B", "mamba2-2.7b"])
def test_the_turn_is_the_last_length_at_which_the_order_changes(model: str) -> None:
    s, w = case(model)
    found = turn(reload(s, w, ["7GB/s"]))

    def gain(length: int) -> float:
        e = Evaluation(s, variant(w, prompt=length))
        held = e.s.architecture.state_bytes(length, s.precision(w))
        return float(e.prefill.time - e.decode.time - held / 7e9)

    assert gain(found.length - 1) <= 0 < gain(found.length)
    assert all(gain(round(found.length * x)) > 0 for x in (1.3, 2, 5))
    assert found.interval[0] < found.length < found.interval[1]
    assert found.root == pytest.approx(found.length, rel=0.02)
    assert found.closed_form.startswith("N = ")


def test_bytes_and_times_at_a_length_are_what_they_are_made_of() -> None:
    s, w = case("Llama-2-7B", batch=3)
    r = reload(s, w, ["host"], [500, 4000])
    assert [each.prompt for each in r.at] == [500, 4000]
    for each in r.at:
        e = Evaluation(s, variant(w, prompt=each.prompt))
        assert each.bytes == 3 * each.prompt * 2 * 32 * 4096 * 2  # keys and values of 32 layers of 4,096 elements
        assert each.recomputed == pytest.approx(float(e.prefill.time))
        assert each.reloaded == {"host": pytest.approx(each.bytes / 64e9 + float(e.decode.time))}
        assert each.needed == pytest.approx(each.bytes / float(e.prefill.time - e.decode.time))


def test_the_faster_a_memory_the_shorter_what_pays() -> None:
    s, w = case("Llama-2-7B")
    turns = reload(s, w, ["1GB/s", "4GB/s", "7GB/s", "12GB/s", "500GB/s"]).turns
    assert turns[0].length is None
    lengths = [t.length for t in turns[2:]]
    assert lengths == sorted(lengths, reverse=True)
    assert turns[-1].length == 16
    assert "never up to 1,048,576" in repr_of(reload(s, w, ["1GB/s"]))


def repr_of(r: Reload) -> str:
    from roofsim.reports.reload import reload_tables

    return str([table.rows for table in reload_tables(r, "a device", "a runtime")])


def test_what_a_recurrent_model_holds_takes_as_long_whatever_the_length() -> None:
    s, w = case("mamba2-2.7b")
    r = reload(s, w, ["1GB/s"], [1024, 65536])
    assert not r.grows
    assert r.at[0].bytes == r.at[1].bytes
    assert r.at[0].reloaded == r.at[1].reloaded
    assert r.at[1].recomputed > 50 * r.at[0].recomputed
    assert reload(*case("Llama-2-7B"), ["1GB/s"]).grows


def test_lengths_end_with_the_positions_of_a_model() -> None:
    s, w = case("GPT2-Large", "rtx-4090")
    r = reload(s, w, ["host"])
    assert (r.lengths[-1], [each.prompt for each in r.at]) == (1024, [1024])
    with pytest.raises(InputError, match="GPT2-Large has 1,024 positions"):
        reload(s, w, ["host"], [4096])


@pytest.mark.parametrize(
    ("device", "names", "said"),
    [
        ("h100-sxm", ["tape"], "from: 'tape' is none of host, disk, remote, nor a rate such as 25GB/s"),
        ("h100-sxm", ["25"], "'25' is none of"),
        ("orin", ["host"], "shares its memory with its host"),
        ("rtx-4090", ["remote"], "desktop states no remote; name a rate"),
        ("raspberry-pi-5", [], "nothing is stated of memories behind that of raspberry-pi-5"),
        ("tpu-v5e", ["host"], "links.host is not stated"),
    ],
)
def test_a_memory_that_is_none_is_told(device: str, names: list[str], said: str) -> None:
    with pytest.raises((InputError, Unsupported), match=said):
        tiers_of(case("Llama-3.1-8B", device)[0], names)


def test_several_devices_load_their_parts_at_the_same_time() -> None:
    one, w = case("Llama-3.1-8B", runtime="vllm")
    four = chosen(setup("Llama-3.1-8B", "h100-sxm", "vllm", split=Split(tp=4)))
    memory = 307.2e9
    assert {t.name: t.rate for t in tiers_of(four)} == {"host": 4 * 0.8 * 64e9, "disk": 14e9, "remote": 50e9}
    eight = chosen(setup("Llama-3.1-8B", "h100-sxm", "vllm", split=Split(tp=8)))
    assert tiers_of(eight, ["host"])[0].rate == memory < 8 * 0.8 * 64e9
    (mine,), (theirs,) = (reload(s, w, ["host"], [8192]).at for s in (one, four))
    assert theirs.bytes == mine.bytes  # eight heads of keys are divided among four
    step = float(Evaluation(four, variant(w, prompt=8192)).decode.time)
    assert theirs.reloaded["host"] == pytest.approx(mine.bytes / (4 * 0.8 * 64e9) + step)
    assert reload(eight, w, ["host"], [8192]).at[0].bytes == mine.bytes


def test_a_host_keeps_as_many_sequences_as_its_memory_holds() -> None:
    s, w = case("Llama-3.1-8B", batch=3)
    (at,) = reload(s, w, ["host"], [8192]).at
    assert at.kept is not None
    each = 8192 * 2 * 32 * 1024 * 2
    assert at.bytes == 3 * each
    assert at.kept == library.device("xeon-platinum-8480").capacity // each
    assert reload(*case("Llama-3.1-8B", "dgx-spark"), ["disk"], [8192]).at[0].kept is None


def test_states_are_what_a_hybrid_holds_at_no_length() -> None:
    found = {name: reload(*case(name), ["host"], [1024]).constant for name in ("Llama-3.1-8B", "Falcon-H1-7B")}
    assert found["Llama-3.1-8B"] == 0 < found["Falcon-H1-7B"]
    notes = reload_tables(reload(*case("Falcon-H1-7B"), ["host"], [1024]), "", "")[0].notes
    assert any("of what is held are states, the same at any length" in each for each in notes)
