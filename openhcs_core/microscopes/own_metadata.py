"""What a converted plate keeps of its instrument: attributes of our own images, not trusted."""

from collections.abc import Mapping
from typing import Any

from openhcs_core.microscopes.plate_index import Acquisition
from openhcs_core.planes import PlaneKey

_LENGTHS = ("x_um", "y_um", "z_um", "stage_z_um")
_AS_WRITTEN = {"x_um": "stage_x_um", "y_um": "stage_y_um", "stage_z_um": "stage_z_um"}


def read_lights(own: Mapping[str, Any]) -> dict[str, tuple[float | None, float | None]]:
    """Return excitation and emission in nm by channel id, where an image says them."""
    channels = own.get("channels")
    return {
        str(channel.get("id")): (
            _number(channel.get("excitation_nm")),
            _number(channel.get("emission_nm")),
        )
        for channel in (channels if isinstance(channels, list) else ())
        if isinstance(channel, Mapping)
    }


def read_acquisitions(
    own: Mapping[str, Any],
) -> tuple[dict[PlaneKey, Acquisition], dict[PlaneKey, Acquisition]]:
    """Return where and when planes were taken, and the same in the directions of a stage.

    The first is from the well's centre, of instruments that say it; the second is what
    ImageXpress writes into its images.
    """
    entries = own.get("acquisitions")
    places: dict[PlaneKey, Acquisition] = {}
    stages: dict[PlaneKey, Acquisition] = {}
    for name, entry in (entries if isinstance(entries, Mapping) else {}).items():
        if not isinstance(entry, Mapping):
            continue
        try:
            key = PlaneKey.parse(str(name))
        except ValueError:
            continue
        place = _acquisition(entry, {length: length for length in _LENGTHS})
        if place != Acquisition():
            places[key] = place
        written = entry.get("as_written")
        if isinstance(written, Mapping):
            stages[key] = _acquisition(written, _AS_WRITTEN)
    return places, stages


def _acquisition(entry: Mapping[str, Any], names: Mapping[str, str]) -> Acquisition:
    acquired = entry.get("acquired")
    return Acquisition(
        **{length: _number(entry.get(name)) for length, name in names.items()},
        acquired=acquired if isinstance(acquired, str) else None,
    )


def _number(value: object) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < 1e12 else None  # type: ignore[arg-type]  # a number
