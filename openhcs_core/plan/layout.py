"""Names of files under ``results/<plate>/``, from plans alone.

`well` is a well such as ``B02`` where a path is meant, and a wildcard such as ``{well}``
where the emission needs a pattern.
"""

from collections.abc import Iterator
from typing import NamedTuple

from openhcs_core.config import ZARR_GROUP_FILES
from openhcs_core.constants import Backend
from openhcs_core.ground.canonical import digest_text
from openhcs_core.ground.paths import (
    image_folder,
    index_path,
    manifest_path,
    store_path,
    table_path,
    table_plan_path,
)
from openhcs_core.materialization.spec import CsvOptions, ROIOptions, WriterOptions
from openhcs_core.plan.functions import FunctionPlan, GroupPlan, SpecialOutputPlan
from openhcs_core.plan.models import (
    PLATE_TARGET,
    StepPlan,
    StoreMetadataPlan,
    TablePlan,
)
from openhcs_core.plan.special_paths import CHECK, SPECIAL_FOLDER, file_stem, special_path
from openhcs_core.planes import PlaneKey, split_well

OUTPUT_FOLDERS = {"csv": "tables", "json": "json", "roi": "rois", "text": "text", "tiff": "tiff"}
"""Writer kind → folder of its files."""

CRATE_METADATA = "ro-crate-metadata.json"
"""Describes a plate's results as a Workflow Run RO-Crate, for which it stands in their folder."""

CRATE_FOLDER = "ro-crate"
"""What the results can be made again from, and the list of images that they were made from."""

OWN_FOLDERS = frozenset(
    {*OUTPUT_FOLDERS.values(), SPECIAL_FOLDER}
    | {"manifests", "plan", "index", "workspace", "logs", "benchmarks", "labels"}
    | {"status.csv", CHECK, CRATE_FOLDER, CRATE_METADATA}
)
"""Names below a plate's results that images cannot be kept under."""

_KEY_DIGITS = 6


class OutputFile(NamedTuple):
    """A file that a step writes for one well, apart from images and manifest.

    Attributes
    ----------
    group : str or None
        The component value it belongs to, for component dicts.
    output : str
        Name of the special output.
    options : WriterOptions
        Which writer makes it, and the end of its name.
    """

    group: str | None
    output: str
    options: WriterOptions

    def path(self, step: str, well: str) -> str:
        """Return the path relative to the plate's results."""
        folder, suffix = OUTPUT_FOLDERS[self.options.kind], self.options.filename_suffix
        return f"{folder}/{step}/{file_stem(well, self.group, self.output)}{suffix}"

    @property
    def key(self) -> str:
        """A name unique within the step, fit for a Python identifier.

        Letters that such a name cannot have become ``_``; where that could make two names one,
        as of ``_a.csv`` and ``.a.csv``, a digest of the file's name is appended.
        """
        folder, suffix = OUTPUT_FOLDERS[self.options.kind], self.options.filename_suffix
        stem = f"{folder}_{self.group or 'all'}_{self.output}"
        usual = self.options.endings[0]
        before = f"{stem}{suffix.removesuffix(usual)}"
        is_clear = suffix.endswith(usual) and before.isascii() and before.isidentifier()
        return _identifier(f"{stem}{suffix}", is_clear=is_clear)


class SpecialFile(NamedTuple):
    """A file that a special output is kept in for later steps.

    Attributes
    ----------
    group : str or None
        The component value it belongs to, for component dicts.
    output : str
        Name of the special output.
    of_plate : bool
        The step that writes it does the whole plate at once.
    """

    group: str | None
    output: str
    of_plate: bool = False

    def path(self, step: str, well: str) -> str:
        """Return the path relative to the plate's results."""
        target = PLATE_TARGET if self.of_plate else well
        return special_path(step, target, self.group, self.output)

    @property
    def key(self) -> str:
        """A name unique within the step, fit for a Python identifier."""
        key = f"{SPECIAL_FOLDER}_{self.group or 'all'}_{self.output}"
        is_clear = key.isascii() and key.isidentifier() and "_" not in (self.group or "")
        return _identifier(key, is_clear=is_clear)


def _identifier(text: str, *, is_clear: bool) -> str:
    """Return `text` with ``_`` for all but letters and digits, and a digest unless it is clear."""
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in text)
    return plain if is_clear else f"{plain}_{digest_text(text)[:_KEY_DIGITS]}"


def special_files(plan: StepPlan) -> Iterator[SpecialFile]:
    """Yield the files of a step's special outputs that later steps take."""
    for group in plan.groups:
        for function in group.functions:
            for output in function.special_outputs:
                if output.is_linked:
                    yield SpecialFile(group.value, output.name, plan.is_plate_wide)


def well_files(plan: StepPlan) -> Iterator[OutputFile | SpecialFile]:
    """Yield every file a step writes for each well, apart from images and manifest."""
    yield from output_files(plan)
    yield from special_files(plan)


