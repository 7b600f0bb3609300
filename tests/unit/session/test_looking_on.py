"""Who looks on while a run is live is never refused when the config is the run's."""

from pathlib import Path

import pytest

from openhcs_core.errors import RunLockedError
from openhcs_core.plan import Measurement, measurement_path
from openhcs_core.session.run_claim import RunClaim
from openhcs_core.session.run_session import RunSession
from openhcs_core.testing.plates import write_imagexpress_plate

CONFIG = "config.yaml"
PIPELINE = "steps: [{name: smooth, func: skimage:filters.gaussian}]\n"
COLUMNS = tuple(range(1, 13))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Two plates, with batches of wells by what these take."""
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        write_imagexpress_plate(Path(name), COLUMNS)
    execution = "execution: {wells_per_job: auto, minutes_per_job: 1}\n"
    Path(CONFIG).write_text(
        f"plates: {{a: {{path: a}}, b: {{path: b}}}}\npipeline: p.yaml\n{execution}"
    )
    Path("p.yaml").write_text(PIPELINE)
    return tmp_path


@pytest.fixture
def live():
    """What lets a run of all plates, or of one, be live until the test ends."""
    claims = []

    def start(plate=None):
        claims.append(RunClaim(Path("results"), ["a", "b"] if plate is None else [plate], plate))
        assert claims[-1].take()

    yield start
    for claim in claims:
        claim.close()


def _plan(compilation):
    return [plate.batches for plate in compilation.compiled.plates]


def _record(compilation, cpu_s):
    (step,) = compilation.compiled.plates[0].steps
    refs = tuple(function.ref for function in step.functions)
    took = Measurement(digest="d", functions=refs, wall_s=cpu_s, cpu_s=cpu_s, peak_mb=100)
    for plate in "ab":
        for column in COLUMNS:
            path = Path("results", plate, measurement_path(step.step_name, f"A{column:02d}"))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(took.model_dump_json())


@pytest.mark.parametrize("plate", [None, "a"])
def test_jobs_stay_cut_as_the_live_run_has_them_whatever_wells_take(project, live, plate):
    begun = RunSession(CONFIG, plate).compile()
    assert {len(batches) for batches in _plan(begun)} == {1}
    live(plate)
    _record(begun, 60)
    looked = RunSession(CONFIG, plate).compile()
    assert _plan(looked) == _plan(begun)
    assert "until it ends only -n is possible" in looked.warnings[-1]


def test_the_next_run_cuts_them_by_what_they_took(project):
    begun = RunSession(CONFIG).compile()
    _record(begun, 60)
    assert {len(batches) for batches in _plan(RunSession(CONFIG).compile())} == {0}


def test_what_would_change_plans_is_refused_as_ever(project, live):
    begun = RunSession(CONFIG).compile()
    live()
    _record(begun, 60)
    other = PIPELINE.replace("skimage:filters.gaussian", "{skimage:filters.gaussian: {sigma: 3}}")
    Path("p.yaml").write_text(other)
    with pytest.raises(RunLockedError, match="this config would change"):
        RunSession(CONFIG).compile()


@pytest.mark.parametrize(("running", "looking"), [(None, "a"), ("a", None), ("b", "a")])
def test_one_plate_is_looked_at_beside_a_run_of_all_and_all_beside_one(
    project, live, running, looking
):
    RunSession(CONFIG).compile()
    RunSession(CONFIG, running).compile()
    before = {path: path.read_bytes() for path in Path("results").rglob("*.smk")}
    live(running)
    looked = RunSession(CONFIG, looking).compile()
    assert len(looked.compiled.plates) == (2 if looking is None else 1)
    assert all(path.read_bytes() == content for path, content in before.items())
