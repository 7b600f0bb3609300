"""Metadata and names that instruments write, each with right ones to begin from.

A target gets a folder of its own, the content of one damaged file, and reads it as a run would.
"""

import os
import shutil
from abc import ABC, abstractmethod
from pathlib import Path
from random import Random

from fuzz_mutations import damage_bytes

from openhcs_core.microscopes import build_workspace_metadata, get_handler, well_index
from openhcs_core.testing.harmony_plates import list_planes, write_images, write_list
from openhcs_core.testing.plates import write_imagexpress_plate

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "data/demo/9987_Plate_3434"
XML_TOKENS = (
    *(b"<Image>", b"</Image>", b"<Row>", b"</Row>", b"<URL>../../x.tif</URL>", b"<Images/>"),
    *(
        b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>&b;",
        b"<![CDATA[",
        b"<!--",
        b"<?x?>",
    ),
    *(b' bts:Row="99999"', b' bts:Time="NaN"', b"<PositionX Unit='m'>INF</PositionX>"),
)


class Target(ABC):
    """Reads one kind of file.

    Parameters
    ----------
    folder : Path
        An empty folder that belongs to it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seeds = self.prepare()

    @abstractmethod
    def prepare(self) -> list[bytes]:
        """Make what is beside the file; return right contents."""

    @abstractmethod
    def read(self, content: bytes) -> None:
        """Put the content in place and read it."""

    def damage(self, random: Random) -> bytes:
        """Return a damaged content."""
        return damage_bytes(random, random.choice(self.seeds))


def index_plate(plate: Path) -> None:
    index = get_handler("auto", plate).index(plate)
    build_workspace_metadata(index)
    for well in index.wells[:3]:
        well_index(index, well)


class HtdTarget(Target):
    """``*.HTD`` of ImageXpress plates."""

    def prepare(self) -> list[bytes]:
        write_imagexpress_plate(self.folder, (1,), (32, 32))
        return [(self.folder / "P.HTD").read_bytes(), next(DEMO.glob("*.HTD")).read_bytes()]

    def read(self, content: bytes) -> None:
        (self.folder / "P.HTD").write_bytes(content)
        index_plate(self.folder)


class _InstrumentTarget(Target):
    """Metadata files of a copy of a real plate, of which one is damaged."""

    plate: Path
    names: tuple[str, ...]

    def prepare(self) -> list[bytes]:
        shutil.copytree(self.plate, self.folder, dirs_exist_ok=True)
        self.contents = [(self.folder / name).read_bytes() for name in self.names]
        return [b"%d:" % number + content for number, content in enumerate(self.contents)]

    def damage(self, random: Random) -> bytes:
        number = random.randrange(len(self.names))
        return b"%d:" % number + damage_bytes(random, self.contents[number], XML_TOKENS)

    def read(self, content: bytes) -> None:
        number, _, damaged = content.partition(b":")
        path = self.folder / self.names[int(number)]
        try:
            path.write_bytes(damaged)
            index_plate(self.folder)
        finally:
            path.write_bytes(self.contents[int(number)])


class HarmonyTarget(Target):
    """Lists of other versions of Harmony, with their images."""

    def prepare(self) -> list[bytes]:
        listed = list_planes([(2, 3)], (1, 2), 1)
        write_images(self.folder, listed)
        path = self.folder / "Index.xml"
        seeds = []
        for version in ("V4", "V6"):
            write_list(path, version, listed)
            seeds.append(path.read_bytes())
        return seeds

    def damage(self, random: Random) -> bytes:
        return damage_bytes(random, random.choice(self.seeds), XML_TOKENS)

    def read(self, content: bytes) -> None:
        (self.folder / "Index.xml").write_bytes(content)
        index_plate(self.folder)


class NamesTarget(Target):
    """Names of files and folders: a path a line, each the same small image."""

    def prepare(self) -> list[bytes]:
        self.image = next(DEMO.rglob("*_s1_w1.TIF")).read_bytes()
        guid = "1F0B6C6B-0B7C-4B4E-8C3B-3D1B0B0B0B0B"
        return [
            b"P.HTD\nTimePoint_1/ZStep_1/P_B02_s1_w1.TIF\nTimePoint_1/ZStep_2/P_B02_s1_w1.TIF",
            f"2020-01-01/7/P_AF48_s1_w1{guid}.tif\n2020-01-01/7/P_AF48_s1_w1_thumb{guid}.tif\n"
            f"2020-01-01/7/ZStep_1/P_AF48_s1_w1{guid}.tif".encode(),
            b"P_A01.tif\nP_A02.tif\nP_A03_w2.tif\nP_A03_s2.tif",
        ]

    def read(self, content: bytes) -> None:
        place = self.folder / "plate"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        for line in content.split(b"\n")[:40]:
            parts = [part for part in line.split(b"/") if part.strip(b".")][:6]
            if not parts or any(b"\0" in part or len(part) > 250 for part in parts):
                continue
            path = Path(os.fsdecode(b"/".join([os.fsencode(place), *parts])))
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self.image)
            except OSError:  # a name that is both file and folder
                continue
        index_plate(place)


class PhenixTarget(_InstrumentTarget):
    """``Index.idx.xml`` of Opera Phenix."""

    plate = ROOT / "tests/data/phenix/BR00121482"
    names = ("Images/Index.idx.xml",)


class Phenix7Target(_InstrumentTarget):
    """``Index.xml`` of Harmony V7."""

    plate = ROOT / "tests/data/phenix/v7"
    names = ("Images/Index.xml",)


class CellVoyagerTarget(_InstrumentTarget):
    """The files of a CV8000's measurement."""

    plate = ROOT / "tests/data/cv8000"
    names = (
        "MeasurementData.mlf",
        "MeasurementDetail.mrf",
        "Minimal-3C3W2S-FP2-stack.mes",
        "CV8000-Minimal-DataSet-2C-3W-4S-FP2-stack.wpi",
    )
