"""The computer around a device: what its processor needs to keep the device fed."""

from __future__ import annotations

from roofsim.foundation.quantity import Documented, Name, Time


class Host(Documented):
    """Host time of an eager framework."""

    name: str
    """What it is called in full."""
    id: str = ""
    """What it is called on the command line: its file."""
    aliases: tuple[Name, ...] = ()
    """Other names of a shipped file."""
    dispatch: Time
    """Time to prepare and launch one kernel in eager PyTorch, framework and Python included: a property of this
    processor and of nothing on the device. Passes of many small kernels take as long as this many times."""
