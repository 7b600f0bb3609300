"""Names of files below results that need no plan to be known, and how wells are named in them.

`well` is a well such as ``B02`` where a path is meant, and a wildcard such as ``{well}``
where the emission needs a pattern.
"""

from pathlib import Path, PurePosixPath

from openhcs_core.planes import split_well

STATUS = "status.csv"
"""What came of each well."""

WORKSPACE_METADATA = "workspace/openhcs_metadata.json"
"""The virtual workspace in OpenHCS's form."""

KEPT_SINKS = ".kept"
"""Below a plate's results: images of kept steps until they are written, by step and well."""

ASIDE = ".plan/aside"
"""Below the results folder: manifests that are not of today's plans and inputs, by plate."""

RUN_LOCK = ".plan/lock"
"""Below the results folder: held by runs that work on it; a run of all plates signs it."""

LOCATION = "workspace/location.json"
"""Where plate and cache lie; no input of any rule, so that moving them reruns nothing."""


def aside_path(plate: str, step: str, well: str) -> str:
    """Return where a manifest lies that is not of today, relative to the folder of all results.

    A job removes it before it changes anything of the well.
    """
    return f"{ASIDE}/{plate}/{manifest_path(step, well)}"


def manifest_path(step: str, well: str) -> str:
    """Return the path of a well's commit record."""
    return f"manifests/{step}/{well}.json"


def plan_path(step: str, well: str | None = None) -> str:
    """Return the path of a step's plan, or of one well's own plan."""
    return f"plan/{step}.json" if well is None else f"plan/{step}/{well}.json"


def find_plan(plate_dir: Path, step: str, well: str) -> Path:
    """Return the file of the plan for a well: its own where there is one, or the step's."""
    own = plate_dir / plan_path(step, well)
    return own if own.exists() else plate_dir / plan_path(step)


def index_path(well: str) -> str:
    """Return the path of what a well consists of."""
    return f"index/{well}.json"


def store_path(step: str, sub_dir: str | None = None) -> str:
    """Return the path of a kept step's OME-Zarr plate, in the folder that the step chose."""
    return f"{sub_dir}/{step}.ome.zarr" if sub_dir else f"{step}.ome.zarr"


def image_folder(step: str, well: str, sub_dir: str | None = None) -> str:
    """Return the folder of a kept step's TIFFs of one well."""
    return f"{sub_dir or 'images'}/{step}/{well}"


def kept_well_folder(step: str, well: str, sub_dir: str | None, *, is_zarr: bool) -> str:
    """Return the folder of a well's kept images, in OME-Zarr or as TIFFs."""
    if not is_zarr:
        return image_folder(step, well, sub_dir)
    return "/".join([store_path(step, sub_dir), *split_well(well)])


def log_path(step: str, well: str) -> str:
    """Return the path of a job's log."""
    return f"logs/{step}/{well}.log"


def failure_path(step: str, target: str) -> str:
    """Return the path of the record that a failed job leaves."""
    return f"logs/{step}/{target}.failure.json"


def fallbacks_path(step: str, well: str) -> str:
    """Return the path of the record of what a job did because memory had run out."""
    return f"logs/{step}/{well}.fallbacks.json"


def benchmark_path(step: str, well: str) -> str:
    """Return the path of a job's measurements."""
    return f"benchmarks/{step}/{well}.tsv"


def measurement_path(step: str, well: str) -> str:
    """Return the path of what a step of a well took, for predictions."""
    return f"benchmarks/{step}/{well}.json"


def plan_folder(plate: str | None) -> str:
    """Return where rules and their index are, of one plate or of all; below the results folder."""
    return ".plan" if plate is None else f".plan/plates/{plate}"


def plate_lock(plate: str) -> str:
    """Return what a run that works on a plate signs, alone or with others; below the results."""
    return f"{plan_folder(plate)}/lock"


def store_plan_path(step: str) -> str:
    """Return the path of the plan of a kept step's plate metadata."""
    return f"plan/{step}/store.json"


def table_plan_path(step: str, file: str) -> str:
    """Return the path of the plan of a plate table, e.g. of ``cell_counts.csv``."""
    return f"plan/{step}/{file}.json"


def table_path(step: str, file: str) -> str:
    """Return the path of a plate table."""
    return f"tables/{step}/{file}"


def left_out_path(step: str, file: str) -> str:
    """Return the path of the list of wells that a plate table is without."""
    path = PurePosixPath(table_path(step, file))
    return str(path.with_suffix(f".left_out{path.suffix}"))


def partial_table_path(step: str, file: str) -> str:
    """Return the path of a plate table without the wells that failed."""
    path = PurePosixPath(table_path(step, file))
    return str(path.with_suffix(f".partial{path.suffix}"))
