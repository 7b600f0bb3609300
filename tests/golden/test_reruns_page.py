"""docs/reruns.md says what the table of edits says: ``make golden`` rewrites it."""

import importlib.util
import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reruns.md"
FOLDER = ROOT / "tests" / "integration" / "rerun_edits"

_BEGIN = """# What runs after an edit

Give the same command again after any edit: what depends on it runs, and nothing else.
`snakemake -n` says what that is before; an edit that is undone after such a look runs nothing.

It does not matter how Snakemake finds out. The same jobs run when its own records are gone
(`.snakemake` deleted, or the results copied elsewhere with their times) and with
`--rerun-triggers mtime`: plans of steps and index files of wells are inputs of rules, and each
has the time of its content (`results/.plan/times/` remembers times for content that comes
back). A result whose manifest names another plan than today's does not count, and neither do
kept images that lack a field.

The tests make each edit below on a project of this pipeline, run snakemake and compare the jobs:

    clean (a function of a module of your own) → flatten → count (kept; an override for A02)

It has wells A01 and A02, a plate map, tables of `clean` and `count`, and a second small plate
with one step, `top`.
"""


def _load_table():
    spec = importlib.util.spec_from_file_location(FOLDER.name, FOLDER / "__init__.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[FOLDER.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_page_is_the_table():
    text = _page(_load_table())
    if os.environ.get("OPENHCS_REWRITE_GOLDEN"):
        PAGE.write_text(text)
    assert PAGE.read_text() == text, "run `make golden` and review the difference"


def _page(table):
    parts = [_BEGIN]
    for topic, edits in table.TOPICS.items():
        rows = [f"| {edit.title} | {_describe(edit.jobs)} | {edit.note} |" for edit in edits]
        head = "deleted" if topic.startswith("Deleted") else "edited"
        parts.append(
            "\n".join([f"## {topic}\n", f"| {head} | runs | |", "|---|---|---|", *rows, ""])
        )
    return "\n".join(parts)


def _describe(jobs):
    """Return jobs in words: steps with their wells, plate tables, plate metadata of kept steps."""
    if not jobs:
        return "nothing"
    wells = {}
    for step, target in sorted(jobs, key=lambda job: (_place(job[0]), job)):
        if target[0] == "A":
            wells.setdefault(step, []).append(target)
    said = {}
    for step, of in wells.items():
        said.setdefault("" if of == ["A01", "A02"] or step == "top" else f" of {of[0]}", []).append(
            f"`{step}`"
        )
    parts = [", ".join(steps) + of for of, steps in said.items()]
    tables = sorted({f"`{step}`" for step, target in jobs if target.endswith(".csv")})
    stores = sorted({f"`{step}`" for step, target in jobs if target == "store"})
    if tables:
        parts.append(f"plate tables of {' and '.join(tables)}")
    if stores:
        parts.append(f"plate metadata of {' and '.join(stores)}")
    return "; ".join(parts)


def _place(step):
    order = ("clean", "project", "flatten", "again", "count", "last", "top")
    return order.index(step)
