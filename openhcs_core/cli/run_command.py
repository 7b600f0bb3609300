"""``openhcs-core run``."""

import json
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict

import click

from openhcs_core.cli.interrupts import all_as_ctrl_c
from openhcs_core.cli.plate_events import print_event
from openhcs_core.errors import EXIT_STOPPED, render_error
from openhcs_core.session import DEFAULT_CONFIG
from openhcs_core.session.facility import (
    CheckedPlate,
    FacilityOptions,
    FacilityRun,
    Outcome,
    broken_outcome,
    check_plate,
    cut_tasks,
    exit_code,
    plates_to_run,
    write_outcomes,
)
from openhcs_core.session.snakemake_arguments import (
    asks_for_dry_run,
    asks_for_part,
    find_snakefile,
)

_MOST_JOBS = 10_000


@click.command()
@click.argument("arguments", nargs=-1, metavar="[-- SNAKEMAKE ARGUMENTS]")
@click.option("--config", default=DEFAULT_CONFIG, show_default=True, help="The config file.")
@click.option("--plate", "plates", multiple=True, help="Only this one; may be repeated.")
@click.option(
    "--at-once",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Snakemakes that run at a time.",
)
@click.option(
    "--max-jobs",
    type=click.IntRange(min=0),
    default=_MOST_JOBS,
    show_default=True,
    help="Up to so many jobs one snakemake does all plates; above, each has its own.",
)
@click.option("--snakefile", help="Of the workflow; the one here when absent.")
@click.option("--cores", default="all", show_default=True, help="Of all snakemakes together.")
@click.option("--json", "as_json", is_flag=True, help="Print for programs, a line a state.")
@click.pass_context
def run_command(
    context: click.Context,
    *,
    arguments: tuple[str, ...],
    config: str,
    plates: tuple[str, ...],
    at_once: int,
    max_jobs: int,
    snakefile: str | None,
    cores: str,
    as_json: bool,
) -> None:
    """Run all plates of a config, by one snakemake or, where that would be too large, one a plate.

    Each plate is compiled first, and what is wrong with any is said before the first job. A plate
    that is broken, or of which something fails, stops no other. What is wrong with the config
    itself stops all. The same command again does what is not done.

    Ends in 0 when every plate is done, else with the exit code of the first that is not. What came
    of each plate is in results/plates.csv, what snakemake said in results/.run/.

    \b
    Examples:
      openhcs-core run
      openhcs-core run --at-once 4 -- --profile slurm
      openhcs-core run --plate p001 --plate p002 -- -n
    """
    say = _Speaker(as_json=as_json)
    with all_as_ctrl_c():
        results, every, names = plates_to_run(config, plates)
        workflow = find_snakefile(snakefile)
        checked = _check(config, names, say)
        broken = [broken_outcome(one, one.error) for one in checked if one.error is not None]
        is_whole = not plates and not broken
        tasks = cut_tasks(checked, len(checked) if is_whole else 0, max_jobs)
        at_once = min(at_once, max(1, len(tasks)))
        options = FacilityOptions(
            config=config,
            snakefile=workflow,
            results=results,
            arguments=("--cores", _share(cores, at_once), *arguments),
            at_once=at_once,
            is_dry_run=asks_for_dry_run(arguments),
            is_part=asks_for_part(arguments, results),
        )
        say.plan(checked, len(tasks), at_once)
        run = FacilityRun(options, tasks, say.event)
        outcomes, is_stopped = _run(run, [*broken], say)
    order = {name: number for number, name in enumerate(names)}
    outcomes.sort(key=lambda one: order.get(one.plate, -1))
    if not options.is_dry_run:
        say.table(outcomes, write_outcomes(results, outcomes, every))
    context.exit(EXIT_STOPPED if is_stopped else exit_code(outcomes))


def _run(run: FacilityRun, outcomes: list[Outcome], say: "_Speaker") -> tuple[list[Outcome], bool]:
    """Return what came of all plates, and whether a person stopped it."""
    try:
        with closing(run.outcomes()) as ended:
            for found in ended:
                outcomes += found
                say.ended(found)
    except KeyboardInterrupt:
        return [*outcomes, *run.unfinished()], True
    return outcomes, False


