"""Options that say what instrument a plate is of, and how its images are told."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click
from pydantic import ValidationError

from openhcs_core.config import GenericConfig, PlateConfig, ZarrPlateConfig
from openhcs_core.errors import ConfigError
from openhcs_core.microscopes import AUTO, HandlerChoice, choose_handler
from openhcs_core.storage import PlateSource

_GENERIC, _OME_ZARR = "generic", "ome_zarr"


@dataclass(frozen=True)
class PlateReading:
    """What the options of :func:`microscope_options` stand for.

    Attributes
    ----------
    microscope : str
        As in the config.
    generic : GenericConfig or None
        Of `microscope` ``generic``.
    ome_zarr : ZarrPlateConfig or None
        Of `microscope` ``ome_zarr``.
    """

    microscope: str = AUTO
    generic: GenericConfig | None = None
    ome_zarr: ZarrPlateConfig | None = None

    def choose(self, plate: str, source: PlateSource) -> HandlerChoice:
        """Return the handler for a plate and why.

        Raises
        ------
        ConfigError, InputDataError
            See :func:`~openhcs_core.microscopes.choose_handler`; or no config can have this path.
        """
        if self.generic is None and self.ome_zarr is None:
            return choose_handler(self.microscope, source)
        try:
            settings = PlateConfig(
                path=plate, microscope=self.microscope, generic=self.generic, ome_zarr=self.ome_zarr
            )
        except ValidationError as error:
            raise _config_error("PLATE", error) from error
        return choose_handler(self.microscope, source, settings)


def microscope_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command options of its plate; it is called with `reading`, a :class:`PlateReading`."""

    @wraps(command)
    def with_reading(
        *arguments: Any,
        microscope: str,
        pattern: str | None,
        well: str | None,
        acquisition: int | None,
        images: tuple[str, ...],
        **options: Any,
    ) -> None:
        reading = plate_reading(microscope, pattern, well, acquisition, images)
        command(*arguments, reading=reading, **options)

    decorated: Callable[..., None] = with_reading
    for option in (
        click.option("--image", "images", multiple=True, help="OME-Zarr: images of this name."),
        click.option("--acquisition", type=click.IntRange(0), help="OME-Zarr: images of this id."),
        click.option("--well", help="With --pattern: the well of all images, if names say none."),
        click.option("--pattern", help="How file names say what an image is of."),
        click.option("--microscope", default=AUTO, show_default=True, help="Name a handler."),
    ):
        decorated = option(decorated)
    return decorated


def plate_reading(
    microscope: str,
    pattern: str | None,
    well: str | None,
    acquisition: int | None,
    images: tuple[str, ...],
) -> PlateReading:
    """Return what options say of a plate.

    Raises
    ------
    ConfigError
        They do not go together.
    """
    chosen = microscope
    for option, value, of in (
        ("--pattern", pattern, _GENERIC),
        ("--acquisition", acquisition, _OME_ZARR),
        ("--image", images or None, _OME_ZARR),
    ):
        if value is not None and chosen not in {AUTO, of}:
            raise ConfigError(f"{option} is of microscope {of}, not {chosen}; leave one out")
        chosen = chosen if value is None else of
    is_zarr = acquisition is not None or bool(images)
    try:
        return PlateReading(
            chosen,
            None if pattern is None else GenericConfig(pattern=pattern, well=well),
            ZarrPlateConfig(acquisition=acquisition, images=images) if is_zarr else None,
        )
    except ValidationError as error:
        given = "--image" if pattern is None else f"--pattern {pattern!r}"
        raise _config_error(given, error) from error


def _config_error(what: str, error: ValidationError) -> ConfigError:
    problems = (str(problem["msg"]).removeprefix("Value error, ") for problem in error.errors())
    return ConfigError(f"{what}: {'; '.join(problems)}")
