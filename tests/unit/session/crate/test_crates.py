"""What is refused of results and crates, and what a crate says of plans and digests."""

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from openhcs_core.cli.commands import cli
from openhcs_core.cli.main import main
from openhcs_core.errors import ConfigError, InputDataError
from openhcs_core.registry import RegistryService
from openhcs_core.runtime import Job, execute_step, read_manifest
from openhcs_core.session import compile_workflow, write_files
from openhcs_core.session.crate import (
    CrateOptions,
    compare,
    prepare,
    read_crate,
    write_crate,
)
from openhcs_core.testing.plates import image_path

CONFIG = "config/config.yaml"
RESULTS = Path("results/demo")
METADATA = RESULTS / "ro-crate-metadata.json"


def make(**options):
    return write_crate(RESULTS, CONFIG, CrateOptions(**options))


def graph():
    return {entity["@id"]: entity for entity in json.loads(METADATA.read_text())["@graph"]}


def test_the_same_results_give_the_same_crate(folder):
    make()
    first = METADATA.read_bytes()
    make()
    assert METADATA.read_bytes() == first


def test_parameters_of_single_wells_stand_beside_those_of_all(folder):
    make()
    values = {
        entity["name"]: entity["value"]
        for entity in graph().values()
        if "min_area" in entity.get("name", "") and entity["@type"] == "PropertyValue"
    }
    name = "count/1 openhcs:count_cells_single_channel/min_area"
    assert values == {name: 20, f"{name} in A02": 30}


def test_the_licence_and_person_are_those_given(folder):
    make(license="https://example.org/licence", person="A", orcid="https://orcid.org/0")
    found = graph()
    assert found["./"]["license"] == {"@id": "https://example.org/licence"}
    assert found["#run"]["agent"] == {"@id": "https://orcid.org/0"}
    make()
    assert "No licence" in graph()["./"]["license"]


def test_files_of_an_earlier_crate_go_and_gc_knows_the_crate(folder):
    make()
    (RESULTS / "ro-crate/functions").mkdir()
    (RESULTS / "ro-crate/functions/old.py").write_text("")
    make()
    assert not (RESULTS / "ro-crate/functions/old.py").exists()
    shutil.copytree("plate", "plate2")
    Path(CONFIG).write_text("plates:\n  new: {path: plate2}\n")
    assert main(["gc", "--stale", "--plate", "demo"]) == 0
    assert not RESULTS.exists()


def test_unfinished_results_and_other_configs_are_refused(folder):
    (RESULTS / "manifests/count/A02.json").unlink()
    with pytest.raises(ConfigError, match=r"1 jobs are not done.*count of A02.*run\s+snakemake"):
        make()
    assert not METADATA.exists()


def test_a_config_that_was_edited_since_is_refused(folder):
    Path("config/pipeline.yaml").write_text(
        Path("config/pipeline.yaml").read_text().replace("sigma: 1", "sigma: 2")
    )
    with pytest.raises(ConfigError, match="smooth of A01"):
        make()


def test_results_made_from_what_is_no_more_are_refused(folder):
    shutil.copy(image_path(Path("plate"), "A02", 1), image_path(Path("plate"), "A01", 1))
    write_files(compile_workflow(CONFIG).files)
    execute_step(Job(RESULTS, "smooth"), "A01", RegistryService().load)
    with pytest.raises(ConfigError, match="not finished: step count of A01"):
        make()


def test_another_plate_that_is_broken_does_not_matter(folder):
    text = Path(CONFIG).read_text()
    Path(CONFIG).write_text(f"{text}  gone: {{path: gone}}\n")
    assert make().record.inputs


def test_a_missing_table_is_named(folder):
    (RESULTS / "tables/count/cell_counts.csv").unlink()
    with pytest.raises(ConfigError, match=r"has no tables/count/cell_counts\.csv"):
        make()


def test_a_folder_that_is_no_plate_of_the_config_is_named(folder):
    with pytest.raises(ConfigError, match="results has no results of a plate of"):
        write_crate(Path("results"), CONFIG, CrateOptions())