def taken_files(plan: StepPlan) -> dict[str, list[SpecialFile]]:
    """Return the special outputs of earlier steps that a step takes, each once, by their step."""
    taken = {
        (special.step, SpecialFile(special.group, special.name, special.of_plate)): None
        for function in plan.functions
        for special in function.special_inputs
        if special.step is not None
    }
    files: dict[str, list[SpecialFile]] = {}
    for step, file in taken:
        files.setdefault(step, []).append(file)
    return files


def taken_manifests(plan: StepPlan, well: str) -> dict[str, str]:
    """Return the manifests of the steps whose special outputs a step takes, by step."""
    return {
        step: manifest_path(step, PLATE_TARGET if files[0].of_plate else well)
        for step, files in taken_files(plan).items()
    }


def source_wells(plan: StepPlan, well: str) -> tuple[str, ...]:
    """Return the wells whose images a job of a step reads."""
    if not plan.is_plate_wide:
        return (well,)
    return plan.wells if plan.takes_images else ()


def taken_tables(plan: StepPlan) -> tuple[str, ...]:
    """Return the paths of the plate tables that a step takes, and of their plans."""
    paths = (
        (table_path(table.step, table.file), table_plan_path(table.step, table.file))
        for table in plan.tables
    )
    return tuple(
        path
        for table, (own, of_plan) in zip(plan.tables, paths, strict=True)
        for path in ((own,) if table.of_plate else (own, of_plan))
    )


def joined_steps(plan: StepPlan) -> tuple[str, ...]:
    """Return the steps whose wells' tables are joined to plate tables that a step takes."""
    return tuple(dict.fromkeys(table.step for table in plan.tables if not table.of_plate))


def read_names(plan: StepPlan, well: str) -> tuple[str, ...]:
    """Return what says what a job reads: indices, manifests, tables; below the plate's results.

    Which images a plate table is of is said by the manifests of its wells.
    """
    images = [
        index_path(one) if plan.source is None else manifest_path(plan.source, one)
        for one in source_wells(plan, well)
    ]
    joined = [manifest_path(step, one) for step in joined_steps(plan) for one in plan.wells]
    taken = taken_manifests(plan, well).values()
    return tuple(dict.fromkeys([*images, *joined, *taken_tables(plan), *taken]))


def function_files(group: GroupPlan, function: FunctionPlan) -> Iterator[OutputFile]:
    """Yield the files of one function's special outputs, in order of declaration."""
    for output in function.special_outputs:
        for options in output.spec.options if output.spec else ():
            yield OutputFile(group.value, output.name, options)


def output_files(plan: StepPlan) -> Iterator[OutputFile]:
    """Yield the files a step writes for each well, in the order of its functions."""
    for group in plan.groups:
        for function in group.functions:
            yield from function_files(group, function)


def label_names(output: SpecialOutputPlan) -> dict[str | None, str]:
    """Return what the label images of an output are called, by the `source` they come from.

    The first is called like the output; those of other parts of its value have it appended.
    """
    names: dict[str | None, str] = {}
    for options in output.spec.options if output.spec else ():
        if isinstance(options, ROIOptions) and options.source not in names:
            part = "".join(letter if letter.isalnum() else "_" for letter in options.source or "")
            names[options.source] = f"{output.name}_{part}" if names else output.name
    return names


def kept_folder(step: str, backend: Backend, sub_dir: str | None = None) -> str:
    """Return the folder of all images of a kept step."""
    if backend is Backend.ZARR:
        return store_path(step, sub_dir)
    return image_folder(step, "", sub_dir).removesuffix("/")


def kept_well_folder(step: str, backend: Backend, well: str, sub_dir: str | None = None) -> str:
    """Return the folder of a well's images of a kept step."""
    parts = split_well(well) if backend is Backend.ZARR else [well]
    return "/".join([kept_folder(step, backend, sub_dir), *parts])


def kept_image_path(step: str, backend: Backend, key: PlaneKey, sub_dir: str | None = None) -> str:
    """Return where a plane of a kept step is, as its backend names it."""
    if backend is Backend.ZARR:
        return f"{store_path(step, sub_dir)}/{key.filename}"
    return f"{image_folder(step, key.well, sub_dir)}/{key.filename}"


def kept_well_target(plan: StepPlan, well: str) -> str:
    """Return the path that the rule of a kept step declares for a well's images.

    Raises
    ------
    ValueError
        The step's images are not kept.
    """
    store = plan.store
    if store is None:
        raise ValueError(f"step {plan.step_name!r} is not kept")
    folder = kept_well_folder(plan.step_name, store.backend, well, store.sub_dir)
    return folder if store.well_file is None else f"{folder}/{store.well_file}"


def store_metadata_path(store: StoreMetadataPlan) -> str:
    """Return the path of the metadata of a kept step's OME-Zarr plate."""
    folder = store_path(store.step_name, store.sub_dir)
    return f"{folder}/{ZARR_GROUP_FILES[store.ome_zarr_version]}"


def well_table_paths(table: TablePlan, well: str) -> list[str]:
    """Return the tables of one well that a plate table joins."""
    options = CsvOptions(filename_suffix=table.suffix)
    return [
        OutputFile(group, table.output, options).path(table.step_name, well)
        for group in table.groups
    ]
