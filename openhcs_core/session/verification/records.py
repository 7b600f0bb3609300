"""A manifest against what it should say: pure comparisons."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from openhcs_core.errors import shortened
from openhcs_core.plan import StepPlan, taken_files, well_files
from openhcs_core.planes import PlaneKey
from openhcs_core.runtime import Manifest, combined_digest
from openhcs_core.storage import PlaneForm

_SHOWN = 3


class Mismatch(NamedTuple):
    """What a manifest says, and what it should; `is_stale` when something was made anew since."""

    expected: str
    found: str
    is_stale: bool = False


def compare_manifest(
    manifest: Manifest, plan: StepPlan, well: str, upstream: Mapping[str, Manifest]
) -> Iterator[Mismatch]:
    """Yield what a manifest of today's plan says that it should not.

    Parameters
    ----------
    manifest : Manifest
        Its digest is the plan's.
    plan : StepPlan
        What was to be done.
    upstream : mapping of str to Manifest
        By step, those manifests that are right; others are not compared with.
    """
    yield from compare_record(manifest, plan, well)
    yield from _compare_stacks(manifest, well)
    yield from _compare_inputs(manifest, plan, well, upstream)


def compare_record(manifest: Manifest, plan: StepPlan, well: str) -> Iterator[Mismatch]:
    """Yield what a manifest says of itself that is not as planned."""
    if (manifest.step, manifest.well) != (plan.step_name, well):
        yield Mismatch(
            f"step {plan.step_name!r}, well {well}", f"step {manifest.step!r}, {manifest.well}"
        )
    versions = {function.ref: function.versions for function in plan.functions}
    if manifest.functions != versions:
        yield Mismatch(f"the plan's functions {versions}", str(manifest.functions))
    files = {file.path(plan.step_name, well) for file in well_files(plan)}
    if manifest.files.keys() != files:
        other = sorted(manifest.files.keys() ^ files)
        yield Mismatch(
            f"files {_few(sorted(files))}", f"others ({_few(other)} too many or too few)"
        )


def _compare_stacks(manifest: Manifest, well: str) -> Iterator[Mismatch]:
    """Yield stacks that cannot be what a job wrote."""
    names: set[str] = set()
    for stack in manifest.images:
        for plane in stack.planes:
            if not _is_plane(plane.name, well) or plane.name in names:
                yield Mismatch(f"each image of well {well} once", repr(plane.name))
            names.add(plane.name)
        if stack.shape[0] != len(stack.planes):
            yield Mismatch(f"a stack of {len(stack.planes)} planes", f"shape {list(stack.shape)}")
        digest = combined_digest(plane.digest for plane in stack.planes)
        if digest != stack.object:
            yield Mismatch(f"stack {stack.object} of planes that give this digest", digest)


def _compare_inputs(
    manifest: Manifest, plan: StepPlan, well: str, upstream: Mapping[str, Manifest]
) -> Iterator[Mismatch]:
    """Yield what the job read that is not what earlier steps' manifests say there is."""
    source = None if plan.source is None else upstream.get(plan.source)
    if source is not None and (made := source.plane_digests()) != manifest.inputs:
        differing = [name for name in made if manifest.inputs.get(name) != made[name]]
        differing += [name for name in manifest.inputs if name not in made]
        yield Mismatch(
            f"the images that step {source.step!r} made",
            f"others were read ({_few(differing)})",
            is_stale=True,
        )
    taken = [
        (file.path(step, well), upstream.get(step))
        for step, files in taken_files(plan).items()
        for file in files
    ]
    if manifest.special.keys() != {path for path, _ in taken}:
        yield Mismatch("the special inputs of its plan", _few(sorted(manifest.special)))
    for path, maker in taken:
        record = None if maker is None else maker.files.get(path)
        if record is not None and manifest.special.get(path) not in (None, record.digest):
            yield Mismatch(
                f"{path} as it is today (digest {record.digest})",
                f"another was read (digest {manifest.special[path]})",
                is_stale=True,
            )


def plane_forms(manifest: Manifest) -> dict[PlaneKey, PlaneForm]:
    """Return digest, dtype and shape of each image of a manifest."""
    return {
        PlaneKey.parse(plane.name): PlaneForm(
            plane.digest, stack.dtype, (stack.shape[1], stack.shape[2])
        )
        for stack in manifest.images
        for plane in stack.planes
    }


def _is_plane(name: str, well: str) -> bool:
    try:
        return PlaneKey.parse(name).well == well
    except ValueError:
        return False


def _few(names: list[str]) -> str:
    return shortened(names, _SHOWN) or "none"