@pytest.mark.parametrize("name", ["manifests/count/A01.json", "ro-crate/config.yaml"])
def test_a_file_that_was_altered_since_is_named(folder, name):
    make()
    path = RESULTS / name
    path.write_text(path.read_text() + " ")
    with pytest.raises(InputDataError, match=f"{re.escape(name)} is not the file"):
        read_crate(RESULTS)
    path.unlink()
    with pytest.raises(InputDataError, match=f"{re.escape(name)} is missing"):
        read_crate(RESULTS)


def test_what_is_no_crate_is_refused(folder):
    with pytest.raises(ConfigError, match="is no crate"):
        read_crate(Path("plate"))
    METADATA.write_text("[]")
    with pytest.raises(ConfigError, match="no RO-Crate description"):
        read_crate(RESULTS)
    METADATA.write_text('{"@graph": []}')
    with pytest.raises(ConfigError, match=r"describes no ro-crate/config\.yaml"):
        read_crate(RESULTS)


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "a/%2e%2e/%2e%2e/b"])
def test_files_outside_a_crate_are_not_read(folder, name):
    make()
    data = json.loads(METADATA.read_text())
    data["@graph"].append({"@id": name, "@type": "File", "sha256": "0" * 64})
    METADATA.write_text(json.dumps(data))
    with pytest.raises(ConfigError, match="outside the crate"):
        read_crate(RESULTS)


def test_a_run_is_repeated_in_a_fresh_folder_with_the_plate_where_it_is(folder):
    make()
    crate = read_crate(RESULTS)
    with pytest.raises(ConfigError, match="config is there already"):
        prepare(crate, None, Path("config"))
    with pytest.raises(ConfigError, match=r"not in nowhere; say with --plate"):
        prepare(crate, "nowhere", Path("again"))
    assert not Path("again").exists()
    prepare(crate, None, Path("again"))
    config = Path("again/config.yaml").read_text()
    assert json.loads(config.partition("\n")[2])["plates"]["demo"]["path"] == str(folder / "plate")
    assert Path("again/workflow/Snakefile").exists()


def test_results_are_compared_digest_by_digest(folder):
    make()
    crate = read_crate(RESULTS)
    Path("again/results").mkdir(parents=True)
    shutil.copytree(RESULTS, "again/results/demo")
    same = compare(crate, Path("again"))
    assert (same.exit_code, same.differences, same.jobs) == (0, (), 4)

    path = Path("again/results/demo/manifests/smooth/A01.json")
    data = json.loads(path.read_text())
    data["images"][0]["planes"][0]["digest"] = "0" * 32
    data["functions"]["skimage:filters.gaussian"]["scikit-image"] = "0.0"
    path.write_text(json.dumps(data))
    Path("again/results/demo/manifests/count/A02.json").unlink()
    Path("again/results/demo/tables/count/cell_counts.csv").write_text("objects\n")
    other = compare(crate, Path("again"))
    assert [(one.kind, one.step, one.well, one.name) for one in other.differences] == [
        ("job", "count", "A02", ""),
        ("image", "smooth", "A01", "A01_s001_w1_z001_t001.tif"),
        ("file", "count", "plate", "tables/count/cell_counts.csv"),
    ]
    recorded = read_manifest(RESULTS / "manifests/smooth/A01.json")
    assert recorded.images[0].planes[0].digest in str(other.differences[1])


def test_plans_of_other_versions_are_told_and_are_no_difference_of_results(folder):
    make()
    crate = read_crate(RESULTS)
    Path("again/results").mkdir(parents=True)
    shutil.copytree(RESULTS, "again/results/demo")
    path = Path("again/results/demo/plan/smooth.json")
    data = json.loads(path.read_text())
    data["groups"][0]["functions"][0]["versions"]["scikit-image"] = "0.0"
    path.write_text(json.dumps(data))
    found = compare(crate, Path("again"))
    assert found.exit_code == 0
    ((difference,),) = (plan.differences for plan in found.plans)
    assert (difference.kind, difference.name, difference.new) == ("version", "scikit-image", "0.0")


def test_commands_say_what_they_wrote_and_what_is_wrong(folder):
    run = CliRunner().invoke(cli, ["rocrate", str(RESULTS), "--json"])
    assert json.loads(run.output)["images"] == ["count.ome.zarr/"]
    assert main(["rerun", "plate"]) == 2
    path = RESULTS / "ro-crate/pipeline/pipeline.yaml"
    path.write_text(path.read_text() + "#")
    assert main(["rerun", str(RESULTS)]) == 3
