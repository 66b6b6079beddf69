"""Steps of a round of requests, counted by hand."""

from __future__ import annotations

import pytest

from roofsim.prediction.loop import Engine, Loop

TOGETHER = Engine(tokens=2048, sequences=256)
ASYNC = Engine(tokens=2048, sequences=256, ahead=1)


def loop(engine, users, prompt, generate, running=None):
    return Loop(engine, users, users if running is None else running, prompt, generate)


def test_one_user_never_waits_and_has_a_step_for_every_token():
    one = loop(ASYNC, 1, 1000, 10)
    assert (one.mixed, one.own, one.waits, one.round, one.decoding) == (1, 1, 0, 10, 0)
    assert one.first(float("inf")) == (1, 0)
    assert one.beside(float("inf")) == 0


def test_a_prompt_longer_than_a_step_is_cut():
    # a step of 2,048 tokens, one of which is the sequence's own: 5,000 tokens take 3 steps
    one = loop(ASYNC, 1, 5000, 10)
    assert (one.mixed, one.own, one.pieces, one.round) == (3, 3, 1, 12)
    assert one.new == pytest.approx(5000 / 3)


def test_prompts_that_fit_one_by_one_follow_each_other():
    # room 2,048 - 4: one prompt of 1,500 goes through, and a part of the next
    four = loop(TOGETHER, 4, 1500, 20)
    # the first alone, then 4,500 tokens in steps of 2,044
    assert four.mixed == 1 + 3
    assert (four.pieces, four.new) == (1, 1500)
    # 19 steps after the prompt's own, and one that is waited for
    assert (four.round, four.waits) == (21, 1)
    # of four steps with prompts the first is preceded by one without; three are waited for in a step with a prompt
    mixed, alone = four.first(float("inf"))
    assert (mixed, alone) == (pytest.approx(1 + 3 / 4), pytest.approx(1 / 4))
    # 4 in all, less those: seen in the 19 steps of decoding
    assert four.beside(float("inf")) == pytest.approx((4 - 1 - 3 / 4) / 19)
    # in a step with a prompt all but the one that waits and the one whose prompt it is decode
    assert four.decoding == pytest.approx(4 * (4 - 1 - 1) / 4)


def test_whole_prompts_share_a_step_only_if_they_fit_it_whole():
    cut, whole = loop(Engine(2100, 9), 4, 1500, 20), loop(Engine(2100, 9, whole=True), 4, 1500, 20)
    assert (cut.mixed, whole.mixed) == (1 + 3, 1 + 3)
    # room 3,996: two whole ones, and two and two thirds
    cut, whole = loop(Engine(4000, 9), 4, 1500, 20), loop(Engine(4000, 9, whole=True), 4, 1500, 20)
    assert (cut.mixed, whole.mixed) == (1 + 2, 1 + 2)
    cut, whole = loop(Engine(4100, 9), 100, 1500, 20), loop(Engine(4100, 9, whole=True), 100, 1500, 20)
    assert (cut.mixed, whole.mixed) == (1 + 38, 1 + 50)  # ceil(99 x 1,500 / 4,000), 99 by two


def test_what_does_not_fit_a_step_whole_still_goes_through():
    assert loop(Engine(1000, 9, whole=True), 3, 1500, 20).mixed == 3


def test_prompts_of_more_steps_than_a_request_has_make_it_wait():
    # 100 prompts, one a step, and 20 steps of a request: it waits for the other 80
    many = loop(Engine(1600, 256, ahead=1, whole=True), 100, 1500, 20)
    assert (many.mixed, many.round, many.waits) == (100, 100, 80)
    assert many.first(float("inf")) == (81, 0)
    assert many.beside(float("inf")) == 1
    # 19 of 100 steps of each are decoding
    assert many.decoding == pytest.approx(19)


def test_who_finds_no_place_waits_for_rounds_of_the_engine():
    queued = loop(ASYNC, 12, 1000, 10, running=4)
    full = loop(ASYNC, 4, 1000, 10)
    assert queued.turns == 3
    # who waits in the queue is there when a place is: it waits for what is laid out already, not for a step to end
    assert (queued.late, full.late) == (1, 2)
    mixed, alone = queued.first(float("inf"))
    assert mixed + alone == pytest.approx(queued.own + queued.waits + 2 * queued.round)


def test_a_benchmark_begins_with_all_prompts_and_ends_with_none():
    four = loop(TOGETHER, 4, 1500, 20)
    once = loop(TOGETHER, 4, 1500, 20).first(1)
    # the first of 4 after one step, the last after all
    assert once == (pytest.approx((4 + 1) / 2), 0)
    assert four.beside(1) == pytest.approx((4 - 1) / 2 / 19)
    steady, both = four.first(float("inf")), four.first(2)
    assert both == (pytest.approx((steady[0] + once[0]) / 2), pytest.approx(steady[1] / 2))


def test_a_request_of_one_token_has_no_steps_of_decoding():
    only = loop(TOGETHER, 4, 1500, 1)
    assert only.decoding == 0
    assert only.round == only.mixed
