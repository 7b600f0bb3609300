"""The shipped kit run on every handler, on small plates of each instrument."""

import csv
import itertools
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import tifffile

from openhcs_core.config import GenericConfig, PlateConfig, ZarrConfig
from openhcs_core.microscopes import load_handler
from openhcs_core.planes import PlaneKey
from openhcs_core.storage import (
    FieldImages,
    ImageMetadata,
    PlateLayout,
    write_plate_metadata,
    write_well,
)
from openhcs_core.testing.harmony_plates import list_planes, write_images, write_list
from openhcs_core.testing.microscopes import MicroscopeHandlerTests
from openhcs_core.testing.plates import write_imagexpress_plate
from openhcs_core.testing.zarr_plates import write_foreign_plate

DATA = Path(__file__).parents[2] / "data"


class TestImageXpressExport(MicroscopeHandlerTests):
    @pytest.fixture
    def handler(self):
        return load_handler("imagexpress")

    @pytest.fixture
    def plate(self, tmp_path):
        write_imagexpress_plate(tmp_path / "plate", [1, 2, 12], (40, 48))
        return tmp_path / "plate"

    @pytest.fixture
    def truth(self, plate):
        return {
            f"A{column:02d}_s{site:03d}_w1_z001_t001.tif": tifffile.imread(
                plate / "TimePoint_1" / f"P_A{column:02d}_s{site}_w1.TIF"
            )
            for column in (1, 2, 12)
            for site in (1, 2)
        }


class TestOperaPhenix(MicroscopeHandlerTests):
    """The real plate, cropped; which file is which channel is pe2loaddata's word."""

    @pytest.fixture
    def handler(self):
        return load_handler("opera_phenix")

    @pytest.fixture
    def plate(self, tmp_path):
        return Path(shutil.copytree(DATA / "phenix/BR00121482", tmp_path / "plate"))

    @pytest.fixture
    def truth(self):
        (row,) = csv.DictReader((DATA / "phenix/load_data_version1.csv").read_text().splitlines())
        folder = DATA / "phenix/BR00121482/Images"
        return {
            f"A01_s001_w{row[f'Metadata_ChannelID_{role}']}_z001_t001.tif": tifffile.imread(
                folder / row[f"FileName_{role}"]
            )
            for role in (name[9:] for name in row if name.startswith("FileName_"))
        }


class TestHarmonyTimeSeries(MicroscopeHandlerTests):
    """Several wells, fields, planes and times."""

    @pytest.fixture
    def handler(self):
        return load_handler("opera_phenix")

    @pytest.fixture
    def pixels(self, tmp_path):
        listed = list_planes([(2, 3), (32, 48)])
        write_list(tmp_path / "plate/Images/Index.idx.xml", "V5", listed)
        return write_images(tmp_path / "plate/Images", listed)

    @pytest.fixture
    def plate(self, tmp_path, pixels):
        return tmp_path / "plate"

    @pytest.fixture
    def truth(self, pixels):
        wells = {2: "B03", 32: "AF48"}
        return {
            f"{wells[p.row]}_s{p.field:03d}_w{p.channel}_z{p.plane:03d}_t{p.time:03d}.tif": image
            for p, image in pixels.items()
        }


class TestCV8000(MicroscopeHandlerTests):
    """Real metadata, with small images."""

    @pytest.fixture
    def handler(self):
        return load_handler("cv8000")

    @pytest.fixture
    def pixels(self, tmp_path):
        folder = tmp_path / "measurement/plate"
        shutil.copytree(DATA / "cv8000", folder, ignore=shutil.ignore_patterns("*.csv", "LICENSE"))
        listed = folder / "MeasurementData.mlf"
        lines = listed.read_text().splitlines(keepends=True)
        some = re.compile("F001L01A0.Z0[12]")
        listed.write_text("".join(ln for ln in lines if "Record" not in ln or some.search(ln)))
        random = np.random.default_rng(4)
        pixels = {}
        for record in ET.parse(folder / "MeasurementData.mlf").getroot():
            row = {name.rpartition("}")[2]: value for name, value in record.attrib.items()}
            well = f"{' ABCDEF'[int(row['Row'])]}{int(row['Column']):02d}"
            key = PlaneKey(well, int(row["FieldIndex"]), row["Ch"], int(row["ZIndex"]), 1)
            pixels[key.filename] = random.integers(0, 65536, (6, 8)).astype(np.uint16)
            tifffile.imwrite(folder / record.text, pixels[key.filename], compression="deflate")
        tifffile.imwrite(folder / "DC_DCAM#1_CAM3.tif", np.ones((6, 8), np.uint16))
        return pixels

    @pytest.fixture
    def plate(self, tmp_path, pixels):
        return tmp_path / "measurement"

    @pytest.fixture
    def truth(self, pixels):
        return pixels


