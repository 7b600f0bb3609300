"""What finished jobs gave, by what they were given: an equal job takes it instead of computing.

A job is its plan, its well and the content of everything it reads. Records and files are in the
cache beside the images; what is gone is computed again.
"""

import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from openhcs_core.config import ZARR_GROUP_FILES, FrozenModel
from openhcs_core.errors import StorageAccessError
from openhcs_core.ground.stored import (
    FILES_FOLDER,
    IMAGES_FOLDER,
    is_inside,
    job_folder,
    mark_used,
    place_files,
)
from openhcs_core.plan import digest_bytes
from openhcs_core.runtime.digests import content_digest, file_digest
from openhcs_core.runtime.file_cache import FileCache, StoredFile
from openhcs_core.runtime.manifest import Manifest
from openhcs_core.runtime.removable import write_unless_removed
from openhcs_core.storage import TEMPORARY_PREFIX, replace_file

_DECLARED = frozenset(ZARR_GROUP_FILES.values())
"""Names of files that rules declare as outputs, or that are small like these."""

logger = logging.getLogger(__name__)


class JobRecord(FrozenModel):
    """What one job gave.

    Attributes
    ----------
    manifest : Manifest
        Its commit record.
    kept : dict
        Files of the well's kept images: path below the well's folder to stored file.
    read : str or None
        What it read, as the plate and its index tell without reading images.
    """

    manifest: Manifest
    read: str | None = None
    kept: dict[str, StoredFile] = {}


@dataclass(frozen=True)
class JobResult:
    """A record with what is needed to put it back.

    Attributes
    ----------
    files : dict
        Content of each declared file, by path below the plate's results.
    """

    record: JobRecord
    files: dict[str, bytes]


@dataclass(frozen=True)
class JobCache:
    """Results of jobs below the cache's folder: ``jobs/``, ``files/`` and ``images/``.

    Attributes
    ----------
    root : Path
        Usually ``results/.cache``.
    """

    root: Path

    @property
    def files(self) -> FileCache:
        """Tables, ROIs and the like, under the digests that manifests have."""
        return FileCache(self.root / FILES_FOLDER, digest_bytes)

    @property
    def images(self) -> FileCache:
        """Files of kept images; these share their disk space with the results."""
        return FileCache(self.root / IMAGES_FOLDER, content_digest, file_digest)

    def knows(self, plan_digest: str, well: str) -> bool:
        """Return whether a job of this plan and well has ever been recorded, for any input."""
        return self._folder(plan_digest, well).is_dir()

    def find(self, plan_digest: str, well: str, read: Mapping[str, object]) -> JobResult | None:
        """Return the result of an equal job when all of it is there and undamaged.

        Parameters
        ----------
        read : mapping
            Content digests of everything the job reads.
        """
        return self._load(self._folder(plan_digest, well) / _name(read))

    def find_read(self, plan_digest: str, well: str, read: str) -> JobResult | None:
        """Return the result of a job that read the same, as far as that is known unread.

        Parameters
        ----------
        read : str
            As it was given to :meth:`put`.
        """
        for path in self._records(plan_digest, well):
            try:
                is_same = JobRecord.model_validate_json(path.read_bytes()).read == read
            except (OSError, ValidationError):
                continue
            if is_same:
                return self._load(path)
        return None

    def _load(self, path: Path) -> JobResult | None:
        try:
            record = JobRecord.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            return None
        if not all(map(is_inside, [*record.manifest.files, *record.kept])):
            return None
        files = {name: self.files.read(file) for name, file in record.manifest.files.items()}
        found = {name: content for name, content in files.items() if content is not None}
        stored = {name: self.images.find(file) for name, file in record.kept.items()}
        kept = {name: file for name, file in stored.items() if file is not None}
        if len(found) < len(files) or len(kept) < len(stored):
            logger.info("the result of an equal job is in the cache, but not whole: computing")
            return None
        if kept != record.kept:
            record = self._note_again(path, record, kept)
        mark_used(path)
        return JobResult(record, found)

    def _note_again(self, path: Path, record: JobRecord, kept: dict[str, StoredFile]) -> JobRecord:
        """Record files that were read, since they looked like others, so that it is done once."""
        logger.info("files of the cache are copies, or were touched: read, and found whole")
        again = record.model_copy(update={"kept": kept})
        # in the folder of another user, or where the cache was just removed, they are read again
        with suppress(StorageAccessError, FileNotFoundError):
            _write(again, path)
        return again

    def put(
        self,
        manifest: Manifest,
        files: Mapping[str, bytes],
        kept_folder: Path | None,
        read: str | None = None,
    ) -> None:
        """Record what a job gave.

        Parameters
        ----------
        files : mapping of str to bytes
            The declared files, by path below the plate's results.
        kept_folder : Path or None
            The folder of the well's kept images.
        read : str, optional
            What tells that another job reads the same, without reading images.

        Raises
        ------
        DiskFullError
            There is no room for it.
        """
        write_unless_removed(partial(self._put, manifest, files, kept_folder, read), self.root)

    def _put(
        self,
        manifest: Manifest,
        files: Mapping[str, bytes],
        kept_folder: Path | None,
        read: str | None,
    ) -> None:
        for content in files.values():
            self.files.put_bytes(content)
        kept = {} if kept_folder is None else self._put_folder(kept_folder)
        record = JobRecord(manifest=manifest, kept=kept, read=read)
        _write(record, self.record_path(manifest))

    def check(self, path: Path) -> str | None:
        """Return what is wrong with a job's record, None when it is of the job it is named by."""
        try:
            record = JobRecord.model_validate_json(path.read_bytes())
        except OSError as error:
            return f"damaged ({error})"
        except ValidationError as error:
            return f"no record as this version writes it ({error.errors()[0]['msg']})"
        is_own = path == self.record_path(record.manifest)
        return None if is_own else "the record of a job that read something else"

    def record_path(self, manifest: Manifest) -> Path:
        """Return where the record of a job is that committed a manifest, if there is one."""
        content_read = {"inputs": manifest.inputs, "special": manifest.special}
        return self._folder(manifest.digest, manifest.well) / _name(content_read)

    def place_kept(self, result: JobResult, folder: Path) -> None:
        """Put the files of kept images into a folder, by hard links where these can be.

        Raises
        ------
        CacheRemovedError
            They were removed since they were looked for.
        """
        kept = result.record.kept.items()
        place_files({name: self.images.path(stored.digest) for name, stored in kept}, folder)

    def _put_folder(self, folder: Path) -> dict[str, StoredFile]:
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        return {
            path.relative_to(folder).as_posix(): self.images.put_file(
                path, is_shared=path.name not in _DECLARED
            )
            for path in paths
            if not _is_ours_alone(path)
        }

    def _records(self, plan_digest: str, well: str) -> list[Path]:
        try:
            return list(self._folder(plan_digest, well).glob("*.json"))
        except FileNotFoundError:  # removed meanwhile
            return []

    def _folder(self, plan_digest: str, well: str) -> Path:
        return job_folder(self.root, plan_digest, well)


def _write(record: JobRecord, path: Path) -> None:
    with replace_file(path, durable=False) as stream:
        stream.write(record.model_dump_json().encode())


def _name(read: Mapping[str, object]) -> str:
    text = json.dumps(read, sort_keys=True, ensure_ascii=False)
    return f"{digest_bytes(text.encode())}.json"


def _is_ours_alone(path: Path) -> bool:
    """Whether a file is no part of the images: unfinished, or Snakemake's."""
    return path.name.startswith(TEMPORARY_PREFIX) or path.name == ".snakemake_timestamp"
