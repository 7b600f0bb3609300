"""Plans: the only thing that crosses from compiler to emission and runtime.

Plain frozen data, no code and no arrays. A plan file holds exactly what its
digest covers: what is computed, from what, and how kept images are stored.
What a scheduler is asked for is apart from it (:class:`JobResources`), and so is how images
change their memory type (:class:`PlannedConversion`): a better prediction or route never
recomputes anything.
"""

from typing import Any, Literal

from openhcs_core.config.base import FrozenModel
from openhcs_core.config.storage import ZarrConfig
from openhcs_core.constants import Backend, Component, MemoryType
from openhcs_core.ground.zarr_groups import ZARR_GROUP_FILES, OmeZarrVersion
from openhcs_core.plan.conversions import PlannedConversion
from openhcs_core.plan.functions import FunctionPlan, GroupPlan, PlateTable
from openhcs_core.plan.predictions import BatchAim, JobResources, StepPrediction
from openhcs_core.plan.special_paths import special_path
from openhcs_core.plan.tiles import TilePlan
from openhcs_core.planes import PlaneKey

SCHEMA_VERSION = 1
PLATE_TARGET = "plate"
"""What stands in file names for the well where a job does the whole plate."""


class StorePlan(FrozenModel):
    """How a kept step's images are stored.

    Attributes
    ----------
    backend : Backend
        ``zarr``: one OME-Zarr plate a step; ``disk``: a folder of TIFFs a well.
    zarr : ZarrConfig or None
        Chunks and codec; None with the disk backend.
    scale_um : tuple of float or None
        ``(z, y, x)``; None where the plate's metadata do not say.
    channels : dict
        Channel id to display name; natural order of ids is the order of the c axis. This and
        the rest are the axes of an OME-Zarr image and left empty with the disk backend.
    sites : tuple of int
        Sites of the plate; a site's position is the name of its field.
    z_indices, timepoints : tuple of int
        The z and t axes, the same in every well that has the same functions.
    sub_dir : str or None
        Folder below the plate's results that the images lie in; None for the usual one.
    """

    backend: Literal[Backend.ZARR, Backend.DISK] = Backend.ZARR
    zarr: ZarrConfig | None = ZarrConfig()
    scale_um: tuple[float | None, float | None, float | None] = (None, None, None)
    channels: dict[str, str] = {}
    sites: tuple[int, ...] = ()
    z_indices: tuple[int, ...] = (1,)
    timepoints: tuple[int, ...] = (1,)
    sub_dir: str | None = None

    @property
    def well_file(self) -> str | None:
        """The file of a well's folder that rules declare, None where they declare the folder."""
        return None if self.zarr is None else ZARR_GROUP_FILES[self.zarr.ome_zarr_version]


