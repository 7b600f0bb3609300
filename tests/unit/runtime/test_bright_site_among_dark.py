"""A stack along sites is no volume: one bright site leaves the dark ones as they are."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.morphology import disk, white_tophat

from openhcs_core.compiler.functions import plan_function
from openhcs_core.compiler.request import CompileRequest, ErrorList
from openhcs_core.config import LocatedDocument, PipelineConfig, StepConfig, VFSConfig
from openhcs_core.microscopes import PlateIndex
from openhcs_core.pipeline import FunctionCall
from openhcs_core.planes import PlaneKey
from openhcs_core.registry import RegistryService
from openhcs_core.runtime.calls import run_chain

SERVICE = RegistryService()
RNG = np.random.default_rng(1)
PLANES = [RNG.integers(100, 120, (48, 48)).astype("uint16") for _ in range(3)]
PLANES[1] = RNG.integers(40_000, 60_000, (48, 48)).astype("uint16")
KEYS = [PlaneKey("B02", site, "1", 1, 1) for site in (1, 2, 3)]

INDEPENDENT = {
    "skimage:filters.gaussian": (
        {"sigma": 2},
        lambda plane: ndimage.gaussian_filter(plane.astype(float), 2, mode="nearest"),
    ),
    "skimage:filters.median": (
        {},
        lambda plane: ndimage.median_filter(
            plane, footprint=ndimage.generate_binary_structure(2, 2), mode="nearest"
        ),
    ),
    "openhcs:tophat": (
        {"selem_radius": 4, "downsample_factor": 1},
        lambda plane: white_tophat(plane, disk(4)),
    ),
}


@pytest.mark.parametrize("ref", INDEPENDENT)
def test_each_site_is_filtered_alone_in_its_own_units(ref):
    parameters, expected = INDEPENDENT[ref]
    document = LocatedDocument("pipeline.yaml", {}, {})
    step = StepConfig(name="s", func=ref)
    request = CompileRequest(
        plate="p",
        index=PlateIndex(plate_path="p", microscope="", parser="", images=(), channels=()),
        wells=("B02",),
        pipeline=PipelineConfig(steps=(step,)),
        document=document,
        storage=VFSConfig(),
        functions=SERVICE,
    )
    errors = ErrorList(document)
    plan = plan_function(FunctionCall(ref, parameters, ()), step, request, errors)
    assert not errors.errors
    result = run_chain(PLANES, KEYS, [plan], SERVICE.load, "step 's', well B02", {})
    for plane, found in zip(PLANES, result.planes, strict=True):
        np.testing.assert_allclose(found, expected(plane), rtol=1e-12)
    assert result.planes[0].max() < 200
