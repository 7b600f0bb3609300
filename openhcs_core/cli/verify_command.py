"""``openhcs-core verify``."""

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

import click

from openhcs_core.errors import EXIT_DATA
from openhcs_core.session.verification import Verification, VerifyOptions, verify_results

_EVERY_S = 2.0


@click.command()
@click.argument("results", type=click.Path(path_type=Path))
@click.option("--plate", "plates", multiple=True, help="Only this plate; may be repeated.")
@click.option("--cache", is_flag=True, help="Check the content of the cache too.")
@click.option("--raw", is_flag=True, help="Read the plate's own images too.")
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
@click.pass_context
def verify_command(
    context: click.Context,
    results: Path,
    *,
    plates: tuple[str, ...],
    cache: bool,
    raw: bool,
    as_json: bool,
) -> None:
    """Compare RESULTS, or one plate's folder in it, with what its jobs wrote.

    One line a problem: what was altered, is missing, is stale (an edit that has not been run)
    or is left of an earlier config, and how to mend it. Nothing is changed, and no config is
    needed. Ends in 0 when nothing is altered or missing, else in 3; in 2 when RESULTS is no
    results folder.

    \b
    Examples:
      openhcs-core verify results
      openhcs-core verify results/demo --raw --cache
    """
    options = VerifyOptions(plates, cache, raw)
    progress = _Progress()
    found = verify_results(results, options, progress)
    progress.end()
    print(_as_json(found) if as_json else _describe(found))
    if found.is_bad:
        context.exit(EXIT_DATA)


class _Progress:
    """Says on stderr every few seconds how far it is."""

    def __init__(self) -> None:
        self._start = self._said = time.monotonic()

    def __call__(self, done: int, count: int, size_bytes: int) -> None:
        now = time.monotonic()
        if now - self._said >= _EVERY_S:
            self._said = now
            rate = size_bytes / 1e6 / (now - self._start)
            print(f"{done} of {count} wells, {rate:.0f} MB/s", file=sys.stderr)

    def end(self) -> None:
        if self._said > self._start:
            print("done", file=sys.stderr)


def _describe(found: Verification) -> str:
    lines = [str(problem) for problem in found.problems]
    lines += [f"note     {note}" for note in found.notes]
    counts = ", ".join(f"{count} {kind}" for kind, count in found.count().items())
    size = f"{found.size_bytes / 1e6:.1f} MB"
    return "\n".join(
        [*lines, f"{found.wells} wells, {size} compared: {counts or 'all as written'}"]
    )


def _as_json(found: Verification) -> str:
    return json.dumps(
        {
            "problems": [asdict(problem) for problem in found.problems],
            "notes": found.notes,
            "wells": found.wells,
            "size_bytes": found.size_bytes,
            "counts": found.count(),
        },
        indent=1,
        ensure_ascii=False,
    )
