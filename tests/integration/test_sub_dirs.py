"""Kept images in folders of the steps' choice, and after another choice."""

import json

import numpy as np
import pytest
import tifffile
from skimage import morphology

from openhcs_core.testing.plates import image_path

PIPELINE = """steps:
  - name: hat
    func: {openhcs:tophat: {selem_radius: 4, downsample_factor: 1}}
    materialize: {sub_dir: checkpoints/first, backend: disk}
  - name: count
    func: openhcs:count_cells_single_channel
    materialize: {sub_dir: kept}
"""


def _tiff(project, folder, site):
    return tifffile.imread(project.results / folder / f"A01/A01_s{site:03d}_w1_z001_t001.tif")


def _kept(project, sub_dir, label=None):
    """Return images or labels of the OME-Zarr plate by site, as another reader finds them."""
    from ngio import open_ome_zarr_plate

    plate = open_ome_zarr_plate(project.results / sub_dir / "count.ome.zarr")
    return {
        int(path.rpartition("/")[2]) + 1: (
            image.get_image() if label is None else image.get_label(label)
        ).get_as_numpy()[0, 0, 0]
        for path, image in plate.get_images().items()
    }


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_images_are_where_the_steps_say_and_follow_another_choice(small_project):
    project = small_project([1])
    project.write("config/pipeline.yaml", PIPELINE)
    run = project.snakemake()
    assert run.returncode == 0, run.output
    hats = {site: _tiff(project, "checkpoints/first/hat", site) for site in (1, 2)}
    images, labels = _kept(project, "kept"), _kept(project, "kept", "masks_w1")
    assert sorted(images) == sorted(labels) == [1, 2]
    for site, hat in hats.items():
        raw = tifffile.imread(image_path(project.plate, "A01", site))
        np.testing.assert_array_equal(hat, morphology.white_tophat(raw, morphology.disk(4)))
        np.testing.assert_array_equal(images[site], hat)
        assert (labels[site] > 0).any()
    assert not (project.results / "images").exists()
    assert not list(project.results.glob("*.ome.zarr"))
    assert not list(project.results.glob("kept/zarr.json"))
    assert "results/demo/kept/count.ome.zarr" in run.output
    assert "results/demo/checkpoints/first/hat/" in run.output

    manifest = project.results / "manifests/count/A01.json"
    before = json.loads(manifest.read_text())
    project.edit("config/pipeline.yaml", "sub_dir: kept", "sub_dir: checkpoints/last")
    moved = project.snakemake()
    assert moved.returncode == 0, moved.output
    assert {step for step, _ in moved.jobs} == {"count"}
    assert "left by an earlier config and no longer updated: kept/count.ome.zarr" in moved.output
    for site, image in _kept(project, "checkpoints/last").items():
        np.testing.assert_array_equal(image, images[site])
    after = json.loads(manifest.read_text())
    assert before.pop("digest") != after.pop("digest")
    assert before == after
    assert project.snakemake("--dry-run").jobs == []
