"""How many threads a job's libraries use, where they may already be loaded."""

import sys
from typing import Any

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "GOTO_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
"""What Snakemake sets for the shell commands of a job; libraries read them when they are loaded."""

TEMPORARY_VARIABLES = ("TMPDIR", "TMP", "TEMPDIR", "TEMP")
"""What names the folder for temporary files."""


class ThreadCounts:
    """Sets the number of threads of the libraries of this process.

    Parameters
    ----------
    threads : int
        What the process was started with: libraries that are not loaded yet begin with it.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads

    def set(self, threads: int) -> None:
        """Let loaded libraries use so many threads, whatever they or earlier jobs use.

        tensorflow and jax cannot change it once they have begun: their workers are started with
        the number that their jobs have.
        """
        torch = sys.modules.get("torch")
        if torch is not None and torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        # who has loaded threadpoolctl may have limited threads with it (a look takes 1 ms)
        if threads != self._threads or "threadpoolctl" in sys.modules:
            _limit_pools(threads)
            self._threads = threads


def thread_environment(threads: int) -> dict[str, str]:
    """Return the environment variables for libraries that are not loaded yet."""
    return dict.fromkeys(THREAD_VARIABLES, str(threads))


def _limit_pools(threads: int) -> None:
    from threadpoolctl import threadpool_limits

    limits: Any = threadpool_limits
    limits(threads)  # stays until the next call
