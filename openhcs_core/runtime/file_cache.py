"""Files of finished jobs by digest, to be put back where an equal job comes up again."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from openhcs_core.ground.atomic import replace_file, temporary_name
from openhcs_core.ground.links import link_or_copy
from openhcs_core.ground.stored import read_whole, stored_path
from openhcs_core.runtime.manifest import FileRecord

_READ_ONLY = 0o444


class StoredFile(FileRecord):
    """A file whose content is not read when it is put back, unless it looks like another one.

    Attributes
    ----------
    inode : int or None
        Tells a file that took the place of this one, whatever time it was given; None in
        records of earlier versions.
    """

    mtime_ns: int
    inode: int | None = None


@dataclass(frozen=True)
class FileCache:
    """Read-only files, each named by the digest of its bytes.

    Attributes
    ----------
    root : Path
        Folder of the files.
    digest : callable
        Gives the digest of a file's bytes.
    file_digest : callable, optional
        Gives the same for a file, of which a part is in memory at a time.
    """

    root: Path
    digest: Callable[[bytes], str]
    file_digest: Callable[[Path], str] | None = None

    def put_bytes(self, content: bytes) -> FileRecord:
        """Store content unless it is there.

        Raises
        ------
        DiskFullError
            There is no room for it.
        """
        record = FileRecord(digest=self.digest(content), size_bytes=len(content))
        if self.read(record) is None:
            _write_read_only(content, self.path(record.digest))
        return record

    def put_file(self, path: Path, *, is_shared: bool = True) -> StoredFile:
        """Store a file by a hard link, which costs no space; by a copy where links cannot be.

        The file becomes read-only: it and the stored one may be the same.

        Parameters
        ----------
        is_shared : bool
            False always copies: for files whose time others change, as Snakemake does after a
            job with the outputs that rules declare.

        Raises
        ------
        DiskFullError
            There is no room for a copy.
        """
        digest = self._digest_of(path)
        stored = self.path(digest)
        if not self._is_whole(stored):
            if is_shared:
                path.chmod(path.stat().st_mode & _READ_ONLY)
                link_or_copy(path, stored)
            else:
                _link_to_copy(path.read_bytes(), stored)
        return _record(digest, stored.stat())

    def read(self, record: FileRecord) -> bytes | None:
        """Return the content of a stored file, None when it is gone or damaged."""
        return read_whole(self.path(record.digest), record.digest, self.digest)

    def find(self, record: StoredFile) -> StoredFile | None:
        """Return a file's record as it is now, None when the file is gone or damaged.

        One of the size, time and inode that are recorded is not read. The files of a cache that
        was copied or moved to another disk have others: these are read, once, for the new record
        is to take the place of the old.
        """
        path = self.path(record.digest)
        try:
            found = _record(record.digest, path.stat())
            if found == record:
                return record
            is_whole = found.size_bytes == record.size_bytes and self.check(path) is None
            return found if is_whole and path.stat().st_ino == found.inode else None
        except OSError:
            return None

    def check(self, path: Path) -> str | None:
        """Return what is wrong with a stored file, None when it is what its name says."""
        try:
            digest = self._digest_of(path)
        except OSError as error:
            return f"damaged ({error})"
        return None if digest == path.name else f"a file of digest {digest}"

    def _is_whole(self, path: Path) -> bool:
        """Return whether a stored file is what its name says; one that is not is removed.

        One that is missing is not: another job may be about to store it, and note its time.
        """
        try:
            if self._digest_of(path) == path.name:
                return True
            path.unlink(missing_ok=True)
        except FileNotFoundError:
            pass
        except OSError:  # unreadable
            path.unlink(missing_ok=True)
        return False

    def _digest_of(self, path: Path) -> str:
        return (
            self.digest(path.read_bytes()) if self.file_digest is None else self.file_digest(path)
        )

    def path(self, digest: str) -> Path:
        """Return where the file of a digest is or would be."""
        return stored_path(self.root, digest)


def _record(digest: str, found: os.stat_result) -> StoredFile:
    return StoredFile(
        digest=digest, size_bytes=found.st_size, mtime_ns=found.st_mtime_ns, inode=found.st_ino
    )


def _write_read_only(content: bytes, path: Path) -> None:
    with replace_file(path, durable=False) as stream:
        stream.write(content)
        os.fchmod(stream.fileno(), os.fstat(stream.fileno()).st_mode & _READ_ONLY)


def _link_to_copy(content: bytes, target: Path) -> None:
    """Store content under a name that somebody else may take meanwhile: theirs then stays."""
    own = target.with_name(temporary_name())
    try:
        _write_read_only(content, own)
        link_or_copy(own, target)
    finally:
        own.unlink(missing_ok=True)
