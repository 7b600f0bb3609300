"""The base of every settings model."""

from pydantic import BaseModel, ConfigDict

KeyPath = tuple[str | int, ...]
"""Where a value is in a file: keys of mappings and numbers of list items."""


class FrozenModel(BaseModel):
    """Immutable settings that refuse keys they do not know."""

    # built when first used: a job imports many models and uses few
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)
