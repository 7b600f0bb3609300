"""``openhcs:`` — the functions that come with this package."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from openhcs_core.pipeline import FunctionCost
from openhcs_core.plan import SOURCE_VERSION
from openhcs_core.registry.declared import describe_declared
from openhcs_core.registry.source import source_digest
from openhcs_core.registry.unified_registry import FunctionMetadata, LibraryRegistryBase

_PACKAGE = "openhcs_core.functions"
_FUNCTIONS = {
    "correct_illumination": "illumination",
    "count_cells_single_channel": "segment",
    "estimate_illumination": "illumination",
    "max_projection": "project",
    "measure_intensity": "measure",
    "normalize_to_controls": "controls",
    "stack_percentile_normalize": "preprocess",
    "tophat": "preprocess",
    "z_prime": "controls",
}
_COSTS = {
    "count_cells_single_channel": FunctionCost(
        bytes_per_px=41, ns_per_px=250, itemsize=None, library_mb=38
    ),
    "max_projection": FunctionCost(
        bytes_per_px=1, float_bytes_per_px=2, ns_per_px=1, itemsize=None, library_mb=2
    ),
    "measure_intensity": FunctionCost(bytes_per_px=16, ns_per_px=22, itemsize=None, library_mb=5),
    "stack_percentile_normalize": FunctionCost(
        bytes_per_px=2.2, float_bytes_per_px=9.5, ns_per_px=12, itemsize=2, library_mb=6
    ),
    "tophat": FunctionCost(bytes_per_px=27, float_bytes_per_px=33, ns_per_px=100, itemsize=None),
}
"""Measured; here and not in the functions' own modules, whose text is part of every digest."""


class OpenHCSRegistry(LibraryRegistryBase):
    """Native functions: their modules are light, array libraries load when they are called."""

    library_name = "openhcs"
    distributions = ("numpy", "scikit-image", "scipy")

    def get_functions(self) -> dict[str, FunctionMetadata]:
        """Return metadata by reference: these modules import no array library themselves."""
        return self.discover()

    def discover(self) -> dict[str, FunctionMetadata]:
        """Return metadata by reference."""
        libraries = self.get_library_versions()
        return {
            f"{self.library_name}:{name}": self._describe(name, module, libraries)
            for name, module in _FUNCTIONS.items()
        }

    def load_function(self, name: str) -> Callable[..., Any]:
        """Import a function by its name."""
        module = import_module(f"{_PACKAGE}.{_FUNCTIONS[name]}")
        function: Callable[..., Any] = getattr(module, name)
        return function

    def _describe(self, name: str, module: str, libraries: dict[str, str]) -> FunctionMetadata:
        path = f"{_PACKAGE}.{module}"
        described = describe_declared(
            self.load_function(name),
            ref=f"{self.library_name}:{name}",
            module=path,
            versions={SOURCE_VERSION: source_digest(path, _PACKAGE), **libraries},
        )
        return described.model_copy(update={"cost": _COSTS.get(name, described.cost)})
