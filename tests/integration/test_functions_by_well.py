"""Functions by well, and two plates with other wells and channel names, through real snakemake."""

import csv
import json

import numpy as np
import pytest
import tifffile
from scipy.ndimage import gaussian_filter
from skimage.filters import threshold_otsu
from skimage.measure import label, regionprops
from skimage.morphology import disk, white_tophat

from openhcs_core.testing.plates import image_path, write_imagexpress_plate

CONFIG = """plates:
  demo: {path: plate}
  other: {path: other, pipeline: config/other.yaml}
"""
BRIGHT = """steps:
  - {name: bright, func: {"1": openhcs:measure_intensity}}
"""
PIPELINE = f"""{BRIGHT}
  - name: clean
    group_by: well
    input_source: pipeline_start
    func:
      A01: {{openhcs:tophat: {{selem_radius: 9, downsample_factor: 1}}}}
      A02: {{openhcs:tophat: {{selem_radius: 7, downsample_factor: 1}}}}
    passthrough: [A03]
  - name: measure
    group_by: well
    func:
      A01: openhcs:measure_intensity
      A02:
        openhcs:count_cells_single_channel:
          {{detection_method: threshold, threshold_method: otsu, min_area: 20}}
      A03: openhcs:measure_intensity
"""
OTHER = f"""{BRIGHT}
  - name: clean
    input_source: pipeline_start
    func: {{Hoechst: {{openhcs:tophat: {{selem_radius: 8, downsample_factor: 1}}}}}}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory, new_project):
    folder = tmp_path_factory.mktemp("by_well")
    write_imagexpress_plate(folder / "source", (1, 2, 3))
    project = new_project(folder / "project", folder / "source")
    other = project.folder / "other"
    write_imagexpress_plate(other, (4, 5))
    settings = other / "P.HTD"
    settings.write_text(settings.read_text().replace("DAPI", "Hoechst"))
    project.write("config/config.yaml", CONFIG)
    project.write("config/pipeline.yaml", PIPELINE)
    project.write("config/other.yaml", OTHER)
    run = project.snakemake()
    assert run.returncode == 0, run.output
    return project


def _image(plate, well, site):
    return tifffile.imread(image_path(plate, well, site))


def _rows(path):
    with path.open() as stream:
        return list(csv.DictReader(stream))


def _column(path, name):
    return [(row["well"], int(row["site"]), float(row[name])) for row in _rows(path)]


def _means(plate, wells, change=lambda well, image: image):
    return [
        (well, site, pytest.approx(change(well, _image(plate, well, site)).mean(), rel=1e-12))
        for well in wells
        for site in (1, 2)
    ]


def _areas(image):
    """Return the areas of objects by scikit-image alone."""
    smooth = gaussian_filter(image.astype(np.float32), 1.0)
    found = regionprops(label(smooth > threshold_otsu(smooth), connectivity=1))
    return sorted(int(region.area) for region in found if region.area >= 20)


def _cleaned(radius_px, plate, well, site):
    return white_tophat(_image(plate, well, site), disk(radius_px))


def _check_counts(project, well, radius_px):
    rows = [
        row
        for row in _rows(project.results / "tables/measure/cell_counts.csv")
        if row["well"] == well
    ]
    for site in (1, 2):
        areas = sorted(int(float(row["area_px"])) for row in rows if row["site"] == str(site))
        assert areas == _areas(_cleaned(radius_px, project.plate, well, site))
        assert areas


def _tables(folder, name):
    return sorted(path.name for path in (folder / "tables" / name).iterdir())


def test_each_well_has_the_numbers_of_its_own_function(finished):
    results = finished.results

    def clean(well, image):
        return white_tophat(image, disk(9)) if well == "A01" else image

    found = _column(results / "tables/measure/intensities.csv", "mean_intensity")
    assert found == _means(finished.plate, ("A01", "A03"), clean)
    assert {row["well"] for row in _rows(results / "tables/measure/cell_counts.csv")} == {"A02"}
    _check_counts(finished, "A02", 7)
    assert _tables(results, "measure") == [
        "A01.intensities.csv",
        "A02.cell_counts.csv",
        "A03.intensities.csv",
        "cell_counts.csv",
        "intensities.csv",
    ]
    states = {row["well"]: row["state"] for row in _rows(results / "status.csv")}
    assert states == {"A01": "done", "A02": "done", "A03": "done"}


def test_each_plate_has_its_wells_and_channel_names(finished):
    other = finished.folder / "results/other"
    for folder, plate, wells, name in (
        (finished.results, finished.plate, ("A01", "A02", "A03"), "DAPI"),
        (other, finished.folder / "other", ("A04", "A05"), "Hoechst"),
    ):
        found = _column(folder / "tables/bright/intensities.csv", "mean_intensity")
        assert found == _means(plate, wells)
        field = json.loads((folder / f"bright.ome.zarr/A/{wells[0][1:]}/0/zarr.json").read_text())
        (channel,) = field["attributes"]["ome"]["omero"]["channels"]
        assert channel["label"] == name
    assert not (other / "tables/measure").exists()


def test_another_function_of_a_well_runs_its_jobs_alone(finished, tmp_path):
    project = finished.copy_to(tmp_path / "edited")
    project.edit("config/pipeline.yaml", "selem_radius: 7", "selem_radius: 6")
    project.edit("config/pipeline.yaml", "A01: openhcs:measure_intensity", "A01: openhcs:COUNT")
    count = (
        "{openhcs:count_cells_single_channel: "
        "{detection_method: threshold, threshold_method: otsu, min_area: 20}}"
    )
    project.edit("config/pipeline.yaml", "openhcs:COUNT", count)
    run = project.snakemake()
    assert run.returncode == 0, run.output
    assert run.jobs == [
        ("clean", "A02"),
        ("measure", "A01"),
        ("measure", "A02"),
        ("measure", "cell_counts.csv"),
        ("measure", "intensities.csv"),
    ]
    _check_counts(project, "A01", 9)
    _check_counts(project, "A02", 6)
    found = _column(project.results / "tables/measure/intensities.csv", "mean_intensity")
    assert found == _means(project.plate, ("A03",))
    assert "no longer updated: tables/measure/A01.intensities.csv;" in run.output
