"""Step plans that do not go together are named, under OpenHCS's names of the checks."""

import pytest

from openhcs_core.compiler import GPUMemoryTypeValidator, validate_system_integration
from openhcs_core.errors import ErrorGroup


def _plan(**changes):
    return {
        "step_name": "GPU Image Processing",
        "input_memory_type": "numpy",
        "output_memory_type": "numpy",
        "read_backend": "disk",
        "gpu_id": None,
        **changes,
    }


def _special(path, backend="disk"):
    return {"special_inputs": {"positions": {"path": path, "backend": backend}}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_memory_type": "nunpy"}, "Unsupported input memory type: nunpy; available: numpy"),
        ({"output_memory_type": "unknown"}, "Unsupported output memory type: unknown"),
        ({"read_backend": "tape"}, "Unsupported read backend: tape; there are memory, disk"),
        ({"input_memory_type": "torch"}, "GPU memory type requires gpu_id: torch needs a GPU"),
        (
            {"output_memory_type": "cupy", "resources": {"gpu": 0}},
            "GPU memory type requires gpu_id: cupy needs a GPU",
        ),
        (
            _special("/vfs/positions.zip"),
            "Invalid special input path: /vfs/positions.zip; values between steps lie inside",
        ),
        (_special("special/../../a.zip"), "Invalid special input path: special/../../a.zip; val"),
        (
            _special("special/positions.pkl", "memory"),
            "Invalid special input path: special/positions.pkl; pickles are not read",
        ),
        (
            _special("special/positions.zip", "zarr"),
            "Invalid special input path: special/positions.zip; backend 'zarr' holds no values",
        ),
    ],
)
def test_what_does_not_go_together_is_named(changes, message):
    for plans in ([_plan(), _plan(**changes)], {0: _plan(), 1: _plan(**changes)}):
        with pytest.raises(ErrorGroup) as group:
            validate_system_integration(plans)
        found = [str(error) for error in group.value.members]
        assert [text for text in found if text.startswith(message)]
        assert {error.__notes__[0] for error in group.value.members} == {
            "step_plans[1] (step 'GPU Image Processing')"
        }


def test_all_that_does_not_go_together_is_named_at_once():
    plans = [_plan(read_backend="tape"), {"step_name": "half"}, _plan(input_memory_type="nunpy")]
    with pytest.raises(ErrorGroup) as group:
        validate_system_integration(plans)
    assert [str(error).partition(";")[0] for error in group.value.members] == [
        "Unsupported read backend: tape",
        "Invalid step plan structure: it has no 'input_memory_type'",
        "Invalid step plan structure: it has no 'output_memory_type'",
        "Invalid step plan structure: it has no 'read_backend'",
        "Unsupported input memory type: nunpy",
    ]


def test_a_gpu_is_a_device_or_one_that_the_scheduler_is_asked_for():
    plans = [
        _plan(),
        _plan(input_memory_type="torch", resources={"gpu": 1}),
        _plan(output_memory_type="cupy", gpu_id=0),
    ]
    assert GPUMemoryTypeValidator.validate_step_plans(plans) == {
        1: {"gpu": 1, "gpu_id": None},
        2: {"gpu": 0, "gpu_id": 0},
    }
    with pytest.raises(ErrorGroup) as group:
        GPUMemoryTypeValidator.validate_step_plans([_plan(input_memory_type="jax")])
    assert str(group.value.members[0]).startswith("GPU memory type requires gpu_id")
