"""Function registries: which functions exist, what they take, and how to import them."""

from openhcs_core.registry.registry_service import REGISTRIES, RegistryService
from openhcs_core.registry.unified_registry import FunctionMetadata, LibraryRegistryBase
from openhcs_core.registry.user_import import forget_modules
from openhcs_core.registry.user_modules import UserModule

__all__ = [
    "REGISTRIES",
    "FunctionMetadata",
    "LibraryRegistryBase",
    "RegistryService",
    "UserModule",
    "forget_modules",
]
