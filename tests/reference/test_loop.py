"""Steps of a round of requests, counted by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from roofsim.prediction.loop import (
    Apart,
    Engine,
    Kinds,
    Loop,
    Otherwise,
    alike_steps,
    first_token,
    next_token,
    otherwise,
    over,
    passes,
    served,
)  # fmt: skip
from roofsim.prediction.request import settled
from roofsim.prediction.server import Room
from roofsim.prediction.setup import setup
from roofsim.specs.workload import workload

TOGETHER = Engine(tokens=2048, sequences=256)
ASYNC = Engine(tokens=2048, sequences=256, ahead=1)
FIRST = Engine(tokens=2048, sequences=256, ahead=1, mixed=False)
ENDLESS = float("inf")


def loop(engine, users, prompt, generate, running=None):
    return Loop(engine, users, users if running is None else running, prompt, generate)


def near(*numbers):
    return tuple(pytest.approx(each) for each in numbers)


def test_one_user_never_waits_and_has_a_step_for_every_token():
    one = loop(ASYNC, 1, 1000, 10)
    assert (one.steps, one.waits, one.decoding, one.decoding_alone) == (Kinds(1, 0, 9), 0, 0, 1)
    assert one.until_first(ENDLESS) == (1, 0, 0)
    assert one.between_tokens(ENDLESS) == (0, 0, 1)


def test_a_prompt_longer_than_a_step_is_cut():
    # a step of 2,048 tokens, one of which is the sequence's own: 5,000 tokens take 3 steps
    one = loop(ASYNC, 1, 5000, 10)
    assert one.steps == (3, 0, 9)
    assert one.new[0] == pytest.approx(5000 / 3)
    assert one.until_first(ENDLESS) == (3, 0, 0)


def test_prompts_that_fit_one_by_one_follow_each_other():
    # room 2,048 - 4: one prompt of 1,500 goes through
    four = loop(TOGETHER, 4, 1500, 20)
    assert (four.first, four.others, four.pieces, four.own) == (1, 3, 1, 1)
    assert four.new == near(1500, 1500)
    # 19 steps after the prompt's own, and one that is waited for
    assert (four.round, four.waits, four.gap) == (21, 1, 0)
    # the first one waits for a step without prompts, the second for that of the first, both others for a prompt
    assert four.waited == near(1 / 4, 2 / 4, 1 / 4)
    # with the own: a quarter is the first
    assert four.until_first(ENDLESS) == near(1 / 4 + 1 / 4, 2 / 4 + 3 / 4, 1 / 4)
    # 1 and 3 in all, less those: seen in the 19 steps of decoding
    assert four.between_tokens(ENDLESS) == near((1 - 1 / 2) / 19, (3 - 5 / 4) / 19, 1 - (4 - 7 / 4) / 19)
    # in a step with a prompt all but the one that waits and the one whose prompt it is decode
    assert four.decoding == pytest.approx(4 * (3 - 1) / 4)
    assert four.decoding_alone == 4


def test_a_step_laid_out_ahead_parts_the_first_prompt_from_the_others():
    four = loop(ASYNC, 4, 1500, 20)
    assert (four.late, four.gap, four.round) == (2, 1, 22)
    # the second waits for the first's prompt and the step after it, the third for that and the second's, the last for
    # the second's and third's; the first for two steps without
    assert [four.behind(place) for place in range(2)] == [(1, 0, 1), (0, 1, 1)]
    assert four.waited == near(1 / 4, (1 + 2) / 4, (2 + 1 + 1) / 4)


def test_all_others_in_one_step_wait_for_the_first_and_what_is_laid_out():
    eight = loop(ASYNC, 8, 250, 20)
    assert (eight.steps, eight.pieces, eight.new[1]) == (Kinds(1, 1, 20), 7, 250)
    assert eight.waited == near(7 / 8, 0, (2 + 7) / 8)
    assert eight.until_first(ENDLESS) == near(1, 7 / 8, 9 / 8)
    # nothing is left to be met: the first alone meets the others' prompts
    assert eight.between_tokens(ENDLESS) == near(0, 1 / 8 / 19, 1 - 1 / 8 / 19)
    assert eight.decoding == 0
    # 8 x 19 tokens in 20 steps
    assert eight.decoding_alone == pytest.approx(8 * 19 / 20)


def test_prompts_share_a_step_if_they_fit_it_whole():
    # room 4,000: 99 by two; who ended with others comes back with them
    for whole in (False, True):
        assert loop(Engine(4100, 9, whole=whole), 100, 1500, 20).others == 50


def test_what_does_not_fit_a_step_whole_still_goes_through():
    assert loop(Engine(1000, 9, whole=True), 3, 1500, 20).mixed == 3


def test_prompts_of_more_steps_than_a_request_has_make_it_wait():
    # 100 prompts, one a step, and 20 steps of a request: it waits for the other 80
    many = loop(Engine(1600, 256, ahead=1, whole=True), 100, 1500, 20)
    assert (many.mixed, many.round, many.waits, many.gap) == (100, 100, 80, 0)
    assert sum(many.until_first(ENDLESS)) == pytest.approx(81)
    assert many.until_first(ENDLESS).alone == 0
    assert many.between_tokens(ENDLESS).alone == pytest.approx(0)
    # 19 of 100 steps of each are decoding
    assert many.decoding == pytest.approx(19)


def test_who_finds_no_place_waits_for_rounds_of_the_engine():
    queued, full = loop(ASYNC, 12, 1000, 10, running=4), loop(ASYNC, 4, 1000, 10)
    assert queued.turns == 3
    # who waits in the queue is there when a place is: it waits for what is laid out already, not for a step to end
    assert (queued.late, full.late) == (1, 2)
    assert sum(queued.until_first(ENDLESS)) == pytest.approx(queued.first + queued.waits + 2 * queued.round)


def test_a_benchmark_begins_with_all_prompts_and_ends_with_none():
    four = loop(TOGETHER, 4, 1500, 20)
    once = four.until_first(1)
    # the first of 4 after one step, the last after all
    assert once == near(1, (0 + 1 + 2 + 3) / 4, 0)
    # others go on after the first, two after the second, one after the third
    assert four.between_tokens(1) == near(0, (3 + 2 + 1) / 4 / 19, 1 - 6 / 4 / 19)
    steady, both = four.until_first(ENDLESS), four.until_first(2)
    assert both == near(*((a + b) / 2 for a, b in zip(steady, once, strict=True)))


def test_a_request_of_one_token_has_no_steps_of_decoding():
    only = loop(TOGETHER, 4, 1500, 1)
    assert only.decoding == 0
    assert only.round == only.mixed


def test_what_steps_take_is_summed_by_kind():
    steps = Kinds(2, 3, 5)
    assert steps.of((7, 11, 13)) == 2 * 7 + 3 * 11 + 5 * 13
    assert steps.blended(Kinds(4, 9, 5), 1 / 4) == near(2.5, 4.5, 5)


def test_long_prompts_of_several_users_take_several_steps_each():
    # room 2,048 - 3: 5,000 tokens in 3 steps, the 10,000 of both others in 5
    three = loop(ASYNC, 3, 5000, 20)
    assert (three.first, three.others, three.mixed) == (3, 5, 8)
    assert three.own == pytest.approx(5 / 2)
    assert (three.pieces, three.new[1]) == (1, 10_000 / 5)
    assert three.new[0] == pytest.approx(5000 / 3)
    # 19 steps, 3 of the own prompt, 2 waited for; 16 without prompts, one of them behind the first
    assert (three.late, three.round, three.waits, three.gap, three.between) == (2, 24, 2, 1, 2)
    # the first waits for two steps without; of the others two fifths wait for (1, 0, 1) and (0, 1, 1), all else for two
    assert three.waited == near(2 / 3 / 5, 2 - 2 / 3 / 5 - (2 / 3 + 2 / 3 * 2 / 5), 2 / 3 + 2 / 3 * 2 / 5)
    assert three.until_first(ENDLESS).others == pytest.approx(three.waited.others + 2 / 3 * 5 / 2)
    # 3 x (5 - 2) of 8 steps; what is left of 3 x 19 in the 16 others
    assert three.decoding == pytest.approx(9 / 8)
    assert three.decoding_alone == pytest.approx((57 - 9) / 16)


def test_a_step_that_is_just_full_takes_one_prompt_more():
    # room 2,048 - 8: 2,040 are four prompts of 510, and three of 511
    assert loop(TOGETHER, 8, 510, 20).others == 2
    assert loop(TOGETHER, 8, 511, 20).others == 3
    # of 2,040 one, of 2,041 none: they are cut
    assert loop(TOGETHER, 8, 2040, 20).others == 7
    assert loop(TOGETHER, 8, 2041, 20).others == 8  # 14,287 tokens by 2,040


def test_more_sequences_than_tokens_leave_room_for_one():
    assert loop(Engine(4, 9), 5, 3, 20).first == 3


def test_two_steps_ahead_part_the_first_prompt_twice():
    five = loop(Engine(2048, 256, ahead=2), 5, 1500, 20)
    assert (five.late, five.gap) == (3, 2)
    assert [five.behind(place) for place in range(4)] == [(1, 0, 2), (0, 1, 2), (0, 2, 1), (0, 3, 0)]
    # a fifth waits for three steps without, and each of the four others as above
    assert five.waited == near(1 / 5, (1 + 2 + 3) / 5, (3 + 2 + 2 + 1) / 5)


def test_a_round_without_room_between_prompts_has_less_of_a_gap():
    # 20 prompts one a step, 19 steps of a request: 22 steps of a round, of which two have none
    full = loop(ASYNC, 20, 1500, 20)
    assert (full.mixed, full.round, full.gap, full.between) == (20, 22, 1, 1)
    fuller = loop(ASYNC, 22, 1500, 20)
    assert (fuller.mixed, fuller.round, fuller.gap, fuller.between) == (22, 22, 0, 0)


def test_who_finds_no_place_in_a_burst_waits_for_half_of_the_others() -> None:
    """Twelve come at once for four places: a third of them begins at once, others wait for none to two rounds."""
    queued = loop(ASYNC, 12, 1000, 10, running=4)
    burst = queued.until_first(1)
    alone = loop(ASYNC, 4, 1000, 10).until_first(1)
    assert sum(burst) == pytest.approx(2 / 3 * (queued.first + queued.waits) + 1 / 3 * sum(alone) + queued.round)
    # ten requests of each: one in ten is of the burst
    assert sum(queued.until_first(10)) == pytest.approx(
        29 / 30 * (queued.first + queued.waits) + 1 / 30 * sum(alone) + 2 * queued.round * 19 / 20
    )
    # of what is generated only the last four are answered with nobody behind them
    last = loop(ASYNC, 4, 1000, 10).gaps(1)
    for one, all_, of_last in zip(queued.gaps(1), queued.gaps(ENDLESS), last, strict=True):
        assert one == pytest.approx(2 / 3 * all_ + 1 / 3 * of_last, abs=0.02)


def test_prompts_with_steps_of_their_own_follow_each_other_while_all_wait() -> None:
    """Six of 1,000 tokens: one, two, two and one in a step, then nine steps of all six."""
    six = loop(FIRST, 6, 1000, 10)
    assert (six.first, six.others, six.pieces, six.own) == (1, 3, 5 / 3, 1)
    assert (six.round, six.late, six.decoding, six.decoding_alone) == (13, 0, 0, 6)
    # a step of 2,048 has room for two whole prompts, whoever decodes; in mixed ones 2,042
    assert (loop(FIRST, 6, 1024, 10).others, loop(ASYNC, 6, 1024, 10).others) == (3, 5)
    # the first after its own step; the others after one more, two, three: two in the mean
    assert six.until_first(ENDLESS) == near(1, 5 / 6 * 2, 0)
    assert six.until_first(1) == six.until_first(ENDLESS)
    # all prompts but those that it met before, and a step for each token
    assert six.between_tokens(ENDLESS) == near(0, (3 - 5 / 6 * 2) / 9, 1)
    assert [steps for share, steps in six.first_tokens(ENDLESS) if share] == [
        (1, 0, 0),
        (1, 1, 0),
        (1, 2, 0),
        (1, 3, 0),
    ]
    # short answers meet more prompts than they have tokens
    assert loop(FIRST, 6, 2000, 2).between_tokens(ENDLESS) == near(0, 5 - 5 / 6 * 3, 1)
    apart = Apart(FIRST, 6, 6, 1000, 10)
    assert (apart.round, apart.waits, apart.decoding, apart.decoding_alone) == (15, 0, 0, 6)
    assert apart.until_first(ENDLESS) == near(1, 0, 0)
    assert apart.between_tokens(ENDLESS) == near(5 / 9, 0, 1)


def test_steps_are_passes_of_all_their_sequences():
    s = setup("Qwen2.5-0.5B", "h100-sxm", "vllm")
    w = settled(s, workload(prompt=1500, generate=20, logits="last"))
    four = loop(TOGETHER, 4, 1500, 20)
    first, others, alone = passes(s, w, four)
    for each in (first, others):
        assert (each.batch, each.new, each.context, each.begins) == (1, 1500, 0, 1)
        (beside,) = each.beside
        # of 1,500 and none to 18 made before, as many decode as are neither waiting nor begun
        assert (beside.batch, beside.new, beside.context) == (2, 1, 1509)
    assert (alone.batch, alone.new, alone.context, alone.beside) == (4, 1, 1509, ())
    one, _, _ = passes(s, w, loop(Engine(500, 9), 1, 1500, 20))
    # 1,500 tokens in four steps of 375, on 562.5 of them in the mean
    assert (one.new, one.context, one.begins, one.beside) == (375, 562.5, 1 / 4, ())
    # a third of the prompt was found in a cache: it lies before what goes through
    found, _, _ = passes(s, w, loop(TOGETHER, 1, 1000, 20))
    assert (found.new, found.context) == (1000, 500)


def test_steps_before_a_token_and_between_two_are_those_of_their_kinds():
    s = setup("Qwen2.5-0.5B", "h100-sxm", "vllm")
    w = settled(s, workload(prompt=1500, generate=20, logits="last"))
    four = loop(TOGETHER, 4, 1500, 20)
    p = passes(s, w, four)
    assert list(first_token(four, p, 10)) == list(zip(four.until_first(10), p, strict=True))
    assert list(next_token(four, p, 10)) == list(zip(four.between_tokens(10), p, strict=True))


def test_who_misses_a_step_waits_for_one_more_and_who_is_in_time_for_one_less():
    four = loop(ASYNC, 4, 1500, 20)
    # one in progress, one laid out
    assert [replace(four, slip=n).late for n in (-3, -2, -1, 0, 1)] == [0, 0, 1, 2, 3]
    assert (replace(four, slip=1).round, replace(four, slip=1).waits) == (23, 3)
    # who waits in the queue waits for what is laid out
    queued = loop(ASYNC, 12, 1000, 10, running=4)
    assert [replace(queued, slip=n).late for n in (-1, 0, 1)] == [0, 1, 2]


def apart(*sizes, **more):
    together = loop(*sizes, **more)
    return Apart(together.engine, together.users, together.running, together.prompt, together.generate)


def test_users_who_drifted_apart_find_steps_of_either_kind_as_often_as_there_are_any():
    four = apart(ASYNC, 4, 1500, 20)
    # 19 steps after the prompt's own and two that are waited for: 22, of which four have a prompt
    assert (four.mixed, four.late, four.round, four.steps) == (4, 2, 22, (4, 0, 18))
    assert four.waited == near(2 * 4 / 22, 0, 2 * 18 / 22)
    assert four.until_first(ENDLESS) == near(1 + 8 / 22, 0, 36 / 22)
    # 4 prompts less the own and those that were waited for
    assert four.between_tokens(ENDLESS) == near((3 - 8 / 22) / 19, 0, 1 - (3 - 8 / 22) / 19)
    # 4 x 19 tokens in 22 steps
    assert (four.decoding, four.decoding_alone) == near(76 / 22, 76 / 22)
    assert four.first_tokens(ENDLESS)[:3] == [
        (pytest.approx((18 / 22) ** 2), (1, 0, 2)), (pytest.approx(2 * 18 / 22 * 4 / 22), (2, 0, 1)),
        (pytest.approx((4 / 22) ** 2), (3, 0, 0)),
    ]  # fmt: skip
    # they began together all the same: the first of four after its own step, the others after one, two and three more
    assert four.until_first(2) == near((1 + 8 / 22 + 1) / 2, 6 / 4 / 2, 36 / 22 / 2)


def test_nobody_is_apart_from_himself_and_prompts_alone_may_take_all_steps():
    one = apart(ASYNC, 1, 1000, 10)
    assert (one.steps, one.until_first(ENDLESS)) == ((1, 0, 9), (1, 0, 0))
    assert one.decoding == pytest.approx(9 / 10)
    assert one.decoding_alone == 1
    many = apart(ASYNC, 40, 1500, 20)
    assert (many.round, many.waits, many.steps) == (40, 20, (40, 0, 0))
    assert many.until_first(ENDLESS) == near(21, 0, 0)
    assert many.between_tokens(ENDLESS) == near(1, 0, 0)
    assert many.first_tokens(ENDLESS)[0] == (1, (21, 0, 0))


def test_first_tokens_of_a_round_one_by_one():
    four = loop(ASYNC, 4, 1500, 20)
    # the first after two steps without, the second after the first's and one without, the third after one without and
    # the second's, the last after the second's and third's; the own each
    assert [each for each in four.first_tokens(ENDLESS) if each[0]] == [
        (1 / 4, (1, 0, 2)), (1 / 4, (1, 1, 1)), (1 / 4, (0, 2, 1)), (1 / 4, (0, 3, 0))
    ]  # fmt: skip
    assert [steps for share, steps in four.first_tokens(1) if share] == [(1, n, 0) for n in range(4)]
    queued = loop(ASYNC, 12, 1000, 10, running=4)
    # two rounds of the engine before there is a place
    assert all(sum(steps) >= 2 * queued.round for share, steps in queued.first_tokens(ENDLESS) if share)
    # of five users with four places one in four waits for a round, the others for none
    five = replace(queued, users=5)
    waits = [(share, sum(steps) - five.round > 0) for share, steps in five.first_tokens(ENDLESS)]
    assert sum(share for share, waited in waits if waited) == pytest.approx(1 / 4)


def test_what_may_be_otherwise_is_told_each_by_itself():
    four = loop(ASYNC, 4, 1500, 20)
    same = (four.engine, 4, 4, 1500, 20)
    assert list(otherwise(four, 10)) == [
        Otherwise(Apart(*same), ENDLESS), Otherwise(Loop(*same, -1), 10), Otherwise(Loop(*same, 1), 10)
    ]  # fmt: skip
    assert list(otherwise(four, 10, stated=False, places=True))[3:] == [
        Otherwise(loop(ASYNC, 4, 1500, 20, running=3), 10), Otherwise(four, ENDLESS)
    ]  # fmt: skip
    # of a steady state a benchmark shows ten requests of each; who has no place anyhow has none to lose
    queued = loop(ASYNC, 12, 1000, 10, running=4)
    each = list(otherwise(queued, ENDLESS, stated=False, places=True))
    assert [one.rounds for one in each] == [ENDLESS] * 3 + [10]
    # nine rounds are before the last of ten
    assert [one.loop.gone for one in each] == [ENDLESS] * 3 + [9 / 2]
    assert next(otherwise(apart(ASYNC, 4, 1500, 20), ENDLESS)) == Otherwise(four, ENDLESS)
    assert not list(otherwise(loop(ASYNC, 1, 1500, 20), ENDLESS, stated=False))


def test_users_whose_prompts_fill_all_steps_are_not_apart():
    # 40 prompts, one a step, in the 22 steps of a request
    many = loop(ASYNC, 40, 1500, 20)
    assert [type(each.loop) for each in otherwise(many, ENDLESS)] == [Loop, Loop]
    # 21 are one less than steps, 22 as many
    assert [isinstance(next(otherwise(loop(ASYNC, n, 1500, 20), ENDLESS)).loop, Apart) for n in (21, 22)] == [
        True,
        False,
    ]


ROOM = Room(free=1000.0, mean=15.0, begun=10.0, ended=20.0, whole=4000.0)


def test_how_many_sequences_there_is_room_for():
    # 1,000 over 15 each in the mean; 0.05 of 4,000 more or less; over 20 each if all of it is taken beforehand
    assert [ROOM.sequences(more) for more in (0, 0.05, -0.05, -1)] == [66, 80, 53, 0]
    assert replace(ROOM, rule="all").sequences() == 50
    # 20 of the next one, and of each before it 15 and half of the 5 that it may still make, in the mean
    assert replace(ROOM, rule="next", kept=0.5).sequences() == 1 + 980 // 17.5
    assert [replace(ROOM, rule="next", free=x).sequences() for x in (19, 20)] == [0, 1]
    assert replace(ROOM, mean=0.0).sequences() == 2**31


def test_sequences_that_outgrow_their_room_give_it_up():
    # 50 fit at their end, 80 hold more than 12.5 each for 0.75 of a round, 100 always: each grows by 10 of 15
    often = [ROOM.put_back(users) for users in (40, 50, 80, 100, 400)]
    assert often == pytest.approx([0, 0, 0.75 * 10 / 15, 10 / 15, 10 / 15])
    assert [replace(ROOM, rule=rule).put_back(400) for rule in ("next", "all")] == [0, 0]
    assert replace(ROOM, begun=20.0).put_back(400) == 0


def test_what_gave_up_its_room_is_computed_again():
    # each of 4 computes half a time again 1,500 tokens and 10 of its answer: 3 prompts and 2 of 1,510 behind the first
    four = replace(loop(TOGETHER, 4, 1500, 20), put_back=0.5)
    assert (four.first, four.others) == (1, -(-(3 * 1500 + 2 * 1510) // 1500))
    assert four.pieces == 1
    assert four.new == near(1500, (3 * 1500 + 2 * 1510) / 6)
    # a prompt is 1,500 of the 7,520 tokens of 6 steps
    assert four.own == pytest.approx(6 * 1500 / 7520)
    # many short ones: 9 prompts and 5 of 105 in steps of 19
    ten = replace(loop(TOGETHER, 10, 100, 10), put_back=0.5)
    assert (ten.others, ten.pieces) == (1, 14)
    assert ten.new[1] == pytest.approx((900 + 525) / 14)


def test_who_gave_up_its_room_waits_for_another():
    # a quarter of a round each time: of 9 users 8 have places, and one has begun
    assert (served(9, 100, 0.5), served(9, 4, 0.5), served(9, 100, 0)) == (8, 4, 9)
    nine = replace(loop(TOGETHER, 9, 100, 10, running=8), put_back=0.5)
    assert nine.away == pytest.approx(1 / 8)
    # nobody waits for the first place
    assert (nine.late, sum(nine.until_first(ENDLESS))) == (1, pytest.approx(nine.waits + 1))
    assert sum(nine.gaps(ENDLESS)) == pytest.approx(1)
    assert sum(nine.between_tokens(ENDLESS)) == pytest.approx(1 + nine.round / 8 / 9)
    # 12 users: an eighth of a round less for it than the half that four make
    twelve = replace(nine, users=12)
    assert twelve.late == 0
    assert sum(twelve.until_first(ENDLESS)) == pytest.approx(twelve.waits + 1 + (12 / 8 - 1 - 1 / 8) * twelve.round)
    by = list(otherwise(nine, ENDLESS))[-2:]
    assert [(each.loop.put_off, each.loop.running) for each in by] == [(0, 8), (0.5, 9 / 1.25)]


THREE = Engine(tokens=2048, sequences=256, ahead=2)
EACH = [
    loop(ASYNC, 4, 1500, 20), loop(ASYNC, 9, 1500, 20, running=4), loop(TOGETHER, 4, 1500, 20), loop(ASYNC, 8, 250, 20),
    loop(THREE, 2, 1500, 2), loop(Engine(1600, 256, ahead=1, whole=True), 100, 1500, 20), loop(ASYNC, 1, 5000, 10),
    apart(ASYNC, 4, 1500, 20), apart(ASYNC, 9, 1500, 20, running=4), apart(ASYNC, 40, 1500, 20),
    replace(loop(TOGETHER, 12, 100, 10, running=8), put_back=0.5),
]  # fmt: skip


@pytest.mark.parametrize("one", EACH)
@pytest.mark.parametrize("rounds", [1, 3, ENDLESS])
def test_first_tokens_one_by_one_have_the_mean_of_all(one, rounds):
    each = one.first_tokens(rounds)
    assert sum(share for share, _ in each) == pytest.approx(1)
    means = [sum(share * steps[i] for share, steps in each) for i in range(3)]
    # answers of fewer steps than are laid out ahead end before the next ones begin
    assert means == pytest.approx(list(one.until_first(rounds)), abs=1e-9 if one.generate > 3 else 1)


def test_an_answer_that_ends_before_the_next_prompt_is_there():
    # of two users: three steps are waited for, one between the rounds, two behind the first prompt
    two = loop(THREE, 2, 1500, 2)
    assert (two.late, two.round, two.gap, two.between, two.waits) == (3, 5, 2, 1, 3)
    assert two.waited == near(1 / 2, 1 / 2, 2)


def test_who_waits_in_a_queue_is_counted_by_whole_rounds():
    # nine users on four places: one in four waits for two rounds, the others for one
    nine = loop(ASYNC, 9, 1500, 20, running=4)
    steps = [(share, sum(each) / nine.round) for share, each in nine.first_tokens(ENDLESS)]
    assert sum(share for share, n in steps if 2 < n < 2.3) == pytest.approx(1 / 4)
    assert sum(share for share, n in steps if 1 < n < 1.3) == pytest.approx(3 / 4)


def test_long_prompts_of_users_apart_take_their_steps_alone():
    # three steps each, of 22 and two; with half of them again, each time a prompt and ten tokens of its answer
    three = apart(ASYNC, 3, 5000, 20)
    assert (three.first, three.mixed, three.round) == (3, 9, 24)
    again = replace(three, put_back=0.5)
    assert again.mixed == pytest.approx(9 * (1 + 0.5 * 5010 / 5000))
    # two wait for each other, one of a single token does not
    assert apart(ASYNC, 2, 1000, 20).late == 2
    assert apart(ASYNC, 2, 1000, 2).late == 2
    assert apart(ASYNC, 2, 1000, 1).late == 0


def test_steps_of_one_sequence_more_are_alike():
    four = loop(ASYNC, 8, 1500, 20, running=4)
    others = [replace(four, running=n) for n in (2.5, 3, 4, 5, 5.5)]
    assert [alike_steps(four, other) for other in others] == [False, True, True, True, False]
    assert [alike_steps(other, four) for other in others] == [False, True, True, True, False]


def test_what_is_otherwise_counts_from_what_is_taken():
    late = replace(loop(ASYNC, 2, 1500, 20), slip=1)
    assert [each.loop.slip for each in otherwise(late, ENDLESS)] == [1, 0, 2]


def test_a_user_who_gave_up_nothing_is_as_many_as_places_to_the_last_bit():
    # 1 + 0.1 / 4 of 40 are 41 users but for rounding
    some = replace(loop(TOGETHER, 41, 100, 10, running=40), put_back=0.1)
    assert some.late == 1
    assert replace(some, users=42).late == 0
    # a request of one token has no step in which it could give up a place
    one = replace(loop(TOGETHER, 41, 100, 1, running=40), put_back=0.1)
    assert sum(one.between_tokens(ENDLESS)) == pytest.approx(1 + one.away * one.round)


def test_prompts_that_are_cut_part_one_round_after_the_other():
    # room 4,000 of 1,500: 99 in 37.1 steps at first, and in each third round a step more, until two go in each
    many = Loop(Engine(4100, 100), 100, 100, 1500, 20)
    assert [replace(many, gone=n).others for n in (0, 9, 30, 60, ENDLESS)] == [38, 41, 48, 50, 50]
    assert replace(many, engine=Engine(4100, 100, whole=True), gone=0).others == 50
    # those that fit no step are cut always
    assert replace(loop(ASYNC, 3, 5000, 20), gone=0).others == loop(ASYNC, 3, 5000, 20).others
    assert over(many, 11).gone == 5
    assert over(many, ENDLESS).gone == ENDLESS


def test_as_many_prompts_go_together_as_users_wait():
    # eight prompts of 250 fit a step
    eight = loop(ASYNC, 8, 250, 20)
    assert (eight.others, eight.pieces) == (1, 7)
    others = [replace(eight, users=n).others for n in (9, 10, 11, 15, 99)]
    assert others == [7, 4, 3, 1, 1]
    # who gave up a place goes before those who wait, a quarter of a round each time
    assert replace(eight, users=10, put_back=0.25).others == 2
    # a long one goes alone anyhow
    assert replace(loop(ASYNC, 4, 5000, 20), users=6).others == loop(ASYNC, 4, 5000, 20).others
