"""What main process and worker say to each other: JSON, never pickles."""

from openhcs_core.config import FrozenModel

BEGUN = b"begun"
"""A worker's first answer to a task: from now on it may have changed something."""


class Task(FrozenModel):
    """One job for a worker.

    Attributes
    ----------
    arguments : tuple of str
        What follows ``openhcs-core`` on the job's command line.
    folder : str
        The working directory.
    environment : dict
        All of it, as a process of the job's own would have it.
    threads : int
        How many the job may use.
    frameworks : tuple of str
        Memory types, other than numpy's, of the job's functions.
    """

    arguments: tuple[str, ...]
    folder: str
    environment: dict[str, str]
    threads: int
    frameworks: tuple[str, ...] = ()


class Usage(FrozenModel):
    """What a job used: the columns of Snakemake's benchmark files.

    The process's own numbers where the system does not tell them apart by job; None where it
    does not tell them at all.

    Attributes
    ----------
    wall_s, cpu_s : float
        Of the job and of the programs it started.
    max_rss_mb : float or None
        The most memory that the worker held while the job ran, libraries included.
    """

    wall_s: float
    cpu_s: float
    max_rss_mb: float | None = None
    vms_mb: float | None = None
    uss_mb: float | None = None
    pss_mb: float | None = None
    read_mb: float | None = None
    written_mb: float | None = None


class Outcome(FrozenModel):
    """How a job ended, and what the worker is like after it.

    Attributes
    ----------
    exit_code : int
        As a process of the job's own would have returned it.
    frameworks : tuple of str
        Array libraries that the process has loaded, by memory type.
    rss_mb : float
        Memory that it holds now, without images for later jobs.
    planes_held, planes_read, bytes_held : int
        Images of earlier steps that were in memory, that were not, and the size of the first.
    worn : str or None
        Why it should do no other job.
    """

    exit_code: int
    usage: Usage
    frameworks: tuple[str, ...] = ()
    rss_mb: float = 0.0
    planes_held: int = 0
    planes_read: int = 0
    bytes_held: int = 0
    worn: str | None = None
