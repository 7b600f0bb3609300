"""Lock files, conda environment and container say the same as pyproject.toml."""

import re
import tomllib
from functools import cache
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
EXTRAS = PROJECT["optional-dependencies"]
LOCKS = ["base", *EXTRAS]
CONTAINER = (ROOT / "workflow/envs/openhcs-core.def").read_text()
_ENTRY = re.compile(
    r"^(?P<pin>[A-Za-z0-9].*?)(?: \\)?\n(?P<hashes>(?: {4}--hash=.*\n?)*)", re.MULTILINE
)
_PLATFORMS = {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}


@cache
def _entries(name):
    """Return the pinned requirements of a lock and their hashes, without those of base.txt."""
    text = (ROOT / f"locks/{name}.txt").read_text()
    return {Requirement(found["pin"]): found["hashes"].split() for found in _ENTRY.finditer(text)}


def _asked(requirements):
    """Yield the requirements of a list, those of our own extras in place of their names."""
    for requirement in map(Requirement, requirements):
        if requirement.name == PROJECT["name"]:
            for extra in requirement.extras:
                yield from _asked(EXTRAS[extra])
        else:
            yield requirement


def _environments():
    for python in ("3.11.1", "3.13.0"):
        for platform, system in _PLATFORMS.items():
            yield {
                **default_environment(),
                "python_full_version": python,
                "python_version": python.rpartition(".")[0],
                "sys_platform": platform,
                "platform_system": system,
                "extra": "",
            }


def _locked(pins, environment):
    """Return the version of each package in an environment; two for one would be a mistake."""
    found = {}
    for pin in pins:
        if pin.marker is None or pin.marker.evaluate(environment):
            (specifier,) = pin.specifier
            name = canonicalize_name(pin.name)
            assert name not in found, f"{name} twice"
            found[name] = Version(specifier.version)
    return found


def test_there_is_a_lock_for_every_extra_and_no_other():
    assert sorted(path.stem for path in (ROOT / "locks").glob("*.txt")) == sorted(LOCKS)


@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_has_one_version_in_every_environment_that_satisfies_it(name):
    pins = {**_entries("base"), **_entries(name)}
    asked = list(_asked([*PROJECT["dependencies"], *EXTRAS.get(name, [])]))
    for environment in _environments():
        locked = _locked(pins, environment)
        for requirement in asked:
            if requirement.marker is None or requirement.marker.evaluate(environment):
                version = locked.get(canonicalize_name(requirement.name))
                assert version is not None, f"{requirement} is not in locks: make lock"
                assert version in requirement.specifier, f"{requirement}: {version}: make lock"


@pytest.mark.parametrize("name", LOCKS)
def test_what_a_lock_installs_is_told_by_hashes_and_by_no_place(name):
    text = (ROOT / f"locks/{name}.txt").read_text()
    assert "://" not in text
    assert "index" not in text
    assert ("\n-r base.txt\n" in text) == (name != "base")
    for pin, hashes in _entries(name).items():
        assert hashes, f"{pin} has no hash"
        assert all(one == "\\" or one.startswith("--hash=sha256:") for one in hashes)


def test_a_package_has_one_version_in_all_locks():
    for environment in _environments():
        found = {}
        for name in LOCKS:
            for package, version in _locked(_entries(name), environment).items():
                assert found.setdefault(package, version) == version, f"{package} in {name}.txt"


def test_the_container_has_what_the_wheel_is_built_of_and_installs_the_lock():
    files = dict(
        line.split()
        for line in CONTAINER.split("%files")[1].split("%post")[0].split("\n")
        if line.strip()
    )
    assert all(target == f"/opt/openhcs-core/{source}" for source, target in files.items())
    wheel = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {"pyproject.toml", "locks", PROJECT["readme"], *PROJECT["license-files"]}
    assert needed | {*wheel["packages"], *wheel["force-include"]} == set(files)
    assert all((ROOT / source).exists() for source in files)
    commands = CONTAINER.split("%post")[1].split("%labels")[0]
    assert (
        "pip install --no-cache-dir --require-hashes -r /opt/openhcs-core/locks/base.txt"
        in commands
    )
    assert "pip install --no-cache-dir --no-deps /opt/openhcs-core" in commands
    assert f"org.opencontainers.image.version {PROJECT['version']}\n" in CONTAINER
    oldest = PROJECT["requires-python"].removeprefix(">=").rpartition(".")[0]
    assert f"\nFrom: python:{oldest}-" in CONTAINER
