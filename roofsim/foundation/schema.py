"""The base of everything that is read from a file: frozen, strict about unknown fields."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Spec(BaseModel):
    """A frozen value read from YAML; fields it does not know are an error.

    Validators are built when a spec is first read, so that importing the package stays quick.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


Size = Annotated[int, Field(ge=1, le=10**9)]
"""A dimension of a network: a whole number that a network can have."""

Extra = Annotated[int, Field(ge=0, le=10**9)]
"""A dimension that may be nought."""
