"""Files that appear whole or not at all, and together."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from roofsim.foundation import writing
from roofsim.foundation.errors import InputError


def holds(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


def test_files_that_are_written_together_appear_at_the_end(tmp_path: Path) -> None:
    with writing.together():
        writing.text(str(tmp_path / "a"), "1")
        writing.text(str(tmp_path / "b"), "2")
        assert not {"a", "b"} & {path.name for path in tmp_path.iterdir()}
    assert holds(tmp_path) == {"a": "1", "b": "2"}


def test_none_of_them_appears_if_one_fails_and_folders_go_again(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("before")

    def fail() -> None:
        with writing.together():
            writing.text(str(tmp_path / "a"), "1")
            writing.folder(str(tmp_path / "x" / "y"))
            writing.text(str(tmp_path / "x" / "y" / "b"), "2")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert holds(tmp_path) == {"a": "before"}
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_became_read_only_meanwhile_keeps_the_others_away_too(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("before")

    def fail() -> None:
        with writing.together():
            writing.text(str(tmp_path / "a"), "1")
            writing.text(str(tmp_path / "b"), "2")
            (tmp_path / "b").chmod(0o444)

    with pytest.raises(InputError, match="read-only"):
        fail()
    assert holds(tmp_path) == {"b": "before"}


def test_a_file_that_is_needed_at_once_appears_at_once(tmp_path: Path) -> None:
    with writing.together():
        writing.text(str(tmp_path / "a"), "1", at_once=True)
        assert holds(tmp_path) == {"a": "1"}


def test_the_longest_name_of_a_file_is_one(tmp_path: Path) -> None:
    longest = os.pathconf(tmp_path, "PC_NAME_MAX")
    writing.text(str(tmp_path / ("a" * longest)), "1")
    assert list(holds(tmp_path)) == ["a" * longest]


def loop(folder: Path) -> Path:
    (folder / "loop").symlink_to(folder / "loop")
    return folder / "loop"


def read_only(folder: Path) -> Path:
    (folder / "kept").write_text("before")
    (folder / "kept").chmod(0o444)
    return folder / "kept"


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "a loop": (loop, "cannot be written"),
    "read-only": (read_only, "is read-only"),
    "a folder": (lambda folder: folder, "not the name of a file"),
    "a device": (lambda folder: Path("/dev/null"), "not the name of a file"),
    "no folder": (lambda folder: folder / "absent" / "a", "there is no folder"),
    "300 letters": (lambda folder: folder / ("a" * 300), "cannot be written: File name too long"),
    "NUL": (lambda folder: folder / "a\0b", "cannot be written"),
}


@pytest.mark.parametrize(("made", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_written_is_refused_with_the_reason(
    made: Callable[[Path], Path], said: str, tmp_path: Path
) -> None:
    path = made(tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=said):
        writing.text(str(path), "1")
    assert sorted(tmp_path.iterdir()) == before
