"""OME-Zarr 0.4 through a whole run, and back to 0.5: rules ask for the files of each version."""

import json

PIPELINE = "steps:\n  - {name: hat, func: openhcs:tophat}\n"
OLD = 'storage: {zarr: {ome_zarr_version: "0.4", pyramid_levels: 2}}\n'


def test_a_plate_is_kept_in_version_0_4_and_changed_to_0_5(small_project):
    project = small_project((1,))
    project.write("config/pipeline.yaml", PIPELINE)
    config = (project.folder / "config/config.yaml").read_text()
    project.write("config/config.yaml", config + OLD)
    run = project.snakemake()
    assert run.returncode == 0, run.output
    store = project.results / "hat.ome.zarr"
    assert {"plate"} <= set(json.loads((store / ".zattrs").read_text()))
    assert not list(store.rglob("zarr.json"))
    assert (store / "A/01/0/1/.zarray").is_file()
    import yaozarrs

    yaozarrs.validate_zarr_store(str(store))

    project.write("config/config.yaml", config)
    run = project.snakemake()
    assert run.returncode == 0, run.output
    assert run.jobs == [("hat", "A01"), ("hat", "store")]
    assert not list(store.rglob(".z*"))
    yaozarrs.validate_zarr_store(str(store))
