"""The computer around a device: what its processor needs to keep the device fed."""

from __future__ import annotations

from roofsim.foundation.quantity import Documented, Name, Time


class Host(Documented):
    """Host time of an eager framework.

    `dispatch` is the time to prepare and launch one kernel in eager PyTorch, framework and Python
    included; it is a property of this processor and of nothing on the device.
    """

    name: str
    id: str = ""
    aliases: tuple[Name, ...] = ()
    dispatch: Time
