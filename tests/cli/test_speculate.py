"""`roofsim speculate`: what is asked reaches the study, and wrong input is told where it is."""

from __future__ import annotations

import csv
import io

import pytest

ASKED = "speculate Qwen3.5-4B -d rtx-4090 -r llama.cpp"
NGRAM = ("--draft", "ngram", "--accept", "0.5")


def test_drafts_are_as_asked_for(data):
    given = ("--draft", "mtp", "--accept", "0.9,0.6", "-k", "2", "--weights", "q4_k_m", "--overhead", "1ms", "-b", "2")
    found = data(ASKED, *given)
    assert (found["draft"], found["chosen"], found["acceptance"]) == ("mtp", 2, {"alpha": None, "places": [0.9, 0.6]})
    assert [row["tokens"] for row in found["rows"]] == [1, 2]
    assert found["rows"][1]["made"] == pytest.approx(2.5)
    assert found["workload"]["batch"] == 2
    row = found["rows"][1]
    assert row["tpot"] == pytest.approx((row["draft_time"] + row["verify_time"] + row["state_time"]) / 2.5)
    assert row["state_time"] > 1e-3
    assert found["intervals"]["speedup"][0] < row["speedup"] < found["intervals"]["speedup"][1]


def test_what_servers_report_is_understood(data):
    rate, length = (data(ASKED, "--draft", "ngram", "--accept", given, "-k", "3")
                    for given in ("rate=50%", "length=2.5"))  # fmt: skip
    assert rate["acceptance"] == length["acceptance"]
    assert rate["rows"][2]["made"] == pytest.approx(2.5)


def test_the_table_says_from_where_on_drafts_pay(roofsim):
    said = roofsim(ASKED, *NGRAM)
    assert "n-grams of the text" in said
    assert "They pay" in said
    assert "95 % interval" in said


def test_several_are_a_table_with_a_row_each(roofsim):
    found = roofsim(ASKED, "--draft", "ngram", "--accept", "0.5", "-b", "1,8", "-k", "2", "-f", "csv")
    rows = list(csv.DictReader(io.StringIO(found)))
    assert {row["batch"] for row in rows} == {"1", "8"}
    assert "pays to batch" in " ".join(roofsim(ASKED, *NGRAM, "-b", "1,8").split())


def test_a_tree_has_a_row_for_each_size(roofsim, data):
    given = ("--draft", "mtp", "--accept", "0.8", "--tree", "depth=2,top=2,nodes=5")
    found = data(ASKED, *given)
    assert (found["chosen"], [row["tokens"] for row in found["rows"]]) == (5, [4, 5])
    assert found["rows"][1]["made"] > 1 + 0.8 + 0.64
    assert "a tree of 5 tokens, 2 deep, with the best 2 of each pass" in " ".join(roofsim(ASKED, *given).split())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--draft", "ngram", "--accept", "1.2"), "accept: 1.2 is not a chance; it lies from 0 to 1"),
        (("--draft", "ngram", "--accept", "-0.1"), "accept: -0.1 is not a chance; it lies from 0 to 1"),
        (("--draft", "ngram", "--accept", "often"), "write a chance (0.7)"),
        (("--draft", "ngram", "--accept", "0.5,0.6"), "0.6 at place 2 is more than 0.5 before it"),
        (("--draft", "ngram", "--accept", "rate=0.5"), "say which with --draft-tokens"),
        (("--draft", "ngram", "--accept", "rate=1.5", "-k", "2"), "lies from 0 to 1, not 1.5"),
        (("--draft", "ngram", "--accept", "length=4", "-k", "2"), "lies from 1 to 3, not 4"),
        (("--draft", "ngram", "--accept", "mean=4", "-k", "2"), "no 'mean'"),
        (("--draft", "ngram", "--accept", "0.8,0.6", "-k", "3"), "3 is not a number of drafted tokens"),
        (("--draft", "ngram", "--accept", "0.8", "-k", "0"), "0"),
        (("--draft", "Llama-3.2-1B", "--accept", "0.8"), "128,256 tokens in its vocabulary and Qwen3.5-4B 248,320"),
        (("--draft", "Qwen3.5-27B", "--accept", "0.8"), "(26.9 B parameters) is larger than Qwen3.5-4B (4.21 B)"),
        (("--draft", "no-such", "--accept", "0.8"), "no-such"),
        (("--draft", "mtp", "--accept", "0.8", "--tree", "depth=2,top=2,nodes=9"), "there are from 2 to 6"),
        (("--draft", "mtp", "--accept", "0.8", "--tree", "depth=2,top=2,nodes=6", "-k", "2"), "give one of them"),
        ((*NGRAM, "--tree", "depth=2,top=2,nodes=6"), "a tree is drafted by a model or a head"),
        ((*NGRAM, "-b", "1,2", "--plot", "f.svg"), "--plot: is of one model on one device"),
    ],
)
def test_wrong_input_is_told(refused, given, said):
    assert said in refused(ASKED, *given)


def test_a_draft_that_does_not_fit_is_told(refused):
    said = refused("speculate Llama-3.1-8B -d rtx-4090 --draft Llama-3.1-8B --accept 0.8")
    assert "the draft does not fit beside the model: Llama-3.1-8B 15.3 GiB" in said
