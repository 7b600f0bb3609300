"""What a run of the demo leaves behind, read with third-party libraries."""

import csv
import itertools
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import roifile
import tifffile
import zarr
from skimage.measure import regionprops

DEMO_PLATE = Path(__file__).parents[2] / "data/demo/9987_Plate_3434"
INVENTORY = Path(__file__).parents[1] / "data/imagexpress/9987_Plate_3434_inventory.csv"
WELLS = ("B02", "B03")
UPSTREAM_NOISE = [
    "ignore::DeprecationWarning",
    "ignore::FutureWarning",
    "ignore::UserWarning",
    "ignore::ResourceWarning",
]


def _rows(path):
    with path.open() as stream:
        return list(csv.DictReader(stream))


def _field(project, well, field):
    return project.results / "count.ome.zarr" / well[0] / well[1:] / field


def test_every_job_ran_once(finished_demo):
    _, run = finished_demo
    steps = [(step, well) for step in ("clean", "count", "flatten") for well in WELLS]
    assert run.jobs == sorted(
        [
            *steps,
            ("count", "cell_counts.csv"),
            ("count", "intensities.csv"),
            ("count", "store"),
        ]
    )


def test_the_end_says_where_results_are(finished_demo):
    _, run = finished_demo
    for path in (
        "results/demo/tables/count/cell_counts.csv",
        "results/demo/count.ome.zarr",
        "results/demo/rois/count/",
    ):
        assert path in run.output
    assert "declares channel 4 'Cy5' but no well has an image of it" in run.output


def test_results_have_the_documented_layout(finished_demo):
    project, _ = finished_demo
    for path in (
        "plan/count.json",
        "index/B02.json",
        "manifests/clean/B02.json",
        "manifests/count/B03.json",
        "tables/count/B02.1.cell_counts.csv",
        "tables/count/B02.2.intensities.csv",
        "tables/count/cell_counts.csv",
        "rois/count/B02.1.masks.roi.zip",
        "count.ome.zarr/zarr.json",
        "count.ome.zarr/B/02/zarr.json",
        "workspace/openhcs_metadata.json",
        "logs/clean/B02.log",
        "benchmarks/clean/B02.tsv",
    ):
        assert (project.results / path).is_file(), path
    assert not (project.results / "clean.ome.zarr").exists()
    assert list((project.folder / "results/.cache").rglob("*.npy"))
    assert not list(project.folder.rglob(".tmp-*"))


def test_the_plate_itself_is_untouched(finished_demo):
    project, _ = finished_demo

    def files(folder):
        return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    assert files(project.plate) == files(DEMO_PLATE)


def _read_only(folder):
    """Return a command prefix that runs the rest with `folder` mounted read-only."""
    script = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
    prefix = ["unshare", "--mount", "bash", "-c", script, str(folder)]
    if shutil.which("unshare") is None or subprocess.run([*prefix, "true"], check=False).returncode:
        pytest.skip("needs unshare and the right to mount")
    writing = subprocess.run([*prefix, "touch", str(folder / "x")], check=False)
    assert writing.returncode != 0
    return prefix


def test_a_plate_on_a_read_only_mount(project):
    run = project.snakemake(prefix=_read_only(project.plate))
    assert run.returncode == 0, run.output
    assert (project.results / "tables/count/cell_counts.csv").is_file()


def test_plate_table_is_the_wells_tables_in_order(finished_demo):
    project, _ = finished_demo
    tables = project.results / "tables/count"
    expected = [row for well in WELLS for row in _rows(tables / f"{well}.1.cell_counts.csv")]
    assert _rows(tables / "cell_counts.csv") == expected
    assert {row["well"] for row in expected} <= set(WELLS)
    assert len(expected) > 20


def test_object_table_equals_scikit_image_on_the_kept_labels(finished_demo):
    project, _ = finished_demo
    for well in WELLS:
        rows = _rows(project.results / f"tables/count/{well}.1.cell_counts.csv")
        for site in (1, 2):
            field = _field(project, well, str(site - 1))
            image = zarr.open_array(field / "0", mode="r")[0, 0, 0]
            labels = np.squeeze(zarr.open_array(field / "labels/masks_w1/0", mode="r")[...])
            mine = [row for row in rows if row["site"] == str(site)]
            found = regionprops(labels, intensity_image=image)
            assert len(mine) == len(found)
            for row, region in zip(mine, found, strict=True):
                y, x = region.centroid
                assert (row["channel"], int(row["label"])) == ("1", region.label)
                assert int(row["area_px"]) == region.area
                numbers = [
                    ("centroid_y_px", y),
                    ("centroid_x_px", x),
                    ("centroid_y_um", y * 1.3672),
                    ("centroid_x_um", x * 1.3672),
                    ("area_um2", region.area * 1.3672**2),
                    ("mean_intensity", region.intensity_mean),
                    ("max_intensity", region.intensity_max),
                ]
                for column, value in numbers:
                    assert float(row[column]) == pytest.approx(value, rel=1e-9), column


