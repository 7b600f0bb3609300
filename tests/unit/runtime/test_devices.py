"""Which GPUs a job sees: what it was given, or what no other job here works on."""

import logging
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from openhcs_core.errors import ConfigError
from openhcs_core.runtime.devices import JobDevice, ProcessDevices, job_device, read_gpu_list

LIST = """GPU 0: NVIDIA H200 (UUID: GPU-aaaa-1)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-bbbb-2)
  MIG 1g.5gb      Device  0: (UUID: MIG-cccc-3)
  MIG 1g.5gb      Device  1: (UUID: MIG-GPU-dddd-4/7/0)
GPU 2: NVIDIA H200 (UUID: GPU-eeee-5)
"""
VARIABLES = ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """Nobody gave a GPU, and there is no nvidia-smi."""
    for name in (*VARIABLES, "SLURM_JOB_ID", "JAX_PLATFORMS", "OPENHCS_GIVEN_GPUS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return monkeypatch


def _install_nvidia_smi(folder):
    program = folder / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n/bin/cat <<'END'\n{LIST}END\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def _job(count=1, *, is_needed=False, folder=None):
    return job_device("step 's'", count, is_needed=is_needed, folder=folder)


def test_a_job_that_asks_for_none_sees_none(environment):
    environment.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with _job(0) as device:
        assert {os.environ[name] for name in VARIABLES} == {"-1"}
        assert os.environ["JAX_PLATFORMS"] == "cpu"
        assert device.gpu_id("torch") is None
        with _job(1) as other:  # a job that it starts, of a step with a GPU
            assert other.names in {("0",), ("1",)}
            assert os.environ["CUDA_VISIBLE_DEVICES"] == other.names[0]
            assert "HIP_VISIBLE_DEVICES" not in os.environ
            assert "JAX_PLATFORMS" not in os.environ
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert "HIP_VISIBLE_DEVICES" not in os.environ


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_job_works_on_what_it_was_given(environment, variable, caplog):
    environment.setenv(variable, "GPU-aaaa-1")
    environment.setenv("SLURM_JOB_ID", "7")
    with caplog.at_level(logging.INFO), _job(1) as device:
        assert os.environ[variable] == "GPU-aaaa-1"
        assert os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
        assert device == JobDevice("step 's'", 1, ("GPU-aaaa-1",))
    assert f"device: {variable}=GPU-aaaa-1" in caplog.text


@pytest.mark.parametrize(("value", "shown"), [("", "none"), ("-1", "none"), ("0,-1,1", "0")])
def test_being_given_too_few_is_an_error(environment, value, shown):
    environment.setenv("CUDA_VISIBLE_DEVICES", value)
    with (
        pytest.raises(
            ConfigError, match=f"asks for 2 GPUs, but CUDA_VISIBLE_DEVICES shows it {shown};"
        ),
        _job(2),
    ):
        pass


def test_slurm_that_gave_none_is_an_error(environment):
    environment.setenv("SLURM_JOB_ID", "7")
    with pytest.raises(ConfigError, match=r"Slurm job 7 was given none.*--gpus=1"), _job(1):
        pass


def test_parts_of_a_gpu_stand_for_it():
    assert read_gpu_list(LIST) == (
        "GPU-aaaa-1", "MIG-cccc-3", "MIG-GPU-dddd-4/7/0", "GPU-eeee-5",
    )  # fmt: skip
    assert read_gpu_list("No devices were found\n") == ()


def test_jobs_of_a_workstation_take_gpus_that_no_other_has(tmp_path):
    _install_nvidia_smi(tmp_path)
    with _job(2, folder=tmp_path / "locks") as first:
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-aaaa-1,MIG-cccc-3"
    with _job(1, folder=tmp_path / "locks") as again:
        assert again.names == ("GPU-aaaa-1",)
    assert len(first.names) == 2
    with pytest.raises(ConfigError, match="asks for 5 GPUs, but this machine has 4 GPUs"), _job(5):
        pass


HOLD = """
import sys
from pathlib import Path
from openhcs_core.runtime.devices import job_device
with job_device("step 'other'", 1, is_needed=False, folder=Path(sys.argv[1])) as device:
    print(*device.names, flush=True)
    sys.stdin.read()
"""


def test_a_job_waits_for_a_gpu_until_another_ends_however_it_ends(environment, tmp_path, caplog):
    environment.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    others = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    held = [other.stdout.readline().strip() for other in others]
    assert sorted(held) == ["4", "5"]

    def work():
        with _job(1, folder=tmp_path) as device:
            return device.names

    with ThreadPoolExecutor(1) as pool, caplog.at_level(logging.INFO):
        mine = pool.submit(work)
        while "waiting for a GPU" not in caplog.text:
            assert not mine.done()
        others[1].kill()
        others[1].communicate()
        assert mine.result(timeout=60) == (held[1],)
    others[0].communicate()


def test_a_job_that_another_starts_does_not_wait_for_its_gpu(environment, tmp_path):
    _install_nvidia_smi(tmp_path)
    with _job(2, folder=tmp_path / "locks") as mine, _job(1, folder=tmp_path / "locks") as child:
        assert child.names == mine.names[:1]


def test_a_process_chooses_once_for_all_that_it_does(tmp_path, environment):
    environment.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with ExitStack() as stack:
        devices = ProcessDevices(stack)
        first = devices.open("step 'a'", 1, is_needed=False)
        second = devices.open("step 'b'", 1, is_needed=True)
        assert (first.names, second.who, second.is_needed) == (second.names, "step 'b'", True)
        assert os.environ["CUDA_VISIBLE_DEVICES"] == first.names[0]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1"


def test_without_a_gpu_a_library_works_on_the_cpu_unless_the_job_was_given_one(environment, caplog):
    pytest.importorskip("torch")
    with caplog.at_level(logging.INFO), _job(1) as device:
        if device.gpu_id("torch") is not None:
            pytest.skip("there is a GPU")
        assert "device of torch: the CPU, because it sees no GPU here" in caplog.text
    with (
        _job(1, is_needed=True) as device,
        pytest.raises(ConfigError, match="step 's' asks for 1 GPU, but torch sees no GPUs here"),
    ):
        device.gpu_id("torch")
    environment.setenv("CUDA_VISIBLE_DEVICES", "3")
    with (
        _job(1) as device,
        pytest.raises(ConfigError, match="asks for 1 GPU and was given 3, but torch sees no"),
    ):
        device.gpu_id("torch")
