"""``skimage:`` — scikit-image functions that turn an image into an image.

scikit-image rescales integer images to 0..1 unless told otherwise; the
registry sets ``preserve_range`` and the like, so that values stay in the
plate's units.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

from pydantic import JsonValue

from openhcs_core.constants import MemoryType
from openhcs_core.pipeline import FunctionCost, Locality, ProcessingContract
from openhcs_core.registry.cache import cached_functions
from openhcs_core.registry.signatures import first_line, plain_defaults, unannotated_schema
from openhcs_core.registry.unified_registry import FunctionMetadata, LibraryRegistryBase


class _Entry(NamedTuple):
    contract: ProcessingContract
    fixed: dict[str, JsonValue]
    hidden: tuple[str, ...]
    cost: FunctionCost = FunctionCost()
    locality: Locality | None = None


_EDGES = ("nearest", "reflect", "mirror", "constant")
"""How pixels beyond an image's edge are made up from those near it."""
_ENTRIES = {
    "filters.gaussian": _Entry(
        ProcessingContract.FLEXIBLE,
        {"preserve_range": True, "channel_axis": None},
        ("out",),
        FunctionCost(bytes_per_px=16, float_bytes_per_px=8, ns_per_px=12, library_mb=20),
        Locality(halo=1, reach=("sigma", "truncate"), only_if={"mode": _EDGES}),
    ),
    "filters.median": _Entry(
        ProcessingContract.FLEXIBLE,
        {"behavior": "ndimage"},
        ("out",),
        FunctionCost(bytes_per_px=2, float_bytes_per_px=8, ns_per_px=110, itemsize=None),
        Locality(halo=1, only_if={"footprint": (None,), "mode": _EDGES}),
    ),
}


class ScikitImageRegistry(LibraryRegistryBase):
    """Functions of scikit-image, by their path below ``skimage``."""

    library_name = "skimage"
    distributions = ("numpy", "scikit-image", "scipy")

    def get_functions(self) -> dict[str, FunctionMetadata]:
        """Return metadata by reference, from the cache or from a child process."""
        return cached_functions(self)

    def load_function(self, name: str) -> Callable[..., Any]:
        """Import a function by its path below ``skimage``."""
        if name not in _ENTRIES:
            raise LookupError(f"{self.library_name}:{name} is not a known function")
        module_name, _, attribute = name.rpartition(".")
        function: Callable[..., Any] = getattr(import_module(f"skimage.{module_name}"), attribute)
        return function

    def discover(self) -> dict[str, FunctionMetadata]:
        """Import the library and describe its functions (in a child process)."""
        versions = self.get_library_versions()
        return {
            f"{self.library_name}:{name}": self._describe(name, entry, versions)
            for name, entry in _ENTRIES.items()
        }

    def _describe(self, name: str, entry: _Entry, versions: dict[str, str]) -> FunctionMetadata:
        function = self.load_function(name)
        hidden = {*entry.fixed, *entry.hidden}
        module_name, _, attribute = name.rpartition(".")
        return FunctionMetadata(
            ref=f"{self.library_name}:{name}",
            module=f"skimage.{module_name}",
            attribute=attribute,
            doc=first_line(function),
            parameters_schema=unannotated_schema(function, hidden),
            defaults=plain_defaults(function, hidden),
            fixed=entry.fixed,
            input_memory_type=MemoryType.NUMPY,
            output_memory_type=MemoryType.NUMPY,
            contract=entry.contract,
            as_2d=True,
            cost=entry.cost,
            locality=entry.locality,
            versions=versions,
        )
