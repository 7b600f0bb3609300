"""What runs that this software starts are told on snakemake's command line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openhcs_core.config import check_name
from openhcs_core.errors import ConfigError
from openhcs_core.session.run_session import chosen_plate
from openhcs_core.session.snakemake_arguments import (
    asks_for_dry_run,
    asks_for_part,
    plate_argument,
    snakemake_command,
)


def _is_name(text):
    try:
        return check_name(text) == text
    except ValueError:
        return False


NAMES = st.text(st.sampled_from("aé07Ee_.+-() "), min_size=1, max_size=8).filter(_is_name)


def _read(argument):
    from snakemake.cli import parse_config

    return chosen_plate(parse_config([argument])["plate"])


@given(NAMES)
def test_snakemake_reads_every_name_as_it_is(name):
    assert _read(plate_argument(name)) == name


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("p001", "plate=p001"),
        ("007", "plate=[007]"),
        ("1e3", "plate=[1e3]"),
        ("True", "plate=[True]"),
        ("nan", "plate=[nan]"),
        ("a (2)", "plate=[a (2)]"),
        ("- a", 'plate=["- a"]'),
    ],
)
def test_quotes_stand_only_where_they_must(name, argument):
    assert plate_argument(name) == argument
    assert _read(argument) == name


def test_the_config_comes_last_so_that_arguments_of_others_cannot_take_it_for_theirs():
    command = snakemake_command("Snakefile", ["--cores", "2"], "c.yaml", "p")
    assert command[-3:] == ["--config", "config=c.yaml", "plate=p"]
    assert snakemake_command("Snakefile", [], "c.yaml")[-1] == "config=c.yaml"


def test_settings_of_the_workflow_of_a_user_are_not_lost():
    command = snakemake_command(
        "S", ["--config", "depth=3", "-p", "-C", "a=1", "--config=b=2"], "c"
    )
    assert command[-5:] == ["--config", "depth=3", "a=1", "b=2", "config=c"]
    assert command[-6] == "-p"
    assert command.count("--config") == 1


def test_config_and_plate_are_not_chosen_behind_the_command():
    with pytest.raises(ConfigError, match="--config plate=a stands among the arguments"):
        snakemake_command("S", ["-n", "--config", "plate=a"], "c")


@pytest.mark.parametrize(
    "argument", ["-n", "-np", "-pn", "-nq", "-nR", "-nj4", "--dry-run", "--dryrun", "--dry"]
)
def test_every_way_to_ask_for_a_dry_run_is_known(argument):
    assert asks_for_dry_run(["--profile", "slurm", argument])


def test_other_arguments_ask_for_a_run():
    assert not asks_for_dry_run(["-p", "-k", "-j4", "--nolock", "--until", "n"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["--until", "count"],
        ["--until=count"],
        ["-U", "count"],
        ["-O", "count"],
        ["--omit-from", "count"],
        ["--batch", "all=1/2"],
        ["-pt"],
        ["--touch"],
        ["results/a/tables/count/cell_counts.csv", "--cores", "2"],
    ],
)
def test_every_way_to_ask_for_a_part_is_known(arguments):
    assert asks_for_part(arguments, "results")


def test_other_arguments_ask_for_all():
    arguments = ["-p", "-k", "--forcerun", "count", "-R", "count", "-F", "--retries", "2", "-T2"]
    assert not asks_for_part([*arguments, "--config", "a=b", "--set-resources", "t:u=1"], "results")
