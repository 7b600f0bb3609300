# What config/pipeline.yaml says, in Python.
from skimage.filters import gaussian

from openhcs_core.functions.measure import measure_intensity
from openhcs_core.functions.preprocess import stack_percentile_normalize
from openhcs_core.functions.project import max_projection
from openhcs_core.pipeline import FunctionStep

pipeline_name = "nuclei"
pipeline_steps = [
    FunctionStep(
        name="clean",
        func={
            "DAPI": [
                (stack_percentile_normalize, {"low_percentile": 1.0, "high_percentile": 99.9}),
                (gaussian, {"sigma": 1}),
            ]
        },
        passthrough=["FITC", "Texas Red"],
        output_dtype="uint16",
    ),
    FunctionStep(func=max_projection, name="flatten", variable_components=["z_index"]),
    FunctionStep(
        name="count",
        group_by="channel",
        func={
            1: ("count_cells_single_channel", {"detection_method": "watershed", "min_area": 20}),
            "FITC": measure_intensity,
            "Texas Red": measure_intensity,
        },
        keep=True,
    ),
]
