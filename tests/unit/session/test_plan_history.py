"""Replaced plans and indices stay as long as a result that was made by them."""

import json
import os

import pytest

from openhcs_core.ground.commit_records import forget_manifest
from openhcs_core.plan import canonical_json, digest_text
from openhcs_core.session import RunSession
from openhcs_core.session.plan_history import old_indices, read_old_plan
from openhcs_core.testing.plates import image_path, write_imagexpress_plate

PIPELINE = "steps:\n  - {name: clean, func: {skimage:filters.gaussian: {sigma: 1}}}\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_imagexpress_plate(tmp_path / "plate", [1, 2])
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text("plates:\n  demo: {path: plate}\n")
    (tmp_path / "config/pipeline.yaml").write_text(PIPELINE)
    RunSession().compile()
    return tmp_path


def _plan(project):
    return json.loads((project / "results/demo/plan/clean.json").read_bytes())


def _pretend_done(project, well):
    """Leave a manifest that carries today's plan."""
    path = project / f"results/demo/manifests/clean/{well}.json"
    forget_manifest(path.parents[2], "clean", well)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"digest": digest_text(canonical_json(_plan(project)))}, indent=1))


def _compile(project, sigma):
    (project / "config/pipeline.yaml").write_text(PIPELINE.replace("sigma: 1", f"sigma: {sigma}"))
    RunSession().compile()


def _kept(project):
    return {path.stem for path in (project / "results/.plan/history/demo").glob("*.json")}


def test_a_plan_is_kept_while_a_manifest_carries_it(project):
    first = _plan(project)
    digest = digest_text(canonical_json(first))
    _pretend_done(project, "A01")
    for sigma in (2, 3, 4):
        _compile(project, sigma)
        assert _kept(project) == {digest}
    assert read_old_plan("results", "demo", "clean", "A01", digest) == first
    _pretend_done(project, "A01")
    fourth = digest_text(canonical_json(_plan(project)))
    _compile(project, 5)
    assert _kept(project) == {fourth}
    assert read_old_plan("results", "demo", "clean", "A01", digest) is None


def test_nothing_is_kept_of_plans_that_made_nothing(project):
    _compile(project, 2)
    assert _kept(project) == set()


def test_an_index_is_kept_once_something_was_made_from_it(project):
    index, kept = old_indices("results", "demo", "A01")
    first = index.read_bytes()
    os.utime(image_path(project / "plate", "A01", 1), ns=(1, 1))
    RunSession().compile()
    assert not kept.exists()
    assert (second := index.read_bytes()) != first
    _pretend_done(project, "A01")
    for time in (2, 3):
        os.utime(image_path(project / "plate", "A01", 1), ns=(time, time))
        RunSession().compile()
        assert kept.read_bytes() == second
    assert kept.stat().st_mtime_ns < index.stat().st_mtime_ns
    assert not old_indices("results", "demo", "A02")[1].exists()