def _check(config: str, names: Sequence[str], say: "_Speaker") -> list[CheckedPlate]:
    """Compile each plate; say at once what is wrong with one."""
    found = []
    for number, name in enumerate(names, start=1):
        found.append(check_plate(config, name))
        say.checked(found[-1], number, len(names))
    return found


def _share(cores: str, at_once: int) -> str:
    """Return the cores of each of several snakemakes."""
    if at_once == 1:
        return cores
    total = len(os.sched_getaffinity(0)) if cores == "all" else cores
    try:
        return str(max(1, int(total) // at_once))
    except ValueError:
        raise click.UsageError(f"--cores: expected a number or all; found {cores!r}") from None


class _Speaker:
    """Says what happens: a line an event, and a table in the end."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._ended, self._plates = 0, 0
        self._told: set[str] = set()

    def checked(self, plate: CheckedPlate, number: int, count: int) -> None:
        """Say what is wrong with a plate, or on a terminal how far checking is."""
        for text in plate.warnings:
            if text not in self._told:  # the same for many plates
                self._told.add(text)
                self.event(plate.name, "warning", text)
        if plate.error is not None:
            self.event(plate.name, "broken", render_error(plate.error).removeprefix("error: "))
        if sys.stderr.isatty():
            end = "\n" if number == count else ""
            print(f"\rchecked {number} of {count} plates", end=end, file=sys.stderr, flush=True)

    def plan(self, plates: Sequence[CheckedPlate], task_count: int, at_once: int) -> None:
        """Say what is to be done."""
        good = [plate for plate in plates if plate.error is None]
        self._plates, self._ended = len(plates), len(plates) - len(good)
        predicted = [plate.totals for plate in good if plate.totals is not None]
        hours = sum(one.cpu_h for one in predicted), sum(one.gpu_h for one in predicted)
        if self._as_json:
            return
        wells, jobs = sum(p.wells for p in good), sum(p.jobs for p in good)
        broken = f", {self._ended} broken" if self._ended else ""
        print(
            f"{len(good)} plates{broken}: {wells} wells, {jobs} jobs from nothing, predicted "
            f"{hours[0]:.1f} h of cores and {hours[1]:.1f} h of GPUs; {task_count} "
            f"snakemake{'s' if task_count != 1 else ''}, {at_once} at a time",
            flush=True,
        )

    def event(self, plate: str, state: str, detail: str) -> None:
        """Say what happens to a plate."""
        print_event(plate, state, detail, as_json=self._as_json)

    def ended(self, outcomes: Sequence[Outcome]) -> None:
        """Say what came of plates."""
        self._ended += len(outcomes)
        for one in outcomes:
            if self._as_json:
                print(json.dumps(asdict(one)), flush=True)
                continue
            self.event(one.plate, one.state, f"{_describe(one)}  [{self._ended}/{self._plates}]")

    def table(self, outcomes: Sequence[Outcome], path: str) -> None:
        """Print what came of all plates."""
        if self._as_json:
            return
        rows: list[tuple[str, ...]] = [
            ("plate", "state", "wells", "done", "failed", "CPU h", "GPU h", "wall min")
        ]
        rows += [
            (
                one.plate,
                one.state,
                *map(str, (one.wells, one.wells_done, one.wells_failed)),
                f"{one.cpu_h:.3f}",
                f"{one.gpu_h:.3f}",
                f"{one.wall_s / 60:.1f}",
            )
            for one in outcomes
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = [cell.ljust(width) for cell, width in zip(row[:2], widths, strict=False)]
            cells += [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
            print("  ".join(cells).rstrip())
        done = sum(one.state == "done" for one in outcomes)
        cpu_h, gpu_h = sum(one.cpu_h for one in outcomes), sum(one.gpu_h for one in outcomes)
        print(f"{done} of {len(outcomes)} plates done, {cpu_h:.3f} h of cores, {gpu_h:.3f} of GPUs")
        for one in outcomes:
            if one.reason:
                print(f"{one.plate}: {one.reason}" + (f"; log {one.log}" if one.log else ""))
        print(f"table {path}", flush=True)


def _describe(one: Outcome) -> str:
    if one.state == "looked at":
        return (
            "its jobs are not in the log (--quiet)"
            if one.jobs is None
            else f"{one.jobs} jobs to do"
        )
    text = f"{one.wells_done} of {one.wells} wells, {one.cpu_h:.3f} h of cores, {one.wall_s:.0f} s"
    return f"{text}: {one.reason}" if one.reason else text
