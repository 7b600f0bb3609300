"""``python -m openhcs_core`` is ``openhcs-core``."""

import sys

from openhcs_core.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
