"""The worker's side: ``python -m openhcs_core.workers.process``, started by the pool.

Runs one command line after another through the function that ``openhcs-core`` is. Ends with the
process that started it, whatever it is doing then: at once on Linux, where the kernel kills it;
elsewhere as soon as Python code runs again. So nothing is committed for a run that is dead.
"""

import ctypes
import faulthandler
import os
import select
import signal
import sys
import threading
import traceback
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from multiprocessing.connection import Connection

from openhcs_core.cli.main import main as run_command
from openhcs_core.constants import MemoryType
from openhcs_core.errors import EXIT_DEFECT, EXIT_MEMORY, EXIT_STOPPED
from openhcs_core.memory import FRAMEWORKS, get_framework
from openhcs_core.runtime import HeldCounts, RecentStacks
from openhcs_core.workers.isolation import Surroundings, enter, read_settings, threads_left
from openhcs_core.workers.messages import BEGUN, Outcome, Task
from openhcs_core.workers.threads import ThreadCounts
from openhcs_core.workers.usage import UsageMeter, resident_mb

_PR_SET_PDEATHSIG = 1
_MB = 2**20


class Worker:
    """Does tasks in this process.

    Parameters
    ----------
    threads : int
        What the process was started with.
    held_mb : int
        How much of its last jobs' images it may keep in memory.
    """

    def __init__(self, threads: int, held_mb: int) -> None:
        import_module("numpy")  # every job needs it
        self._threads = ThreadCounts(threads)
        self._surroundings = Surroundings()
        self._settings: dict[str, object] = {}
        self._prepared: set[str] = set()
        self._memory = RecentStacks(held_mb * _MB)

    def do(self, task: Task) -> Outcome:
        """Do one task as a process of its own would, and put back what it has changed."""
        enter(task.folder, task.environment)
        self._threads.set(task.threads)
        meter = UsageMeter()
        counts = self._memory.counts = HeldCounts()
        try:
            self._prepare(task.frameworks)
            exit_code = _run(task.arguments, self._memory)
        finally:
            usage = meter.read()
            self._surroundings.restore()
        loaded = tuple(name for name in FRAMEWORKS if name != MemoryType.NUMPY and _is_loaded(name))
        return Outcome(
            exit_code=exit_code,
            usage=usage,
            frameworks=loaded,
            rss_mb=resident_mb() - self._memory.held_bytes / _MB,
            planes_held=counts.held,
            planes_read=counts.others,
            bytes_held=counts.held_bytes,
            worn=self._wear(exit_code, loaded),
        )

    def _prepare(self, frameworks: tuple[str, ...]) -> None:
        """Load libraries, to know their settings before any function runs."""
        new = [name for name in frameworks if name not in self._prepared]
        for name in new:
            with suppress(ImportError, OSError):  # the job says itself what it cannot load
                _load(name)
        self._prepared.update(new)
        if new:
            self._surroundings = Surroundings()

    def _wear(self, exit_code: int, loaded: tuple[str, ...]) -> str | None:
        """Return why this process should do no other job, None when it may."""
        if exit_code in (EXIT_DEFECT, EXIT_MEMORY) or (exit_code and loaded):
            return f"a job ended with exit code {exit_code}"
        if left := threads_left():
            return f"threads were left running: {', '.join(left)}"
        settings = read_settings(loaded)
        self._settings = settings | self._settings
        changed = [name for name in settings if settings[name] != self._settings[name]]
        return f"settings of {', '.join(changed)} were changed" if changed else None


def serve(connection: Connection, worker: Worker) -> None:
    """Do what comes in, until nothing more can."""
    while True:
        try:
            message = connection.recv_bytes()
            connection.send_bytes(BEGUN)
        except (EOFError, ConnectionResetError, BrokenPipeError):
            return
        outcome = worker.do(Task.model_validate_json(message))
        try:
            connection.send_bytes(outcome.model_dump_json().encode())
        except (BrokenPipeError, ConnectionResetError):
            return


def _run(arguments: tuple[str, ...], memory: RecentStacks) -> int:
    """Return the exit code of a command line; SIGINT stops it, as it stops a job's process."""
    sys.argv = ["openhcs-core", *arguments]
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return run_command(arguments, memory)
    except SystemExit as error:
        return _code_of(error)
    except KeyboardInterrupt:
        return EXIT_STOPPED
    except BaseException:  # noqa: BLE001  what Python itself does: show it and return 1
        traceback.print_exc()
        return EXIT_DEFECT
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.stdout.flush()
        sys.stderr.flush()


def _code_of(error: SystemExit) -> int:
    """Return what Python makes of the argument of ``sys.exit``."""
    if error.code is None or isinstance(error.code, int):
        return error.code or 0
    sys.stderr.write(f"{error.code}\n")
    return EXIT_DEFECT


def _load(name: str) -> None:
    for library in get_framework(name).libraries:
        if find_spec(library) is not None:
            import_module(library)
            return


def _is_loaded(name: str) -> bool:
    return any(library in sys.modules for library in get_framework(name).libraries)


def _end_with(parent: int, connection: Connection) -> None:
    """Let this process end when the one that started it does."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(EXIT_STOPPED)
    threading.Thread(target=_watch, args=(connection.fileno(),), daemon=True).start()


def _watch(descriptor: int) -> None:
    """Wait until the other end is closed: by the main process, or by its death."""
    poller = select.poll()
    poller.register(descriptor, 0)  # nothing but the hang-up
    poller.poll()
    os._exit(EXIT_STOPPED)


def main() -> None:
    """Serve the connection whose descriptor the first argument is."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of idle workers the main process disposes
    descriptor, parent, threads, held_mb = map(int, sys.argv[1:])
    os.set_inheritable(descriptor, False)
    connection = Connection(descriptor)
    _end_with(parent, connection)
    faulthandler.enable()
    serve(connection, Worker(threads, held_mb))


if __name__ == "__main__":
    main()
