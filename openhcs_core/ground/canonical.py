"""Canonical JSON, and digests of text and bytes."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

DIGEST_BYTES = 16


def canonical_json(value: Any) -> str:
    """Return JSON that is the same for equal values: sorted keys, no spaces, UTF-8, no NaN."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def digest_text(text: str) -> str:
    """Return the BLAKE2b digest of `text` as 32 hexadecimal digits."""
    return hashlib.blake2b(text.encode(), digest_size=DIGEST_BYTES).hexdigest()


def digest_bytes(data: bytes) -> str:
    """Return the BLAKE2b digest of `data` as 32 hexadecimal digits."""
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).hexdigest()


def digest_file(path: Path) -> str:
    """Return :func:`digest_bytes` of a file, of which a part is in memory at a time."""
    with path.open("rb") as stream:
        made = hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=DIGEST_BYTES))
    return made.hexdigest()


def job_digest(digests: Sequence[str]) -> str:
    """Return the digest that a job carries, of those of its plans in its order."""
    return digests[0] if len(digests) == 1 else digest_text("\n".join(digests))


def readable_json(value: Any) -> str:
    """Return JSON for files that people open: sorted and indented, the same for equal values."""
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
