"""Checked specs that are kept in a folder: when they count, and that nothing depends on them."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from roofsim import library
from roofsim.foundation.errors import SpecError
from roofsim.foundation.schema import Spec, variant
from roofsim.specs import cache

LOADERS: dict[str, Callable[[str], Spec]] = {
    "hardware": library.device,
    "models": library.architecture,
    "runtimes": library.runtime,
    "hardware/hosts": library.host,
    "hardware/clusters": library.cluster,
    "hardware/costs": library.terms,
    "hardware/calibrated": library.calibration,
}
SHIPPED = [(kind, name) for kind in LOADERS for name in library.names(kind)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("ROOFSIM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A file of the user's."""
    return shutil.copy(library.names("hardware/hosts")["desktop"], tmp_path / "mine.yaml")


def entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


@pytest.mark.parametrize(("kind", "name"), SHIPPED)
def test_what_is_kept_is_what_was_checked(kind: str, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = LOADERS[kind](name)
    assert len(entries(folder)) == 1
    monkeypatch.delattr("roofsim.specs.files.build")
    kept = LOADERS[kind](name)
    assert kept is not first
    assert kept == first
    monkeypatch.undo()
    monkeypatch.setenv("ROOFSIM_CACHE", "off")
    assert LOADERS[kind](name) == first


def test_each_mode_of_a_device_is_kept_apart(folder: Path) -> None:
    for _ in range(2):
        assert [library.device(f"orin@{mode}").id.partition("@")[2] for mode in ("7w", "15w")] == ["7w", "15w"]
        assert library.device("orin").id.endswith("@maxn")
    assert len(entries(folder)) == 3


def test_a_changed_file_is_read_anew_even_with_its_old_size_and_time(folder: Path, host: Path) -> None:
    before, when = library.host(str(host)), host.stat()
    host.write_text(host.read_text().replace("name: ", "name: X", 1).replace("\n", "", 1))
    host.write_text(host.read_text()[: when.st_size])
    with pytest.raises(SpecError):
        library.host(str(host))
    shutil.copy(library.names("hardware/hosts")["desktop"], host)
    os.utime(host, ns=(when.st_atime_ns, when.st_mtime_ns))
    assert library.host(str(host)) == before
    assert len(entries(folder)) == 1


def test_what_a_process_read_out_of_the_cache_it_holds_until_the_file_changes(folder: Path, host: Path) -> None:
    library.host(str(host))
    found = library.host(str(host))
    assert library.host(str(host)) is found
    host.write_text(host.read_text() + "\n")
    assert library.host(str(host)) is not found
    assert library.host(str(host)) == found


def test_a_file_that_is_refused_is_not_kept(folder: Path, host: Path) -> None:
    host.write_text("name: x")
    for _ in range(2):
        with pytest.raises(SpecError, match="is missing"):
            library.host(str(host))
    assert entries(folder) == []


def test_a_spec_read_as_another_kind_is_not_taken_from_the_cache(folder: Path, host: Path) -> None:
    library.host(str(host))
    with pytest.raises(SpecError, match="memory: is missing"):
        library.device(str(host))


def test_other_code_does_not_use_what_was_kept(folder: Path, host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = library.host(str(host))
    monkeypatch.setattr(cache, "code", lambda: "later")
    monkeypatch.setattr(pickle, "Unpickler", None)
    assert library.host(str(host)) == expected


def damaged(data: bytes) -> list[bytes]:
    flipped = [data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :] for i in range(0, len(data), 7)]
    return [b"", data[:4], data[: len(data) // 2], data[:-1], data + b"x", *flipped]


def test_a_damaged_entry_is_as_none_and_is_mended(folder: Path, host: Path) -> None:
    expected = library.host(str(host))
    (entry,) = entries(folder)
    whole = entry.read_bytes()
    for data in damaged(whole):
        entry.write_bytes(data)
        assert library.host(str(host)) == expected
        assert entry.read_bytes() == whole


class Harm:
    def __reduce__(self) -> Any:
        return os.mkdir, ("harm",)


@pytest.mark.parametrize("made", [Harm(), [1], 5, None, Path("x")], ids=lambda made: type(made).__name__)
def test_an_entry_makes_specs_and_runs_nothing(
    made: Any, folder: Path, host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    expected = library.host(str(host))
    (entry,) = entries(folder)
    plant(entry, made, expected)
    assert library.host(str(host)) == expected
    assert not Path("harm").exists()


def plant(entry: Path, made: Any, instead_of: Spec) -> None:
    """An entry with the right key and sum, but with something else in it."""
    key = entry.read_bytes()[8:].removesuffix(pickle.dumps(instead_of, pickle.HIGHEST_PROTOCOL))
    cache._write(str(entry), key, made)
    assert pickle.dumps(made, pickle.HIGHEST_PROTOCOL) in entry.read_bytes()


def test_without_a_cache_nothing_is_written(
    folder: Path, host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROOFSIM_CACHE", "off")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    before = sorted(tmp_path.iterdir())
    assert library.host(str(host)).id == "mine"
    assert sorted(tmp_path.iterdir()) == before


def test_the_folder_is_that_of_the_system_unless_another_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ROOFSIM_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.folder() == str(tmp_path / ".cache" / "roofsim")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.folder() == str(tmp_path / "xdg" / "roofsim")


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nowhere", "bad\ud800name"])
def test_a_folder_that_cannot_be_written_is_done_without(
    place: str, host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(cache, "folder", lambda: str(tmp_path / place))
    assert [library.host(str(host)).id for _ in range(2)] == ["mine", "mine"]


def test_many_processes_fill_one_cache(folder: Path) -> None:
    script = "from roofsim import library; print(library.device('orin').id)"
    started = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert {each.communicate()[0] for each in started} == {"jetson-orin-nano-8gb@maxn\n"}
    assert len(entries(folder)) == 1


def test_a_spec_is_a_value(host: Path) -> None:
    first, second = library.host(str(host)), library.host(str(host))
    assert first == second
    assert hash(first.dispatch) == hash(second.dispatch)
    assert variant(first, name="other") != first
    assert first != first.dispatch
    with pytest.raises(AttributeError, match="cannot assign to field 'name'"):
        first.name = "other"  # type: ignore[misc]
    with pytest.raises(AttributeError, match="cannot delete field 'name'"):
        del first.name
    assert repr(first.dispatch).startswith("Time(value=")
