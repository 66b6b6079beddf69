"""What is said around figures: above them what must be known before they are used, below them what was assumed."""

from __future__ import annotations

from collections.abc import Sequence

from roofsim.prediction.words import MISFIT


def heading(title: str, cautions: Sequence[str], as_if: str = " Times are as if it did.") -> str:
    """A title under what must be known before the figures below it are used, each in a line of its own."""
    said = [f"{each}.{as_if}" if each.startswith(MISFIT) else f"Mind: {each}." for each in cautions]
    return "\n".join([*said, title])


def assumed(assumptions: Sequence[str], cautions: Sequence[str] = (), of: str = "") -> str:
    """What was taken for granted, in a sentence, but for what a heading says."""
    return f"Assumed{of}: {'; '.join(each for each in assumptions if each not in cautions)}."
