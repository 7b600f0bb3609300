"""The error tree: each error is also the builtin it stands for, and knows its exit code.

A message says what was given, what was expected and how to mend it. Notes
(``add_note``) carry where: file, line and key path.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

EXIT_DONE = 0
EXIT_DEFECT = 1
EXIT_CONFIG = 2
EXIT_DATA = 3
EXIT_FUNCTION = 4
EXIT_MEMORY = 5
EXIT_TOO_LONG = 124
"""Stopped when its time was up: what timeout(1) returns."""
EXIT_STOPPED = 130
"""A person stopped it (SIGINT): what shells use."""

_WORST_FIRST = (EXIT_DEFECT, EXIT_CONFIG, EXIT_MEMORY, EXIT_FUNCTION, EXIT_DATA)

_PREFIX = "error: "


class OpenHCSError(Exception):
    """Base of every error that is not a defect of this software."""

    exit_code = EXIT_DEFECT


class ConfigError(OpenHCSError, ValueError):
    """A config, pipeline or command line that cannot be used."""

    exit_code = EXIT_CONFIG


class CompileError(ConfigError):
    """A pipeline that does not fit together or does not fit its plate."""


class FrozenContextError(OpenHCSError, AttributeError, TypeError):
    """A compiled context, or its step plans, were to be changed."""

    exit_code = EXIT_CONFIG


class UnreadableFunctionError(CompileError):
    """A function of a user module that has a mistake: the module's own error says which."""


class PlanChangedError(ConfigError):
    """A job was started for a plan that has since been replaced."""


class SupersededError(PlanChangedError):
    """A job of a run that was killed, when the next run has started: that one does its work."""


class RunLockedError(ConfigError):
    """Another run works on the same results folder and this config would change its plan."""


class StorageResolutionError(OpenHCSError, LookupError):
    """No such backend, or a backend that cannot do what was asked of it."""

    exit_code = EXIT_CONFIG


class StorageAccessError(StorageResolutionError, OSError):
    """The system does not let a file or folder be written, moved or removed."""


class InputDataError(OpenHCSError, ValueError):
    """An image or a metadata file that is missing, unreadable or not what it claims to be."""

    exit_code = EXIT_DATA


class StepFunctionError(OpenHCSError, RuntimeError):
    """The step's own function raised, or returned something that is not an image stack."""

    exit_code = EXIT_FUNCTION


class OutOfMemoryError(OpenHCSError, MemoryError):
    """Memory ran out after every recovery the config asked for."""

    exit_code = EXIT_MEMORY


class DiskFullError(OpenHCSError, OSError):
    """A disk has no room for what is to be written."""

    exit_code = EXIT_MEMORY


class WellsFailedError(OpenHCSError):
    """Some of the wells of one job failed; the others are done.

    Its exit code is that of the failure which is least the wells' own: a wrong config comes
    first, then a lack of memory or disk, which more of it may mend.

    Parameters
    ----------
    wells : int
        How many the job has.
    failures : tuple of (str, OpenHCSError)
        The wells that failed, each with its error.
    """

    def __init__(self, wells: int, failures: tuple[tuple[str, OpenHCSError], ...]) -> None:
        super().__init__(wells, failures)
        self.wells = wells
        self.failures = failures
        codes = {error.exit_code for _, error in failures}
        self.exit_code = next(code for code in _WORST_FIRST if code in codes)

    def __str__(self) -> str:
        lines = "".join(f"\n  well {well}: {error}" for well, error in self.failures)
        return f"{len(self.failures)} of {self.wells} wells failed, the others are done:{lines}"


