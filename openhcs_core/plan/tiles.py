"""How slices are worked on in parts; in no plan file and no digest, for results are the same."""

from openhcs_core.config.base import FrozenModel

WHOLE_STEP = ""
"""Key of the chain that does every component value."""


class TilePlan(FrozenModel):
    """Parts of the slices of a stack, one of which goes through a chain of functions at a time.

    Attributes
    ----------
    side_px : int
        Height and width of a part, at most.
    halo_px : int
        What the functions get beyond each side of it.
    """

    side_px: int
    halo_px: int
