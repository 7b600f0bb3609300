"""The tables of routes that people read are the routes taken: ``make golden`` rewrites them."""

import os
import re
from pathlib import Path

from openhcs_core.constants import GPU_ONLY_MEMORY_TYPES, MemoryType
from openhcs_core.memory import find_route

PAGE = Path(__file__).parents[2] / "docs" / "memory_types.md"
_TABLE = re.compile(r"(<!-- routes on the (CPU|GPU) -->\n)(?:\n(?:\|.*\n)+)?")


def _cell(source, target, *, on_gpu):
    route = find_route(source, target, on_gpu=on_gpu)
    if not route.hops:
        return ""
    through = "".join(f", through {kind}" for kind in route.types[1:-1])
    copies = "view" if not route.copies else "1 copy" if route.copies == 1 else "2 copies"
    return f"{copies} ({route.method.replace('_', ' ')}{through})"


def _table(found):
    on_gpu = found[2] == "GPU"
    left_out = {MemoryType.UNKNOWN} | (frozenset() if on_gpu else GPU_ONLY_MEMORY_TYPES)
    kinds = [kind for kind in MemoryType if kind not in left_out]
    rows = [["from \\ to", *kinds], ["---"] * (len(kinds) + 1)]
    rows += [
        [source, *(_cell(source, target, on_gpu=on_gpu) for target in kinds)] for source in kinds
    ]
    return found[1] + "\n" + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def test_the_page_has_the_routes_that_are_taken():
    page, tables = _TABLE.subn(_table, PAGE.read_text())
    assert tables == 2
    if os.environ.get("OPENHCS_REWRITE_GOLDEN"):
        PAGE.write_text(page)
    assert page == PAGE.read_text()
