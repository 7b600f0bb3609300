"""A small plate with its results, in folders of their own for each test."""

import json
import shutil
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

import pytest

from openhcs_core.cli.main import main
from openhcs_core.ground.canonical import canonical_json, digest_text
from openhcs_core.session import compile_workflow, write_files
from openhcs_core.testing.plates import write_imagexpress_plate

TAKEN = "taken from the cache, an equal job did it"
MADE = ("manifests", "tables", "rois", "images", "special", "logs", "json", "checkpoints")
PLAIN = """steps:
  - {name: clean, func: {openhcs:stack_percentile_normalize: {low_percentile: 1.0}}}
  - {name: flatten, func: {openhcs:max_projection: {}}, variable_components: [z_index]}
  - {name: count, func: {openhcs:count_cells_single_channel: {min_area: 5}}}
"""
SUB_DIRS = """steps:
  - {name: hat, func: openhcs:tophat, materialize: {sub_dir: checkpoints/first, backend: disk}}
  - {name: hat2, func: openhcs:tophat, materialize: {sub_dir: checkpoints}}
  - {name: count, func: openhcs:count_cells_single_channel}
"""
MODULE = """
from helper import doubled
from openhcs_core.memory import numpy
from openhcs_core.pipeline import special_inputs, special_outputs

@special_outputs("level")
@numpy
def measure(image):
    return image, {"mean": float(image.mean())}

@special_inputs("level")
@numpy
def lift(image, level):
    return doubled(image) + image.dtype.type(int(level["mean"]))
"""
LINKED = """steps:
  - {name: measure, func: mine:measure}
  - {name: lift, func: mine:lift}
"""
PIPELINES = {
    "plain": (PLAIN, ""),
    "tiff": (PLAIN, "storage: {materialization: disk}\n"),
    "zarr v2": (PLAIN, "storage: {zarr: {ome_zarr_version: '0.4'}}\n"),
    "sub dirs": (SUB_DIRS, ""),
    "own functions": (LINKED, "functions: [own/mine.py]\n"),
    "left out": (PLAIN, "failed_wells: leave_out\n"),
}


@dataclass(frozen=True)
class Place:
    """A project that has been compiled."""

    folder: Path

    @property
    def results(self):
        return self.folder / "results/demo"

    @property
    def cache(self):
        return self.folder / "results/.cache"

    @property
    def steps(self):
        return [step for step in STEPS if (self.results / f"plan/{step}.json").exists()]

    def digest(self, step):
        plan = json.loads((self.results / f"plan/{step}.json").read_bytes())
        return digest_text(canonical_json(plan))

    def arguments(self, step, well="A01", digest=None):
        where = ["--plate-dir", str(self.results), "--step", step, "--well", well]
        log = str(self.results / f"logs/{step}/{well}.log")
        return [*where, "--digest", digest or self.digest(step), "--log", log]

    def run(self, step, well="A01"):
        """Do a job as its command line; return its exit code."""
        return main(["run-step", *self.arguments(step, well)])

    def compile(self):
        with chdir(self.folder):
            compilation = compile_workflow("config/config.yaml")
            write_files(compilation.files)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def edit(self, name, old, new):
        text = (self.folder / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))

    def made(self, *, logs=False):
        """The bytes of everything that jobs have made."""
        return {
            path.relative_to(self.results).as_posix(): path.read_bytes()
            for path in self.results.rglob("*")
            if path.is_file()
            and (path.relative_to(self.results).parts[0] in MADE or ".ome.zarr" in str(path))
            and (logs or "/logs/" not in str(path))
        } | {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in (self.folder / "results/.plan/read").rglob("*")
            if path.is_file()
        }

    def forget_results(self):
        """Remove what jobs have made, and nothing of the cache."""
        for path in self.results.iterdir():
            if path.name in MADE or path.name.endswith(".ome.zarr"):
                shutil.rmtree(path)
        shutil.rmtree(self.folder / "results/.plan", ignore_errors=True)


STEPS = ("clean", "flatten", "hat", "hat2", "count", "measure", "lift")


def _make(folder, kind):
    pipeline, config = PIPELINES[kind]
    place = Place(folder)
    write_imagexpress_plate(folder / "plate", [1, 2])
    place.write("config/config.yaml", f"plates:\n  demo: {{path: plate}}\n{config}")
    place.write("config/pipeline.yaml", pipeline)
    place.write("own/mine.py", MODULE)
    place.write("own/helper.py", "def doubled(image):\n    return image + image\n")
    place.compile()
    for step in place.steps:
        for well in ("A01", "A02"):
            assert place.run(step, well) == 0, (step, well)
            log = (place.results / f"logs/{step}/{well}.log").read_text()
            assert TAKEN not in log
    return place


@pytest.fixture(scope="session")
def _done(tmp_path_factory):
    made = {}

    def done(kind):
        if kind not in made:
            made[kind] = _make(tmp_path_factory.mktemp("done") / "project", kind)
        return made[kind]

    return done


def _note_inodes(record, images):
    """Let a record be of files that were copied."""
    content = json.loads(record.read_bytes())
    for file in content["kept"].values():
        file["inode"] = (images / file["digest"][:2] / file["digest"]).stat().st_ino
    record.write_text(json.dumps(content))


@pytest.fixture
def done(_done, tmp_path):
    """What gives a project of a kind whose jobs are done, a copy: the plate stays where it is."""

    def copy(kind="plain"):
        place = _done(kind)
        folder = tmp_path / "project"
        shutil.copytree(place.folder, folder, ignore=shutil.ignore_patterns("plate"))
        location = folder / "results/demo/workspace/location.json"
        text = location.read_text()
        for name in ("results/.cache", "own"):
            text = text.replace(str(place.folder / name), str(folder / name))
        location.write_text(text)
        for record in folder.glob("results/.cache/jobs/*/*/*/*.json"):
            _note_inodes(record, folder / "results/.cache/images")
        return Place(folder)

    return copy


@pytest.fixture(params=PIPELINES)
def each(request, done):
    """A project of each kind whose jobs are done."""
    return done(request.param)
