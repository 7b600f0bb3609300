"""Which plans are today's where some plates were compiled with all, and some alone since."""

import json

from openhcs_core.plan import PLATE_TARGET
from openhcs_core.session.plan_indices import (
    forget_plate_indices,
    jobs_of_others,
    plate_indices,
    whole_index,
)


def _write(path, **plates):
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = {
        name: {
            "wells": ["A01", "B02"],
            "digests": {"count": digest},
            "well_digests": {"count": {"B02": f"{digest} of B02"}},
            "resources": {"count": {"gpu": gpu}},
        }
        for name, (digest, gpu) in plates.items()
    }
    path.write_text(json.dumps({"plates": entries}))


def test_jobs_of_other_plates_are_current_and_the_newer_index_counts(tmp_path):
    _write(whole_index(tmp_path), a=("old", 0), b=("whole", 1), c=("c", 0))
    _write(tmp_path / ".plan/plates/a/plan.json", a=("own", 0))
    jobs = jobs_of_others(tmp_path, frozenset({"c"}))
    assert jobs == {
        ("own", "A01"): False,
        ("own of B02", "B02"): False,
        ("own", PLATE_TARGET): False,
        ("whole", "A01"): True,
        ("whole of B02", "B02"): True,
        ("whole", PLATE_TARGET): True,
    }


def test_compiling_all_ends_what_single_ones_said(tmp_path):
    _write(tmp_path / ".plan/plates/a/plan.json", a=("own", 0))
    (tmp_path / ".plan/plates/a/rules.smk").touch()
    (tmp_path / ".plan/plates/a/lock").touch()
    assert list(plate_indices(tmp_path)) == ["a"]
    forget_plate_indices(tmp_path)
    assert plate_indices(tmp_path) == {}
    assert [path.name for path in (tmp_path / ".plan/plates/a").iterdir()] == ["lock"]


def test_nothing_is_known_where_nothing_or_something_else_lies(tmp_path):
    assert jobs_of_others(tmp_path, frozenset()) == {}
    whole_index(tmp_path).parent.mkdir()
    whole_index(tmp_path).write_text("[")
    assert jobs_of_others(tmp_path, frozenset()) == {}
