"""Shell lines that are one plain ``openhcs-core run-step`` command, and nothing a shell is for."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import click

from openhcs_core.cli.run_step_command import run_step_command
from openhcs_core.plan import PLATE_TARGET, JobScope, log_path

_COMMAND = ("openhcs-core", "run-step")
# Letters and digits of any script, and signs that no shell gives a meaning to; quoted, all but
# what double quotes leave alive.
_BARE, _SINGLE, _DOUBLE = r"[\w@%+=:,./-]", r"'[^']*'", r'"[^"$`\\!]*"'
_WORD = rf"(?:{_BARE}|{_SINGLE}|{_DOUBLE})+"
_PLAIN = re.compile(rf"{_WORD}(?:[ \t]+{_WORD})*")


@dataclass(frozen=True)
class StepLine:
    """A job of this software, as its command line says.

    Attributes
    ----------
    arguments : tuple of str
        What follows ``openhcs-core``.
    plate_dir : Path
        ``results/<plate>``.
    scope : JobScope
        The steps, and the wells: none for jobs that join tables or write plate metadata.
    target : str
        The well, the table's file, ``"store"`` or the name for all wells: that of the first failure
        record.
    digest : str or None
        Of the plan or plans it is started for.
    log : Path or None
        The job's log file; None where each step and well has its own.
    """

    arguments: tuple[str, ...]
    plate_dir: Path
    scope: JobScope
    target: str
    digest: str | None
    log: Path | None

    @property
    def parts(self) -> list[tuple[str, str, Path]]:
        """Step, target and log of everything that the job does, in its order."""
        members = list(self.scope.members) or [(self.scope.steps[0], self.target)]
        return [
            (step, target, self.log or self.plate_dir / log_path(step, target))
            for step, target in members
        ]


def split_plain_line(line: str) -> tuple[str, ...] | None:
    """Return the words of a shell line without anything to expand, redirect, pipe or run after.

    None for every other line: what is not certain to be an argument vector is for a shell.
    """
    text = line.strip()
    return tuple(shlex.split(text)) if _PLAIN.fullmatch(text) else None


def read_step_line(line: str) -> StepLine | None:
    """Return what a shell line asks of ``openhcs-core run-step``.

    None when it is another command, needs a shell, or would be refused: then the command itself
    says why.
    """
    words = split_plain_line(line)
    if words is None or words[: len(_COMMAND)] != _COMMAND:
        return None
    try:
        context = run_step_command.make_context("run-step", list(words[len(_COMMAND) :]))
    except (click.ClickException, click.exceptions.Exit):
        return None
    options = context.params
    if not options["steps"]:  # the job that checks, or no job at all
        return None
    wells = (PLATE_TARGET,) if options["plate"] else options["wells"]
    return StepLine(
        arguments=words[1:],
        plate_dir=options["plate_dir"],
        scope=JobScope(options["steps"], wells),
        target=wells[0] if wells else options["table"] or "store",
        digest=options["digest"],
        log=options["log"],
    )
