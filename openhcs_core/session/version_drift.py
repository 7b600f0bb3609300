"""Results that were made with other versions than are installed now: told before any job.

Which library versions a function's result depends on stands in its plan and in its manifest:
where they are others its steps run again. Versions of what reads, writes and joins (Python, this
software, the TIFF and zarr libraries …) are recorded when a run starts and are in no digest.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openhcs_core.config import LIBRARIES
from openhcs_core.errors import ConfigError, shortened
from openhcs_core.plan import (
    SOURCE_VERSION,
    CompiledPipeline,
    StepPlan,
    encode_plan,
    plan_digest,
    plan_path,
)
from openhcs_core.runtime import manifest_digest
from openhcs_core.session.environment import installed_versions
from openhcs_core.session.files import holds
from openhcs_core.session.manifests import aside_folder, manifest_place
from openhcs_core.storage import replace_file

_RECORD = ".plan/environment.json"
_PLATE_RECORDS = ".plan/environments"
_DECIDING = (
    *("python", "openhcs-core", "numpy", "pandas", "roifile", "scikit-image", "scipy"),
    *("tensorstore", "tifffile"),
)
"""Versions that values in results can depend on; those of click and the like are recorded only."""
_CODE_DIGITS = 8


@dataclass(frozen=True)
class Drift:
    """Another version than results were made with.

    Attributes
    ----------
    name : str
        Python, a distribution, or the code of a function of this software.
    made_with, installed : str
        Versions; of code the beginning of its digest.
    steps : tuple of str
        Steps that run again because of it; empty where none does.
    """

    name: str
    made_with: str
    installed: str
    steps: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f"{self.name} {self.made_with} (now {self.installed})"
        if not self.steps:
            return text
        return f"{text} in step{'s' if len(self.steps) > 1 else ''} {shortened(self.steps)}"


def find_drift(compiled: CompiledPipeline) -> tuple[Drift, ...]:
    """Return which versions results on disk were made with that are others now.

    To be called before plans are written: what differs from them is looked at alone.
    """
    steps: dict[tuple[str, str, str], dict[str, None]] = {}
    for plate in compiled.plates:
        for plan in plate.steps:
            for own, wells in plate.variants(plan):
                folder = Path(compiled.results, plate.name)
                for found in _of_plan(folder, own, wells, is_usual=own is plan):
                    steps.setdefault(found, {})[own.step_name] = None
    planned = [Drift(*found, tuple(names)) for found, names in steps.items()]
    named = {drift.name for drift in planned}
    others = (one for one in _of_environment(compiled) if one.name not in named)
    return (*planned, *others)


def refuse_drift(drift: tuple[Drift, ...], config_path: str) -> None:
    """Raise for a config that has ``version_drift: refuse``.

    Raises
    ------
    ConfigError
        There is some.
    """
    if drift:
        raise ConfigError(
            f"{config_path} version_drift: refuse: results were made with "
            f"{'; '.join(map(str, drift))}. Install these versions again, name another folder for "
            "results, or set version_drift: warn to go on"
        )


def describe_drift(drift: tuple[Drift, ...]) -> list[str]:
    """Return warnings about it."""
    again = [one for one in drift if one.steps]
    apart = [one for one in drift if not one.steps]
    texts = []
    if again:
        texts.append(
            f"results were made with {'; '.join(map(str, again))}: these steps and what follows "
            "them run again. To keep the results install the earlier versions"
        )
    if apart:
        texts.append(
            f"the last run was made with {'; '.join(map(str, apart))}: nothing runs again because "
            "of that, and new results will stand beside earlier ones"
        )
    return texts


def record_environment(compiled: CompiledPipeline, plates: Iterable[str]) -> None:
    """Write the versions of a run that has something to do, of the folder and of each plate.

    Libraries that functions of this run do not use, but those of another plate did, stay.
    """
    results = compiled.results
    found = {**installed_versions(), **_planned_versions(compiled)}
    _write(Path(results, _RECORD), {**(recorded_environment(results) or {}), **found})
    for plate in plates:
        _write(_plate_record(results, plate), installed_versions())


def recorded_environment(results: str, plate: str | None = None) -> dict[str, str] | None:
    """Return the versions of the last run that had something to do, None where not recorded.

    Parameters
    ----------
    plate : str, optional
        The last run that had something to do for it.
    """
    data = _read_json(Path(results, _RECORD) if plate is None else _plate_record(results, plate))
    return {str(key): str(value) for key, value in data.items()} if data else None


def _plate_record(results: str, plate: str) -> Path:
    return Path(results, _PLATE_RECORDS, f"{plate}.json")


def _write(path: Path, versions: Mapping[str, str]) -> None:
    text = json.dumps(dict(sorted(versions.items())), indent=1) + "\n"
    if not holds(path, text):
        with replace_file(path, durable=False) as stream:
            stream.write(text.encode())


def _planned_versions(compiled: CompiledPipeline) -> dict[str, str]:
    """Return the versions of libraries that functions of today's plans use."""
    return {
        name: text
        for plate in compiled.plates
        for plan in plate.steps
        for function in plan.functions
        for name, text in function.versions.items()
        if name != SOURCE_VERSION
    }


def _of_environment(compiled: CompiledPipeline) -> Iterator[Drift]:
    """Yield what is another version now, also where this plate has no results yet."""
    made_with, planned = recorded_environment(compiled.results) or {}, _planned_versions(compiled)
    installed = {**installed_versions(), **planned}
    for name in dict.fromkeys((*_DECIDING, *sorted(planned))):
        before, now = made_with.get(name), installed.get(name, "not installed")
        if before not in (None, now):
            yield Drift(name, before, now)


def _of_plan(
    folder: Path, plan: StepPlan, wells: tuple[str, ...], *, is_usual: bool
) -> Iterator[tuple[str, str, str]]:
    """Yield name, earlier and present version for results of one plan."""
    path = folder / plan_path(plan.step_name, None if is_usual else wells[0])
    if holds(path, encode_plan(plan)) and not aside_folder(folder, plan.step_name).is_dir():
        return  # no result of another plan is left
    today = plan_digest(plan)
    seen = {today, None}
    for well in wells:
        place = manifest_place(folder, plan.step_name, well)
        digest = manifest_digest(place)
        if digest not in seen:
            seen.add(digest)
            yield from _compare(_read_json(place).get("functions", {}), plan)


def _compare(
    made_with: Mapping[str, Mapping[str, str]], plan: StepPlan
) -> Iterator[tuple[str, str, str]]:
    for function in plan.functions:
        before = made_with.get(function.ref, {})
        for name in before.keys() & function.versions.keys():
            old, new = before[name], function.versions[name]
            if old == new:
                continue
            if name != SOURCE_VERSION:
                yield name, old, new
            elif function.ref.partition(":")[0] in LIBRARIES:
                yield f"code of {function.ref}", old[:_CODE_DIGITS], new[:_CODE_DIGITS]


def _read_json(path: Path) -> Any:
    """Return the mapping in a file, an empty one where there is none: others say what is wrong."""
    try:
        data = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
