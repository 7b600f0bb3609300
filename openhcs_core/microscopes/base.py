"""What every microscope's plate folder can be asked, and how its handler is found."""

import gc
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import ClassVar

from openhcs_core.errors import ConfigError, InputDataError
from openhcs_core.microscopes.plate_index import PlateIndex
from openhcs_core.storage import PlateSource, open_plate_source

logger = logging.getLogger(__name__)

AUTO = "auto"

HANDLERS: dict[str, str] = {
    "imagexpress": "openhcs_core.microscopes.imagexpress.handler:ImageXpressHandler",
}
"""Handler names and where their classes are; imported when asked for."""


class MicroscopeHandler(ABC):
    """Reads the plates of one kind of instrument.

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
        with _collector_paused():
            return self.read_index(source)

    @abstractmethod
    def find_evidence(self, source: PlateSource) -> str | None:
        """Do the work of :meth:`detect` for a folder that is there."""

    @abstractmethod
    def looked_for(self) -> str:
        """Say what :meth:`find_evidence` looks for, for messages."""

    @abstractmethod
    def read_index(self, source: PlateSource) -> PlateIndex:
        """Do the work of :meth:`index` for a folder that is there."""


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Spare the garbage collector: an index is 1e5 objects without a cycle, half of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def load_handler(name: str) -> MicroscopeHandler:
    """Return the handler called `name`.

    Raises
    ------
    ConfigError
        There is none.
    """
    if name not in HANDLERS:
        known = ", ".join((AUTO, *sorted(HANDLERS)))
        raise ConfigError(f"there is no microscope {name!r}; expected one of {known}")
    module, _, attribute = HANDLERS[name].partition(":")
    handler = getattr(import_module(module), attribute)()
    if not isinstance(handler, MicroscopeHandler):
        raise TypeError(f"{HANDLERS[name]} is not a MicroscopeHandler")
    return handler


def find_claims(plate: str | Path | PlateSource) -> dict[str, str]:
    """Ask every handler: names of those that know this plate, and what they found.

    Raises
    ------
    ConfigError
        There is no such folder.
    InputDataError
        It is empty or cannot be listed.
    """
    source = open_plate_source(plate)
    claims = {name: load_handler(name).detect(source) for name in sorted(HANDLERS)}
    return {name: reason for name, reason in claims.items() if reason is not None}


def get_handler(name: str, plate: str | Path | PlateSource) -> MicroscopeHandler:
    """Return the handler for a plate; ``"auto"`` looks at the folder and logs what it found.

    Raises
    ------
    ConfigError
        No handler is called `name`, or there is no such folder.
    InputDataError
        ``"auto"``, and none or several handlers know this plate.
    """
    if name != AUTO:
        return load_handler(name)
    source = open_plate_source(plate)
    claims = find_claims(source)
    if not claims:
        sought = "; ".join(f"{known}: {load_handler(known).looked_for()}" for known in HANDLERS)
        raise InputDataError(
            f"{source.name} is no plate of a known microscope; looked for {sought}. "
            "Give the plate's own folder, or name its microscope in the config"
        )
    if len(claims) > 1:
        found = "; ".join(f"{known}, by {reason}" for known, reason in claims.items())
        raise InputDataError(
            f"{source.name} may be a plate of several microscopes: {found}. "
            "Name the right one as 'microscope' in the config"
        )
    (chosen, reason), *_ = claims.items()
    logger.info("%s: microscope %s, by %s", source.name, chosen, reason)
    return load_handler(chosen)
