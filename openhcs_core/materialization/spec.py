"""What a function wants written of its special outputs: options only, no writing."""

from typing import Annotated, Literal

from pydantic import Field

from openhcs_core.config import FrozenModel


class CsvOptions(FrozenModel):
    """A table, one row a record.

    Attributes
    ----------
    filename_suffix : str
        Appended to ``<well>[.<group>].<output>``.
    fields : tuple of str, optional
        Columns to write, in order; all of them when absent.
    """

    kind: Literal["csv"] = "csv"
    filename_suffix: str = ".csv"
    fields: tuple[str, ...] | None = None


class ROIOptions(FrozenModel):
    """Outlines of a label image as an ImageJ ROI zip, and the labels beside the image.

    Attributes
    ----------
    filename_suffix : str
        Appended to ``<well>[.<group>].<output>``.
    """

    kind: Literal["roi"] = "roi"
    filename_suffix: str = ".roi.zip"


WriterOptions = Annotated[CsvOptions | ROIOptions, Field(discriminator="kind")]


class MaterializationSpec(FrozenModel):
    """The files to write for one special output; the writer follows from the options' type.

    Parameters
    ----------
    *options : CsvOptions or ROIOptions
        One or more, each giving one file a well (and group).
    """

    options: tuple[WriterOptions, ...] = Field(min_length=1)

    def __init__(self, *positional: CsvOptions | ROIOptions, **data: object) -> None:
        if positional:
            data["options"] = positional
        super().__init__(**data)
