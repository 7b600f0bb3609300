"""Edits of steps and of how images are kept; files that were deleted."""

from rerun_edits import actions
from rerun_edits.actions import Delete, add_to_config, in_pipeline
from rerun_edits.model import (
    ALL,
    COUNT,
    COUNT_A01,
    FLATTEN,
    STORE,
    Edit,
    named,
    wells,
)
from rerun_edits.project import PIPELINE
from rerun_edits.settings import KEEP

_CLEAN = "  - name: clean\n    func: {mine:clean: {offset: 1}}\n"
_FLATTEN = """  - name: flatten
    func:
      - openhcs:max_projection
      - openhcs:stack_percentile_normalize: {low_percentile: 1.0, high_percentile: 99.5}
    variable_components: [z_index]
"""
_COUNT = "  - name: count\n"
_FLATTEN_STORE = named("flatten store")


def _swap_steps(project):
    text = (project.folder / PIPELINE).read_text()
    project.write(PIPELINE, text.replace(_FLATTEN, "").replace(_CLEAN, _FLATTEN + _CLEAN))


STEPS = (
    Edit(
        "step-renamed",
        "`flatten` renamed to `project`",
        in_pipeline("name: flatten", "name: project"),
        wells("project") | COUNT,
    ),
    Edit(
        "step-inserted",
        "a step `again` between `flatten` and `count`",
        in_pipeline(_COUNT, f"  - {{name: again, func: openhcs:max_projection}}\n{_COUNT}"),
        wells("again") | COUNT,
    ),
    Edit(
        "step-appended",
        "a step `last` after `count`",
        in_pipeline("overrides:", "  - {name: last, func: openhcs:max_projection}\noverrides:"),
        wells("last") | named("last store"),
    ),
    Edit("step-removed", "`flatten` removed", in_pipeline(_FLATTEN, ""), COUNT, is_compared=True),
    Edit("steps-swapped", "`clean` and `flatten` swapped", _swap_steps, ALL),
    Edit(
        "rewired",
        "`input_source: pipeline_start` for `count`",
        in_pipeline(_COUNT, f"{_COUNT}    input_source: pipeline_start\n"),
        FLATTEN | _FLATTEN_STORE,
        note="Nothing reads `flatten` any more, so its images are kept.",
    ),
    Edit(
        "kept",
        "`keep: true` for `flatten`",
        in_pipeline(_FLATTEN, f"{_FLATTEN}{KEEP}"),
        FLATTEN | _FLATTEN_STORE,
        note="What reads it runs too: Snakemake runs what follows a job that runs.",
    ),
    Edit(
        "leaf-not-kept",
        "`keep: false` for `count`",
        in_pipeline("keep: true", "keep: false"),
        note="Steps that nothing reads are always kept.",
    ),
    Edit(
        "compressor",
        "`storage.zarr.compressor`",
        add_to_config("storage: {zarr: {compressor: LZ4}}"),
        COUNT | named("top A01"),
        note="Steps that are kept, on every plate.",
    ),
    Edit(
        "as-tiff",
        "`materialize: {backend: disk}` for `count`",
        in_pipeline(KEEP, "    materialize: {backend: disk}\n"),
        COUNT,
    ),
    Edit(
        "sub-dir",
        "`materialize: {sub_dir: final}` for `count`",
        in_pipeline(KEEP, "    materialize: {sub_dir: final}\n"),
        COUNT | STORE,
    ),
)

FILES = (
    Edit(
        "manifest",
        "`manifests/flatten/A01.json`",
        Delete("demo/manifests/flatten/A01.json"),
        wells("flatten", of=["A01"]) | COUNT_A01,
    ),
    Edit(
        "well-table",
        "a well's table of `count`",
        Delete("demo/tables/count/A01.1.cell_counts.csv"),
        COUNT_A01,
    ),
    Edit("rois", "a well's outlines", Delete("demo/rois/count/A01.1.masks.roi.zip"), COUNT_A01),
    Edit("kept-well", "a well of kept images", Delete("demo/count.ome.zarr/A/01"), COUNT_A01),
    Edit(
        "kept-field",
        "a field of kept images",
        Delete("demo/count.ome.zarr/A/01/0"),
        COUNT_A01,
        note="Single chunks and TIFFs inside a folder are not looked for.",
    ),
    Edit("kept-plate", "all kept images of `count`", Delete("demo/count.ome.zarr"), COUNT | STORE),
    Edit(
        "plate-table",
        "a plate table",
        Delete("demo/tables/count/cell_counts.csv"),
        named("count cell_counts.csv"),
    ),
    Edit("plan-file", "a plan file", Delete("demo/plan/flatten.json")),
    Edit("table-plan", "a table's plan file", Delete("demo/plan/count/cell_counts.csv.json")),
    Edit("all-plans", "the folder `plan`", Delete("demo/plan")),
    Edit("index", "a well's index file", Delete("demo/index/A01.json")),
    Edit("dot-plan", "the folder `results/.plan`", Delete(".plan")),
    Edit("workspace", "the folder `workspace`", Delete("demo/workspace")),
    Edit("cache", "the cache of images", Delete(".cache")),
    Edit(
        "cache-and-edit",
        "the cache, and then a parameter of the last step edited",
        actions.delete_cache_and_edit,
        COUNT,
        note="Jobs compute the images that they need again themselves.",
        is_compared=True,
    ),
)
