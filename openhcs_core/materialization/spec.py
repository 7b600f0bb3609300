"""What a function wants written of its special outputs: options only, no writing."""

import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from openhcs_core.config import FrozenModel

_SUFFIX = re.compile(r"[._-][A-Za-z0-9_.+-]*")
_PARTIAL = ".partial."
"""Between name and ending of plate tables that lack the wells that failed."""


class FileOptions(FrozenModel):
    """What the options of all writers share.

    Attributes
    ----------
    source : str, optional
        Which part of the value is written; all of it when absent. A key of a dict, a field of
        a dataclass or a position (``"0"``) in a list or tuple; dots lead further inside.
    filename_suffix : str
        Appended to ``<well>[.<group>].<output>``, compound ones such as ``_details.csv`` and
        ``.counts.json`` too. Begins with ``.``, ``_`` or ``-`` and ends as files of its kind do.
    """

    endings: ClassVar[tuple[str, ...]] = ("",)
    """What a file name may end with, the usual one first."""

    source: str | None = Field(default=None, min_length=1)
    filename_suffix: str

    @field_validator("filename_suffix")
    @classmethod
    def _check_suffix(cls, suffix: str) -> str:
        if _SUFFIX.fullmatch(suffix) is None:
            raise ValueError(
                f"filename_suffix {suffix!r} has to begin with '.', '_' or '-' and to go on with "
                f"letters, digits and these, such as '_details{cls.endings[0]}'"
            )
        if not suffix.endswith(cls.endings):
            raise ValueError(
                f"filename_suffix {suffix!r} of {cls.__name__} has to end with "
                f"{' or '.join(cls.endings)}"
            )
        return suffix


class RecordOptions(FileOptions):
    """What the options of writers of tables and records share.

    Attributes
    ----------
    fields : tuple of str, optional
        The function's columns or keys to write, in order; all of them when absent. Well, site,
        channel, z and time always stand before them.
    """

    fields: tuple[str, ...] | None = None

    @field_validator("fields")
    @classmethod
    def _check_fields(cls, fields: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for field in fields or ():
            if (fields or ()).count(field) > 1:
                raise ValueError(f"field {field!r} stands twice")
        return fields


class CsvOptions(RecordOptions):
    """A table, one row a record, and the table of all wells.

    Attributes
    ----------
    filename_suffix : str
        Appended to ``<well>[.<group>].<output>``.
    """

    endings: ClassVar[tuple[str, ...]] = (".csv",)

    kind: Literal["csv"] = "csv"
    filename_suffix: str = ".csv"

    @field_validator("filename_suffix")
    @classmethod
    def _keep_partial_tables_apart(cls, suffix: str) -> str:
        if _PARTIAL in suffix:
            raise ValueError(
                f"filename_suffix {suffix!r}: '{_PARTIAL}' marks tables of runs with failed wells"
            )
        return suffix


class JsonOptions(RecordOptions):
    """A JSON list, an entry a record, with well, site, channel, z and time in each.

    Attributes
    ----------
    filename_suffix : str
        Appended to ``<well>[.<group>].<output>``.
    """

    endings: ClassVar[tuple[str, ...]] = (".json",)

    kind: Literal["json"] = "json"
    filename_suffix: str = ".json"


class ROIOptions(FileOptions):
    """Outlines as an ImageJ ROI zip; of a label image, the labels beside the image too.

    Attributes
    ----------
    filename_suffix : str
        Appended to ``<well>[.<group>].<output>``.
    """

    endings: ClassVar[tuple[str, ...]] = (".roi.zip", ".zip")

    kind: Literal["roi"] = "roi"
    filename_suffix: str = ".roi.zip"


class TiffOptions(FileOptions):
    """Images as pages of one TIFF, dtype and values as they are.

    Attributes
    ----------
    filename_suffix : str
        Appended to ``<well>[.<group>].<output>``.
    """

    endings: ClassVar[tuple[str, ...]] = (".tif", ".tiff")

    kind: Literal["tiff"] = "tiff"
    filename_suffix: str = ".tif"


class TextOptions(FileOptions):
    """Plain text.

    Attributes
    ----------
    filename_suffix : str
        Appended to ``<well>[.<group>].<output>``; any ending.
    headings : bool
        Put a line such as ``# s001_w1_z001_t001`` before what each call of the function gave.
        Without them text of a format of its own (SVG, YAML) stays one, if a well has one call.
    """

    endings: ClassVar[tuple[str, ...]] = (".txt", "")

    kind: Literal["text"] = "text"
    filename_suffix: str = ".txt"
    headings: bool = True


WriterOptions = Annotated[
    CsvOptions | JsonOptions | ROIOptions | TiffOptions | TextOptions, Field(discriminator="kind")
]


class MaterializationSpec(FrozenModel):
    """The files to write for one special output; the writer follows from the options' type.

    Parameters
    ----------
    *options : CsvOptions, JsonOptions, ROIOptions, TiffOptions or TextOptions
        One or more, each giving one file a well (and group), no two the same one.
    primary : int or str
        Which of them is the main file: its position, its ``filename_suffix`` or its kind
        (``csv``, ``json``, ``roi``, ``tiff``, ``text``). Kept as the position.

    Examples
    --------
    >>> spec = MaterializationSpec(
    ...     JsonOptions(source="summary"),
    ...     CsvOptions(source="details", filename_suffix="_details.csv"),
    ...     primary="csv",
    ... )
    >>> spec.primary, spec.primary_options.filename_suffix
    (1, '_details.csv')
    """

    options: tuple[WriterOptions, ...] = Field(min_length=1)
    primary: int = 0

    def __init__(self, *positional: WriterOptions, **data: object) -> None:
        if positional and "options" in data:
            raise TypeError("options are given by position or by name, not both")
        data.setdefault("options", positional)
        super().__init__(**data)

    @field_validator("primary", mode="before")
    @classmethod
    def _find_primary(cls, primary: object, info: ValidationInfo) -> object:
        options: tuple[WriterOptions, ...] = info.data.get("options", ())
        if not isinstance(primary, str) or not options:
            return primary
        named = [
            number
            for number, option in enumerate(options)
            if primary in (option.kind, option.filename_suffix)
        ]
        if len(named) != 1:
            known = ", ".join(option.filename_suffix for option in options)
            raise ValueError(
                f"primary {primary!r} names {len(named)} of the options; expected one of {known}"
            )
        return named[0]

    @model_validator(mode="after")
    def _check_options(self) -> "MaterializationSpec":
        if not 0 <= self.primary < len(self.options):
            raise ValueError(
                f"primary {self.primary} is none of the {len(self.options)} options; "
                f"expected 0 to {len(self.options) - 1}"
            )
        files = [(option.kind, option.filename_suffix) for option in self.options]
        for kind, suffix in files:
            if files.count((kind, suffix)) > 1:
                raise ValueError(
                    f"two {kind} options would write one file; give them different "
                    f"filename_suffix values, not {suffix!r} twice"
                )
        return self

    @property
    def primary_options(self) -> WriterOptions:
        """The options of the main file."""
        return self.options[self.primary]
