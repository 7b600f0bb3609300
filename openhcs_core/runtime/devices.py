"""Which GPU a job works on: what its scheduler gave it, or what nobody else here works on.

A job that asks for none sees none. One that asks sees as many as it asked for, so that devices
are numbered from 0 in every library, and each library has to see them before it is used.
"""

import logging
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from openhcs_core.config import GivenGpus, given_gpus, gpus_hidden, gpus_shown, slurm_job
from openhcs_core.constants import MemoryType
from openhcs_core.errors import ConfigError
from openhcs_core.ground.lock import RunLock
from openhcs_core.memory import get_framework

logger = logging.getLogger(__name__)

_CUDA = "CUDA_VISIBLE_DEVICES"
_POLL_S = 0.5
_UUID = re.compile(r"UUID: ((?:GPU|MIG)-[\w/-]+)")
_REMEDY = "ask for none (resources.gpu: 0 in the step, or execution.gpu: none)"


@dataclass(frozen=True)
class JobDevice:
    """The GPUs that a job may use; they are numbered from 0.

    Attributes
    ----------
    who : str
        The step, for messages.
    count : int
        How many it asked for.
    names : tuple of str
        Those it was given; empty where nobody knows, so that its libraries have to look.
    is_needed : bool
        The pipeline says itself that it is to have one: none is an error then.
    """

    who: str = "a job"
    count: int = 0
    names: tuple[str, ...] = ()
    is_needed: bool = False

    def gpu_id(self, memory_type: str) -> int | None:
        """Return the device that arrays of a memory type lie on, None for host memory.

        Raises
        ------
        ConfigError
            The library does not see what the job was given.
        """
        if self.count == 0 or memory_type in (MemoryType.NUMPY, MemoryType.UNKNOWN):
            return None
        return _find_device(self, MemoryType(memory_type))


NO_GPU = JobDevice()
"""Of a job that asks for none."""


@cache  # a library that looks for devices takes its time, and its answer is said once
def _find_device(device: JobDevice, memory_type: MemoryType) -> int | None:
    framework = get_framework(memory_type)
    seen = framework.device_count()
    if seen >= device.count:
        logger.info("device of %s: GPU 0, %s", memory_type, framework.device_name(0))
        return 0
    if seen or device.names or device.is_needed or framework.needs_device:
        given = f" and was given {', '.join(device.names)}" if device.names else ""
        raise ConfigError(
            f"{device.who} asks for {_gpus(device.count)}{given}, but {memory_type} sees "
            f"{_gpus(seen)} here; install its build for GPUs and their driver, or {_REMEDY}"
        )
    logger.info("device of %s: the CPU, because it sees no GPU here", memory_type)
    return None


@contextmanager
def job_device(
    who: str, count: int, *, is_needed: bool, folder: Path | None = None
) -> Iterator[JobDevice]:
    """Let array libraries that the block loads see what a job asked for, and nothing else.

    Parameters
    ----------
    who : str
        The step, for messages.
    count : int
        How many GPUs it asks for.
    is_needed : bool
        See :class:`JobDevice`.
    folder : Path, optional
        Where jobs of this machine note which GPUs they work on.

    Raises
    ------
    ConfigError
        Fewer were given, or are here.
    """
    if count == 0:
        with gpus_hidden():
            logger.info("device: the CPU; no GPU is asked for, and none is seen")
            yield NO_GPU
        return
    given = given_gpus()
    _check_given(who, count, given)
    names = _list_gpus() if given is None else given.names
    variable = _CUDA if given is None else given.variable
    with ExitStack() as stack:
        if given is not None and given.is_taken:  # by the job that started this one
            names = names[:count]
        elif names and (given is None or len(names) > count):
            begun = _begun_with().get(count, names)
            choice = begun if set(begun) <= set(names) else names
            names = stack.enter_context(_claimed(choice, count, who, folder or _folder()))
        stack.enter_context(gpus_shown(variable, names))
        if names:
            _begun_with()[count] = names
            logger.info("device: %s=%s", variable, ",".join(names))
        yield JobDevice(who, count, names, is_needed=is_needed)


