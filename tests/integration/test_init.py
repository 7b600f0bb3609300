"""What init writes runs through snakemake as it is."""

import csv
import subprocess
import sys

import numpy as np
import pytest
import tifffile


def init(project, *plates):
    return subprocess.run(
        [sys.executable, "-m", "openhcs_core", "init", *plates],
        capture_output=True,
        text=True,
        cwd=project.folder,
        check=False,
    )


@pytest.mark.parametrize("is_stack", [True, pytest.param(False, marks=pytest.mark.thorough)])
def test_the_starter_pipeline_runs(tmp_path, project_type, is_stack):
    project = project_type(tmp_path)
    y, x = np.mgrid[:64, :64]
    circles = [(y - at_y) ** 2 + (x - at_x) ** 2 < 36 for at_y, at_x in ((20, 20), (45, 40))]
    nuclei = 200 + 3000 * np.any(circles, axis=0)
    for z in (1, 2) if is_stack else (1,):
        for channel, pixels in ((1, np.zeros((64, 64))), (2, nuclei)):
            folder = tmp_path / "plate" / (f"ZStep_{z}" if is_stack else ".")
            folder.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(folder / f"P_A01_s1_w{channel}.tif", (pixels + z).astype("uint16"))
    started = init(project, "plate")
    assert started.returncode == 0, started.stderr
    text = (tmp_path / "config/pipeline.yaml").read_text()
    assert ("max_projection" in text) == is_stack
    # names of channels are unknown: the first is counted until somebody says otherwise
    (tmp_path / "config/pipeline.yaml").write_text(
        text.replace('"1": {openhcs:count', '"2": {openhcs:count').replace(
            '"2": openhcs:measure', '"1": openhcs:measure'
        )
    )
    run = project.snakemake()
    assert run.returncode == 0, run.output
    with (tmp_path / "results/plate/tables/count/cell_counts.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 2  # a row a nucleus
