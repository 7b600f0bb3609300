"""Runs of all plates and runs of one: a plate never has two."""

from math import inf
from pathlib import Path

import pytest

from openhcs_core.errors import SupersededError
from openhcs_core.ground.turn import Turn
from openhcs_core.session.run_claim import RunClaim, find_last_run


@pytest.fixture
def claim(tmp_path):
    """What makes a claim on some plates, or on one; all are given up in the end."""
    made = []

    def make(plate=None):
        made.append(RunClaim(tmp_path, ["a", "b"] if plate is None else [plate], plate))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_plates_run_beside_each_other_but_none_twice(claim):
    assert claim("a").take()
    assert claim("b").take()
    second = claim("a")
    assert not second.take()
    assert not claim().take()
    assert claim("c").take()


def test_a_run_of_all_plates_is_alone(claim):
    whole = claim()
    assert whole.take()
    assert not claim("a").take()
    assert not claim().take()
    whole.close()
    assert claim("a").take()


def test_what_is_refused_keeps_nothing(claim):
    first = claim("a")
    assert first.take()
    assert not claim("a").take()
    first.close()
    assert claim().take()


def test_messages_name_who_is_in_the_way(claim):
    for plate in "ab":
        one = claim(plate)
        assert one.take()
        one.sign()
    assert "of plate 'a' and of 1 more" in claim().owner()
    assert "process " in claim().owner()
    assert "of plate 'b'" in claim("b").owner()


def test_jobs_of_any_earlier_run_of_their_plate_write_nothing(claim, tmp_path):
    def start(plate=None):
        one = claim(plate)
        assert one.take()
        one.sign()
        one.close()

    def is_superseded(turn):
        try:
            turn.check()
        except SupersededError:
            return True
        return False

    for first, second, plate, expected in [
        (None, None, "a", True),
        (None, "a", "a", True),
        (None, "b", "a", False),
        ("a", "a", "a", True),
        ("a", "b", "a", False),
        ("a", None, "a", True),
    ]:
        start(first)
        turn = Turn(tmp_path / plate, "B02")
        assert not is_superseded(turn)
        start(second)
        assert is_superseded(turn) == expected, (first, second, plate)


def test_the_last_run_of_a_plate_is_known_whichever_kind_it_was(claim, tmp_path):
    assert find_last_run(tmp_path, "a").started == inf
    assert not Path(tmp_path, ".plan").exists()
    whole = claim()
    assert whole.take()
    whole.sign()
    assert find_last_run(tmp_path, "a").is_live
    first = find_last_run(tmp_path, "a").started
    whole.close()
    assert not find_last_run(tmp_path, "a").is_live
    one = claim("a")
    assert one.take()
    one.sign()
    assert find_last_run(tmp_path, "a").is_live
    assert find_last_run(tmp_path, "a").started >= first
    assert not find_last_run(tmp_path, "b").is_live
