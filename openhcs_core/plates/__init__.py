"""Whole plates as they are: every image opened and looked at, or converted to OME-Zarr."""

from openhcs_core.plates.conversion import Conversion, ConvertOptions, convert_plate
from openhcs_core.plates.inspection import ImageProblem, Inspection, inspect_plate
from openhcs_core.plates.starter import (
    StarterPlate,
    name_plates,
    plate_name,
    starter_config,
    starter_pipeline,
)

__all__ = [
    "Conversion",
    "ConvertOptions",
    "ImageProblem",
    "Inspection",
    "StarterPlate",
    "convert_plate",
    "inspect_plate",
    "name_plates",
    "plate_name",
    "starter_config",
    "starter_pipeline",
]
