"""A memory type of another distribution: one file, one entry point, one test class."""

import os
import subprocess
import sys

FRAMEWORK = '''"""Arrays that are kept as bytes."""

from dataclasses import dataclass

import numpy as np

from openhcs_core.memory import ArrayFacts, Framework


@dataclass
class Ledger:
    values: bytes
    dtype: str
    shape: tuple

    @property
    def ndim(self):
        return len(self.shape)

    def __getitem__(self, at):
        return pack(unpack(self)[at])


def pack(array):
    return Ledger(array.tobytes(), array.dtype.name, array.shape)


def unpack(ledger):
    return np.frombuffer(ledger.values, ledger.dtype).reshape(ledger.shape).copy()


class LedgerFramework(Framework):
    memory_type = "ledger"
    libraries = ("ledger",)
    array_classes = ("ledger:Ledger",)

    def describe(self, array):
        return ArrayFacts(dtype=array.dtype, shape=array.shape)

    def adopt(self, array, gpu_id):
        return pack(array)

    def to_numpy(self, array):
        return unpack(array)
'''
KIT = """from ledger import pack

from openhcs_core.constants import MemoryType
from openhcs_core.memory import find_route, memory_types
from openhcs_core.testing.memory import MemoryTypeTests


class TestLedger(MemoryTypeTests):
    memory_type = "ledger"

    def make(self, values):
        return pack(values)


def test_functions_and_routes_know_it():
    @memory_types(input_type="ledger", output_type="ledger")
    def sort(image_stack):
        return image_stack

    assert sort.input_memory_type is MemoryType("ledger")
    route = find_route("ledger", "torch", on_gpu=False)
    assert route.describe() == "ledger → numpy → torch (host_copy + dlpack, 1 copy)"
"""


def test_it_passes_the_shipped_kit(tmp_path):
    (tmp_path / "ledger.py").write_text(FRAMEWORK)
    (tmp_path / "ledger_kit.py").write_text(KIT)
    info = tmp_path / "ledger-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ledger\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[openhcs.memory]\nledger = ledger:LedgerFramework\n")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "ledger_kit.py"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
    )
    assert run.returncode == 0, run.stdout + run.stderr
