"""``snakemake --executor openhcs``: what the local executor gives, to the byte."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
import snakemake.common.tests

from snakemake_executor_plugin_openhcs import ExecutorSettings

MODULE = '''"""A function that behaves badly, and one that tells what the one before it left."""

import os
import random
import signal
import sys
import threading
import warnings
from pathlib import Path

import numpy as np

from openhcs_core.materialization import CsvOptions, MaterializationSpec
from openhcs_core.memory import numpy
from openhcs_core.pipeline import special_outputs

calls = []


def look():
    """Return what a process has that did nothing before."""
    return {
        "calls": len(calls),
        "variable": os.environ.get("LEFT", ""),
        "threads": os.environ["OMP_NUM_THREADS"],
        "folder": Path.cwd().name,
        "umask": os.umask(0o022),
        "divide": np.geterr()["divide"],
        "precision": np.get_printoptions()["precision"],
        "recursion": sys.getrecursionlimit(),
        "arguments": sys.argv[1],
        "path": "left" in sys.path,
        "alarm": str(signal.getsignal(signal.SIGALRM)),
        "random": random.random(),
        "numpy": float(np.random.random()),
    }


def leave():
    """Change all of it."""
    calls.append(1)
    os.environ["LEFT"] = "x"
    os.environ["OMP_NUM_THREADS"] = "7"
    os.chdir("/")
    os.umask(0o077)
    np.seterr(divide="raise")
    np.set_printoptions(precision=2)
    sys.setrecursionlimit(5000)
    sys.path.append("left")
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    warnings.simplefilter("error")
    sys.stdout = sys.stderr = None


@numpy
@special_outputs(("found", MaterializationSpec(CsvOptions())))
def act(image_stack, mode: str = "look"):
    """Do what the well is there for."""
    if mode == "raise":
        raise ValueError("no luck")
    if mode == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if mode == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if mode == "exit":
        sys.exit(7)
    if mode == "once":
        marker = Path("tried")
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)  # what a function raises is not tried again
    found = {name: [value] for name, value in look().items()}
    folder = Path.cwd()
    leave()
    if mode != "leave":
        os.chdir(folder)
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
    return image_stack, found
'''
PIPELINE = """steps:
  - {name: act, func: {mine:act: {mode: look}}}
  - {name: after, func: {openhcs:max_projection: {}}}
overrides:
  - {wells: [A02], set: {act: {mine:act: {mode: raise}}}}
  - {wells: [A03], set: {act: {mine:act: {mode: crash}}}}
  - {wells: [A04], set: {act: {mine:act: {mode: exit}}}}
  - {wells: [A05], set: {act: {mine:act: {mode: once}}}}
  - {wells: [A06], set: {act: {mine:act: {mode: killed}}}}
"""
CONFIG = "plates:\n  demo: {path: plate}\nfunctions: [workflow/functions/mine.py]\n"
EXECUTORS = ["local", "openhcs"]
GOOD = ["A01", "A05", "A07", "A08"]


class TestOfSnakemake(snakemake.common.tests.TestWorkflowsLocalStorageBase):
    """Snakemake's own tests of executors."""

    __test__ = True

    def get_executor(self):
        return "openhcs"

    def get_executor_settings(self):
        return ExecutorSettings()


def test_snakemake_finds_the_plugin_from_anywhere():
    run = subprocess.run(
        [sys.executable, "-m", "snakemake", "--help"],
        capture_output=True,
        text=True,
        cwd="/",
        check=True,
        env=os.environ | {"COLUMNS": "200"},
    )
    for setting in ("workers", "jobs-per-worker", "growth-mb", "gpus", "jobs-per-gpu"):
        assert f"--openhcs-{setting}" in run.stdout


@pytest.fixture(scope="module")
def runs(tmp_path_factory, new_small_project):
    """The same project under both executors; one worker does everything that does not kill it."""
    found = {}
    for executor in EXECUTORS:
        project = new_small_project(tmp_path_factory.mktemp(executor) / "project", range(1, 9))
        project.write("workflow/functions/mine.py", MODULE)
        project.write("config/config.yaml", CONFIG)
        project.write("config/pipeline.yaml", PIPELINE)
        run = project.snakemake("--executor", executor, "--retries", "1", cores=1)
        found[executor] = project, run
    return found


def _found(project, well):
    with (project.results / f"tables/act/{well}.found.csv").open() as stream:
        return list(csv.DictReader(stream))


def _status(project):
    with (project.results / "status.csv").open() as stream:
        return {row["well"]: row for row in csv.DictReader(stream)}


def test_results_are_the_same_bytes(runs):
    (local, run), (warm, warm_run) = runs["local"], runs["openhcs"]
    assert run.returncode == warm_run.returncode == 1
    assert "Warm workers: " in warm_run.output, warm_run.output
    assert "Traceback" not in warm_run.output
    assert local.tracked_bytes() == warm.tracked_bytes()
    assert sorted(path.stem for path in (warm.results / "manifests/after").iterdir()) == GOOD


def test_every_job_finds_its_process_as_a_new_one(runs):
    project, _ = runs["openhcs"]
    for well in GOOD:
        (row,) = _found(project, well)
        assert (row["calls"], row["variable"], row["folder"]) == ("0", "", "project")
        assert (row["threads"], row["umask"], row["divide"]) == ("1", "18", "warn")


