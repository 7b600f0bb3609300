"""A MetaXpress database plate: ten planes, a projection or one plane, depending on the channel.

What a run leaves behind is held against the plate's TIFFs, read here with tifffile and chosen by
an inventory that was measured from the tags of the original files.
"""

import csv
import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
import zarr

DATA = Path(__file__).parents[1] / "data"
PLATE = DATA / "projection_mix/Projection-Mix"
INVENTORY = DATA / "imagexpress/projection_mix_inventory.csv"
FIELDS = list(itertools.product(("E07", "E08"), ("1", "2")))
PIXEL_UM = 1.3668
Z_PLANES = {"1": 10, "2": 10, "3": 1, "4": 1}
PIPELINE = """
name: mix
steps:
  - name: stacks
    func: openhcs:measure_intensity
    variable_components: [z_index]
    keep: true

  - name: flat
    variable_components: [z_index]
    group_by: channel
    func:
      w1: [openhcs:max_projection, {openhcs:count_cells_single_channel: {min_area: 20}}]
      w2: [openhcs:max_projection, openhcs:measure_intensity]
      "3": [openhcs:max_projection, openhcs:measure_intensity]
      "4": [openhcs:max_projection, openhcs:measure_intensity]
    keep: true
"""


def _rows(path):
    with path.open() as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def truth():
    """Planes of each well, site and channel: its z steps or, without any, the one image."""
    steps, alone = {}, {}
    for row in _rows(INVENTORY):
        key = (row["well"], row["site"], row["wave"])
        if row["is_thumb"] == "1":
            continue
        if row["zstep_dir"]:
            steps.setdefault(key, []).append((int(row["zstep_dir"]), row["path"]))
        else:
            alone[key] = row["path"]
    paths = {key: [path] for key, path in alone.items() if key not in steps}
    paths |= {key: [path for _, path in sorted(found)] for key, found in steps.items()}
    return {
        key: np.stack([tifffile.imread(PLATE / path) for path in found])
        for key, found in paths.items()
    }


@pytest.fixture(scope="module")
def mix(new_project, tmp_path_factory):
    """The plate, run once."""
    project = new_project(tmp_path_factory.mktemp("mix"), PLATE)
    project.write("config/config.yaml", "plates:\n  mix: {path: plate}\n")
    project.write("config/pipeline.yaml", PIPELINE)
    run = project.snakemake()
    assert run.returncode == 0, run.output
    return SimpleNamespace(
        plate=project.plate, results=project.folder / "results/mix", output=run.output
    )


def _field(mix, step, well, site):
    return mix.results / f"{step}.ome.zarr" / well[0] / well[1:] / str(int(site) - 1)


def _pixels(mix, step, well, site):
    return zarr.open_array(_field(mix, step, well, site) / "0", mode="r")


def _statistics(plane):
    return {
        "mean_intensity": plane.mean(),
        "median_intensity": np.median(plane),
        "std_intensity": plane.std(),
        "min_intensity": plane.min(),
        "max_intensity": plane.max(),
        "p01_intensity": np.percentile(plane, 1),
        "p99_intensity": np.percentile(plane, 99),
        "integrated_intensity": plane.sum(dtype=np.int64),
    }


def _assert_describes(row, plane):
    found = {name: float(row[name]) for name in _statistics(plane)}
    assert found == pytest.approx(_statistics(plane), rel=1e-12)


def test_the_truth_is_of_all_fields(truth):
    assert {key: len(planes) for key, planes in truth.items()} == {
        (*field, channel): planes for field in FIELDS for channel, planes in Z_PLANES.items()
    }


def test_ten_planes_become_their_maximum_and_single_images_stay(mix, truth):
    for field in FIELDS:
        array = _pixels(mix, "flat", *field)
        assert (array.shape, array.dtype) == ((1, 4, 1, 64, 64), np.uint16)
        for channel in Z_PLANES:
            np.testing.assert_array_equal(
                array[0, int(channel) - 1, 0], np.max(truth[(*field, channel)], axis=0)
            )


