import gc
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from openhcs_core.errors import ConfigError, InputDataError
from openhcs_core.microscopes import (
    HANDLERS,
    MicroscopeHandler,
    choose_handler,
    find_claims,
    get_handler,
    known_handlers,
)
from openhcs_core.microscopes.imagexpress.handler import ImageXpressHandler

ROOT = Path(__file__).parents[3]


def test_auto_recognises_the_real_plate_and_says_why(demo_plate, caplog):
    with caplog.at_level(logging.INFO):
        handler = get_handler("auto", demo_plate)
    assert handler.name == "imagexpress"
    assert "9987.HTD" in caplog.text
    assert find_claims(demo_plate) == {"imagexpress": "the HTD file 9987.HTD"}


def test_auto_recognises_names_where_no_htd_file_is(tmp_path, write_image):
    write_image(tmp_path / "2023-02-21" / "1334" / "ZStep_1" / "P_E07_s1_w1.tif")
    reason = get_handler("auto", tmp_path).detect(tmp_path)
    assert reason is not None
    assert "2023-02-21/1334/ZStep_1/P_E07_s1_w1.tif" in reason


@pytest.mark.parametrize("folder", ["TimePoint_1", "TimePoint_2/ZStep_1", "zstep_3"])
def test_auto_recognises_folders_of_an_export_whose_names_are_wells_alone(
    tmp_path, write_image, folder
):
    write_image(tmp_path / folder / "plate_B02.TIF")
    reason = get_handler("auto", tmp_path).detect(tmp_path)
    assert reason == f"an image named as MetaXpress does, {folder}/plate_B02.TIF"


def test_auto_refuses_a_folder_of_other_images_and_says_what_it_looked_for(tmp_path, write_image):
    write_image(tmp_path / "holiday_B02.tif")
    with pytest.raises(InputDataError) as caught:
        get_handler("auto", tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "imagexpress: an HTD file" in str(caught.value)


class _Other(ImageXpressHandler):
    name = "other"


def test_two_claims_to_one_plate_are_for_the_user_to_settle(demo_plate, monkeypatch):
    monkeypatch.setitem(HANDLERS, "other", f"{__name__}:_Other")
    monkeypatch.setitem(sys.modules, __name__, sys.modules[_Other.__module__])
    with pytest.raises(InputDataError, match=r"imagexpress, by .*; other, by"):
        get_handler("auto", demo_plate)
    assert get_handler("other", demo_plate).name == "other"


def test_handlers_of_other_distributions_are_found_by_their_entry_point(monkeypatch, tmp_path):
    (tmp_path / "A-1-1.scan.tif").write_bytes(b"")
    with pytest.raises(InputDataError, match="no plate of a known microscope"):
        get_handler("auto", tmp_path)
    monkeypatch.syspath_prepend(ROOT / "tests/data/third_party_microscope")
    monkeypatch.delitem(sys.modules, "line_scanner", raising=False)
    assert known_handlers()["line_scanner"] == "line_scanner:LineScannerHandler"
    assert "line_scanner" not in sys.modules
    choice = choose_handler("auto", tmp_path)
    assert choice.handler.name == "line_scanner"
    assert choice.reason == "the image A-1-1.scan.tif"


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("imagexpress = line_scanner:LineScannerHandler", "'imagexpress' is claimed by openhcs_"),
        ("auto = line_scanner:LineScannerHandler", "'auto' is claimed by openhcs-core"),
        ("other = no_such_module:Handler", "cannot be imported: No module named 'no_such_module'"),
        ("other = line_scanner:NoHandler", "cannot be imported: .*NoHandler"),
        ("other = builtins:dict", "is not a MicroscopeHandler"),
    ],
)
def test_what_is_wrong_with_another_distribution_is_said(monkeypatch, tmp_path, entry, problem):
    folder = tmp_path / "site" / "broken-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(f"[openhcs.microscopes]\n{entry}\n")
    monkeypatch.syspath_prepend(folder.parent)
    monkeypatch.syspath_prepend(ROOT / "tests/data/third_party_microscope")
    (tmp_path / "plate").mkdir()
    (tmp_path / "plate" / "x.txt").write_text("x")
    with pytest.raises(ConfigError, match=problem):
        get_handler("auto", tmp_path / "plate")
    assert get_handler("imagexpress", tmp_path / "plate").name == "imagexpress"


def test_unknown_microscope_lists_the_known(demo_plate):
    with pytest.raises(ConfigError, match=r"'zeiss'.*auto, cv8000, generic, imagexpress"):
        get_handler("zeiss", demo_plate)


@pytest.mark.parametrize("name", ["auto", "imagexpress"])
def test_missing_empty_and_wrong_folders_are_told_apart(tmp_path, name):
    def index(path: Path):
        return get_handler(name, path).index(path)

    with pytest.raises(ConfigError, match="does not exist"):
        index(tmp_path / "absent")
    with pytest.raises(InputDataError, match="is empty"):
        index(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ConfigError, match="is a file"):
        index(tmp_path / "notes.txt")
    with pytest.raises(InputDataError, match="looked for") as caught:
        index(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_indexing_leaves_the_garbage_collector_as_it_was(demo_plate, tmp_path):
    handler = get_handler("imagexpress", demo_plate)
    handler.index(demo_plate)
    assert gc.isenabled()
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputDataError):
        handler.index(tmp_path)
    assert gc.isenabled()


def test_every_handler_keeps_the_contract(demo_plate):
    for name in HANDLERS:
        handler = get_handler(name, demo_plate)
        assert isinstance(handler, MicroscopeHandler)
        assert handler.name == name
        assert handler.parser_name
        assert handler.looked_for()


def test_indexing_a_plate_imports_no_array_library(demo_plate):
    code = (
        "import sys; from pathlib import Path; from openhcs_core.microscopes import get_handler\n"
        "p = Path(sys.argv[1]); print(len(get_handler('auto', p).index(p).images))\n"
        "heavy = {'numpy', 'tifffile', 'zarr', 'pandas', 'scipy', 'skimage'} & sys.modules.keys()\n"
        "assert not heavy, heavy"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(demo_plate)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "16"
