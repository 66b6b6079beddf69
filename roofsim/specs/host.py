"""The computer around a device: what its processor needs to keep the device fed."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, model_validator

from roofsim.schema import Spec
from roofsim.specs.quantity import Name, Time


class Host(Spec):
    """Host time of an eager framework.

    `dispatch` is the time to prepare and launch one kernel in eager PyTorch, framework and Python
    included; it is a property of this processor and of nothing on the device.
    """

    name: str
    id: str = ""
    aliases: tuple[Name, ...] = ()
    dispatch: Time
    sources: Mapping[str, str] = Field(min_length=1)

    @model_validator(mode="after")
    def _sources_known(self) -> Host:
        if self.dispatch.source not in self.sources:
            raise ValueError(f"source '{self.dispatch.source}' is not in sources")
        return self
