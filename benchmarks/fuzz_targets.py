"""What reads files that instruments or people write, each with right files to begin from."""

import io
import json
import shutil
from random import Random
from typing import Any

import numpy as np
import tifffile
from fuzz_instruments import (
    DEMO,
    ROOT,
    CellVoyagerTarget,
    HarmonyTarget,
    HtdTarget,
    NamesTarget,
    Phenix7Target,
    PhenixTarget,
    Target,
    index_plate,
)
from fuzz_mutations import damage_bytes, damage_json, damage_tiff

from openhcs_core.config import LocatedDocument, WorkflowConfig, validate
from openhcs_core.microscopes import (
    METADATA_FILENAME,
    build_workspace_metadata,
    get_handler,
    get_image_files,
    open_workspace,
)
from openhcs_core.microscopes.imagexpress.metaseries import parse_metaseries
from openhcs_core.microscopes.tiff_header import read_tiff_header
from openhcs_core.planes import PlaneKey
from openhcs_core.session import compile_workflow
from openhcs_core.storage import (
    FieldImages,
    ImageMetadata,
    PlateLayout,
    get_backend_instance,
    list_planes,
    read_plane,
    write_plate_metadata,
    write_well,
)
from openhcs_core.testing.plates import image_path, write_imagexpress_plate
from openhcs_core.testing.zarr_plates import write_foreign_plate

MIX = ROOT / "tests/data/projection_mix/Projection-Mix"
WORKSPACE = ROOT / "tests/data/openhcs_plate"


class PatternTarget(Target):
    """Patterns of file names, of a folder of any images."""

    def prepare(self) -> list[bytes]:
        shutil.copytree(
            ROOT / "tests/data/generic/sbs_translocation", self.folder, dirs_exist_ok=True
        )
        return [b"Channel{channel}-{site}-{row}-{column}.tif", b"Channel{channel}-{_}-{well}.tif"]

    def read(self, content: bytes) -> None:
        pattern = content.decode("utf-8", "surrogateescape")
        settings = {"path": str(self.folder), "microscope": "generic"}
        generic = {"pattern": pattern}
        document = LocatedDocument("c", {"plates": {"p": {**settings, "generic": generic}}}, {})
        plate = validate(WorkflowConfig, document).plates["p"]
        get_handler("generic", self.folder, plate).index(self.folder)


class TiffTarget(Target):
    """TIFFs, by the reader of headers and by those of pixels."""

    def prepare(self) -> list[bytes]:
        write_imagexpress_plate(self.folder, (1,), (32, 32))
        image = np.arange(32 * 32, dtype=np.uint16).reshape(32, 32)
        forms: list[dict[str, Any]] = [
            {},
            {"byteorder": ">"},
            {"bigtiff": True},
            {"compression": "zlib"},
            {"compression": "lzw", "predictor": True},
            {"compression": "zstd", "rowsperstrip": 8},
            {"tile": (16, 16)},
            {"imagej": True},
        ]
        seeds = [
            next(DEMO.rglob("*_s1_w1.TIF")).read_bytes(),
            next(MIX.rglob("*.tif")).read_bytes(),
        ]
        for form in forms:
            stream = io.BytesIO()
            tifffile.imwrite(stream, image, **form)
            seeds.append(stream.getvalue())
        return seeds

    def damage(self, random: Random) -> bytes:
        return damage_tiff(random, random.choice(self.seeds))

    def read(self, content: bytes) -> None:
        path = image_path(self.folder, "A01", 1)
        path.write_bytes(content)
        _attempt(lambda: read_tiff_header(path))
        _attempt(lambda: get_backend_instance("disk").load(path))
        index_plate(self.folder)


class DescriptionTarget(Target):
    """The XML in images of MetaXpress."""

    def prepare(self) -> list[bytes]:
        image = next(DEMO.rglob("*_s1_w1.TIF"))
        return [read_tiff_header(image).description.encode()]

    def read(self, content: bytes) -> None:
        parse_metaseries(content.decode("latin-1"), "image")


class WorkspaceTarget(Target):
    """``openhcs_metadata.json``, of this software's and of OpenHCS's form."""

    def prepare(self) -> list[bytes]:
        shutil.copytree(WORKSPACE, self.folder, dirs_exist_ok=True)
        own = json.dumps(build_workspace_metadata(get_handler("imagexpress", DEMO).index(DEMO)))
        names = (METADATA_FILENAME, "openhcs_metadata_disk.json")
        return [own.encode(), *((WORKSPACE / name).read_bytes() for name in names)]

    def damage(self, random: Random) -> bytes:
        seed = random.choice(self.seeds)
        if random.random() < 0.3:
            return damage_bytes(random, seed)
        return damage_json(random, json.loads(seed))

    def read(self, content: bytes) -> None:
        (self.folder / METADATA_FILENAME).write_bytes(content)
        workspace = open_workspace(self.folder)
        for name in get_image_files(self.folder)[:3]:
            _attempt(lambda name=name: workspace.load(name))


