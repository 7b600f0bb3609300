"""One run over small plates of every instrument, their pixels held against the files themselves."""

import csv
import itertools
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

DATA = Path(__file__).parents[1] / "data"
PIPELINE = """
name: look
steps:
  - {name: look, func: openhcs:measure_intensity, keep: true}
"""


def _phenix():
    """LZW; (well, site, channel) to file, as pe2loaddata has them."""
    folder = DATA / "phenix/BR00121482/Images"
    (row,) = csv.DictReader((DATA / "phenix/load_data_version1.csv").read_text().splitlines())
    roles = [name.removeprefix("FileName_") for name in row if name.startswith("FileName_")]
    return {
        ("A01", 1, int(row[f"Metadata_ChannelID_{role}"]), 1): folder / row[f"FileName_{role}"]
        for role in roles
    }


PLATES = {
    "phenix": (f"{{path: {DATA}/phenix/BR00121482}}", _phenix),
}


@pytest.fixture(scope="module")
def results(project_type, tmp_path_factory):
    project = project_type(tmp_path_factory.mktemp("instruments"))
    plates = "".join(f"  {name}: {config}\n" for name, (config, _) in PLATES.items())
    project.write("config/config.yaml", f"plates:\n{plates}")
    project.write("config/pipeline.yaml", PIPELINE)
    run = project.snakemake()
    assert run.returncode == 0, run.output
    return project.folder / "results"


@pytest.mark.parametrize("name", PLATES)
def test_every_plane_was_read_as_its_file_has_it(results, name):
    truth = {key: tifffile.imread(path) for key, path in PLATES[name][1]().items()}
    rows = csv.DictReader((results / name / "tables/look/intensities.csv").read_text().splitlines())
    measured = {
        (row["well"], int(row["site"]), int(row["channel"]), int(row.get("z_index") or 1)): row
        for row in rows
    }
    assert measured.keys() == truth.keys()
    for key, plane in truth.items():
        assert float(measured[key]["integrated_intensity"]) == plane.sum(dtype=np.float64)
        assert float(measured[key]["max_intensity"]) == plane.max()
    wells, sites, channels, planes = (sorted({key[n] for key in truth}) for n in range(4))
    for well, site in itertools.product(wells, sites):
        folder = results / name / "look.ome.zarr" / well.rstrip("0123456789") / well[-2:]
        array = zarr.open_array(folder / str(sites.index(site)) / "0", mode="r")
        for (c, channel), (z, plane) in itertools.product(enumerate(channels), enumerate(planes)):
            image = truth[well, site, channel, plane]
            assert array.dtype == image.dtype.newbyteorder("=")
            np.testing.assert_array_equal(array[0, c, z], image)