class StepPlan(FrozenModel):
    """What one step does to one well, or to a whole plate at once.

    Attributes
    ----------
    source : str or None
        The step whose images it reads; None for the plate itself.
    reads_kept : bool
        The source's images are kept, so that they are read from there; else from the cache.
    read_sub_dir : str or None
        The folder that the source's kept images lie in; None for the usual one.
    projected_to : dict
        Component to the value that a projection's result gets: the plate's first one, also
        in a well where that plane is missing.
    wells : tuple of str
        Those that a step over the whole plate works on, in plate order; empty for all other
        steps.
    """

    schema_version: int = SCHEMA_VERSION
    step_name: str
    step_type: str = "FunctionStep"
    source: str | None = None
    variable_components: tuple[Component, ...] = (Component.SITE,)
    group_by: Component = Component.CHANNEL
    groups: tuple[GroupPlan, ...] = ()
    projected_to: dict[Component, str] = {}
    output_dtype: str | None = None
    input_memory_type: MemoryType = MemoryType.NUMPY
    output_memory_type: MemoryType = MemoryType.NUMPY
    read_backend: Backend = Backend.DISK
    write_backend: Backend = Backend.DISK
    reads_kept: bool = False
    read_sub_dir: str | None = None
    store: StorePlan | None = None
    wells: tuple[str, ...] = ()

    @property
    def is_plate_wide(self) -> bool:
        """Whether one job does all wells."""
        return bool(self.wells)

    @property
    def takes_images(self) -> bool:
        """Whether it reads images, and not plate tables alone."""
        return any(function.takes_images for function in self.functions) or not self.wells

    @property
    def tables(self) -> tuple[PlateTable, ...]:
        """The plate tables that it takes, each once."""
        taken = [table for function in self.functions for table in function.tables.values()]
        return tuple({(table.step, table.file): table for table in taken}.values())

    @property
    def functions(self) -> tuple[FunctionPlan, ...]:
        """The functions of all groups, in order."""
        return tuple(function for group in self.groups for function in group.functions)

    def as_dict(
        self, well_id: str, gpu_id: int | None = None, resources: JobResources | None = None
    ) -> dict[str, Any]:
        """Return the step plan of one well under the specification's keys.

        Parameters
        ----------
        well_id : str
            The well, e.g. ``B02``.
        gpu_id : int, optional
            The device, known only where the step runs: a scheduler gives a job its GPU.
        resources : JobResources, optional
            What its job asks the scheduler for.
        """
        data = self.model_dump(mode="json")
        return {
            "step_name": self.step_name,
            "step_type": self.step_type,
            "well_id": well_id,
            "input_dir": self.source or "plate",
            "output_dir": self.step_name,
            "read_backend": data["read_backend"],
            "write_backend": data["write_backend"],
            "input_memory_type": data["input_memory_type"],
            "output_memory_type": data["output_memory_type"],
            "gpu_id": gpu_id,
            "resources": None if resources is None else resources.model_dump(),
            "func": data["groups"],
            "variable_components": data["variable_components"],
            "group_by": data["group_by"],
            "special_inputs": self._special_inputs(well_id),
            "special_outputs": self._special_outputs(well_id),
            "zarr_config": data["store"] and data["store"]["zarr"],
            "force_disk_output": self.store is not None,
            "visualize": False,
        }

    def _special_inputs(self, well_id: str) -> dict[str, dict[str, str]]:
        return {
            _special_key(special.name, group.value): {
                "path": special_path(
                    special.step or self.step_name,
                    PLATE_TARGET if special.of_plate else well_id,
                    special.group,
                    special.name,
                ),
                "backend": _special_backend(is_file=special.step is not None),
            }
            for group in self.groups
            for function in group.functions
            for special in function.special_inputs
        }

    def _special_outputs(self, well_id: str) -> dict[str, dict[str, str]]:
        return {
            _special_key(output.name, group.value): {
                "path": special_path(self.step_name, well_id, group.value, output.name),
                "backend": _special_backend(is_file=output.is_linked),
            }
            for group in self.groups
            for function in group.functions
            for output in function.special_outputs
        }


def _special_key(name: str, group: str | None) -> str:
    """Return the name of a value; where functions differ by component, with their value."""
    return name if group is None else f"{group}.{name}"


def _special_backend(*, is_file: bool) -> str:
    return (Backend.DISK if is_file else Backend.MEMORY).value


class TablePlan(FrozenModel):
    """A plate table: which well tables it joins, and what is joined to them.

    Attributes
    ----------
    step_name, output : str
        Where the tables come from.
    suffix : str
        File-name suffix of the tables.
    groups : tuple of str or None
        The groups that give this output.
    wells : tuple of str
        Those whose functions give this output, in plate order.
    plate_map : str or None
        Digest of the plate map's bytes.
    group_by : Component
        The component whose values the groups are of.
    """

    schema_version: int = SCHEMA_VERSION
    step_name: str
    output: str
    suffix: str
    groups: tuple[str | None, ...]
    wells: tuple[str, ...]
    plate_map: str | None = None
    group_by: Component = Component.CHANNEL

    def is_of(self, key: PlaneKey) -> bool:
        """Return whether an image of its step is one that the output is given of."""
        value = str(getattr(key, self.group_by.value))
        return None in self.groups or value in self.groups

    @property
    def file(self) -> str:
        """The table's file name, e.g. ``cell_counts.csv``."""
        return f"{self.output}{self.suffix}"


