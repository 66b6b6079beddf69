"""Texts of functions made small: numbers apart from what is the same for many models, then all deflated together."""

from __future__ import annotations

import json
import re
import zlib
from base64 import b85encode
from collections.abc import Iterable, Mapping
from typing import Any

from roofsim.web.functions import Functions

NUMBER = re.compile(r"(?<![\w.\[])\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w\]])|(?<=\bk)\d+(?=\()")
"""A number of a text: no part of a name but of the function of a kernel, and no place in a list."""
GAP = "#"
"""What stands in its place."""
BETWEEN = "\0"
PLAIN = bytes.maketrans(b"<&", b".,")
"""Letters of base 85 that mean something in HTML, and two that it leaves."""


def packed(data: Mapping[str, Any], functions: Functions) -> str:
    """Data and functions as text in letters that a page can hold; `unpack` of engine.js reads it."""
    parts = [json.dumps(data, separators=(",", ":"), allow_nan=False)]
    for texts in (functions.kernels.texts, functions.passes, functions.texts):
        parts += _parted(texts)
    whole = BETWEEN.join(parts).encode()
    pack = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS, 9)
    return b85encode(pack.compress(whole) + pack.flush()).translate(PLAIN).decode()


def _parted(texts: Iterable[str]) -> tuple[str, str, str]:
    """Texts without their numbers, each once, like ones together; which of these each text has; its numbers."""
    forms: list[str] = []
    numbers: list[str] = []
    for text in map(_short, texts):
        forms.append(NUMBER.sub(GAP, text))
        numbers.append(" ".join(each.removesuffix(".0") for each in NUMBER.findall(text)))
    each_once = sorted(set(forms))
    place = {form: i for i, form in enumerate(each_once)}
    return "\f".join(each_once), " ".join(str(place[form]) for form in forms), "\f".join(numbers)


def _short(text: str) -> str:
    """A text without what JavaScript does not need, and without the declaration of its registers."""
    return DECLARED.sub("", text).replace(";\n", ";").replace("\n", "").replace(" ", "")


DECLARED = re.compile(r"\blet [^;]*;\n")
