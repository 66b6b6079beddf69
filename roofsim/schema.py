"""The base of everything that is read from a file: frozen, strict about unknown fields."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Spec(BaseModel):
    """A frozen value read from YAML; fields it does not know are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
