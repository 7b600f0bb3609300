"""Where a run hands images from one array library to another."""

from typing import Any

from openhcs_core.config.base import FrozenModel
from openhcs_core.memory import ConversionRoute


class PlannedConversion(FrozenModel):
    """A change of memory type. It changes no value, so that it is part of no digest.

    Attributes
    ----------
    step : str
        The step whose jobs do it.
    group : str or None
        The component value whose chain it is for, None where one chain does all of them.
    at : str
        ``input``: before the first function; ``function 2``: before that one, which gets the
        step's input again because a chain breaker stands before it; ``output``: when the
        images are stored.
    route : ConversionRoute
        From what to what, and how.
    """

    step: str
    group: str | None
    at: str
    route: ConversionRoute

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, types under the specification's names."""
        return {
            "step": self.step,
            "group": self.group,
            "at": self.at,
            "from_type": self.route.source.value,
            "to_type": self.route.target.value,
            "through": [kind.value for kind in self.route.types[1:-1]],
            "method": self.route.method,
            "copies": self.route.copies,
            "leaves_device": self.route.leaves_device,
        }
