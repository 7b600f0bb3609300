"""Slices in parts: the same to the bit as whole slices, for every function that declares it."""

import json
import math

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from openhcs_core.cli.main import main
from openhcs_core.errors import StepFunctionError
from openhcs_core.pipeline import Locality
from openhcs_core.plan import TilePlan
from openhcs_core.registry import RegistryService
from openhcs_core.runtime.tiles import run_in_tiles

EDGES = st.sampled_from(["nearest", "reflect", "mirror", "constant"])
LOCAL = {
    "openhcs:max_projection": st.fixed_dictionaries({}),
    "openhcs:tophat": st.fixed_dictionaries(
        {"selem_radius": st.integers(1, 6), "downsample_factor": st.just(1)}
    ),
    "skimage:filters.gaussian": st.fixed_dictionaries(
        {
            "sigma": st.floats(0, 4),
            "truncate": st.floats(0.5, 5),
            "mode": EDGES,
            "cval": st.floats(0, 300),
        }
    ),
    "skimage:filters.median": st.fixed_dictionaries(
        {"footprint": st.none(), "mode": EDGES, "cval": st.floats(0, 300)}
    ),
}
FUNCTIONS = RegistryService()


def test_every_function_that_declares_to_be_local_is_tried_below():
    declared = {
        ref
        for library in ("openhcs", "skimage")
        for ref, metadata in FUNCTIONS.get_functions(library).items()
        if metadata.locality is not None
    }
    assert declared == set(LOCAL)


def _calls(ref, parameters):
    """Give the ways a step calls a function: with a stack, and with a slice."""
    metadata, function = FUNCTIONS.find(ref), FUNCTIONS.load(ref)
    given_all = {**metadata.defaults, **parameters, **metadata.fixed}

    def whole(planes):
        return list(function(np.stack(planes), **given_all))

    def slices(planes):
        return [function(plane, **given_all) for plane in planes]

    return (whole, slices) if metadata.as_2d else (whole,)


@pytest.mark.parametrize("ref", sorted(LOCAL))
@settings(max_examples=40)
@given(data=st.data())
def test_parts_give_what_whole_slices_give(ref, data):
    parameters = data.draw(LOCAL[ref])
    shape = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 70), st.integers(1, 70)))
    dtype = data.draw(st.sampled_from(["uint8", "uint16", "int32", "float32", "float64"]))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    planes = list((random.random(shape) * 250).astype(dtype))
    metadata = FUNCTIONS.find(ref)
    halo = metadata.locality.halo_px({**metadata.defaults, **parameters})
    tile = TilePlan(side_px=data.draw(st.integers(max(8, halo), 80)), halo_px=halo)
    for call in _calls(ref, parameters):
        expected = call(planes)
        found = run_in_tiles(planes, tile, call, "step 'x'")
        assert [plane.dtype for plane in found] == [plane.dtype for plane in expected]
        for one, other in zip(found, expected, strict=True):
            assert one.tobytes() == np.ascontiguousarray(other).tobytes()


@pytest.mark.parametrize(
    ("parameters", "halo"),
    [
        ({"radius": 3, "mode": "nearest"}, 1 + 6),
        ({"radius": 2.3, "mode": "nearest"}, 1 + 5),
        ({"radius": 3, "mode": "wrap"}, None),
        ({"radius": [1, 2], "mode": "nearest"}, None),
        ({"mode": "nearest"}, None),
        ({"radius": 3}, None),
    ],
)
def test_how_far_a_function_looks_follows_from_its_parameters(parameters, halo):
    locality = Locality(halo=1, reach=("radius",), factor=2, only_if={"mode": ("nearest",)})
    assert locality.halo_px(parameters) == halo


@pytest.mark.parametrize(
    "run",
    [
        lambda part: [plane[:-1] for plane in part],
        lambda part: part[:1] if part[0].shape[0] < 7 else part,
        lambda part: [plane.astype(np.float32 if plane[0, 0] else np.uint8) for plane in part],
    ],
)
def test_a_function_that_is_not_what_it_declares_is_refused(run):
    planes = [np.arange(300, dtype=np.uint16).reshape(20, 15)] * 2
    with pytest.raises(StepFunctionError, match="declared local returned"):
        run_in_tiles(planes, TilePlan(side_px=7, halo_px=0), run, "step 'x'")


