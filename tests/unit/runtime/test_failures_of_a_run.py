"""Attempts of one run: what failed for good is not done again, all else is."""

import pytest

from openhcs_core.config import RUN_VARIABLE
from openhcs_core.errors import InputDataError, OutOfMemoryError, StepFunctionError
from openhcs_core.plan import StepPlan, encode_plan, index_path, plan_digest, plan_path
from openhcs_core.runtime import Job, read_failure, recorded

PLAN = StepPlan(step_name="s")


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.setenv(RUN_VARIABLE, "run 1")
    for name, text in ((plan_path("s"), encode_plan(PLAN)), (index_path("A01"), "{}")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return Job(tmp_path, "s", plan_digest(PLAN))


def _attempt(job, error):
    """Return whether the job was begun."""
    begun = []

    def attempt():
        with recorded(job, "A01"):
            begun.append(1)
            raise error

    with pytest.raises(type(error), match=str(error)):
        attempt()
    return bool(begun)


@pytest.mark.parametrize("error", [InputDataError("no image"), StepFunctionError("raised")])
def test_what_fails_for_good_is_not_begun_again_in_its_run(job, error, monkeypatch):
    assert _attempt(job, error)
    assert not _attempt(job, error)
    assert read_failure(job.plate_dir, "s", "A01").exit_code == error.exit_code
    (job.plate_dir / index_path("A01")).write_text('{"changed": 1}')
    assert _attempt(job, error)
    assert not _attempt(job, error)
    monkeypatch.setenv(RUN_VARIABLE, "run 2")
    assert _attempt(job, error)


def test_memory_and_jobs_started_by_hand_are_tried_again(job, monkeypatch):
    assert _attempt(job, OutOfMemoryError("no memory"))
    assert _attempt(job, OutOfMemoryError("no memory"))
    monkeypatch.delenv(RUN_VARIABLE)
    assert _attempt(job, InputDataError("no image"))
    assert _attempt(job, InputDataError("no image"))


def test_another_plan_is_begun(job):
    assert _attempt(job, InputDataError("no image"))
    assert _attempt(Job(job.plate_dir, "s", "another"), InputDataError("no image"))
