"""The short way of a job whose equal was done before: its result is put back, and nothing loaded.

A job that takes its result from the cache would spend nearly all its time on importing what it
does not need. So whoever carries a job out the ordinary way (the runtime) leaves a *shortcut*
beside its record in the cache, with digests of the exact bytes that decided the result. Where
all of them are the same again, the result is; where anything is not certain, the answer is no, and
the job goes the ordinary way, which says what is wrong when something is. Standard library alone.
"""

from openhcs_core.put_back.plate_files import MOST_BYTES, STORE_TARGET, MadeFiles, write_made_files
from openhcs_core.put_back.putting import put_back
from openhcs_core.put_back.shortcuts import SHORTCUT, Shortcut, check_shortcut, write_shortcut

__all__ = [
    "MOST_BYTES",
    "SHORTCUT",
    "STORE_TARGET",
    "MadeFiles",
    "Shortcut",
    "check_shortcut",
    "put_back",
    "write_made_files",
    "write_shortcut",
]
