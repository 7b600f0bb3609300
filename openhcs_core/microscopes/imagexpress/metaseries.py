"""The XML that MetaXpress puts into each TIFF's ImageDescription ("MetaSeries")."""

from dataclasses import dataclass
from xml.parsers import expat  # entities are refused below

from openhcs_core.errors import InputDataError
from openhcs_core.microscopes.tiff_header import MAX_DESCRIPTION_BYTES

_ELEMENTS = frozenset({"prop", "custom-prop"})
_MICROMETRES = frozenset({"um", "µm", "μm", "microns"})  # both letters are in use


@dataclass(frozen=True, slots=True)
class MetaSeries:
    """What one image says of itself; None where it does not.

    Attributes
    ----------
    pixel_size_um : float or None
        Only when calibrated in micrometres and square.
    stage_x_um, stage_y_um, stage_z_um : float or None
        Where the stage was.
    acquired : str or None
        Local time of acquisition, as written.
    projection : str or None
        Projection method, ``"Maximum"``: the image is no plane of a stack.
    z_step : int or None
        Number of the plane in its stack.
    projection_step_um : float or None
        Distance of the planes that were projected.
    wavelength_nm : float or None
        Of the light that reached the camera.
    """

    pixel_size_um: float | None = None
    stage_x_um: float | None = None
    stage_y_um: float | None = None
    stage_z_um: float | None = None
    acquired: str | None = None
    projection: str | None = None
    z_step: int | None = None
    projection_step_um: float | None = None
    wavelength_nm: float | None = None


NO_METADATA = MetaSeries()


def parse_metaseries(description: str, source: str) -> MetaSeries:
    """Read the properties of one image.

    Parameters
    ----------
    description : str
        The ImageDescription tag.
    source : str
        The file's name, for messages.

    Returns
    -------
    MetaSeries
        `NO_METADATA` where `description` is something else or broken XML.

    Raises
    ------
    InputDataError
        The XML declares a document type or entities, or is longer than 1 MiB.
    """
    if "<MetaData" not in description[:200]:
        return NO_METADATA
    if len(description) > MAX_DESCRIPTION_BYTES:
        raise InputDataError(
            f"{source}: its metadata have {len(description)} characters; "
            f"at most {MAX_DESCRIPTION_BYTES} are read"
        )
    properties = _read_properties(
        description[description.index("<MetaData") :], description, source
    )
    return _from_properties(properties)


def _read_properties(xml: str, whole: str, source: str) -> dict[str, str]:
    if "<!DOCTYPE" in whole or "<!ENTITY" in whole:
        raise InputDataError(
            f"{source}: its metadata declare XML entities, which MetaXpress never writes; "
            "the file is not to be trusted"
        )
    properties: dict[str, str] = {}

    def start(name: str, attributes: dict[str, str]) -> None:
        if name in _ELEMENTS and "id" in attributes:
            properties.setdefault(attributes["id"], attributes.get("value", ""))

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    try:
        parser.Parse(xml, True)
    except expat.ExpatError:
        return {}
    return properties


def _from_properties(properties: dict[str, str]) -> MetaSeries:
    return MetaSeries(
        pixel_size_um=_pixel_size(properties),
        stage_x_um=_number(properties, "stage-position-x"),
        stage_y_um=_number(properties, "stage-position-y"),
        stage_z_um=_number(properties, "z-position"),
        acquired=properties.get("acquisition-time-local") or None,
        projection=properties.get("Z Projection Method") or None,
        z_step=_whole(_number(properties, "Z Step")),
        projection_step_um=_number(properties, "Z Projection Step Size"),
        wavelength_nm=_number(properties, "wavelength") or None,
    )


def _pixel_size(properties: dict[str, str]) -> float | None:
    if properties.get("spatial-calibration-state") != "on":
        return None
    if properties.get("spatial-calibration-units", "").strip().lower() not in _MICROMETRES:
        return None
    x = _number(properties, "spatial-calibration-x")
    y = _number(properties, "spatial-calibration-y")
    return x if x is not None and x > 0 and x == y else None


def _number(properties: dict[str, str], name: str) -> float | None:
    try:
        value = float(properties[name])
    except (KeyError, ValueError):
        return None
    return value if abs(value) < float("inf") else None


def _whole(value: float | None) -> int | None:
    return int(value) if value is not None and value.is_integer() else None
