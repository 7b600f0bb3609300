"""Moving and mirroring on disk: links are made, replaced and moved, what they lead to never."""

import os
import subprocess
from pathlib import Path

import pytest

from openhcs_core.errors import DiskFullError, InputDataError, StorageResolutionError
from openhcs_core.storage import FileManager, get_backend_instance

OTHER_DISK = Path("/dev/shm")


@pytest.fixture
def files():
    return FileManager({"disk": get_backend_instance("disk")})


@pytest.fixture
def plate(tmp_path):
    """A folder with files in folders, one of them only linked from elsewhere."""
    for name in ("plate/a.txt", "plate/sub/b.txt", "plate/.hidden", "elsewhere/c.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "plate/c.txt").symlink_to("../elsewhere/c.txt")
    (tmp_path / "plate/linked").symlink_to(tmp_path / "elsewhere")
    return tmp_path / "plate"


def _tree(folder):
    """Return every entry below a folder: a file's text, or an arrow and what a link says."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            found[str(path.relative_to(folder))] = f"-> {path.readlink()}"
        elif path.is_file():
            found[str(path.relative_to(folder))] = path.read_text()
    return found


def _mirror(files, source, target, **options):
    return files.mirror_directory(source, target, "disk", **options)


def test_a_mirror_has_folders_and_links_that_lead_to_the_files_themselves(files, plate, tmp_path):
    before = _tree(plate)
    assert _mirror(files, plate, tmp_path / "mirror") == 4
    real = tmp_path.resolve()
    assert _tree(tmp_path / "mirror") == {
        "a.txt": f"-> {real}/plate/a.txt",
        "c.txt": f"-> {real}/elsewhere/c.txt",
        "linked": f"-> {real}/elsewhere",
        "sub/b.txt": f"-> {real}/plate/sub/b.txt",
    }
    assert files.load(tmp_path / "mirror/sub/b.txt", "disk") == "plate/sub/b.txt"
    assert _mirror(files, tmp_path / "mirror", tmp_path / "again") == 4
    assert _tree(tmp_path / "again") == _tree(tmp_path / "mirror")
    assert _tree(plate) == before


def test_saving_and_deleting_in_a_mirror_leave_the_plate_alone(files, plate, tmp_path):
    before = _tree(plate)
    _mirror(files, plate, tmp_path / "mirror")
    files.save("new", tmp_path / "mirror/a.txt", "disk")
    files.save_batch(["new"], [tmp_path / "mirror/c.txt"], "disk")
    files.delete(tmp_path / "mirror/sub/b.txt", "disk")
    files.delete(tmp_path / "mirror/linked", "disk")
    assert _tree(plate) == before
    assert _tree(tmp_path / "mirror") == {"a.txt": "new", "c.txt": "new"}
    assert (tmp_path / "elsewhere/c.txt").read_text() == "elsewhere/c.txt"


def test_links_give_way_files_only_when_asked(files, plate, tmp_path):
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "a.txt").symlink_to("/nowhere")
    (mirror / "sub").symlink_to(plate / "sub")  # a mirror in it would write into the plate
    (mirror / "c.txt").write_text("mine")
    with pytest.raises(StorageResolutionError, match=r"mirror/c\.txt: .*overwrite_symlinks_only=F"):
        _mirror(files, plate, mirror)
    assert (mirror / "a.txt").readlink() == Path("/nowhere")  # nothing was made
    assert _mirror(files, plate, mirror, overwrite_symlinks_only=False) == 4
    assert (mirror / "sub").is_dir()
    assert not (mirror / "sub").is_symlink()
    assert (plate / "sub/b.txt").read_text() == "plate/sub/b.txt"
    assert (mirror / "c.txt").readlink() == (tmp_path / "elsewhere/c.txt").resolve()


def test_a_mirror_of_a_mirror_keeps_what_else_is_there(files, plate, tmp_path):
    _mirror(files, plate, tmp_path / "mirror")
    (tmp_path / "mirror/notes.txt").write_text("mine")
    (plate / "d.txt").write_text("new")
    assert _mirror(files, plate, tmp_path / "mirror") == 5
    assert (tmp_path / "mirror/notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("plate", "plate", "inside the other"),
        ("plate", "plate/sub/deep", "inside the other"),
        ("plate/sub", "plate", "inside the other"),
        ("plate", "door/mirror", "inside the other"),
        ("plate", "blocked", r"blocked/a\.txt: is a folder where the mirror has a file"),
        ("plate", "filled", "filled/sub: is a file where the mirror has a folder"),
        ("plate", "elsewhere/c.txt", r"c\.txt: cannot be written"),
    ],
)
def test_what_is_in_the_way_is_named_before_anything_is_made(
    files, plate, tmp_path, source, target, message
):
    (tmp_path / "door").symlink_to(plate)
    (tmp_path / "blocked/a.txt").mkdir(parents=True)
    (tmp_path / "filled").mkdir()
    (tmp_path / "filled/sub").write_text("")
    before = _tree(tmp_path)
    with pytest.raises(StorageResolutionError, match=message):
        _mirror(files, tmp_path / source, tmp_path / target)
    assert _tree(tmp_path) == before


def test_links_that_lead_nowhere_are_named(files, plate, tmp_path):
    for lost, target in (("x.txt", "gone"), ("loop", "loop")):
        (plate / lost).symlink_to(target)
        with pytest.raises(InputDataError, match=rf"plate/{lost}: is a link that leads nowhere"):
            _mirror(files, plate, tmp_path / "mirror")
        assert not files.exists(plate / lost, "disk")
        assert files.list_image_files(plate, "disk", [lost]) == []
        assert lost in files.list_dir(plate, "disk")
        with pytest.raises(InputDataError, match=lost):
            files.load(plate / lost, "disk", raw=True)
        files.delete(plate / lost, "disk")
    with pytest.raises(InputDataError, match="no such folder"):
        _mirror(files, plate / "a.txt", tmp_path / "mirror")


def test_a_link_is_moved_and_still_leads_to_the_same(files, plate, tmp_path):
    files.move(plate / "c.txt", tmp_path / "deep/er/c.txt", "disk")
    assert not (plate / "c.txt").is_symlink()
    assert (tmp_path / "deep/er/c.txt").is_symlink()
    assert (tmp_path / "deep/er/c.txt").read_text() == "elsewhere/c.txt"
    files.move(plate / "linked", tmp_path / "l", "disk")
    assert (tmp_path / "l").is_symlink()
    assert (tmp_path / "elsewhere/c.txt").is_file()


@pytest.mark.parametrize("source", ["a.txt", "sub", "c.txt", "linked"])
def test_a_link_gives_way_when_asked_and_its_target_stays(files, plate, tmp_path, source):
    for name, target in (("to_file", "elsewhere/c.txt"), ("to_folder", "elsewhere")):
        link = tmp_path / name
        link.symlink_to(tmp_path / target)
        with pytest.raises(StorageResolutionError, match="replace_symlinks=True replaces it"):
            files.move(plate / source, link, "disk")
        assert link.is_symlink()
    before = (plate / source).resolve()
    files.move(plate / source, tmp_path / "to_file", "disk", replace_symlinks=True)
    files.move(tmp_path / "to_file", tmp_path / "to_folder", "disk", replace_symlinks=True)
    assert (tmp_path / "to_folder").is_symlink() == (source in {"c.txt", "linked"})
    assert (tmp_path / "to_folder").resolve() in (before, tmp_path.resolve() / "to_folder")
    assert (tmp_path / "elsewhere/c.txt").read_text() == "elsewhere/c.txt"
    assert not list(tmp_path.glob(".tmp-*"))


def test_nothing_but_a_link_is_ever_replaced(files, plate, tmp_path):
    before = _tree(tmp_path)
    for source, target, message in (
        ("plate/a.txt", "elsewhere/c.txt", "there is something of this name"),
        ("plate/a.txt", "plate/sub", "there is something of this name"),
        ("plate/sub", "elsewhere", "there is something of this name"),
        ("plate/a.txt", "plate/a.txt", "there is something of this name"),
        ("plate/c.txt", "plate/c.txt", "there is something of this name"),
        ("plate", "plate/sub/deep/er", "lies inside"),
        ("plate/a.txt", "elsewhere/c.txt/x", "c.txt is a file, not a folder"),
    ):
        with pytest.raises(StorageResolutionError, match=message):
            files.move(tmp_path / source, tmp_path / target, "disk", replace_symlinks=True)
    with pytest.raises(InputDataError, match="nothing is there to move"):
        files.move(tmp_path / "nowhere", tmp_path / "x", "disk")
    assert _tree(tmp_path) == before


@pytest.fixture
def other_disk(tmp_path):
    if not OTHER_DISK.is_dir() or OTHER_DISK.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip(f"needs {OTHER_DISK} on another disk")
    done = subprocess.run(
        ["mktemp", "-d", "-p", OTHER_DISK], capture_output=True, text=True, check=True
    )
    folder = Path(done.stdout.strip())
    yield folder
    subprocess.run(["rm", "-r", folder], check=True)


def test_moving_to_another_disk_is_whole_too(files, plate, tmp_path, other_disk):
    (plate / "inside").symlink_to("sub/b.txt")
    before = _tree(plate)
    modified = (plate / "a.txt").stat().st_mtime
    files.move(plate, other_disk / "plate", "disk")
    assert not plate.exists()
    assert _tree(other_disk / "plate") == before
    assert (other_disk / "plate/a.txt").stat().st_mtime == modified
    files.move(other_disk / "plate/a.txt", tmp_path / "a.txt", "disk")
    assert (tmp_path / "a.txt").read_text() == "plate/a.txt"
    assert not (other_disk / "plate/a.txt").exists()
    assert not list(other_disk.glob(".tmp-*"))


def test_moving_to_a_disk_without_room_leaves_all_as_it_was(files, tmp_path, small_disk):
    (tmp_path / "plate").mkdir()
    for name in ("a", "b"):
        (tmp_path / "plate" / name).write_bytes(os.urandom(700_000))
    with pytest.raises(DiskFullError, match=r"target: No space left"):
        files.move(tmp_path / "plate", small_disk / "target", "disk")
    assert len(list((tmp_path / "plate").iterdir())) == 2
    assert list(small_disk.iterdir()) == []
