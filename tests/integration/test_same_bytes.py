"""Two runs under other conditions: the same bytes, and files that colleagues can read."""

import csv
import itertools
import stat

import pytest
import tifffile

MINE = '''"""Functions that draw random numbers, and values of every writer."""
import random

import numpy as np

from openhcs_core.materialization import (
    CsvOptions,
    JsonOptions,
    MaterializationSpec,
    ROIOptions,
    TextOptions,
    TiffOptions,
)
from openhcs_core.memory import numpy
from openhcs_core.pipeline import special_inputs, special_outputs

DRAWN = MaterializationSpec(CsvOptions(), JsonOptions(), TextOptions(source="python"))
OUTLINES = MaterializationSpec(ROIOptions())
NOISE = MaterializationSpec(TiffOptions())


@numpy
@special_outputs(("drawn", DRAWN), ("outlines", OUTLINES), ("noise", NOISE), "positions")
def jitter(image_stack, seed: int | None = None):
    """Add noise from the global generators and one of its own."""
    drawn = {
        "python": random.random(),
        "legacy": float(np.random.normal()),
        "own": float(np.random.default_rng(seed).normal() / 3),
        "unit": "µm",
    }
    noise = np.random.normal(0, 5, image_stack.shape)
    corners = np.random.uniform(1, 60, (3, 2))
    positions = {"first": corners.tolist(), "noise": noise[0]}
    jittered = (image_stack + noise).astype(np.float32)
    return jittered, drawn, [corners], noise.astype(np.float32), positions


@numpy
@special_inputs("positions")
@special_outputs(("used", MaterializationSpec(CsvOptions())))
def use(image_stack, positions):
    """Use what the step before drew."""
    return image_stack, {"used": [float(positions["noise"].sum())]}
'''
CONFIG = """plates:
  demo: {path: plate}
functions: [workflow/functions/mine.py]
"""
PIPELINE = """steps:
  - {name: jitter, func: mine:jitter, keep: true}
  - {name: use, func: mine:use, materialize: {backend: disk}}
  - {name: zählen, func: {openhcs:count_cells_single_channel: {min_area: 20}}}
"""
EVERY_TIME = ("logs", "benchmarks")
HERE = "workspace/location.json"
CONDITIONS = {
    "one": (2, 0o002, ("LC_ALL=C.UTF-8", "TZ=UTC", "PYTHONHASHSEED=1")),
    "the other": (1, 0o027, ("LC_ALL=C", "TZ=Asia/Kathmandu", "PYTHONHASHSEED=4711")),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory, new_small_project):
    """The same project in two folders, run under other conditions."""
    first = new_small_project(tmp_path_factory.mktemp("one") / "project", (1, 2))
    first.write("workflow/functions/mine.py", MINE)
    first.write("config/config.yaml", CONFIG)
    first.write("config/pipeline.yaml", PIPELINE)
    second = first.copy_to(tmp_path_factory.mktemp("the other") / "a place" / "project")
    for project, (name, condition) in zip((first, second), CONDITIONS.items(), strict=True):
        cores, umask, variables = condition
        cache = tmp_path_factory.mktemp("cache")
        shell = ("sh", "-c", f'umask {umask:o}; exec "$@"', name)
        prefix = ("env", *variables, f"XDG_CACHE_HOME={cache}", *shell)
        run = project.snakemake(cores=cores, prefix=prefix)
        assert run.returncode == 0, run.output
    return first, second


def _contents(project):
    files = {
        path.relative_to(project.results).as_posix(): path.read_bytes()
        for path in project.results.rglob("*")
        if path.is_file()
    }
    return {name: content for name, content in files.items() if name != HERE}


def test_every_result_has_the_same_bytes(runs):
    first, second = (
        {
            name: content
            for name, content in _contents(project).items()
            if not name.startswith(EVERY_TIME)
        }
        for project in runs
    )
    assert sorted(first) == sorted(second)
    assert [name for name in first if first[name] != second[name]] == []
    endings = {name.split(".", 1)[-1] for name in first}
    assert {"drawn.csv", "drawn.json", "drawn.txt", "outlines.roi.zip", "noise.tif"} <= endings
    assert {"positions.zip", "masks.roi.zip", "tif"} <= endings
    assert "manifests/zählen/A02.json" in first
    assert "jitter.ome.zarr/A/02/1/0/c/0/0/0/0/0" in first


def test_random_numbers_differ_between_sites_and_wells(runs):
    with (runs[0].results / "tables/jitter/drawn.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["well"] for row in rows] == ["A01", "A02"]
    for column in ("python", "legacy", "own"):
        assert len({row[column] for row in rows}) == len(rows)


def test_the_cache_has_the_same_objects(runs):
    first, second = (
        {
            path.relative_to(project.folder): path.read_bytes()
            for path in (project.folder / "results/.cache").rglob("*.npy")
        }
        for project in runs
    )
    assert first == second


@pytest.mark.parametrize("number", [0, 1])
def test_who_may_read_and_write_follows_the_umask(runs, number):
    _, umask, _ = list(CONDITIONS.values())[number]
    results = runs[number].folder / "results"
    wrong = {}
    for path in itertools.chain([results], results.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        expected = (0o777 if path.is_dir() else 0o666) & ~umask
        if _is_of_cache(path):
            expected &= 0o444
        if mode != expected:
            wrong[path.relative_to(results).as_posix()] = f"{mode:o}"
    assert wrong == {}


def _is_of_cache(path):
    """Return whether a file is content of the cache, or a kept chunk that is the same file."""
    is_record = "jobs" in path.parts and path.suffix == ".json"
    in_cache = ".cache" in path.parts and not is_record
    return path.is_file() and (in_cache or path.stat().st_nlink > 1)


def test_tiffs_name_no_time_version_or_host(runs):
    paths = list(runs[0].results.rglob("*.tif"))
    assert paths
    for path in paths:
        with tifffile.TiffFile(path) as tif:
            for page in tif.pages:
                tags = {tag.name: tag.value for tag in page.tags.values()}
                assert {"DateTime", "HostComputer", "Artist"}.isdisjoint(tags)
                assert tags.get("Software", "tifffile.py") == "tifffile.py"
                assert tifffile.__version__ not in str(tags)
