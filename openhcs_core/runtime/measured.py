"""What a job took: a record that later runs are predicted from, and that nothing else reads.

Snakemake's own benchmark file looks at a job now and then, so that it misses the peak of a
short one; and it does not tell a result that was computed from one that was put back.
"""

import logging
import resource
import sys
import time
from pathlib import Path

from openhcs_core.errors import DiskFullError
from openhcs_core.plan import Measurement, StepPlan, measurement_path, plan_digest
from openhcs_core.storage import replace_file

logger = logging.getLogger(__name__)
_PEAK = "VmHWM:"
_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Stopwatch:
    """Measures from where it is made."""

    def __init__(self) -> None:
        try:
            _RESET.write_text("5", encoding="ascii")  # what was before in this process is not ours
        except OSError:
            logger.debug("the peak of memory is that of the whole process here")
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def write(
        self, plate_dir: Path, plan: StepPlan, well: str, kept_folder: Path | None, gpus: int = 0
    ) -> None:
        """Write what it measured; a record that cannot be written fails nothing.

        Parameters
        ----------
        plate_dir : Path
            ``results/<plate>``.
        plan : StepPlan
            What was done.
        kept_folder : Path or None
            Where the images are that were kept.
        gpus : int
            How many GPUs the job held.
        """
        kept = () if kept_folder is None else kept_folder.rglob("*")
        measured = Measurement(
            digest=plan_digest(plan),
            functions=tuple(function.ref for function in plan.functions),
            wall_s=round(time.perf_counter() - self._wall, 3),
            cpu_s=round(time.process_time() - self._cpu, 3),
            peak_mb=_peak_mb(),
            gpus=gpus,
            kept_bytes=sum(path.stat().st_size for path in kept if path.is_file()),
        )
        path = plate_dir / measurement_path(plan.step_name, well)
        try:
            with replace_file(path, durable=False) as stream:
                stream.write(measured.model_dump_json().encode())
        except (OSError, DiskFullError) as error:
            logger.warning("what the job took is not recorded: %s", error)


def _peak_mb() -> int:
    """Return the most memory this process had.

    Linux keeps it by program: what ``getrusage`` says may be that of the process which started
    this one.
    """
    try:
        lines = _STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak // (2**20 if sys.platform == "darwin" else 2**10)
    return next(int(line.split()[1]) for line in lines if line.startswith(_PEAK)) // 2**10
