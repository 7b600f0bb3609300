"""Plates in an object store and on a web server give what the same plate on disk gives."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEMO_PLATE = ROOT / "data/demo/9987_Plate_3434"
BUCKET = "plates"
WELL = "B02"
_SIGNATURE = (  # the server looks at the name only
    "AWS4-HMAC-SHA256 Credential=somebody/20260101/us-east-1/s3/aws4_request, "
    "SignedHeaders=host, Signature=0"
)
IMAGE = f"TimePoint_1/ZStep_1/9987_{WELL}_s1_w1.TIF"


@contextmanager
def _server(command, url):
    """Run a server in a process of its own until the block ends."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not _answers(url):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()


def _answers(url):
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except urllib.error.HTTPError as error:
        error.close()
        return True
    except OSError:
        return False
    return True


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _put(url, data=b""):
    # without a type the server would read a form from the body
    headers = {"Content-Type": "application/octet-stream", "Authorization": _SIGNATURE}
    request = urllib.request.Request(url, data=data, headers=headers, method="PUT")
    urllib.request.urlopen(request, timeout=30).close()


@pytest.fixture(scope="module")
def s3():
    """An S3 server of our own with the demo plate in a bucket; gives its address."""
    endpoint = f"http://127.0.0.1:{(port := _free_port())}"
    with _server([sys.executable, "-m", "moto.server", "-p", str(port)], endpoint):
        _put(f"{endpoint}/{BUCKET}")
        for path in DEMO_PLATE.rglob("*"):
            if path.is_file():
                name = path.relative_to(DEMO_PLATE).as_posix()
                _put(f"{endpoint}/{BUCKET}/demo/{name}", path.read_bytes())
        yield endpoint


@pytest.fixture
def s3_environment(s3, monkeypatch):
    """What points S3 clients to the server, as people set it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return s3


@pytest.fixture
def web():
    port = _free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    command += ["--directory", str(DEMO_PLATE)]
    url = f"http://127.0.0.1:{port}"
    with _server(command, url):
        yield url


def _cli(*arguments):
    """Run a command in a process of its own, as the environment is now."""
    return subprocess.run(
        [sys.executable, "-m", "openhcs_core", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )


def _files_of(results, well):
    """Return the bytes of what a well's jobs wrote and what the jobs of others do not touch."""
    return {
        path.relative_to(results).as_posix(): path.read_bytes()
        for folder in ("manifests", "tables", "rois")
        for path in (results / folder).rglob(f"*{well}*")
        if path.is_file()
    }


@pytest.fixture
def remote_project(project_type, tmp_path):
    """The demo's pipeline for one well of a plate behind a URL."""

    def make(url):
        project = project_type(tmp_path / "remote")
        plate = f"{{path: '{url}', wells: [{WELL}]}}"
        project.write("config/config.yaml", f"plates:\n  demo: {plate}\n")
        project.write("config/pipeline.yaml", (ROOT / "config/pipeline.yaml").read_text())
        return project

    return make


@pytest.mark.slow
def test_a_well_from_s3_gives_the_bytes_of_the_well_from_disk(
    s3_environment, finished_demo, remote_project
):
    local, _ = finished_demo
    remote = remote_project(f"s3://{BUCKET}/demo")
    run = remote.snakemake()
    assert run.returncode == 0, run.output
    expected = _files_of(local.results, WELL)
    assert len(expected) > 3
    assert _files_of(remote.results, WELL) == expected
    address = f"{s3_environment}/{BUCKET}/demo/{IMAGE}"
    _put(address, (DEMO_PLATE / IMAGE).read_bytes())  # the same content again, at a later time
    assert remote.snakemake("--dry-run").jobs == []
    _put(address, (DEMO_PLATE / IMAGE.replace(WELL, "B03")).read_bytes())
    try:
        assert WELL in {name for _, name in remote.snakemake("--dry-run").jobs}
    finally:
        _put(address, (DEMO_PLATE / IMAGE).read_bytes())


def test_index_of_s3_and_web_is_that_of_the_folder(s3_environment, web):
    expected = json.loads(_cli("index", str(DEMO_PLATE), "--json").stdout)
    for url in (f"s3://{BUCKET}/demo", f"{web}/"):
        run = _cli("index", url, "--json")
        assert run.returncode == 0, run.stderr
        assert json.loads(run.stdout) == expected | {"plate": url.rstrip("/")}


@pytest.mark.parametrize(
    ("url", "changes", "code", "said"),
    [
        ("s3://no-such-bucket/demo", {}, 2, "s3://no-such-bucket/demo does not exist"),
        (f"s3://{BUCKET}/nothing", {}, 2, f"s3://{BUCKET}/nothing does not exist"),
        (f"s3://{BUCKET}/demo", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, 3, "AWS_ENDPOINT_URL"),
        (f"s3://{BUCKET}/demo", {"AWS_ACCESS_KEY_ID": None}, 3, "give credentials in the env"),
        ("s3://key:secret@b/demo", {}, 2, "plate s3://b/demo: expected a URL without credentials"),
        ("http://127.0.0.1:9/demo", {}, 3, "http://127.0.0.1:9/demo: cannot be read"),
    ],
)
def test_what_goes_wrong_names_the_url_and_the_remedy(
    s3_environment, monkeypatch, url, changes, code, said
):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    for name, value in changes.items():
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)
    run = _cli("index", url)
    assert run.returncode == code, run.stderr
    assert said in run.stderr
    assert "not-a-secret" not in run.stderr
    assert "key:secret" not in run.stderr
    assert "Traceback" not in run.stderr
