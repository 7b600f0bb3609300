"""What people read when something is wrong: ``make golden`` rewrites the page."""

import importlib.util
import os
from pathlib import Path

import pytest

from openhcs_core.errors import ErrorGroup, OpenHCSError, render_error
from openhcs_core.registry import RegistryService
from openhcs_core.runtime import Job, execute_step
from openhcs_core.session import compile_workflow, write_files
from openhcs_core.testing.plates import write_imagexpress_plate

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "errors.md"
_SPEC = importlib.util.spec_from_file_location("message_cases", HERE / "message_cases.py")
cases = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(cases)

_BEGIN = """# What can be wrong, and what is said about it

Everything that can be known before a run is said before its first job, all of it at once:
`snakemake -n` and `openhcs-core compile` say the same. A job that meets a bad image fails its own
well only; `status.csv` has the message. `openhcs-core` ends in 2 for a wrong config, pipeline or
command line, in 3 for bad data, in 4 when a step's function raised and in 5 when memory or a disk
ran out; snakemake itself ends in 1.

The messages below were made by these very mistakes.
"""


def _run(case, folder, monkeypatch):
    """Make the mistake in a new project; return exit code and message."""
    folder.mkdir()
    write_imagexpress_plate(folder / "plate", [1, 2])
    files = {"config/config.yaml": cases.CONFIG, "config/pipeline.yaml": cases.PIPELINE}
    for name, text in {**files, **case.files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    if case.change is not None:
        case.change(folder)
    monkeypatch.chdir(folder)
    try:
        if case.script is not None:
            exec(compile(case.preamble + case.script, "notebook.py", "exec"), {})
            pytest.fail(f"{case.title}: no error")
        compilation = compile_workflow("config/config.yaml")
        assert case.job is not None, "the mistake went unnoticed"
        write_files(compilation.files)
        step = compilation.compiled.plates[0].steps[0].step_name
        execute_step(Job(Path("results/demo"), step), case.job, RegistryService().load)
    except (OpenHCSError, ErrorGroup) as error:
        return error.exit_code, render_error(error).replace(str(folder), "/screen")
    pytest.fail(f"{case.title}: no error")


def _describe(case, exit_code, message):
    shown = [
        f"```yaml\n# {name}\n{text}```" if name.endswith("yaml") else f"```\n# {name}\n{text}```"
        for name, text in case.files.items()
    ]
    said = f"Exit code {exit_code}:"
    if case.script is not None:
        shown, said = [f"```python\n{case.script}```"], "Raised:"
    return "\n\n".join([f"### {case.title}", *shown, said, f"```\n{message}\n```"])


def test_messages_are_as_reviewed(tmp_path, monkeypatch):
    parts = [_BEGIN.strip()]
    for section, members in cases.SECTIONS.items():
        parts.append(f"## {section}")
        if any(case.script is not None for case in members):
            parts.append(f"After\n\n```python\n{members[0].preamble}```")
        for case in members:
            folder = tmp_path / str(len(parts))
            parts.append(_describe(case, *_run(case, folder, monkeypatch)))
    page = "\n\n".join(parts) + "\n"
    if os.environ.get("OPENHCS_REWRITE_GOLDEN"):
        PAGE.write_text(page)
    assert page == PAGE.read_text()
