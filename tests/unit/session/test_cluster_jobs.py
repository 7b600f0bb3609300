"""Names of runs whose jobs may be in a queue, where no Slurm answers (with one: tests/slurm)."""

import logging

from openhcs_core.session.cluster_jobs import forget_ended_jobs, take_over_jobs

_LOGGER = logging.getLogger("told")


def test_jobs_that_cannot_be_cancelled_are_told_and_remembered(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("PATH", str(tmp_path))
    names = tmp_path / ".plan/cluster_jobs"
    take_over_jobs(str(tmp_path), None, _LOGGER)
    forget_ended_jobs(str(tmp_path))
    assert not names.exists()  # a run on one machine leaves nothing

    take_over_jobs(str(tmp_path), "first", _LOGGER)
    take_over_jobs(str(tmp_path), "second", _LOGGER)
    assert names.read_text() == "first\nsecond\n"
    assert "(first) cannot be cancelled: there is no squeue here" in caplog.text
    forget_ended_jobs(str(tmp_path))
    assert names.read_text() == "first\nsecond\n"


def test_a_queue_that_does_not_answer_stops_no_run(tmp_path, monkeypatch, caplog):
    squeue = tmp_path / "squeue"
    squeue.write_text("#!/bin/sh\necho 'slurm_load_jobs error: Unable to contact' >&2\nexit 1\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    take_over_jobs(str(tmp_path), "first", _LOGGER)
    take_over_jobs(str(tmp_path), None, _LOGGER)
    assert "cannot be cancelled: slurm_load_jobs error: Unable to contact" in caplog.text
    assert (tmp_path / ".plan/cluster_jobs").read_text() == "first\n"
