"""Arrivals: their rates and spreads, the same with the same seed, and traces as those who publish them write them."""

from __future__ import annotations

from itertools import islice, pairwise
from pathlib import Path
from random import Random
from statistics import mean, stdev
from typing import Any

import pytest

from roofsim.foundation.errors import InputError
from roofsim.serving.arrivals import (
    Arrival,
    Bursty,
    Constant,
    Lengths,
    OnOff,
    Poisson,
    Process,
    Users,
    arrive,
    asked,
    rate_of,
    read_trace,
)

FIXED = Lengths(100, 10)


@pytest.mark.parametrize(
    ("process", "cv"),
    [(Constant(4), 0), (Poisson(4), 1), (Bursty(4, 2), 2), (Bursty(4, 0.5), 0.5), (Bursty(4, 1), 1)],
)
def test_distances_have_the_mean_and_the_spread_that_are_asked_for(process: Process, cv: float) -> None:
    gaps = list(islice(process.gaps(Random(1)), 20_000))
    assert mean(gaps) == pytest.approx(1 / 4, rel=0.05)
    assert stdev(gaps) / mean(gaps) == pytest.approx(cv, abs=0.05 * max(cv, 1))


def test_on_and_off_keep_the_rate_and_come_in_bursts() -> None:
    """An interrupted Poisson process: c² = 1 + 2 λ ω / (ω + γ)², periods end at ω and begin at γ (Kuczura 1973)."""
    gaps = list(islice(OnOff(rate=4, on=1, off=3).gaps(Random(2)), 60_000))
    assert mean(gaps) == pytest.approx(1 / 4, rel=0.05)
    assert (stdev(gaps) / mean(gaps)) ** 2 == pytest.approx(1 + 2 * 16 * 1 / (1 + 1 / 3) ** 2, rel=0.1)


def test_the_same_seed_gives_the_same_requests_and_another_does_not() -> None:
    lengths = Lengths(100, 10, 0.5)
    assert arrive(Poisson(3), lengths, 50, 7) == arrive(Poisson(3), lengths, 50, 7)
    assert arrive(Poisson(3), lengths, 50, 7) != arrive(Poisson(3), lengths, 50, 8)
    longer = arrive(Poisson(3), Lengths(200, 10, 0.5), 50, 7)
    assert [each.time for each in longer] == [each.time for each in arrive(Poisson(3), lengths, 50, 7)]


def test_lengths_lie_within_their_spread() -> None:
    found = asked(Lengths(100, 10, 0.3), 2000)
    assert min(each.prompt for each in found) == 70
    assert max(each.prompt for each in found) == 130
    assert mean(each.generate for each in found) == pytest.approx(10, rel=0.05)
    assert not any(each.cached for each in found)
    assert set(asked(FIXED, 3)) == {Arrival(0.0, 100, 10)}
    assert min(each.generate for each in asked(Lengths(1, 1, 0.9), 50)) == 1


def test_what_all_prompts_begin_with_is_found_after_the_first() -> None:
    assert [each.cached for each in asked(Lengths(100, 10, prefix=40), 3)] == [0, 40, 40]
    found = [each.cached for each in asked(Lengths(100, 10, 0.5, prefix=40, hit_rate=0.75), 4000)]
    assert set(found) == {0, 40}
    assert mean(found) == pytest.approx(30, rel=0.05)


