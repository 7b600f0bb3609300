"""Plans read back from a results folder: what a run was to do, without its config."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from openhcs_core.config import FrozenModel
from openhcs_core.emission import emit_plan_index, emit_rules
from openhcs_core.errors import ConfigError
from openhcs_core.plan import (
    CompiledPipeline,
    JobResources,
    PlatePlan,
    StepPlan,
    StoreMetadataPlan,
    TablePlan,
    encode_plan,
    manifest_path,
    plan_digest,
    plan_path,
    readable_json,
    store_metadata_path,
    store_plan_path,
    table_path,
    table_plan_path,
)
from openhcs_core.session.files import RULES
from openhcs_core.session.plan_indices import plate_indices, whole_index
from openhcs_core.session.verification.problems import PLAN_AGAIN, Problem
from openhcs_core.storage import compare_bytes, first_difference

P = TypeVar("P", bound=FrozenModel)

PLAN_INDEX = ".plan/plan.json"
_PREDICTED = ("batch_aim", "conversions", "predictions", "resources")
"""What ``plan.json`` says of a plate that no result depends on and no plan file has."""


class _PlateEntry(BaseModel):
    """What ``plan.json`` says of one plate."""

    model_config = ConfigDict(frozen=True)

    wells: tuple[str, ...]
    steps: tuple[str, ...]
    digests: dict[str, str]
    well_digests: dict[str, dict[str, str]]
    store_digests: dict[str, str]
    table_digests: dict[str, str]
    resources: dict[str, JobResources]
    leaves_out: bool = False
    runs: tuple[tuple[str, ...], ...] = ()
    batches: tuple[tuple[str, ...], ...] = ()


class _PlanIndex(BaseModel):
    """``plan.json``."""

    model_config = ConfigDict(frozen=True)

    results: str
    targets: tuple[str, ...]
    plates: dict[str, _PlateEntry]


@dataclass(frozen=True)
class PlannedPlate:
    """A plate's plans, as they are on disk.

    Attributes
    ----------
    folder : Path
        ``results/<plate>``.
    plan : PlatePlan
        What could be read.
    problems : tuple of Problem
        Plan files that are missing or altered; what they plan is not in `plan`.
    """

    folder: Path
    plan: PlatePlan
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class PlannedResults:
    """All plans of a results folder.

    Attributes
    ----------
    plates : dict
        By name.
    problems : tuple of Problem
        With ``plan.json`` and the rules.
    is_readable : bool
        Whether `plates` can be gone by.
    """

    plates: dict[str, PlannedPlate]
    problems: tuple[Problem, ...] = ()
    is_readable: bool = True


def find_results(path: Path) -> tuple[Path, str | None]:
    """Return the results folder that `path` is, or is a plate's folder in, and that plate.

    Raises
    ------
    ConfigError
        It is neither.
    """
    if _has_index(path):
        return path, None
    above = path.parent if path.name not in ("", "..") else path.resolve().parent
    if path.is_dir() and _has_index(above):
        return above, path.resolve().name if path.name in ("", "..") else path.name
    raise ConfigError(
        f"{path} is no results folder: neither it nor the folder it is in has {PLAN_INDEX}; give "
        "the folder that 'results' in the config names, or one plate's folder in it "
        f"(where {PLAN_INDEX} was deleted, 'snakemake -n' writes it again)"
    )


def _has_index(results: Path) -> bool:
    return (results / PLAN_INDEX).is_file() or bool(plate_indices(results))


def read_results(results: Path) -> PlannedResults:
    """Read every plan file and compare ``plan.json`` and the rules with them.

    Plates that were run alone have these of their own, which are newer.
    """
    own = plate_indices(results)
    whole = whole_index(results)
    found = [_read_index(results, path) for path in own.values()]
    if whole.is_file():
        found.insert(0, _read_index(results, whole, frozenset(own)))
    return PlannedResults(
        {name: plate for one in found for name, plate in one.plates.items()},
        tuple(problem for one in found for problem in one.problems),
        is_readable=all(one.is_readable for one in found),
    )


def _read_index(
    results: Path, path: Path, replaced: frozenset[str] = frozenset()
) -> PlannedResults:
    """Read the plans that an index names, except of plates with a newer one."""
    data = path.read_bytes()
    try:
        index = _PlanIndex.model_validate_json(data)
    except ValidationError:
        damaged = Problem("altered", str(path), "an index of plans", "another content", PLAN_AGAIN)
        return PlannedResults({}, (damaged,), is_readable=False)
    plates = {
        name: _PlateReader(results / name, entry).read(name)
        for name, entry in index.plates.items()
        if name not in replaced
    }
    problems: list[Problem] = []
    is_whole = len(plates) == len(index.plates)  # else nothing reads this index any more
    if is_whole and not any(plate.problems for plate in plates.values()):
        compiled = CompiledPipeline(results=index.results, plates=_in_order(plates, index))
        problems += _compare_index(path, data, emit_plan_index(compiled))
        if problems:
            return PlannedResults(plates, tuple(problems), is_readable=False)
        problems += [
            Problem(found.kind, str(found.path), found.expected, found.found, PLAN_AGAIN)
            for found in compare_bytes(path.with_name(RULES), emit_rules(compiled).encode())
        ]
    return PlannedResults(plates, tuple(problems))


def _compare_index(path: Path, data: bytes, planned: str) -> Iterator[Problem]:
    """Yield a problem when ``plan.json`` is not the index of the plan files beside it."""
    found, expected = json.loads(data), json.loads(planned)
    for name, plate in expected["plates"].items():
        plate.update({key: found["plates"][name].get(key) for key in _PREDICTED})
    text = readable_json(expected).encode()
    if text != data:
        yield Problem("altered", str(path), *first_difference(text, data), PLAN_AGAIN)


@dataclass
class _PlateReader:
    """Reads the plan files of a plate; wells with equal plans share one object."""

    folder: Path
    entry: _PlateEntry
    problems: list[Problem] = field(default_factory=list)
    known: dict[tuple[type[Any], bytes], FrozenModel] = field(default_factory=dict)

    def read(self, name: str) -> PlannedPlate:
        """Return the plate."""
        entry = self.entry
        steps = [
            self._read(plan_path(step), StepPlan, entry.digests.get(step)) for step in entry.steps
        ]
        well_steps: dict[str, dict[str, StepPlan]] = {}
        for step, digests in entry.well_digests.items():
            own = {
                well: self._read(plan_path(step, well), StepPlan, digest)
                for well, digest in digests.items()
            }
            well_steps[step] = {well: plan for well, plan in own.items() if plan is not None}
            if len(well_steps[step]) < len(own):
                steps = [plan for plan in steps if plan is None or plan.step_name != step]
        stores = [
            self._read(store_plan_path(step), StoreMetadataPlan, digest)
            for step, digest in entry.store_digests.items()
        ]
        tables = [
            self._read(table_plan_path(*table.split("/", 1)), TablePlan, digest)
            for table, digest in entry.table_digests.items()
        ]
        plan = PlatePlan(
            name=name,
            wells=entry.wells,
            steps=tuple(plan for plan in steps if plan is not None),
            well_steps=well_steps,
            tables=tuple(plan for plan in tables if plan is not None),
            stores=tuple(plan for plan in stores if plan is not None),
            resources=entry.resources,
            leaves_out=entry.leaves_out,
            runs=entry.runs,
            batches=entry.batches,
        )
        return PlannedPlate(self.folder, plan, tuple(self.problems))

    def _read(self, name: str, model: type[P], digest: str | None) -> P | None:
        path = self.folder / name
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            self._add("missing", path, "a plan", "no such file")
            return None
        try:
            plan = self.known.setdefault((model, data), model.model_validate_json(data))
        except ValidationError:
            self._add("altered", path, "a plan", "something else")
            return None
        assert isinstance(plan, model)
        if (text := encode_plan(plan).encode()) != data:
            self._add("altered", path, *first_difference(text, data))
            return None
        if (found := plan_digest(plan)) != digest:
            self._add("altered", path, f"the plan of digest {digest}", found)
            return None
        return plan

    def _add(self, kind: Any, path: Path, expected: str, found: str) -> None:
        self.problems.append(Problem(kind, str(path), expected, found, PLAN_AGAIN))


def _in_order(plates: Mapping[str, PlannedPlate], index: _PlanIndex) -> tuple[PlatePlan, ...]:
    """Return plans in the compiler's order, which ``plan.json`` has in its targets alone."""
    places = {target: number for number, target in enumerate(index.targets)}

    def place(plate: str, path: str) -> int:
        return places.get(f"{index.results}/{plate}/{path}", len(places))

    plans = [
        plate.plan.model_copy(
            update={
                "tables": tuple(
                    sorted(
                        plate.plan.tables,
                        key=lambda t: place(name, table_path(t.step_name, t.file)),
                    )
                ),
                "stores": tuple(
                    sorted(
                        plate.plan.stores,
                        key=lambda s: place(name, store_metadata_path(s)),
                    )
                ),
            }
        )
        for name, plate in plates.items()
    ]
    return tuple(sorted(plans, key=lambda plan: place(plan.name, _first_target(plan))))


def _first_target(plan: PlatePlan) -> str:
    return manifest_path(plan.steps[0].step_name, plan.wells[0]) if plan.steps else ""
