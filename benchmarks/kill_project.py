"""A tiny project that is run, disturbed and compared: the ground that kill trials stand on."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from openhcs_core.runtime import JobCache
from openhcs_core.runtime.digests import combined_digest, plane_digest
from openhcs_core.testing.plates import write_imagexpress_plate

ROOT = Path(__file__).resolve().parents[1]
WELLS = (1, 2)
JOBS = 8
"""Two wells of three steps, a table, the metadata of an OME-Zarr plate."""
TIMEOUT_S = 240
HANDLER_S = 60
CONFIG = """plates:
  demo: {{path: {plate}}}
functions: [workflow/functions/mine.py]
storage: {{check_space: false}} # so that jobs run into full disks, not the compiler
"""
PIPELINE = """steps:
  - name: smooth
    func: {{mine:smooth: {{sigma: {sigma}}}}}
  - name: count
    func: {{openhcs:count_cells_single_channel: {{min_area: 20}}}}
    keep: true
  - name: peaks
    func: {{mine:find_peak: {{factor: {factor}}}}}
    materialize: {{backend: disk}}
"""
MODULE = '''"""Functions of the user's own; one takes its time."""

import time

from openhcs_core.materialization import JsonOptions, MaterializationSpec
from openhcs_core.memory import numpy
from openhcs_core.pipeline import special_outputs


@numpy
def smooth(image_stack, sigma: int = 1):
    """Add what is `sigma` pixels to the right."""
    columns = [(x + sigma) % image_stack.shape[2] for x in range(image_stack.shape[2])]
    return image_stack // 2 + image_stack[:, :, columns] // 2


@numpy
@special_outputs(("peaks", MaterializationSpec(JsonOptions())))
def find_peak(image_stack, factor: int = 2):
    """Find the brightest pixel."""
    time.sleep(0.1)
    return image_stack, {"peak": [float(image_stack.max()) * factor]}
