"""`openhcs-core why`: its answers before a run, and what it refuses."""

import json
import subprocess
import sys

import pytest

from openhcs_core.cli.reasons_text import render_why
from openhcs_core.session.why import (
    EarlierChanged,
    EarlierRuns,
    PlanChanged,
    PlanDifference,
    Why,
)
from openhcs_core.testing.plates import write_imagexpress_plate


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("why")
    for name in ("first", "second"):
        write_imagexpress_plate(folder / name, [1, 2])
    (folder / "config").mkdir()
    (folder / "config/config.yaml").write_text(
        "plates:\n  first: {path: first}\n  second: {path: second, wells: [A02]}\n"
    )
    (folder / "config/pipeline.yaml").write_text(
        "steps:\n  - {name: clean, func: {skimage:filters.gaussian: {sigma: 1}}}\n"
    )
    return folder


def _run(project, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "openhcs_core", "why", *arguments],
        capture_output=True,
        text=True,
        cwd=project,
        check=False,
    )


def test_what_was_never_done_says_so_and_nothing_is_written(project):
    run = _run(project, "clean", "A01", "--json")
    assert run.returncode == 0, run.stderr
    answer = json.loads(run.stdout)
    assert answer["would_run"] is True
    assert answer["reasons"] == [{"kind": "never_done"}]
    assert not (project / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["clear", "A01"], "no step 'clear'; did you mean 'clean'?"),
        (["clean", "a1"], "no well 'a1'; did you mean 'A01'?"),
        (["clean", "A02"], "several plates have it: add --plate, one of first, second"),
        (["clean", "A01", "--plate", "third"], "no plate 'third'; there is first, second"),
        (
            ["clean", "A01", "--plate", "second"],
            "the config leaves well 'A01' of plate 'second' out (wells, exclude_wells)",
        ),
    ],
)
def test_names_that_are_not_there_end_in_2(project, arguments, message):
    run = _run(project, *arguments)
    assert run.returncode == 2
    assert message in " ".join(run.stderr.split())


def test_text_has_every_difference_and_the_first_cause():
    difference = PlanDifference(
        kind="parameter",
        name="min_area",
        group_by="channel",
        group="1",
        function="openhcs:count",
        old=20,
        new=40,
        where="config/pipeline.yaml:19 steps[2].func.1.openhcs:count.min_area",
    )
    others = [
        PlanDifference(kind="version", name="numpy", old="2.4.5", new="2.4.6", where="installed"),
        PlanDifference(kind="source", name="source", function="mine:flatten", old="a", new="b"),
        PlanDifference(kind="setting", name="kept", old="zarr", new="disk"),
        PlanDifference(kind="setting", name="source", old="clean", new=None),
    ]
    cause = PlanChanged(is_known=True, differences=(difference,))
    nested = EarlierRuns(step="flatten", reasons=(EarlierRuns(step="clean", reasons=(cause,)),))
    reasons = (
        PlanChanged(is_known=True, differences=(difference, *others)),
        nested,
        EarlierChanged(step="other"),
    )
    answer = Why(plate="demo", step="count", well="B02", would_run=True, reasons=reasons)
    changed = "channel 1, openhcs:count, min_area: 20 → 40 (config/pipeline.yaml:19 steps[2])"
    assert render_why(answer).splitlines() == [
        "step count, well B02 of plate demo would run:",
        "  its plan changed:",
        f"    {changed}",
        "    numpy 2.4.5 → 2.4.6",
        "    source of mine:flatten changed",
        "    kept as: OME-Zarr → TIFF",
        "    reads: clean → the plate",
        f"  step flatten runs first: step clean runs first: its plan changed: {changed}",
        "  step other has run since; its results are equal, its record is new",
    ]
