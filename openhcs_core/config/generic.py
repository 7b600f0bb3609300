"""The ``generic:`` section of a plate: images of any instrument, told by their file names."""

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from openhcs_core.config.base import FrozenModel
from openhcs_core.config.filename_pattern import compile_pattern
from openhcs_core.planes import WELL_REGEX


def _check_pattern(pattern: str) -> str:
    compile_pattern(pattern)
    return pattern


class GenericConfig(FrozenModel):
    """How file names say what an image is of, and what no name says."""

    pattern: Annotated[
        str,
        Field(min_length=1, description="{well}_{site}_{channel}.tif, or a regular expression"),
        AfterValidator(_check_pattern),
    ]
    well: (
        Annotated[
            str,
            StringConstraints(pattern=rf"^{WELL_REGEX}$"),
            Field(description="The well of all images, where names say none"),
        ]
        | None
    ) = None
    channels: Annotated[
        dict[str, str],
        Field(description="What names call a channel: its display name; the order numbers them"),
    ] = {}
    pixel_size_um: Annotated[float, Field(gt=0, lt=1e4)] | None = None
    z_step_um: Annotated[float, Field(gt=0, lt=1e4)] | None = None

    @model_validator(mode="after")
    def _check_well(self) -> "GenericConfig":
        parts = compile_pattern(self.pattern).groupindex.keys()
        if ("well" in parts or "row" in parts) == (self.well is not None):
            raise ValueError(
                "expected the well in the pattern ({well}, or {row} and {column}), or else "
                "'well: A01' for all images"
            )
        return self
