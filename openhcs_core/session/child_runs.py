"""Runs of snakemake that a command of ours starts, and that end with it."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from openhcs_core.config import LIFELINE_VARIABLE, take_lifeline

_STDERR = 2
_STOP_S = 30.0
_POLL_S = 0.1


class ChildRun:
    """A run of snakemake in a group of processes of its own.

    It is interrupted when the process that started it dies, however that is: then nothing holds
    the other end of a pipe that it listens to (:func:`end_with_starter`).

    Parameters
    ----------
    command : sequence of str
        What is called.
    log : Path, optional
        Its output is appended there; it goes to stderr when absent.
    folder : Path, optional
        Where it works; here when absent.
    """

    def __init__(
        self, command: Sequence[str], log: Path | None = None, folder: Path | None = None
    ) -> None:
        listening, self._lifeline = os.pipe()
        with _output(log) as out, _listening_to_interrupts():
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(listening,),
                env={**os.environ, LIFELINE_VARIABLE: str(listening)},
            )
        os.close(listening)
        self._code: int | None = None

    @property
    def process(self) -> int:
        """Its number."""
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        if self._code is None and (code := self._process.poll()) is not None:
            os.close(self._lifeline)
            self._code = code
        return self._code

    def send(self, number: int) -> None:
        """Send a signal to it and its jobs."""
        if self.poll() is None:
            os.killpg(self._process.pid, number)


@contextmanager
def _output(log: Path | None) -> Iterator[IO[bytes] | int]:
    """Give what a run may write to."""
    if log is None:
        yield _STDERR
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream:
        yield stream


@contextmanager
def _listening_to_interrupts() -> Iterator[None]:
    """Let programs that the block starts not ignore SIGINT, as shells have it for `command &`."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def wait_for(run: ChildRun) -> int:
    """Wait until a run has ended; return its exit code.

    A KeyboardInterrupt is handed on: snakemake and its jobs get SIGINT, as from a terminal, and
    are waited for.
    """
    try:
        while (code := run.poll()) is None:
            time.sleep(_POLL_S)
    except BaseException:
        stop([run])
        raise
    return code


def stop(runs: Sequence[ChildRun]) -> None:
    """End some runs together: as from a terminal, then as at a shutdown, then at once."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        for run in runs:
            run.send(number)
        deadline = time.monotonic() + _STOP_S
        try:
            while _are_any_left(runs) and time.monotonic() < deadline:
                time.sleep(_POLL_S)
        except KeyboardInterrupt:  # who asks again does not want to wait
            continue
        if not _are_any_left(runs):
            return


def _are_any_left(runs: Sequence[ChildRun]) -> bool:
    left = [run for run in runs if run.poll() is None]
    return bool(left)


def end_with_starter() -> None:
    """Interrupt this process when the one that started it as a :class:`ChildRun` is gone."""
    descriptor = take_lifeline()
    if descriptor is not None:
        threading.Thread(target=_listen, args=(descriptor,), daemon=True).start()


def _listen(descriptor: int) -> None:
    try:
        os.read(descriptor, 1)  # nobody writes: it returns when the other end is closed
    except OSError:  # it is not open here
        return
    if os.getpgrp() == os.getpid():  # its jobs too, as from a terminal
        os.killpg(os.getpgrp(), signal.SIGINT)
    else:
        os.kill(os.getpid(), signal.SIGINT)
