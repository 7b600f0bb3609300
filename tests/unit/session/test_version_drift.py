"""Results of other versions: said before any job, or refused, and nothing is written then."""

import json
from pathlib import Path

import pytest

from openhcs_core.config import RUN_VARIABLE
from openhcs_core.errors import ConfigError
from openhcs_core.plan import canonical_json, digest_text, readable_json
from openhcs_core.registry import RegistryService
from openhcs_core.runtime import Job, execute_step
from openhcs_core.session import RunSession
from openhcs_core.session.environment import installed_versions
from openhcs_core.session.facility import check_plate
from openhcs_core.session.version_drift import recorded_environment
from openhcs_core.testing.plates import write_imagexpress_plate

PIPELINE = """steps:
  - {name: clean, func: {skimage:filters.gaussian: {sigma: 1}}}
  - {name: hat, func: {openhcs:tophat: {selem_radius: 5}}}
"""
CONFIG = "plates:\n  demo: {path: plate}\n"
RESULTS = Path("results/demo")


class NeededJob:
    output = ("results/demo/manifests/clean/A01.json",)
    log = ("results/demo/logs/clean/A01.log",)


def _start_and_end(*jobs):
    """Do what hooks of a snakemake with these jobs do, until its process is gone."""
    session = RunSession()
    session.compile()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(RUN_VARIABLE, "")
        session.start(jobs)
        session.end()
    session._claim.close()


@pytest.fixture
def done(tmp_path, monkeypatch):
    """A working directory with results of today's versions."""
    monkeypatch.chdir(tmp_path)
    write_imagexpress_plate(tmp_path / "plate", [1])
    Path("config").mkdir()
    Path("config/config.yaml").write_text(CONFIG)
    Path("config/pipeline.yaml").write_text(PIPELINE)
    _start_and_end(NeededJob())
    for step in ("clean", "hat"):
        execute_step(Job(RESULTS, step), "A01", RegistryService().load)
    return tmp_path


def _made_with(step, **versions):
    """Let a step's results and plan be those of other versions."""
    plan_file, manifest_file = RESULTS / f"plan/{step}.json", RESULTS / f"manifests/{step}/A01.json"
    plan, manifest = json.loads(plan_file.read_text()), json.loads(manifest_file.read_text())
    function = plan["groups"][0]["functions"][0]
    names = {name.replace("_", "-"): text for name, text in versions.items()}
    function["versions"] |= names
    manifest["functions"][function["ref"]] |= names
    manifest["digest"] = digest_text(canonical_json(plan))
    plan_file.write_text(readable_json(plan))
    manifest_file.write_text(json.dumps(manifest, indent=1))


def _last_run_with(**versions):
    record = {**recorded_environment("results"), **versions}
    Path("results/.plan/environment.json").write_text(json.dumps(record))


def _set(drift):
    Path("config/config.yaml").write_text(f"{CONFIG}version_drift: {drift}\n")


def _warnings():
    return "\n".join(text for text in RunSession().compile().warnings if "made with" in text)


def test_the_same_versions_say_nothing_whatever_else_is_edited(done):
    _set("refuse")
    assert _warnings() == ""
    text = Path("config/pipeline.yaml").read_text()
    Path("config/pipeline.yaml").write_text(text.replace("sigma: 1", "sigma: 2"))
    assert _warnings() == ""
    assert _warnings() == "", "nor when its manifest was put aside"


def test_a_library_that_steps_depend_on_is_named_with_them_until_they_ran_again(done):
    now = installed_versions()["scikit-image"]
    _made_with("clean", scikit_image="0.1")
    _made_with("hat", scikit_image="0.1")
    expected = f"results were made with scikit-image 0.1 (now {now}) in steps clean, hat:"
    assert expected in _warnings()
    assert expected in _warnings(), "a dry run has replaced the plans meanwhile"
    assert expected in "".join(check_plate("config/config.yaml", "demo").warnings)
    _set("ignore")
    assert _warnings() == ""
    for step in ("clean", "hat"):
        execute_step(Job(RESULTS, step), "A01", RegistryService().load)
    _set("refuse")
    assert _warnings() == ""


def test_refusing_writes_nothing_and_says_what_to_do(done):
    _set("refuse")
    _made_with("hat", scipy="0.1")
    files = {path: path.read_bytes() for path in Path("results").rglob("*") if path.is_file()}
    for _ in range(2):
        with pytest.raises(
            ConfigError, match=r"config/config\.yaml version_drift: refuse.*scipy 0\.1"
        ):
            RunSession().compile()
        with pytest.raises(ConfigError, match="version_drift: refuse"), RunSession().alone():
            pass
        assert "scipy 0.1" in str(check_plate("config/config.yaml", "demo").error)
    after = {path: path.read_bytes() for path in Path("results").rglob("*") if path.is_file()}
    assert after == files


def test_what_no_digest_has_is_told_by_the_record_of_the_last_run(done):
    assert recorded_environment("results") == installed_versions()
    _last_run_with(tifffile="0.1", click="0.1")
    text = _warnings()
    now = installed_versions()["tifffile"]
    assert f"the last run was made with tifffile 0.1 (now {now}): nothing runs again" in text
    assert "click" not in text
    _start_and_end()
    assert recorded_environment("results")["tifffile"] == "0.1", "a run without jobs made nothing"
    _start_and_end(NeededJob())
    assert _warnings() == ""


def test_other_code_of_our_functions_is_told(done):
    plan = json.loads((RESULTS / "plan/hat.json").read_text())
    source = plan["groups"][0]["functions"][0]["versions"]["source"]
    _made_with("hat", source="0" * 32)
    assert f"code of openhcs:tophat 00000000 (now {source[:8]}) in step hat" in _warnings()


def test_a_plate_without_results_is_not_made_with_another_library_than_those_before(
    done, monkeypatch
):
    monkeypatch.setattr("openhcs_core.session.version_drift._DECIDING", ())  # as for torch or cupy
    _last_run_with(**{"scikit-image": "0.1"})
    _set("refuse")
    write_imagexpress_plate(done / "new", [1])
    text = Path("config/config.yaml").read_text()
    Path("config/config.yaml").write_text(text.replace("demo: {path: plate}", "new: {path: new}"))
    with pytest.raises(ConfigError, match=r"made with scikit-image 0\.1"):
        RunSession(plate="new").compile()


def test_each_plate_has_the_versions_of_its_own_last_run(done):
    _last_run_with(tifffile="0.1")
    assert recorded_environment("results", "demo") == installed_versions()
