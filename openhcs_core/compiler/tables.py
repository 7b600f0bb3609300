"""Plate tables: one for every CSV output of every step."""

from dataclasses import dataclass, field

from openhcs_core.materialization import CsvOptions
from openhcs_core.plan import PlatePlan, TablePlan, output_files


@dataclass
class _Members:
    """The groups and wells that give an output."""

    groups: dict[str | None, None] = field(default_factory=dict)
    wells: set[str] = field(default_factory=set)


def plan_tables(plate: PlatePlan, plate_map: str | None) -> tuple[TablePlan, ...]:
    """Return the plate tables of a plate's steps.

    Parameters
    ----------
    plate_map : str or None
        Digest of the plate map.
    """
    tables: list[TablePlan] = []
    for plan in plate.steps:
        if plan.is_plate_wide:  # its tables are the plate's
            continue
        outputs: dict[tuple[str, str], _Members] = {}
        for own, wells in plate.variants(plan):
            for output in output_files(own):
                if isinstance(output.options, CsvOptions):
                    suffix = output.options.filename_suffix
                    members = outputs.setdefault((output.output, suffix), _Members())
                    members.groups[output.group] = None
                    members.wells |= set(wells)
        tables.extend(
            TablePlan(
                step_name=plan.step_name,
                output=name,
                suffix=suffix,
                groups=tuple(members.groups),
                wells=tuple(well for well in plate.wells if well in members.wells),
                plate_map=plate_map,
                group_by=plan.group_by,
            )
            for (name, suffix), members in outputs.items()
        )
    return tuple(tables)
