"""A job's memory is that of a stack and a limit: what waits for the well's end waits in files."""

import importlib
import itertools
import shutil
import tracemalloc

import numpy as np
import pytest
import tifffile

from openhcs_core.cli.main import main
from openhcs_core.materialization import Later
from openhcs_core.plan import SpecialOutputPlan
from openhcs_core.planes import PlaneKey
from openhcs_core.runtime.cache import ImageCache
from openhcs_core.runtime.calls import SpecialValue
from openhcs_core.runtime.held import HeldStacks
from openhcs_core.runtime.set_aside import SetAside

SIDE = 256
MODULE = """import numpy as np
from openhcs_core.materialization import CsvOptions, MaterializationSpec, ROIOptions
from openhcs_core.memory import numpy
from openhcs_core.pipeline import special_inputs, special_outputs


@numpy
@special_outputs(
    ("masks", MaterializationSpec(ROIOptions())),
    ("table", MaterializationSpec(CsvOptions())),
    "weights",
)
def draw(image_stack):
    labels = np.zeros(image_stack.shape, np.int64)
    labels[:, 3:9, 2:7] = int(image_stack.max()) % 50 + 1
    return image_stack, labels, {"label": [int(labels.max())]}, labels * 0.5


@numpy
@special_outputs(("masks", MaterializationSpec(ROIOptions())))
def outline(image_stack):
    return draw(image_stack)[:2]


@numpy
@special_inputs("weights")
def weigh(image_stack, weights):
    return image_stack + weights[:len(image_stack)]
"""
CONFIG = """plates:
  p:
    path: {plate}
    microscope: generic
    generic: {{pattern: "{{well}}_s{{site}}_z{{z_index}}.tif"}}
functions: [mine.py]
storage: {{materialization: {materialization}, zarr: {{max_shard_mb: 1}}}}
"""
PIPELINE = """steps:
  - {name: draw, func: mine:draw, keep: true}
  - {name: weigh, func: mine:weigh}
  - {name: outline, func: mine:outline}
"""
STEPS = ("draw", "weigh", "outline")


def _special(value):
    return SpecialValue(SpecialOutputPlan(name="masks"), (), value)


@pytest.mark.parametrize("dtype", ["bool", "uint8", ">i4", "float64"])
def test_what_exceeds_the_limit_is_in_files_and_comes_back_as_it_was(tmp_path, dtype):
    aside = SetAside(tmp_path / "aside", 200_000)
    arrays = [np.arange(120_000).reshape(3, 200, 200).astype(dtype)[:, ::-1] for _ in range(3)]
    kept = [aside.keep(_special(array)).value for array in arrays]
    later = [value for value in kept if isinstance(value, Later)]
    assert aside.held_bytes <= 200_000
    assert (
        len(later)
        == len(list((tmp_path / "aside").glob("*.npy")))
        == 3 - 200_000 // arrays[0].nbytes
    )
    for value in later:
        assert value.read(None).dtype == arrays[0].dtype
        np.testing.assert_array_equal(value.read(None), arrays[0])
        np.testing.assert_array_equal(value.read(1), arrays[0][1])


@pytest.mark.parametrize(
    "value",
    [{"label": [1]}, [np.zeros(9)], np.zeros(3), np.zeros(10**5).view(np.recarray), "text"],
)
def test_all_else_stays_as_it_is(tmp_path, value):
    special = _special(value)
    assert SetAside(tmp_path / "aside", 0).keep(special) is special
    assert not (tmp_path / "aside").exists()


@pytest.mark.parametrize("dtype", ["bool", "<u2", ">u2", "float32", "complex64"])
@pytest.mark.parametrize("held", [None, 0, 2**20])
def test_a_stack_in_the_cache_is_what_numpy_saves(tmp_path, dtype, held):
    planes = [np.arange(12).reshape(4, 3).astype(dtype).T + number for number in (0, 1)]
    cache = ImageCache(tmp_path, None if held is None else HeldStacks(limit_bytes=held))
    record = cache.put(planes, [PlaneKey("A01", site, "1", 1, 1) for site in (1, 2)])
    stack = np.stack(planes)
    np.save(tmp_path / "expected.npy", stack.astype(stack.dtype.newbyteorder("=")))
    assert cache.path(record.object).read_bytes() == (tmp_path / "expected.npy").read_bytes()
    assert (record.shape, record.dtype) == (stack.shape, stack.dtype.name)


def _write_plate(folder, z_planes):
    folder.mkdir()
    random = np.random.default_rng(0)
    for site, z_index in itertools.product((1, 2), range(1, z_planes + 1)):
        image = random.integers(1, 4000, (SIDE, SIDE), np.uint16)
        tifffile.imwrite(folder / f"A01_s{site}_z{z_index}.tif", image)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Give what runs both steps in this process and returns their results' bytes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MODULE)
    (tmp_path / "config").mkdir()
    (tmp_path / "config/pipeline.yaml").write_text(PIPELINE)

    def run(plate, materialization="zarr", z_planes=2):
        if not (tmp_path / plate).exists():
            _write_plate(tmp_path / plate, z_planes)
        config = CONFIG.format(plate=plate, materialization=materialization)
        (tmp_path / "config/config.yaml").write_text(config)
        shutil.rmtree(tmp_path / "results", ignore_errors=True)
        assert main(["compile"]) == 0
        for step in STEPS:
            job = ["run-step", "--plate-dir", "results/p", "--step", step, "--well", "A01"]
            assert main(job) == 0
        return {
            path.relative_to(tmp_path).as_posix(): path.read_bytes()
            for path in (tmp_path / "results/p").rglob("*")
            if path.is_file() and not {"benchmarks", "logs"} & set(path.parts)
        }

    return run


def _limit(monkeypatch, size_bytes):
    executing = importlib.import_module("openhcs_core.runtime.execute_step")
    monkeypatch.setattr(executing, "_HELD_BYTES", size_bytes)
    monkeypatch.setattr("openhcs_core.runtime.set_aside._SMALL_BYTES", 0)


@pytest.mark.parametrize("materialization", ["zarr", "disk"])
def test_results_are_the_same_bytes_whatever_waits_in_files(project, monkeypatch, materialization):
    whole = project("plate", materialization)
    assert any("labels" in name for name in whole)
    _limit(monkeypatch, 0)
    assert project("plate", materialization) == whole


@pytest.mark.thorough
def test_memory_does_not_grow_with_the_number_of_stacks(project, monkeypatch):
    stack_bytes = SIDE * SIDE * 8
    _limit(monkeypatch, stack_bytes)
    peaks = []
    for z_planes in (2, 9):
        project(f"plate{z_planes}", z_planes=z_planes)  # libraries are imported
        job = ["run-step", "--plate-dir", "results/p", "--step", "outline", "--well", "A01"]
        shutil.rmtree("results/.cache/jobs")
        tracemalloc.start()
        assert main(job) == 0
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 3 * stack_bytes
