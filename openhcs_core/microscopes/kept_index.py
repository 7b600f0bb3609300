"""A plate's index as text, of which what compiling needs is read first and the rest when asked for.

Three lines of JSON: the plate, and which well has which planes; the files of the planes; where and
when they were taken.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import Any

from openhcs_core.microscopes.collector import collector_paused
from openhcs_core.microscopes.plate_index import (
    Acquisition,
    ChannelInfo,
    ImageFile,
    KeptAcquisitions,
    KeptImages,
    Plane,
    PlateIndex,
)
from openhcs_core.planes import PlaneKey

_PLAIN = (
    "plate_path",
    "microscope",
    "parser",
    "pixel_size_um",
    "z_step_um",
    "projections",
    "copies",
)
_FEW = 4
"""Columns with so many times fewer values than rows are stored as values and their places."""

FORMAT = 1
"""To be raised with any change of what is written here."""


def encode_index(index: PlateIndex) -> tuple[str, str, str]:
    """Return an index as three lines without line ends."""
    layouts = {id(planes): number for number, planes in enumerate(index.layouts)}
    grid = index.grid_dimensions
    head = {
        **{name: getattr(index, name) for name in _PLAIN},
        "channels": [
            [c.id, c.name, c.dtype, list(c.shape), c.excitation_nm, c.emission_nm]
            for c in index.channels
        ],
        "missing": [list(key) for key in index.missing],
        "grid_dimensions": None if grid is None else list(grid),
        "warnings": list(index.warnings),
        "site_grid": [[site, *place] for site, place in index.site_grid.items()],
        "surplus": list(index.surplus),
        "layouts": [list(map(list, planes)) for planes in index.layouts],
        "wells": [[well, layouts[id(planes)]] for well, planes in index.planes.items()],
    }
    images = [_column(values) for values in list(zip(*index.images, strict=True))[1:]]
    keys = list(index.acquisitions)
    is_in_order = keys == [image[0] for image in index.images]
    acquisitions = {
        "keys": None if is_in_order else [_column(values) for values in zip(*keys, strict=True)],
        "values": [_column(values) for values in zip(*index.acquisitions.values(), strict=True)],
    }
    return _dump(head), _dump(images), _dump(acquisitions)


def decode_index(head: str | bytes, images: bytes, acquisitions: bytes) -> PlateIndex:
    """Return the index of lines that :func:`encode_index` wrote.

    The last two are not read before images or acquisitions are asked for.

    Raises
    ------
    ValueError, KeyError, TypeError, IndexError
        The first line is none of it.
    """
    data: dict[str, Any] = json.loads(head)
    layouts = [
        tuple((int(site), str(channel), int(z), int(time)) for site, channel, z, time in planes)
        for planes in data["layouts"]
    ]
    planes = {str(well): layouts[number] for well, number in data["wells"]}
    kept = KeptImages(planes, lambda: _images(planes, images))
    grid = data["grid_dimensions"]
    return PlateIndex(
        **{name: data[name] for name in _PLAIN},
        images=kept,
        channels=tuple(
            ChannelInfo(id_, name, dtype, (shape[0], shape[1]), *light)
            for id_, name, dtype, shape, *light in data["channels"]
        ),
        missing=tuple(PlaneKey(*key) for key in data["missing"]),
        grid_dimensions=None if grid is None else (grid[0], grid[1]),
        warnings=tuple(data["warnings"]),
        site_grid={site: (row, column) for site, row, column in data["site_grid"]},
        acquisitions=KeptAcquisitions(lambda: _acquisitions(kept, acquisitions)),
        surplus=tuple(data["surplus"]),
    )


def _images(planes: Mapping[str, Sequence[Plane]], line: bytes) -> tuple[ImageFile, ...]:
    new = tuple.__new__  # 1e5 times: no call that can be spared
    with collector_paused():
        keys = [new(PlaneKey, (well, *plane)) for well, of in planes.items() for plane in of]
        rows = zip(keys, *map(_values, json.loads(line)), strict=True)
        return tuple(map(new, repeat(ImageFile), rows))


def _acquisitions(images: KeptImages, line: bytes) -> Mapping[PlaneKey, Acquisition]:
    data = json.loads(line)
    if not data["values"]:
        return {}
    new = tuple.__new__
    with collector_paused():
        values = map(new, repeat(Acquisition), zip(*map(_values, data["values"]), strict=True))
        if data["keys"] is None:
            keys = [image[0] for image in images]
        else:
            rows = zip(*map(_values, data["keys"]), strict=True)
            keys = list(map(new, repeat(PlaneKey), rows))
        return dict(zip(keys, values, strict=True))


def _column(values: Sequence[Any]) -> Any:
    """Return a column; of one whose values repeat, those and which of them each row has."""
    known = {value: place for place, value in enumerate(dict.fromkeys(values))}
    if len(known) * _FEW > len(values):
        return list(values)
    return {"of": list(known), "at": [known[value] for value in values]}


def _values(column: Any) -> Sequence[Any]:
    if isinstance(column, dict):
        return list(map(column["of"].__getitem__, column["at"]))
    return list(column)


def _dump(value: object) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))
