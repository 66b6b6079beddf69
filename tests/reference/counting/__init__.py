"""Costs counted one operation and one element at a time, from the papers and the stated conventions.

Nothing here knows a formula of `roofsim`: the enumerators are loops. `COUNTED` has one for every cost function, with
the sizes at which the two are compared; importing the package fills it.
"""

from __future__ import annotations

from counting import attention, exchanges, pointwise, products, recurrences, scans
from counting.tally import COUNTED, Counted, Tally

__all__ = ["COUNTED", "Counted", "Tally", "attention", "exchanges", "pointwise", "products", "recurrences", "scans"]