def test_jobs_and_failures_are_told_alike(runs):
    (local, run), (warm, warm_run) = runs["local"], runs["openhcs"]
    assert run.jobs == warm_run.jobs
    assert sorted(_messages(run)) == sorted(_messages(warm_run))
    for well in ("A02", "A04"):
        assert _status(local)[well] == _status(warm)[well]
    assert {path.name for path in (local.results / "logs/act").glob("*.log")} == {
        path.name for path in (warm.results / "logs/act").glob("*.log")
    }
    for well in GOOD:
        assert _log_texts(local, well) == _log_texts(warm, well)


def _messages(run):
    """What Snakemake says of failed commands of jobs that were not killed."""
    lines = run.output.replace("/openhcs0/", "/local0/").splitlines()
    return [
        line for line in lines if "returned non-zero exit status" in line and " 1" not in line[-4:]
    ]


def _log_texts(project, well):
    lines = (project.results / f"logs/act/{well}.log").read_text().splitlines()
    return [line.split(" ", 2)[2] for line in lines]


@pytest.mark.parametrize(
    ("well", "number", "name"), [("A03", 11, "SIGSEGV"), ("A06", 9, "SIGKILL")]
)
def test_a_job_whose_process_dies_says_by_what(runs, well, number, name):
    project, run = runs["openhcs"]
    row = _status(project)[well]
    assert (row["state"], row["exit_code"]) == ("failed", str(128 + number))
    assert f"was ended by signal {number} ({name})" in row["reason"]
    assert f"well {well}, stack 1 of" in row["reason"]
    assert f"was ended by signal {number} ({name})" in run.output


def test_benchmarks_have_the_same_columns(runs):
    (local, _), (warm, _) = runs["local"], runs["openhcs"]
    headers = [
        (project.results / "benchmarks/act/A01.tsv").read_text().splitlines()[0]
        for project in (local, warm)
    ]
    assert headers[0] == headers[1]
    lines = (warm.results / "benchmarks/act/A07.tsv").read_text().splitlines()
    (row,) = csv.DictReader(lines, delimiter="\t")
    assert float(row["max_rss"]) > 20
    assert 0 <= float(row["cpu_time"]) < 60
    assert ":" in row["h:m:s"]


OTHER_LINES = """
STEP = "openhcs-core run-step --plate-dir results/demo --step act --well A01"


rule all:
    input:
        expand("out/{name}.txt", name=["plain", "piped", "shadowed", "grouped", "run", "second"]),


rule plain:
    output: "out/plain.txt"
    log: "out/plain.log"
    benchmark: repeat("out/plain.jsonl", 2)
    threads: 2
    shell: f"{STEP} --log {{log:q}}"


rule piped:
    output: "out/piped.txt"
    shell: f"{STEP} && echo $OMP_NUM_THREADS > {{output}}"


rule shadowed:
    output: "out/shadowed.txt"
    shadow: "minimal"
    shell: "pwd | grep -c shadow > {output}"


rule feeding:
    output: pipe("out/fed")
    shell: "echo fed > {output}"


rule grouped:
    input: "out/fed"
    output: "out/grouped.txt"
    shell: "cat {input} > {output}"


rule run:
    output: "out/run.txt"
    run:
        open(output[0], "w").write("run")


rule second:
    output: "out/second.txt"
    shell: f"{STEP}\\necho second > {{output}}"
"""


@pytest.mark.thorough
def test_all_other_jobs_are_left_to_the_local_executor(runs):
    """The first rule writes none of its output: a job of ours, run warm, that then fails."""
    found = {}
    for executor in EXECUTORS:
        project, _ = runs[executor]
        project.write("Other.smk", OTHER_LINES)
        run = project.snakemake(
            "--executor",
            executor,
            "--keep-going",
            "--benchmark-extended",
            "--latency-wait",
            "0",
            snakefile=project.folder / "Other.smk",
        )
        out = project.folder / "out"
        found[executor] = {path.name: path.read_text() for path in out.glob("*.txt")}
        records = [json.loads(line) for line in (out / "plain.jsonl").read_text().splitlines()]
        assert [(record["rule_name"], record["threads"]) for record in records] == [
            ("plain", 2)
        ] * 2
        assert run.returncode == 1, run.output
        assert "MissingOutputException in rule plain" in run.output
        of_ours = re.findall(r"Warm workers: (\d+) jobs |; (\d+) more put back", run.output)
        count = sum(int(number or 0) for numbers in of_ours for number in numbers)
        assert count == (2 if executor == "openhcs" else 0), run.output
    assert found["local"] == found["openhcs"]
    assert sorted(found["local"]) == [
        f"{name}.txt" for name in ("grouped", "piped", "run", "second", "shadowed")
    ]


def test_ctrl_c_stops_jobs_and_leaves_no_process(small_project):
    project = small_project((1,))
    waits = "    import time\n\n    Path('begun').touch()\n    time.sleep(600)\n    if mode =="
    project.write("workflow/functions/mine.py", MODULE.replace("    if mode ==", waits, 1))
    project.write("config/config.yaml", CONFIG)
    project.write("config/pipeline.yaml", PIPELINE.partition("overrides")[0])
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(project.snakefile)]
    main = subprocess.Popen(
        [*command, "--cores", "1", "--executor", "openhcs"],
        cwd=project.folder,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not (project.folder / "begun").exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.killpg(main.pid, signal.SIGINT)
    _, output = main.communicate(timeout=120)
    assert main.returncode == 1
    assert "Traceback" not in output
    failure = json.loads((project.results / "logs/act/A01.failure.json").read_text())
    assert (failure["exit_code"], failure["message"]) == (130, "stopped")
    with pytest.raises(ProcessLookupError):
        os.killpg(main.pid, 0)
