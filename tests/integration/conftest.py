"""Projects in temporary folders, run through the real snakemake."""

import itertools
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tifffile

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
        """What ran: (step, well), (step, table file) or (step, 'store')."""
        return sorted(
            {
                (step, "store" if kind == "--store" else name)
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

    def copy_to(self, folder):
        """Copy everything, modification times kept."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder)

    def snakemake(self, *arguments, cores=2, prefix=()):
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(self.snakefile)]
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


_HTD = """"HTSInfoFile", Version 1.0
"TimePoints", 1
"ZSeries", FALSE
"XWells", 12
"YWells", 1
"WellsSelection1", {wells}
"Sites", TRUE
"XSites", 2
"YSites", 1
"SiteSelection1", TRUE, TRUE
"Waves", TRUE
"NWavelengths", 1
"WaveName1", "DAPI"
"WaveCollect1", 1
"EndFile"
"""


def write_plate(folder, columns, shape=(64, 64)):
    """Write a plate with HTD: row A, two sites, one wave; a few round nuclei in each field."""
    selected = ("TRUE" if column in columns else "FALSE" for column in range(1, 13))
    images = folder / "TimePoint_1"
    images.mkdir(parents=True)
    (folder / "P.HTD").write_text(_HTD.format(wells=", ".join(selected)))
    y, x = np.mgrid[: shape[0], : shape[1]]
    for column, site in itertools.product(columns, (1, 2)):
        random = np.random.default_rng(10 * column + site)
        image = random.poisson(200, shape)
        for at_y, at_x in random.integers(8, min(shape) - 8, (3 + site, 2)):
            image[(y - at_y) ** 2 + (x - at_x) ** 2 < 25] += 3000
        tifffile.imwrite(image_path(folder, f"A{column:02d}", site), image.astype(np.uint16))


def image_path(plate, well, site):
    """Return where :func:`write_plate` put an image."""
    return plate / "TimePoint_1" / f"P_{well}_s{site}_w1.TIF"


@pytest.fixture
def small_project(tmp_path):
    """Make a project with a plate of small images, the columns given."""

    def make(columns, folder="small"):
        project = Project(tmp_path / folder)
        write_plate(project.plate, columns)
        project.write("config/config.yaml", "plates:\n  demo: {path: plate}\n")
        return project

    return make


@pytest.fixture(scope="session")
def new_project():
    """What makes a project in a folder, for tests with another plate."""
    return make_project


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
