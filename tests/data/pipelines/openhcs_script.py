# A script as people write them for OpenHCS.
from pathlib import Path

from openhcs.constants.constants import GroupBy, VariableComponents
from openhcs.constants.input_source import InputSource
from openhcs.core.config import (
    LazyNapariStreamingConfig,
    LazyPathPlanningConfig,
    LazyProcessingConfig,
    LazyStepMaterializationConfig,
    PipelineConfig,
)
from openhcs.core.steps.function_step import FunctionStep
from openhcs.processing.backends.analysis.cell_counting_cpu import (
    DetectionMethod,
    count_cells_single_channel,
)
from openhcs.processing.backends.processors.cupy_processor import tophat
from openhcs.processing.backends.processors.numpy_processor import max_projection
from openhcs.processing.backends.processors.torch_processor import stack_percentile_normalize
from openhcs.skimage.filters import gaussian

print("prints do no harm")

pipeline_config = PipelineConfig(
    num_workers=4,
    path_planning_config=LazyPathPlanningConfig(global_output_folder=Path("/data/results")),
)
pipeline_steps = []

step_1 = FunctionStep(
    func=[
        (stack_percentile_normalize, {"low_percentile": 0.5, "high_percentile": 99.5}),
        (tophat, {"selem_radius": 25}),
    ],
    name="Enhance",
    variable_components=[VariableComponents.SITE],
)
pipeline_steps.append(step_1)

step_2 = FunctionStep(
    func=max_projection,
    name="Z-Stack Flattening",
    processing_config=LazyProcessingConfig(variable_components=[VariableComponents.Z_INDEX]),
)
pipeline_steps.append(step_2)

step_3 = FunctionStep(func=(gaussian, {"slice_by_slice": True, "sigma": 2.0}), name="Smooth")
pipeline_steps.append(step_3)

pipeline_steps += [
    FunctionStep(
        func={
            "1": (
                count_cells_single_channel,
                {"detection_method": DetectionMethod.WATERSHED, "min_area": 40},
            ),
        },
        name="Count",
        processing_config=LazyProcessingConfig(
            group_by=GroupBy.CHANNEL, input_source=InputSource.PREVIOUS_STEP
        ),
        passthrough=["2", "3"],
        step_materialization_config=LazyStepMaterializationConfig(enabled=True),
        napari_streaming_config=LazyNapariStreamingConfig(port=5592),
    ),
]
