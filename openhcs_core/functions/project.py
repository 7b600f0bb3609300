"""From a volume to one slice."""

from typing import Any

from openhcs_core.functions._stack import checked_stack
from openhcs_core.memory.decorators import numpy
from openhcs_core.pipeline.function_contracts import ProcessingContract, processing_contract
from openhcs_core.pipeline.locality import local


@numpy
@processing_contract(ProcessingContract.VOLUMETRIC_TO_SLICE)
@local()
def max_projection(image_stack: Any) -> Any:
    """Take the maximum along the first axis.

    Parameters
    ----------
    image_stack : numpy.ndarray
        Shape ``[Z, Y, X]``. Not modified.

    Returns
    -------
    numpy.ndarray
        Shape ``[1, Y, X]``, dtype of the input, new memory.

    Raises
    ------
    ValueError
        `image_stack` is not a stack of finite numbers.
    """
    import numpy as np

    return np.max(checked_stack(image_stack, "max_projection"), axis=0, keepdims=True)
