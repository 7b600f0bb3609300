"""The shipped kit on every memory type, each in a process that loads its library alone.

``OPENHCS_TEST_MEMORY_TYPES=numpy,torch`` says which: one of them that is missing fails. Without
it those that are installed are tested.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from openhcs_core.constants import GPU_ONLY_MEMORY_TYPES, MemoryType
from openhcs_core.memory import get_framework

KITS = Path(__file__).parent / "kits"
ASKED = os.environ.get("OPENHCS_TEST_MEMORY_TYPES")
KINDS = [kind for kind in MemoryType if kind is not MemoryType.UNKNOWN]
ON_CPU = [kind for kind in KINDS if kind not in GPU_ONLY_MEMORY_TYPES]


def _run(kit, marks):
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", marks, str(kit)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
    )
    assert run.returncode == 0, f"exit code {run.returncode}\n{run.stdout}\n{run.stderr[-3000:]}"


def _skip_unless_wanted(*kinds):
    for kind in kinds:
        if ASKED is None and not get_framework(kind).is_installed:
            pytest.skip(f"{kind} is not installed")
        if ASKED is not None and kind not in ASKED.split(","):
            pytest.skip(f"OPENHCS_TEST_MEMORY_TYPES does not ask for {kind}")


def _sees_a_gpu():
    program = shutil.which("nvidia-smi")
    if program is None:
        return False
    run = subprocess.run([program, "-L"], capture_output=True, text=True, check=False)
    return "GPU " in run.stdout


def test_only_memory_types_are_asked_for():
    assert set((ASKED or "numpy").split(",")) <= set(KINDS)


@pytest.mark.parametrize("kind", ON_CPU)
def test_it_keeps_what_a_memory_type_promises(kind):
    _skip_unless_wanted(kind)
    _run(KITS / f"{kind}_kit.py", "not gpu and not prototype")


def test_every_pair_of_them_converts():
    _skip_unless_wanted(*ON_CPU)
    _run(KITS / "pairs_kit.py", "not gpu and not prototype")


@pytest.mark.gpu
@pytest.mark.parametrize("kind", [*(kind for kind in KINDS if kind != "numpy"), "pairs"])
def test_it_does_so_on_a_gpu(kind):
    _skip_unless_wanted(*(KINDS if kind == "pairs" else [kind]))
    if not _sees_a_gpu():
        pytest.skip("no CUDA device: nvidia-smi -L lists none")
    name = "gpu_pairs_kit.py" if kind == "pairs" else f"{kind}_kit.py"
    _run(KITS / name, "gpu" if kind != "pyclesperanto" else "not prototype")


@pytest.mark.prototype
def test_the_prototype_of_pyclesperanto_does_so():
    _run(KITS / "prototype_kit.py", "prototype")
