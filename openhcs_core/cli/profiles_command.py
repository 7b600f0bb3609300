"""``openhcs-core profiles``."""

import json
from pathlib import Path

import click

from openhcs_core.cli.profile_files import (
    Installed,
    config_folders,
    install_profiles,
    profile_names,
    summary,
)


@click.group()
def profiles_command() -> None:
    """Put Snakemake profiles where `snakemake --profile NAME` finds them, in any folder.

    \b
    Examples:
      openhcs-core profiles list
      openhcs-core profiles install
      openhcs-core profiles install slurm --site
    """


@profiles_command.command("list")
def list_command() -> None:
    """Name the profiles that come with this package, and where each is installed.

    \b
    Examples:
      openhcs-core profiles list
    """
    for name in profile_names():
        print(summary(name))
        for folder in config_folders().values():
            if (folder / name).is_dir():
                print(f"  installed in {folder / name}")


@profiles_command.command("install")
@click.argument("names", nargs=-1)
@click.option("--user", "place", flag_value="user", default=True, help="For you (the default).")
@click.option("--site", "place", flag_value="site", help="For everybody on this machine.")
@click.option("--to", type=click.Path(path_type=Path, file_okay=False), help="In this folder.")
@click.option("--force", is_flag=True, help="Replace files that have another content.")
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
def install_command(
    names: tuple[str, ...], place: str, *, to: Path | None, force: bool, as_json: bool
) -> None:
    """Copy profiles (all, or NAMES) to where Snakemake looks for them.

    --user is ~/.config/snakemake and --site /etc/xdg/snakemake, or what XDG_CONFIG_HOME and
    XDG_CONFIG_DIRS say. A file that is there with another content stays as it is, and the
    new one is put beside it as NAME.new; --force replaces it.

    \b
    Examples:
      openhcs-core profiles install
      openhcs-core profiles install slurm --site
      openhcs-core profiles install slurm --to /shared/config/snakemake
    """
    done = install_profiles(names, to or config_folders()[place], force=force)
    if as_json:
        print(json.dumps([one.as_dict() for one in done]))
        return
    for one in done:
        print(_describe(one))


def _describe(one: Installed) -> str:
    if one.beside is None:
        return f"{one.path}: {'as it was' if one.is_same else 'written'}"
    return f"{one.path}: has another content and stays; the new one is {one.beside.name} beside it"
