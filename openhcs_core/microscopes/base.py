"""What every microscope's plate folder can be asked."""

import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, NamedTuple, Self

from openhcs_core.config import PlateConfig
from openhcs_core.errors import ConfigError, InputDataError
from openhcs_core.ground.texts import is_text
from openhcs_core.microscopes.collector import collector_paused
from openhcs_core.microscopes.metadata import (
    METADATA_FILENAME,
    build_workspace_metadata,
    dump,
    virtual_mapping,
)
from openhcs_core.microscopes.plate_index import PlateIndex
from openhcs_core.storage import PlateSource, open_plate_source, replace_file
from openhcs_core.storage.backends.virtual_workspace import VirtualWorkspaceBackend


class FilenameParts(NamedTuple):
    """What the name of an image file says; None where it does not.

    Attributes
    ----------
    well : str
        ``"B02"``.
    site : int or None
        Field of view.
    channel : str or None
        Channel id as in :attr:`PlaneKey.channel`.
    z_index, timepoint : int or None
        As in :class:`PlaneKey`.
    """

    well: str
    site: int | None = None
    channel: str | None = None
    z_index: int | None = None
    timepoint: int | None = None


class MicroscopeHandler(ABC):
    """Reads the plates of one kind of instrument.

    A subclass has `name` and `parser_name`, and :meth:`find_evidence`, :meth:`looked_for` and
    :meth:`read_index`; the rest follows. ``openhcs_core.testing.microscopes`` checks it.

    Attributes
    ----------
    name : str
        As in the config, ``"imagexpress"``.
    parser_name : str
        Name of the file-name parser, recorded in ``openhcs_metadata.json``.
    """

    name: ClassVar[str]
    parser_name: ClassVar[str]

    def detect(self, plate: str | Path | PlateSource) -> str | None:
        """Return what shows that `plate` is such a plate, None when nothing does.

        Parameters
        ----------
        plate : str, Path or PlateSource
            Folder or URL.

        Raises
        ------
        ConfigError
            There is no such folder.
        InputDataError
            It is empty or cannot be listed.
        """
        source = open_plate_source(plate)
        source.check()
        return self.find_evidence(source)

    def index(self, plate: str | Path | PlateSource) -> PlateIndex:
        """Return what the plate consists of. Nothing is written, no pixel is read.

        Parameters
        ----------
        plate : str, Path or PlateSource
            Folder or URL.

        Raises
        ------
        ConfigError
            There is no such folder.
        InputDataError
            It is empty, holds no such images, or contradicts itself.
        """
        source = open_plate_source(plate)
        source.check()
        with collector_paused():
            index = self.read_index(source)
        source.check_links(image.path for image in index.images)
        _check_texts(index)
        return index

    def initialize_workspace(
        self, plate: str | Path | PlateSource, workspace: Path | None = None
    ) -> VirtualWorkspaceBackend:
        """Index a plate and return what reads its images by their virtual names.

        Parameters
        ----------
        plate : str, Path or PlateSource
            Folder or URL; nothing is written there.
        workspace : Path, optional
            A folder elsewhere that gets ``openhcs_metadata.json``.

        Raises
        ------
        ConfigError
            There is no such plate, or `workspace` lies in it.
        InputDataError
            See :meth:`index`.
        """
        source = open_plate_source(plate)
        index = self.index(source)
        mapping = self._build_virtual_mapping(index)
        if workspace is not None:
            if workspace.resolve().is_relative_to(Path(source.name).resolve()):
                raise ConfigError(
                    f"workspace {workspace} lies in the plate {source.name}, where nothing is "
                    "written; give a folder elsewhere, such as results/<plate>/workspace"
                )
            workspace.mkdir(parents=True, exist_ok=True)
            with replace_file(workspace / METADATA_FILENAME) as file:
                file.write(dump(build_workspace_metadata(index, mapping)).encode())
        return VirtualWorkspaceBackend(source, mapping)

    def _build_virtual_mapping(self, index: PlateIndex) -> dict[str, str]:
        """Return virtual to real paths, both relative to the plate, as `index` has them."""
        return virtual_mapping(index)

    def parse_filename(self, name: str) -> FilenameParts | None:
        """Return what a bare file name says, None when it is no image's.

        Handlers of plates without such names say None to all.
        """
        return None

    def configured(self, settings: PlateConfig) -> Self:
        """Return this handler with a plate's section of the config; most need none of it."""
        return self

    @abstractmethod
    def find_evidence(self, source: PlateSource) -> str | None:
        """Do the work of :meth:`detect` for a folder that is there."""

    @abstractmethod
    def looked_for(self) -> str:
        """Say what :meth:`find_evidence` looks for, for messages."""

    @abstractmethod
    def read_index(self, source: PlateSource) -> PlateIndex:
        """Do the work of :meth:`index` for a folder that is there."""


def _check_texts(index: PlateIndex) -> None:
    """Refuse names that are no text: plans and results, which hold them, are UTF-8."""
    for path in (image.path for image in index.images):
        if not path.isascii() and not is_text(path):
            raise InputDataError(
                f"{index.plate_path}: the name of the image {os.fsencode(path)!r} is not UTF-8; "
                "rename the images (the program convmv renames those of a whole folder)"
            )
    for channel in index.channels:
        if not is_text(channel.name):
            raise InputDataError(
                f"{index.plate_path}: the name {channel.name!r} of channel {channel.id} is no "
                "text but half a character; correct it in the plate's metadata"
            )
