"""What the page says is what Python says."""

from __future__ import annotations

import pytest
from exploring import disagreements

import roofsim
from roofsim import library

pytestmark = pytest.mark.xdist_group("page")  # one process makes the page that all look at

QWEN = {"model": "Qwen2.5-0.5B", "device": "rtx-4090", "runtime": "transformers-4.52-eager"}
COUNTS = {"batch": 1, "prompt": 1024, "generate": 128}
VIEWS = [
    QWEN | COUNTS,
    QWEN | COUNTS | {"batch": 2, "prompt": 40000},  # more than were measured
    QWEN | {"batch": 4, "prompt": 5000, "generate": 33, "calibration": "none"},
    QWEN | COUNTS | {"runtime": "vllm", "weights": "fp8", "cache": "fp8", "prompt": 9000},
    {"model": "mamba2-780m", "device": "raspberry-pi-5", "runtime": "llama.cpp", "weights": "q8_0"} | COUNTS,
    {"model": "Qwen3-30B-A3B", "device": "rtx-4090", "runtime": "llama.cpp", "weights": "q4_k_m"} | COUNTS,
    {"model": "Qwen3-30B-A3B", "device": "rtx-4090", "runtime": "vllm", "weights": "fp8", "tp": 2} | COUNTS,
    QWEN | COUNTS | {"tp": 2},
]
SEVERAL = VIEWS[-2:]
ON_A_PROCESSOR = {"llama.cpp": "llama.cpp-cpu"}


def python(view):
    words = {name: view[name] for name in ("weights", "cache", "calibration", "tp") if name in view}
    runtime = view["runtime"] if view["device"] != "raspberry-pi-5" else ON_A_PROCESSOR[view["runtime"]]
    counts = {name: view[name] for name in COUNTS}
    return roofsim.predict(view["model"], view["device"], runtime, **counts, **words)


def test_page_and_python_agree_on_every_figure(ask):
    assert disagreements(ask, seed=1, settings=1, points=20) == []


def test_operators_are_those_of_python(ask):
    for view, found in zip(VIEWS, ask("(views) => views.map(roofsim.operators)", VIEWS), strict=True):
        p = python(view)
        for phase in ("prefill", "decode"):
            there = {(o["layer"], o["operator"]): o for o in found["rows"] if o["phase"] == phase}
            here = {(o.layer, o.operator): o for o in getattr(p, phase).operators}
            assert there.keys() == here.keys()
            for key, o in here.items():
                moved = o.bytes_weights + o.bytes_activations + o.bytes_state
                mine = (o.kernels, o.time, o.matrix_flops, o.vector_flops, moved)
                names = ("kernels", "time", "matrix_flops", "vector_flops", "bytes")
                assert [there[key][name] for name in names] == pytest.approx(mine, rel=1e-9), key
                assert (there[key]["kind"], there[key]["count"]) == (o.kind, o.count)


def test_what_devices_exchange_is_among_operators_and_bounded_by_links(ask):
    for view, found in zip(SEVERAL, ask("(views) => views.map(roofsim.operators)", SEVERAL), strict=True):
        p = python(view)
        for phase in ("prefill", "decode"):
            there = [row for row in found["rows"] if row["phase"] == phase and row["kind"] == "collective"]
            here = [o for o in getattr(p, phase).operators if o.kind == "collective"]
            assert there
            assert {row["bound"] for row in there} == {o.bound for o in here}
            assert sum(row["time"] for row in there) == pytest.approx(sum(o.time for o in here), rel=1e-9)


def test_a_slower_link_makes_exchanges_longer_and_is_none_of_one_device(ask):
    link, view = "cluster.links.node.bandwidth", QWEN | COUNTS | {"tp": 2, "prompt": 32768}
    own = ask("(view, path) => roofsim.value(view, path)", view, link)
    assert own == library.cluster("4x-rtx-4090").links.node.bandwidth.value
    half = ask("(view) => roofsim.predict(view)", view | {"numbers": {link: own / 2}})
    p = roofsim.predict(*QWEN.values(), tp=2, prompt=32768, set={link: "0.5x"})
    assert half["ttft"] == pytest.approx(p.request.ttft, rel=1e-9)
    assert half["ttft"] > 1.05 * ask("(view) => roofsim.predict(view)", view)["ttft"]
    assert ask("(view, path) => roofsim.value(view, path)", view | {"tp": 1}, link) is None


def test_a_million_tokens_cost_what_all_devices_are_paid_for(ask):
    price, view = "cost.price_per_hour", SEVERAL[0] | {"batch": 8}
    rented = ask("(view) => roofsim.predict(view)", view | {"numbers": {price: 0.5}})
    assert rented["usd_per_million"] == pytest.approx(2 * 0.5 * rented["total_time"] / 3600 / (8 * 128) * 1e6, rel=1e-9)
    assert ask("(view, path) => roofsim.value(view, path)", view, price) == pytest.approx(
        1599 / (3 * 365.25 * 24), rel=1e-2
    )
    bought = ask("(view) => roofsim.predict(view)", view)
    p = roofsim.predict("Qwen3-30B-A3B", "rtx-4090", "vllm", weights="fp8", tp=2, batch=8, prompt=1024, generate=128)
    assert bought["usd_per_million"] == pytest.approx(p.cost.request / (8 * 128) * 1e6, rel=1e-9)
    first, *_ = ask("(view) => roofsim.elasticities(view, 'usd_per_million')", view | {"numbers": {price: 0.5}})
    assert first["path"] == price
    assert first["value"] == pytest.approx(1, abs=1e-6)


