"""How tests look at a page in a browser."""

from __future__ import annotations

from typing import Any

DESKTOP, PHONE = {"width": 1400, "height": 900}, {"width": 390, "height": 844}


def rest(page: Any) -> Any:
    """Wait until everything is drawn in full."""
    page.wait_for_timeout(250)
    page.wait_for_function("document.documentElement.dataset.rested && !document.querySelector('.moving')")
    return page