class ProcessDevices:
    """The GPUs of a process, chosen when a step first computes, for all that it does.

    A library that has begun to work on one does not see another that is shown later.

    Parameters
    ----------
    until : ExitStack
        Closed when the process has done its work.
    libraries : iterable of MemoryType
        Of all its steps: made ready once it is settled what they see.
    """

    def __init__(self, until: ExitStack, libraries: Iterable[MemoryType] = ()) -> None:
        self._until, self._libraries = until, tuple(libraries)
        self._chosen: dict[int, JobDevice] = {}

    def open(self, who: str, count: int, *, is_needed: bool) -> JobDevice:
        """Return the devices of a step (see :func:`job_device`)."""
        if count not in self._chosen:
            chosen = job_device(who, count, is_needed=is_needed)
            self._chosen[count] = self._until.enter_context(chosen)
            for kind in self._libraries:
                get_framework(kind).prepare()  # before a user module loads another library
        return replace(self._chosen[count], who=who, is_needed=is_needed)


@cache
def _begun_with() -> dict[int, tuple[str, ...]]:
    """Return which GPUs this process has begun to work on, by how many were asked for.

    Its libraries have seen them as 0 and so on, and do not look again: later jobs of a process
    that does several wait for the same ones.
    """
    return {}


def _check_given(who: str, count: int, given: GivenGpus | None) -> None:
    """Refuse to start with fewer GPUs than asked for."""
    if given is not None and len(given.names) < count:
        shown = ",".join(given.names) or "none"
        raise ConfigError(
            f"{who} asks for {_gpus(count)}, but {given.variable} shows it {shown}; "
            f"give it more, or {_REMEDY}"
        )
    if given is None and (job := slurm_job()) is not None:
        raise ConfigError(
            f"{who} asks for {_gpus(count)}, but Slurm job {job} was given none ({_CUDA} is not "
            f"set); submit it with --gpus={count}, which --profile slurm does, or {_REMEDY}"
        )


def _gpus(count: int) -> str:
    return "1 GPU" if count == 1 else f"{count or 'no'} GPUs"


def _list_gpus() -> tuple[str, ...]:
    """Return the UUIDs of the NVIDIA GPUs here; their parts, where they are divided (MIG)."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    run = subprocess.run([program, "-L"], capture_output=True, text=True, check=False)
    return read_gpu_list(run.stdout) if run.returncode == 0 else ()


def read_gpu_list(text: str) -> tuple[str, ...]:
    """Return the UUIDs in what ``nvidia-smi -L`` prints: a GPU that has parts by these alone."""
    names: list[str] = []
    for uuid in _UUID.findall(text):
        if uuid.startswith("MIG-") and names and names[-1].startswith("GPU-"):
            names.pop()
        names.append(uuid)
    return tuple(names)


def _folder() -> Path:
    return Path(tempfile.gettempdir(), f"openhcs-gpus-{os.getuid()}")


@contextmanager
def _claimed(
    candidates: Sequence[str], count: int, who: str, folder: Path
) -> Iterator[tuple[str, ...]]:
    """Give `count` GPUs that no other job here works on; wait until there are.

    Each is a lock that the kernel releases when the job ends, however it ends.
    """
    if len(candidates) < count:
        raise ConfigError(
            f"{who} asks for {_gpus(count)}, but this machine has {_gpus(len(candidates))}; "
            f"{_REMEDY}"
        )
    locks = {name: RunLock(folder / f"{name.replace('/', '_')}.lock") for name in candidates}
    try:
        yield _take(locks, count)
    finally:
        for lock in locks.values():
            lock.close()


def _take(locks: dict[str, RunLock], count: int) -> tuple[str, ...]:
    is_told = False
    while True:
        taken: list[str] = []
        for name, lock in locks.items():
            if len(taken) < count and lock.take():
                taken.append(name)
        if len(taken) == count:
            return tuple(taken)
        for name in taken:  # two jobs that each hold what the other waits for would wait forever
            locks[name].release()
        if not is_told:
            logger.info("waiting for a GPU: other jobs work on %s", ", ".join(locks))
            is_told = True
        time.sleep(_POLL_S)
