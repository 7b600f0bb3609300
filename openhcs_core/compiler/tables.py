"""Plate tables: one for every CSV output of every step."""

from openhcs_core.materialization import CsvOptions
from openhcs_core.plan import OutputFile, StepPlan, TablePlan, output_files


def plan_tables(
    plans: tuple[StepPlan, ...], wells: tuple[str, ...], plate_map: str | None
) -> tuple[TablePlan, ...]:
    """Return the plate tables.

    Parameters
    ----------
    plate_map : str or None
        Digest of the plate map.
    """
    tables: list[TablePlan] = []
    for plan in plans:
        outputs: dict[tuple[str, str], list[OutputFile]] = {}
        for output in output_files(plan):
            if isinstance(output.options, CsvOptions):
                suffix = output.options.filename_suffix
                outputs.setdefault((output.output, suffix), []).append(output)
        tables.extend(
            TablePlan(
                step_name=plan.step_name,
                output=name,
                suffix=suffix,
                groups=tuple(output.group for output in members),
                wells=wells,
                plate_map=plate_map,
            )
            for (name, suffix), members in outputs.items()
        )
    return tuple(tables)
