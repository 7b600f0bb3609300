# ruff: noqa: D102  # a test's name says what it checks
"""What every microscope's handler promises, as a pytest class to subclass.

Subclasses give three fixtures::

    class TestMine(MicroscopeHandlerTests):
        @pytest.fixture
        def handler(self):
            return MyHandler()

        @pytest.fixture
        def plate(self, tmp_path):
            return shutil.copytree(SMALL_PLATE, tmp_path / "plate")  # may be damaged

        @pytest.fixture
        def truth(self):
            return {"B02_s001_w1_z001_t001.tif": array, ...}  # read without the handler
"""

import json
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from numpy.typing import NDArray

from openhcs_core.errors import ConfigError, InputDataError
from openhcs_core.microscopes import (
    METADATA_FILENAME,
    ImageFile,
    MicroscopeHandler,
    PlateIndex,
    decode_index,
    encode_index,
    open_workspace,
    read_workspace_metadata,
    well_index,
)
from openhcs_core.planes import PlaneKey, well_order
from openhcs_core.storage import LocalPlate, RecordedPlate, is_unchanged, open_plate_source
from openhcs_core.testing.storage import assert_same_array


class MicroscopeHandlerTests(ABC):
    """A plate is recognised, listed completely, and read as it is; its folder stays as it is.

    Attributes
    ----------
    lists_surplus : bool
        Images of other names in the plate's folder are listed. False where the metadata say
        where each image is and nothing else is looked at.
    has_files_of_planes : bool
        Each plane is a file of its own, so that one can go missing.
    """

    lists_surplus = True
    has_files_of_planes = True

    @pytest.fixture
    @abstractmethod
    def handler(self) -> MicroscopeHandler:
        """Return the handler."""

    @pytest.fixture
    @abstractmethod
    def plate(self, tmp_path: Path) -> Path:
        """Return a complete plate that a test may damage."""

    @pytest.fixture
    @abstractmethod
    def truth(self) -> Mapping[str, NDArray[Any]]:
        """Return every plane's pixels ``[Y, X]`` by its virtual name, read independently."""

    @pytest.fixture
    def index(self, handler: MicroscopeHandler, plate: Path) -> PlateIndex:
        return handler.index(plate)

    def test_has_a_name_a_parser_and_words_for_what_it_looks_for(
        self, handler: MicroscopeHandler
    ) -> None:
        assert handler.name
        assert handler.parser_name
        assert handler.looked_for()

    def test_recognises_its_plate_and_says_by_what(
        self, handler: MicroscopeHandler, plate: Path
    ) -> None:
        assert handler.detect(plate)
        assert handler.detect(open_plate_source(str(plate))) == handler.detect(plate)

    def test_claims_no_other_folder_and_says_what_it_looked_for(
        self, handler: MicroscopeHandler, tmp_path: Path
    ) -> None:
        folder = tmp_path / "other"
        (folder / "below").mkdir(parents=True)
        (folder / "notes.txt").write_text("bought new tips", encoding="utf-8")
        (folder / "below" / "holiday.tif").write_bytes(b"II*\0")
        assert handler.detect(folder) is None
        with pytest.raises(InputDataError) as caught:
            handler.index(folder)
        assert str(folder) in str(caught.value)

    def test_missing_empty_and_wrong_folders_are_told_apart(
        self, handler: MicroscopeHandler, tmp_path: Path
    ) -> None:
        with pytest.raises(ConfigError, match="does not exist"):
            handler.index(tmp_path / "absent")
        (tmp_path / "empty").mkdir()
        with pytest.raises(InputDataError, match="is empty"):
            handler.index(tmp_path / "empty")
        (tmp_path / "file").write_text("x", encoding="utf-8")
        with pytest.raises(ConfigError, match="is a file"):
            handler.index(tmp_path / "file")

    def test_lists_just_the_planes_there_are(
        self, index: PlateIndex, truth: Mapping[str, NDArray[Any]]
    ) -> None:
        assert [image.key.filename for image in index.images] == sorted(truth, key=_place)
        assert not index.missing

    def test_names_form_and_wavelengths_of_each_channel(
        self, index: PlateIndex, truth: Mapping[str, NDArray[Any]]
    ) -> None:
        ids = {image.key.channel for image in index.images}
        assert [channel.id for channel in index.channels] == sorted(ids, key=int)
        for channel in index.channels:
            assert channel.name
            for name, pixels in truth.items():
                if PlaneKey.parse(name).channel == channel.id:
                    assert (channel.shape, channel.dtype) == (
                        pixels.shape,
                        pixels.dtype.newbyteorder("=").name,
                    )
            for wavelength in (channel.excitation_nm, channel.emission_nm):
                assert wavelength is None or 100 < wavelength < 2000

    def test_numbers_of_the_plate_are_possible(self, index: PlateIndex) -> None:
        assert all(
            size is None or 0 < size < 1e4 for size in (index.pixel_size_um, index.z_step_um)
        )
        keys = {*(image.key for image in index.images), *index.missing}
        assert index.acquisitions.keys() <= keys
        assert index.site_grid.keys() <= {*index.sites, *(key.site for key in index.missing)}
        assert len(set(index.site_grid.values())) == len(index.site_grid)

    def test_every_plane_reads_as_it_is_by_its_virtual_name(
        self, handler: MicroscopeHandler, plate: Path, truth: Mapping[str, NDArray[Any]]
    ) -> None:
        workspace = handler.initialize_workspace(plate)
        for name, pixels in truth.items():
            assert_same_array(workspace.load(f"images/{name}"), pixels)
            stack = workspace.load_stack([name], pixels.shape, pixels.dtype.name)
            assert_same_array(stack[0], pixels)

    def test_workspace_metadata_lead_to_the_same_pixels(
        self,
        handler: MicroscopeHandler,
        plate: Path,
        truth: Mapping[str, NDArray[Any]],
        tmp_path: Path,
    ) -> None:
        folder = tmp_path / "results" / "workspace"
        handler.initialize_workspace(plate, folder)
        assert [path.name for path in folder.iterdir()] == [METADATA_FILENAME]
        described = read_workspace_metadata(folder)["subdirectories"]["."]
        assert described["microscope_handler_name"] == handler.name
        assert described["source_filename_parser_name"] == handler.parser_name
        workspace = open_workspace(plate, folder)
        for name, pixels in truth.items():
            assert_same_array(workspace.load(f"images/{name}"), pixels)

    def test_nothing_is_written_into_the_plate(
        self, handler: MicroscopeHandler, plate: Path, truth: Mapping[str, NDArray[Any]]
    ) -> None:
        before = _listing(plate)
        workspace = handler.initialize_workspace(plate)
        workspace.load(f"images/{next(iter(truth))}")
        with pytest.raises(ConfigError, match="nothing is written"):
            handler.initialize_workspace(plate, plate / "workspace")
        assert _listing(plate) == before

    def test_indexing_again_gives_the_same(
        self, handler: MicroscopeHandler, plate: Path, index: PlateIndex
    ) -> None:
        assert handler.index(plate) == index
        well = index.wells[0]
        assert json.dumps(well_index(handler.index(str(plate)), well)) == json.dumps(
            well_index(index, well)
        )

    def test_an_index_that_is_kept_is_the_same(
        self, handler: MicroscopeHandler, plate: Path, index: PlateIndex
    ) -> None:
        recorded = RecordedPlate(plate)
        assert handler.index(recorded) == index
        trace = recorded.trace()
        assert trace is not None
        assert is_unchanged(LocalPlate(plate), trace)
        kept = decode_index(*(line.encode() for line in encode_index(index)))
        assert (kept.wells, kept.sites, len(kept.images)) == (
            index.wells,
            index.sites,
            len(index.images),
        )
        assert kept == index

    def test_an_index_is_not_kept_when_an_image_is_written_again(
        self, handler: MicroscopeHandler, plate: Path, index: PlateIndex
    ) -> None:
        if not self.has_files_of_planes:
            pytest.skip("no plane is a file of its own")
        recorded = RecordedPlate(plate)
        handler.index(recorded)
        trace = recorded.trace()
        assert trace is not None
        for image in index.images[:: len(index.images) - 1 or 1]:
            file = plate / image.path
            content, before = file.read_bytes(), file.stat().st_mtime_ns
            file.write_bytes(content)
            os.utime(file, ns=(before + 1000, before + 1000))
            assert not is_unchanged(LocalPlate(plate), trace)
            os.utime(file, ns=(before, before))

    def test_size_and_state_are_those_that_jobs_check(self, plate: Path, index: PlateIndex) -> None:
        source = open_plate_source(plate)
        for image in index.images:
            found = source.status(image.path)
            assert (found.st_size, found.st_mtime_ns) == (image.size_bytes, image.mtime_ns)

    def test_file_names_and_index_agree(
        self, handler: MicroscopeHandler, index: PlateIndex
    ) -> None:
        for image in index.images:
            parts = handler.parse_filename(PurePosixPath(image.path).name)
            if parts is not None:
                said = [part for part in zip(parts, image.key, strict=True) if part[0] is not None]
                assert all(part == expected for part, expected in said), image

    def test_paths_stay_in_the_plate(
        self, handler: MicroscopeHandler, plate: Path, index: PlateIndex, tmp_path: Path
    ) -> None:
        if not self.has_files_of_planes:
            pytest.skip("no plane is a file of its own")
        file = plate / index.images[0].path
        shutil.move(file, tmp_path / "outside.tif")
        file.symlink_to(tmp_path / "outside.tif")
        name = index.images[0].key.filename
        with pytest.raises(InputDataError, match=r"leaves the plate|no such image"):
            handler.initialize_workspace(plate).load(f"images/{name}")

    def test_a_missing_image_is_listed_and_no_other_moves(
        self, handler: MicroscopeHandler, plate: Path, index: PlateIndex
    ) -> None:
        if not self.has_files_of_planes:
            pytest.skip("no plane is a file of its own")
        gone = self.image_to_remove(index)
        (plate / gone.path).unlink()
        found = handler.index(plate)
        assert found.missing == (gone.key,)
        assert found.images == tuple(image for image in index.images if image != gone)

    def image_to_remove(self, index: PlateIndex) -> ImageFile:
        """Return an image the others lead one to expect."""
        return index.images[0]

    def test_images_that_are_not_the_plates_are_listed_and_left_out(
        self, handler: MicroscopeHandler, plate: Path, index: PlateIndex
    ) -> None:
        if not self.lists_surplus:
            pytest.skip("only what the metadata name is looked at")
        stray = PurePosixPath(index.images[0].path).with_name("holiday.tif")
        (plate / stray).write_bytes(b"II*\0")
        found = handler.index(plate)
        assert str(stray) in found.surplus
        assert found.images == index.images

    def test_a_damaged_image_is_refused_by_name(
        self, handler: MicroscopeHandler, plate: Path, index: PlateIndex
    ) -> None:
        if not self.has_files_of_planes:
            pytest.skip("no plane is a file of its own")
        image = index.images[-1]
        file = plate / image.path
        file.write_bytes(file.read_bytes()[: file.stat().st_size * 6 // 10])
        channel = next(c for c in index.channels if c.id == image.key.channel)
        workspace = handler.initialize_workspace(plate)
        with pytest.raises(InputDataError, match=PurePosixPath(image.path).name[-8:]):
            workspace.load_stack([image.key.filename], channel.shape, channel.dtype)


def _place(name: str) -> tuple[object, ...]:
    key = PlaneKey.parse(name)
    return (well_order(key.well), key.site, int(key.channel), key.z_index, key.timepoint)


def _listing(folder: Path) -> list[tuple[str, int, int]]:
    return sorted(
        (str(path.relative_to(folder)), path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
    )
