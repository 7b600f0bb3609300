"""What jobs ask for, are expected to take, and took; in no plan file and no digest."""

from openhcs_core.config.base import FrozenModel


class JobResources(FrozenModel):
    """What a step's jobs ask the scheduler for.

    Attributes
    ----------
    gpu : int
        How many; 0 where the step's functions need none, or run on the CPU.
    gpu_model : str or None
        The scheduler's name of the model that it has to be.
    is_gpu_needed : bool
        The pipeline says itself how many or of which model.
    well_min : float
        Minutes that a well adds to a job of several steps or wells; `runtime_min` is the least
        that any job asks for.
    """

    mem_mb: int
    runtime_min: int
    well_min: float = 0.0
    gpu: int = 0
    gpu_model: str | None = None
    is_gpu_needed: bool = False


class BatchAim(FrozenModel):
    """How many wells a job does, and for how long a job that was chosen.

    Attributes
    ----------
    minutes : int
        What a job was to take.
    wells : int
        How many wells were predicted to take that.
    """

    minutes: int
    wells: int


class Measurement(FrozenModel):
    """What one step of one well took, as its job recorded it.

    Attributes
    ----------
    digest : str
        Of its plan.
    functions : tuple of str
        References of its plan's functions.
    wall_s, cpu_s : float
        Without the start of the process.
    peak_mb : int
        Most memory that the process had, in 2**20 bytes.
    kept_bytes : int
        Size of the images it kept, as they are on disk.
    gpus : int
        How many GPUs it held.
    """

    digest: str
    functions: tuple[str, ...]
    wall_s: float
    cpu_s: float
    peak_mb: int
    kept_bytes: int = 0
    gpus: int = 0


class StepPrediction(FrozenModel):
    """What a step is expected to take for one well.

    Attributes
    ----------
    peak_mb : int
        Memory of its process, in 2**20 bytes.
    cpu_s : float
        With the start of the process.
    start_s : float
        Of it the start, which a job of several wells or steps has once.
    cached_bytes, kept_bytes : int
        What its images take: in the cache, or kept.
    records : int
        Jobs of earlier runs that memory and time are taken from; 0: from shapes and functions.
    """

    peak_mb: int
    cpu_s: float
    cached_bytes: int
    kept_bytes: int
    start_s: float = 0.0
    records: int = 0


class RunTotals(FrozenModel):
    """What all jobs together are expected to take.

    Attributes
    ----------
    cpu_h, gpu_h : float
        Hours of one core, and of one GPU.
    peak_mb : int
        Memory of the largest job.
    peak_bytes : int
        On disk until the run ends, when the cache is brought back to its size.
    final_bytes : int
        On disk from then on.
    """

    cpu_h: float
    gpu_h: float
    peak_mb: int
    peak_bytes: int
    final_bytes: int
