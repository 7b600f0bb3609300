"""The ``ome_zarr:`` section of a plate: which of the images in each well are its fields."""

from typing import Annotated

from pydantic import Field

from openhcs_core.config.base import FrozenModel


class ZarrPlateConfig(FrozenModel):
    """Which images of an OME-Zarr plate to take, where wells have several of one field."""

    acquisition: (
        Annotated[
            int, Field(ge=0, strict=True, description="Id of the one to take, where there are more")
        ]
        | None
    ) = None
    images: Annotated[
        tuple[Annotated[str, Field(min_length=1)], ...],
        Field(description="Names of the images to take in each well; others are passed over"),
    ] = ()