class ZarrTarget(Target):
    """JSON of OME-Zarr stores, of our own."""

    def prepare(self) -> list[bytes]:
        self.write()
        self.contents = [path.read_bytes() for path in self.files]
        return [str(number).encode() for number in range(len(self.files))]

    def write(self) -> None:
        """Write a store; tell its folder and files."""
        planes = {PlaneKey("A01", 1, "1", 1, 1): np.ones((8, 8), np.uint16)}
        metadata = ImageMetadata.of_planes(planes)
        self.store = self.folder / "s.ome.zarr"
        write_plate_metadata(self.store, PlateLayout("p", ("A01",), 1))
        write_well(self.store, "A01", [FieldImages(1, "0", planes)], metadata)
        self.files = sorted(self.store.rglob("zarr.json"))

    def damage(self, random: Random) -> bytes:
        number = random.randrange(len(self.files))
        content = self.contents[number]
        if random.random() < 0.3:
            return b"%d:" % number + damage_bytes(random, content)
        return b"%d:" % number + damage_json(random, json.loads(content))

    def read(self, content: bytes) -> None:
        number, _, damaged = content.partition(b":")
        path = self.files[int(number)]
        try:
            path.write_bytes(damaged)
            _attempt(self._read_planes)
            index_plate(self.store)
        finally:
            path.write_bytes(self.contents[int(number)])

    def _read_planes(self) -> None:
        for key in list_planes(self.store)[:3]:
            read_plane(self.store, key)


class Zarr04Target(ZarrTarget):
    """JSON of OME-Zarr plates that others write, version 0.4."""

    def write(self) -> None:
        self.store = self.folder / "s.ome.zarr"
        write_foreign_plate(self.store, "0.4", sites=1, z_count=1)
        self.files = sorted(
            path for path in self.store.rglob(".z*") if path.name in {".zattrs", ".zarray"}
        )


class _YamlTarget(Target):
    """A project whose config or pipeline is damaged."""

    name: str

    def prepare(self) -> list[bytes]:
        write_imagexpress_plate(self.folder / "plate", (1, 2), (32, 32))
        (self.folder / "config").mkdir()
        (self.folder / "map.csv").write_text("well,dose\nA01,1\nA02,2\n")
        (self.folder / "config/pipeline.yaml").write_bytes(
            (ROOT / "config/pipeline.yaml").read_bytes()
        )
        self.write("config", _CONFIG)
        self.write("pipeline", _PIPELINE)
        return [_CONFIG.encode() if self.name == "config" else _PIPELINE.encode()]

    def write(self, name: str, text: str) -> None:
        (self.folder / f"config/{name}.yaml").write_text(text)

    def damage(self, random: Random) -> bytes:
        if random.random() < 0.5:
            return damage_bytes(random, self.seeds[0])
        from ruamel.yaml import YAML

        data = YAML(typ="safe", pure=True).load(self.seeds[0])
        return damage_json(random, data)

    def read(self, content: bytes) -> None:
        (self.folder / f"config/{self.name}.yaml").write_bytes(content)
        compile_workflow("config/config.yaml")


class ConfigTarget(_YamlTarget):
    """``config/config.yaml``."""

    name = "config"


class PipelineTarget(_YamlTarget):
    """``config/pipeline.yaml``."""

    name = "pipeline"


_CONFIG = """plates:
  demo:
    path: plate
    microscope: imagexpress
    wells: [A01, A02]
    exclude_wells: A02:A02
    plate_map: map.csv
    storage: {zarr: {compressor: LZ4, pyramid_levels: 2}}
pipeline: config/pipeline.yaml
results: results
defaults: {resources: {mem_mb: 500, runtime: 5}}
execution: {gpu: none}
storage: {materialization: disk, cache_gb: 1.5}
"""
_PIPELINE = """name: nuclei
defaults: {slice_by_slice: true}
steps:
  - name: clean
    func:
      - openhcs:stack_percentile_normalize: {low_percentile: 1.0, high_percentile: 99.0}
      - skimage:filters.gaussian: {sigma: 2}
    output_dtype: uint16
  - {name: flatten, func: {openhcs:max_projection: {}}, variable_components: [z_index]}
  - name: count
    group_by: channel
    func: {DAPI: {openhcs:count_cells_single_channel: {detection_method: watershed, min_area: 20}}}
    materialize: {backend: zarr, sub_dir: checkpoints}
overrides:
  - {plates: [demo], wells: [A01], set: {count: {DAPI: {min_area: 40}}}}
"""


def _attempt(read: Any) -> None:
    """Read, and take a refusal for an answer: what follows is to be tried too."""
    from openhcs_core.errors import ErrorGroup, OpenHCSError

    try:
        read()
    except (OpenHCSError, ErrorGroup):
        return


TARGETS: dict[str, type[Target]] = {
    "cellvoyager": CellVoyagerTarget,
    "harmony": HarmonyTarget,
    "htd": HtdTarget,
    "names": NamesTarget,
    "pattern": PatternTarget,
    "phenix": PhenixTarget,
    "phenix7": Phenix7Target,
    "tiff": TiffTarget,
    "description": DescriptionTarget,
    "workspace": WorkspaceTarget,
    "zarr": ZarrTarget,
    "zarr04": Zarr04Target,
    "config": ConfigTarget,
    "pipeline": PipelineTarget,
}
