"""What says where warm workers are: settings, the profile, the page."""

from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path

import pytest

from openhcs_core.config import load_yaml
from openhcs_core.errors import ConfigError
from openhcs_core.workers import PilotLimits, PilotSettings, WarmRun, WorkerLimits
from snakemake_executor_plugin_openhcs.settings import (
    ExecutorSettings,
    pilot_settings,
    worker_limits,
)

ROOT = Path(__file__).parents[3]
PROFILE = ROOT / "profiles/slurm-warm/config.yaml"
NAMES = {f"openhcs-{field.name.replace('_', '-')}" for field in fields(ExecutorSettings)}


def test_without_pilots_jobs_are_done_here():
    settings = ExecutorSettings(gpus="0,1", held_mb=1000)
    assert pilot_settings(settings) is None
    limits = worker_limits(settings, cores=4)
    assert (limits.count, limits.held_mb, limits.gpus) == (8, 250, ("0", "1"))


def test_limits_of_workers_are_for_each_pilot():
    settings = ExecutorSettings(pilots=2, pilot_wait=5, held_mb=1000)
    found = pilot_settings(settings)
    assert (found.limits.cpu, found.limits.gpu, found.limits.wait_s) == (2, 0, 5.0)
    assert found.scheduler is None
    limits = worker_limits(settings, cores=4)
    assert (limits.count, limits.held_mb, limits.gpus) == (2, 1000, ())


def test_settings_that_contradict_each_other_are_refused():
    with pytest.raises(ConfigError, match="leave out --openhcs-pilots"):
        pilot_settings(ExecutorSettings(pilots=2, scheduler="tls://x:1"))
    with pytest.raises(ConfigError, match="pilots have their own"):
        pilot_settings(ExecutorSettings(gpu_pilots=2, gpus="0,1"))


def test_the_profile_and_the_page_have_all_settings_and_no_others():
    text = PROFILE.read_text()
    set_there = {key for key in load_yaml(PROFILE).data if key.startswith("openhcs-")}
    named = {line.split(":")[0].strip("# ") for line in text.splitlines() if "openhcs-" in line}
    assert set_there <= NAMES
    assert {name for name in NAMES if "pilot" in name or "gpu-" in name} <= named
    pages = "".join((ROOT / f"docs/warm_{name}.md").read_text() for name in ("workers", "pilots"))
    assert {name for name in NAMES if name not in pages} == set()


@pytest.mark.skipif(find_spec("dask_jobqueue") is not None, reason="dask-jobqueue is installed")
def test_what_is_not_installed_is_told_before_any_job():
    with pytest.raises(ConfigError, match=r"pip install 'openhcs-core\[slurm\]'"):
        WarmRun(WorkerLimits(), PilotSettings(limits=PilotLimits(cpu=1)))
