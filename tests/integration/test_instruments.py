"""One run over small plates of every instrument, their pixels held against the files themselves."""

import csv
import itertools
import shutil
from functools import partial
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import tifffile
import zarr

from openhcs_core.microscopes import choose_handler
from openhcs_core.planes import PlaneKey
from openhcs_core.testing.zarr_plates import write_foreign_plate

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


def _sbs():
    """8-bit, big-endian, with a colour map."""
    folder = DATA / "generic/sbs_translocation"
    wells = {"A01": "01-A-01", "A02": "02-A-02", "B01": "13-B-01", "B12": "24-B-12"}
    return {
        (well, 1, channel, 1): folder / f"Channel{channel}-{name}.tif"
        for well, name in wells.items()
        for channel in (1, 2)
    }


def _nf1():
    """Channels by name."""
    folder = DATA / "generic/nf1_cellpainting"
    names = enumerate(("DAPI", "GFP", "RFP"), start=1)
    return {
        ("B07", 3, number, 1): folder / f"B7_01_{number}_3_{name}_001.tif" for number, name in names
    }


def _fly():
    """No well in the names."""
    names = enumerate("DFR", start=1)
    return {
        ("A01", site, number, 1): DATA / f"generic/examplefly/01_POS{site:03d}_{name}.TIF"
        for number, name in names
        for site in (2, 76)
    }


def _cv8000(folder):
    """Two wells of a real measurement, with pixels; those of one image are all 0."""
    shutil.copytree(DATA / "cv8000", folder)
    random = np.random.default_rng(8)
    truth = {}
    for record in ET.parse(folder / "MeasurementData.mlf").getroot():
        row = {name.rpartition("}")[2]: value for name, value in record.attrib.items()}
        pixels = random.integers(0, 65536, (16, 24)).astype(np.uint16)
        tifffile.imwrite(
            folder / record.text, pixels * (record.text != BLANK), compression="deflate"
        )
        if row["Row"] == "4":
            key = ("D08", int(row["FieldIndex"]), int(row["Ch"]), int(row["ZIndex"]))
            truth[key] = folder / record.text
    return truth


def _by_key(planes):
    keys = {name: PlaneKey.parse(name) for name in planes}
    return {
        (key.well, key.site, int(key.channel), key.z_index): planes[name]
        for name, key in keys.items()
    }


BLANK = "CV8000-Minimal-DataSet-2C-3W-4S-FP2-stack_D08_T0001F002L01A01Z03C01.tif"
GENERIC = "microscope: generic, generic"
PLATES = {
    "sbs": (
        f"{{path: {DATA}/generic/sbs_translocation, {GENERIC}: "
        "{pattern: 'Channel{channel}-{_}-{row}-{column}.tif'}}",
        _sbs,
    ),
    "nf1": (
        f"{{path: {DATA}/generic/nf1_cellpainting, wells: [B07], missing_images: allow, {GENERIC}: "
        "{pattern: '{well}_{_}_{_}_{site}_{channel}_001.tif'}}",
        _nf1,
    ),
    "fly": (
        f"{{path: {DATA}/generic/examplefly, {GENERIC}: "
        "{pattern: '01_POS{site}_{channel}.TIF', well: A01}}",
        _fly,
    ),
    "phenix": (f"{{path: {DATA}/phenix/BR00121482}}", _phenix),
}


@pytest.fixture(scope="module")
def results(project_type, tmp_path_factory):
    project = project_type(tmp_path_factory.mktemp("instruments"))
    made = project.folder / "cv8000"
    PLATES["cv8000"] = (f"{{path: {made}, wells: [D08]}}", partial(dict, _cv8000(made)))
    foreign = write_foreign_plate(project.folder / "foreign.zarr", "0.4")
    PLATES["foreign"] = (f"{{path: {project.folder}/foreign.zarr}}", partial(_by_key, foreign))
    plates = "".join(f"  {name}: {config}\n" for name, (config, _) in PLATES.items())
    project.write("config/config.yaml", f"plates:\n{plates}")
    project.write("config/pipeline.yaml", PIPELINE)
    run = project.snakemake()
    assert run.returncode == 0, run.output
    return project.folder / "results"


@pytest.mark.parametrize("name", [*PLATES, "cv8000", "foreign"])
def test_every_plane_was_read_as_its_file_has_it(results, name):
    truth = {
        key: image if isinstance(image, np.ndarray) else tifffile.imread(image)
        for key, image in PLATES[name][1]().items()
    }
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
        attributes = zarr.open_group(folder, mode="r").attrs
        array = zarr.open_array(folder / attributes["openhcs"]["fields"][str(site)] / "0", mode="r")
        for (c, channel), (z, plane) in itertools.product(enumerate(channels), enumerate(planes)):
            image = truth[well, site, channel, plane]
            assert array.dtype == image.dtype.newbyteorder("=")
            np.testing.assert_array_equal(array[0, c, z], image)


def test_an_image_without_any_light_is_warned_of(results):
    log = "".join(path.read_text() for path in (results / "cv8000/logs/look").glob("D08*"))
    assert log.count("all pixels are 0") == 1
    assert f"{BLANK}: all pixels are 0" in log


def test_kept_images_are_a_plate_again(results):
    """The store that the run left gives the planes it was made of."""
    truth = {key: tifffile.imread(path) for key, path in PLATES["cv8000"][1]().items()}
    handler = choose_handler("auto", results / "cv8000/look.ome.zarr").handler
    assert handler.name == "openhcs"
    index = handler.index(results / "cv8000/look.ome.zarr")
    workspace = handler.initialize_workspace(results / "cv8000/look.ome.zarr")
    assert [c.name for c in index.channels] == ["BP445/45", "BP525/50"]
    assert (index.pixel_size_um, index.z_step_um) == (0.325, 3.0)
    assert len(index.images) == len(truth)
    for image in index.images:
        well, site, channel, z_index, _ = image.key
        np.testing.assert_array_equal(
            workspace.load(f"images/{image.key.filename}"),
            truth[well, site, int(channel), z_index],
        )
