"""`dataclass` for frozen values, quicker to import.

The standard one writes for each class the text of how to compare, hash and show it and compiles that, which takes
longer than a prediction. Here that is written once, and reads the names of the fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:
    import dataclasses
    from operator import attrgetter

    def dataclass(*, frozen, slots=False, repr=True):
        """The standard decorator for values that are compared by all fields but those that say otherwise."""

        def decorated(cls):
            shown = repr and "__repr__" not in vars(cls)
            made = dataclasses.dataclass(frozen=frozen, slots=slots, eq=False, repr=False)(cls)
            _compare(made, [each.name for each in dataclasses.fields(made) if each.compare])
            if shown:
                made.__repr__ = _text
            return made

        return decorated

    def _compare(made, names):
        values = attrgetter(*names) if len(names) > 1 else lambda self: tuple(getattr(self, name) for name in names)
        own = vars(made)
        if "__eq__" not in own:
            made.__eq__ = lambda self, other: (
                values(self) == values(other) if type(other) is type(self) else NotImplemented
            )
        if own.get("__hash__") is None:
            made.__hash__ = lambda self: hash(values(self))

    def _text(self):
        shown = (f"{each.name}={getattr(self, each.name)!r}" for each in dataclasses.fields(self) if each.repr)
        return f"{type(self).__qualname__}({', '.join(shown)})"
