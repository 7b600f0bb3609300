"""Are the results of two runs the same? Compared by what manifests record."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from openhcs_core.runtime import Manifest

Kind = Literal["input", "image", "label", "file", "failure", "job"]


@dataclass(frozen=True)
class Difference:
    """One thing that is another in the new run.

    Attributes
    ----------
    kind : str
        ``input``: an image that was read, or a table; ``image``, ``label``, ``file``: a result;
        ``failure``: one of them failed; ``job``: there is only one of them.
    step, well : str
        Of the job.
    name : str
        Of the image or file.
    recorded, found : str
        Digests, or what stands for them.
    """

    kind: Kind
    step: str
    well: str
    name: str
    recorded: str
    found: str

    def __str__(self) -> str:
        name = f" {self.name}" if self.name else ""
        return (
            f"{self.kind:<7} {self.well}, step {self.step!r}:{name}: recorded {self.recorded}, "
            f"now {self.found}"
        )


def compare_manifests(recorded: Manifest, found: Manifest | None) -> Iterator[Difference]:
    """Yield what is another in a new run's manifest; plans and versions are not compared."""
    step, well = recorded.step, recorded.well
    if found is None:
        yield Difference("job", step, well, "", "a result", "none")
        return
    if _outcome(recorded) != _outcome(found):
        yield Difference("failure", step, well, "", _outcome(recorded), _outcome(found))
        return
    parts: list[tuple[Kind, Mapping[str, str], Mapping[str, str]]] = [
        ("input", recorded.inputs, found.inputs),
        ("input", recorded.special, found.special),
        ("image", _images(recorded), _images(found)),
        ("label", recorded.labels, found.labels),
        ("file", _files(recorded), _files(found)),
    ]
    for kind, old, new in parts:
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name):
                before, now = old.get(name, "nothing"), new.get(name, "nothing")
                yield Difference(kind, step, well, name, before, now)


def _outcome(manifest: Manifest) -> str:
    if manifest.failure is not None:
        return f"failed in step {manifest.failure.step!r}"
    return f"without {', '.join(manifest.left_out)}" if manifest.left_out else "a result"


def _images(manifest: Manifest) -> dict[str, str]:
    return {
        plane.name: f"{stack.dtype} {plane.digest}"
        for stack in manifest.images
        for plane in stack.planes
    }


def _files(manifest: Manifest) -> dict[str, str]:
    return {name: record.digest for name, record in manifest.files.items()}
