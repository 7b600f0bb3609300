"""A job finds a worker as the first one found it: what Python lets a job change is put back.

What a library does not let put back, such as a default type that a function has set, is compared
instead: a worker in which it changed does no other job.
"""

import gc
import locale
import logging
import os
import random
import signal
import socket
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from openhcs_core.registry import forget_modules
from openhcs_core.storage import READER_THREADS

_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM)
"""SIGINT is the worker's own: see ``process``."""


class Surroundings:
    """The state of this process that jobs may change: read when it is made.

    Numbers of random generators are not put back but drawn anew, as in a new process. What
    libraries add when they are imported stays, as they do: hooks of the import system, handlers
    of their own loggers, threads that end with the process.
    """

    def __init__(self) -> None:
        self._path = list(sys.path)
        self._streams = sys.stdin, sys.stdout, sys.stderr
        self._hooks = sys.excepthook, sys.displayhook, threading.excepthook
        self._warnings = list(warnings.filters), warnings.showwarning
        self._umask = _umask()
        self._signals = {number: signal.getsignal(number) for number in _SIGNALS}
        self._limits = sys.getrecursionlimit(), sys.getswitchinterval()
        self._collector = gc.isenabled(), gc.get_threshold()
        self._locale = locale.setlocale(locale.LC_ALL)
        self._timeout = socket.getdefaulttimeout()
        self._loggers = {logger: _state_of(logger) for logger in _loggers()}
        self._numpy = _read_numpy()

    def restore(self) -> None:
        """Put it back, and close what jobs have left open."""
        forget_modules()
        sys.path[:] = self._path
        sys.stdin, sys.stdout, sys.stderr = self._streams
        sys.excepthook, sys.displayhook, threading.excepthook = self._hooks
        _restore_warnings(*self._warnings)
        os.umask(self._umask)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._signals.items():
            signal.signal(number, handler)
        sys.setrecursionlimit(self._limits[0])
        sys.setswitchinterval(self._limits[1])
        (gc.enable if self._collector[0] else gc.disable)()
        gc.set_threshold(*self._collector[1])
        locale.setlocale(locale.LC_ALL, self._locale)
        socket.setdefaulttimeout(self._timeout)
        sys.settrace(None)
        sys.setprofile(None)
        for logger, state in self._loggers.items():
            _restore_logger(logger, state)
        logging.disable(logging.NOTSET)
        random.seed()
        _restore_numpy(*self._numpy)


def threads_left() -> list[str]:
    """Return the names of threads that a job has started and that a process would wait for.

    Those that read images stay on purpose.
    """
    main = threading.main_thread()
    others = (thread for thread in threading.enumerate() if thread is not main)
    return sorted(
        thread.name
        for thread in others
        if not thread.daemon and not thread.name.startswith(READER_THREADS)
    )


def enter(folder: str, environment: Mapping[str, str]) -> None:
    """Set working directory and environment, and forget what Python has read from them."""
    os.chdir(folder)
    if dict(os.environ) != environment:
        os.environ.clear()
        os.environ.update(environment)
    tempfile.tempdir = None


def read_settings(frameworks: tuple[str, ...]) -> dict[str, object]:
    """Return the settings of loaded array libraries that change what functions give."""
    readers = {name: _SETTINGS[name] for name in frameworks if name in _SETTINGS}
    return {name: read(sys.modules[name]) for name, read in readers.items() if name in sys.modules}


def _read_torch(torch: Any) -> object:
    backends = torch.backends
    return (
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_grad_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        torch.get_float32_matmul_precision(),
        backends.cudnn.benchmark,
        backends.cudnn.deterministic,
        backends.cudnn.enabled,
    )


def _read_jax(jax: Any) -> object:
    return sorted((key, repr(value)) for key, value in jax.config.values.items())


def _read_tensorflow(tensorflow: Any) -> object:
    config = tensorflow.config
    return (
        config.functions_run_eagerly(),
        config.get_soft_device_placement(),
        config.experimental.tensor_float_32_execution_enabled(),
        config.threading.get_intra_op_parallelism_threads(),
    )


def _read_pyclesperanto(pyclesperanto: Any) -> object:
    return str(pyclesperanto.get_device())


_SETTINGS: dict[str, Callable[[Any], object]] = {
    "torch": _read_torch,
    "jax": _read_jax,
    "tensorflow": _read_tensorflow,
    "pyclesperanto": _read_pyclesperanto,
}


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value


_LoggerState = tuple[int, bool, bool, list[logging.Handler]]


def _loggers() -> tuple[logging.Logger, logging.Logger]:
    return logging.root, logging.getLogger("openhcs_core")


def _state_of(logger: logging.Logger) -> _LoggerState:
    return logger.level, logger.propagate, logger.disabled, list(logger.handlers)


def _restore_logger(logger: logging.Logger, state: _LoggerState) -> None:
    """Put a logger back and close the handlers that it was given since: of files, say."""
    for handler in [handler for handler in logger.handlers if handler not in state[3]]:
        logger.removeHandler(handler)
        handler.close()
    logger.setLevel(state[0])
    logger.propagate, logger.disabled, logger.handlers[:] = state[1:]


def _restore_warnings(filters: list[Any], show: Any) -> None:
    if warnings.filters != filters:
        warnings.resetwarnings()  # makes Python forget what it decided by the old ones
        list.extend(warnings.filters, filters)  # type: ignore[arg-type]  # typed as a sequence
    warnings.showwarning = show


def _read_numpy() -> tuple[Any, Any]:
    import numpy as np

    return np.geterr(), np.get_printoptions()


def _restore_numpy(errors: Any, printing: Any) -> None:
    import numpy as np

    np.seterr(**errors)
    np.seterrcall(None)
    np.set_printoptions(**printing)
    np.random.seed()
