"""What a crate tells of a plate's results: read from plans, manifests and files."""

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openhcs_core.emission import emit_plan_files, plate_targets
from openhcs_core.errors import ConfigError, InputDataError, shortened
from openhcs_core.materialization import CsvOptions
from openhcs_core.plan import (
    CHECK,
    PLATE_TARGET,
    PlatePlan,
    StepPlan,
    index_path,
    kept_folder,
    kept_well_target,
    manifest_path,
    output_files,
    plan_digest,
    store_metadata_path,
    table_path,
)
from openhcs_core.runtime import Manifest, combined_digest, manifest_digest, read_manifest

_SHOWN = 4


@dataclass(frozen=True)
class CrateFile:
    """A file of the crate: path relative to it, SHA-256 and bytes."""

    path: str
    sha256: str
    size_bytes: int

    @classmethod
    def of(cls, path: str, content: bytes) -> "CrateFile":
        """Return the record of a file of this content."""
        return cls(path, hashlib.sha256(content).hexdigest(), len(content))


@dataclass(frozen=True)
class ImageSet:
    """A folder of kept images, and the digest of all their pixels."""

    path: str
    step: str
    digest: str
    planes: int


@dataclass(frozen=True)
class Parameter:
    """One parameter of one function of a step, as it was called."""

    name: str
    value: Any
    wells: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlateRecord:
    """What was made of a plate.

    Attributes
    ----------
    files : tuple of CrateFile
        Results and records, in the order of their paths.
    tables : tuple of str
        Those of the files that are tables of the whole plate.
    images : tuple of ImageSet
        Kept images, by step.
    inputs : tuple of (str, str, int or None, str)
        Plane, image file in the plate, bytes and content digest of every image that was read.
    parameters : tuple of Parameter
        Of all functions.
    functions : dict
        Function reference to versions.
    left_out : tuple of str
        Wells without results.
    started, ended : float
        Times of the first and the last manifest, in s.
    """

    files: tuple[CrateFile, ...]
    tables: tuple[str, ...]
    images: tuple[ImageSet, ...]
    inputs: tuple[tuple[str, str, int | None, str], ...]
    parameters: tuple[Parameter, ...]
    functions: Mapping[str, Mapping[str, str]]
    left_out: tuple[str, ...]
    started: float
    ended: float


def read_plate(plate: PlatePlan, folder: Path) -> PlateRecord:
    """Read what was made of a plate.

    Parameters
    ----------
    plate : PlatePlan
        Today's.
    folder : Path
        ``results/<plate>``.

    Raises
    ------
    ConfigError
        Results are missing, or of another plan.
    InputDataError
        A manifest is damaged.
    """
    manifests = _read_manifests(plate, folder)
    targets = [name for name in plate_targets(plate) if name != CHECK]
    kept = set(_image_targets(plate))
    missing = [name for name in targets if not (folder / name).exists()]
    if missing:
        raise ConfigError(
            f"{folder} has no {shortened(missing)}, which the config asks for; run snakemake first"
        )
    names = {name for name in targets if name not in kept and (folder / name).is_file()}
    names |= {*emit_plan_files(plate), *map(index_path, plate.wells)}
    times = [(folder / manifest_path(*key)).stat().st_mtime for key in manifests]
    return PlateRecord(
        files=tuple(CrateFile.of(name, (folder / name).read_bytes()) for name in sorted(names)),
        tables=tuple(_whole_tables(plate)),
        images=tuple(_image_sets(plate, manifests)),
        inputs=tuple(_inputs(plate, folder, manifests)),
        parameters=tuple(_parameters(plate)),
        functions={
            ref: versions
            for _, manifest in sorted(manifests.items())
            for ref, versions in manifest.functions.items()
        },
        left_out=tuple(
            dict.fromkeys(
                well for (_, well), manifest in manifests.items() if manifest.failure is not None
            )
        ),
        started=min(times),
        ended=max(times),
    )


