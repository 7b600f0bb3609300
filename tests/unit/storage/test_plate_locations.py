"""A plate is a folder or a URL; both are listed and read in the same way."""

import http.server
import threading
from functools import partial
from pathlib import Path

import fsspec
import pytest
import tifffile

from openhcs_core.errors import ConfigError, InputDataError, StorageResolutionError
from openhcs_core.microscopes import get_handler
from openhcs_core.storage import absolute_plate, get_backend_instance, open_plate_source
from openhcs_core.testing.storage import assert_same_array

PLATE = Path(__file__).parents[3] / "data/demo/9987_Plate_3434"
IMAGE = "TimePoint_1/ZStep_1/9987_B02_s1_w1.TIF"
VIRTUAL = "images/B02_s001_w1_z001_t001.tif"


def _files(plate=PLATE):
    return sorted(p.relative_to(plate).as_posix() for p in plate.rglob("*") if p.is_file())


class _Server(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; lists what is in it, or not."""

    lists = True

    def list_directory(self, path):
        if self.lists:
            return super().list_directory(path)
        self.send_error(404)
        return None

    def log_message(self, *_):
        """Print nothing."""


class _ListlessServer(_Server):
    lists = False


@pytest.fixture
def serve():
    servers = []

    def start(folder, handler=_Server):
        server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), partial(handler, directory=str(folder))
        )
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def in_memory(tmp_path):
    """Copy files into fsspec's memory file system, under a name of the test's own."""
    files = fsspec.filesystem("memory")
    root = f"/{tmp_path.name}"

    def copy(plate=PLATE):
        for name in _files(plate):
            files.pipe_file(f"{root}/{name}", (plate / name).read_bytes())
        return f"memory:/{root}"

    yield copy
    files.rm(root, recursive=True) if files.exists(root) else None


def _content(index):
    """Return an index without what tells places and times apart."""
    return [
        [(image.key, image.path, image.size_bytes) for image in index.images],
        *(index.channels, index.pixel_size_um, index.z_step_um, index.grid_dimensions),
        *(index.projections, index.copies, index.missing, index.warnings),
    ]


def _index(plate):
    source = open_plate_source(plate)
    return get_handler("auto", source).index(source)


def test_every_place_gives_the_index_of_the_folder(in_memory, serve):
    expected = _content(_index(PLATE))
    for plate in (str(PLATE), PLATE.as_uri(), in_memory(), serve(PLATE)):
        assert _content(_index(plate)) == expected, plate


def test_objects_are_known_by_etag_or_time(in_memory, serve):
    for plate in (in_memory(), serve(PLATE)):
        first, again = _index(plate).images, _index(plate).images
        assert first == again
        assert all(image.mtime_ns is not None for image in first)
        assert open_plate_source(plate).status(IMAGE).st_mtime_ns == next(
            image.mtime_ns for image in first if image.path == IMAGE
        )


def test_images_are_read_as_from_the_folder(in_memory, serve):
    expected = tifffile.imread(PLATE / IMAGE)
    for plate in (in_memory(), serve(PLATE)):
        workspace = get_backend_instance(
            "virtual_workspace", plate_root=plate, mapping={VIRTUAL: IMAGE}
        )
        assert_same_array(workspace.load(VIRTUAL), expected)
        stack = workspace.load_stack([VIRTUAL] * 5, expected.shape, "uint16")
        assert_same_array(stack[4].copy(), expected)
        assert workspace.exists(VIRTUAL)
        assert workspace.real_path(VIRTUAL) == f"{plate}/{IMAGE}"


def test_names_that_urls_must_spell_otherwise(tmp_path, serve):
    folder = tmp_path / "my plate" / "a%20b #1"
    folder.mkdir(parents=True)
    (folder / "x_B02_s1_w1.TIF").write_bytes((PLATE / IMAGE).read_bytes())
    (image,) = _index(f"{serve(tmp_path)}/my%20plate").images
    assert image.path == "a%20b #1/x_B02_s1_w1.TIF"


@pytest.mark.parametrize("kind", ["files.txt", "openhcs_metadata.json"])
def test_a_server_that_lists_nothing_can_name_the_files(tmp_path, serve, kind):
    for name in _files():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((PLATE / name).read_bytes())
    if kind == "files.txt":
        (tmp_path / kind).write_text("".join(f"./{name}\n" for name in _files()))
    else:
        mapping = ", ".join(f'"images/{n}": "{name}"' for n, name in enumerate(_files()))
        text = f'{{"subdirectories": {{".": {{"workspace_mapping": {{{mapping}}}}}}}}}'
        (tmp_path / kind).write_text(text)
    assert _content(_index(serve(tmp_path, _ListlessServer))) == _content(_index(PLATE))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("files.txt", "../secret.tif\n", "leaves the plate folder"),
        ("openhcs_metadata.json", "[]", "lists no files of a plate"),
        ("other", "", "lists no folders"),
    ],
)
def test_a_list_of_files_that_is_none_is_named(tmp_path, serve, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises((ConfigError, InputDataError), match=said):
        _index(serve(tmp_path, _ListlessServer))


def test_an_image_that_is_gone_or_cut_is_named_by_its_url(in_memory):
    plate = in_memory()
    files = fsspec.filesystem("memory")
    workspace = get_backend_instance(
        "virtual_workspace", plate_root=plate, mapping={VIRTUAL: IMAGE, "b.tif": "a/b.TIF"}
    )
    with pytest.raises(InputDataError, match=rf"b\.tif: {plate}/a/b\.TIF: is missing"):
        workspace.load_stack(["b.tif"], (256, 256), "uint16")
    path = f"{plate.removeprefix('memory:/')}/{IMAGE}"
    files.pipe_file(path, files.cat_file(path)[:9000])
    for read in (
        lambda: workspace.load(VIRTUAL),
        lambda: workspace.load_stack([VIRTUAL], (256, 256), "uint16"),
    ):
        with pytest.raises(InputDataError, match=rf"{plate}/{IMAGE}.*truncated"):
            read()
    files.pipe_file(path, b"")
    with pytest.raises(InputDataError, match=rf"{plate}/{IMAGE}.*empty file"):
        workspace.load(VIRTUAL)


@pytest.mark.parametrize("path", ["../x.tif", "/x.tif", "https://elsewhere/x.tif", "a/../../x.tif"])
def test_nothing_outside_a_remote_plate_is_read(in_memory, path):
    source = open_plate_source(in_memory())
    with pytest.raises(InputDataError, match="leaves the plate folder"):
        source.content(path)
    assert not source.exists(path)


def test_other_files_than_tiffs_are_refused(in_memory):
    with pytest.raises(StorageResolutionError, match="copy the plate to this machine"):
        open_plate_source(in_memory()).load("9987.HTD")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("memory://no/such/plate", "memory://no/such/plate does not exist"),
        ("s3://key:secret@bucket/plate", "plate s3://bucket/plate: expected a URL without"),
        ("https://host/plate?X-Amz-Signature=abc", "plate https://host/plate: expected a URL"),
        ("zeiss://plate", "Protocol not known: zeiss; expected a folder, or one of file://"),
    ],
)
def test_urls_that_cannot_be_are_refused_without_their_secrets(url, said):
    with pytest.raises(ConfigError, match=said) as caught:
        _index(url)
    assert "secret" not in str(caught.value)
    assert "Signature" not in str(caught.value)


def test_a_library_that_is_missing_is_named_with_its_remedy(monkeypatch):
    def missing(_url):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec, "url_to_fs", missing)
    with pytest.raises(ConfigError, match=r"Install s3fs.*pip install 'openhcs-core\[s3\]'"):
        open_plate_source("s3://bucket/plate")


def test_places_for_programs_in_other_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute_plate("plate") == str(tmp_path.resolve() / "plate")
    assert absolute_plate("s3://bucket/plate/") == "s3://bucket/plate"
