"""What a job asks of its worker: read from its plan, and learnt from equal jobs before it."""

from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from openhcs_core.plan import StepPlan, plan_path
from openhcs_core.runtime import libraries_of
from openhcs_core.workers.lines import StepLine
from openhcs_core.workers.policy import Family, Need


class JobNeeds:
    """Says which array libraries a job needs.

    A plan names the memory types of its functions. A function may load other libraries by
    itself: a worker tells which it has after a job, and from then on jobs of those steps go to
    workers that may have them.
    """

    def __init__(self) -> None:
        self._plans: dict[tuple[Path, int, int], Family] = {}
        self._learnt: dict[tuple[Path, tuple[str, ...]], Family] = {}

    def of(self, line: StepLine, asked: Need) -> Need:
        """Return what a job needs; what its plan does not tell, the job says itself when it fails.

        Parameters
        ----------
        asked : Need
            What Snakemake gives it.
        """
        if not _has_functions(line):
            return Need(threads=asked.threads, mem_mb=asked.mem_mb)
        family = self._learnt.get((line.plate_dir, line.scope.steps), Family())
        for step, target, _ in line.parts:
            family |= self._family(line.plate_dir, step, target)
        return replace(asked, family=family, well=(str(line.plate_dir), line.scope.wells[-1]))

    def learn(self, line: StepLine, frameworks: tuple[str, ...]) -> None:
        """Take note of what a worker had loaded after a job."""
        if _has_functions(line):
            self._learnt[line.plate_dir, line.scope.steps] = Family(frameworks)

    def _family(self, plate_dir: Path, step: str, well: str) -> Family:
        for path in (plate_dir / plan_path(step, well), plate_dir / plan_path(step)):
            try:
                found = path.stat()
            except FileNotFoundError:
                continue
            key = (path, found.st_mtime_ns, found.st_size)
            if key not in self._plans:
                self._plans[key] = _read_family(path)
            return self._plans[key]
        return Family()


def _has_functions(line: StepLine) -> bool:
    """Whether a job runs functions: not those that join tables or write plate metadata."""
    return bool(line.scope.wells)


def _read_family(path: Path) -> Family:
    try:
        plan = StepPlan.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return Family()
    return Family(str(kind) for function in plan.functions for kind in libraries_of(function))
