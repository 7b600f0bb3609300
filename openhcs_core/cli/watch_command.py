"""``openhcs-core watch``."""

import time
from collections.abc import Callable
from pathlib import Path

import click

from openhcs_core.cli.amounts import age_s
from openhcs_core.cli.interrupts import all_as_ctrl_c
from openhcs_core.cli.plate_events import print_event
from openhcs_core.errors import EXIT_DATA
from openhcs_core.session.watch import PlateState, Stage, Watcher, WatchOptions, check_options


@click.command(context_settings={"ignore_unknown_options": False})
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("arguments", nargs=-1, metavar="[-- SNAKEMAKE ARGUMENTS]")
@click.option("--pipeline", required=True, help="What is done with each plate.")
@click.option("--results", default="results", show_default=True, help="As in the config.")
@click.option("--settings", help="A config whose other keys hold for every plate.")
@click.option("--microscope", default="auto", show_default=True, help="Name a handler.")
@click.option("--settle", default="2m", show_default=True, callback=age_s, help="See below.")
@click.option("--every", default="1m", show_default=True, callback=age_s, help="Time to wait.")
@click.option("--complete-wells", is_flag=True, help="Run complete wells before the plate is.")
@click.option("--once", is_flag=True, help="Look once, for cron.")
@click.option("--snakefile", help="Of the workflow; the one here when absent.")
@click.option("--cores", default="all", show_default=True, help="For snakemake.")
@click.option("--json", "as_json", is_flag=True, help="Print for programs, a line a state.")
@click.pass_context
def watch_command(
    context: click.Context,
    folder: Path,
    arguments: tuple[str, ...],
    *,
    pipeline: str,
    results: str,
    settings: str | None,
    microscope: str,
    settle: float,
    every: float,
    complete_wells: bool,
    once: bool,
    snakefile: str | None,
    cores: str,
    as_json: bool,
) -> None:
    """Run the pipeline on each plate that is put into FOLDER, when it is finished.

    A plate is a folder in FOLDER. It is finished when every image that it declares is there and
    nothing in it changed for the time of --settle. Plates are run one after the other, each by a
    snakemake of its own. One that cannot be read or fails is named and left until it, or the
    pipeline, changes. What is done is found in results, so this may be stopped and started again.

    With --once it looks once and ends: in 3 when a plate was refused or failed, else in 0.

    \b
    Examples:
      openhcs-core watch /data/incoming --pipeline config/pipeline.yaml
      openhcs-core watch /data/incoming --pipeline config/pipeline.yaml --once -- --profile slurm
    """
    options = WatchOptions(
        folder=folder,
        pipeline=pipeline,
        results=results.rstrip("/"),
        settings=settings,
        microscope=microscope,
        settle_s=settle,
        complete_wells=complete_wells,
        snakefile=check_options(folder, pipeline, snakefile),
        arguments=("--cores", cores, *arguments),
    )
    say = _Speaker(as_json=as_json)
    watcher = Watcher(options, lambda run: say.starting(run.name, run.log, run.run))
    with all_as_ctrl_c():
        while True:
            states = {}
            for state in watcher.round():
                say.state(state)
                states[state.name] = state.stage
            if once:
                is_bad = {Stage.REFUSED, Stage.FAILED} & set(states.values())
                context.exit(EXIT_DATA if is_bad else 0)
            time.sleep(every)


class _Speaker:
    """Says what changed."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._said: dict[str, tuple[Stage, str]] = {}

    def state(self, state: PlateState) -> None:
        """Print a state that is new; of waiting ones only the kind has to be."""
        is_waiting = state.stage in {Stage.WRITING, Stage.BUSY}
        said = (state.stage, "" if is_waiting else state.detail)
        if self._said.get(state.name) != said:
            self._said[state.name] = said
            print_event(state.name, state.stage, state.detail, as_json=self._as_json)

    def starting(self, name: str, log: str, run: Callable[[], int]) -> int:
        """Print that a run starts, and run it."""
        print_event(name, "running", f"log {log}", as_json=self._as_json)
        return run()
