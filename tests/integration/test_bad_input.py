"""Wrong input: one clear message with file or key and remedy, before any job where possible."""

import json

import pytest


@pytest.mark.parametrize(
    ("file", "old", "new", "texts"),
    [
        (
            "config/config.yaml",
            "path: plate",
            "path: plate, missing_image: allow",
            ["config/config.yaml:2 plates.demo.missing_image", "did you mean 'missing_images'?"],
        ),
        (
            "config/config.yaml",
            "path: plate",
            "path: no/such/plate",
            ["config/config.yaml:2 plates.demo", "no/such/plate"],
        ),
        (
            "config/pipeline.yaml",
            "openhcs:max_projection",
            "openhcs:max_proj",
            ["config/pipeline.yaml:", "steps[1].func", "did you mean 'openhcs:max_projection'?"],
        ),
        (
            "config/pipeline.yaml",
            "min_area: 20",
            "min_aera: 20",
            ["unknown parameter 'min_aera'; did you mean 'min_area'?"],
        ),
        ("config/config.yaml", "path: plate", "path: plate, wells: [B02, H12]", ["H12"]),
    ],
)
def test_config_mistakes_end_before_any_job(project, file, old, new, texts):
    project.edit(file, old, new)
    run = project.snakemake("--dry-run")
    assert run.returncode != 0
    assert run.jobs == []
    for text in texts:
        assert text in run.output
    assert "Traceback" not in run.output


def test_a_missing_image_ends_before_any_job_and_is_named(project):
    (project.plate / "TimePoint_1/ZStep_2/9987_B03_s2_w1.TIF").unlink()
    run = project.snakemake()
    assert run.returncode != 0
    assert run.jobs == []
    assert "B03_s002_w1_z002_t001.tif" in run.output
    assert "missing_images: allow" in run.output


def test_holes_are_left_when_they_are_allowed(project):
    for z in (1, 2):
        (project.plate / f"TimePoint_1/ZStep_{z}/9987_B03_s1_w1.TIF").unlink()
    (project.plate / "TimePoint_1/ZStep_0/9987_B03_s1_w1.TIF").unlink()
    project.edit("config/config.yaml", "path: plate", "path: plate, missing_images: allow")
    run = project.snakemake()
    assert run.returncode == 0, run.output
    rows = (project.results / "tables/count/B03.1.cell_counts.csv").read_text().splitlines()[1:]
    assert {row.split(",")[1] for row in rows} == {"2"}, "site 2 stays site 2"
    planes = json.loads((project.results / "count.ome.zarr/B/03/0/zarr.json").read_text())
    assert sorted(planes["attributes"]["openhcs"]["planes"]) == [
        "B03_s001_w2_z001_t001.tif",
        "B03_s001_w3_z001_t001.tif",
    ]


def test_a_projection_over_a_stack_without_its_first_plane(project):
    (project.plate / "TimePoint_1/ZStep_1/9987_B02_s1_w1.TIF").unlink()
    project.edit("config/config.yaml", "path: plate", "path: plate, missing_images: allow")
    run = project.snakemake()
    assert run.returncode == 0, run.output
    field = json.loads((project.results / "count.ome.zarr/B/02/0/zarr.json").read_text())
    assert "B02_s001_w1_z001_t001.tif" in field["attributes"]["openhcs"]["planes"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("well,dose\nB2,1\n", "'B2' are not wells; write row letters and two digits"),
        ("well,dose\nB02,1\nB02,2\n", "has wells twice: B02"),
        ("name,dose\nB02,1\n", "needs a column 'well'; found name, dose"),
    ],
)
def test_mistakes_of_a_plate_map(project, text, message):
    project.write("map.csv", text)
    project.edit("config/config.yaml", "path: plate", "path: plate, plate_map: map.csv")
    run = project.snakemake("--dry-run")
    assert run.returncode != 0
    assert message in run.output