def test_the_rate_is_of_what_comes_after_the_first() -> None:
    assert rate_of(arrive(Constant(4), FIXED, 9)) == pytest.approx(4)
    assert rate_of(asked(FIXED, 9)) is None
    assert rate_of(()) is None


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: Poisson(0), "rate: 0 is not above 0"),
        (lambda: Poisson(float("nan")), "rate: nan"),
        (lambda: Bursty(1, -1), "cv: -1"),
        (lambda: OnOff(1, 1, 0), "off: 0"),
        (lambda: Constant(float("inf")), "rate: inf"),
        (lambda: Users(0), "users: .*0.* is not a whole number"),
        (lambda: Users(1, -1), "think: -1"),
        (lambda: Lengths(0, 1), "prompt: .*0.* is not"),
        (lambda: Lengths(1, 1.5), "generate: .*1.5.* is not"),  # type: ignore[arg-type]
        (lambda: Lengths(1, 1, 1.0), "spread: 1.0"),
        (lambda: Lengths(100, 1, 0, 10, 1.5), "hit_rate: 1.5"),
        (lambda: Lengths(100, 1, 0, 10, -0.5), "hit_rate: -0.5"),
        (lambda: Lengths(100, 1, 0.5, 50), "prefix: 50 is not less than the shortest prompt has"),
        (lambda: Lengths(100, 1, 0.5, -1), "prefix: -1"),
        (lambda: arrive(Poisson(1), FIXED, 0), "requests: .*0.* is not"),
        (lambda: read_trace("no-such-file.csv"), "no such file"),
    ],
)
def test_what_is_no_arrival_is_refused(made: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        made()


AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:17:03.9799600,4808,10
2023-11-16 18:17:04.0319600,110,27
"""
AZURE_2024 = """TIMESTAMP,ContextTokens,GeneratedTokens
2024-05-10 00:00:00.009930+00:00,2162,5
2024-05-10 00:00:01.009930+00:00,110,27
"""
BURST = """Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
5,ChatGPT,472,18,490,Conversation log
45,ChatGPT,1087,230,1317,Conversation log
"""
VIDUR = "arrived_at,num_prefill_tokens,num_decode_tokens\n0.5,100,7\n0.25,200,8\n"
MOONCAKE = """{"timestamp": 0, "input_length": 1100, "output_length": 52, "hash_ids": [0, 1, 2]}

{"timestamp": 3000, "input_length": 1400, "output_length": 4, "hash_ids": [0, 1, 7]}
{"timestamp": 6000, "input_length": 1024, "output_length": 4, "hash_ids": [0, 1]}
"""
BAILIAN = """{"chat_id": 1, "timestamp": 61.5, "input_length": 40, "output_length": 9, "hash_ids": [5]}
{"chat_id": 2, "parent_chat_id": 1, "timestamp": 63.0, "input_length": 70, "output_length": 3, "hash_ids": [5, 6]}
"""
SERVINGSIM = """{"input_toks": 1472, "output_toks": 133, "arrival_time_ns": 4059740, "input_tok_ids": [1]}
{"input_toks": 10, "output_toks": 2, "arrival_time_ns": 1004059740}
"""
AUTOBENCH = '{"prompt":[1,2,3],"prompt_len":3,"output_len":1,"timestamp":200}\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (AZURE, [(0, 4808, 10, 0), (0.052, 110, 27, 0)]),
        (AZURE_2024, [(0, 2162, 5, 0), (1, 110, 27, 0)]),
        (BURST, [(0, 472, 18, 0), (40, 1087, 230, 0)]),
        (VIDUR, [(0, 200, 8, 0), (0.25, 100, 7, 0)]),
        (MOONCAKE, [(0, 1100, 52, 0), (3, 1400, 4, 1024), (6, 1024, 4, 1023)]),
        (BAILIAN, [(0, 40, 9, 0), (1.5, 70, 3, 16)]),
        (SERVINGSIM, [(0, 1472, 133, 0), (1, 10, 2, 0)]),
        (AUTOBENCH, [(0, 3, 1, 0)]),
    ],
)
def test_traces_are_read_as_they_are_published(tmp_path: Path, text: str, expected: list[tuple[float, ...]]) -> None:
    path = tmp_path / "trace"
    path.write_text(text)
    found = [(each.time, each.prompt, each.generate, each.cached) for each in read_trace(path)[0]]
    assert found == [pytest.approx(each, abs=1e-6) for each in expected]


def test_requests_that_failed_are_left_out_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(BURST + "50,GPT-4,100,0,100,API log\n61,GPT-4,100,7,107,API log\n")
    found, unanswered = read_trace(path)
    assert [each.generate for each in found] == [18, 230, 7]
    assert unanswered == 1
    path.write_text("time,prompt,generate\n1,2,0\n")
    with pytest.raises(InputError, match="no request in it that was answered"):
        read_trace(path)


def test_a_trace_is_cut_and_sped_up(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_text(MOONCAKE)
    assert [each.time for each in read_trace(path, requests=2, speed=3)[0]] == [0, 1]
    with pytest.raises(InputError, match="speed: 0"):
        read_trace(path, speed=0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no names; one of timestamp"),
        ("time,prompt,generate\n", "no request"),
        ("time,prompt\n1,2\n", "has time, prompt; one of generatedtokens"),
        ("time,prompt,generate\n1,2,3\nx,2,3\n", "line 3: 'x' is neither a time in seconds nor a date"),
        ("time,prompt,generate\n1,0,3\n", "line 2: '0' is not a whole number from 1"),
        ("time,prompt,generate\n1,2\n", "line 2: nothing is not a whole number"),
        ("time,prompt,generate\n1,2,1e30\n", "line 2: '1e30' is not a whole number"),
        ("time,prompt,generate\n1,2,nan\n", "line 2: 'nan' is not a whole number"),
        ("time,prompt,generate\ninf,2,3\n", "line 2: 'inf' is neither"),
        ("time,prompt,generate\n-5,2,3\n", "line 2: time: -5 is before the beginning"),
        ("time,prompt,generate\n1,2,-3\n", "line 2: '-3' is not a whole number from 0"),
        ('{"timestamp": 1\n', "line 1: not valid JSON"),
        ('{"timestamp": 1}\n', "line 1: has timestamp; one of"),
        ('{"timestamp": [1], "input_length": 2, "output_length": 3}\n', "line 1: .* is not a number"),
        ('{"timestamp": 1, "input_length": 2, "output_length": 3, "hash_ids": 4}\n', "hash_ids are a list"),
        ('{"timestamp": 1, "input_length": 2, "output_length": 3}\n[1]\n', "line 2: not a mapping"),
    ],
)
def test_a_trace_that_is_none_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "trace"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_trace(path)


def test_times_of_arrivals_do_not_run_back() -> None:
    for process in (Poisson(2), Bursty(2, 3), OnOff(2, 1, 1)):
        times = [each.time for each in arrive(process, FIXED, 300)]
        assert all(a <= b for a, b in pairwise(times))
