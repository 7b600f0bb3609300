"""What every microscope's plate folder can be asked, and how its handler is found."""

import gc
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import ClassVar

from openhcs_core.errors import ConfigError, InputDataError
from openhcs_core.microscopes.plate_index import PlateIndex

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

    def detect(self, plate_path: Path) -> str | None:
        """Return what shows that `plate_path` is such a plate, None when nothing does.

        Raises
        ------
        ConfigError
            There is no such folder.
        InputDataError
            It is empty or cannot be listed.
        """
        check_plate_folder(plate_path)
        return self.find_evidence(plate_path)

    def index(self, plate_path: Path) -> PlateIndex:
        """Return what the plate consists of. Nothing is written, no pixel is read.

        Raises
        ------
        ConfigError
            There is no such folder.
        InputDataError
            It is empty, holds no such images, or contradicts itself.
        """
        check_plate_folder(plate_path)
        with _collector_paused():
            return self.read_index(plate_path)

    @abstractmethod
    def find_evidence(self, plate_path: Path) -> str | None:
        """Do the work of :meth:`detect` for a folder that is there."""

    @abstractmethod
    def looked_for(self) -> str:
        """Say what :meth:`find_evidence` looks for, for messages."""

    @abstractmethod
    def read_index(self, plate_path: Path) -> PlateIndex:
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


def check_plate_folder(plate_path: Path) -> None:
    """Raise unless `plate_path` is a folder with something in it.

    Raises
    ------
    ConfigError
        There is no such folder.
    InputDataError
        It is empty or cannot be listed.
    """
    try:
        with os.scandir(plate_path) as entries:
            is_empty = next(entries, None) is None
    except FileNotFoundError as error:
        raise ConfigError(
            f"plate folder {plate_path} does not exist; check the plate's path, and whether its "
            "drive is mounted"
        ) from error
    except NotADirectoryError as error:
        raise ConfigError(f"{plate_path} is a file; expected the folder of a plate") from error
    except OSError as error:
        raise InputDataError(
            f"plate folder {plate_path} cannot be listed: {error.strerror or error}"
        ) from error
    if is_empty:
        raise InputDataError(f"plate folder {plate_path} is empty; is its drive mounted?")


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


def find_claims(plate_path: Path) -> dict[str, str]:
    """Ask every handler: names of those that know this plate, and what they found.

    Raises
    ------
    ConfigError
        There is no such folder.
    InputDataError
        It is empty or cannot be listed.
    """
    claims = {name: load_handler(name).detect(plate_path) for name in sorted(HANDLERS)}
    return {name: reason for name, reason in claims.items() if reason is not None}


def get_handler(name: str, plate_path: Path) -> MicroscopeHandler:
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
    claims = find_claims(plate_path)
    if not claims:
        sought = "; ".join(f"{known}: {load_handler(known).looked_for()}" for known in HANDLERS)
        raise InputDataError(
            f"{plate_path} is no plate of a known microscope; looked for {sought}. "
            "Give the plate's own folder, or name its microscope in the config"
        )
    if len(claims) > 1:
        found = "; ".join(f"{known}, by {reason}" for known, reason in claims.items())
        raise InputDataError(
            f"{plate_path} may be a plate of several microscopes: {found}. "
            "Name the right one as 'microscope' in the config"
        )
    (chosen, reason), *_ = claims.items()
    logger.info("%s: microscope %s, by %s", plate_path, chosen, reason)
    return load_handler(chosen)
