"""The command ``openhcs-core``: what is loaded is what the command line needs.

Jobs that only put back what an equal one gave need next to nothing, and there are many of them.
"""

import gc
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from openhcs_core.errors import EXIT_DONE, EXIT_STOPPED
from openhcs_core.ground.environment import leave_out_model_plugins
from openhcs_core.put_back import put_back

if TYPE_CHECKING:
    from openhcs_core.runtime import RecentStacks

_STEP_JOB = "run-step"
_COMMANDS, _STEP_COMMAND = "openhcs_core.cli.commands", "openhcs_core.cli.run_step_command"


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
    if words[:1] == [_STEP_JOB] and recent is None:
        _load_step_job()
    code: int = import_module(_COMMANDS).run_command(words, recent)
    return code


def _load_step_job() -> None:
    """Import what a job of a process of its own needs, in less time than that takes usually.

    What is imported stays, so that looking for garbage in it finds none; and no plugins of pydantic
    are looked for in every library that is installed.
    """
    leave_out_model_plugins()
    gc.disable()
    try:
        import_module(_COMMANDS)
        import_module(_STEP_COMMAND)
    finally:
        gc.freeze()
        gc.enable()
