"""Where progress is shown: lines in a log, or a panel at the bottom of a terminal."""

import logging
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TextIO

from openhcs_core.session.progress.lines import describe_headline, describe_plates
from openhcs_core.session.progress.terminal import Drawing, can_draw
from openhcs_core.session.progress.view import RunView


class Display(ABC):
    """Shows lines, and how far the run is."""

    @abstractmethod
    def say(self, line: str, level: int) -> None:
        """Show a line for good."""

    @abstractmethod
    def update(self, *, is_running: bool) -> None:
        """Look how far the run is, if it is time to.

        Parameters
        ----------
        is_running : bool
            Whether any job runs.
        """

    @abstractmethod
    def close(self) -> None:
        """Show the end, and leave the terminal as it was."""


def open_display(
    *,
    stream: TextIO,
    view: Callable[[], RunView],
    is_live: bool,
    has_color: bool,
    interval_s: float,
    is_quiet: bool,
) -> Display:
    """Return a panel where `stream` is a terminal that can have one, else lines.

    Parameters
    ----------
    stream : file
        Where Snakemake itself would write.
    view : callable
        Says how far the run is.
    is_live, has_color : bool
        Whether a panel, and colours, are wanted.
    interval_s : float
        Between lines of progress.
    is_quiet : bool
        Show no progress.
    """
    if is_live and not is_quiet and stream is sys.stderr and can_draw(stream):
        return Panel(view, has_color=has_color)
    return Lines(stream, view, None if is_quiet else interval_s)


class Lines(Display):
    """Plain lines; those of progress not oftener than once in an interval."""

    def __init__(
        self, stream: TextIO, view: Callable[[], RunView], interval_s: float | None
    ) -> None:
        self._stream, self._view, self._interval_s = stream, view, interval_s
        self._shown_at = 0.0
        self._shown = (0, 0, 0)

    def say(self, line: str, level: int) -> None:
        """Write a line."""
        del level
        self._stream.write(f"{line}\n")
        self._stream.flush()

    def update(self, *, is_running: bool) -> None:
        """Write how far the run is, when the interval is over."""
        if self._interval_s is None:
            return
        if time.monotonic() - self._shown_at >= self._interval_s:
            self._show(self._view())
        elif not is_running and (view := self._view()).is_over:  # before the run's summary
            self._show(view)

    def _show(self, view: RunView) -> None:
        state = (view.done_jobs, view.running_jobs, view.failed_jobs)
        if view.elapsed_s == 0.0 or state == self._shown:
            return
        self._shown, self._shown_at = state, time.monotonic()
        clock = time.strftime("%H:%M:%S")
        self.say(f"[{clock}] {describe_headline(view)}", logging.INFO)
        for line in describe_plates(view):
            self.say(f"           {line}", logging.INFO)

    def close(self) -> None:
        """Write how far the run came."""
        if self._interval_s is not None:
            self._show(self._view())


class Panel(Display):
    """A panel at the bottom of the terminal, drawn anew twice a second while jobs run."""

    def __init__(self, view: Callable[[], RunView], *, has_color: bool) -> None:
        self._view, self._has_color = view, has_color
        self._drawing: Drawing | None = None

    def say(self, line: str, level: int) -> None:
        """Write a line above the panel."""
        drawing = self._drawing
        if drawing is None or not drawing.say(line, level):
            Lines(sys.stderr, self._view, None).say(line, level)

    def update(self, *, is_running: bool) -> None:
        """Draw as long as jobs run; stop before what is said of the run's end."""
        if self._drawing is not None and not is_running and self._view().is_over:
            self._drawing.stop()
        if self._drawing is not None and self._drawing.is_over:
            self._drawing = None
        if self._drawing is None and is_running:
            self._drawing = Drawing(self._view, has_color=self._has_color)

    def close(self) -> None:
        """Leave the last state of the panel in the terminal."""
        if self._drawing is not None:
            self._drawing.stop()
