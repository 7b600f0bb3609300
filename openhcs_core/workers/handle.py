"""The main process's side of one worker: start it, give it a job, stop it."""

import os
import signal
import subprocess
import sys
import time
from multiprocessing import Pipe

from openhcs_core.config import GPU_VARIABLE
from openhcs_core.errors import EXIT_TOO_LONG, WorkerLostError
from openhcs_core.workers.messages import BEGUN, Outcome, Task
from openhcs_core.workers.threads import thread_environment

_MODULE = "openhcs_core.workers.process"
_LOOK_S = 1.0
"""How often to look whether a process that says nothing still is."""
_SIGNAL_BASE = 128


class WorkerHandle:
    """One process and the connection to it.

    Parameters
    ----------
    task : Task
        Its first one: it is started with the environment of that.
    device : str or None
        The GPU that it sees, None for what the environment says.
    held_mb : int
        How much of its last jobs' images it may keep in memory.

    Notes
    -----
    A bare process and a pair of connected sockets of the standard library, which nobody else can
    reach. ``ProcessPoolExecutor`` and loky, with one worker each, were considered: the first
    imports the main program, here Snakemake, into every worker, and its workers hold the writing
    end of their own queue, so that they never notice that the main process is gone; neither tells
    by which signal a worker died, and neither can stop one that hangs without taking a private
    attribute. Only the framing of messages and the start of a process would be left of them.
    """

    def __init__(self, task: Task, device: str | None, held_mb: int) -> None:
        self._connection, theirs = Pipe()
        descriptor = theirs.fileno()
        environment = {**task.environment, **thread_environment(task.threads)}
        if device is not None:
            environment[GPU_VARIABLE] = device
        self._device = device
        self.has_begun = False
        arguments = [descriptor, os.getpid(), task.threads, held_mb]
        with theirs:
            self._process = subprocess.Popen(
                # -P: a module in the working directory is no library
                [sys.executable, "-P", "-m", _MODULE, *map(str, arguments)],
                env=environment,
                stdin=subprocess.DEVNULL,
                pass_fds=(descriptor,),
            )

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    def do(self, task: Task, limit_s: float | None) -> Outcome:
        """Let the worker do a task; wait for the end.

        Meanwhile `has_begun` says whether the worker has taken it up.

        Parameters
        ----------
        limit_s : float or None
            How long it may take.

        Raises
        ------
        WorkerLostError
            It died, or was killed when the time was up. It does no other task.
        """
        environment = task.environment
        if self._device is not None:
            environment = {**environment, GPU_VARIABLE: self._device}
        message = task.model_copy(update={"environment": environment}).model_dump_json()
        deadline = None if limit_s is None else time.monotonic() + limit_s
        self.has_begun = False
        try:
            self._connection.send_bytes(message.encode())
            answer = self._receive(deadline)
            if answer == BEGUN:
                self.has_begun = True
                answer = self._receive(deadline)
        except (EOFError, ConnectionResetError, BrokenPipeError) as error:
            raise self._lost() from error
        if answer is None:
            self.kill()
            raise _too_long(limit_s or 0.0)
        return Outcome.model_validate_json(answer)

    def _receive(self, deadline: float | None) -> bytes | None:
        """Return the next message, None when it did not come in time.

        Programs that a job has started may hold the worker's end of the connection open when it
        is dead, so the process is looked at as well.
        """
        while True:
            left_s = _LOOK_S if deadline is None else min(_LOOK_S, deadline - time.monotonic())
            if self._connection.poll(max(0.0, left_s)):
                return self._connection.recv_bytes()
            if deadline is not None and time.monotonic() >= deadline:
                return None
            if not self.is_alive and not self._connection.poll():
                raise EOFError

    def close(self) -> None:
        """Let an idle worker end: it does when the connection is closed."""
        self._connection.close()

    def wait(self, timeout_s: float) -> bool:
        """Return whether the process has ended within so many seconds."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """End the process now, and the connection to it."""
        self.end()
        self._connection.close()

    def end(self) -> None:
        """Kill the process and wait until it is gone; whoever waits for its answer finds out."""
        self._process.kill()
        self._process.wait()

    def _lost(self) -> WorkerLostError:
        self.kill_if_alive()
        code = self._process.returncode
        who = f"the job's process ({self.pid})"
        if code >= 0:
            text = f"{who} ended with exit code {code} before the job was done"
            return WorkerLostError(text, code or 1)
        name = signal.Signals(-code).name
        hint = (
            "; if nobody killed it, memory ran out: let the job ask for more (resources.mem_mb)"
            if -code == signal.SIGKILL
            else ""
        )
        return WorkerLostError(
            f"{who} was ended by signal {-code} ({name}){hint}", _SIGNAL_BASE - code
        )

    def kill_if_alive(self) -> None:
        """End a process that has closed its connection and may be about to end by itself."""
        if not self.wait(_LOOK_S):
            self._process.kill()
            self._process.wait()
        self._connection.close()


def _too_long(limit_s: float) -> WorkerLostError:
    return WorkerLostError(
        f"the job took longer than the {limit_s / 60:g} min that it asked for and was stopped; "
        "give its step more time (resources.runtime, in minutes)",
        EXIT_TOO_LONG,
    )
