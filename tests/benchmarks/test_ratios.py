"""Speed as ratios, never in seconds: what a vectorised prediction costs beside plain NumPy and beside itself."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from statistics import median

import numpy as np
import pytest

from roofsim import predict
from roofsim.prediction.setup import setup

spec = importlib.util.spec_from_file_location("bench_vectorised", Path(__file__).with_name("bench_vectorised.py"))
bench = importlib.util.module_from_spec(spec)
spec.loader.exec_module(bench)

RUNS = 5


def ratio(numerator, denominator):
    """Median over several runs of the processor time of one over the other, taken in turns so that both see the
    same machine."""
    found = []
    numerator(), denominator()
    for _ in range(RUNS):
        times = []
        for work in (numerator, denominator):
            start = time.process_time()
            work()
            times.append(time.process_time() - start)
        found.append(times[0] / max(times[1], 1e-9))
    return median(found)


@pytest.mark.parametrize(
    ("model", "runtime", "most"),
    [
        # measured on one core of a virtual machine: 60, 80, 140 and 210 passes; about three times as much is allowed
        ("mamba2-780m", "ideal", 150),
        ("Qwen2.5-0.5B", "ideal", 250),
        ("Qwen2.5-0.5B", "transformers-4.52-eager", 420),
        ("Falcon-H1-0.5B", "transformers-4.52-eager", 640),
    ],
)
def test_a_vectorised_prefill_costs_few_passes_of_thirty_numpy_operations(model, runtime, most):
    lengths, batches = bench.points(bench.CHUNK)
    prefill = bench.prefill_only(setup(model, bench.DEVICE, runtime))
    many = 20  # so that one plain pass is long enough for the clock

    def plain():
        for _ in range(many):
            bench.plain(lengths, batches)

    assert ratio(lambda: prefill(lengths, batches), plain) * many < most


def test_a_whole_request_costs_little_more_than_its_passes_and_memory():
    lengths, batches = bench.points(bench.CHUNK)
    s = setup("Qwen2.5-0.5B", bench.DEVICE, "transformers-4.52-eager")
    request, prefill = bench.whole_request(s), bench.prefill_only(s)
    assert ratio(lambda: request(lengths, batches), lambda: prefill(lengths, batches)) < 6


def test_a_point_among_many_costs_a_hundredth_of_a_point_alone():
    lengths, batches = bench.points(bench.CHUNK)
    s = setup("mamba2-780m", bench.DEVICE, "transformers-4.52-eager")
    request = bench.whole_request(s)
    one = lengths[:1], batches[:1]
    alone = ratio(lambda: [request(*one) for _ in range(20)], lambda: request(lengths, batches)) / 20
    assert alone * bench.CHUNK > 100


def test_many_points_at_once_cost_no_more_each_than_a_chunk_does():
    lengths, batches = bench.points(10 * bench.CHUNK)
    s = setup("mamba2-780m", bench.DEVICE, "transformers-4.52-eager")
    request = bench.whole_request(s)

    def by_hand():
        for piece in bench.chunks(lengths, batches):
            request(*piece)

    assert ratio(lambda: request(lengths, batches), by_hand) < 1.7


def test_what_the_benchmark_times_is_what_single_predictions_say():
    lengths, batches = bench.points(6, seed=1)
    s = setup("Falcon-H1-0.5B", bench.DEVICE, "transformers-4.52-eager")
    many = bench.whole_request(s)(lengths, batches)
    for i, (n, b) in enumerate(zip(lengths, batches, strict=True)):
        one = predict(s.architecture, s.device, s.runtime, prompt=int(n), batch=int(b), generate=1, dtype="bf16")
        np.testing.assert_allclose(many.request.ttft[i], one.request.ttft, rtol=1e-12)
        np.testing.assert_allclose(many.request.tpot[i], one.request.tpot, rtol=1e-12)
        np.testing.assert_allclose(many.memory.peak[i], one.memory.peak, rtol=1e-12)
    assert bench.prefill_only(s)(lengths, batches).time == pytest.approx(many.prefill.time)
