"""What must start fast loads no array library, no zarr, no pandas and no Snakemake."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("numpy", "scipy", "skimage", "zarr", "pandas", "tifffile", "torch", "snakemake")


@pytest.mark.parametrize(
    "module",
    [
        "openhcs_core",
        "openhcs_core.config",
        "openhcs_core.memory",
        "openhcs_core.storage",
        "openhcs_core.microscopes",
        "openhcs_core.materialization",
        "openhcs_core.registry",
        "openhcs_core.registry.openhcs_registry",
        "openhcs_core.functions",
        "openhcs_core.compiler",
        "openhcs_core.emission",
        "openhcs_core.runtime",
        "openhcs_core.cli.main",
        "openhcs_core.session.snakemake_entry",
        "openhcs_core.cli.run_step_command",
    ],
)
def test_importing_a_room_loads_no_heavy_library(module):
    code = (
        f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules], end='')"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]"


def test_compiling_the_demo_loads_no_heavy_library():
    code = (
        "import sys; from openhcs_core.session import compile_workflow; "
        "compile_workflow('config/config.yaml'); "
        f"print([name for name in {HEAVY!r} if name in sys.modules], end='')"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert run.stdout == "[]"
