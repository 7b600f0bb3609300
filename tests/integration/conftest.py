"""Projects in temporary folders, run through the real snakemake."""

import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from openhcs_core.testing.plates import write_imagexpress_plate

ROOT = Path(__file__).parents[2]
DEMO_PLATE = ROOT / "data/demo/9987_Plate_3434"
_JOB = re.compile(r"openhcs-core run-step .*--step (\S+) (--\w+)(?: (\S+))? --digest")


@dataclass(frozen=True)
class Run:
    """One finished snakemake command."""

    returncode: int
    output: str

    @property
    def jobs(self):
        """What ran: (step, well), (step, 'plate'), (step, table file) or (step, 'store')."""
        return sorted(
            {
                (step, name or kind.removeprefix("--"))
                for step, kind, name in _JOB.findall(self.output)
            }
        )


@dataclass(frozen=True)
class Project:
    """A working directory with config, pipeline and a copy of the demo plate."""

    folder: Path

    @property
    def results(self):
        return self.folder / "results" / "demo"

    @property
    def snakefile(self):
        return ROOT / "Snakefile"

    @property
    def plate(self):
        return self.folder / "plate"

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def edit(self, name, old, new):
        text = (self.folder / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))

    def tracked_bytes(self):
        """Everything that two runs of equal work have in common, to the byte."""
        return {
            path.relative_to(self.results).as_posix(): path.read_bytes()
            for folder in ("manifests", "tables", "rois", "count.ome.zarr")
            for path in (self.results / folder).rglob("*")
            if path.is_file()
        }

    def copy_to(self, folder):
        """Copy everything, modification times kept."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder)

    def command(self, *arguments):
        """Run openhcs-core in the working directory."""
        return subprocess.run(
            [sys.executable, "-m", "openhcs_core", *arguments],
            capture_output=True,
            text=True,
            cwd=self.folder,
            check=False,
        )

    def snakemake(self, *arguments, cores=2, prefix=(), snakefile=None):
        workflow = str(snakefile or self.snakefile)
        command = [sys.executable, "-m", "snakemake", "--snakefile", workflow]
        command += ["--directory", str(self.folder), "--cores", str(cores), "--printshellcmds"]
        run = subprocess.run(
            [*prefix, *command, *arguments],
            capture_output=True,
            text=True,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return Run(run.returncode, run.stdout + run.stderr)


def make_project(folder, plate=DEMO_PLATE):
    """Copy a plate, and config and pipeline of the demo, into a folder."""
    project = Project(folder)
    shutil.copytree(plate, project.plate)
    project.write("config/config.yaml", "plates:\n  demo: {path: plate}\n")
    project.write("config/pipeline.yaml", (ROOT / "config/pipeline.yaml").read_text())
    return project


def make_small_project(folder, columns):
    """Make a project with a plate of small images, the columns given."""
    project = Project(folder)
    write_imagexpress_plate(project.plate, columns)
    project.write("config/config.yaml", "plates:\n  demo: {path: plate}\n")
    return project


@pytest.fixture
def small_project(tmp_path):
    """What makes a project with a plate of small images in a folder of the test."""

    def make(columns, folder="small"):
        return make_small_project(tmp_path / folder, columns)

    return make


@pytest.fixture(scope="session")
def new_small_project():
    """What makes a project with a plate of small images in a folder."""
    return make_small_project


@pytest.fixture(scope="session")
def new_project():
    """What makes a project in a folder, for tests with another plate."""
    return make_project


@pytest.fixture(scope="session")
def project_type():
    """A project, for tests that write their own."""
    return Project


@pytest.fixture(scope="session")
def run_type():
    """A finished command, for tests that start snakemake in their own way."""
    return Run


@pytest.fixture
def project(tmp_path):
    """A project nobody has run yet."""
    return make_project(tmp_path / "project")


@pytest.fixture(scope="session")
def finished_demo(tmp_path_factory):
    """The demo, run once for all tests that only look at results."""
    project = make_project(tmp_path_factory.mktemp("demo"))
    run = project.snakemake()
    assert run.returncode == 0, run.output
    return project, run


@pytest.fixture
def finished(finished_demo, tmp_path):
    """A copy of the finished demo that a test may change."""
    project, _ = finished_demo
    return project.copy_to(tmp_path / "finished")


@pytest.fixture(scope="session")
def until():
    """What waits for a condition, and fails the test when it does not come."""

    def wait(condition, seconds=60.0):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it did not come to it"
            time.sleep(0.1)

    return wait


@pytest.fixture(scope="session")
def processes_in():
    """What returns the command lines of the processes that work in a folder."""

    def find(folder):
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if (path / "cwd").resolve() == folder.resolve():
                    found.append((path / "cmdline").read_bytes().replace(b"\0", b" "))
            except OSError:
                continue
        return [line for line in found if line]

    return find
