"""Names and listings that look the same in every backend."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from openhcs_core.errors import StorageResolutionError
from openhcs_core.planes import PlaneKey


def in_natural_order(names: Iterable[str]) -> list[str]:
    """Return `names` with the numbers in them in numeric order: site 2 before site 10."""
    # natsort alone costs more to import than everything else a light command needs.
    from natsort import natsorted

    return natsorted(names)


def has_extension(name: str, extensions: Sequence[str] | None) -> bool:
    """Return whether `name` ends in one of `extensions` (case ignored; None allows all)."""
    return extensions is None or name.lower().endswith(tuple(e.lower() for e in extensions))


def plane_filename(metadata: Mapping[str, Any]) -> str:
    """Return the virtual name of the image with these components: ``B02_s001_w1_z001_t001.tif``.

    Parameters
    ----------
    metadata : mapping
        ``well``, ``site``, ``channel``, ``z_index`` and ``timepoint``; numbers may be text.

    Raises
    ------
    StorageResolutionError
        Components are missing or unknown, or the name would be read back as others.
    """
    if metadata.keys() != set(PlaneKey._fields):
        raise StorageResolutionError(
            f"expected {', '.join(PlaneKey._fields)} to name an image, found "
            f"{', '.join(metadata) or 'nothing'}"
        )
    try:
        key = PlaneKey(
            str(metadata["well"]),
            int(metadata["site"]),
            str(metadata["channel"]),
            int(metadata["z_index"]),
            int(metadata["timepoint"]),
        )
        is_read_back = PlaneKey.parse(key.filename) == key
    except (ValueError, TypeError) as error:
        raise StorageResolutionError(f"no image name holds {dict(metadata)}: {error}") from error
    if not is_read_back:
        raise StorageResolutionError(f"no image name holds {dict(metadata)} unchanged")
    return key.filename
