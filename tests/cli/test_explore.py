"""`roofsim explore` writes one whole file, or says why not."""

from __future__ import annotations

import re

import pytest

SMALL = "explore -m mamba-130m -d orin -r ideal"


def test_it_writes_one_file_that_asks_nothing_of_others(attempt, here):
    done = attempt(f"{SMALL} -o mine.html")
    text = (here / "mine.html").read_text()
    assert done.stderr == f"wrote mine.html ({len(text.encode()) / 1e6:.2f} MB)\n"
    assert done.stdout == ""
    assert [each.name for each in here.iterdir()] == ["mine.html"]
    assert set(re.findall(r'<(?:script|link|img|iframe)[^>]*(?:src|href)="([^"]*)"', text)) <= {"data:,"}
    assert "/*{" not in text


def test_it_is_silent_if_asked_and_named_page_unless_named(attempt, here):
    assert attempt(f"{SMALL} -q").stderr == ""
    assert (here / "page.html").exists()


@pytest.mark.parametrize(("words", "said"), [
    ("-m Qwen2.5-0.6B", "Qwen2.5-0.5B"),
    ("-d orinn", "orin"),
    ("-r llama.ccp", "llama.cpp"),
    ("--weights q4_k", "q4_k_m"),
    ("-o page.txt", "'page.txt' should end in .html, .htm"),
    ("-o nowhere/page.html", "there is no folder 'nowhere'"),
    ("-m mamba-130m,mamba-130m", "is given twice"),
    ("-m Zamba2-1.2B -r llama.cpp", "none of these can be run: llama.cpp does not run zamba2"),
    ("-r vllm -d raspberry-pi-5", "none of these can be run: vllm is written for NVIDIA gpu, NVIDIA soc, AMD gpu"),
])  # fmt: skip
def test_what_cannot_be_is_said_and_nothing_is_written(attempt, here, words, said):
    small = [each for each in ("-m mamba-130m", "-d orin", "-r ideal") if each[:2] not in words]
    done = attempt(f"explore {' '.join(small)} {words}")
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.split())
    assert list(here.iterdir()) == []
