"""Measure what one job of a long-lived process used."""

import resource
import time
from contextlib import suppress
from pathlib import Path

from openhcs_core.workers.messages import Usage

_PROC = Path("/proc/self")
_MB = 2**20
_RESET_PEAK = "5"
"""Written to ``clear_refs``: the peak of resident memory counts from now on."""


class UsageMeter:
    """Counts from when it is made."""

    def __init__(self) -> None:
        _reset_peak()
        self._io = _numbers("io")
        self._cpu_s = _cpu_s()
        self._start_s = time.monotonic()

    def read(self) -> Usage:
        """Return what was used until now."""
        wall_s, cpu_s = time.monotonic() - self._start_s, _cpu_s() - self._cpu_s
        status, shares, io = _numbers("status"), _numbers("smaps_rollup"), _numbers("io")
        private = [shares[key] for key in ("Private_Clean", "Private_Dirty") if key in shares]
        return Usage(
            wall_s=wall_s,
            cpu_s=cpu_s,
            max_rss_mb=_kb_as_mb(status.get("VmHWM")),
            vms_mb=_kb_as_mb(status.get("VmSize")),
            uss_mb=_kb_as_mb(sum(private)) if private else None,
            pss_mb=_kb_as_mb(shares.get("Pss")),
            read_mb=_difference_mb(self._io, io, "read_bytes"),
            written_mb=_difference_mb(self._io, io, "write_bytes"),
        )


def resident_mb() -> float:
    """Return how much memory this process holds now, or held at most where that is unknown."""
    held = _kb_as_mb(_numbers("status").get("VmRSS"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 if held is None else held


def _reset_peak() -> None:
    with suppress(OSError):  # then the peak is that of the process
        (_PROC / "clear_refs").write_text(_RESET_PEAK)


def _cpu_s() -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _numbers(name: str) -> dict[str, int]:
    """Return the numbers of a file of ``/proc/self``; none where there is no such file."""
    try:
        lines = (_PROC / name).read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    words = ((key, value.split()) for key, value in pairs)
    return {key: int(value[0]) for key, value in words if value and value[0].isdecimal()}


def _kb_as_mb(value_kb: int | None) -> float | None:
    return None if value_kb is None else value_kb / 1024


def _difference_mb(before: dict[str, int], after: dict[str, int], key: str) -> float | None:
    if key not in before or key not in after:
        return None
    return (after[key] - before[key]) / _MB
