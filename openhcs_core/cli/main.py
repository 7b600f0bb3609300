"""The command ``openhcs-core``: what is loaded is what the command line needs.

Jobs that only put back what an equal one gave need next to nothing, and there are many of them.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from openhcs_core.errors import EXIT_DONE, EXIT_STOPPED
from openhcs_core.put_back import put_back

if TYPE_CHECKING:
    from openhcs_core.runtime import RecentStacks

_STEP_JOB = "run-step"


def main(arguments: Sequence[str] | None = None, recent: "RecentStacks | None" = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        Instead of this process's own.
    recent : RecentStacks, optional
        Images of jobs that this process has done before.

    Returns
    -------
    int

        0 done; 1 a defect of this software; 2 wrong config, pipeline or command line; 3 bad
        input data; 4 a step's function raised; 5 memory or a disk ran out.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        if words[:1] == [_STEP_JOB] and put_back(words[1:]):
            return EXIT_DONE
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return EXIT_STOPPED
    code: int = import_module("openhcs_core.cli.commands").run_command(words, recent)
    return code
