"""The command that makes a page again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from roofsim.model.split import RANKS
from roofsim.prediction.fitted import AUTO
from roofsim.prediction.setup import Setup
from roofsim.specs.workload import Workload

OPTIONS: Mapping[str, str] = {
    "device": "-d", "runtime": "-r", "host": "--host", "calibration": "--calibration", "batch": "-b", "prompt": "-p",
    "generate": "-g", "dtype": "--dtype", "weights": "--weights", "cache": "--cache", "logits": "--logits",
    "cluster": "--cluster", **{name: f"--{name}" for name in RANKS}, "transfer": "--transfer", "set": "--set",
    "against": "--against",
}  # fmt: skip
"""The option of each word that a prediction is asked by, in the order in which they are written."""


def line(command: str, words: Mapping[str, Any], *more: str) -> str:
    """A command line of the words that are given; True is a flag, several values repeat their option."""
    said = ["roofsim", command, str(words["model"])]
    for word, option in OPTIONS.items():
        value = words.get(word)
        if value is True:
            said.append(option)
        elif isinstance(value, list | tuple):
            said += [part for each in value for part in (option, str(each))]
        elif value is not None and value is not False:
            said += [option, str(value)]
    return shlex.join([*said, *more])


def asked(given: Mapping[str, Any], s: Setup, w: Workload) -> dict[str, Any]:
    """The words of a page that was asked for by `given`: what has a default is said, since defaults may change."""
    counts = {name: getattr(w, name) for name in ("batch", "prompt", "generate")}
    said = {name: value for name, value in given.items() if value is not None and (name, value) != AUTOMATIC}
    kept = {name: value for name, value in said.items() if name not in RANKS or value != 1}
    return {"runtime": s.runtime.id, **kept, **counts}


AUTOMATIC = ("calibration", AUTO)
