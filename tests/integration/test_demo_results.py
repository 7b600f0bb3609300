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
from scipy.ndimage import binary_fill_holes
from skimage.draw import polygon
from skimage.filters import gaussian
from skimage.measure import regionprops

DEMO_PLATE = Path(__file__).parents[2] / "data/demo/9987_Plate_3434"
INVENTORY = Path(__file__).parents[1] / "data/imagexpress/9987_Plate_3434_inventory.csv"
WELLS = ("B02", "B03")
PIXEL_UM = 1.3672
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
    parts = {
        "cell_counts.csv": [f"{well}.1.cell_counts.csv" for well in WELLS],
        "intensities.csv": [f"{well}.{wave}.intensities.csv" for well in WELLS for wave in (2, 3)],
    }
    for plate_table, well_tables in parts.items():
        expected = [row for name in well_tables for row in _rows(tables / name)]
        assert _rows(tables / plate_table) == expected
        assert {row["well"] for row in expected} == set(WELLS)
    every = {name for plate_table in parts for name in (plate_table, *parts[plate_table])}
    assert {path.name for path in (project.results / "tables").rglob("*.csv")} == every


def _assert_equal_columns(path, expected):
    """Each column of a table, and no other, has the values computed here."""
    with path.open() as stream:
        reader = csv.DictReader(stream)
        rows = list(reader)
    assert sorted(reader.fieldnames) == sorted(expected[0])
    assert len(rows) == len(expected)
    for column, value in expected[0].items():
        found = [row[column] for row in rows]
        wanted = [row[column] for row in expected]
        if isinstance(value, str):
            assert found == wanted, column
        else:
            np.testing.assert_allclose(
                np.array(found, float), wanted, rtol=1e-12, atol=0, err_msg=column
            )


def _plane(well, site, channel):
    """Return the columns that say where a row is from."""
    return {"well": well, "site": site, "channel": channel, "z_index": 1, "timepoint": 1}


def _raw(well, site, wave, z=1):
    name = f"TimePoint_1/ZStep_{z}/9987_{well}_s{site}_w{wave}.TIF"
    return tifffile.imread(DEMO_PLATE / name).astype(np.float64)


def _kept(project, well, site):
    """Return kept DAPI and labels of a field."""
    field = _field(project, well, str(site - 1))
    labels = zarr.open_array(field / "labels/masks_w1/0", mode="r")[...]
    return zarr.open_array(field / "0", mode="r")[0, 0, 0], np.squeeze(labels)


def _object_rows(image, labels):
    """Measure objects: positions by scikit-image, the rest pixel by pixel."""
    for region in regionprops(labels):
        values = image[labels == region.label].astype(np.float64)
        y, x = region.centroid
        yield {
            "label": region.label,
            "centroid_y_px": y,
            "centroid_x_px": x,
            "centroid_y_um": y * PIXEL_UM,
            "centroid_x_um": x * PIXEL_UM,
            "area_px": values.size,
            "area_um2": values.size * PIXEL_UM**2,
            "mean_intensity": values.sum() / values.size,
            "std_intensity": np.sqrt(np.mean((values - values.mean()) ** 2)),
            "min_intensity": values.min(),
            "max_intensity": values.max(),
            "integrated_intensity": values.sum(),
        }


def _intensity_row(image):
    """Describe a whole image, percentiles by hand on its sorted pixels."""
    ordered = np.sort(image, axis=None)
    p01, median, p99 = np.interp(
        [0.01 * (ordered.size - 1), 0.5 * (ordered.size - 1), 0.99 * (ordered.size - 1)],
        np.arange(ordered.size),
        ordered,
    )
    mean = ordered.sum() / ordered.size
    return {
        "mean_intensity": mean,
        "median_intensity": median,
        "std_intensity": np.sqrt(np.mean((ordered - mean) ** 2)),
        "min_intensity": ordered[0],
        "max_intensity": ordered[-1],
        "p01_intensity": p01,
        "p99_intensity": p99,
        "integrated_intensity": ordered.sum(),
    }


def test_kept_dapi_equals_a_plain_script_on_the_plates_files(finished_demo):
    """What objects are measured on: both sites rescaled together, smoothed, z planes joined."""
    project, _ = finished_demo
    for well in WELLS:
        planes = []
        for z in (1, 2):
            raw = np.stack([_raw(well, site, 1, z) for site in (1, 2)])
            low, high = np.percentile(raw, [1.0, 99.9])
            scaled = np.rint(np.clip((raw - low) / (high - low), 0, 1) * 65535)
            smooth = [gaussian(plane, sigma=1, preserve_range=True) for plane in scaled]
            planes.append(np.rint(smooth))
        for site, expected in zip((1, 2), np.max(planes, axis=0), strict=True):
            np.testing.assert_array_equal(_kept(project, well, site)[0], expected)


def test_object_table_equals_scikit_image_on_the_kept_labels(finished_demo):
    project, _ = finished_demo
    expected = [
        _plane(well, site, 1) | row
        for well in WELLS
        for site in (1, 2)
        for row in _object_rows(*_kept(project, well, site))
    ]
    assert len(expected) > 100
    _assert_equal_columns(project.results / "tables/count/cell_counts.csv", expected)


def test_intensities_are_the_cameras_own(finished_demo):
    """Numbers from the plate's files, and sums of the inventory that was published with them."""
    project, _ = finished_demo
    path = project.results / "tables/count/intensities.csv"
    expected = [
        _plane(well, site, wave) | _intensity_row(_raw(well, site, wave))
        for well in WELLS
        for wave in (2, 3)
        for site in (1, 2)
    ]
    _assert_equal_columns(path, expected)
    published = {
        (row["well"], row["site"], row["wave"]): int(row["pixel_sum"])
        for row in _rows(INVENTORY)
        if row["wave"] in ("2", "3")
    }
    measured = {
        (row["well"], row["site"], row["channel"]): float(row["integrated_intensity"])
        for row in _rows(path)
    }
    assert measured == published


def _filled(roi, shape):
    """Return the pixels whose centres lie inside an outline along pixel corners."""
    x, y = roi.coordinates().T - 0.5
    mask = np.zeros(shape, bool)
    mask[polygon(y, x, shape)] = True
    return mask


def test_rows_labels_and_outlines_are_the_same_objects(finished_demo):
    project, _ = finished_demo
    for well in WELLS:
        rois = roifile.roiread(project.results / f"rois/count/{well}.1.masks.roi.zip")
        rows = _rows(project.results / f"tables/count/{well}.1.cell_counts.csv")
        labels = {str(site): _kept(project, well, site)[1] for site in (1, 2)}
        present = [
            (site, n) for site, image in labels.items() for n in range(1, int(image.max()) + 1)
        ]
        assert [(row["site"], int(row["label"])) for row in rows] == present
        for row, roi in zip(rows, rois, strict=True):
            assert roi.name == f"s00{row['site']}_w1_z001_t001-{int(row['label']):04d}"
            mask = labels[row["site"]] == int(row["label"])
            assert np.count_nonzero(mask) == int(row["area_px"])
            # An outline has no holes; pixels that share a corner only are not neighbours.
            whole = binary_fill_holes(mask, np.ones((3, 3)))
            np.testing.assert_array_equal(_filled(roi, mask.shape), whole, err_msg=roi.name)


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
