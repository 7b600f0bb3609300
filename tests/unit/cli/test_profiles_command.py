"""``openhcs-core profiles``: copies where snakemake looks, nobody's changes lost."""

import json
from pathlib import Path

import pytest

from openhcs_core.cli.main import main

ROOT = Path(__file__).parents[3]


@pytest.fixture
def folders(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", f"{tmp_path / 'site'}:/etc/xdg")
    return tmp_path


def test_profiles_are_copied_for_the_user_or_the_site(folders, capsys):
    assert main(["profiles", "install"]) == 0
    assert main(["profiles", "install", "slurm", "--site"]) == 0
    assert main(["profiles", "install", "slurm", "--to", str(folders / "there")]) == 0
    for place in ("user/snakemake", "site/snakemake", "there"):
        for name in ("config.yaml", "partitions.yaml"):
            copy = folders / place / "slurm" / name
            assert copy.read_bytes() == (ROOT / "profiles/slurm" / name).read_bytes()
            assert copy.stat().st_mode & 0o444 == 0o444  # others read what the site installs
    assert not (folders / "user/snakemake/default").exists()
    capsys.readouterr()
    assert main(["profiles", "list"]) == 0
    told = capsys.readouterr().out
    assert f"installed in {folders / 'site/snakemake/slurm'}" in told


def test_a_changed_file_stays_until_it_is_forced(folders, capsys):
    assert main(["profiles", "install", "slurm"]) == 0
    mine = folders / "user/snakemake/slurm/config.yaml"
    mine.write_text("executor: slurm\njobs: 7\n")
    capsys.readouterr()
    assert main(["profiles", "install", "slurm", "--json"]) == 0
    done = {Path(one["path"]).name: one for one in json.loads(capsys.readouterr().out)}
    assert mine.read_text() == "executor: slurm\njobs: 7\n"
    new = Path(done["config.yaml"]["beside"])
    assert new.read_bytes() == (ROOT / "profiles/slurm/config.yaml").read_bytes()
    assert done["partitions.yaml"]["is_same"]
    assert main(["profiles", "install", "slurm", "--force"]) == 0
    assert mine.read_bytes() == new.read_bytes()


def test_what_cannot_be_installed_is_said(folders, capsys):
    assert main(["profiles", "install", "slrum"]) == 2
    assert "no profile is called 'slrum'; there are slurm" in capsys.readouterr().err
    (folders / "file").write_text("")
    assert main(["profiles", "install", "--to", str(folders / "file")]) == 2
    assert str(folders / "file") in capsys.readouterr().err
    (folders / "odd/slurm/config.yaml").mkdir(parents=True)
    assert main(["profiles", "install", "--to", str(folders / "odd")]) == 2
    assert "config.yaml" in capsys.readouterr().err
