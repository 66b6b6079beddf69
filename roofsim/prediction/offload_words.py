"""What of a model is asked to lie in the memory of the host, in words."""

from __future__ import annotations

from typing import Any

from roofsim.foundation.errors import InputError
from roofsim.foundation.units import parse
from roofsim.foundation.values import dataclass

AUTO, NONE = "auto", "none"
WORDS = (
    "auto", "none", "layers=N", "experts", "experts=cpu", "experts=cpu:N", "experts=stream", "stream", "stream=N",
    "stream=BYTES", "cache",
)  # fmt: skip
"""What may be asked for; several go together with a + between them."""
EXAMPLE = (
    "write it like auto, layers=20, experts=cpu, experts=cpu:12, stream=20, stream=10GiB, cache or "
    "layers=20+experts=cpu+cache"
)
MOST_LAYERS = 10**6
"""No model has so many layers."""


@dataclass(frozen=True, slots=True)
class AskedFor:
    """What is asked to lie in the memory of the host, as far as words say it; `layers` are those on the device.

    `experts` and `streamed` are how many layers have theirs there, all of them for ALL, `how` experts are computed:
    by the host (cpu), by the device (stream), or as the software can. `bytes` are those of weights that each device
    streams, in the place of a number of layers.
    """

    words: str
    layers: int | None = None
    experts: int | None = None
    how: str = ""
    streamed: int | None = None
    cache: bool = False
    bytes: float | None = None


ALL = -1
"""Of as many layers as there are."""


def asked_for(words: str) -> AskedFor | str:
    """What is asked for in words: `auto`, `none`, or a division; a number alone is one of layers on the device.

    Raises InputError for words that say nothing.
    """
    asked = str(words).strip().lower()
    if asked in (AUTO, NONE):
        return asked
    found: dict[str, Any] = {}
    for each in str(words).strip().split("+"):
        key, equals, given = each.strip().partition("=")
        key, value = key.lower(), given.lower()
        if key.isdecimal() and not equals:
            more: dict[str, Any] = {"layers": _count(words, key)}
        elif key == "layers" and equals:
            more = {"layers": _count(words, value)}
        elif key == "stream":
            size = _size(given) if equals else None  # whose unit has capitals
            more = {
                "streamed": ALL if not equals or size else _count(words, value),
                **({"bytes": size} if size else {}),
            }
        elif key == "cache" and not equals:
            more = {"cache": True}
        elif key == "experts" and (not equals or value.partition(":")[0] in ("cpu", "stream")):
            how, colon, number = value.partition(":")
            more = {"experts": _count(words, number) if colon else ALL, "how": how}
        else:
            raise InputError(f"offload: '{words}' is none of what there is; {EXAMPLE}")
        if set(more) & set(found):
            raise InputError(f"offload: '{words}': says '{key}' twice")
        found |= more
    if "streamed" in found and ("layers" in found or "experts" in found):
        raise InputError(f"offload: '{words}': what is streamed is whole layers already; {EXAMPLE}")
    return AskedFor(asked, **found)


def _size(text: str) -> float | None:
    """Bytes that a text with a unit says; None for one that says none."""
    try:
        return parse(text, "B") if not text.strip().isdecimal() else None
    except ValueError:
        return None


def _count(words: str, text: str) -> int:
    """A number of layers; raises InputError for one that cannot be."""
    if not text.isdecimal() or len(text) > len(str(MOST_LAYERS)):
        raise InputError(f"offload: '{words}': '{text}' is not a number of layers; {EXAMPLE}")
    return int(text)
