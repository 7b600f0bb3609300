"""Analysis functions of this package: numpy arrays ``[Z, Y, X]`` in, the same out.

A function is named in a pipeline as ``openhcs:<name>``. Each declares the array
library it is written for, how it takes a stack and what it gives besides its
image; its keyword parameters carry their limits, so that a schema can be derived.
"""

from openhcs_core.functions.measure import measure_intensity
from openhcs_core.functions.preprocess import stack_percentile_normalize, tophat
from openhcs_core.functions.project import max_projection
from openhcs_core.functions.segment import count_cells_single_channel

__all__ = [
    "count_cells_single_channel",
    "max_projection",
    "measure_intensity",
    "stack_percentile_normalize",
    "tophat",
]