SIDE = 300
CONFIG = """plates:
  p: {path: plate, microscope: generic, generic: {pattern: "{well}_s{site}_w{channel}.tif"}}
functions: [mine.py]
"""
PIPELINE = """steps:
  - name: smooth
    func:
      "1": [{skimage:filters.gaussian: {sigma: 2}}, mine:sharpen, openhcs:tophat]
      "2": {skimage:filters.gaussian: {sigma: 1}}
    output_dtype: uint16
    RESOURCES
overrides:
  - {plates: [p], wells: [A02], set: {smooth: {"2": {sigma: 3}}}}
"""
MODULE = """from openhcs_core.memory import numpy
from openhcs_core.pipeline import local


@numpy
@local(halo=1)
def sharpen(image_stack):
    result = image_stack.copy()
    result[:, :, 1:-1] -= (image_stack[:, :, 2:] + image_stack[:, :, :-2]) / 4
    return result.clip(0)
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Give what runs the step with some settings, and returns the results' bytes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("openhcs_core.compiler.tiling._SIDES_PX", (128, 100))
    (tmp_path / "plate").mkdir()
    random = np.random.default_rng(0)
    for well in ("A01", "A02"):
        for site, channel in ((1, 1), (1, 2), (2, 1), (2, 2)):
            image = random.integers(0, 4000, (SIDE, SIDE - 40), np.uint16)
            tifffile.imwrite(tmp_path / f"plate/{well}_s{site}_w{channel}.tif", image)
    (tmp_path / "mine.py").write_text(MODULE)
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text(CONFIG)

    def run(resources, downsample=1):
        text = PIPELINE.replace("RESOURCES", resources)
        tophat = f"{{openhcs:tophat: {{selem_radius: 9, downsample_factor: {downsample}}}}}"
        text = text.replace("openhcs:tophat]", f"{tophat}]")
        (tmp_path / "config/pipeline.yaml").write_text(text)
        assert main(["compile"]) == 0
        files = {}
        for well in ("A01", "A02"):
            _forget_jobs(tmp_path)
            job = ["run-step", "--plate-dir", "results/p", "--step", "smooth", "--well", well]
            assert main([*job, "--logs"]) == 0
        logs = [path.read_text() for path in sorted(tmp_path.glob("results/p/logs/smooth/*"))]
        parts = [log.count("in parts of 100 px") for log in logs]
        for folder in ("manifests", "smooth.ome.zarr", "plan"):
            for path in (tmp_path / "results/p" / folder).rglob("*"):
                if path.is_file():
                    files[path.relative_to(tmp_path).as_posix()] = path.read_bytes()
        return files, parts

    return run


def _forget_jobs(folder):
    for path in (folder / "results/.cache/jobs").rglob("*.json"):
        path.unlink()


def _tiles(folder):
    index = json.loads((folder / "results/.plan/plan.json").read_bytes())
    return index["plates"]["p"].get("tiles", {})


def test_a_step_with_little_memory_works_in_parts_and_gives_the_same_bytes(project, tmp_path):
    whole, parts = project("")
    assert (_tiles(tmp_path), parts) == ({}, [0, 0])
    found, parts = project("resources: {mem_mb: 60}")
    assert found == whole
    assert parts == [2, 2]  # a stack of two sites for each channel
    by_plan = sorted(
        [tiles[group]["halo_px"] for group in "12"] for tiles in _tiles(tmp_path).values()
    )
    first = math.ceil(4 * 2) + 1 + 1 + 2 * 9
    assert by_plan == [[first, 4 * 1 + 1], [first, 4 * 3 + 1]]  # the override looks further


def test_a_chain_with_a_function_that_looks_at_all_pixels_is_not_parted(project, tmp_path):
    _, parts = project("resources: {mem_mb: 60}", downsample=4)
    assert parts == [1, 1]
    assert all(set(tiles) == {"2"} for tiles in _tiles(tmp_path).values())
