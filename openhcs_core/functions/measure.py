"""Statistics of whole images."""

from typing import Any

from openhcs_core.functions._stack import checked_stack
from openhcs_core.materialization import CsvOptions, MaterializationSpec
from openhcs_core.memory.decorators import numpy
from openhcs_core.pipeline.function_contracts import (
    ProcessingContract,
    processing_contract,
    special_outputs,
)


@numpy
@processing_contract(ProcessingContract.PURE_2D)
@special_outputs(("intensities", MaterializationSpec(CsvOptions())))
def measure_intensity(image_stack: Any) -> Any:
    """Describe the intensities of each slice by one row of numbers.

    Parameters
    ----------
    image_stack : numpy.ndarray
        Shape ``[Z, Y, X]``, integers or floats. Not modified.

    Returns
    -------
    image_stack : numpy.ndarray
        The input itself.
    intensities : dict of str to list of float
        Columns ``mean_intensity``, ``median_intensity``, ``std_intensity``
        (population), ``min_intensity``, ``max_intensity``, ``p01_intensity``,
        ``p99_intensity`` (percentiles, linear between ranks) and
        ``integrated_intensity``, a row a slice, computed in float64.

    Raises
    ------
    ValueError
        `image_stack` is not a stack of finite numbers.
    """
    import numpy as np

    rows = []
    for plane in checked_stack(image_stack, "measure_intensity"):
        values = plane.astype(np.float64)
        p01, median, p99 = np.percentile(values, [1.0, 50.0, 99.0])
        rows.append(
            {
                "mean_intensity": float(values.mean()),
                "median_intensity": float(median),
                "std_intensity": float(values.std()),
                "min_intensity": float(values.min()),
                "max_intensity": float(values.max()),
                "p01_intensity": float(p01),
                "p99_intensity": float(p99),
                "integrated_intensity": float(values.sum()),
            }
        )
    return image_stack, {name: [row[name] for row in rows] for name in rows[0]}
