"""Config files: YAML 1.2, frozen models, and every mistake with its line."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from openhcs_core.config import PipelineConfig, WorkflowConfig, load_yaml, validate
from openhcs_core.config.schemas import MODELS, schema_text
from openhcs_core.errors import ConfigError, ErrorGroup

ROOT = Path(__file__).parents[3]


def _problems(tmp_path, text, model=WorkflowConfig):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ErrorGroup) as caught:
        validate(model, load_yaml(path))
    return [
        (error.__notes__[0].removeprefix(f"{path}:"), str(error))
        for error in caught.value.exceptions
    ]


def test_shipped_config_and_pipeline_are_valid():
    config = validate(WorkflowConfig, load_yaml(ROOT / "config/config.yaml"))
    pipeline = validate(PipelineConfig, load_yaml(ROOT / config.pipeline))
    assert list(config.plates) == ["demo"]
    assert [step.name for step in pipeline.steps] == ["clean", "flatten", "count"]


def test_yaml_1_2_numbers_and_words(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("a: 1e-3\nb: on\nc: 012\nd: no\ne: true\nf: 1.5\n")
    data = load_yaml(path).data
    assert data == {"a": 0.001, "b": "on", "c": 12, "d": "no", "e": True, "f": 1.5}


@pytest.mark.parametrize("text", [r'a: {b: ["x\ud800"]}', r'"\udcff": 1'])
def test_half_a_character_is_refused_by_its_place(tmp_path, text):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"x\.yaml: .*has half a character"):
        load_yaml(path)


def test_unknown_key_suggests_the_nearest(tmp_path):
    problems = _problems(tmp_path, "plates:\n  p:\n    path: x\n    microscop: auto\n")
    assert problems == [
        ("4 plates.p.microscop", "unknown key 'microscop'; did you mean 'microscope'?")
    ]


def test_every_mistake_is_listed_with_its_line(tmp_path):
    problems = _problems(
        tmp_path,
        "plates:\n"
        "  p: {path: x, wells: [B2], raw: no}\n"
        "  a/b: {path: y}\n"
        "storage:\n"
        "  zarr:\n"
        "    compression_level: 99\n"
        "pipelin: z\n",
    )
    assert [place for place, _ in problems] == [
        "2 plates.p.wells",
        "2 plates.p.raw",
        "3 plates.a/b",
        "6 storage.zarr.compression_level",
        "7 pipelin",
    ]
    texts = [text for _, text in problems]
    assert "not wells: B2" in texts[0]
    assert "'checked' or 'immutable'" in texts[1]
    assert "'a/b' cannot be a file and rule name" in texts[2]
    assert "less than or equal to 9; found 99" in texts[3]
    assert "did you mean 'pipeline'" in texts[4]


def test_an_empty_list_of_plates_is_named(tmp_path):
    assert _problems(tmp_path, "plates: {}\n") == [
        ("1 plates", "nothing stands here; at least one entry is needed")
    ]


@pytest.mark.parametrize("text", ["", "# nothing yet\n"])
def test_an_empty_file_lacks_its_required_keys(tmp_path, text):
    assert _problems(tmp_path, text) == [("1", "required key 'plates' is missing")]


def test_a_mapping_as_key_is_no_crash(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("? {a: 1}\n: x\nb: 1\nb: 2\n")
    assert [str(problem)[:15] for problem in load_yaml(path).problems] == ["'b' stands twic"]


def test_missing_required_key_is_named(tmp_path):
    assert _problems(tmp_path, "plates:\n  p: {}\n") == [
        ("2 plates.p.path", "required key 'path' is missing")
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("plates: [", "not valid YAML"),
        ("f:\n  1: x\n  '1': y\n", "f.1 stands twice"),
        ("a: !!python/object:os.system x\n", "a: tags such as !!name are not read"),
    ],
)
def test_broken_yaml_names_file_and_line(tmp_path, text, message):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        load_yaml(path)
    assert str(path) in str(caught.value)


def test_names_that_stand_twice_are_reported_with_all_else(tmp_path):
    problems = _problems(
        tmp_path,
        "plates:\n  p: {path: x}\n  q: {path: y}\n  p: {path: z}\n"
        "results: a\nresults: b\npipe: c\n",
    )
    assert [place for place, _ in problems] == ["4 plates.p", "6 results", "7 pipe"]
    assert problems[0][1] == (
        "'p' stands twice, first in line 2; names and keys must differ, keep one or rename one"
    )


def test_absent_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nothing\.yaml: No such file"):
        load_yaml(tmp_path / "nothing.yaml")


@pytest.mark.parametrize(
    "name",
    ["a/b", ".a", "a'b", "a{b}", "a$b", "all", " a", "a ", "", "a.json", "a.ome.zarr", "x" * 101],
)
def test_names_that_no_file_or_rule_can_have(tmp_path, name):
    problems = _problems(tmp_path, json.dumps({"plates": {name: {"path": "x"}}}))
    assert len(problems) == 1


@pytest.mark.parametrize("name", ["9987", "Plate 1", "Größe", "a_b-c.d+(e)"])
def test_names_with_letters_digits_space_and_some_signs(tmp_path, name):
    path = tmp_path / "x.yaml"
    path.write_text(json.dumps({"plates": {name: {"path": "x"}}}))
    assert list(validate(WorkflowConfig, load_yaml(path)).plates) == [name]


@pytest.mark.parametrize(
    ("components", "text"),
    [("[z_index, z_index]", "stands twice"), ("[]", "at least one entry is needed")],
)
def test_components_that_cannot_be_stacked(tmp_path, components, text):
    step = f"steps:\n  - {{name: a, func: 'x:y', variable_components: {components}}}\n"
    ((place, message),) = _problems(tmp_path, step, PipelineConfig)
    assert place == "2 steps[0].variable_components"
    assert text in message


def test_models_are_frozen():
    config = validate(WorkflowConfig, load_yaml(ROOT / "config/config.yaml"))
    with pytest.raises(ValidationError):
        config.results = "elsewhere"


@pytest.mark.parametrize("name", MODELS)
def test_schemas_are_current(name):
    written = (ROOT / "workflow/schemas" / name).read_text()
    assert written == schema_text(MODELS[name]), "run 'make schemas'"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("functions: mine.py", "expected a list, such as [a, b]; found 'mine.py'"),
        ("defaults:", "expected settings (key: value) below it; found nothing; leave the key out"),
        ("defaults: {keep: on}", "expected true or false; found 'on'"),
        ("defaults: {resources: {mem_mb: true}}", "expected a whole number; found True"),
    ],
)
def test_values_of_another_kind(tmp_path, text, message):
    ((_, found),) = _problems(tmp_path, f"plates: {{p: {{path: x}}}}\n{text}\n")
    assert message in found