class TestGeneric(MicroscopeHandlerTests):
    """8-bit big-endian TIFFs with a colour map."""

    @pytest.fixture
    def handler(self):
        config = GenericConfig(pattern="Channel{channel}-{_}-{row}-{column}.tif")
        settings = PlateConfig(path="plate", microscope="generic", generic=config)
        return load_handler("generic", settings)

    @pytest.fixture
    def plate(self, tmp_path):
        return Path(shutil.copytree(DATA / "generic/sbs_translocation", tmp_path / "plate"))

    @pytest.fixture
    def truth(self):
        names = {"A01": "01-A-01", "A02": "02-A-02", "B01": "13-B-01", "B12": "24-B-12"}
        folder = DATA / "generic/sbs_translocation"
        return {
            f"{well}_s001_w{channel}_z001_t001.tif": tifffile.imread(
                folder / f"Channel{channel}-{name}.tif"
            )
            for well, name in names.items()
            for channel in (1, 2)
        }


class TestOMEZarr05(MicroscopeHandlerTests):
    """Written by zarr-python."""

    version = "0.5"
    has_files_of_planes = lists_surplus = False

    @pytest.fixture
    def handler(self):
        return load_handler("ome_zarr")

    @pytest.fixture
    def truth(self, tmp_path):
        return write_foreign_plate(tmp_path / "plate.zarr", self.version)

    @pytest.fixture
    def plate(self, tmp_path, truth):
        return tmp_path / "plate.zarr"


class TestOMEZarr04(TestOMEZarr05):
    version = "0.4"


class TestKeptImages(MicroscopeHandlerTests):
    """A plate as a step leaves it, with planes that are not there."""

    version = "0.5"
    has_files_of_planes = lists_surplus = False

    @pytest.fixture
    def handler(self):
        return load_handler("openhcs")

    @pytest.fixture
    def truth(self):
        random = np.random.default_rng(9)
        keys = [
            PlaneKey(well, site, channel, z, 1)
            for well in ("B02", "AF48")
            for site in (1, 3)
            for channel, planes in (("1", 2), ("4", 1))
            for z in range(1, planes + 1)
        ]
        return {key.filename: random.integers(0, 9, (6, 8)).astype(np.uint8) for key in keys}

    @pytest.fixture
    def plate(self, tmp_path, truth):
        store = tmp_path / "clean.ome.zarr"
        keys = [PlaneKey.parse(name) for name in truth]
        metadata = ImageMetadata.of_planes(keys, pixel_size_um=0.65, z_step_um=2.0)
        wells = ("B02", "AF48")
        write_plate_metadata(store, PlateLayout("clean", wells, 2, self.version))
        config = ZarrConfig(ome_zarr_version=self.version)
        for well in wells:
            fields = [
                FieldImages(
                    site,
                    metadata.field_path(site),
                    {k: truth[k.filename] for k in keys if (k.well, k.site) == (well, site)},
                )
                for site in (1, 3)
            ]
            write_well(store, well, fields, metadata, config)
        return store


class TestKeptImages04(TestKeptImages):
    version = "0.4"


class TestOpenHCSPlate(MicroscopeHandlerTests):
    """What OpenHCS wrote with its zarr backend, against the TIFFs that it read."""

    has_files_of_planes = lists_surplus = False

    @pytest.fixture
    def handler(self):
        return load_handler("openhcs")

    @pytest.fixture
    def plate(self, tmp_path):
        return Path(shutil.copytree(DATA / "openhcs_plate", tmp_path / "plate"))

    @pytest.fixture
    def truth(self):
        return {
            f"A01_s{site:03d}_w{channel}_z{z:03d}_t001.tif": tifffile.imread(
                DATA / f"openhcs_plate/TimePoint_1/ZStep_{z}/A01_s{site:03d}_w{channel}.tif"
            )
            for site in (1, 2)
            for channel in (1, 2)
            for z in (1, 2)
        }


class TestOpenHCSWorkspace(TestOpenHCSPlate):
    """Its virtual workspace: names that lead to the TIFFs."""

    has_files_of_planes = True

    @pytest.fixture
    def plate(self, tmp_path):
        plate = Path(shutil.copytree(DATA / "openhcs_plate", tmp_path / "plate"))
        (plate / "openhcs_metadata_disk.json").rename(plate / "openhcs_metadata.json")
        return plate


class TestOfAnotherDistribution(MicroscopeHandlerTests):
    @pytest.fixture(autouse=True)
    def installed(self, monkeypatch):
        monkeypatch.syspath_prepend(DATA / "third_party_microscope")

    @pytest.fixture
    def handler(self):
        return load_handler("line_scanner")

    @pytest.fixture
    def truth(self):
        random = np.random.default_rng(1)
        fields = itertools.product(("A01", "B12"), (1, 2))
        names = [f"{well}_s{site:03d}_w1_z001_t001.tif" for well, site in fields]
        return {name: random.integers(0, 65536, (8, 6)).astype(np.uint16) for name in names}

    @pytest.fixture
    def plate(self, tmp_path, truth):
        (tmp_path / "plate").mkdir()
        for name, pixels in truth.items():
            file = f"{name[0]}-{int(name[1:3])}-{int(name[5:8])}.scan.tif"
            tifffile.imwrite(tmp_path / "plate" / file, pixels)
        return tmp_path / "plate"
