"""The conda environment of jobs names this version of this package."""

import tomllib
from pathlib import Path

from openhcs_core.config import load_yaml

ROOT = Path(__file__).parents[2]


def test_the_environment_has_this_version_and_a_python_that_is_supported():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    environment = load_yaml(ROOT / "workflow/envs/openhcs-core.yaml").data
    python, _, packages = environment["dependencies"]
    assert packages == {"pip": [f"{project['name']}=={project['version']}"]}
    assert python == f"python={project['requires-python'].removeprefix('>=').rpartition('.')[0]}"