def inputs_table(record: PlateRecord) -> bytes:
    """Return the table of the images that were read."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("plane", "image", "size_bytes", "content_xxh3_128"))
    writer.writerows(record.inputs)
    return text.getvalue().encode()


def _read_manifests(plate: PlatePlan, folder: Path) -> dict[tuple[str, str], Manifest]:
    """Return the manifest of every job of a plate's steps, all of today's plan."""
    found, undone = {}, []
    for plan in plate.steps:
        for own, wells in plate.variants(plan):
            digest = plan_digest(own)
            for well in wells:
                path = folder / manifest_path(plan.step_name, well)
                if manifest_digest(path) == digest:
                    found[plan.step_name, well] = read_manifest(path)
                else:
                    undone.append(f"{plan.step_name} of {well}")
    if undone:
        raise ConfigError(
            f"{folder} is not what this config gives: {len(undone)} jobs are not done, or were "
            f"done with another config or other versions ({shortened(undone, _SHOWN)}); run "
            "snakemake first, or 'openhcs-core why' to see what differs"
        )
    return found


def _whole_tables(plate: PlatePlan) -> Iterator[str]:
    """Yield the tables that are of the whole plate."""
    yield from (table_path(table.step_name, table.file) for table in plate.tables)
    for plan in plate.steps:
        for output in output_files(plan) if plan.is_plate_wide else ():
            if isinstance(output.options, CsvOptions):
                yield output.path(plan.step_name, PLATE_TARGET)


def _image_targets(plate: PlatePlan) -> Iterator[str]:
    for plan in plate.steps:
        if plan.store is not None:
            yield from (kept_well_target(plan, well) for well in plate.targets(plan))
    yield from map(store_metadata_path, plate.stores)


def _image_sets(
    plate: PlatePlan, manifests: Mapping[tuple[str, str], Manifest]
) -> Iterator[ImageSet]:
    for plan in plate.steps:
        if plan.store is None:
            continue
        lines = [
            f"{name} {digest}"
            for well in plate.targets(plan)
            for name, digest in sorted(_pixels(manifests[plan.step_name, well]).items())
        ]
        path = kept_folder(plan.step_name, plan.store.backend, plan.store.sub_dir)
        yield ImageSet(f"{path}/", plan.step_name, combined_digest(lines), len(lines))


def _pixels(manifest: Manifest) -> dict[str, str]:
    """Return the digest of every image of a manifest, label images included, by name."""
    labels = {f"labels/{name}": digest for name, digest in manifest.labels.items()}
    return manifest.plane_digests() | labels


def _inputs(
    plate: PlatePlan, folder: Path, manifests: Mapping[tuple[str, str], Manifest]
) -> Iterator[tuple[str, str, int | None, str]]:
    """Yield the plate's own images that jobs read."""
    digests: dict[str, str] = {}
    for (step, _), manifest in manifests.items():
        if _step(plate, step).source is None:
            digests |= manifest.inputs
    for well in plate.wells:
        path = folder / index_path(well)
        try:
            images = json.loads(path.read_bytes())["images"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputDataError(
                f"{path} is damaged; run 'snakemake -n', which writes it again"
            ) from error
        for plane, image, size, _ in images:
            if plane in digests:
                yield plane, image, size, digests[plane]


def _step(plate: PlatePlan, name: str) -> StepPlan:
    return next(plan for plan in plate.steps if plan.step_name == name)


def _parameters(plate: PlatePlan) -> Iterator[Parameter]:
    """Yield the parameters of all steps; those of some wells only where they are others."""
    for plan in plate.steps:
        usual = dict(_of_plan(plan))
        yield from (Parameter(name, value) for name, value in usual.items())
        for own, wells in plate.variants(plan):
            for name, value in _of_plan(own):
                if own is not plan and (name not in usual or usual[name] != value):
                    yield Parameter(name, value, wells)


def _of_plan(plan: StepPlan) -> Iterator[tuple[str, Any]]:
    for group in plan.groups:
        part = "" if group.value is None else f"{plan.group_by.value} {group.value}/"
        for number, function in enumerate(group.functions, start=1):
            place = f"{plan.step_name}/{part}{number} {function.ref}"
            for name, value in sorted(function.parameters.items()):
                yield f"{place}/{name}", value
