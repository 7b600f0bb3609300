"""A Slurm cluster on this machine, and projects that run on it with ``--profile slurm``."""

import getpass
import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from openhcs_core.testing.plates import write_imagexpress_plate

ROOT = Path(__file__).parents[2]
PIPELINE = """
steps:
  - {name: clean, func: {openhcs:tophat: {selem_radius: 10}}}
  - {name: count, func: {openhcs:count_cells_single_channel: {min_area: 20}}}
"""
# seconds between looks at the queue, and until a file is seen: of a test's patience
_IMPATIENT = ("--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "10")


def _load_cluster():
    place = Path(__file__).with_name("cluster.py")
    spec = importlib.util.spec_from_file_location("openhcs_slurm_cluster", place)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


CLUSTER = _load_cluster()


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.slurm)


@pytest.fixture(scope="session")
def new_cluster():
    """What starts a cluster that ends with the tests; skips them where there is no Slurm.

    OPENHCS_TEST_SLURM=1 makes that an error.
    """
    absent = CLUSTER.missing()
    if absent and os.environ.get("OPENHCS_TEST_SLURM") != "1":
        pytest.skip(f"no Slurm here ({', '.join(absent)}): apt install {CLUSTER.PACKAGES}")
    started = []

    def start(**size):
        # not below pytest's own folder, which is closed to others: munged refuses that
        state = Path(tempfile.mkdtemp(prefix="openhcs-slurm-"))
        started.append(state)
        return CLUSTER.up(state, CLUSTER.Size(**size))

    yield start
    for state in started:
        CLUSTER.down(state)


@pytest.fixture(scope="session")
def cluster(new_cluster):
    """Two nodes of four cores and two declared GPUs each."""
    return new_cluster()


@dataclass
class Project:
    """A working directory whose jobs run on a cluster."""

    folder: Path
    cluster: object
    plates: tuple[str, ...]
    extra: dict = field(default_factory=dict)
    profile: str = "slurm"
    options: tuple[str, ...] = _IMPATIENT
    started: list = field(default_factory=list)

    @property
    def results(self):
        return self.folder / "results"

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def configure(self, more=""):
        plates = "".join(f"  {name}: {{path: {name}}}\n" for name in self.plates)
        self.write("config/config.yaml", f"plates:\n{plates}{more}")

    def edit(self, name, old, new):
        text = (self.folder / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))

    def command(self, *arguments, local=False):
        """Return what is typed, of a run on the cluster or on this machine."""
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
        if local:
            return [*command, "--cores", "2", *arguments]
        profile = str(ROOT / "profiles" / self.profile)
        return [*command, "--profile", profile, *self.options, *arguments]

    @property
    def environment(self):
        python_path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        return {**os.environ, **self.cluster.environment, "PYTHONPATH": python_path} | self.extra

    def start(self, *arguments):
        """Start a run on the cluster and return its process."""
        with (self.folder / "main.log").open("w") as log:
            run = subprocess.Popen(
                self.command(*arguments),
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started.append(run)
        return run

    def end(self):
        """End what a test that failed has left running."""
        for run in self.started:
            if run.poll() is None:
                _kill(run)

    def snakemake(self, *arguments, local=False):
        """Run to the end; return the exit code and what was said."""
        run = subprocess.run(
            self.command(*arguments, local=local),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return run.returncode, run.stdout + run.stderr

    def done(self, *arguments, local=False):
        """Run to the end, which has to be a good one; return what was said."""
        code, output = self.snakemake(*arguments, local=local)
        assert code == 0, output
        return output

    def log(self):
        return (self.folder / "main.log").read_text()

    def committed(self):
        """Everything that two runs of equal work have in common, to the byte."""
        return {
            path.relative_to(self.results).as_posix(): path.read_bytes()
            for path in sorted(self.results.rglob("*"))
            if path.is_file()
            and path.relative_to(self.results).parts[1:2]
            and path.relative_to(self.results).parts[1].split(".")[0]
            in {"manifests", "tables", "rois", "count", "work"}
            and ".plan" not in path.parts
            and ".cache" not in path.parts
        }

    def queue(self, states="all", form="%i %T"):
        """Return what the cluster says of jobs, a line each."""
        listed = self.cluster.call("squeue", "-h", f"--states={states}", "-o", form)
        return listed.splitlines()


@pytest.fixture
def new_project(cluster, tmp_path):
    """What makes a project with small plates in a folder of the test."""

    made = []

    def make(folder="project", *, plates=("one",), columns=(1, 2), shape=(64, 64), **how):
        project = Project(tmp_path / folder, cluster, tuple(plates), **how)
        made.append(project)
        for seed, name in enumerate(plates):  # equal ones would share what is computed
            write_imagexpress_plate(project.folder / name, columns, shape, seed=seed)
        project.configure()
        project.write("config/pipeline.yaml", PIPELINE)
        return project

    yield make
    for project in made:
        project.end()
    for state in ("PENDING", "RUNNING"):
        cluster.call("scancel", f"--state={state}", f"--user={getpass.getuser()}", check=False)


@pytest.fixture
def until():
    """What waits for a condition, and fails the test when it does not come."""

    def wait(condition, seconds=60.0, message="it did not come to it"):
        deadline = time.monotonic() + seconds
        while not (met := condition()):
            assert time.monotonic() < deadline, message() if callable(message) else message
            time.sleep(0.2)
        return met

    return wait


@pytest.fixture
def kill():
    """What kills a main process and its children on this machine, and waits."""
    return _kill


def _kill(process):
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
