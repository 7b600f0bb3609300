"""How plates are cut into runs of snakemake, and what one plate's end says of all."""

from openhcs_core.errors import ConfigError
from openhcs_core.session.facility import (
    CheckedPlate,
    Outcome,
    Task,
    cut_tasks,
    exit_code,
    write_outcomes,
)

GOOD = [CheckedPlate(name, wells=2, jobs=10) for name in "abc"]
BROKEN_ONE = Outcome("d", "broken")
BROKEN = CheckedPlate("d", error=ConfigError("no folder"))


def test_few_jobs_are_one_run_and_many_a_run_a_plate():
    assert cut_tasks(GOOD, 3, 30) == [Task(tuple(GOOD), is_of_one=False)]
    assert cut_tasks(GOOD, 3, 29) == [Task((plate,)) for plate in GOOD]
    assert cut_tasks(GOOD, 3, 0) == [Task((plate,)) for plate in GOOD]


def test_a_part_of_the_plates_and_one_alone_are_never_done_as_all():
    assert [task.name for task in cut_tasks([*GOOD, BROKEN], 4, 1000)] == ["a", "b", "c"]
    assert [task.name for task in cut_tasks(GOOD[:2], 3, 1000)] == ["a", "b"]
    assert cut_tasks(GOOD[:1], 1, 1000) == [Task((GOOD[0],))]
    assert cut_tasks([BROKEN], 1, 1000) == []


def test_the_exit_code_is_that_of_the_first_plate_that_is_not_done():
    done, failed = Outcome("a", "done"), Outcome("b", "failed", exit_code=4)
    assert exit_code([done, done]) == 0
    assert exit_code([done, failed, Outcome("c", "broken", exit_code=2)]) == 4
    assert exit_code([Outcome("c", "looked at"), done]) == 0
    assert exit_code([Outcome("c", "failed")]) == 1
    assert exit_code([Outcome("c", "failed", exit_code=-9)]) == 1, "ended by a signal"


def test_plates_that_were_not_asked_for_keep_their_line_of_the_table(tmp_path):
    folder = str(tmp_path)
    first = [Outcome("a", "done", cpu_h=0.5), Outcome("b", "failed", reason="x, y"), BROKEN_ONE]
    path = tmp_path / "plates.csv"
    assert write_outcomes(folder, first, ["a", "b", "d"]) == str(path)
    header, a, _, _ = path.read_text().splitlines()
    write_outcomes(folder, [Outcome("b", "done")], ["c", "a", "b"])
    lines = path.read_text().splitlines()
    assert lines[:2] == [header, a]
    assert lines[2].startswith("b,done,")
    assert len(lines) == 3, "nothing of a plate that the config no longer has"
    path.write_text("somebody's own table\n")
    write_outcomes(folder, [Outcome("b", "done")], ["a", "b"])
    assert len(path.read_text().splitlines()) == 2
