"""The plate's own images against what jobs read of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openhcs_core.errors import InputDataError
from openhcs_core.plan import manifest_path
from openhcs_core.planes import PlaneKey
from openhcs_core.runtime import Job, Manifest, PlateInput
from openhcs_core.session.verification.problems import RUN, Problem, make_again
from openhcs_core.storage import PlateSource


@dataclass(frozen=True)
class RawImages:
    """Looks at the images of a plate.

    Attributes
    ----------
    plate_dir : Path
        ``results/<plate>``.
    mapping : mapping of str to str
        Virtual name to path in the plate, of the virtual workspace.
    source : PlateSource
        Where the plate's images are; it is there.
    has_content_read : bool
        Read every image and compare its content, not size and time alone.
    """

    plate_dir: Path
    mapping: Mapping[str, str]
    source: PlateSource
    has_content_read: bool

    def check(
        self, well: str, index: Mapping[str, Any], manifests: Mapping[str, Manifest]
    ) -> Iterator[Problem]:
        """Yield images of a well that changed since they were indexed or read.

        Parameters
        ----------
        index : mapping
            The well's index.
        manifests : mapping of str to Manifest
            Those of the steps that read the plate, by step.
        """
        step = next(iter(manifests), None)
        mend = make_again(self.plate_dir / manifest_path(step, well)) if step else RUN
        mend = f"put the image back that was analysed, or {mend}"
        changed = set()
        for name, real, size_bytes, mtime_ns in index["images"]:
            for problem in self._check_file(name, real, size_bytes, mtime_ns, mend):
                changed.add(name)
                yield problem
        names = {name for name, _, _, _ in index["images"]}
        for step, manifest in manifests.items():
            if manifest.inputs.keys() != names:
                path = self.plate_dir / manifest_path(step, well)
                what = "images of the well's index", "others"
                yield Problem("stale", str(path), *what, make_again(path))
                return
        if self.has_content_read:
            yield from self._check_content(well, sorted(names - changed), manifests, mend)

    def size_bytes(self, index: Mapping[str, Any]) -> int:
        """Return how many bytes of a well are read."""
        if not self.has_content_read:
            return 0
        return sum(
            self.source.status(real).st_size or 0
            for _, real, _, _ in index["images"]
            if self.source.exists(real)
        )

    def _check_file(
        self, name: str, real: str, size_bytes: int | None, mtime_ns: int | str | None, mend: str
    ) -> Iterator[Problem]:
        path = self.source.where(real)
        if self.mapping.get(f"images/{name}") != real:
            known = self.mapping.get(f"images/{name}", "no such image")
            yield Problem("stale", path, f"{name} to be {known}", "another index", RUN)
            return
        is_immutable = size_bytes is None and mtime_ns is None
        if is_immutable and not self.has_content_read:
            return
        try:
            stat = self.source.status(real)
        except (OSError, InputDataError) as error:
            found = getattr(error, "strerror", None) or str(error)
            yield Problem("missing", path, "an image", found, mend)
            return
        if not is_immutable and (stat.st_size, stat.st_mtime_ns) != (size_bytes, mtime_ns):
            yield Problem(
                "stale",
                path,
                f"{size_bytes} bytes, {_state(mtime_ns)} as indexed",
                f"{stat.st_size} bytes, {_state(stat.st_mtime_ns)}",
                f"{RUN}, which reads it again",
            )

    def _check_content(
        self, well: str, names: list[str], manifests: Mapping[str, Manifest], mend: str
    ) -> Iterator[Problem]:
        plate = PlateInput(Job(self.plate_dir, ""), well)
        for name in names:
            path = self.source.where(self.mapping[f"images/{name}"])
            try:
                plate.load([PlaneKey.parse(name)])
            except (InputDataError, LookupError) as error:
                yield Problem("altered", path, "the image that was read", str(error), mend)
                continue
            wrong = [s for s, m in manifests.items() if m.inputs[name] != plate.digests[name]]
            if wrong:
                found = f"other pixels than step {wrong[0]!r} read"
                yield Problem("altered", path, "the image that was read", found, mend)


def _state(mtime_ns: int | str | None) -> str:
    """Return what is said of a time or an ETag."""
    return f"changed at {mtime_ns} ns" if isinstance(mtime_ns, int) else f"state {mtime_ns}"
