"""Axes as people write them, and the points that they span."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roofsim.foundation.errors import InputError, UnknownName
from roofsim.spaces.axes import axes, axis, split
from roofsim.spaces.space import LARGEST_PART, Space, blocks, grid, listed, sampled


@pytest.mark.parametrize(
    ("name", "given", "values"),
    [
        ("prompt", "1k..4k*2", (1024, 2048, 4096)),
        ("prompt", 4096, (4096,)),
        ("batch", [1, "2k", np.int64(3)], (1, 2048, 3)),
        ("batch", np.array([1.0, 2.0]), (1, 2)),
        ("model", "a, b", ("a", "b")),
        ("model", "hybrid(every=2,width=512),b", ("hybrid(every=2,width=512)", "b")),
        ("device.memory.bandwidth", "0.5x..4x*2", ("0.5x", "1x", "2x", "4x")),
        ("device.memory.bandwidth", "1x..2x+0.25x", ("1x", "1.25x", "1.5x", "1.75x", "2x")),
        ("device.memory.bandwidth", "100GB/s..400 GB/s*2", ("100GB/s", "200GB/s", "400GB/s")),
        ("device.memory.bandwidth", "1x,500 GB/s", ("1x", "500 GB/s")),
        ("model.layers.decoder.mixer.window", "1k,4k", ("1024", "4096")),
        ("model.layers.decoder.mixer.window", "1k..4k*2", ("1024", "2048", "4096")),
        ("parameters.gemm_efficiency", [0.5, 0.75], ("0.5", "0.75")),
        ("runtime.attention.mask", "never,always", ("never", "always")),
    ],
)
def test_an_axis_has_the_values_that_were_written(name, given, values):
    assert axis(name, given).values == values


def test_a_range_by_steps_ends_where_it_says_though_steps_are_not_exact():
    found = axis("device.memory.bandwidth", "0.1x..1x+0.1x").values
    assert len(found) == 10
    assert found[-1] == "1x"


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("prompt", "", "whole number"),
        ("prompt", [], "at least one"),
        ("prompt", "4k..1k", "growing range"),
        ("prompt", [0], "whole number"),
        ("prompt", [1.5], "whole number"),
        ("prompt", [float("nan")], "cannot convert|whole number"),
        ("prompt", "1k,1024", "1024 is given twice"),
        ("model", "a,,b", "empty value"),
        ("device.memory.bandwidth", "2x..1x", "growing range"),
        ("device.memory.bandwidth", "1x..4x*1", "growing range"),
        ("device.memory.bandwidth", "1x..4GB/s", "several units"),
        ("device.memory.bandwidth", "-1x..4x", "positive numbers"),
        ("device.memory.bandwidth", "1x..2x*1.000001", "more than"),
    ],
)
def test_what_is_no_axis_is_refused(name, given, says):
    with pytest.raises(InputError, match=says):
        axis(name, given)


def test_names_that_there_are_not_are_refused():
    with pytest.raises(UnknownName, match="nearest: prompt"):
        axes({"promt": "1k"})
    with pytest.raises(UnknownName, match=r"axes: no 'devise\.x'"):
        axes({"devise.x": "1x"})


def test_choices_come_before_numbers_so_that_the_points_of_a_case_follow_one_another():
    found = axes(
        {"prompt": "1k", "model": "a", "device.clock": "1x,2x", "device": "d", "runtime.attention.mask": "never"}
    )
    assert [each.name for each in found] == ["model", "device", "runtime.attention.mask", "prompt", "device.clock"]


def test_pieces_are_set_off_by_commas_outside_brackets():
    assert split("a(b=1,c=[2,3]),d,") == ["a(b=1,c=[2,3])", "d", ""]


@given(st.lists(st.integers(1, 5), max_size=4), st.data())
def test_blocks_hold_the_elements_of_a_range_in_order(shape, data):
    size = int(np.prod(shape))
    low = data.draw(st.integers(0, size))
    high = data.draw(st.integers(low, size))
    whole = np.arange(size).reshape(shape)
    assert [int(x) for block in blocks(shape, low, high) for x in np.ravel(whole[block])] == list(range(low, high))


@given(st.lists(st.integers(1, 400), min_size=1, max_size=3), st.lists(st.integers(1, 400), max_size=3))
def test_parts_cover_a_space_and_are_not_too_large(choices, numbers):
    given = {name: [f"{i}a" for i in range(n)] for name, n in zip(("weights", "cache", "dtype"), choices, strict=False)}
    given |= {name: range(1, n + 1) for name, n in zip(("batch", "prompt", "generate"), numbers, strict=False)}
    space = grid(given)
    assert 1 <= space.part <= LARGEST_PART
    spans = [space.span(i) for i in (0, space.parts // 2, space.parts - 1)]
    assert spans[0][0] == 0
    assert spans[-1][1] == space.size
    assert all(0 < high - low <= space.part for low, high in spans)


def test_a_sample_is_of_different_points_in_order_and_the_same_for_a_seed():
    space = grid({"prompt": range(1, 1001), "batch": range(1, 1001)})
    one, again, other = (sampled(space, 100, seed).ordinals.tolist() for seed in (1, 1, 2))
    assert one == again != other
    assert one == sorted(set(one))
    assert len(one) == 100
    assert 0 <= one[0] <= one[-1] < 10**6


def test_a_sample_of_more_points_than_there_are_is_refused():
    space = grid({"prompt": "1k,2k"})
    with pytest.raises(InputError, match="there are 2 points"):
        sampled(space, 3, 0)
    with pytest.raises(InputError, match="points of a file"):
        sampled(Space(space.axes, np.array([0])), 1, 0)


def test_listed_points_keep_their_order():
    rows = [{"model": "b", "prompt": "2k"}, {"model": "a", "prompt": "1k"}, {"model": "b", "prompt": "1k"}]
    space = listed(rows, {"device": "d"})
    assert [a.name for a in space.axes] == ["model", "device", "prompt"]
    model, _, prompt = np.unravel_index(space.ordinals, space.shape)
    assert [space.axes[0].values[i] for i in model] == ["b", "a", "b"]
    assert [space.axes[2].values[i] for i in prompt] == [2048, 1024, 1024]


@pytest.mark.parametrize(
    ("rows", "others", "says"),
    [
        ([], {}, "at least one"),
        ([{"model": "a"}, {"device": "a"}], {}, "point 2: has device, but the first has model"),
        ([{"model": "a"}], {"model": "b"}, "model: given for every point and for all"),
        ([{"model": "a"}], {"device": "b,c"}, "one value each"),
    ],
)
def test_points_that_do_not_go_together_are_refused(rows, others, says):
    with pytest.raises(InputError, match=says):
        listed(rows, others)


def test_more_points_than_can_be_numbered_are_refused():
    with pytest.raises(InputError, match="more than can be numbered"):
        grid({"batch": range(1, 10**6), "prompt": range(1, 10**6), "generate": range(1, 10**6)})
