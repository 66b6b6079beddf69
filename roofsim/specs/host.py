"""The computer around a device: what its processor needs to keep the device fed."""

from __future__ import annotations

from roofsim.foundation.quantity import Bandwidth, Documented, Name, Time


class Host(Documented):
    """The computer around a device: host time of an eager framework, and the memories behind that of the device."""

    name: str
    """What it is called in full."""
    id: str = ""
    """What it is called on the command line: its file."""
    aliases: tuple[Name, ...] = ()
    """Other names of a shipped file."""
    dispatch: Time
    """Time to prepare and launch one kernel in eager PyTorch, framework and Python included: a property of this
    processor and of nothing on the device. Passes of many small kernels take as long as this many times."""
    processor: Name | None = None
    """Its processor, by the name of a device file: with its memory it is the second tier, where weights and caches lie
    that do not fit the device, and what can compute with them there."""
    disk: Bandwidth | None = None
    """Rate at which its disk is read: the tier behind its memory."""
    remote: Bandwidth | None = None
    """Rate at which a pool of memory elsewhere is read, over its network."""
