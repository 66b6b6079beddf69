"""What all results can do: be data, be read at a glance, and show themselves in a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas

    from roofsim.api.words import Json
    from roofsim.reports.table import Table


class Shown:
    """A result. Its `repr` is one line, a notebook shows its tables, `to_dict` and `to_pandas` give all of it.

    How results are laid out is the business of `roofsim.reports`, which is imported when one is shown.
    """

    __slots__ = ()

    def _short(self) -> str:
        """It in a line, without its type."""
        raise NotImplementedError

    def _data(self) -> Mapping[str, Any]:
        """All of it."""
        raise NotImplementedError

    def _tables(self) -> Sequence[Table]:
        """It as people read it."""
        raise NotImplementedError

    def _records(self) -> Table:
        """It as one table of data."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Json]:
        """The record that the command line prints with `-f json`: plain values, SI units."""
        from roofsim.reports.formats import finite

        made: dict[str, Json] = finite(self._data())
        return made

    def to_pandas(self) -> pandas.DataFrame:
        """The table that the command line prints with `-f csv`, SI units; raises MissingExtra without pandas."""
        from roofsim.reports.pandas_frame import frame

        return frame(self._records())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._short()})"

    def _repr_html_(self) -> str:
        from roofsim.reports.html import as_html

        return as_html(self._tables())