def test_stacks_are_in_the_order_of_their_numbers_and_holes_are_named(mix, truth):
    for well, site in FIELDS:
        array = _pixels(mix, "stacks", well, site)
        attributes = zarr.open_group(_field(mix, "stacks", well, site), mode="r").attrs
        planes = attributes["openhcs"]["planes"]
        assert array.shape == (1, 4, 10, 64, 64)
        for channel, count in Z_PLANES.items():
            c = int(channel) - 1
            np.testing.assert_array_equal(array[0, c, :count], truth[(well, site, channel)])
            assert not array[0, c, count:].any()
            here = sorted(z for _, of, z in planes.values() if of == c)
            assert here == list(range(count))
    for channel in "34":
        assert f"channel {channel} (w{channel}) has no z 2, 3, 4, 5, 6, 7, 8, 9, 10" in mix.output


def test_each_plane_was_measured(mix, truth):
    rows = _rows(mix.results / "tables/stacks/intensities.csv")
    measured = {
        (row["well"], row["site"], row["channel"], int(row["z_index"])): row for row in rows
    }
    expected = {(*key, z): p for key, planes in truth.items() for z, p in enumerate(planes, 1)}
    assert len(rows) == len(measured)
    assert measured.keys() == expected.keys()
    for key, plane in expected.items():
        _assert_describes(measured[key], plane)


def test_each_projection_was_measured(mix, truth):
    rows = _rows(mix.results / "tables/flat/intensities.csv")
    measured = {(row["well"], row["site"], row["channel"]): row for row in rows}
    assert len(rows) == len(measured)
    assert measured.keys() == {(*field, channel) for field in FIELDS for channel in "234"}
    for key, row in measured.items():
        _assert_describes(row, np.max(truth[key], axis=0))


def test_objects_were_measured_on_the_projection(mix, truth):
    rows = _rows(mix.results / "tables/flat/cell_counts.csv")
    assert {(row["well"], row["site"]) for row in rows} == set(FIELDS)
    for field in FIELDS:
        projection = np.max(truth[(*field, "1")], axis=0)
        masks = zarr.open_array(_field(mix, "flat", *field) / "labels/masks_w1/0", mode="r")
        labels = np.squeeze(masks[...])
        mine = [row for row in rows if (row["well"], row["site"]) == field]
        assert [int(row["label"]) for row in mine] == list(range(1, labels.max() + 1))
        for row in mine:
            here = labels == int(row["label"])
            y, x = (positions.mean() for positions in np.nonzero(here))
            assert int(row["area_px"]) == here.sum()
            assert float(row["integrated_intensity"]) == projection[here].sum(dtype=np.int64)
            assert float(row["centroid_y_um"]) == pytest.approx(y * PIXEL_UM)
            assert float(row["centroid_x_um"]) == pytest.approx(x * PIXEL_UM)


def test_bright_beads_are_found(mix, truth):
    """Each field's brightest spot lies in an object and most of the image does not."""
    for field in FIELDS:
        projection = np.max(truth[(*field, "1")], axis=0)
        masks = zarr.open_array(_field(mix, "flat", *field) / "labels/masks_w1/0", mode="r")
        inside = np.squeeze(masks[...]) > 0
        assert inside[np.unravel_index(projection.argmax(), projection.shape)]
        assert inside.mean() < 0.5


def test_kept_images_know_their_pixel_size_and_channels(mix):
    for step, (well, site) in itertools.product(("stacks", "flat"), FIELDS):
        ome = zarr.open_group(_field(mix, step, well, site), mode="r").attrs["ome"]
        (dataset,) = ome["multiscales"][0]["datasets"]
        (scale,) = dataset["coordinateTransformations"]
        assert scale["scale"][-2:] == [PIXEL_UM, PIXEL_UM]
        assert scale["scale"][2] == pytest.approx(5, rel=0.02)
        labels = [channel["label"] for channel in ome["omero"]["channels"]]
        assert labels == ["w1", "w2", "w3", "w4"]


def test_thumbnails_and_spare_projections_are_never_used(mix):
    indices = [json.loads(p.read_text()) for p in sorted(mix.results.glob("index/*.json"))]
    used = {path for index in indices for _, path, *_ in index["images"]}
    inventory = [row for row in _rows(INVENTORY) if row["is_thumb"] == "0"]
    expected = {row["path"] for row in inventory if row["zstep_dir"] or row["wave"] == "3"}
    assert len(list(mix.plate.rglob("*_thumb*"))) == 6
    assert used == expected


def test_the_plate_itself_is_untouched(mix):
    def files(folder):
        return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    assert files(mix.plate) == files(PLATE)
