"""Plans: frozen data from compiler to emission and runtime, their JSON, digests and file names."""

from openhcs_core.plan.codec import (
    canonical_json,
    digest_bytes,
    digest_text,
    encode_plan,
    plan_digest,
)
from openhcs_core.plan.models import (
    CompiledPipeline,
    FunctionPlan,
    GroupPlan,
    JobResources,
    PlatePlan,
    SpecialOutputPlan,
    StepPlan,
    StoreMetadataPlan,
    StorePlan,
    TablePlan,
)

__all__ = [
    "CompiledPipeline",
    "FunctionPlan",
    "GroupPlan",
    "JobResources",
    "PlatePlan",
    "SpecialOutputPlan",
    "StepPlan",
    "StoreMetadataPlan",
    "StorePlan",
    "TablePlan",
    "canonical_json",
    "digest_bytes",
    "digest_text",
    "encode_plan",
    "plan_digest",
]
