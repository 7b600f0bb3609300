"""What a job read, as one digest beside its result: an index and manifests, by their bytes.

Times and Snakemake's records can both be lost, or be of other files: clocks go back, folders are
copied and put back. With this digest compiling tells by content whether a result is of today's
input. It is no part of the manifest, since an index has times of images in it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from openhcs_core.errors import InputDataError
from openhcs_core.ground.canonical import digest_file
from openhcs_core.ground.commit_records import read_record_path
from openhcs_core.plan import (
    StepPlan,
    read_names,
)
from openhcs_core.runtime.digests import combined_digest


def records_digest(digests: Mapping[str, str]) -> str:
    """Return one digest of those of the files of :func:`read_names`, by path."""
    return combined_digest(f"{name} {digest}" for name, digest in sorted(digests.items()))


def digest_of_read(plate_dir: Path, plan: StepPlan, well: str) -> str:
    """Return the digest of what a job reads now.

    Raises
    ------
    InputDataError
        Something is missing.
    """
    return records_digest(digests_of_read(plate_dir, plan, well))


def digests_of_read(plate_dir: Path, plan: StepPlan, well: str) -> dict[str, str]:
    """Return the digest of each file that says what a job reads now, by its path.

    Raises
    ------
    InputDataError
        One is missing.
    """
    names = read_names(plan, well)
    return {name: digest_of_made(plate_dir / name) for name in names}


def read_made(path: Path) -> bytes:
    """Return the bytes of an index or manifest that a job cannot do without.

    Raises
    ------
    InputDataError
        It is missing.
    """
    with _naming_missing(path):
        return path.read_bytes()


def digest_of_made(path: Path) -> str:
    """Return the digest of such a file, or of a plate table, which may be large.

    Raises
    ------
    InputDataError
        It is missing.
    """
    with _naming_missing(path):
        return digest_file(path)


@contextmanager
def _naming_missing(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise InputDataError(
            f"{path} is missing: what this step reads has not been made; run snakemake"
        ) from error


def find_read_record(plate_dir: Path, step: str, well: str) -> str | None:
    """Return what a result was made from, None when that is not known."""
    try:
        return read_record_path(plate_dir, step, well).read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        return None