'''
FINAL, OLDER, OTHER = {"sigma": 1, "factor": 2}, {"sigma": 2, "factor": 3}, {"sigma": 3}
"""Parameters of the last run of a trial, of results that lie there before, and of others."""
_NOT_COMPARED = frozenset({"logs", "benchmarks", "status.csv"})
_UNTRACKED = frozenset({*_NOT_COMPARED, "plan", "index", "workspace", ".kept", "location.json"})
_OF_RUNS = frozenset({"lock", "locks", "plates", "times", "history", "aside", "outputs", "indices"})
"""What ``.plan`` tells of runs that were, beside what is to be done."""
_TEMPORARY = ".tmp-"


@dataclass(frozen=True)
class Run:
    """A finished snakemake command."""

    returncode: int
    output: str


class Main:
    """A live snakemake, the leader of a session that its jobs belong to."""

    def __init__(self, project: "Project", *arguments: str) -> None:
        self._log = project.folder / f"main-{len(list(project.folder.glob('main-*')))}.log"
        with self._log.open("wb") as stream:
            self.process = subprocess.Popen(
                project.command(*arguments),
                cwd=project.folder,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def is_live(self) -> bool:
        return self.process.poll() is None

    def processes(self) -> list[int]:
        """Return every living process of the session."""
        return [pid for pid, session in _sessions() if session == self.process.pid]

    def jobs(self) -> list[int]:
        """Return the processes that are jobs: ``openhcs-core run-step``."""
        return [pid for pid in self.processes() if _is_job(pid)]

    def finished_jobs(self) -> int:
        return self._log.read_bytes().count(b"Finished jobid")

    def send(self, number: signal.Signals, pids: list[int]) -> None:
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue  # it ended by itself meanwhile

    def wait(self) -> Run:
        """Wait for the main process."""
        self.process.wait(TIMEOUT_S)
        output = self._log.read_text(errors="replace")
        return Run(self.process.returncode, output)

    def wait_or_kill(self) -> bool:
        """Wait for the main process after a signal to it; return whether it had to be killed.

        Snakemake's handler of SIGTERM and SIGINT takes a lock that the same thread may hold: then
        it waits for itself, and a person kills it.
        """
        try:
            self.process.wait(HANDLER_S)
        except subprocess.TimeoutExpired:
            if self.jobs():
                self.wait()
                return False
            self.send(signal.SIGKILL, [self.process.pid])
            self.process.wait(TIMEOUT_S)
            return True
        return False

    def wait_for_all(self) -> None:
        """Wait until the whole session is gone."""
        deadline = time.monotonic() + TIMEOUT_S
        while self.processes():
            self.process.poll()
            if time.monotonic() > deadline:
                raise TimeoutError(f"processes {self.processes()} live on")
            time.sleep(0.05)

    def end(self) -> None:
        """Leave nothing behind, whatever became of the trial."""
        self.send(signal.SIGKILL, self.processes())
        self.process.wait(TIMEOUT_S)


def _sessions() -> Iterator[tuple[int, int]]:
    """Yield process and session of what lives on this machine, zombies left out."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            state, _, _, session = (folder / "stat").read_text().rpartition(") ")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state not in "ZX":
            yield int(folder.name), int(session)


def _is_job(pid: int) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return b"run-step" in words  # a shell that starts one has it inside a longer word


@dataclass(frozen=True)
class Project:
    """A working directory with a config, a pipeline and a module."""

    folder: Path
    plate: Path

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def write(self, sigma: int, factor: int = 2) -> None:
        """Write config and pipeline; files that stay the same keep their times."""
        texts = {
            "config/config.yaml": CONFIG.format(plate=self.plate),
            "config/pipeline.yaml": PIPELINE.format(sigma=sigma, factor=factor),
            "workflow/functions/mine.py": MODULE,
        }
        for name, text in texts.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists() or path.read_text() != text:
                path.write_text(text)

    def command(self, *arguments: str) -> list[str]:
        snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
        return [*snakemake, "--directory", str(self.folder), "-c2", *arguments]

    def run(self, *arguments: str) -> Run:
        """Run snakemake to its end."""
        main = Main(self, *arguments)
        try:
            return main.wait()
        finally:
            main.end()

    def tracked(self) -> list[Path]:
        """Return the files that snakemake knows as outputs, and all that is inside kept images."""
        return [
            path
            for path in _files(self.results / "demo")
            if path.relative_to(self.results / "demo").parts[0] not in _UNTRACKED
        ]

    def digests(self) -> dict[str, str]:
        """Return a digest of every file that two runs of equal work have in common."""
        found = {}
        for path in _files(self.results):
            parts = path.relative_to(self.results).parts
            if parts[0] == ".cache" or (len(parts) > 1 and parts[1] in _NOT_COMPARED):
                continue
            if parts[0] == ".plan" and parts[1] in _OF_RUNS:
                continue
            # full paths; and what Snakemake leaves out when it is killed just before
            if path.name not in ("location.json", ".snakemake_timestamp"):
                is_index = path.name == "plan.json"
                content = _without_predictions(path) if is_index else path.read_bytes()
                found["/".join(parts)] = hashlib.sha256(content).hexdigest()
        return found

    def damaged_objects(self) -> list[str]:
        """Return the objects of the cache that are not what their names say."""
        cache = self.results / ".cache"
        jobs = JobCache(cache)
        damaged = [path.name for path in cache.glob("objects/*/*.npy") if not _is_whole(path)]
        for files in (jobs.files, jobs.images):
            damaged += [path.name for path in files.root.glob("*/*") if files.check(path)]
        return damaged


def _without_predictions(path: Path) -> bytes:
    """Return what rules look up, without what jobs ask for: earlier runs decide that too."""
    index = json.loads(path.read_bytes())
    for plate in index["plates"].values():
        del plate["resources"], plate["predictions"]
    return json.dumps(index).encode()


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _is_whole(path: Path) -> bool:
    try:
        planes = np.load(path)
    except (ValueError, EOFError, OSError):
        return False
    return combined_digest(map(plane_digest, planes)) == path.stem


class Workspace:
    """The plate that all trials read, and two finished projects: what is due, and older results.

    Parameters
    ----------
    folder : Path
        Made when it is not there yet; may be used again.
    """

    def __init__(self, folder: Path) -> None:
        self.plate = folder / "plate"
        self._older = Project(folder / "older", self.plate)
        final = Project(folder / "final", self.plate)
        if not folder.exists():
            write_imagexpress_plate(self.plate, WELLS)
            _run_new(final, FINAL)
            _run_new(self._older, OLDER)
        self.expected = final.digests()
        self.size_bytes = sum(path.stat().st_size for path in _files(final.folder))

    def new_project(self, folder: Path, *, has_older_results: bool) -> Project:
        """Return a project to be run, without results or with those of other parameters."""
        project = Project(folder, self.plate)
        if has_older_results:
            shutil.copytree(self._older.folder, project.folder, dirs_exist_ok=True)
        project.write(**FINAL)
        return project


def _run_new(project: Project, parameters: dict[str, int]) -> None:
    project.write(**parameters)
    run = project.run()
    if run.returncode != 0:
        raise RuntimeError(f"the undisturbed run failed:\n{run.output}")
