"""The text of plan files, and the digests of plans."""

from openhcs_core.config.base import FrozenModel
from openhcs_core.ground.canonical import canonical_json, digest_text, readable_json


def encode_plan(plan: FrozenModel) -> str:
    """Return the text of a plan file, the same for equal plans."""
    return readable_json(plan.model_dump(mode="json"))


def plan_digest(plan: FrozenModel) -> str:
    """Return the digest of a plan, which its jobs carry and its manifests record."""
    return digest_text(canonical_json(plan.model_dump(mode="json")))
