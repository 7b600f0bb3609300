"""Memory that runs out in a job, through the real snakemake: a limit of the process, no mock."""

import csv
import json

FUNCTIONS = '''"""A function that needs 128 MB a slice; its process may get 220 MB more."""

import contextlib
import os
import resource

import numpy as np

from openhcs_core.memory import numpy
from openhcs_core.pipeline import ProcessingContract, processing_contract


@numpy(oom_recovery=True)
@processing_contract(ProcessingContract.BATCH_2D)
def smooth(image_stack):
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "-1"  # it asks for no GPU
    with limited():
        wide = np.ones((len(image_stack), 2**24))
    return image_stack + wide[:, -1].sum(dtype="uint16") // len(image_stack)


@contextlib.contextmanager
def limited():
    """A limit for what is allocated here: threads that other libraries start later need room."""
    if "TEST_LIMIT_MB" not in os.environ:
        yield
        return
    with open("/proc/self/statm") as stream:
        used = int(stream.read().split()[0]) * resource.getpagesize()
    limit = used + int(os.environ["TEST_LIMIT_MB"]) * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
'''
CONFIG = """plates:
  demo: {path: plate}
functions: [tight.py]
pipeline: config/pipeline.yaml
"""
PIPELINE = "steps: [{name: smooth, func: 'tight:smooth', keep: true}]\n"
FALLBACKS = "logs/smooth/A01.fallbacks.json"


def _status(project):
    with (project.results / "status.csv").open() as stream:
        return list(csv.DictReader(stream))


def _committed(project):
    return {
        path.relative_to(project.results).as_posix(): path.read_bytes()
        for folder in ("manifests", "smooth.ome.zarr")
        for path in (project.results / folder).rglob("*")
        if path.is_file()
    }


def test_a_job_without_memory_ends_in_the_same_bytes_when_it_may_work_in_parts(
    small_project, monkeypatch
):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    project = small_project((1,))
    project.write("tight.py", FUNCTIONS)
    project.write("config/config.yaml", CONFIG)
    project.write("config/pipeline.yaml", PIPELINE)
    unlimited = project.copy_to(project.folder.parent / "unlimited")
    assert unlimited.snakemake().returncode == 0
    assert not (unlimited.results / FALLBACKS).exists()

    monkeypatch.setenv("TEST_LIMIT_MB", "220")
    run = project.snakemake()
    assert run.returncode == 1
    (failed,) = _status(project)
    assert failed["exit_code"] == "5"
    assert "tight:smooth ran out of memory: Unable to allocate 256. MiB" in failed["reason"]
    assert "list oom_split in the config's fallbacks" in failed["reason"]
    noted = json.loads((project.results / FALLBACKS).read_text())
    assert [use["stage"] for use in noted["uses"]] == ["freed_caches"]

    project.write("config/config.yaml", CONFIG + "fallbacks: [oom_split]\n")
    run = project.snakemake()
    assert run.returncode == 0, run.output
    assert run.jobs == [("smooth", "A01")]
    assert (
        "memory  ran out in tight:smooth, step 'smooth': called with fewer slices at a time "
        "(oom_split); wells A01; see results/demo/logs/smooth/*.fallbacks.json" in run.output
    )
    noted = json.loads((project.results / FALLBACKS).read_text())
    assert [(use["stage"], use["slices"]) for use in noted["uses"]] == [
        ("freed_caches", 2), ("oom_split", 2),
    ]  # fmt: skip
    log = (project.results / "logs/smooth/A01.log").read_text()
    assert "it is called with fewer slices at a time" in log
    assert "device: the CPU; no GPU is asked for, and none is seen" in log
    assert _committed(project) == _committed(unlimited)
