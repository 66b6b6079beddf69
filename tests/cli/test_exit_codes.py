"""Exit codes beside 2: 0 done, 1 a defect of ours; and readers that go away."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from roofsim import cli
from roofsim.foundation.errors import InputError
from roofsim.prediction import request as prediction

PREDICT = ["roofsim", "predict", "mamba2-780m", "-d", "rtx-4090"]


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    """What main() sets for its own process is not left behind in this one."""
    monkeypatch.setenv("PYDANTIC_DISABLE_PLUGINS", "__all__")
    yield
    gc.unfreeze()


@pytest.fixture
def broken(monkeypatch, here):
    """A prediction that runs into a defect."""

    def divide(*_, **__):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(prediction, "predict_request", divide)
    monkeypatch.setattr(sys, "argv", [*PREDICT, "-o", "out.txt"])
    return here


def test_a_defect_of_ours_exits_1_with_how_to_report_it(broken, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main()
    out, err = capsys.readouterr()
    assert stop.value.code == 1
    assert out == ""
    assert "a defect of ours: ZeroDivisionError: division by zero" in err
    assert "ROOFSIM_DEBUG=1" in err
    assert "Traceback" not in err
    assert list(broken.iterdir()) == []


def test_a_defect_of_ours_shows_its_traceback_if_asked(broken, monkeypatch):
    monkeypatch.setenv("ROOFSIM_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        cli.main()


def test_our_own_exceptions_are_wrong_input_and_not_a_defect(monkeypatch, here, capsys):
    def refuse(*_, **__):
        raise InputError("no such thing")

    monkeypatch.setattr(prediction, "predict_request", refuse)
    monkeypatch.setattr(sys, "argv", PREDICT)
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    assert capsys.readouterr().err == "Error: no such thing\n"


def test_a_command_that_is_done_exits_0(monkeypatch, here, capsys):
    monkeypatch.setattr(sys, "argv", PREDICT)
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 0


def program(*arguments: str, **options) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "roofsim", *arguments], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, **options
    )


def test_a_reader_that_has_seen_enough_is_no_error(here):
    with program("limits", "mamba2-780m", "-d", "orin", "--lengths", "1..1200+1", stdout=subprocess.PIPE) as running:
        assert running.stdout.read(10)
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode in (0, 1)  # click itself leaves with 1


def test_a_closed_stdout_is_no_defect_of_ours(here):
    # `roofsim ... >&-`: the shell closes the descriptor, Python then has no sys.stdout
    command = 'exec "$0" -m roofsim devices >&-'
    done = subprocess.run(["/bin/sh", "-c", command, sys.executable], stderr=subprocess.PIPE, check=False)
    assert b"Traceback" not in done.stderr
    assert b"defect of ours" not in done.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has /dev/full")
def test_a_full_disk_is_no_defect_of_ours(here):
    with open("/dev/full", "wb") as full, program("devices", stdout=full) as running:
        said = running.stderr.read()
    assert running.returncode != 0
    assert b"No space left on device" in said
    assert b"Traceback" not in said
    assert b"defect of ours" not in said
