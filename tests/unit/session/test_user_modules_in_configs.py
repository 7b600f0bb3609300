"""User modules named in a config: every mistake at once, and jobs that run what was planned."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from skimage.measure import label

from openhcs_core.cli.functions_command import functions_command
from openhcs_core.errors import ErrorGroup, OpenHCSError, PlanChangedError, render_error
from openhcs_core.registry import RegistryService
from openhcs_core.runtime import Job, compute_images, execute_step
from openhcs_core.session import compile_workflow, write_files
from openhcs_core.testing.plates import image_path, write_imagexpress_plate

PAGE = Path(__file__).parents[3] / "docs" / "own_functions.md"
SPOTS = "workflow/functions/spots.py"


def write(name, text):
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with the files of the page, as people copy them from there."""
    monkeypatch.chdir(tmp_path)
    write_imagexpress_plate(Path("plate"), [1])
    for name, text in re.findall(r"```\w+\n# (\S+)\n(.*?)```", PAGE.read_text(), re.DOTALL):
        write(name, text)
    return tmp_path


def compiled():
    compilation = compile_workflow("config/config.yaml")
    write_files(compilation.files)
    return compilation


def errors():
    with pytest.raises((OpenHCSError, ErrorGroup)) as caught:
        compile_workflow("config/config.yaml")
    return render_error(caught.value).splitlines()


def run(monkeypatch, work=execute_step):
    job = Job(Path("results/demo").absolute(), "count")
    monkeypatch.chdir("/")  # as on another node: all that a job has is the results folder
    work(job, "A01", RegistryService().load)


def test_the_example_of_the_page(project, monkeypatch):
    assert compiled().warnings == ()
    run(monkeypatch)
    with (project / "results/demo/tables/count/A01.spots.csv").open() as stream:
        counts = {
            (row["site"], row["channel"]): int(row["spot_count"]) for row in csv.DictReader(stream)
        }
    for site in (1, 2):
        image = tifffile.imread(image_path(project / "plate", "A01", site))
        assert counts[str(site), "1"] == label(image > 4.0 * np.median(image)).max() > 0
    manifest = json.loads((project / "results/demo/manifests/count/A01.json").read_text())
    assert set(manifest["functions"]["spots:count_spots"]) == {"numpy", "scikit-image", "source"}


@pytest.mark.parametrize("work", [execute_step, compute_images])
def test_a_job_refuses_code_that_was_not_planned(project, monkeypatch, work):
    compiled()
    write(SPOTS, Path(SPOTS).read_text() + "# no code\n")
    run(monkeypatch, work)
    monkeypatch.chdir(project)
    write(SPOTS, Path(SPOTS).read_text().replace("image_stack > ", "image_stack >= "))
    with pytest.raises(PlanChangedError, match=r"spots\.py .* has other code than step 'count'"):
        run(monkeypatch, work)


def test_a_broken_module_is_told_with_other_mistakes_and_once(project):
    write(SPOTS, "import nowhere_at_all\n")
    write("config/config.yaml", f"plates:\n  demo: {{path: away}}\nfunctions: [{SPOTS}, no.py]\n")
    write(
        "config/pipeline.yaml",
        "steps:\n  - {name: a, func: spots:count_spots}\n  - {name: b, func: openhcs:toohat}\n",
    )
    first, *others = errors()
    assert first == "error: config/config.yaml: 4 problems"
    assert others == [
        f"  config/config.yaml:3 functions[0]: {SPOTS}:1: ModuleNotFoundError: No module named "
        "'nowhere_at_all'; install it, or put it beside the module and import it by name",
        "  config/config.yaml:3 functions[1]: no.py: No such file or directory; expected a Python "
        "file there",
        "  config/config.yaml:2 plates.demo: plate folder away does not exist; check the plate's "
        "path, and whether its drive is mounted",
        "  config/pipeline.yaml:3 steps[1].func: step 'b': unknown function 'openhcs:toohat'; did "
        "you mean 'openhcs:tophat'?",
    ]


