"""Versions of what computes: Python, this software and what it requires."""

import platform
import re
from functools import cache
from importlib.metadata import PackageNotFoundError, requires, version

DISTRIBUTION = "openhcs-core"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@cache
def installed_versions() -> dict[str, str]:
    """Return the versions of Python, this software and all that it requires, by name.

    What only extras require is not among them: functions that use it have its version in their
    plans.
    """
    names = {DISTRIBUTION}
    for requirement in requires(DISTRIBUTION) or ():
        found = _NAME.match(requirement)
        if found and "extra ==" not in requirement:
            names.add(found[0])
    versions = {name: _version(name) for name in sorted(names)}
    known = {name: text for name, text in versions.items() if text is not None}
    return {"python": platform.python_version(), **known}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
