"""Environment variables: all that are read or set, each described in config/README.md."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from openhcs_core.errors import ConfigError

RUN_VARIABLE = "OPENHCS_RUN"
"""Set by a run for its jobs: which run they are of. They outlive it when it is killed."""
NO_GPU_VARIABLE = "OPENHCS_SUBPROCESS_NO_GPU"
"""``1`` leaves the storage backends disk and memory only."""
GPU_VARIABLE = "CUDA_VISIBLE_DEVICES"
"""The devices that a process sees: set by schedulers, and for workers that have one each."""
GIVEN_GPUS_VARIABLE = "OPENHCS_GIVEN_GPUS"
"""Set by a job for the jobs it starts: what its own variable for GPUs was before it changed it."""
LIFELINE_VARIABLE = "OPENHCS_LIFELINE"
"""Set for runs that a command of ours starts: what they listen to, so that they end with it."""
PILOT_VARIABLE = "OPENHCS_PILOT_STARTED"
"""Set by a pilot's job script: when it began, in seconds since 1970 by the clock of its node."""

GPU_VARIABLES = (GPU_VARIABLE, "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
_NOBODY_SAID = "unset"
_HIDDEN = "-1"
_TAKEN = "taken:"


def is_without_gpu_backends() -> bool:
    """Return whether ``OPENHCS_SUBPROCESS_NO_GPU`` leaves disk and memory only.

    Raises
    ------
    ConfigError
        It has another value than ``1``, ``0`` or nothing.
    """
    value = os.environ.get(NO_GPU_VARIABLE, "")
    if value not in {"", "0", "1"}:
        raise ConfigError(f"{NO_GPU_VARIABLE}: expected 1 or 0, found {value!r}")
    return value == "1"


def run_of_this_job() -> str | None:
    """Return the run that started this process, None when it was started by hand."""
    return os.environ.get(RUN_VARIABLE) or None


def leave_out_model_plugins() -> None:
    """Let pydantic look for no plugins, for which it reads what every installed library declares.

    Who wants them in jobs sets ``PYDANTIC_DISABLE_PLUGINS`` to nothing.
    """
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def take_lifeline() -> int | None:
    """Return the file descriptor that this process is to listen to, once: its jobs have none."""
    value = os.environ.pop(LIFELINE_VARIABLE, "")
    return int(value) if value.isdecimal() else None


class GivenGpus(NamedTuple):
    """What a scheduler, a person or the job that started this one lets this process see.

    Attributes
    ----------
    variable : str
        Which environment variable says so.
    names : tuple of str
        Numbers or UUIDs; none where all are hidden.
    is_taken : bool
        The job that started this one works on them, and waits for this one.
    """

    variable: str
    names: tuple[str, ...]
    is_taken: bool = False


def given_gpus() -> GivenGpus | None:
    """Return the GPUs that this process was given, None when nobody said."""
    before = os.environ.get(GIVEN_GPUS_VARIABLE)
    if before == _NOBODY_SAID:
        return None
    if before is not None:
        variable, value = before.removeprefix(_TAKEN).split("=", 1)
        return GivenGpus(variable, _names(value), is_taken=before.startswith(_TAKEN))
    for variable in GPU_VARIABLES:
        if variable in os.environ:
            return GivenGpus(variable, _names(os.environ[variable]))
    return None


def _names(value: str) -> tuple[str, ...]:
    """Return the devices of a list as CUDA reads it: up to the first that cannot be one."""
    names = []
    for name in (part.strip() for part in value.split(",")):
        if not name or name.startswith("-") or name == "NoDevFiles":
            break
        names.append(name)
    return tuple(names)


def pilot_started() -> float | None:
    """Return when the pilot that this process is began, None where nobody said."""
    value = os.environ.get(PILOT_VARIABLE, "")
    return float(value) if value.isdecimal() else None


def slurm_job() -> str | None:
    """Return the number of the Slurm job that this process is in."""
    return os.environ.get("SLURM_JOB_ID") or None


@contextmanager
def gpus_hidden() -> Iterator[None]:
    """Let array libraries that are loaded in the block, and its children, see no GPU."""
    given = given_gpus()
    said = _NOBODY_SAID if given is None else f"{given.variable}={','.join(given.names)}"
    hidden = dict.fromkeys(GPU_VARIABLES, _HIDDEN)
    with _changed({**hidden, "JAX_PLATFORMS": "cpu", GIVEN_GPUS_VARIABLE: said}):
        yield


@contextmanager
def gpus_shown(variable: str, names: Sequence[str]) -> Iterator[None]:
    """Let array libraries that are loaded in the block see some GPUs, and share their memory.

    tensorflow and jax would take all of it at once, unless the environment says otherwise.

    Parameters
    ----------
    variable : str
        The one that says which (:class:`GivenGpus`).
    names : sequence of str
        None leaves them to see what there is.
    """
    settings = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    values: dict[str, str | None] = {
        name: os.environ.get(name, value) for name, value in settings.items()
    }
    if os.environ.get(GIVEN_GPUS_VARIABLE) is not None:  # hidden by the job that started this one
        values |= {name: None for name in GPU_VARIABLES if os.environ.get(name) == _HIDDEN} | {
            "JAX_PLATFORMS": None
        }
    if names:
        shown = ",".join(names)
        values |= {variable: shown, GIVEN_GPUS_VARIABLE: f"{_TAKEN}{variable}={shown}"}
    with _changed(values):
        yield


@contextmanager
def _changed(values: Mapping[str, str | None]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    _put(values)
    try:
        yield
    finally:
        _put(before)


def _put(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
