"""``snakemake --logger openhcs``: how far each plate is, in place of a text for every job.

An adapter: Snakemake's log records become calls of ``openhcs_core.session.progress.RunReporter``,
which decides what is said. Snakemake imports every plugin for every command, so nothing heavy
is imported before a handler is made.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Optional

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase

if TYPE_CHECKING:
    from openhcs_core.session.progress import Display, PlannedRun, RunView

_INTERVAL_S = 30
_CHATTER = ("Select jobs to execute...",)
"""What Snakemake says again and again without an event."""
_SEEN_IN_COUNTS = frozenset(
    {
        LogEvent.WORKFLOW_STARTED,
        LogEvent.RESOURCES_INFO,
        LogEvent.RULEGRAPH,
        LogEvent.GROUP_INFO,
    }
)


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """Settings on snakemake's command line and in profiles."""

    # no `X | None` and no postponed annotations here: Snakemake reads them when it starts
    interval: Optional[int] = field(
        default=_INTERVAL_S,
        metadata={
            "help": "Seconds between lines of progress where output is not a terminal.",
            "type": int,
        },
    )
    plain: bool = field(
        default=False,
        metadata={"help": "Print lines in a terminal too, and draw nothing."},
    )


class LogHandler(LogHandlerBase):
    """Shows a run as progress by plate and step."""

    def __post_init__(self) -> None:
        """Choose how to show it: drawn in a terminal, else in lines."""
        from openhcs_core.session.progress import RunReporter, open_display

        settings = self.settings
        if not isinstance(settings, LogHandlerSettings):
            settings = LogHandlerSettings()
        self._reporter = RunReporter()
        self._guard = threading.Lock()  # the display draws in a thread of its own
        self._jobs: dict[LogEvent, Callable[[logging.LogRecord], Iterable[str]]] = {
            LogEvent.JOB_STARTED: self._take_started,
            LogEvent.JOB_INFO: self._take_info,
            LogEvent.JOB_FINISHED: self._take_finished,
            LogEvent.JOB_ERROR: self._take_error,
            LogEvent.PROGRESS: self._take_progress,
            LogEvent.RUN_INFO: self._take_stats,
            LogEvent.ERROR: self._take_exception,
            LogEvent.SHELLCMD: self._take_command,
        }
        quiet = {str(choice) for choice in self.common_settings.quiet or ()}
        self._is_silent = "all" in quiet and not self.common_settings.dryrun
        self._display: Display = open_display(
            stream=sys.stdout if self.common_settings.stdout else sys.stderr,
            view=self._view,
            is_live=not settings.plain,
            has_color=not self.common_settings.nocolor,
            interval_s=_INTERVAL_S if settings.interval is None else settings.interval,
            is_quiet=self.common_settings.dryrun or bool(quiet & {"progress", "all"}),
        )

    def _view(self) -> "RunView":
        with self._guard:
            return self._reporter.view(time.time())

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record over, and say what is to be said of it."""
        if self._is_silent:
            return
        with self._guard:
            lines = [*self._take(record), *self._reporter.overdue(record.created)]
        try:
            for line in lines:
                self._display.say(line, record.levelno)
            self._display.update(is_running=self._reporter.is_running)
        except (OSError, ValueError):  # the terminal is gone, or cannot show a letter
            self.handleError(record)

    def _take(self, record: logging.LogRecord) -> Iterable[str]:
        planned: PlannedRun | None = record.__dict__.get("openhcs_run")
        if planned is not None:
            self._reporter.plan(planned)
        event = record.__dict__.get("event")
        if event in self._jobs:
            return self._jobs[event](record)
        if event in _SEEN_IN_COUNTS and record.levelno < logging.WARNING:
            return ()
        text = self.format(record)
        return () if text in ("", "None", *_CHATTER) else (text,)

    def _take_started(self, record: logging.LogRecord) -> Iterable[str]:
        self._reporter.start(record.__dict__.get("jobs", ()), record.created)
        return ()

    def _take_info(self, record: logging.LogRecord) -> Iterable[str]:
        job = record.__dict__
        outputs, logs = job.get("output", ()), job.get("log", ())
        if self.common_settings.dryrun:
            self._reporter.foresee(job.get("rule_name", ""), outputs, logs, job.get("reason", ""))
        else:
            self._reporter.announce(job.get("jobid", -1), outputs, logs, record.created)
        return ()

    def _take_finished(self, record: logging.LogRecord) -> Iterable[str]:
        self._reporter.finish(record.__dict__.get("job_id", -1), record.created)
        return ()

    def _take_error(self, record: logging.LogRecord) -> Iterable[str]:
        job = record.__dict__
        return [
            *self._reporter.fail(
                job.get("jobid", -1),
                job.get("shellcmd") or "",
                record.created,
                lambda: self.format(record),
            )
        ]

    def _take_progress(self, record: logging.LogRecord) -> Iterable[str]:
        self._reporter.count(record.__dict__.get("done", 0), record.__dict__.get("total", 0))
        return ()

    def _take_stats(self, record: logging.LogRecord) -> Iterable[str]:
        total = record.__dict__.get("stats", {}).get("total", 0)
        self._reporter.count(0, total)
        if not self.common_settings.dryrun:
            return ()
        lines = [*self._reporter.foreseen()]  # empty at the start of a dry run, all at its end
        return [f"{total} jobs would run:", *lines] if lines else ()

    def _take_exception(self, record: logging.LogRecord) -> Iterable[str]:
        self._reporter.hold(self.format(record), record.created)
        return ()

    def _take_command(self, record: logging.LogRecord) -> Iterable[str]:
        return (self.format(record),) if self.common_settings.printshellcmds else ()

    def close(self) -> None:
        """Say what is left to say, and give the terminal back."""
        with self._guard:
            lines = [*self._reporter.overdue(float("inf"))]
        for line in lines:
            self._display.say(line, logging.ERROR)
        self._display.close()
        super().close()

    @property
    def writes_to_stream(self) -> bool:
        """It takes the place of Snakemake's own texts."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """Snakemake writes its log file itself."""
        return False

    @property
    def has_filter(self) -> bool:
        """Snakemake's own filter would take out what progress is counted from."""
        return True

    @property
    def has_formatter(self) -> bool:
        """Texts that are shown as they are look like Snakemake's."""
        return False

    @property
    def needs_rulegraph(self) -> bool:
        """Which step reads which is known from the plans."""
        return False
