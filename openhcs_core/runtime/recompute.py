"""Compute images again that are gone from the cache, by the plans that made them."""

import logging
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass

from openhcs_core.errors import InputDataError
from openhcs_core.planes import PlaneKey
from openhcs_core.runtime.job import Job

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recomputer:
    """Recomputes the images of a step and well in a child process.

    A process of its own, because a step may need another array library than the job that
    asks. The child does the same for steps before it, down to the nearest one that has its
    images. It writes into the cache only; what it gives is checked by digest when it is read.

    Attributes
    ----------
    job : Job
        The job that needs the images.
    """

    job: Job

    def __call__(self, step: str, well: str, planes: Collection[PlaneKey] = ()) -> None:
        """Recompute the images of `step` for `well`: all of them, whichever are needed.

        Raises
        ------
        InputDataError
            The child failed; its last line is in the message.
        """
        logger.info("images of step %r, well %s are gone from the cache: recomputing", step, well)
        command = [sys.executable, "-m", "openhcs_core", "run-step"]
        command += ["--plate-dir", str(self.job.plate_dir), "--step", step, "--well", well]
        child = subprocess.run(
            [*command, "--images-only"], capture_output=True, text=True, check=False
        )
        if child.returncode != 0:
            last = (child.stderr.strip().splitlines() or ["no message"])[-1]
            raise InputDataError(
                f"images of step {step!r}, well {well} are gone from the cache and could not be "
                f"computed again: {last}"
            )