class StoreMetadataPlan(FrozenModel):
    """The plate metadata of one kept step: where it is, its wells, how many fields one may have.

    Attributes
    ----------
    ome_zarr_version : str
        Which metadata files there are.
    """

    schema_version: int = SCHEMA_VERSION
    plate: str
    step_name: str
    wells: tuple[str, ...]
    field_count: int
    sub_dir: str | None = None
    ome_zarr_version: OmeZarrVersion = "0.5"


class PlatePlan(FrozenModel):
    """A compiled plate.

    Attributes
    ----------
    name : str
        As in the config.
    steps : tuple of StepPlan
        In pipeline order.
    well_steps : dict
        Step name to well to the plan of a well that has its own. Wells with equal plans share
        one object. Where functions differ by well every well has its own, and `steps` has the
        one that most wells share.
    resources, predictions : dict
        By step name.
    conversions : tuple of PlannedConversion
        Where images change their memory type.
    runs : tuple of tuple of str
        Steps that one job does, in pipeline order; empty where each step has jobs of its own.
    batches : tuple of tuple of str
        Wells that one job does; empty where each well has jobs of its own.
    tiles : dict
        By digest of a step's plan and by group: which slices are worked on in parts.
    batch_aim : BatchAim or None
        What batches were chosen for, where the config leaves their size to us.
    """

    name: str
    wells: tuple[str, ...]
    steps: tuple[StepPlan, ...]
    well_steps: dict[str, dict[str, StepPlan]] = {}
    tables: tuple[TablePlan, ...] = ()
    stores: tuple[StoreMetadataPlan, ...] = ()
    resources: dict[str, JobResources] = {}
    predictions: dict[str, StepPrediction] = {}
    conversions: tuple[PlannedConversion, ...] = ()
    runs: tuple[tuple[str, ...], ...] = ()
    batches: tuple[tuple[str, ...], ...] = ()
    batch_aim: BatchAim | None = None
    leaves_out: bool = False
    tiles: dict[str, dict[str, TilePlan]] = {}

    def step_plan(self, plan: StepPlan, well: str) -> StepPlan:
        """Return a well's own plan of a step, or the step's."""
        return self.well_steps.get(plan.step_name, {}).get(well, plan)

    def variants(self, plan: StepPlan) -> list[tuple[StepPlan, tuple[str, ...]]]:
        """Return the plans that a step's wells have, each with its wells, in plate order.

        A step over the whole plate has one plan, for :data:`PLATE_TARGET`.
        """
        if plan.is_plate_wide:
            return [(plan, (PLATE_TARGET,))]
        own = self.well_steps.get(plan.step_name, {})
        found: dict[int, tuple[StepPlan, list[str]]] = {}
        for well in self.wells:
            mine = own.get(well, plan)
            found.setdefault(id(mine), (mine, []))[1].append(well)
        return [(mine, tuple(wells)) for mine, wells in found.values()]

    def targets(self, plan: StepPlan) -> tuple[str, ...]:
        """Return what a step has a job for: every well, or :data:`PLATE_TARGET`."""
        return (PLATE_TARGET,) if plan.is_plate_wide else self.wells

    @property
    def job_count(self) -> int:
        """Jobs of a run from nothing."""
        batches = len(self.batches or self.wells)
        runs = self.runs or [(plan.step_name,) for plan in self.steps]
        whole = {plan.step_name for plan in self.steps if plan.is_plate_wide}
        jobs = sum(1 if run[0] in whole else batches for run in runs)
        return jobs + len(self.tables) + len(self.stores) + self.leaves_out


class CompiledPipeline(FrozenModel):
    """Everything the rules are generated from."""

    results: str
    plates: tuple[PlatePlan, ...]
