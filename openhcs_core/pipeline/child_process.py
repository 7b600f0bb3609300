"""Run a module of this package in a Python of its own, where it may import what it likes."""

import os
import signal
import subprocess
import sys


def run_module(module: str, *arguments: str, timeout_s: float) -> tuple[bytes, int]:
    """Return what ``python -m module arguments`` writes to standard output, and its exit code.

    Parameters
    ----------
    module : str
        Dotted name.
    *arguments : str
        Of its command line.
    timeout_s : float
        After this time it is killed, and so is what it started.

    Raises
    ------
    TimeoutError
        It took longer.
    """
    with subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,  # so that what a hanging one started ends with it
    ) as child:
        try:
            answer, _ = child.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(str(error)) from error
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
    return answer, child.returncode