class WorkerLostError(OpenHCSError, RuntimeError):
    """The process that did a job died, or was stopped because it took too long.

    Parameters
    ----------
    message : str
        What happened.
    exit_code : int
        What a shell would return: 128 and the number of the signal, 124 for too long.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message, exit_code)
        self.exit_code = exit_code

    def __str__(self) -> str:
        return str(self.args[0])


class MemoryConversionError(OpenHCSError, TypeError):
    """An array could not be handed from one memory type to another.

    Parameters
    ----------
    source_type, target_type : str
        Memory types, e.g. ``"numpy"``.
    method : str
        The route that was tried.
    reason : str
        Why it failed.
    """

    exit_code = EXIT_FUNCTION

    def __init__(self, source_type: str, target_type: str, method: str, reason: str) -> None:
        super().__init__(source_type, target_type, method, reason)
        self.source_type = source_type
        self.target_type = target_type
        self.method = method
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"Failed to convert {self.source_type} → {self.target_type} "
            f"via {self.method}: {self.reason}"
        )


class WellsLeftOutError(OpenHCSError):
    """Wells failed and are left out of what is made of all wells.

    Parameters
    ----------
    plate : str
        Its name.
    reasons : tuple of str
        A line a well.
    exit_code : int
        That of their jobs.
    """

    def __init__(self, plate: str, reasons: tuple[str, ...], exit_code: int) -> None:
        super().__init__(plate, reasons, exit_code)
        self.plate, self.reasons, self.exit_code = plate, reasons, exit_code

    def __str__(self) -> str:
        count = len(self.reasons)
        return (
            f"plate {self.plate!r}: {count} well{'s are' if count > 1 else ' is'} left out; the "
            f"next run tries {'them' if count > 1 else 'it'} again: {shortened(self.reasons)}"
        )


def shortened(names: Sequence[str], most: int = 12) -> str:
    """Return names in a row, the first `most` of them: ``A01, A02 and 382 more``."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def printable(text: str) -> str:
    """Return text with control characters spelt out: names of files and channels may hold any.

    A terminal would obey them. New lines and tabs stay.
    """
    return "".join(
        sign if sign.isprintable() or sign in "\n\t" else ascii(sign)[1:-1] for sign in text
    )


def located(error: OpenHCSError, where: str) -> OpenHCSError:
    """Return `error` with a note that says its place, e.g. ``pipeline.yaml:12 steps[2].func``."""
    error.add_note(where)
    return error


class ErrorGroup(ExceptionGroup[OpenHCSError]):
    """Every problem of one config, found in one go.

    Its exit code is the lowest of its members': a wrong config comes before bad data.
    """

    def derive(self, excs: Sequence[OpenHCSError]) -> "ErrorGroup":  # type: ignore[override]  # same members
        """Return a group of the same kind over `excs` (see :class:`ExceptionGroup`)."""
        return ErrorGroup(self.message, excs)

    @property
    def exit_code(self) -> int:
        """The lowest exit code of a member."""
        return min(member.exit_code for member in self.members)

    @property
    def members(self) -> list[OpenHCSError]:
        """The errors, in the order found."""
        return [error for error in self.exceptions if isinstance(error, OpenHCSError)]


def group_errors(where: str, errors: Sequence[OpenHCSError]) -> ErrorGroup:
    """Return one :class:`ErrorGroup` that counts `errors`; those that read the same are one."""
    distinct = list({render_error(error): error for error in errors}.values())
    plural = "s" if len(distinct) > 1 else ""
    return ErrorGroup(f"{where}: {len(distinct)} problem{plural}", distinct)


def raise_all(where: str, errors: Sequence[OpenHCSError]) -> None:
    """Raise `errors` as one :class:`ErrorGroup`; do nothing without any."""
    if errors:
        raise group_errors(where, errors)


@contextmanager
def collecting(errors: list[OpenHCSError], where: str | None = None) -> Iterator[None]:
    """Append the errors that the block raises to `errors`, and go on after it.

    Parameters
    ----------
    errors : list of OpenHCSError
        Gets each member of a group.
    where : str, optional
        Place of an error that has none.
    """
    try:
        yield
    except ErrorGroup as group:
        errors += group.members
    except OpenHCSError as error:
        errors.append(error if where is None else located(error, where))


def render_error(error: OpenHCSError | ErrorGroup) -> str:
    """Return an error, or every error of a group, as text for people: place, then message."""
    if isinstance(error, ErrorGroup):
        parts = [render_error(member).removeprefix(_PREFIX) for member in error.members]
        return "\n".join([f"{_PREFIX}{error.message}", *(f"  {part}" for part in parts)])
    places = ", ".join(getattr(error, "__notes__", ()))
    return printable(f"{places}: {error}" if places else f"{_PREFIX}{error}")
