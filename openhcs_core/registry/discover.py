"""Describe a heavy library's functions as JSON on stdout: ``python -m …discover skimage``."""

import sys

from openhcs_core.registry.cache import FUNCTIONS
from openhcs_core.registry.scikit_image_registry import ScikitImageRegistry


def main(arguments: list[str]) -> int:
    """Print the functions of the one library named in `arguments`."""
    registries = {ScikitImageRegistry.library_name: ScikitImageRegistry}
    (library,) = arguments
    sys.stdout.buffer.write(FUNCTIONS.dump_json(registries[library]().discover(), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
