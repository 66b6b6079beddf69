"""Models, devices, clusters, runtimes, hosts and calibrations: which there are, and each by its name or path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roofsim import library
from roofsim.adapters import hub
from roofsim.api import checked
from roofsim.api.checked import one_of
from roofsim.api.shown import Shown
from roofsim.api.words import AnyPath
from roofsim.foundation.values import dataclass
from roofsim.foundation.version import SCHEMA
from roofsim.model.architecture import Architecture
from roofsim.model.weights import DTYPE_BYTES
from roofsim.specs.calibration import Calibration
from roofsim.specs.cluster import Cluster
from roofsim.specs.device import Device
from roofsim.specs.host import Host
from roofsim.specs.runtime import Runtime

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from roofsim.reports.table import Table
    from roofsim.reports.theme import Theme


def device(name: AnyPath) -> Device:
    """A device by name, alias or path, with its mode after an @ (`orin@15w`); raises InputError."""
    return library.device(_name("device", name))


def architecture(name: AnyPath) -> Architecture:
    """A model by name, alias or path: YAML, a published config.json or its folder, a GGUF file; a member of a family
    by what it is (`dense:width=1024:depth=16`). Raises InputError."""
    return library.architecture(_name("model", name))


def runtime(name: AnyPath) -> Runtime:
    """A runtime by name or path; raises InputError."""
    return library.runtime(_name("runtime", name))


def host(name: AnyPath) -> Host:
    """A host by name or path; raises InputError."""
    return library.host(_name("host", name))


def cluster(name: AnyPath) -> Cluster:
    """A cluster by name or path; raises InputError."""
    return library.cluster(_name("cluster", name))


def calibration(name: AnyPath) -> Calibration:
    """A calibration by name or path; raises InputError."""
    return library.calibration(_name("calibration", name))


def show(name: AnyPath, *, dtype: str = "bf16") -> Sheet:
    """The spec of a name: every number with its source; of a model also parameters, state (in a dtype) and FLOP.

    Models are looked for first, then calibrations, devices, runtimes, hosts and clusters. Raises InputError.
    """
    from roofsim.reports.sheet import find

    text = _name("name", name)
    kind, spec = find(text)
    return Sheet(text, kind, spec, one_of("dtype", checked.text("dtype", dtype).lower(), DTYPE_BYTES))


@dataclass(frozen=True, repr=False)
class Sheet(Shown):
    """A spec as it is shown: `spec` itself, found by `name`."""

    name: str
    _kind: str
    spec: Architecture | Device | Cluster | Runtime | Host | Calibration
    _dtype: str

    def _laid_out(self) -> tuple[list[Table], dict[str, Any]]:
        from roofsim.reports.sheet import laid_out

        return laid_out(self._kind, self.spec, self.name, self._dtype)

    def _short(self) -> str:
        return f"{self.spec!r}, {self.spec.name}"

    def _data(self) -> Mapping[str, Any]:
        return {"schema": SCHEMA, **self._laid_out()[1]}

    def _tables(self) -> Sequence[Table]:
        return self._laid_out()[0]

    def _records(self) -> Table:
        from roofsim.reports.spec_records import spec_records

        return spec_records(self._kind, self.spec, self._laid_out()[1])

    def plot(self, *, theme: Theme = "light") -> Figure:
        """Parameters and state of a model, or the roofs of a device; raises InputError for other specs."""
        from roofsim.api import plots

        return plots.show(self, theme=theme)


def download(name: str) -> Path:
    """Bring the config.json of a model on the Hugging Face Hub into its local cache, if it is not there; the file.

    The one function that uses the network. Raises InputError if it cannot be had, MissingExtra without the extra `hub`.
    """
    return hub.download(checked.text("name", name))


def devices() -> tuple[str, ...]:
    """The names of all devices that ship, a name for each mode."""
    return tuple(each.id for each in library.all_devices())


def models(
    *, kind: str | None = None, family: str | None = None, min_size: float | str | None = None,
    max_size: float | str | None = None,
) -> tuple[str, ...]:  # fmt: skip
    """The names of all models that ship, or of those of a kind, a family and a number of parameters."""
    if all(each is None for each in (kind, family, min_size, max_size)):
        return tuple(library.names("models"))
    from roofsim.api.choices import selected

    return tuple(each.id for each in selected((), kind, family, min_size, max_size))


def families() -> tuple[str, ...]:
    """The names of families of architectures, whose members are models too."""
    return tuple(library.names(library.FAMILIES))


def runtimes() -> tuple[str, ...]:
    """The names of all runtimes that ship."""
    return tuple(library.names("runtimes"))


def hosts() -> tuple[str, ...]:
    """The names of all hosts that ship."""
    return tuple(library.names("hardware/hosts"))


def clusters() -> tuple[str, ...]:
    """The names of all clusters that ship."""
    return tuple(library.names(library.CLUSTERS))


def calibrations() -> tuple[str, ...]:
    """The names of all calibrations that ship."""
    return tuple(library.names(library.CALIBRATED))


def _name(word: str, value: object) -> str:
    return checked.path(word, value)
