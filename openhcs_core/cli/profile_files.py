"""The Snakemake profiles that come with this package, and copies of them where Snakemake looks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import openhcs_core
from openhcs_core.errors import ConfigError, DiskFullError, StorageAccessError
from openhcs_core.storage import naming_full_disk, replace_file

_CONFIG = "config.yaml"
_BY_ITSELF = "default"  # read beside the Snakefile, without being asked for


@dataclass(frozen=True)
class Installed:
    """What became of one file.

    Attributes
    ----------
    path : Path
        Where Snakemake reads it.
    is_same : bool
        It was there with this content.
    beside : Path or None
        Where the new content was put because the file there has another one.
    """

    path: Path
    is_same: bool = False
    beside: Path | None = None

    def as_dict(self) -> dict[str, str | bool | None]:
        """Return it for programs."""
        beside = None if self.beside is None else str(self.beside)
        return {"path": str(self.path), "is_same": self.is_same, "beside": beside}


def profile_names() -> list[str]:
    """Return the names of all profiles, for `snakemake --profile`."""
    folders = (path.parent for path in _profiles().glob(f"*/{_CONFIG}"))
    return sorted(path.name for path in folders if path.name != _BY_ITSELF)


def summary(name: str) -> str:
    """Return what a profile says of itself in its first line."""
    text = (_profiles() / name / _CONFIG).read_text(encoding="utf-8")
    return text.splitlines()[0].removeprefix("#").strip()


def config_folders() -> dict[str, Path]:
    """Return where Snakemake looks for profiles: of the user, and of the site."""
    from platformdirs import PlatformDirs

    places = PlatformDirs("snakemake", "snakemake")
    return {"user": Path(places.user_config_dir), "site": Path(places.site_config_dir)}


def install_profiles(names: Sequence[str], folder: Path, *, force: bool) -> list[Installed]:
    """Copy profiles into a folder.

    Parameters
    ----------
    names : sequence of str
        All when empty.
    folder : Path
        Gets a folder for each.
    force : bool
        Replace files that have another content.

    Raises
    ------
    ConfigError
        There is no such profile.
    StorageAccessError
        The folder cannot be written to.
    """
    known = profile_names()
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(
            f"no profile is called {', '.join(map(repr, unknown))}; there are {', '.join(known)}"
        )
    try:
        with naming_full_disk(folder):
            return [
                _install(path, folder / name / path.name, force=force)
                for name in names or known
                for path in _files(_profiles() / name)
            ]
    except OSError as error:
        if isinstance(error, DiskFullError):
            raise
        raise StorageAccessError(
            f"profiles cannot be written to {folder} ({error.strerror or error}); give another "
            "folder with --to, leave out --site, or ask who may write there"
        ) from error


def _install(source: Path, target: Path, *, force: bool) -> Installed:
    content = source.read_bytes()
    there = target.read_bytes() if target.is_file() else None
    if there == content:
        return Installed(target, is_same=True)
    beside = None if there is None or force else target.with_name(f"{target.name}.new")
    with replace_file(beside or target) as stream:
        stream.write(content)
    (beside or target).chmod(0o644)
    return Installed(target, beside=beside)


def _files(folder: Path) -> Iterable[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())


def _profiles() -> Path:
    """Return where the profiles are: in the package, or beside it in a checkout."""
    package = Path(openhcs_core.__file__).parent
    inside = package / "_profiles"
    return inside if inside.is_dir() else package.parent / "profiles"