def test_intensities_are_the_cameras_own(finished_demo):
    """Sums against the published inventory of the plate, which was measured from each file."""
    project, _ = finished_demo
    published = {
        (row["well"], row["site"], row["wave"]): int(row["pixel_sum"])
        for row in _rows(INVENTORY)
        if row["wave"] in ("2", "3")
    }
    measured = {
        (row["well"], row["site"], row["channel"]): float(row["integrated_intensity"])
        for row in _rows(project.results / "tables/count/intensities.csv")
    }
    assert measured == published


def test_one_roi_an_object(finished_demo):
    project, _ = finished_demo
    for well in WELLS:
        rois = roifile.roiread(project.results / f"rois/count/{well}.1.masks.roi.zip")
        rows = _rows(project.results / f"tables/count/{well}.1.cell_counts.csv")
        assert len(rois) == len(rows)
        for row, roi in zip(rows, rois, strict=True):
            assert roi.name == f"s00{row['site']}_w1_z001_t001-{int(row['label']):04d}"
            x, y = roi.coordinates().mean(axis=0)
            assert abs(x - float(row["centroid_x_px"])) < 8
            assert abs(y - float(row["centroid_y_px"])) < 8


def test_manifests_say_what_was_read_and_made(finished_demo):
    project, _ = finished_demo
    manifest = json.loads((project.results / "manifests/clean/B02.json").read_text())
    assert len(manifest["inputs"]) == 8
    assert manifest["functions"]["skimage:filters.gaussian"].keys() >= {"scikit-image"}
    text = (project.results / "manifests/count/B02.json").read_text()
    assert str(project.folder) not in text


def test_max_projection_equals_plain_numpy(project):
    project.write(
        "config/pipeline.yaml",
        "steps:\n"
        "  - {name: flatten, func: openhcs:max_projection, variable_components: [z_index]}\n",
    )
    run = project.snakemake()
    assert run.returncode == 0, run.output
    for well, site, (channel, z_steps) in itertools.product(
        WELLS, (1, 2), {1: (1, 2), 2: (1,), 3: (1,)}.items()
    ):
        planes = [
            tifffile.imread(
                project.plate / f"TimePoint_1/ZStep_{z}/9987_{well}_s{site}_w{channel}.TIF"
            )
            for z in z_steps
        ]
        folder = project.results / f"flatten.ome.zarr/B/{well[1:]}/{site - 1}/0"
        array = zarr.open_array(folder, mode="r")
        np.testing.assert_array_equal(array[0, channel - 1, 0], np.max(planes, axis=0))
        assert array.dtype == planes[0].dtype


@pytest.mark.filterwarnings(*UPSTREAM_NOISE)
def test_kept_images_pass_two_validators(finished_demo):
    from ome_zarr_models.v05 import HCS
    from yaozarrs import validate_zarr_store

    project, _ = finished_demo
    store = project.results / "count.ome.zarr"
    validate_zarr_store(store)
    plate = HCS.from_zarr(zarr.open_group(store, mode="r"))
    assert [well.path for well in plate.attributes.ome.plate.wells] == ["B/02", "B/03"]


@pytest.mark.filterwarnings(*UPSTREAM_NOISE)
def test_kept_images_are_read_by_ngio(finished_demo):
    from ngio import open_ome_zarr_plate

    project, _ = finished_demo
    plate = open_ome_zarr_plate(project.results / "count.ome.zarr", mode="r")
    images = plate.get_images()
    assert sorted(images) == ["B/02/0", "B/02/1", "B/03/0", "B/03/1"]
    image = images["B/02/0"].get_image()
    assert image.channel_labels == ["DAPI", "FITC", "Texas Red"]
    assert image.pixel_size.x == pytest.approx(1.3672)
    assert image.pixel_size.z == pytest.approx(3.0)
    assert images["B/02/0"].list_labels() == ["masks_w1"]
