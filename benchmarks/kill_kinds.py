"""What kill trials do to a run: each kind starts one, disturbs it and waits for its end."""

import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from kill_project import FINAL, JOBS, OTHER, Main, Project, Run

_POLL_S = 0.02
_START_S = 4
_JOB_S = 1.2
_PATIENCE_S = 30
_FREE_KB = 64 * 1024


class TrialError(Exception):
    """The product did not keep its promise."""


@dataclass
class Scene:
    """What a kind works with.

    Attributes
    ----------
    project : Project
        To be run; its config is the one that has to be carried out in the end.
    random : Random
        The only source of chance.
    size_bytes : int
        What a finished project takes on disk.
    """

    project: Project
    random: random.Random
    size_bytes: int
    notes: list[str]

    def pause(self, most_s: float) -> None:
        """Wait for a random time."""
        time.sleep(self.random.uniform(0, most_s))

    def wait_for_moment(self, main: Main) -> None:
        """Wait until some jobs are done, then a little longer; a busy machine only takes longer."""
        count = self.random.randint(0, JOBS - 1)
        most_s = _START_S if count == 0 else _JOB_S
        more_s = self.random.uniform(0, most_s)
        self.notes.append(f"{more_s:.2f} s after {count} jobs")
        deadline = time.monotonic() + _PATIENCE_S  # the run may wait for what stands still
        while main.is_live and main.finished_jobs() < count and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        time.sleep(more_s)

    @contextmanager
    def run(self) -> Iterator[Main]:
        """Start a run and wait for a random moment of it; end what is left of it afterwards."""
        main = Main(self.project)
        try:
            self.wait_for_moment(main)
            yield main
        finally:
            main.end()

    def await_end(self, main: Main) -> None:
        """Wait for a main process that got a signal."""
        if main.wait_or_kill():
            self.notes.append("hung in Snakemake's handler, killed")

    def wait_for_job(self, main: Main) -> list[int]:
        """Return the jobs that run, as soon as there is one; none when the run is over."""
        while main.is_live:
            if jobs := main.jobs():
                return jobs
            time.sleep(_POLL_S)
        return []


def signal_main(scene: Scene, number: signal.Signals) -> None:
    """To the main process alone; its jobs end as they like before the next run."""
    with scene.run() as main:
        main.send(number, [main.process.pid])
        scene.await_end(main)
        main.wait_for_all()


def signal_group(scene: Scene, number: signal.Signals) -> None:
    """To the main process and all its jobs: a closed terminal, a machine that goes down."""
    with scene.run() as main:
        main.send(number, main.processes())
        scene.await_end(main)
        main.wait_for_all()


def signal_job(scene: Scene, number: signal.Signals) -> None:
    """To one job; the others go on."""
    with scene.run() as main:
        if jobs := scene.wait_for_job(main):
            main.send(number, [scene.random.choice(jobs)])
        main.wait()


def leave_orphans(scene: Scene, *, edit: bool, stop: bool) -> None:
    """Kill the main process and start again at once, while its jobs go on.

    Parameters
    ----------
    edit : bool
        The run that is killed was of other parameters.
    stop : bool
        The orphans stand still for a while, as on a slow disk, and go on during the next run.
    """
    if edit:
        scene.project.write(**OTHER)
    with scene.run() as main:
        jobs = scene.wait_for_job(main)
        if stop:
            scene.pause(1.5)
            main.send(signal.SIGSTOP, [pid for pid in main.processes() if pid != main.process.pid])
        main.send(signal.SIGKILL, [main.process.pid])
        main.wait()
        scene.notes.append(f"{len(jobs)} orphans")
        scene.project.write(**FINAL)
        following = Main(scene.project)
        try:
            if stop:
                scene.wait_for_moment(following)
                main.send(signal.SIGCONT, main.processes())
            run = following.wait()
            main.wait_for_all()
        finally:
            following.end()
        if run.returncode != 0:
            raise TrialError(f"the run beside orphans failed:\n{run.output}")


def remove_files(scene: Scene) -> None:
    """Remove files behind the run's back."""
    with scene.run() as main:
        for _ in range(scene.random.randint(1, 4)):
            if found := _removable(scene.project):
                kind = scene.random.choice(sorted(found))
                path = scene.random.choice(found[kind])
                scene.notes.append(f"removed {path.relative_to(scene.project.folder)}")
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            scene.pause(0.5)
        main.wait()


def _removable(project: Project) -> dict[str, list[Path]]:
    """Return what may be removed, by what it is: any of it has to be noticed by itself."""
    results = project.results
    demo = results / "demo"
    found = {
        "manifest": [*demo.glob("manifests/*/*.json")],
        "tracked": [
            *(path for folder in ("tables", "rois", "json") for path in demo.glob(f"{folder}/*/*")),
            *demo.glob("*.ome.zarr/*/*/zarr.json"),
            *demo.glob("images/*/A*"),
        ],
        "object": [*results.glob(".cache/objects/*/*.npy")],
        "plan": [*demo.glob("plan/*"), *demo.glob("index/*"), *results.glob(".plan/*.*")],
        "temporary": [*results.rglob(".tmp-*"), *demo.glob(".kept/*/*")],
    }
    return {kind: sorted(paths) for kind, paths in found.items() if paths}


def start_second(scene: Scene, *, edit: bool) -> None:
    """Start a second run on the same results folder: it waits, finds nothing, or is refused."""
    if edit:
        scene.project.write(**OTHER)
    with scene.run() as main:
        scene.project.write(**FINAL)
        second = scene.project.run()
        first = main.wait()
    refused = "another run" in second.output
    scene.notes.append("refused" if refused else f"second ended in {second.returncode}")
    if second.returncode != 0 and not refused:
        raise TrialError(f"the second run failed:\n{second.output}")
    if first.returncode != 0 and "another run" not in first.output:
        raise TrialError(f"the first run failed:\n{first.output}")


def fill_disk(scene: Scene) -> None:
    """Run on a disk that is too small, then on one with room."""
    folder = scene.project.folder
    used = sum(path.stat().st_blocks * 512 for path in folder.rglob("*")) // 1024
    room_kb = scene.random.randint(4, max(8, scene.size_bytes // 1024))
    scene.notes.append(f"{room_kb} kB left")
    _remount(folder, used + room_kb)
    run = scene.project.run()
    _remount(folder, _FREE_KB)
    scene.notes.append(f"ended in {run.returncode}")
    _check_message(run)


def _check_message(run: Run) -> None:
    if run.returncode != 0 and "No space left" not in run.output:
        raise TrialError(f"a full disk is not named:\n{run.output}")


def _remount(folder: Path, size_kb: int) -> None:
    command = ["mount", "-o", f"remount,size={size_kb}k", str(folder)]
    subprocess.run(command, check=True, capture_output=True)


KINDS: dict[str, Callable[[Scene], None]] = {
    f"{name} {whom}": partial(act, number=number)
    for whom, act in {"main": signal_main, "group": signal_group, "job": signal_job}.items()
    for name, number in {
        "kill": signal.SIGKILL,
        "term": signal.SIGTERM,
        "int": signal.SIGINT,
    }.items()
} | {
    "orphans": partial(leave_orphans, edit=False, stop=False),
    "orphans, edit": partial(leave_orphans, edit=True, stop=False),
    "slow orphans": partial(leave_orphans, edit=False, stop=True),
    "slow orphans, edit": partial(leave_orphans, edit=True, stop=True),
    "removed files": remove_files,
    "second run": partial(start_second, edit=False),
    "second run, edit": partial(start_second, edit=True),
    "full disk": fill_disk,
}
