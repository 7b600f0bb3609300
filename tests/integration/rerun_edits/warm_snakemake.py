"""Runs snakemake commands, one a line of standard input, each in a fork: imports are paid once."""

import json
import os
import sys

import pandas as pd  # noqa: F401  what commands import on their way is imported once
import snakemake.cli
import snakemake.dag
import snakemake.modules
import snakemake.persistence
import snakemake.scheduling
import snakemake.workflow

import openhcs_core.session  # noqa: F401


def _run(command):
    os.chdir(command["folder"])
    output = os.open(command["output"], os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.path.append(command["libraries"])
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))  # jobs have them too
    sys.argv = ["snakemake", *command["arguments"]]
    snakemake.cli.main(command["arguments"])


def _exit_code(command):
    try:
        _run(command)
    except SystemExit as ending:
        return int(ending.code or 0)
    return 0


def main():
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = _exit_code(json.loads(line))
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
