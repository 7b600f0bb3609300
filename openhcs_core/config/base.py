"""The base of every settings model."""

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    """Immutable settings that refuse keys they do not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
