"""Options that say what instrument a plate is of."""

from collections.abc import Callable
from typing import Any, TypeVar

import click
from pydantic import ValidationError

from openhcs_core.config import GenericConfig, PlateConfig
from openhcs_core.errors import ConfigError
from openhcs_core.microscopes import AUTO, HandlerChoice, choose_handler
from openhcs_core.storage import PlateSource

F = TypeVar("F", bound=Callable[..., Any])
GENERIC = "generic"


def microscope_options(command: F) -> F:
    """Give a command ``--microscope``, ``--pattern`` and ``--well``."""
    for option in (
        click.option("--well", help="With --pattern: the well of all images, if names say none."),
        click.option("--pattern", help="How file names say what an image is of."),
        click.option("--microscope", default=AUTO, show_default=True, help="Name a handler."),
    ):
        command = option(command)
    return command


def generic_config(microscope: str, pattern: str | None, well: str | None) -> GenericConfig | None:
    """Return the section ``generic`` of the config that these options stand for; None without.

    Raises
    ------
    ConfigError
        They do not go together.
    """
    if pattern is None:
        return None
    if microscope not in {AUTO, GENERIC}:
        raise ConfigError(f"--pattern is of microscope generic, not {microscope}; leave one out")
    try:
        return GenericConfig(pattern=pattern, well=well)
    except ValidationError as error:
        problems = "; ".join(str(problem["msg"]) for problem in error.errors())
        raise ConfigError(f"--pattern {pattern!r}: {problems}") from error


def choose_microscope(
    plate: str, source: PlateSource, microscope: str, generic: GenericConfig | None
) -> HandlerChoice:
    """Return the handler for a plate and why.

    Raises
    ------
    ConfigError, InputDataError
        See :func:`~openhcs_core.microscopes.choose_handler`.
    """
    if generic is None:
        return choose_handler(microscope, source)
    settings = PlateConfig(path=plate, microscope=GENERIC, generic=generic)
    return choose_handler(GENERIC, source, settings)
