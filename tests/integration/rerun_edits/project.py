"""The small project that edits are tried on: two modules' worth of everything a run depends on."""

import itertools

import numpy as np
import tifffile

WELLS = ("A01", "A02", "A03")
"""Wells of the plate; the config leaves the last one out."""

_HTD = """"HTSInfoFile", Version 1.0
"TimePoints", 1
"ZSeries", TRUE
"ZSteps", 2
"XWells", 3
"YWells", 1
"WellsSelection1", {selected}
"Sites", TRUE
"XSites", 1
"YSites", 1
"SiteSelection1", TRUE
"Waves", TRUE
"NWavelengths", 2
"WaveName1", "DAPI"
"WaveCollect1", 1
"WaveName2", "FITC"
"WaveCollect2", 1
"EndFile"
"""
_METADATA = """<MetaData>
<prop id="spatial-calibration-state" type="bool" value="on"/>
<prop id="spatial-calibration-x" type="float" value="{size}"/>
<prop id="spatial-calibration-y" type="float" value="{size}"/>
<prop id="spatial-calibration-units" type="string" value="um"/>
</MetaData>
"""
_SIZE_PX, _RADIUS_PX = 48, 5

MODULE = "workflow/functions/mine.py"
HELPERS = "workflow/functions/helpers.py"
LIBRARY = "libraries/lenses-1.0.dist-info"
PIPELINE = "config/pipeline.yaml"
CONFIG = "config/config.yaml"
MAP = "map.csv"

FILES = {
    CONFIG: """plates:
  demo: {path: plate, wells: [A01, A02], plate_map: map.csv}
  other: {path: other, pipeline: config/other.yaml}
functions: [workflow/functions/mine.py]
""",
    PIPELINE: """name: small
steps:
  - name: clean
    func: {mine:clean: {offset: 1}}
  - name: flatten
    func:
      - openhcs:max_projection
      - openhcs:stack_percentile_normalize: {low_percentile: 1.0, high_percentile: 99.5}
    variable_components: [z_index]
  - name: count
    group_by: channel
    func:
      "1": {openhcs:count_cells_single_channel: {min_area: 20}}
      "2": openhcs:measure_intensity
    keep: true
overrides:
  - {plates: [demo], wells: [A02], set: {count: {"1": {max_area: 400}}}}
""",
    "config/other.yaml": "steps:\n  - {name: top, func: openhcs:max_projection}\n",
    "profile/config.yaml": "keep-going: true\nrerun-incomplete: true\nnolock: true\n"
    "scheduler: ilp\n",
    MAP: "well,treatment\nA01,DMSO\nA02,drug\nA03,drug\n",
    MODULE: '''"""Functions of this screen."""

import lenses
from helpers import shift

from openhcs_core.materialization import CsvOptions, MaterializationSpec
from openhcs_core.memory import numpy
from openhcs_core.pipeline import special_outputs


@numpy
@special_outputs(("levels", MaterializationSpec(CsvOptions())))
def clean(image_stack, offset: int = 0, gain: int = 1):
    """Shift all values."""
    levels = {"highest": [int(image_stack.max())] * len(image_stack), "lenses": [lenses.COUNT]}
    return shift(image_stack, offset) * image_stack.dtype.type(gain), {
        key: found[:1] for key, found in levels.items()
    }
''',
    HELPERS: "def shift(images, offset):\n    return images + images.dtype.type(offset)\n",
    "libraries/lenses.py": "COUNT = 3\n",
    f"{LIBRARY}/METADATA": "Metadata-Version: 2.1\nName: lenses\nVersion: 1.0\n",
    f"{LIBRARY}/top_level.txt": "lenses\n",
    f"{LIBRARY}/RECORD": "lenses.py,,\n",
}
INPUTS = ("config", "workflow", "libraries", "plate", "other", MAP)
"""All that people edit, in the project's folder."""


def write_project(project):
    """Write plates, config, pipelines and modules."""
    for name, text in FILES.items():
        project.write(name, text)
    write_plate(project.folder / "plate", WELLS)
    write_plate(project.folder / "other", WELLS[:1])


def write_plate(folder, wells):
    """Write an ImageXpress plate: one site, two waves, two z planes."""
    folder.mkdir()
    selected = ", ".join("TRUE" if well in wells else "FALSE" for well in WELLS)
    (folder / "P.HTD").write_text(_HTD.format(selected=selected))
    for well, wave, plane in itertools.product(wells, (1, 2), (1, 2)):
        write_image(image_path(folder, well, wave, plane), seed=int(well[1:]) * 10 + wave + plane)


def image_path(plate, well, wave=1, plane=1):
    """Return where an image of the plate lies."""
    return plate / f"TimePoint_1/ZStep_{plane}/P_{well}_s1_w{wave}.TIF"


def write_image(path, seed, pixel_size=0.65):
    """Write an image of a few round nuclei; the same number of bytes for every seed."""
    random = np.random.default_rng(seed)
    image = random.poisson(200, (_SIZE_PX, _SIZE_PX))
    y, x = np.mgrid[:_SIZE_PX, :_SIZE_PX]
    for at_y, at_x in random.integers(8, _SIZE_PX - 8, (3, 2)):
        image[(y - at_y) ** 2 + (x - at_x) ** 2 < _RADIUS_PX**2] += 3000
    path.parent.mkdir(parents=True, exist_ok=True)
    description = _METADATA.format(size=pixel_size)
    tifffile.imwrite(path, image.astype(np.uint16), description=description, metadata=None)
