"""Names of files under ``results/<plate>/``, from plans alone.

`well` is a well such as ``B02`` where a path is meant, and a wildcard such as ``{well}``
where the emission needs a pattern.
"""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from openhcs_core.constants import Backend
from openhcs_core.materialization.spec import CsvOptions, WriterOptions
from openhcs_core.plan.models import StepPlan, TablePlan
from openhcs_core.planes import PlaneKey

_FOLDERS = {"csv": "tables", "roi": "rois"}
"""Writer kind → folder of its files."""


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
        folder = _FOLDERS[self.options.kind]
        group = f".{self.group}" if self.group is not None else ""
        return f"{folder}/{step}/{well}{group}.{self.output}{self.options.filename_suffix}"

    @property
    def key(self) -> str:
        """A name unique within the step, fit for a Python identifier."""
        folder, suffix = _FOLDERS[self.options.kind], self.options.filename_suffix
        text = f"{folder}_{self.group or 'all'}_{self.output}{suffix}"
        return "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in text)


def output_files(plan: StepPlan) -> Iterator[OutputFile]:
    """Yield the files a step writes for each well, in the order of its functions."""
    for group in plan.groups:
        for function in group.functions:
            for output in function.special_outputs:
                for options in output.spec.options if output.spec else ():
                    yield OutputFile(group.value, output.name, options)


def manifest_path(step: str, well: str) -> str:
    """Return the path of a well's commit record."""
    return f"manifests/{step}/{well}.json"


def plan_path(step: str, well: str | None = None) -> str:
    """Return the path of a step's plan, or of one well's own plan."""
    return f"plan/{step}.json" if well is None else f"plan/{step}/{well}.json"


def index_path(well: str) -> str:
    """Return the path of what a well consists of."""
    return f"index/{well}.json"


def store_path(step: str) -> str:
    """Return the path of a kept step's OME-Zarr plate."""
    return f"{step}.ome.zarr"


def image_folder(step: str, well: str) -> str:
    """Return the folder of a kept step's TIFFs of one well."""
    return f"images/{step}/{well}"


def kept_image_path(step: str, backend: Backend, key: PlaneKey) -> str:
    """Return where a plane of a kept step is, as its backend names it."""
    folder = store_path(step) if backend is Backend.ZARR else image_folder(step, key.well)
    return f"{folder}/{key.filename}"


def store_plan_path(step: str) -> str:
    """Return the path of the plan of a kept step's plate metadata."""
    return f"plan/{step}/store.json"


def table_plan_path(step: str, file: str) -> str:
    """Return the path of the plan of a plate table, e.g. of ``cell_counts.csv``."""
    return f"plan/{step}/{file}.json"


def table_path(step: str, file: str) -> str:
    """Return the path of a plate table."""
    return f"tables/{step}/{file}"


def partial_table_path(step: str, file: str) -> str:
    """Return the path of a plate table without the wells that failed."""
    path = PurePosixPath(table_path(step, file))
    return str(path.with_suffix(f".partial{path.suffix}"))


def well_table_paths(table: TablePlan, well: str) -> list[str]:
    """Return the tables of one well that a plate table joins."""
    options = CsvOptions(filename_suffix=table.suffix)
    return [
        OutputFile(group, table.output, options).path(table.step_name, well)
        for group in table.groups
    ]


def log_path(step: str, well: str) -> str:
    """Return the path of a job's log."""
    return f"logs/{step}/{well}.log"


def failure_path(step: str, target: str) -> str:
    """Return the path of the record that a failed job leaves."""
    return f"logs/{step}/{target}.failure.json"


def benchmark_path(step: str, well: str) -> str:
    """Return the path of a job's measurements."""
    return f"benchmarks/{step}/{well}.tsv"


STATUS = "status.csv"
"""What came of each well."""

WORKSPACE_METADATA = "workspace/openhcs_metadata.json"
"""The virtual workspace in OpenHCS's form."""

LOCATION = "workspace/location.json"
"""Where plate and cache lie; no input of any rule, so that moving them reruns nothing."""
