"""What the Snakefile calls while it is read."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from openhcs_core.config import WorkflowConfig, load_config, validate
from openhcs_core.errors import ErrorGroup, OpenHCSError, render_error
from openhcs_core.plan import plan_folder
from openhcs_core.session.child_runs import end_with_starter
from openhcs_core.session.files import PLAN_INDEX, RULES
from openhcs_core.session.run_session import RunSession, chosen_plate
from openhcs_core.storage import naming_full_disk


def compile_for_snakemake(session: RunSession) -> None:
    """Compile; end the program with a readable message when config or plate is wrong.

    The folder of this Python's commands is put on PATH, so that jobs find ``openhcs-core``
    when snakemake is called by its path, without an activated environment.
    """
    end_with_starter()
    commands = str(Path(sys.executable).parent)
    if commands not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([commands, os.environ.get("PATH", "")])
    try:
        with naming_full_disk(Path.cwd()):
            compilation = session.compile()
    except (OpenHCSError, ErrorGroup) as error:
        sys.stderr.write(f"{render_error(error)}\n")
        sys.exit(error.exit_code)
    for warning in compilation.warnings:
        sys.stderr.write(f"warning: {warning}\n")


def cluster_name(workflow: Any) -> str | None:
    """Return the name that jobs of this run have in the queue of Snakemake's Slurm plugin.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
        When it starts. Other executors have no such name.
    """
    executor = getattr(workflow.scheduler, "_executor", None)
    name = getattr(executor, "run_uuid", None)
    return name if isinstance(name, str) else None


def read_plan_index(config_path: str, plate: object = None) -> Any:
    """Return the compiled ``plan.json`` of a config's results folder, and where its rules are.

    Parameters
    ----------
    plate : str or list, optional
        See :func:`~openhcs_core.session.session_for`.

    Returns
    -------
    dict
        The index, with the absolute path of the rules under ``rules``.
    """
    config = validate(WorkflowConfig, load_config(config_path))
    folder = Path(config.results, plan_folder(chosen_plate(plate))).absolute()
    index = json.loads((folder / PLAN_INDEX).read_bytes())
    return {**index, "rules": str(folder / RULES)}
