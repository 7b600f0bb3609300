"""Plates to index: the real demo plate, copies of it, and tiny ones made here."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

from openhcs_core.microscopes import PlateIndex, get_handler

ROOT = Path(__file__).parents[3]


@pytest.fixture
def demo_plate() -> Path:
    return ROOT / "data" / "demo" / "9987_Plate_3434"


@pytest.fixture
def data_folder() -> Path:
    return ROOT / "tests" / "data" / "imagexpress"


@pytest.fixture
def plate_copy(demo_plate, tmp_path) -> Path:
    """A copy of the demo plate that a test may damage."""
    return Path(shutil.copytree(demo_plate, tmp_path / "9987_Plate_3434"))


@pytest.fixture
def read_index():
    def read(plate: Path) -> PlateIndex:
        return get_handler("imagexpress", plate).index(plate)

    return read


@pytest.fixture
def metaseries_xml():
    """Write the properties of an image as MetaXpress does."""

    def write(**properties: object) -> str:
        lines = "".join(
            f'<prop id="{key.replace("_", "-")}" type="string" value="{value}"/>\r\n'
            if key.islower()
            else f'<custom-prop id="{key.replace("_", " ")}" type="string" value="{value}"/>\r\n'
            for key, value in properties.items()
            if value not in {"", None}
        )
        return f"<MetaData>\r\n<PlaneInfo>\r\n{lines}</PlaneInfo>\r\n</MetaData>\r\n"

    return write


@pytest.fixture
def write_image():
    """Write a TIFF; (4, 6) px of uint16 unless told."""

    def write(path: Path, description: str | None = None, *, shape=(4, 6), dtype="uint16") -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, np.zeros(shape, dtype), description=description, metadata=None)
        return path

    return write
