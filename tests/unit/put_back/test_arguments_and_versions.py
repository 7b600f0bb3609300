"""What the short way reads by itself is what click and importlib.metadata make of it."""

import itertools
from importlib.metadata import distributions, version

import pytest

from openhcs_core.put_back.arguments import read_arguments
from openhcs_core.put_back.installed import has_versions
from openhcs_core.workers import read_step_line

ALL = ["--plate-dir", "results/a b", "--step", "count", "--well", "B02", "--digest", "d"]


@pytest.mark.parametrize(
    "arguments",
    [
        ALL,
        [*ALL, "--log", "logs/x.log"],
        ALL[:6],
        ["--plate-dir=results/a=b", "--step=count", "--well=B02", "--log="],
    ],
)
def test_one_step_of_one_well_is_read_as_click_reads_it(arguments):
    line = read_step_line("openhcs-core run-step " + " ".join(f"'{word}'" for word in arguments))
    job = read_arguments(arguments)
    assert (job.plate_dir, job.digest, job.log) == (line.plate_dir, line.digest, line.log)
    assert ((job.step,), (job.well,)) == line.scope


def test_several_steps_and_wells_are_read_as_click_reads_them():
    for more in ([], ["--well", "B03"], ["--step", "x", "--well", "B03"]):
        arguments = [*ALL, *more, "--logs"]
        words = " ".join(f"'{word}'" for word in arguments)
        line, job = read_step_line(f"openhcs-core run-step {words}"), read_arguments(arguments)
        assert (job.plate_dir, job.digest) == (line.plate_dir, line.digest)
        assert (job.steps, job.wells) == line.scope


def test_files_of_a_plate_are_read_as_click_reads_them():
    for kind, target in ((["--table", "a b.csv"], "a b.csv"), (["--store"], "store")):
        arguments = ["--step", "s", *kind, "--digest", "d", "--plate-dir", "p", "--log", "l"]
        words = " ".join(f"'{word}'" for word in arguments)
        line, job = read_step_line(f"openhcs-core run-step {words}"), read_arguments(arguments)
        assert (job.plate_dir, job.digest, job.log) == (line.plate_dir, line.digest, line.log)
        assert (
            (job.step, job.table or "store") == (line.scope.steps[0], line.target) == ("s", target)
        )


@pytest.mark.parametrize(
    "arguments",
    [
        *([*ALL, *more] for more in (["--well", "B03"], ["--step", "x"], ["--plate"], ["--check"])),
        *([*ALL, "--logs", *more] for more in (["--log", "l"], ["--table", "t"], ["--logs=1"])),
        *([*ALL, *more] for more in (["--images-only"], ["--help"], ["--log"], ["x"], ["--"])),
        *(ALL[:at] + ALL[at + 2 :] for at in (0, 2, 4)),
        [*ALL, "--table", "t.csv"],
        [*ALL, "--store"],
        ["--plate-dir", "a", "--step", "s", "--store", "--table", "t"],
        [],
    ],
)
def test_all_else_is_for_the_ordinary_way(arguments):
    assert read_arguments(arguments) is None


def test_versions_are_those_of_importlib():
    names = {one.metadata["Name"] for one in distributions()}
    known = {name: version(name) for name in names}
    told = [name for name in known if has_versions([(name, known[name])])]
    assert {"numpy", "scikit-image", "pydantic"} <= set(told)
    for name in itertools.islice(told, 40):
        assert not has_versions([(name, known[name] + ".1")])
    assert has_versions([(name, known[name]) for name in told])
    assert has_versions([("Scikit_Image", version("scikit-image"))])
    assert not has_versions([("numpy", version("numpy")), ("no-such-library", "1")])
    assert has_versions([])


def test_what_is_not_plain_is_not_certain(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    old = tmp_path / "a_library.egg-info"
    old.mkdir()
    (old / "PKG-INFO").write_text("Name: a-library\nVersion: 1\n")
    assert version("a-library") == "1"
    assert not has_versions([("a-library", "1")])
    twice = [tmp_path / f"another-{number}.dist-info" for number in (1, 2)]
    for number, folder in enumerate(twice, start=1):
        folder.mkdir()
        (folder / "METADATA").write_text(f"Name: another\nVersion: {number}\n")
    assert not has_versions([("another", "1")])
    assert not has_versions([("another", "2")])
