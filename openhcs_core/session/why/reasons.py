"""Why a step of a well would run again, as data."""

from typing import Annotated, Literal

from pydantic import Field

from openhcs_core.config import FrozenModel
from openhcs_core.session.why.plan_differences import PlanDifference


class NeverDone(FrozenModel):
    """Nothing was ever made."""

    kind: Literal["never_done"] = "never_done"


class Failed(FrozenModel):
    """The last attempt failed.

    Attributes
    ----------
    message : str
        For people.
    log : str
        Relative to the plate's results.
    of_this_plan : bool
        It was an attempt at today's plan, not at another one.
    """

    kind: Literal["failed"] = "failed"
    message: str
    exit_code: int
    log: str
    of_this_plan: bool


class Unfinished(FrozenModel):
    """It was started and left neither a result nor a message: it runs, or was killed."""

    kind: Literal["unfinished"] = "unfinished"
    log: str


class PlanChanged(FrozenModel):
    """The plan is another one than the result was made by.

    Attributes
    ----------
    is_known : bool
        The old plan is still there to be compared.
    """

    kind: Literal["plan_changed"] = "plan_changed"
    is_known: bool
    differences: tuple[PlanDifference, ...] = ()


class ImageChange(FrozenModel):
    """One image of the plate that is another file than before.

    Attributes
    ----------
    name : str
        Of the plane, e.g. ``B02_s001_w1_z001_t001.tif``.
    path : str
        Of the file today, relative to the plate.
    old_path : str
        Before.
    old_size_bytes, new_size_bytes, old_mtime_ns, new_mtime_ns : int, str or None
        None where the config says ``raw: immutable``; text is the ETag of an object.
    """

    name: str
    old_path: str
    path: str
    old_size_bytes: int | None
    new_size_bytes: int | None
    old_mtime_ns: int | str | None
    new_mtime_ns: int | str | None


class ImagesChanged(FrozenModel):
    """The well's images on the plate are not those that were read.

    Attributes
    ----------
    is_known : bool
        What they were is still known.
    added, removed : tuple of str
        Names of planes.
    channels : tuple of str
        Channels whose images have another size or type, or that the plate gained or lost.
    """

    kind: Literal["images_changed"] = "images_changed"
    is_known: bool
    changed: tuple[ImageChange, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()


class EarlierRuns(FrozenModel):
    """A step that this one reads will run first, for reasons of its own."""

    kind: Literal["earlier_runs"] = "earlier_runs"
    step: str
    reasons: "tuple[Reason, ...]"


class DoneTogether(FrozenModel):
    """Another step or well that the same job does runs, for reasons of its own.

    This one's result is put back from the cache where it is the same.
    """

    kind: Literal["done_together"] = "done_together"
    step: str
    well: str
    reasons: "tuple[Reason, ...]"


class EarlierChanged(FrozenModel):
    """A step that this one reads has run since.

    Attributes
    ----------
    images : tuple of str
        Planes whose content is another one, or that came or went.
    files : tuple of str
        Special outputs of which the same is true. Without images and files the step's
        results are equal, only its record is new.
    """

    kind: Literal["earlier_changed"] = "earlier_changed"
    step: str
    images: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


class OutputsMissing(FrozenModel):
    """Results are gone.

    Attributes
    ----------
    files : tuple of str
        Relative to the plate's results.
    """

    kind: Literal["outputs_missing"] = "outputs_missing"
    files: tuple[str, ...]


class InputsNewer(FrozenModel):
    """Files are newer than the result and Snakemake has no record that they are the same."""

    kind: Literal["inputs_newer"] = "inputs_newer"
    files: tuple[str, ...]


class Interrupted(FrozenModel):
    """Snakemake ended before the job did, so that it takes the result for torn."""

    kind: Literal["interrupted"] = "interrupted"
    files: tuple[str, ...]


class RuleChanged(FrozenModel):
    """The generated rule is another one than Snakemake's record of the job has.

    Attributes
    ----------
    parts : tuple of str
        Of ``params``, ``input`` and ``code``.
    """

    kind: Literal["rule_changed"] = "rule_changed"
    parts: tuple[str, ...]


Reason = Annotated[
    NeverDone
    | Failed
    | Unfinished
    | PlanChanged
    | ImagesChanged
    | DoneTogether
    | EarlierRuns
    | EarlierChanged
    | OutputsMissing
    | InputsNewer
    | Interrupted
    | RuleChanged,
    Field(discriminator="kind"),
]
DoneTogether.model_rebuild()
EarlierRuns.model_rebuild()


class MadeFrom(FrozenModel):
    """What a result that is up to date was made from.

    Attributes
    ----------
    digest : str
        Of its plan.
    source : str or None
        The step whose images were read; None for the plate.
    images : int
        How many were read; of a step over the plate, of how many wells.
    special : tuple of str
        Special outputs of earlier steps, and plate tables, that were taken.
    versions : dict
        Function to the versions of its libraries.
    """

    digest: str
    source: str | None
    images: int
    special: tuple[str, ...]
    versions: dict[str, dict[str, str]]
    is_plate_wide: bool = False


class Why(FrozenModel):
    """Whether a step of a well would run, and why or why not.

    Attributes
    ----------
    reasons : tuple of Reason
        The most basic first; empty when the result is up to date.
    made_from : MadeFrom or None
        When it is up to date.
    notes : tuple of str
        What a person should know besides.
    """

    plate: str
    step: str
    well: str
    would_run: bool
    reasons: tuple[Reason, ...] = ()
    made_from: MadeFrom | None = None
    notes: tuple[str, ...] = ()
