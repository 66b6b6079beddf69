"""Models by their names on the Hugging Face Hub: their configs in its local cache, from the network only if asked."""

from __future__ import annotations

import os
import re
from pathlib import Path

from roofsim.foundation.errors import InputError, MissingExtra

CONFIG = "config.json"

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_FILES = (".yaml", ".yml", ".json", ".gguf")
_STORED = re.compile(r"models--(.+?)--(.+)")
HASH = 12
"""Letters of a snapshot's hash that tell it apart."""


def is_name(text: str) -> bool:
    """Whether a word is of the form owner/model, and no file or folder that is there."""
    return _NAME.fullmatch(text) is not None and not text.endswith(_FILES) and not os.path.exists(text)


def folder() -> Path:
    """Where the Hub's own tools keep what they fetch; the same variables say so."""
    home = os.environ.get("HF_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    said = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE") or os.path.join(home, "hub")
    return Path(os.path.expandvars(os.path.expanduser(said)))


def cached(name: str) -> Path | None:
    """The config.json of a model in the local cache: of its main branch, else of the one snapshot that has any."""
    stored = _stored(name)
    if stored is None:
        return None
    try:
        main = stored / "refs" / "main"
        if main.is_file():
            files = [stored / "snapshots" / main.read_text(encoding="utf-8").strip() / CONFIG]
        else:
            files = sorted(stored.glob(f"snapshots/*/{CONFIG}"))
        return files[0] if len(files) == 1 and files[0].is_file() else None
    except (OSError, UnicodeDecodeError):
        return None


def _stored(name: str) -> Path | None:
    """The folder of a model in the cache; letters may be in another case."""
    wanted = "--".join(("models", *name.split("/")))
    try:
        there = [each.name for each in os.scandir(folder())]
    except OSError:
        return None
    found = wanted if wanted in there else next((each for each in there if each.lower() == wanted.lower()), None)
    return folder() / found if found else None


def names() -> list[str]:
    """The models of which there is anything in the local cache."""
    try:
        there = sorted(each.name for each in os.scandir(folder()))
    except OSError:
        return []
    return ["/".join(match.groups()) for match in map(_STORED.fullmatch, there) if match]


def named(file: Path) -> tuple[str, str] | None:
    """The model and the snapshot that a file of the cache is of; None for any other file."""
    snapshot = file.parent
    stored = _STORED.fullmatch(snapshot.parent.parent.name)
    return ("/".join(stored.groups()), snapshot.name) if stored and snapshot.parent.name == "snapshots" else None


def missing(name: str) -> str:
    """Where a model was looked for in vain, and the commands that get its config.json."""
    stored, url = _stored(name), f"https://huggingface.co/{name}/resolve/main/{CONFIG}"
    where = (
        f"{stored} holds no {CONFIG} of its main branch" if stored else f"none in the Hugging Face cache, {folder()}"
    )
    from roofsim.foundation.installation import install  # only where something is amiss

    extra = "" if _installed() else f"; it needs the extra `{EXTRA}`: {install(EXTRA)}"
    return (
        f"{name}: no such file, and {where}. What gets its {CONFIG}:\n"
        f"  the same command with --download{extra}\n"
        f"  hf download {name} {CONFIG}\n"
        f"  curl -L -o {CONFIG} {url}\n"
        f"  (after the last, the model is ./{CONFIG})"
    )


EXTRA = "hub"


def _installed() -> bool:
    from importlib.util import find_spec

    return find_spec("huggingface_hub") is not None


def download(name: str) -> Path:
    """Brings the config.json of a model into the local cache, if it is not there; the file.

    The one function of roofsim that uses the network. Raises InputError if it cannot be had, MissingExtra without the
    extra `hub`.
    """
    if not is_name(name):
        raise InputError(f"{name}: no name of a model on the Hugging Face Hub; write it like meta-llama/Llama-3.1-8B")
    if found := cached(name):
        return found
    try:
        from huggingface_hub import hf_hub_download
    except ImportError:
        raise MissingExtra("downloading uses the Python package `huggingface_hub`", EXTRA) from None
    try:
        return Path(hf_hub_download(name, CONFIG, cache_dir=folder()))
    except Exception as error:  # whatever comes of a network; its classes differ between releases
        said = " ".join(str(error).split())[:LONGEST] or type(error).__name__
        gated = "Gated" in type(error).__name__
        terms = f"; accept its terms at https://huggingface.co/{name} and log in with `hf auth login`" if gated else ""
        raise InputError(f"{name}: its config.json cannot be downloaded: {said}{terms}") from None


LONGEST = 300
"""Letters of what others say that a message quotes."""
