"""The subcommands of ``openhcs-core``; each is imported when it is called."""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

import click

from openhcs_core import __version__
from openhcs_core.errors import EXIT_DONE, EXIT_STOPPED, ErrorGroup, OpenHCSError, render_error

if TYPE_CHECKING:
    from openhcs_core.runtime import RecentStacks

_COMMANDS = {
    "compile": "openhcs_core.cli.compile_command:compile_command",
    "convert": "openhcs_core.cli.convert_command:convert_command",
    "functions": "openhcs_core.cli.functions_command:functions_command",
    "gc": "openhcs_core.cli.gc_command:gc_command",
    "index": "openhcs_core.cli.index_command:index_command",
    "init": "openhcs_core.cli.init_command:init_command",
    "profiles": "openhcs_core.cli.profiles_command:profiles_command",
    "rerun": "openhcs_core.cli.rerun_command:rerun_command",
    "rocrate": "openhcs_core.cli.rocrate_command:rocrate_command",
    "run": "openhcs_core.cli.run_command:run_command",
    "run-step": "openhcs_core.cli.run_step_command:run_step_command",
    "status": "openhcs_core.cli.status_command:status_command",
    "verify": "openhcs_core.cli.verify_command:verify_command",
    "watch": "openhcs_core.cli.watch_command:watch_command",
    "why": "openhcs_core.cli.why_command:why_command",
}
_SUMMARIES = {
    "compile": "Check config and pipeline, and write plans and rules.",
    "convert": "Convert a raw plate to OME-Zarr, without loss.",
    "functions": "List and describe the functions a pipeline may use.",
    "gc": "Remove results that earlier configs left.",
    "index": "Show what a plate folder holds.",
    "init": "Write a config and a pipeline to begin with.",
    "profiles": "Put Snakemake profiles where snakemake --profile finds them.",
    "rerun": "Repeat the run of a crate and compare results.",
    "rocrate": "Describe a plate's results as a Workflow Run RO-Crate.",
    "run": "Run many plates, each by a snakemake of its own where one would be too large.",
    "run-step": "Do one step for one well: what every generated rule calls.",
    "status": "Show what is done, what failed and why.",
    "verify": "Compare results with what their jobs wrote.",
    "watch": "Run finished plates of a folder as they come.",
    "why": "Say why a step of a well would run again, or what its result was made from.",
}


class _LazyGroup(click.Group):
    """Knows its commands by name and summary; imports one when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module_name, attribute = _COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(import_module(module_name), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_SUMMARIES.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="openhcs-core")
def cli() -> None:
    """High-content screening pipelines, compiled to Snakemake workflows.

    Runs are started with snakemake, those of many plates with `run`; this command looks at
    plates, checks pipelines and is what every job calls.

    \b
    Examples:
      openhcs-core index data/demo/9987_Plate_3434
      openhcs-core compile
      openhcs-core functions search count
    """


def run_command(arguments: Sequence[str], recent: "RecentStacks | None" = None) -> int:
    """Run a command line and return its exit code, see :func:`openhcs_core.cli.main.main`."""
    try:
        code = cli.main(list(arguments), standalone_mode=False, obj=recent)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.Abort:
        print("stopped", file=sys.stderr)
        return EXIT_STOPPED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (OpenHCSError, ErrorGroup) as error:
        print(render_error(error), file=sys.stderr)
        return error.exit_code
    return code if isinstance(code, int) else EXIT_DONE  # of a command that ended by itself
