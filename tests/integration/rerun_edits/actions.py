"""What people do to a project."""

import os
import shutil
from dataclasses import dataclass

from rerun_edits.project import CONFIG, HELPERS, LIBRARY, MODULE, PIPELINE, image_path, write_image


@dataclass(frozen=True)
class Replace:
    """Replaces text in a file."""

    file: str
    old: str
    new: str

    def __call__(self, project):
        project.edit(self.file, self.old, self.new)


def in_pipeline(old, new):
    """Return what replaces text in the pipeline."""
    return Replace(PIPELINE, old, new)


def in_config(old, new):
    """Return what replaces text in the config."""
    return Replace(CONFIG, old, new)


def add_to_config(line):
    """Return what adds a line to the config."""
    return in_config("functions:", f"{line}\nfunctions:")


@dataclass(frozen=True)
class Delete:
    """Removes a file or folder of the results."""

    name: str

    def __call__(self, project):
        path = project.folder / "results" / self.name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


@dataclass(frozen=True)
class ReplaceImage:
    """Writes another image over the first one of A01."""

    is_time_kept: bool = False
    is_longer: bool = False

    def __call__(self, project):
        path = image_path(project.plate, "A01")
        before = path.stat()
        write_image(path, seed=99)
        if self.is_longer:
            path.write_bytes(path.read_bytes() + b"\0\0")
        assert self.is_longer or path.stat().st_size == before.st_size
        if self.is_time_kept:
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@dataclass(frozen=True)
class ChangePixelSize:
    """Writes another pixel size into all images."""

    is_time_kept: bool

    def __call__(self, project):
        for path in project.plate.rglob("*.TIF"):
            before = path.stat()
            path.write_bytes(path.read_bytes().replace(b'"0.65"', b'"0.50"'))
            if self.is_time_kept:
                os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def touch_image(project):
    path = image_path(project.plate, "A01")
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 10**9))


def set_image_aside(project):
    shutil.copy2(image_path(project.plate, "A01"), project.folder / "aside.TIF")
    ReplaceImage()(project)


def put_image_back(project):
    (project.folder / "aside.TIF").replace(image_path(project.plate, "A01"))


def copy_plate_without_times(project):
    project.plate.rename(project.folder / "old")
    shutil.copytree(project.folder / "old", project.plate, copy_function=shutil.copyfile)


def change_layout(project):
    project.edit(MODULE, '"""Shift all values."""', '"""Shift."""  # all')
    project.edit(HELPERS, "images + ", "images  +  ")


def update_library(project):
    old = project.folder / LIBRARY
    metadata = (old / "METADATA").read_text().replace("Version: 1.0", "Version: 2.0")
    (old / "METADATA").write_text(metadata)
    old.rename(old.with_name("lenses-2.0.dist-info"))


def move_module(project):
    (project.folder / "workflow/functions").rename(project.folder / "functions")
    project.edit(CONFIG, "workflow/functions/mine.py", "functions/mine.py")


def rename_module(project):
    path = project.folder / MODULE
    path.rename(path.with_name("ours.py"))
    project.edit(CONFIG, "mine.py", "ours.py")
    project.edit(PIPELINE, "mine:clean", "ours:clean")


def move_setting_to_defaults(project):
    project.edit(PIPELINE, "    group_by: channel\n", "")
    project.edit(PIPELINE, "steps:\n", "defaults: {group_by: channel}\nsteps:\n")


def add_plate(project):
    shutil.copytree(project.folder / "other", project.folder / "third")
    third = "  third: {path: third, pipeline: config/other.yaml}\n"
    project.edit(CONFIG, "functions:", f"{third}functions:")


def move_results(project):
    (project.folder / "results").rename(project.folder / "elsewhere")
    project.edit(CONFIG, "functions:", "results: elsewhere\nfunctions:")


def move_plate(project):
    project.plate.rename(project.folder / "mounted")
    project.edit(CONFIG, "path: plate", "path: mounted")


def move_config(project):
    (project.folder / CONFIG).rename(project.folder / "screen.yaml")


def do_nothing(project):
    """Leave all as it is: arguments of snakemake differ."""


def delete_cache_and_edit(project):
    shutil.rmtree(project.folder / "results/.cache")
    project.edit(PIPELINE, "{min_area: 20}", "{min_area: 60}")
