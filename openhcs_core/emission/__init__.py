"""Plans to text: Snakemake rules, plan files and the index they are looked up in."""

from openhcs_core.emission.files import emit_plan_files, emit_plan_index, plate_targets
from openhcs_core.emission.rules import emit_rules

__all__ = ["emit_plan_files", "emit_plan_index", "emit_rules", "plate_targets"]