def test_one_wrong_function_does_not_hide_the_others(project):
    write(SPOTS, Path(SPOTS).read_text() + "\n@numpy\ndef f(x, y=...):\n    return x\n")
    write(
        "config/pipeline.yaml",
        "steps:\n  - {name: a, func: spots:f}\n"
        "  - {name: b, func: {spots:count_spots: {facto: 2}}}\n",
    )
    _, default, parameter = errors()
    assert f"{SPOTS}:18: f has the default Ellipsis for 'y', which JSON cannot hold" in default
    assert "unknown parameter 'facto'; did you mean 'factor'?" in parameter


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("spots.txt", "functions[0]: a user module is a file such as workflow/functions/mine.py"),
        ("my-spots.py", "functions[0]: a user module is a file such as"),
        ("lib/skimage.py", "functions[0]: 'skimage' is the name of a library of ours; rename"),
        (f"{SPOTS}, other/spots.py", f"{SPOTS} and other/spots.py would both be 'spots:'; rename"),
    ],
)
def test_names_that_cannot_be_told_apart(project, named, message):
    write("config/config.yaml", f"plates:\n  demo: {{path: plate}}\nfunctions: [{named}]\n")
    assert any(message in line for line in errors())


def test_python_pipelines_import_them_from_their_files(project):
    write("config/config.yaml", Path("config/config.yaml").read_text() + "pipeline: p/p.py\n")
    step = "from openhcs_core.pipeline import FunctionStep\n"
    plans = []
    for func in ("count_spots", "'count_spots'", "'spots:count_spots'"):
        imported = "from spots import count_spots\n"
        one = f"pipeline_steps = [FunctionStep({func}, name='count', factor=4.0)]\n"
        write("p/p.py", f"{step}{imported}{one}")
        plans.append(compiled().files["results/demo/plan/count.json"])
    assert plans == plans[:1] * 3
    Path("config/config.yaml").write_text("plates:\n  demo: {path: plate}\npipeline: p/p.py\n")
    write("p/spots.py", Path(SPOTS).read_text())
    write("p/p.py", f"{step}{imported}pipeline_steps = [FunctionStep(count_spots, name='c')]\n")
    (_, line) = errors()
    assert "spots.count_spots is not among the functions here" in line
    assert line.endswith("; if it is yours, name its file under functions: in the config")


def test_a_broken_module_in_a_python_pipeline_is_told_with_its_line(project):
    write("config/config.yaml", Path("config/config.yaml").read_text() + "pipeline: p.py\n")
    write("p.py", "from spots import count_spots\npipeline_steps = []\n")
    write(SPOTS, "1 / 0\n")
    _, module, script = errors()
    assert module.strip().startswith(f"config/config.yaml:3 functions[0]: {SPOTS}:1: ZeroDivision")
    assert script.strip().startswith("p.py:1: ZeroDivisionError")


def test_what_has_no_version_is_a_warning(project, monkeypatch):
    write("lab/lab_without_version.py", "X = 1\n")
    monkeypatch.setenv("PYTHONPATH", "lab", prepend=":")
    monkeypatch.syspath_prepend("lab")
    write(SPOTS, f"import lab_without_version\n{Path(SPOTS).read_text()}")
    (warning,) = compiled().warnings
    assert warning.startswith(f"{SPOTS}: imports 'lab_without_version', which is neither beside")


def test_the_command_line_lists_and_shows_them(project):
    options = ["--config", "config/config.yaml"]
    listed = CliRunner().invoke(functions_command, ["list", *options]).output
    assert "spots:count_spots" in listed
    assert "skimage:filters.gaussian" in listed
    assert "spots:" not in CliRunner().invoke(functions_command, ["list"]).output
    shown = CliRunner().invoke(functions_command, ["show", "spots:count_spots", *options]).output
    assert "factor = 3.0  (number)" in shown
    assert "gives spots (csv)" in shown
    found = CliRunner().invoke(functions_command, ["search", "spot", *options]).output
    assert "spots:count_spots" in found
