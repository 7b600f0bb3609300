"""Kept images as TIFFs: the disk backend beside OME-Zarr, and plates with holes in both."""

import csv
import json
import shutil

import numpy as np
import pytest
import tifffile
import zarr

from openhcs_core.testing.plates import image_path

UPSTREAM_NOISE = [
    "ignore::DeprecationWarning",
    "ignore::FutureWarning",
    "ignore::UserWarning",
    "ignore::ResourceWarning",
]
CONFIG = "plates:\n  demo: {path: plate}\nstorage: {materialization: disk}\n"
HOLES_CONFIG = "plates:\n  demo: {path: plate, missing_images: allow}\n"


@pytest.fixture(scope="module")
def as_tiff(finished_demo, tmp_path_factory):
    """The finished demo, changed to keep TIFFs, and what that change ran."""
    demo, _ = finished_demo
    project = demo.copy_to(tmp_path_factory.mktemp("tiff") / "project")
    project.write("config/config.yaml", CONFIG)
    run = project.snakemake()
    assert run.returncode == 0, run.output
    return project, run


@pytest.fixture
def tiff_project(as_tiff, tmp_path):
    project, _ = as_tiff
    return project.copy_to(tmp_path / "copy")


def _tiffs(project):
    folder = project.results / "images/count"
    return {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.tif")}


def _rows(path):
    with path.open() as stream:
        return list(csv.DictReader(stream))


def test_only_the_kept_step_runs_again_for_another_backend(as_tiff):
    _, run = as_tiff
    assert {job for job in run.jobs if not job[1].endswith(".csv")} == {
        ("count", "B02"),
        ("count", "B03"),
    }
    assert "results/demo/images/count/" in run.output
    assert "left by an earlier config and no longer updated: count.ome.zarr" in run.output


def test_tiffs_have_the_values_and_dtype_of_the_ome_zarr_plate(as_tiff):
    project, _ = as_tiff
    files = _tiffs(project)
    for well in ("B02", "B03"):
        for site, channel in ((1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)):
            field = project.results / f"count.ome.zarr/B/{well[1:]}/{site - 1}"
            plane = zarr.open_array(field / "0", mode="r")[0, channel - 1, 0]
            name = f"{well}_s{site:03d}_w{channel}_z001_t001.tif"
            image = tifffile.imread(files.pop(f"{well}/{name}"))
            assert image.dtype == plane.dtype == np.uint16
            np.testing.assert_array_equal(image, plane)
            if channel == 1:
                labels = zarr.open_array(field / "labels/masks_w1/0", mode="r")[0, 0, 0]
                image = tifffile.imread(files.pop(f"{well}/labels/masks_w1/{name}"))
                assert image.dtype == np.int32
                np.testing.assert_array_equal(image, labels)
    assert files == {}


def test_the_pixel_size_is_in_the_resolution_tags(as_tiff):
    project, _ = as_tiff
    for path in _tiffs(project).values():
        with tifffile.TiffFile(path) as tif:
            tags = tif.pages.first.tags
            assert tags["ResolutionUnit"].value == tifffile.RESUNIT.CENTIMETER
            for name in ("XResolution", "YResolution"):
                pixels, per = tags[name].value
                assert 1e4 / (pixels / per) == pytest.approx(1.3672, rel=1e-6)


def test_manifests_and_tables_do_not_depend_on_the_backend(as_tiff, finished_demo):
    project, _ = as_tiff
    demo, _ = finished_demo
    for well in ("B02", "B03"):
        mine, other = (
            json.loads((p.results / f"manifests/count/{well}.json").read_text())
            for p in (project, demo)
        )
        assert mine.pop("digest") != other.pop("digest")
        assert mine == other
    table = "tables/count/cell_counts.csv"
    assert (project.results / table).read_bytes() == (demo.results / table).read_bytes()


def test_a_deleted_folder_of_tiffs_is_made_again(tiff_project):
    before = {name: path.read_bytes() for name, path in _tiffs(tiff_project).items()}
    shutil.rmtree(tiff_project.results / "images/count/B03")
    run = tiff_project.snakemake()
    assert ("count", "B03") in run.jobs
    assert ("count", "B02") not in run.jobs
    assert {name: path.read_bytes() for name, path in _tiffs(tiff_project).items()} == before
    assert tiff_project.snakemake().jobs == []


def test_the_next_step_reads_tiffs_and_notices_alteration(tiff_project):
    text = (tiff_project.folder / "config/pipeline.yaml").read_text()
    more = "  - {name: more, func: openhcs:measure_intensity}\n"
    tiff_project.write("config/pipeline.yaml", text + more)
    run = tiff_project.snakemake()
    assert run.returncode == 0, run.output
    assert {step for step, _ in run.jobs} == {"more"}
    path = _tiffs(tiff_project)["B02/B02_s001_w2_z001_t001.tif"]
    measured = {
        (row["well"], row["site"], row["channel"]): float(row["integrated_intensity"])
        for row in _rows(tiff_project.results / "tables/more/intensities.csv")
    }
    assert measured["B02", "1", "2"] == tifffile.imread(path).sum(dtype=np.int64)

    jobs = tiff_project.folder / "results/.cache/jobs"
    shutil.rmtree(jobs)  # or the result comes from there, without a look at the images
    tifffile.imwrite(path, tifffile.imread(path) + 1)
    (tiff_project.results / "manifests/more/B02.json").unlink()
    altered = tiff_project.snakemake()
    assert altered.returncode == 1
    assert f"{path.name} was removed or altered after step 'count' wrote it" in altered.output
    path.unlink()
    gone = tiff_project.snakemake()
    assert f"{path.name} was removed or altered after step 'count' wrote it" in gone.output
    (tiff_project.results / "manifests/count/B02.json").unlink()
    assert tiff_project.snakemake().returncode == 0


@pytest.fixture
def holey(small_project):
    """A plate without one well, and without a site of two others."""
    project = small_project([1, 2, 3, 4])
    for well, site in (("A02", 1), ("A02", 2), ("A03", 1), ("A04", 2)):
        image_path(project.plate, well, site).unlink()
    project.write(
        "config/pipeline.yaml",
        "steps:\n  - {name: count, func: openhcs:count_cells_single_channel}\n",
    )
    return project


@pytest.mark.filterwarnings(*UPSTREAM_NOISE)
def test_one_well_and_single_sites_absent_in_ome_zarr(holey):
    from ome_zarr_models.v05 import HCS
    from yaozarrs import validate_zarr_store

    holey.write("config/config.yaml", HOLES_CONFIG)
    run = holey.snakemake()
    assert run.returncode == 0, run.output
    store = holey.results / "count.ome.zarr"
    validate_zarr_store(store)
    plate = HCS.from_zarr(zarr.open_group(store, mode="r")).attributes.ome.plate
    assert [well.path for well in plate.wells] == ["A/01", "A/03", "A/04"]
    fields = {
        well.path: sorted(path.name for path in (store / well.path).glob("?"))
        for well in plate.wells
    }
    assert fields == {"A/01": ["0", "1"], "A/03": ["1"], "A/04": ["0"]}
    for well, site in (("A03", 2), ("A04", 1)):
        array = zarr.open_array(store / f"A/{well[1:]}/{site - 1}/0", mode="r")
        image = tifffile.imread(image_path(holey.plate, well, site))
        np.testing.assert_array_equal(array[0, 0, 0], image)
    _assert_tables_keep_their_sites(holey)


def test_one_well_and_single_sites_absent_in_tiff(holey):
    holey.write("config/config.yaml", HOLES_CONFIG + "storage: {materialization: disk}\n")
    run = holey.snakemake()
    assert run.returncode == 0, run.output
    assert [name for name in sorted(_tiffs(holey)) if "labels" not in name] == [
        "A01/A01_s001_w1_z001_t001.tif",
        "A01/A01_s002_w1_z001_t001.tif",
        "A03/A03_s002_w1_z001_t001.tif",
        "A04/A04_s001_w1_z001_t001.tif",
    ]
    _assert_tables_keep_their_sites(holey)


def _assert_tables_keep_their_sites(project):
    rows = _rows(project.results / "tables/count/cell_counts.csv")
    found = {(row["well"], row["site"]) for row in rows}
    assert found == {("A01", "1"), ("A01", "2"), ("A03", "2"), ("A04", "1")}
