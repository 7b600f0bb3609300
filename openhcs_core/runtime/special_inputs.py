"""Special inputs of a job: read from the files of earlier steps, and handed to the right call."""

import copy
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from openhcs_core.constants import Component
from openhcs_core.errors import InputDataError, PlanChangedError, StepFunctionError
from openhcs_core.ground.canonical import digest_file
from openhcs_core.plan import (
    SpecialFile,
    SpecialInputPlan,
    StepPlan,
    taken_files,
    taken_manifests,
)
from openhcs_core.planes import PlaneKey, natural_key
from openhcs_core.runtime.manifest import read_manifest
from openhcs_core.runtime.special_io import StoredValue, read_values

SpecialSource = Callable[[SpecialInputPlan], Sequence[StoredValue]]
"""Gives every value that an earlier step has for a special input."""


class SpecialInputs:
    """The special outputs of earlier steps that one job takes.

    Parameters
    ----------
    plate_dir : Path
        ``results/<plate>``.
    plan : StepPlan
        The step that takes them.
    well : str
        E.g. ``"B02"``.

    Attributes
    ----------
    digests : dict
        Path relative to the plate's results to the digest of what was read.

    Raises
    ------
    InputDataError
        A file is missing, or not what the step that made it recorded.
    """

    def __init__(self, plate_dir: Path, plan: StepPlan, well: str) -> None:
        self._plate_dir, self._well = plate_dir, well
        self.digests: dict[str, str] = {}
        self._values: dict[str, list[StoredValue]] = {}
        manifests = taken_manifests(plan, well)
        for step, files in taken_files(plan).items():
            for path in (file.path(step, well) for file in files):
                self.digests[path] = self._check(path, plate_dir / manifests[step])
                # what takes the file's place now is noticed before anything is written
                self._values[path] = read_values(plate_dir / path)

    def __call__(self, special: SpecialInputPlan) -> Sequence[StoredValue]:
        """Return the values of an input that an earlier step gives, in its call order."""
        assert special.step is not None
        file = SpecialFile(special.group, special.name, special.of_plate)
        return self._values[file.path(special.step, self._well)]

    def check_unchanged(self) -> None:
        """Check that the files are still those this job has read.

        Raises
        ------
        PlanChangedError
            A later run replaced one: this job's result is out of date.
        """
        for name, digest in self.digests.items():
            path = self._plate_dir / name
            if not path.exists() or digest_file(path) != digest:
                raise PlanChangedError(
                    f"{path} changed while this job ran; nothing was written, run snakemake again"
                )

    def _check(self, name: str, manifest: Path) -> str:
        """Return the digest of a file that is what its step wrote."""
        path = self._plate_dir / name
        try:
            digest = digest_file(path)
            record = read_manifest(manifest).files.get(name)
        except FileNotFoundError as error:
            raise InputDataError(
                f"{error.filename} is missing: what this step reads has not been made; "
                "run snakemake"
            ) from error
        if record is None or record.digest != digest:
            raise InputDataError(
                f"{path} is not what its step wrote; delete {manifest} and run again"
            )
        return digest


def no_specials(special: SpecialInputPlan) -> Sequence[StoredValue]:
    """Return no value: for chains that take none of earlier steps."""
    raise AssertionError(f"special input {special.name!r} without a source")


def copied(keys: tuple[PlaneKey, ...], value: Any, who: str) -> StoredValue:
    """Return a value of the same chain; each call gets a copy, for it may change it."""
    return StoredValue(keys, partial(_copy, value, who))


def _copy(value: Any, who: str) -> Any:
    try:
        return copy.deepcopy(value)
    except (TypeError, copy.Error) as error:
        raise StepFunctionError(f"{who} cannot be copied: {error}") from error


def choose_value(
    special: SpecialInputPlan,
    planes: Sequence[PlaneKey],
    values: Sequence[StoredValue],
    who: str,
) -> Any:
    """Return what one call gets for a special input: a value, or a list of them.

    Parameters
    ----------
    special : SpecialInputPlan
        Says which components tell the values apart.
    planes : sequence of PlaneKey
        Those of the call, in stack order; before a projection, all it was made of.
    values : sequence of StoredValue
        Every value there is.
    who : str
        Step, well and function, for messages.

    Raises
    ------
    StepFunctionError
        There is none for some plane, or more than one.
    """
    who = f"{who}: special input {special.name!r}"
    shared = _parts(planes[0], special.agree_on) if special.agree_on else ()
    wanted = {_parts(plane, special.each_of_stack): None for plane in planes} or {(): None}
    found: dict[tuple[str, ...], dict[tuple[str, ...], StoredValue]] = {of: {} for of in wanted}
    for value in values:
        of = _parts_of(value, special.each_of_stack)
        if _parts_of(value, special.agree_on) != shared or of not in found:
            continue
        projected = _parts_of(value, special.each_of_projection)
        if projected in found[of]:
            raise StepFunctionError(f"{who} has two values for {_name(value)}; expected one")
        found[of][projected] = value
    for of in wanted:
        if not found[of]:
            parts = (*special.agree_on, *special.each_of_stack)
            raise StepFunctionError(
                f"{who} has no value for {_listing(parts, (*shared, *of))}; its step gave values "
                f"for {', '.join(map(_name, values)) or 'no image'}"
            )
    chosen = [
        found[of][projected]
        for of in wanted
        for projected in sorted(found[of], key=lambda parts: tuple(map(natural_key, parts)))
    ]
    return [value.make() for value in chosen] if special.is_list else chosen[0].make()


def _name(value: StoredValue) -> str:
    return value.keys[0].filename if value.keys else "the plate"


def _parts_of(value: StoredValue, components: Sequence[Component]) -> tuple[str, ...]:
    """Return the components of a value; one of plate tables alone is asked for none."""
    return _parts(value.keys[0], components) if components else ()


def _parts(key: PlaneKey, components: Sequence[Component]) -> tuple[str, ...]:
    return tuple(str(getattr(key, component.value)) for component in components)


def _listing(components: Sequence[Component], values: Sequence[str]) -> str:
    pairs = zip(components, values, strict=True)
    return ", ".join(f"{part} {value}" for part, value in pairs) or "this image"
