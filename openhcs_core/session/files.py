"""Generated files: written when their content changes, compared otherwise."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from openhcs_core.plan import digest_bytes, digest_text
from openhcs_core.storage import replace_file

PLAN_INDEX, RULES = "plan.json", "rules.smk"


@dataclass(frozen=True)
class LaterText:
    """Text of a file that is made when it is asked for.

    Attributes
    ----------
    make : callable
        Makes it.
    known : str or None
        Digest of the text that is made where no file has another that is as good.
    takes_present : bool
        A file that is there may have a text that is as good.
    """

    make: Callable[[], str]
    known: str | None = None
    takes_present: bool = False

    @cached_property
    def text(self) -> str:
        """The text."""
        return self.make()

    def is_known_at(self, path: Path) -> bool:
        """Return whether a file has the text whose digest is known."""
        try:
            return self.known is not None and digest_bytes(path.read_bytes()) == self.known
        except (FileNotFoundError, NotADirectoryError):
            return False


class GeneratedFiles(Mapping[str, str]):
    """Texts of generated files by path, some of which are made only when they are asked for.

    Parameters
    ----------
    texts : mapping of str to str or LaterText
        By path.
    """

    def __init__(self, texts: Mapping[str, str | LaterText]) -> None:
        self._texts = dict(texts)

    def __getitem__(self, path: str) -> str:
        text = self._texts[path]
        return text if isinstance(text, str) else text.text

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def __contains__(self, path: object) -> bool:
        return path in self._texts

    def digest(self, path: str) -> str:
        """Return the digest of a text, without making it where that is known."""
        text = self._texts[path]
        known = text.known if isinstance(text, LaterText) else None
        if isinstance(text, LaterText) and text.takes_present and not text.is_known_at(Path(path)):
            known = None
        return digest_text(self[path]) if known is None else known

    def known_digest(self, path: str) -> str:
        """Return the digest of a text, or of one that would be as good."""
        text = self._texts[path]
        known = text.known if isinstance(text, LaterText) else None
        return digest_text(self[path]) if known is None else known

    def is_held(self, path: str) -> bool:
        """Return whether the file is there with this text, or one that is as good."""
        text = self._texts[path]
        is_known = isinstance(text, LaterText) and text.is_known_at(Path(path))
        return is_known or (Path(path).is_file() and holds(Path(path), self[path]))

    def below(self, folder: str) -> "GeneratedFiles":
        """Return the files of a folder."""
        return GeneratedFiles(
            {path: text for path, text in self._texts.items() if path.startswith(f"{folder}/")}
        )


def write_files(files: Mapping[str, str]) -> list[str]:
    """Write the files whose content changes, each in one step; return their paths."""
    changed = changed_files(files)
    for path in changed:
        with replace_file(path, durable=False) as stream:
            stream.write(files[path].encode())
    return changed


def plan_records(results: Path, plate: str) -> list[Path]:
    """Return the folders below ``.plan`` that are about one plate."""
    try:
        kinds = sorted((results / ".plan").iterdir())
    except FileNotFoundError:
        return []
    return [kind / plate for kind in kinds if (kind / plate).is_dir()]


def changed_files(files: Mapping[str, str]) -> list[str]:
    """Return the paths whose content is not what it should be."""
    return [path for path in files if not is_held(files, path)]


def is_held(files: Mapping[str, str], path: str) -> bool:
    """Return whether a generated file is there as it should be."""
    if isinstance(files, GeneratedFiles):
        return files.is_held(path)
    return holds(Path(path), files[path])


def text_digest(files: Mapping[str, str], path: str) -> str | None:
    """Return the digest of the text of a generated file; None when it is none of them."""
    if path not in files:
        return None
    return files.digest(path) if isinstance(files, GeneratedFiles) else digest_text(files[path])


def changed_plans(files: Mapping[str, str]) -> list[str]:
    """Return the paths whose content is another one, what is only predicted apart.

    Predictions get better while a run goes on; it is the same run for all that.
    """
    return [
        path
        for path in changed_files(files)
        if Path(path).name != PLAN_INDEX or _planned(files[path]) != _planned(_text(Path(path)))
    ]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return ""


def _planned(text: str) -> Any:
    """Return what a plan index plans; the text itself where that is none."""
    try:
        index = json.loads(text)
    except json.JSONDecodeError:
        return text
    for plate in index["plates"].values():
        for key in ("predictions", "resources"):
            plate.pop(key, None)
    return index


def holds(path: Path, text: str) -> bool:
    """Return whether a file has just this content."""
    try:
        return path.read_bytes() == text.encode()
    except (FileNotFoundError, NotADirectoryError):
        return False
