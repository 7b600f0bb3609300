"""A kept index is what indexing anew would give, and is not taken for any other plate's."""

import shutil
import threading
import time
from pathlib import Path

import pytest

import openhcs_core
from openhcs_core.config import GenericConfig, PlateConfig
from openhcs_core.errors import InputDataError
from openhcs_core.microscopes import get_handler
from openhcs_core.plan import digest_bytes
from openhcs_core.planes import PlaneKey
from openhcs_core.session import RunSession
from openhcs_core.session.files import changed_files
from openhcs_core.session.kept_indices import index_plate, keep_index, kept_index_path
from openhcs_core.session.run_session import compile_workflow

DEMO = Path(__file__).parents[3] / "data/demo/9987_Plate_3434"
HARMONY = Path(__file__).parents[2] / "data/phenix/BR00121482"
NEW = "P_H12_s1_w1.TIF"
DIGESTS = {"index/B02.json": "0" * 32}


@pytest.fixture
def plate(tmp_path):
    folder = shutil.copytree(DEMO, tmp_path / "plate")
    _age()
    return folder


@pytest.fixture
def results(tmp_path):
    return tmp_path / "results"


def _age():
    """Let the clock of the file system go on: it has a few milliseconds."""
    time.sleep(0.02)


def _index(folder, results, **settings):
    return index_plate("p", PlateConfig(path=str(folder), **settings), results, settled_s=0)


def _keep(folder, results, **settings):
    found = _index(folder, results, **settings)
    keep_index("p", PlateConfig(path=str(folder), **settings), results, found, DIGESTS)
    return found.index


def _fresh(folder, microscope="auto"):
    return get_handler(microscope, folder).index(folder)


def _image(folder, place=1):
    return sorted(path for path in folder.rglob("*.TIF") if "thumb" not in path.name)[place]


def test_an_unchanged_plate_is_read_from_what_was_kept(plate, results):
    _keep(plate, results)
    again = _index(plate, results)
    assert again.digests == DIGESTS
    assert again.index == _fresh(plate)
    assert list(again.index.images) == list(_fresh(plate).images)
    assert again.index.images[3:5] == _fresh(plate).images[3:5]
    assert hash(again.index.images) == hash(_fresh(plate).images)


def test_where_and_when_planes_were_taken_is_kept(tmp_path, results):
    folder = shutil.copytree(HARMONY, tmp_path / "plate")
    _age()
    first = _keep(folder, results)
    again = _index(folder, results)
    assert again.digests == DIGESTS
    assert again.index == first
    assert list(again.index.acquisitions.items()) == list(first.acquisitions.items())
    assert len(first.acquisitions) == 6


def _overwrite(folder):
    """Other pixels of the same size."""
    path = _image(folder)
    raw = path.read_bytes()
    path.write_bytes(raw[:-2] + bytes([raw[-2] ^ 1, raw[-1]]))


def _swap(folder):
    first, second = _image(folder, 1), _image(folder, 2)
    first.rename(folder / "x")
    second.rename(first)
    (folder / "x").rename(second)


def _edit_htd(folder):
    """The same number of bytes, at the same time."""
    path = next(folder.rglob("*.HTD"))
    status, raw = path.stat(), path.read_bytes()
    assert b"DAPI" in raw
    path.write_bytes(raw.replace(b"DAPI", b"DEPI"))
    shutil.os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


