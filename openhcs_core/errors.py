"""The error tree: each error is also the builtin it stands for, and knows its exit code.

A message says what was given, what was expected and how to mend it. Notes
(``add_note``) carry where: file, line and key path.
"""

from collections.abc import Sequence

EXIT_DONE = 0
EXIT_DEFECT = 1
EXIT_CONFIG = 2
EXIT_DATA = 3
EXIT_FUNCTION = 4
EXIT_MEMORY = 5


class OpenHCSError(Exception):
    """Base of every error that is not a defect of this software."""

    exit_code = EXIT_DEFECT


class ConfigError(OpenHCSError, ValueError):
    """A config, pipeline or command line that cannot be used."""

    exit_code = EXIT_CONFIG


class CompileError(ConfigError):
    """A pipeline that does not fit together or does not fit its plate."""


class PlanChangedError(ConfigError):
    """A job was started for a plan that has since been replaced."""


class RunLockedError(ConfigError):
    """Another run works on the same results folder and this config would change its plan."""


class StorageResolutionError(OpenHCSError, LookupError):
    """No such backend, or a backend that cannot do what was asked of it."""

    exit_code = EXIT_CONFIG


class InputDataError(OpenHCSError, ValueError):
    """An image or a metadata file that is missing, unreadable or not what it claims to be."""

    exit_code = EXIT_DATA


class StepFunctionError(OpenHCSError, RuntimeError):
    """The step's own function raised, or returned something that is not an image stack."""

    exit_code = EXIT_FUNCTION


class OutOfMemoryError(OpenHCSError, MemoryError):
    """Memory ran out after every recovery the config asked for."""

    exit_code = EXIT_MEMORY


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


def located(error: OpenHCSError, where: str) -> OpenHCSError:
    """Return `error` with a note that says its place, e.g. ``pipeline.yaml:12 steps[2].func``."""
    error.add_note(where)
    return error


class ErrorGroup(ExceptionGroup[OpenHCSError]):
    """Every problem of one config, found in one go.

    Its exit code is the one of its first member.
    """

    def derive(self, excs: Sequence[OpenHCSError]) -> "ErrorGroup":  # type: ignore[override]  # same members
        """Return a group of the same kind over `excs` (see :class:`ExceptionGroup`)."""
        return ErrorGroup(self.message, excs)

    @property
    def exit_code(self) -> int:
        """Exit code of the first member."""
        return self.exceptions[0].exit_code  # type: ignore[union-attr]  # members are leaves


def raise_all(where: str, errors: Sequence[OpenHCSError]) -> None:
    """Raise `errors` as one :class:`ErrorGroup` that counts them; do nothing without any."""
    if errors:
        plural = "s" if len(errors) > 1 else ""
        raise ErrorGroup(f"{where}: {len(errors)} problem{plural}", errors)


def render_error(error: OpenHCSError | ErrorGroup) -> str:
    """Return an error, or every error of a group, as text for people: place, then message."""
    if isinstance(error, ErrorGroup):
        parts = [render_error(member) for member in error.exceptions]  # type: ignore[arg-type]
        return "\n".join([f"error: {error.message}", *(f"  {part}" for part in parts)])
    places = ", ".join(getattr(error, "__notes__", ()))
    return f"{places}: {error}" if places else f"error: {error}"
