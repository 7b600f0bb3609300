"""What ``--openhcs-…`` sets."""

from dataclasses import dataclass, field
from typing import Any, Optional

from snakemake_interface_executor_plugins.settings import ExecutorSettingsBase

from openhcs_core.errors import ConfigError
from openhcs_core.workers import PilotLimits, PilotSettings, SlurmSettings, WorkerLimits

_PROCESSES_OF_A_PILOT = 2
"""It does one job at a time; a second keeps another array library."""


def _setting(default: object, text: str) -> Any:
    """Return a field of the settings: Snakemake wants a help text in each."""
    return field(default=default, metadata={"help": text, "env_var": False, "required": False})


@dataclass
class ExecutorSettings(ExecutorSettingsBase):
    """What ``--openhcs-…`` sets."""

    workers: Optional[int] = _setting(
        None,
        "Keep at most this many worker processes, those that wait for a job of their "
        "array libraries included. Default: twice the cores.",
    )
    jobs_per_worker: int = _setting(
        500,
        "Replace a worker after this many jobs; 0 for never.",
    )
    growth_mb: int = _setting(
        2000,
        "Replace a worker that holds this much more memory than after its first job; 0 for never.",
    )
    held_mb: int = _setting(
        1000,
        "Keep so much of the images that jobs made in the memory of the workers, all "
        "together, for the next steps; 0 for none.",
    )
    gpus: Optional[str] = _setting(
        None,
        "Devices for jobs with the resource gpu, separated by commas, as "
        "CUDA_VISIBLE_DEVICES names them: 0,1. Each worker sees one of them. Default: "
        "workers see what snakemake does.",
    )
    jobs_per_gpu: int = _setting(
        1,
        "How many workers may share one of --openhcs-gpus.",
    )
    scheduler: Optional[str] = _setting(
        None,
        "Do the jobs on the workers of the Dask cluster at this address, tls://host:port; they "
        "have openhcs-core installed and see the working directory.",
    )
    pilots: int = _setting(
        0,
        "Do the jobs in Slurm jobs that stay, at most so many for jobs without GPUs. Needs the "
        "extra slurm.",
    )
    gpu_pilots: int = _setting(0, "The same for jobs with the resource gpu.")
    pilot_cores: int = _setting(1, "Cores of each pilot; more where a job has more threads.")
    pilot_mem_mb: int = _setting(4000, "Memory of each; more where a job has more mem_mb.")
    pilot_minutes: int = _setting(
        240, "Time of each; more where a job has more runtime. No job is cut off at its end."
    )
    pilot_partition: Optional[str] = _setting(None, "Partition of pilots. Default: Slurm's.")
    gpu_partition: Optional[str] = _setting(None, "Partition of pilots with GPUs.")
    gpu_option: str = _setting(
        "--gpus={gpus}", "Option of sbatch that asks for GPUs: --gres=gpu:{gpus}."
    )
    pilot_options: str = _setting(
        "", "Further options of sbatch for pilots: --account=lab --qos=short."
    )
    pilot_setup: str = _setting(
        "", "Shell line that prepares the software on a node: module load cuda."
    )
    pilot_interface: Optional[str] = _setting(
        None, "Network between this computer and pilots: ib0. Default: that of the host name."
    )
    pilot_idle: int = _setting(120, "Give a pilot back after so many seconds without a job.")
    pilot_wait: int = _setting(
        3600, "A job fails when no pilot for it has come after so many seconds."
    )


def worker_limits(settings: ExecutorSettings, cores: int) -> WorkerLimits:
    """Return how many processes there may be, here or in each pilot."""
    gpus = [gpu.strip() for gpu in (settings.gpus or "").split(",")]
    is_here = _place(settings) is None
    return WorkerLimits(
        count=settings.workers or (2 * cores if is_here else _PROCESSES_OF_A_PILOT),
        jobs=settings.jobs_per_worker,
        growth_mb=settings.growth_mb,
        held_mb=settings.held_mb // cores if is_here else settings.held_mb,
        gpus=tuple(gpu for gpu in gpus if gpu) if is_here else (),
        jobs_per_gpu=settings.jobs_per_gpu,
    )


def pilot_settings(settings: ExecutorSettings) -> PilotSettings | None:
    """Return which pilots do the jobs; None where they are done on this computer.

    Raises
    ------
    ConfigError
        Settings contradict each other.
    """
    place = _place(settings)
    if place is None:
        return None
    if place == "both":
        raise ConfigError(
            "--openhcs-scheduler names a cluster that has its workers; leave out "
            "--openhcs-pilots and --openhcs-gpu-pilots, or the address"
        )
    if settings.gpus:
        raise ConfigError("--openhcs-gpus names GPUs of this computer; pilots have their own")
    return PilotSettings(
        scheduler=settings.scheduler,
        limits=PilotLimits(
            cpu=settings.pilots,
            gpu=settings.gpu_pilots,
            cores=settings.pilot_cores,
            mem_mb=settings.pilot_mem_mb,
            minutes=settings.pilot_minutes,
            idle_s=settings.pilot_idle,
            wait_s=settings.pilot_wait,
        ),
        slurm=SlurmSettings(
            partition=settings.pilot_partition,
            gpu_partition=settings.gpu_partition,
            options=settings.pilot_options,
            gpu_option=settings.gpu_option,
            setup=settings.pilot_setup,
            interface=settings.pilot_interface,
        ),
    )


def _place(settings: ExecutorSettings) -> str | None:
    """Return where jobs are done: "dask", "slurm", "both" for a contradiction, None for here."""
    has_pilots = settings.pilots > 0 or settings.gpu_pilots > 0
    if settings.scheduler:
        return "both" if has_pilots else "dask"
    return "slurm" if has_pilots else None
