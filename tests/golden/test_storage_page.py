"""The page on storage: its tables are what backends do, its examples run; ``make golden``."""

import doctest
import os
import re
import tempfile
from pathlib import Path

from openhcs_core.storage.backend_registry import BUILTIN_BACKENDS, load_backend_class
from openhcs_core.storage.backends.disk_formats import FORMATS
from openhcs_core.storage.base import operations_of

PAGE = Path(__file__).parents[2] / "docs" / "storage.md"
_TABLE = r"(<!-- {} -->\n)(?:\n(?:\|.*\n)+)?"
OPERATIONS = (
    *("save", "save_batch", "load", "load_batch", "exists", "list_files", "list_dir"),
    *("ensure_directory", "delete", "move", "mirror_directory", "generate_filename"),
)


def _rows(heads, rows):
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _operations():
    able = {
        name: operations_of(load_backend_class(name, entry))
        for name, entry in BUILTIN_BACKENDS.items()
    }
    assert set().union(*able.values()) == set(OPERATIONS)
    rows = [
        [f"`{operation}`", *("yes" if operation in can else "" for can in able.values())]
        for operation in OPERATIONS
    ]
    return _rows(["", *able], rows)


def _formats():
    by_format = {}
    for ending, known in FORMATS.items():
        by_format.setdefault(known, []).append(f"`{ending}`")
    rows = [
        [
            ", ".join(endings),
            known.holds,
            ", ".join(f"`{option}`" for option in sorted(known.write_options)),
            ", ".join(f"`{option}`" for option in sorted(known.read_options)),
        ]
        for known, endings in by_format.items()
    ]
    return _rows(["ending", "holds", "options of `save`", "of `load`"], rows)


def test_the_page_has_what_backends_do():
    page = PAGE.read_text()
    for name, table in (("operations", _operations()), ("formats", _formats())):
        page, count = re.subn(_TABLE.format(name), lambda found, t=table: found[1] + t, page)
        assert count == 1
    if os.environ.get("OPENHCS_REWRITE_GOLDEN"):
        PAGE.write_text(page)
    assert page == PAGE.read_text()


def test_its_examples_run(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    failed, tried = doctest.testfile(str(PAGE), module_relative=False)
    assert (failed, tried > 20) == (0, True)
