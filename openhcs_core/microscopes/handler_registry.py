"""Which handlers there are, and which of them a plate is for; each is imported when asked for."""

import logging
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

from openhcs_core.config import PlateConfig
from openhcs_core.errors import ConfigError, InputDataError
from openhcs_core.microscopes.base import MicroscopeHandler
from openhcs_core.microscopes.ome_zarr_metadata import GROUP_FILES
from openhcs_core.storage import PlateSource, open_plate_source

logger = logging.getLogger(__name__)

AUTO = "auto"

ENTRY_POINT_GROUP = "openhcs.microscopes"
"""Other distributions add handlers as entry points of this group: ``name = "module:Class"``."""

HANDLERS: dict[str, str] = {
    "cv8000": "openhcs_core.microscopes.cv8000:CV8000Handler",
    "generic": "openhcs_core.microscopes.generic:GenericHandler",
    "imagexpress": "openhcs_core.microscopes.imagexpress.handler:ImageXpressHandler",
    "ome_zarr": "openhcs_core.microscopes.ome_zarr_:OMEZarrHandler",
    "openhcs": "openhcs_core.microscopes.openhcs_:OpenHCSHandler",
    "opera_phenix": "openhcs_core.microscopes.opera_phenix:OperaPhenixHandler",
}
"""Handler names and where their classes are."""

_STORES = frozenset({"ome_zarr", "openhcs"})
"""Read zarr stores."""

_OVERLAY = "openhcs"
"""Gives way to an instrument: its metadata may have been left in the folder of a raw plate."""


@dataclass(frozen=True, slots=True)
class HandlerChoice:
    """The handler for a plate, and why it was taken.

    Attributes
    ----------
    handler : MicroscopeHandler
        Ready to index.
    reason : str or None
        What the folder showed; None where the config names the handler.
    """

    handler: MicroscopeHandler
    reason: str | None


def known_handlers() -> dict[str, str]:
    """Return every handler's name and ``"module:Class"``, those of other distributions last.

    Raises
    ------
    ConfigError
        Two distributions claim one name.
    """
    found = dict(HANDLERS)
    for point in entry_points(group=ENTRY_POINT_GROUP):
        if point.name in found or point.name == AUTO:
            raise ConfigError(
                f"microscope {point.name!r} is claimed by {found.get(point.name, 'openhcs-core')} "
                f"and by {point.value} of another distribution; uninstall one of them"
            )
        found[point.name] = point.value
    return found


def load_handler(name: str, settings: PlateConfig | None = None) -> MicroscopeHandler:
    """Return the handler called `name`.

    Parameters
    ----------
    name : str
        As in the config.
    settings : PlateConfig, optional
        The plate's section of the config.

    Raises
    ------
    ConfigError
        There is none, it cannot be imported, or `settings` lack what it needs.
    """
    # The built-in names need no look through the installed distributions (tens of ms).
    target = HANDLERS.get(name) or known_handlers().get(name)
    if target is None:
        known = ", ".join((AUTO, *sorted(known_handlers())))
        raise ConfigError(f"there is no microscope {name!r}; expected one of {known}")
    module, _, attribute = target.partition(":")
    try:
        handler = getattr(import_module(module), attribute)()
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"microscope {name!r} ({target}) cannot be imported: {error}; install the "
            "distribution it comes with again, or uninstall it"
        ) from error
    if not isinstance(handler, MicroscopeHandler):
        raise ConfigError(
            f"microscope {name!r}: {target} is not a MicroscopeHandler; uninstall the "
            "distribution it comes with, or correct it"
        )
    return handler if settings is None else handler.configured(settings)


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
    claims = {name: load_handler(name).detect(source) for name in sorted(known_handlers())}
    found = {name: reason for name, reason in claims.items() if reason is not None}
    if any(source.exists(name) for name in GROUP_FILES):  # what lies in a store is a part of it,
        stores = {name: reason for name, reason in found.items() if name in _STORES}
        return stores or found  # such as the lists of the instrument that a conversion keeps
    return found


def choose_handler(
    name: str, plate: str | Path | PlateSource, settings: PlateConfig | None = None
) -> HandlerChoice:
    """Return the handler for a plate and why; ``"auto"`` looks at the folder.

    Raises
    ------
    ConfigError
        See :func:`load_handler`, or there is no such folder.
    InputDataError
        ``"auto"``, and none or several handlers know this plate.
    """
    if name != AUTO:
        return HandlerChoice(load_handler(name, settings), None)
    source = open_plate_source(plate)
    claims = find_claims(source)
    if not claims:
        sought = "; ".join(
            f"{known}: {load_handler(known).looked_for()}" for known in known_handlers()
        )
        raise InputDataError(
            f"{source.name} is no plate of a known microscope; looked for {sought}. "
            "Give the plate's own folder, or name its microscope in the config"
        )
    if len(claims) > 1:  # OpenHCS leaves its metadata in the folders of instruments
        claims.pop(_OVERLAY, None)
    if len(claims) > 1:
        found = "; ".join(f"{known}, by {reason}" for known, reason in claims.items())
        raise InputDataError(
            f"{source.name} may be a plate of several microscopes: {found}. "
            "Name the right one as 'microscope' in the config"
        )
    (chosen, reason), *_ = claims.items()
    logger.info("%s: microscope %s, by %s", source.name, chosen, reason)
    return HandlerChoice(load_handler(chosen, settings), reason)


def get_handler(
    name: str, plate: str | Path | PlateSource, settings: PlateConfig | None = None
) -> MicroscopeHandler:
    """Return the handler for a plate; see :func:`choose_handler`."""
    return choose_handler(name, plate, settings).handler