def test_so_many_devices_as_a_model_or_a_cluster_has_not_are_refused_as_python_does(ask):
    view = {"model": "Qwen2.5-0.5B", "device": "raspberry-pi-5", "runtime": "llama.cpp"} | COUNTS
    assert ask("(view) => roofsim.lacks(view)", view | {"tp": 2}) == (
        "raspberry-pi-5: no file says what several of it stand in"
    )
    said = ask("(view) => roofsim.lacks(view)", view | {"device": "rtx-4090", "tp": 2})
    assert said == "--tp 2: llama.cpp does not divide a model so; it divides by pp"
    said = ask("(view) => roofsim.lacks(view)", QWEN | COUNTS | {"tp": 3})
    assert said == "this page has transformers-4.52-eager on fewer devices; roofsim explore --tp has more"


def test_host_times_of_operators_add_up_to_that_of_the_pass_without_what_begins_it(ask):
    (found,) = ask("(views) => views.map(roofsim.operators)", VIEWS[:1])
    for phase in ("prefill", "decode"):
        total = sum(row["host"] for row in found["rows"] if row["phase"] == phase)
        assert total == pytest.approx(getattr(python(VIEWS[0]), phase).host_time, rel=1e-9)


def test_intervals_are_those_of_python(ask):
    names = {"ttft": "ttft", "tpot": "tpot", "total_time": "total_time", "tokens_per_second": "tokens_per_second",
             "energy": "energy", "memory": "peak"}  # fmt: skip
    text = "(views, names) => views.map((view) => names.map((name) => roofsim.interval(view, name)))"
    for view, found in zip(VIEWS, ask(text, VIEWS, list(names)), strict=True):
        p = python(view)
        for name, there in zip(names, found, strict=True):
            if p.request.energy == p.request.energy or name != "energy":
                assert there == pytest.approx(p.intervals[names[name]], rel=1e-5), (view, name)


@pytest.mark.parametrize("calibration", ["auto", "none"])
def test_what_the_user_has_set_is_as_certain_as_in_python(ask, calibration):
    numbers = {"host.dispatch": 5e-6, "parameters.gemm_efficiency": 0.5, "device.memory.bandwidth": 5e11}
    view = QWEN | COUNTS | {"calibration": calibration, "numbers": numbers}
    p = roofsim.predict(*QWEN.values(), calibration=calibration, set={
        "host.dispatch": "5us", "parameters.gemm_efficiency": 0.5, "device.memory.bandwidth": "0.5TB/s"})  # fmt: skip
    for name in ("ttft", "tpot"):
        found = ask("(view, name) => roofsim.interval(view, name)", view, name)
        assert found == pytest.approx(p.intervals[name], rel=1e-5)


def test_bands_are_intervals_along_a_path(ask):
    text = """(view) => [roofsim.band(view, "ttft", "prompt", [64, 5000]),
      [64, 5000].map((prompt) => roofsim.interval({...view, prompt}, "ttft"))]"""
    band, single = ask(text, VIEWS[0])
    assert [[band[end][str(i)] for end in ("low", "high")] for i in (0, 1)] == single


def test_elasticities_are_derivatives(ask):
    paths = ("host.dispatch", "device.memory.bandwidth", "parameters.gemm_efficiency", "device.peak.matrix.bf16")
    view = QWEN | {"batch": 4, "prompt": 5000, "generate": 33}
    found = {row["path"]: row["value"] for row in ask("(view) => roofsim.elasticities(view, 'total_time')", view)}
    f = roofsim.compile(*QWEN.values(), figures="total_time", over=paths, batch=4, prompt=5000, generate=33)
    s = {path: ask("(view, path) => roofsim.value(view, path)", view, path) for path in paths}
    for path in paths:
        assert found.get(path, 0) == pytest.approx(float(f.elasticity("total_time", path)(**s)), abs=2e-5), path


def test_ends_are_the_limits_of_python(ask):
    for view, found in zip(VIEWS, ask("(views) => views.map(roofsim.ends)", VIEWS), strict=True):
        p = python(view)
        window = roofsim.architecture(view["model"]).window
        assert found["max_prompt"] in (p.limits.memory_prompt, None), view
        assert (found["max_prompt"] is None) == (p.limits.memory_prompt >= 10**12)
        assert found["window"] == (window - view["generate"] + 1 if window else None)


