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


@dataclass(frozen=True)
class RawImages:
    """Looks at the images of a plate.

    Attributes
    ----------
    plate_dir : Path
        ``results/<plate>``.
    mapping : mapping of str to str
        Virtual name to path in the plate, of the virtual workspace.
    plate_path : Path
        The plate's folder; it is there.
    has_content_read : bool
        Read every image and compare its content, not size and time alone.
    """

    plate_dir: Path
    mapping: Mapping[str, str]
    plate_path: Path
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
        paths = [self.plate_path / real for _, real, _, _ in index["images"]]
        return sum(path.stat().st_size for path in paths if path.is_file())

    def _check_file(
        self, name: str, real: str, size_bytes: int | None, mtime_ns: int | None, mend: str
    ) -> Iterator[Problem]:
        path = self.plate_path / real
        if self.mapping.get(f"images/{name}") != real:
            known = self.mapping.get(f"images/{name}", "no such image")
            yield Problem("stale", str(path), f"{name} to be {known}", "another index", RUN)
            return
        if size_bytes is None and not self.has_content_read:  # raw: immutable
            return
        try:
            stat = path.stat()
        except OSError as error:
            yield Problem("missing", str(path), "an image", str(error.strerror), mend)
            return
        if size_bytes is not None and (stat.st_size, stat.st_mtime_ns) != (size_bytes, mtime_ns):
            yield Problem(
                "stale",
                str(path),
                f"{size_bytes} bytes, changed at {mtime_ns} ns as indexed",
                f"{stat.st_size} bytes, {stat.st_mtime_ns} ns",
                f"{RUN}, which reads it again",
            )

    def _check_content(
        self, well: str, names: list[str], manifests: Mapping[str, Manifest], mend: str
    ) -> Iterator[Problem]:
        plate = PlateInput(Job(self.plate_dir, ""), well)
        for name in names:
            path = self.plate_path / self.mapping[f"images/{name}"]
            try:
                plate.load([PlaneKey.parse(name)])
            except (InputDataError, LookupError) as error:
                yield Problem("altered", str(path), "the image that was read", str(error), mend)
                continue
            wrong = [s for s, m in manifests.items() if m.inputs[name] != plate.digests[name]]
            if wrong:
                found = f"other pixels than step {wrong[0]!r} read"
                yield Problem("altered", str(path), "the image that was read", found, mend)
