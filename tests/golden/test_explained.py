"""Where values come from, as text: ``make golden`` rewrites the file, the diff is reviewed."""

import os
import shutil
from pathlib import Path

from openhcs_core.cli.explanation import render_explanation
from openhcs_core.compiler import explain_plate
from openhcs_core.session import compile_workflow

HERE = Path(__file__).parent / "explained"
PLATE = HERE.parents[2] / "data/demo/9987_Plate_3434"


def test_explanations_are_as_reviewed(tmp_path, monkeypatch):
    (tmp_path / "config").mkdir()
    for name in ("config.yaml", "pipeline.yaml"):
        shutil.copy(HERE / name, tmp_path / "config")
    (tmp_path / "plate").symlink_to(PLATE)
    monkeypatch.chdir(tmp_path)
    compilation = compile_workflow("config/config.yaml")
    (plan,), (request,) = compilation.compiled.plates, compilation.requests
    text = render_explanation(explain_plate(plan, request)) + "\n"
    path = HERE / "explanation.txt"
    if os.environ.get("OPENHCS_REWRITE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()