def test_crossings_are_those_of_the_command(ask):
    a, b = QWEN | COUNTS, QWEN | COUNTS | {"model": "mamba2-780m"}
    found = ask("(a, b) => roofsim.crossings(a, b, 'ttft', 16, 2 ** 20, {intervals: true})", a, b)
    (pair,) = roofsim.crossover("Qwen2.5-0.5B", "mamba2-780m", device="rtx-4090").pairs
    assert [each["x"] for each in found] == [each.length for each in pair.crossings]
    assert [(each["low"], each["high"]) for each in found] == [each.interval for each in pair.crossings]


@pytest.mark.parametrize(
    ("path", "figure", "low", "high"), [("batch", "total_time", 1, 256), ("host.dispatch", "ttft", 2.5e-7, 6.4e-5)]
)
def test_crossings_over_another_number_are_where_python_finds_the_order_turned(ask, path, figure, low, high):
    a, b = QWEN | COUNTS, QWEN | COUNTS | {"model": "mamba2-780m"}
    asked = "(a, b, path, ...more) => roofsim.crossings(a, b, ...more, {path, intervals: true})"
    found = ask(asked, a, b, path, figure, low, high)
    assert found
    for each in found:
        assert each["low"] <= each["x"] <= each["high"]
        step = 1 if path == "batch" else 1e-6 * each["x"]
        ahead = [ahead_of(a, b, path, figure, x) for x in (each["x"] - step, each["x"])]
        assert ahead[0] != ahead[1]


def ahead_of(a, b, path, figure, x):
    own = {path: x} if path in COUNTS else {"set": {path: f"{x!r}s"}}
    counts = {name: a[name] for name in COUNTS} | own
    values = [
        getattr(roofsim.predict(side["model"], side["device"], side["runtime"], **counts).request, figure)
        for side in (a, b)
    ]
    return values[0] <= values[1]


def test_regimes_are_where_what_binds_changes(ask):
    found = ask("(view) => roofsim.regimes(view, 16, 2 ** 18)", VIEWS[0])
    assert found
    for each in found:
        for n, bound in ((each["x"] - 1, each["from"]), (each["x"], each["to"])):
            p = roofsim.predict(*QWEN.values(), prompt=n)
            assert getattr(p, each["phase"]).bound == bound


def test_own_numbers_are_what_if_s(ask):
    numbers = {"device.memory.capacity": 48e9, "device.memory.bandwidth": 2e12, "host.dispatch": 5e-6,
               "device.peak.matrix.bf16": 3e14}  # fmt: skip
    (found,) = ask("(views) => views.map(roofsim.predict)", [QWEN | COUNTS | {"numbers": numbers}])
    (ridges,) = ask("(views) => views.map(roofsim.ridges)", [QWEN | COUNTS | {"numbers": numbers}])
    p = roofsim.predict(*QWEN.values(), set={
        "device.memory.capacity": "48GB", "device.memory.bandwidth": "2TB/s", "host.dispatch": "5us",
        "device.peak.matrix.bf16": "300TFLOP/s"})  # fmt: skip
    assert (found["ttft"], found["tpot"], found["room"]) == pytest.approx(
        (p.request.ttft, p.request.tpot, p.room.bytes), rel=1e-9
    )
    assert {each["dtype"]: each["ridge"] for each in ridges}["bf16"] == pytest.approx(150)


def test_memory_is_that_of_predictions(ask):
    found = ask("(view) => roofsim.memory(view, [300, 40000])", QWEN | COUNTS)
    for i, n in enumerate((300, 40000)):
        m = roofsim.predict(*QWEN.values(), prompt=n).memory
        parts = {name: found["parts"][name][str(i)] for name in found["parts"]}
        assert sum(parts.values()) == pytest.approx(m.reserved)
        assert parts["masks"] == m.masks
    assert (found["capacity"], found["usable"]) == (roofsim.device("rtx-4090").memory.capacity.value, 25232932864)


def test_what_cannot_be_run_says_why_as_python_does(ask):
    lacks = ask("(view) => roofsim.lacks(view)", QWEN | COUNTS | {"device": "raspberry-pi-5", "runtime": "vllm"})
    assert (
        lacks == "vllm is written for NVIDIA gpu, NVIDIA soc, AMD gpu, not for Raspberry Pi cpu "
        "(llama.cpp-b4384-cpu, llama.cpp-cpu and transformers-5-cpu are)"
    )
    assert ask("(view) => roofsim.lacks(view)", QWEN | COUNTS) is None
    stack = ask("(view) => roofsim.stack(view)", QWEN | {"device": "raspberry-pi-5", "runtime": "llama.cpp"})
    assert stack["runtime"] == "llama.cpp-cpu"


def test_formats_and_calibrations_are_listed_with_the_usual_first(ask):
    view = QWEN | COUNTS
    formats = ask("(view) => roofsim.formats(view)", view | {"runtime": "llama.cpp"})
    assert [each["name"] for each in formats["weights"]] == ["bf16", "q8_0", "q4_k_m"]
    assert [each["name"] for each in formats["cache"]] == ["bf16", "q8_0", "q4_0"]
    assert [each["name"] for each in ask("(view) => roofsim.calibrations(view)", view)] == [
        "rtx-4090@ssm-scope",
        "none",
    ]
