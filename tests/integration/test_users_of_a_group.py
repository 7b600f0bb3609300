"""Two users of one group, one cache, and plates that neither may write to."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from openhcs_core.testing.plates import write_imagexpress_plate

ROOT = Path(__file__).parents[2]
GROUP, USERS = 61000, (61001, 61002)
PIPELINE = """\
steps:
  - {name: clean, func: {skimage:filters.gaussian: {sigma: 1}}}
  - {name: count, func: {openhcs:count_cells_single_channel: {min_area: 5}}}
"""
# a Python below a home that others may not enter is shown to them in a namespace of their own
AS_USER = """
umask "$UMASK"
if ! setpriv --reuid "$USER_ID" --clear-groups test -x "$BASE/bin" 2>/dev/null; then
    top=/$(echo "$BASE" | cut -d/ -f2)
    mkdir -p "$HOME/python" && mount --bind "$BASE" "$HOME/python"
    mount -t tmpfs -o mode=755 tmpfs "$top" && mkdir -p "$BASE"
    mount --bind "$HOME/python" "$BASE"
fi
cd "$HOME" && exec setpriv --reuid "$USER_ID" --regid "$GROUP_ID" --clear-groups "$@"
"""

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("unshare") is None or shutil.which("setpriv") is None,
        reason="needs root, unshare and setpriv to be several users",
    ),
]


@pytest.fixture
def place():
    """A folder that everybody may enter, with a plate, a cache of the group and two projects."""
    folder = Path(tempfile.mkdtemp(prefix="openhcs-users-"))
    folder.chmod(0o755)
    write_imagexpress_plate(folder / "plate", [1])
    for path in (folder / "plate", *(folder / "plate").rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    for user in USERS:
        _make_project(folder, user)
    yield folder
    shutil.rmtree(folder)


def _make_project(folder, user):
    home = folder / f"user {user}"
    (home / "config").mkdir(parents=True)
    (home / "config/config.yaml").write_text(
        f"plates: {{p: {{path: {folder}/plate}}}}\nstorage: {{cache_dir: {folder}/cache}}\n"
    )
    (home / "config/pipeline.yaml").write_text(PIPELINE)
    for path in (home, *home.rglob("*")):
        os.chown(path, user, user)


def _make_cache(folder):
    cache = folder / "cache"
    cache.mkdir()
    os.chown(cache, 0, GROUP)
    cache.chmod(0o2775)
    return cache


def _run(folder, user, umask):
    home = folder / f"user {user}"
    command = [sys.executable, "-B", "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    environment = {
        **os.environ,
        "BASE": sys.base_prefix,
        "HOME": str(home),
        "TMPDIR": str(home),
        "USER": f"user{user}",
        "LOGNAME": f"user{user}",
        "USER_ID": str(user),
        "GROUP_ID": str(GROUP),
        "UMASK": umask,
    }
    run = subprocess.run(
        ["unshare", "--mount", "sh", "-ec", AS_USER, "sh", *command, "--cores", "2"],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        check=False,
    )
    if "unshare failed" in run.stderr or "mount:" in run.stderr:
        pytest.skip("no namespace of mounts can be made here")
    return run


def _tree(folder):
    return {path: path.stat().st_mtime_ns for path in (folder, *folder.rglob("*"))}


def _logs(folder, user):
    logs = (folder / f"user {user}/results/p/logs").rglob("*.log")
    return [path.read_text() for path in logs if path.parent.name != "store"]


def test_what_one_computed_the_other_takes_and_nothing_is_written_into_the_plate(place):
    cache, before = _make_cache(place), _tree(place / "plate")
    first = _run(place, USERS[0], "002")
    assert first.returncode == 0, first.stdout + first.stderr
    second = _run(place, USERS[1], "002")
    assert second.returncode == 0, second.stdout + second.stderr
    assert sum("taken from the cache" in text for text in _logs(place, USERS[1])) == 2
    assert _tree(place / "plate") == before

    folders = [path for path in (cache, *cache.rglob("*")) if path.is_dir()]
    files = [path for path in cache.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o2775}
    objects = [path for path in files if path.suffix != ".json"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in objects} == {0o444}
    assert {path.stat().st_gid for path in (*folders, *files)} == {GROUP}

    # and it adds what it computes itself
    pipeline = place / f"user {USERS[1]}/config/pipeline.yaml"
    pipeline.write_text(PIPELINE.replace("sigma: 1", "sigma: 2"))
    changed = _run(place, USERS[1], "002")
    assert changed.returncode == 0, changed.stdout + changed.stderr
    assert {path.stat().st_uid for path in cache.rglob("*.npy")} == set(USERS)


def test_with_a_umask_that_keeps_the_group_out_it_is_read_and_who_cannot_write_is_told(place):
    _make_cache(place)
    assert _run(place, USERS[0], "022").returncode == 0
    second = _run(place, USERS[1], "022")
    assert second.returncode == 0, second.stdout + second.stderr
    pipeline = place / f"user {USERS[1]}/config/pipeline.yaml"
    pipeline.write_text(PIPELINE.replace("sigma: 1", "sigma: 2"))
    changed = _run(place, USERS[1], "022")
    assert changed.returncode != 0
    assert f"{place}/cache/" in changed.stderr
    assert "cannot be written: Permission denied; check owner and permissions" in changed.stderr
