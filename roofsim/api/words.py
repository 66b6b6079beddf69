"""What the functions take and give, as types: the words of the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

if TYPE_CHECKING:
    from os import PathLike

    from numpy.typing import ArrayLike

    from roofsim.model.architecture import Architecture
    from roofsim.specs.calibration import Calibration
    from roofsim.specs.cluster import Cluster
    from roofsim.specs.device import Device
    from roofsim.specs.host import Host
    from roofsim.specs.runtime import Runtime

T = TypeVar("T")

AnyPath: TypeAlias = "str | PathLike[str]"
"""The path of a file."""

ModelLike: TypeAlias = "str | PathLike[str] | Architecture"
"""A model: its name or alias, a path (YAML, config.json, GGUF), or the network itself."""

DeviceLike: TypeAlias = "str | PathLike[str] | Device"
"""A device by name, alias (a mode after @) or path, or the device itself."""

RuntimeLike: TypeAlias = "str | PathLike[str] | Runtime"
"""A runtime by name or path, or the runtime itself."""

HostLike: TypeAlias = "str | PathLike[str] | Host | None"
"""A host by name or path, the host itself, or None for the device's own."""

CalibrationLike: TypeAlias = "str | PathLike[str] | Calibration | None"
"""A calibration by name or path, the calibration itself, "auto" for the shipped one that fits, "none" or None."""

ClusterLike: TypeAlias = "str | PathLike[str] | Cluster | None"
"""A cluster by name or path, the cluster itself, or None for the usual one of the device."""

Counts: TypeAlias = "ArrayLike"
"""A count, or several: a number, text such as 32k or 1k..64k*2, a list, a range, an array."""

Quantity: TypeAlias = "float | str"
"""A number in SI units, or text with a unit: 6GiB, 50ms."""

Value: TypeAlias = "str | float | bool"
"""A value of a field, as --set has it: a quantity, a factor such as 2x, a word."""

Changes: TypeAlias = "str | Sequence[str] | Mapping[str, Value]"
"""Changes of fields for a what-if: device.memory.bandwidth=2x, several of them, or values by path."""

Choices: TypeAlias = "str | Sequence[str] | Mapping[str, Value | Sequence[Value]]"
"""Values of fields to choose from: device.memory.bandwidth=1x,2x, several such texts, or values by path."""

Several: TypeAlias = "T | Sequence[T]"
"""One of something, or several."""

Axes: TypeAlias = "Mapping[str, object]"
"""Values by the name of what varies; each one value, several, or text as the command line takes it."""

Logits = Literal["all", "last"]
"""Positions that are scored."""

Cell: TypeAlias = "str | float | bool | None"
"""What a cell of a table of data holds."""

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""What a JSON file can hold."""
