"""Results of real runs are what ``verify`` expects, before and after ``gc --stale``."""


def test_a_run_without_a_well_and_gc_leave_results_as_written(finished):
    """The plate was copied, so its images are verified where they were analysed."""
    whole = finished.tracked_bytes()
    clean = finished.command("verify", "results", "--raw", "--cache")
    assert clean.returncode == 0, clean.stdout
    assert clean.stdout.endswith("compared: all as written\n")
    finished.edit("config/config.yaml", "plate}", "plate, wells: [B02]}")
    run = finished.snakemake()
    assert run.returncode == 0, run.output
    left = finished.command("verify", "results")
    assert left.returncode == 0
    assert "leftover results/demo/manifests/count/B03.json" in left.stdout
    gone = finished.command("gc", "--stale")
    assert gone.returncode == 0, gone.stderr
    assert finished.command("verify", "results").stdout.endswith("all as written\n")
    rest = finished.tracked_bytes()
    assert not [name for name in rest if "B03" in name or "/B/03" in name]
    assert set(whole) - set(rest) == {name for name in whole if "B03" in name or "/B/03/" in name}
    assert {name for name in rest if rest[name] != whole[name]} == {
        "count.ome.zarr/zarr.json",
        "tables/count/cell_counts.csv",
        "tables/count/intensities.csv",
    }
    again = finished.snakemake("--dry-run")
    assert "Nothing to be done" in again.output
