"""Plate tables are judged by their rows when wells' tables are newer."""

import os
from pathlib import Path

import pytest

from openhcs_core.session import compile_workflow
from openhcs_core.session.job_states import LastRun
from openhcs_core.session.status import read_status

PIPELINE = """steps:
  - {name: count, func: {openhcs:count_cells_single_channel: {min_area: 20}}}
"""
TABLES = Path("results/demo/tables/count")


@pytest.fixture(scope="module")
def finished(finish):
    return finish(PIPELINE)


def _is_done():
    (status,) = read_status(compile_workflow("config/config.yaml"), LastRun(0.0))
    return status.is_done


def _write_anew(path, content):
    newest = (TABLES / "cell_counts.csv").stat().st_mtime_ns + 10**9
    path.write_bytes(content)
    os.utime(path, ns=(newest, newest))


def test_a_step_that_was_run_by_hand_leaves_its_plate_done(finished, work_in_copy):
    work_in_copy(finished)
    assert _is_done()
    (part,) = TABLES.glob("A01.*")
    _write_anew(part, part.read_bytes())
    assert _is_done()


def test_other_rows_of_a_well_do_not(finished, work_in_copy):
    work_in_copy(finished)
    (part,) = TABLES.glob("A01.*")
    header, *rows = part.read_bytes().splitlines(keepends=True)
    _write_anew(part, b"".join([header, *rows[1:]]))
    assert not _is_done()
