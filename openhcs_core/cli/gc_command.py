"""``openhcs-core gc``."""

import click

from openhcs_core.cli.amounts import age_s, size_bytes
from openhcs_core.session import DEFAULT_CONFIG, Compilation, RunSession, compile_workflow
from openhcs_core.session.cache_size import CacheLimits, current_jobs, trim_cache
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
@click.option(
    "--keep-size", callback=size_bytes, help="Bring the cache within this size, e.g. 20GB."
)
@click.option(
    "--older-than", callback=age_s, help="Empty it of what was not used so long, e.g. 30d."
)
@click.option("--dry-run", "-n", is_flag=True, help="Only list what would be removed.")
def gc_command(
    config: str,
    *,
    stale: bool,
    plates: tuple[str, ...],
    keep_size: float | None,
    older_than: float | None,
    dry_run: bool,
) -> None:
    """Remove what earlier configs left, and what the cache need not have.

    --stale removes results of steps and wells that are no longer there. Files that a job did
    not write stay, and so do links. Results of a plate that the config no longer has stay until
    --plate names it. Nothing is removed while a run goes on.

    --keep-size and --older-than remove from the cache: results of earlier parameters first, what
    was of no use for longest before the rest. What is gone is computed again where it is needed.

    \b
    Examples:
      openhcs-core gc --stale --dry-run
      openhcs-core gc --stale
      openhcs-core gc --stale --plate old_plate
      openhcs-core gc --keep-size 20GB
      openhcs-core gc --older-than 30d
    """
    limits = CacheLimits(keep_size, older_than)
    if not (stale or limits.are_given):
        raise click.UsageError(
            "say what to remove: --stale removes results of steps and wells that the config no "
            "longer has, --keep-size and --older-than remove from the cache (with --dry-run they "
            "only say what)"
        )
    if dry_run:
        print(_collect(compile_workflow(config), limits, plates, stale=stale, is_done=False))
        return
    with RunSession(config).alone() as compilation:
        print(_collect(compilation, limits, plates, stale=stale, is_done=True))


def _collect(
    compilation: Compilation,
    limits: CacheLimits,
    plates: tuple[str, ...],
    *,
    stale: bool,
    is_done: bool,
) -> str:
    """Remove it, or find it; return what it was."""
    lines = []
    if stale:
        found = collect_stale(compilation.compiled, plates)
        for one in found if is_done else ():
            remove_files(one)
        left = find_removed_plates(compilation.compiled)
        unnamed = [name for name in left if name not in plates]
        lines.append(_describe(found, unnamed, is_done=is_done))
    if limits.are_given:
        current = current_jobs(compilation.compiled)
        trimmed = trim_cache(compilation.cache_root, current, limits, dry_run=not is_done)
        lines.append(f"cache {compilation.cache_root}: {trimmed}")
    return "\n".join(lines)


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
