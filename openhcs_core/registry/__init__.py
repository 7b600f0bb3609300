"""Function registries: which functions exist, what they take, and how to import them."""

from openhcs_core.registry.registry_service import REGISTRIES, RegistryService
from openhcs_core.registry.unified_registry import FunctionMetadata, LibraryRegistryBase

__all__ = ["REGISTRIES", "FunctionMetadata", "LibraryRegistryBase", "RegistryService"]
