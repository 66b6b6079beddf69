"""The file of runs that grows while software is driven that is not ours."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from roofsim.cli import _options as o
from roofsim.measure.runs import Row, Runs


class Book:
    """A file of runs of some software, added to as rows come."""

    def __init__(self, file: Runs, path: str, software: str) -> None:
        self.file, self.path, self.software = file, path, software

    def add(self, rows: Iterable[Row], arch: str) -> None:
        """Write the file anew with more rows: all of them are in it or none is."""
        source = f"roofsim measure {date.today().isoformat()}, {self.software}, random weights, published shapes"
        self.file = self.file.plus({"source": source, "arch": arch, **row} for row in rows)
        o.write_whole(self.path, self.file.text)
