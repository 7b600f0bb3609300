"""``openhcs-core gc``."""

import click

from openhcs_core.session import DEFAULT_CONFIG, RunSession, compile_workflow
from openhcs_core.session.stale_results import (
    StaleResults,
    collect_stale,
    find_removed_plates,
    foreign_files,
    remove_files,
)


@click.command()
@click.option("--config", default=DEFAULT_CONFIG, show_default=True, help="The config file.")
@click.option("--stale", is_flag=True, help="Remove results that no step or well has any more.")
@click.option(
    "--plate",
    "plates",
    multiple=True,
    help="Remove all results of this plate, which the config no longer has; may be repeated.",
)
@click.option("--dry-run", "-n", is_flag=True, help="Only list what would be removed.")
def gc_command(config: str, *, stale: bool, plates: tuple[str, ...], dry_run: bool) -> None:
    """Remove what earlier configs left: results of steps and wells that are no longer there.

    Files that a job did not write stay, and so do links. Results of a plate that the config no
    longer has stay until --plate names it. Nothing is removed while a run goes on.

    \b
    Examples:
      openhcs-core gc --stale --dry-run
      openhcs-core gc --stale
      openhcs-core gc --stale --plate old_plate
    """
    if not stale:
        raise click.UsageError(
            "say what to remove: --stale removes results of steps and wells that the config no "
            "longer has (with --dry-run they are listed)"
        )
    if dry_run:
        compiled = compile_workflow(config).compiled
        found = collect_stale(compiled, plates)
        left = find_removed_plates(compiled)
    else:
        with RunSession(config).alone() as compilation:
            found = collect_stale(compilation.compiled, plates)
            for one in found:
                remove_files(one)
            left = find_removed_plates(compilation.compiled)
    print(_describe(found, [name for name in left if name not in plates], is_done=not dry_run))


def _describe(found: list[StaleResults], plates: list[str], *, is_done: bool) -> str:
    lines = [f"{one.folder}/{name}" for one in found for name in one.names]
    lines += [f"not ours, left alone: {name}" for name in foreign_files(found)]
    lines += [
        f"plate {name!r} is not in the config any more; --plate {name} removes its results"
        for name in plates
    ]
    count = sum(len(one.files) for one in found)
    lines.append(f"{count} files {'removed' if is_done else 'would be removed'}")
    return "\n".join(lines)
