"""Environment variables: all that are read, each described in config/README.md."""

import os

from openhcs_core.errors import ConfigError

RUN_VARIABLE = "OPENHCS_RUN"
"""Set by a run for its jobs: which run they are of. They outlive it when it is killed."""
NO_GPU_VARIABLE = "OPENHCS_SUBPROCESS_NO_GPU"
"""``1`` leaves the storage backends disk and memory only."""
GPU_VARIABLE = "CUDA_VISIBLE_DEVICES"
"""The devices that a process sees: set by schedulers, and for workers that have one each."""


def visible_gpus() -> str | None:
    """Return the devices that a scheduler left this process, None where nothing is said."""
    return os.environ.get(GPU_VARIABLE)


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
