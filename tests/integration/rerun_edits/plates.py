"""Edits of plates, wells and images."""

from rerun_edits import actions
from rerun_edits.actions import ChangePixelSize, Replace, ReplaceImage, in_config
from rerun_edits.model import ALL, ALL_A01, COUNT, LEVELS, OTHER, STORE, TABLES, Edit, wells
from rerun_edits.project import MAP

_CHOSEN = "wells: [A01, A02]"
_NO_MAP = in_config(", plate_map: map.csv", "")

WELLS = (
    Edit(
        "well-added",
        "one more well (A03)",
        in_config(_CHOSEN, "wells: [A01, A02, A03]"),
        wells("clean", "flatten", "count", of=["A03"]) | LEVELS | TABLES | STORE,
    ),
    Edit(
        "well-removed",
        "one well fewer",
        in_config(_CHOSEN, "wells: [A02]"),
        LEVELS | TABLES | STORE,
        note="The well's results are named before the run, and stay.",
        is_compared=True,
    ),
    Edit(
        "well-excluded",
        "a well in `exclude_wells`",
        in_config(_CHOSEN, f"{_CHOSEN}, exclude_wells: [A01]"),
        LEVELS | TABLES | STORE,
    ),
    Edit(
        "wells-rewritten",
        "the same wells as a rectangle",
        in_config(_CHOSEN, 'wells: "A01:A02"'),
    ),
    Edit("plate-added", "one more plate", actions.add_plate, OTHER, note="The new plate's jobs."),
    Edit(
        "plate-removed",
        "one plate fewer",
        in_config("  other: {path: other, pipeline: config/other.yaml}\n", ""),
    ),
    Edit(
        "map-added",
        "a plate map",
        in_config("path: plate, wells", "path: plate, plate_map: map.csv, wells"),
        LEVELS | TABLES,
        before=_NO_MAP,
    ),
    Edit(
        "map-changed",
        "the plate map's content",
        Replace(MAP, "A01,DMSO", "A01,none"),
        LEVELS | TABLES,
        is_compared=True,
    ),
    Edit("map-removed", "the plate map removed", _NO_MAP, LEVELS | TABLES),
    Edit(
        "map-put-back",
        "the plate map put back after a run with another one",
        Replace(MAP, "A01,none", "A01,DMSO"),
        LEVELS | TABLES,
        before=Replace(MAP, "A01,DMSO", "A01,none"),
        is_compared=True,
    ),
    Edit(
        "channel-renamed",
        "a channel's name in the plate's metadata",
        Replace("plate/P.HTD", '"FITC"', '"GFP"'),
        COUNT,
        note="Kept images carry channel names.",
    ),
    Edit(
        "missing-images",
        "`missing_images: allow`",
        in_config(_CHOSEN, f"{_CHOSEN}, missing_images: allow"),
    ),
)

IMAGES = (
    Edit("image", "an image of A01", ReplaceImage(is_longer=True), ALL_A01, is_compared=True),
    Edit("image-same-size", "an image of A01, its size the same", ReplaceImage(), ALL_A01),
    Edit(
        "image-same-time",
        "an image of A01, its size and time the same",
        ReplaceImage(is_time_kept=True),
        note="**Not noticed**: images are not read to see whether they changed. Delete "
        "`manifests/clean/A01.json` of the results, or touch the image.",
    ),
    Edit(
        "image-put-back",
        "an image of A01 put back, time kept, after a run with another one",
        actions.put_image_back,
        ALL_A01,
        before=actions.set_image_aside,
        is_compared=True,
    ),
    Edit(
        "image-touched",
        "an image of A01 touched",
        actions.touch_image,
        ALL_A01,
        note="Time and size are all that is looked at; the results are the same, to the byte.",
        is_compared=True,
    ),
    Edit(
        "images-copied",
        "the plate copied without its times",
        actions.copy_plate_without_times,
        ALL,
        note="Copy with times (`cp -a`, `rsync -a`), or have set `raw: immutable` before.",
    ),
    Edit(
        "raw",
        "`raw: immutable`",
        in_config(_CHOSEN, f"{_CHOSEN}, raw: immutable"),
        note="Back to `checked` runs wells whose images changed, or had no recorded times.",
    ),
    Edit(
        "pixel-size",
        "the pixel size in all images",
        ChangePixelSize(is_time_kept=False),
        ALL,
    ),
    Edit(
        "pixel-size-alone",
        "the pixel size, times and sizes of images the same",
        ChangePixelSize(is_time_kept=True),
        COUNT,
    ),
)