CHANGES = {
    "nothing": lambda folder: None,
    "overwritten": _overwrite,
    "touched": lambda folder: _image(folder).touch(),
    "removed": lambda folder: _image(folder).unlink(),
    "renamed": lambda folder: _image(folder).rename(_image(folder).with_name("holiday.tif")),
    "swapped": _swap,
    "added": lambda folder: shutil.copy(_image(folder), _image(folder).with_name(NEW)),
    "a stray": lambda folder: (folder / "holiday.tif").write_bytes(b"II*\0"),
    "a stray below": lambda folder: shutil.copytree(folder / "TimePoint_1", folder / "again"),
    "a folder": lambda folder: (folder / "notes").mkdir(),
    "metadata": _edit_htd,
    "no metadata": lambda folder: next(folder.rglob("*.HTD")).unlink(),
    "a damaged header": lambda folder: _image(folder, 0).write_bytes(b"x" * 100),
    "a link to nothing": lambda folder: (_image(folder).with_name(NEW)).symlink_to("x"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("raw", ["checked", "immutable"])
def test_after_every_change_it_is_what_indexing_anew_gives(plate, results, change, raw):
    _keep(plate, results, raw=raw)
    _age()
    CHANGES[change](plate)
    try:
        fresh = _fresh(plate)
    except InputDataError as error:
        with pytest.raises(type(error), match=str(error)[:20]):
            _index(plate, results, raw=raw)
        return
    again = _index(plate, results, raw=raw)
    by_names = raw == "immutable" and change in {"overwritten", "touched", "swapped"}
    if by_names:  # but for images that indexing opens
        assert again.index.planes == fresh.planes
        assert [image.path for image in again.index.images] == [i.path for i in fresh.images]
    else:
        assert bool(again.digests) == (change == "nothing")
        assert again.index == fresh


@pytest.mark.parametrize("raw", ["checked", "immutable"])
def test_an_image_that_became_a_link_out_of_the_plate_is_refused(plate, results, tmp_path, raw):
    """A file of the same size and time, and for a folder of the same name."""
    _keep(plate, results, raw=raw)
    moved = tmp_path / "moved.tif"
    path = plate / _fresh(plate).images[-1].path
    path.rename(moved)
    path.symlink_to(moved)
    with pytest.raises(InputDataError, match="link"):
        _index(plate, results, raw=raw)
    path.unlink()
    moved.rename(path)
    path.parent.rename(tmp_path / "folder")
    path.parent.symlink_to(tmp_path / "folder")
    with pytest.raises(InputDataError, match="link"):
        _index(plate, results, raw=raw)


def test_a_plate_with_links_is_not_kept(plate, results):
    path = plate / _fresh(plate).images[-1].path
    path.rename(plate / "x")
    path.symlink_to(plate / "x")
    _keep(plate, results)
    assert not kept_index_path(results, "p").exists()


def test_going_over_from_names_to_sizes_and_times_notices_what_was_overwritten(plate, results):
    _keep(plate, results, raw="immutable")
    _age()
    _overwrite(plate)
    assert _index(plate, results, raw="immutable").index.planes == _fresh(plate).planes
    again = _index(plate, results, raw="checked")
    assert not again.digests
    assert again.index == _fresh(plate)


def test_an_index_is_of_its_plate_config_and_version(plate, results, tmp_path, monkeypatch):
    _keep(plate, results)
    other = shutil.copytree(plate, tmp_path / "other")
    assert not _index(other, results).digests
    assert not _index(plate, results, microscope="imagexpress").digests
    pattern = "TimePoint_1/ZStep_{z_index}/9987_{well}_s{site}_w{channel}.TIF"
    generic = {"microscope": "generic", "generic": GenericConfig(pattern=pattern)}
    assert _index(plate, results).digests
    _keep(plate, results, **generic)
    assert _index(plate, results, **generic).index.microscope == "generic"
    assert _index(plate, results, **generic).digests
    sized = GenericConfig(pattern=pattern, pixel_size_um=0.5)
    again = _index(plate, results, microscope="generic", generic=sized)
    assert (again.digests, again.index.pixel_size_um) == ({}, 0.5)
    _keep(plate, results)
    monkeypatch.setattr(openhcs_core, "__version__", "9.9")
    assert not _index(plate, results).digests


DAMAGES = {
    "empty": lambda raw: b"",
    "cut": lambda raw: raw[:-100],
    "a bit": lambda raw: raw[:900] + bytes([raw[900] ^ 1]) + raw[901:],
    "its last bit": lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]),
    "no JSON": lambda raw: b"\xff" * 500,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_taken_for_absent(plate, results, damage):
    index = _keep(plate, results)
    path = kept_index_path(results, "p")
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    again = _index(plate, results)
    assert not again.digests
    assert again.index == index
    keep_index("p", PlateConfig(path=str(plate)), results, again, DIGESTS)
    assert _index(plate, results).digests == DIGESTS


def test_a_file_with_a_right_digest_and_wrong_content_is_taken_for_absent(plate, results):
    index = _keep(plate, results)
    path = kept_index_path(results, "p")
    for content in (b"[]", b"{}", b'{"made_by": 1}\n[]\n[]\n[]', b"null\n\n\n"):
        digest = digest_bytes(content)
        path.write_bytes(f"{digest}\n".encode() + content)
        assert _index(plate, results).index == index


def test_files_that_were_just_written_are_not_trusted_to_stay(plate, results):
    next(plate.rglob("*.HTD")).touch()
    settings = PlateConfig(path=str(plate))
    found = index_plate("p", settings, results)
    keep_index("p", settings, results, found, DIGESTS)
    assert not kept_index_path(results, "p").exists()


def test_several_that_keep_and_read_at_once_agree(plate, results):
    settings, index = PlateConfig(path=str(plate)), _fresh(plate)
    wrong = []

    def work():
        for _ in range(8):
            found = _index(plate, results)
            wrong.extend([found] if found.index != index else [])
            keep_index("p", settings, results, found, DIGESTS)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert _index(plate, results).digests == DIGESTS


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Return what compiles a project of the demo plate, whose files are old enough."""
    monkeypatch.chdir(tmp_path)
    Path("config").mkdir()
    config = f"plates: {{demo: {{path: {DEMO}, raw: RAW}}}}\npipeline: config/p.yaml\n"
    steps = (
        "steps: [{name: flat, func: {openhcs:max_projection: {}}, variable_components: [z_index]}]"
    )
    Path("config/p.yaml").write_text(f"name: p\n{steps}\n")

    def compile_as(raw="checked"):
        Path("config/config.yaml").write_text(config.replace("RAW", raw))
        return RunSession("config/config.yaml").compile()

    return compile_as


@pytest.mark.parametrize("raw", ["checked", "immutable"])
def test_generated_files_are_not_made_again_but_compared(project, raw):
    first = project(raw)
    assert not first.plates[0].indexed.digests
    again = project(raw)
    files = {path: Path(path).read_bytes() for path in first.files}
    assert {path: text.encode() for path, text in again.files.items()} == files
    again = compile_workflow("config/config.yaml")
    names = [path for path in files if "/index/" in path or path.endswith("openhcs_metadata.json")]
    assert len(names) == len(again.compiled.plates[0].wells) + 1
    assert len(again.plates[0].indexed.digests) == len(names)
    assert changed_files(again.files) == []
    for path in names[:1] + names[-1:]:
        Path(path).unlink()
        assert changed_files(compile_workflow("config/config.yaml").files) == [path]
        project(raw)
        assert Path(path).read_bytes() == files[path]
        Path(path).write_bytes(files[path].replace(b"B02", b"C02", 1))
        assert changed_files(compile_workflow("config/config.yaml").files) == [path]
        project(raw)
        assert Path(path).read_bytes() == files[path]


def test_index_files_with_sizes_stay_when_only_names_count(project):
    first = project("checked")
    files = {path: Path(path).read_bytes() for path in first.files if "/index/" in path}
    for _ in range(3):
        again = project("immutable")
        assert {path: Path(path).read_bytes() for path in files} == files
        assert {path: again.files[path].encode() for path in files} == files
        assert {path: again.files.digest(path) for path in files} == {
            path: digest_bytes(raw) for path, raw in files.items()
        }
    path = next(iter(files))
    Path(path).unlink()
    project("immutable")
    assert b"null" in Path(path).read_bytes()


def test_planes_by_well_are_those_of_the_images(plate):
    index = _fresh(plate)
    planes = [PlaneKey(well, *plane) for well, of in index.planes.items() for plane in of]
    assert planes == [image.key for image in index.images]
    assert len(index.layouts) == len(set(index.planes.values()))
