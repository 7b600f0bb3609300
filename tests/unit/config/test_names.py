"""Names of plates, steps and folders: what files, rules and shells can have, and why not else."""

import json

import pytest

from openhcs_core.config import PipelineConfig, WorkflowConfig, load_yaml, validate
from openhcs_core.errors import ErrorGroup

NOT_A_NAME = "cannot be a file and rule name; use letters, digits, space and _.+-() and begin"


def _names(tmp_path, name):
    config, pipeline = tmp_path / "config.yaml", tmp_path / "pipeline.yaml"
    config.write_text(json.dumps({"plates": {name: {"path": "x"}}}))
    pipeline.write_text(json.dumps({"steps": [{"name": name, "func": "openhcs:tophat"}]}))
    return (WorkflowConfig, config), (PipelineConfig, pipeline)


@pytest.mark.parametrize(
    "name",
    ["Größe (細胞)", "1st + 2nd", "v1.5-b", "(x)", "+", "-", "_", "a  b", "input",
     "x" * 100, "é" * 50],
)  # fmt: skip
def test_names_that_files_and_rules_can_have(tmp_path, name):
    for model, path in _names(tmp_path, name):
        assert validate(model, load_yaml(path))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        *(
            (name, NOT_A_NAME)
            for name in [
                "", " ", " a", "a ", ".a", "..", "a/b", "a\\b", "a'b", 'a"b', "a{b}", "$a", "a\nb",
                "a\n", "a\tb", "a:b", "a*", "a?b", "[a]", "a;b", "a`b`", "a|b", "a&b", "a<b",
                "a\0b", "e\u0301", "a\u200bb", "a,b", "a=b", "a~", "a#b", "a%b", "a@b", "a!",
            ]
        ),
        *((name, "is a name of ours; choose") for name in ["all", "ALL", "a.json", "a.zarr"]),
        ("x" * 101, "a name of 101 bytes; use 100 at most"),
        ("細" * 34, "a name of 102 bytes; use 100 at most"),
    ],
)  # fmt: skip
def test_names_that_they_cannot_have_are_refused_with_the_reason(tmp_path, name, reason):
    for model, path in _names(tmp_path, name):
        with pytest.raises(ErrorGroup) as caught:
            validate(model, load_yaml(path))
        assert any(reason in str(error) for error in caught.value.exceptions)


@pytest.mark.parametrize("folder", ["my results", "é (1)", "../out/é+1.5", "/data/細胞"])
def test_folders_of_results(tmp_path, folder):
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps({"plates": {"p": {"path": "x"}}, "results": folder}))
    assert validate(WorkflowConfig, load_yaml(path)).results == folder


@pytest.mark.parametrize(
    "folder", ["a{b}", "a'b", 'a"b', "$HOME/x", "a*", "a?", "[a]", "a\nb", "a\\b"]
)
def test_folders_that_rules_cannot_have(tmp_path, folder):
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps({"plates": {"p": {"path": "x"}}, "results": folder}))
    with pytest.raises(ErrorGroup) as caught:
        validate(WorkflowConfig, load_yaml(path))
    assert "has a sign that paths in rules cannot have" in str(caught.value.exceptions[0])


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("a/" + "é" * 128, "has 256 bytes; a name in a path has 255 at most"),
        ("a/" * 1001, "a path of 2002 bytes; use 2000 at most"),
    ],
)
def test_paths_that_no_file_system_takes(tmp_path, path, reason):
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps({"plates": {"p": {"path": "x"}}, "results": path}))
    with pytest.raises(ErrorGroup) as caught:
        validate(WorkflowConfig, load_yaml(config))
    assert reason in str(caught.value.exceptions[0])
