"""Describe a heavy library's functions as JSON on stdout: ``python -m …discover skimage``."""

import sys

from openhcs_core.registry.cache import FUNCTIONS
from openhcs_core.registry.registry_service import RegistryService


def main(arguments: list[str]) -> int:
    """Print the functions of the one library named in `arguments`."""
    (library,) = arguments
    functions = RegistryService().get_registry(library).discover()
    sys.stdout.buffer.write(FUNCTIONS.dump_json(functions, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
