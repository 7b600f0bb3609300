"""Jobs that are cut in another way than before: what is done stays done.

Snakemake would run a job again because its rule has other inputs and another command, or because
outputs that were made by several jobs are of several times. Where all that a job of the new cut
makes is there and of today, its records are forgotten and its files get one time.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openhcs_core.config import WorkflowConfig
from openhcs_core.plan import (
    BatchAim,
    CompiledPipeline,
    JobScope,
    PlatePlan,
    TablePlan,
    job_scopes,
    kept_well_target,
    manifest_path,
    table_path,
    well_files,
    well_table_paths,
)
from openhcs_core.session.files import write_files
from openhcs_core.session.manifests import Manifests
from openhcs_core.session.snakemake_records import SnakemakeRecords, modified_ns, timestamp_of

_FOLDER = ".plan/cuts"


@dataclass(frozen=True)
class Aims:
    """What the last compilation chose batches for, where the config asks for it.

    Attributes
    ----------
    by_plate : dict
        By name of the plate.
    are_kept : bool
        They are chosen again, whatever jobs took since.
    """

    by_plate: Mapping[str, BatchAim]
    are_kept: bool


def read_aims(config: WorkflowConfig, *, are_kept: bool) -> Aims:
    """Return what the last compilation chose."""
    if config.execution.wells_per_job != "auto":
        return Aims({}, are_kept)
    found = {name: _read(_path(config.results, name)).get("batch_aim") for name in config.plates}
    aims = {name: BatchAim.model_validate(aim) for name, aim in found.items() if aim}
    return Aims(aims, are_kept)


def settle_regrouped(compiled: CompiledPipeline, texts: Mapping[str, str]) -> None:
    """Let jobs that are done look done to Snakemake where they are cut anew.

    To be called under the lock, when manifests that are not of today have been put aside.

    Parameters
    ----------
    texts : mapping of str to str
        Text of generated files by path.
    """
    for plate in compiled.plates:
        cut = [[list(part) for part in parts] for parts in (plate.runs, plate.batches)]
        path = _path(compiled.results, plate.name)
        before = _read(path).get("cut")
        if before not in (None, cut):
            _Plate(compiled.results, plate, texts).settle()
        aim = plate.batch_aim and plate.batch_aim.model_dump()
        write_files({str(path): json.dumps({"cut": cut, "batch_aim": aim})})


def _path(results: str, plate: str) -> Path:
    return Path(results, _FOLDER, f"{plate}.json")


def _read(path: Path) -> dict[str, Any]:
    """Return how jobs were cut by the last compilation, and why; nothing when there was none."""
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


class _Plate:
    """Results of one plate."""

    def __init__(self, results: str, plate: PlatePlan, texts: Mapping[str, str]) -> None:
        self._plate, self._folder = plate, Path(results, plate.name)
        self._manifests = Manifests(results, plate, texts)
        self._steps = {plan.step_name: plan for plan in plate.steps}
        self._records = SnakemakeRecords()
        self._now = time.time_ns()

    def settle(self) -> None:
        """Give every job that is done one time and no records; then tables made from them."""
        whole = [table for table in self._plate.tables if self._is_made(table)]
        for scope in job_scopes(self._plate):
            outputs = [self._folder / name for name in self._outputs(scope)]
            if self._is_done(scope, outputs):
                for path in outputs:
                    self._records.forget(str(path))
                    self._touch(path)
                self._touch(self._folder / scope.benchmark)
        for table in whole:
            self._touch(self._folder / table_path(table.step_name, table.file))

    def _outputs(self, scope: JobScope) -> Iterator[str]:
        for step, well in scope.members:
            plan = self._plate.step_plan(self._steps[step], well)
            yield manifest_path(step, well)
            yield from (file.path(step, well) for file in well_files(plan))
            if plan.store is not None:
                yield kept_well_target(plan, well)

    def _is_done(self, scope: JobScope, outputs: list[Path]) -> bool:
        return all(
            path.exists() and not self._records.is_unfinished(str(path)) for path in outputs
        ) and all(
            self._manifests.is_current(self._plate.step_plan(self._steps[step], well), well)
            for step, well in scope.members
        )

    def _is_made(self, table: TablePlan) -> bool:
        """Return whether a plate table is there and no older than what it joins."""
        made = modified_ns(self._folder / table_path(table.step_name, table.file))
        joined = [
            modified_ns(self._folder / name)
            for well in table.wells
            for name in well_table_paths(table, well)
        ]
        return made is not None and all(time is not None and time <= made for time in joined)

    def _touch(self, path: Path) -> None:
        if path.exists():
            os.utime(timestamp_of(path), ns=(self._now, self._now))
