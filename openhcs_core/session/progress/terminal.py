"""A panel in a terminal that others write to as well."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import threading
from typing import TYPE_CHECKING, TextIO

from openhcs_core.session.progress.panel import run_panel

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Group

    from openhcs_core.session.progress.view import RunView

_REFRESHES_PER_S = 2
_STYLES = {logging.WARNING: "yellow", logging.ERROR: "red", logging.CRITICAL: "red"}


def can_draw(stream: TextIO) -> bool:
    """Return whether a stream is a terminal whose cursor can be moved."""
    from rich.console import Console

    return stream.isatty() and not Console(file=stream).is_dumb_terminal


class _Captured:
    """What this process and its jobs write to the terminal, kept in a file meanwhile.

    A panel is drawn over from where the cursor was left, so nobody else may move it. A file,
    not a pipe: nobody waits for a reader, and jobs that outlive this process can go on writing.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  closed by close()
        self._read = 0
        sys.stdout.flush()
        sys.stderr.flush()
        self._saved = {fd: os.dup(fd) for fd in (1, 2) if os.isatty(fd)}
        for fd in self._saved:
            os.dup2(self._file.fileno(), fd)

    @property
    def terminal(self) -> int:
        """The terminal's own file descriptor."""
        return self._saved[2]

    def new_lines(self, *, is_end: bool = False) -> list[str]:
        """Return the lines written since the last call; the last unfinished one at the end."""
        data = os.pread(self._file.fileno(), 1 << 20, self._read)
        whole = data if is_end else data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        return whole.decode(errors="replace").splitlines()

    def restore(self) -> list[str]:
        """Give the terminal back; return what was not shown yet."""
        sys.stdout.flush()
        sys.stderr.flush()
        for fd, saved in self._saved.items():
            os.dup2(saved, fd)
        lines = self.new_lines(is_end=True)
        while more := self.new_lines(is_end=True):
            lines += more
        for saved in self._saved.values():
            os.close(saved)
        self._file.close()
        return lines


class Drawing:
    """One time that a panel stands in the terminal.

    Parameters
    ----------
    view : callable
        Says how far the run is.
    has_color : bool
        Whether colours are wanted.
    """

    def __init__(self, view: Callable[[], RunView], *, has_color: bool) -> None:
        from rich.console import Console
        from rich.live import Live

        self._view = view
        self._captured = _Captured()
        stream = os.fdopen(os.dup(self._captured.terminal), "w", encoding=sys.stderr.encoding)
        self._console = Console(
            file=stream, highlight=False, soft_wrap=True, no_color=not has_color or None
        )
        self._live = Live(
            console=self._console,
            get_renderable=self._draw,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._live.start()
        self._console.show_cursor()  # a killed process could not bring it back
        threading.Thread(target=self._refresh, daemon=True).start()

    @property
    def is_over(self) -> bool:
        """Whether the terminal was given back."""
        return self._ended.is_set()

    def _draw(self) -> Group:
        size = os.get_terminal_size(self._console.file.fileno())
        self._console.size = (size.columns, size.lines)
        is_ascii = self._console.options.ascii_only
        return run_panel(self._view(), size.columns, size.lines, is_ascii=is_ascii)

    def _refresh(self) -> None:
        while not self._ended.wait(1 / _REFRESHES_PER_S):
            with self._lock:
                if not self.is_over:
                    self._say_all(self._captured.new_lines())
                    self._live.refresh()

    def say(self, line: str, level: int) -> bool:
        """Write a line above the panel; return whether it still stands."""
        with self._lock:
            if not self.is_over:
                self._say_all([line], _STYLES.get(level, ""))
            return not self.is_over

    def _say_all(self, lines: list[str], style: str = "") -> None:
        from rich.text import Text

        for line in lines:
            self._console.print(Text.from_ansi(line), style=style)

    def stop(self) -> None:
        """Draw for the last time and give the terminal back."""
        with self._lock:
            if self.is_over:
                return
            self._ended.set()
            self._live.stop()
            self._say_all(self._captured.restore())
            self._console.file.close()
