"""Which shell lines are run without a shell."""

import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openhcs_core.workers import read_step_line, split_plain_line

STEP = "openhcs-core run-step --plate-dir results/demo --step count --well B02"


def test_a_line_of_the_rules_is_read():
    line = read_step_line(f"{STEP} --digest 0123 --log 'results/my plate/logs/count/B02.log'\n")
    assert line.arguments[:3] == ("run-step", "--plate-dir", "results/demo")
    assert (line.plate_dir, line.scope) == (Path("results/demo"), (("count",), ("B02",)))
    assert (line.target, line.digest) == ("B02", "0123")
    assert line.log == Path("results/my plate/logs/count/B02.log")


@pytest.mark.parametrize(
    ("options", "target"), [("--table cell_counts.csv", "cell_counts.csv"), ("--store", "store")]
)
def test_jobs_of_a_whole_plate_have_no_well(options, target):
    line = read_step_line(f"openhcs-core run-step --plate-dir r/p --step count {options}")
    assert (line.scope.wells, line.target) == ((), target)
    assert line.parts == [("count", target, Path(f"r/p/logs/count/{target}.log"))]


def test_a_job_of_several_steps_and_wells_has_a_log_for_each():
    line = read_step_line(
        "openhcs-core run-step --plate-dir r/p --step a --step b --well B02 --well B03 --logs"
    )
    assert [(step, well) for step, well, _ in line.parts] == [
        ("a", "B02"),
        ("b", "B02"),
        ("a", "B03"),
        ("b", "B03"),
    ]
    assert line.parts[1][2] == Path("r/p/logs/b/B02.log")


@pytest.mark.parametrize(
    "line",
    [
        f"{STEP} | tee log",
        f"{STEP} > log",
        f"{STEP} 2>&1",
        f"{STEP} < in",
        f"{STEP} && touch done",
        f"{STEP}; touch done",
        f"{STEP} &",
        f"{STEP}\n{STEP}",
        f"{STEP} \\\n --log x",
        f"({STEP})",
        f"! {STEP}",
        f"A=1 {STEP}",
        f"time {STEP}",
        f"{STEP} --log $HOME/log",
        f'{STEP} --log "$HOME/log"',
        f"{STEP} --log `date`",
        f"{STEP} --log ~/log",
        f"{STEP} --log *.log",
        f"{STEP} --log l?g",
        f"{STEP} --log [l]og",
        f"{STEP} --log {{a,b}}",
        f"{STEP} --log log # now",
        f"{STEP} --log 'unfinished",
        "",
        "openhcs-core compile",
        "openhcs-core run-step --no-such-option",
        "openhcs-core run-step --help",
        "openhcs-core run-step --plate-dir r/p",
        "/usr/bin/openhcs-core run-step --plate-dir r/p --step a --well B02",
    ],
)
def test_all_other_lines_are_for_a_shell(line):
    assert read_step_line(line) is None


ARGUMENTS = st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))


@given(ARGUMENTS)
def test_what_snakemake_quotes_comes_back(arguments):
    words = ["openhcs-core", *arguments]
    found = split_plain_line(shlex.join(words))
    # what has a quote in it is quoted in a way that is left to the shell
    assert found == tuple(words) or any("'" in word for word in arguments)


PIECES = st.sampled_from(
    ["a", "é", "'", '"', "\\", "$", " ", "\t", "\n", "*", ";", "#", "~", "=", "!", "-"]
)


@pytest.mark.thorough
@given(st.lists(PIECES, max_size=12))
def test_bash_splits_every_accepted_line_the_same_way(pieces):
    line = "echo " + "".join(pieces)
    found = split_plain_line(line)
    if found is not None:
        script = f"shopt -u nullglob; printf '%s\\0' {line.strip()}"
        run = subprocess.run(["bash", "-c", script], capture_output=True, check=True)
        assert run.stdout.decode().split("\0")[:-1] == list(found)
