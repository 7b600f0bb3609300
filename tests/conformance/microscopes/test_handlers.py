"""The shipped kit run on every handler, on small plates of each instrument."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import tifffile

from openhcs_core.microscopes import load_handler
from openhcs_core.testing.microscopes import MicroscopeHandlerTests
from openhcs_core.testing.plates import write_imagexpress_plate

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
