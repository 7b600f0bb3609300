"""Compare counted nuclei with hand annotation; docs/accuracy.md explains and keeps the figures.

python benchmarks/count_accuracy.py DATA_FOLDER

DATA_FOLDER has `derived_plate_nuclei` (an ImageXpress plate whose fields were annotated), run
through snakemake, and `nuclei_truth` (annotated images), given to the function directly; both
with default parameters. Exits with 1 where the plate or a well is further off than its target.
"""

import csv
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import tifffile
import zarr
from skimage import io

from openhcs_core.functions.segment import count_cells_single_channel

ROOT = Path(__file__).parents[1]
PLATE_TARGET, WELL_TARGET = 3.0, 12.0
"""Greatest deviation of the count, in percent."""
PIPELINES = {
    "defaults": "openhcs:count_cells_single_channel",
    "otsu": "{openhcs:count_cells_single_channel: {threshold_method: otsu}}",
}
VARIANTS = (
    {},
    {"min_area": 1},
    {"min_area": 10},
    {"min_area": 60},
    {"sigma": 0.5},
    {"threshold_factor": 0.7},
    {"threshold_factor": 1.4},
    {"diameter": 25},
    {"detection_method": "threshold"},
    {"threshold_method": "otsu"},
    {"threshold_method": "li"},
    {"threshold_method": "triangle"},
)
SIZES = {"under 12 px": (0, 12), "12 to 35 px": (12, 35), "35 px and over": (35, np.inf)}
"""Images by the diameter of their median nucleus."""


@dataclass(frozen=True)
class Score:
    """What was found in some images, beside what is there."""

    images: int
    annotated: int
    found: int
    matched: int

    @property
    def percent(self) -> float:
        return 100 * (self.found - self.annotated) / self.annotated

    @property
    def f1(self) -> float:
        return 2 * self.matched / (self.annotated + self.found)


def together(scores: Iterable[Score]) -> Score:
    """Add scores up."""
    columns = zip(*((s.images, s.annotated, s.found, s.matched) for s in scores), strict=True)
    return Score(*map(sum, columns))


def score(truth: np.ndarray, labels: np.ndarray) -> Score:
    """Match objects one to one: intersection over union above a half can be true of one only."""
    _, a = np.unique(truth, return_inverse=True)
    _, b = np.unique(labels, return_inverse=True)
    # Numbers without gaps, 0 outside: the background has the smallest value of both.
    both = np.histogram2d(a.ravel(), b.ravel(), [np.arange(a.max() + 2), np.arange(b.max() + 2)])[0]
    union = both.sum(axis=1, keepdims=True) + both.sum(axis=0, keepdims=True) - both
    matched = int(np.count_nonzero((both / union)[1:, 1:] > 0.5))
    return Score(1, int(a.max()), int(b.max()), matched)


def run_plates(plate: Path, folder: Path) -> None:
    """Run the plate once with each pipeline, in one call of snakemake."""
    (folder / "config").mkdir()
    config = "plates:\n"
    for name, function in PIPELINES.items():
        config += f"  {name}: {{path: {plate.resolve()}, pipeline: config/{name}.yaml}}\n"
        step = f"  - {{name: count, func: {function}, keep: true}}\n"
        (folder / f"config/{name}.yaml").write_text(f"steps:\n{step}")
    (folder / "config/config.yaml").write_text(config)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), "--cores", "all", "--quiet", "rules", "host"]
    subprocess.run(command, check=True, stdout=sys.stderr, stdin=subprocess.DEVNULL)


def plate_scores(data: Path, results: Path) -> dict[str, Score]:
    """Score each well: the count is that of the plate table, the matches those of kept labels."""
    rows = csv_rows(results / "tables/count/cell_counts.csv")
    rows_of = Counter((row["well"], row["site"]) for row in rows)
    wells: dict[str, list[Score]] = {}
    for row in csv_rows(data / "derived_plate_nuclei/truth/counts.csv"):
        well, site = row["well"], row["site"]
        field = results / "count.ome.zarr" / well[0] / well[1:] / str(int(site) - 1)
        labels = np.squeeze(zarr.open_array(field / "labels/masks_w1/0", mode="r")[...])
        name = row["file"].replace(".TIF", "_labels.tif")
        found = score(tifffile.imread(data / "derived_plate_nuclei/truth" / name), labels)
        if (found.annotated, found.found) != (int(row["n_nuclei"]), rows_of[well, site]):
            raise SystemExit(f"well {well} site {site}: tables and label images disagree: {found}")
        wells.setdefault(well, []).append(found)
    return {well: together(fields) for well, fields in wells.items()}


def annotated_images(folder: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield group, image and annotation of every two-dimensional image."""
    for row in csv_rows(folder / "dsb2018/counts.csv"):
        name = row["image_id"][:12]
        rgb = io.imread(folder / f"dsb2018/{name}.png")[..., :3]
        if (rgb != rgb[..., :1]).any():
            raise SystemExit(f"{name}.png is in colour; expected grey values")
        truth = tifffile.imread(folder / f"dsb2018/{name}_labels.tif")
        yield f"dsb2018, {row['height']} x {row['width']}", rgb[..., 0], truth
    stardist = folder / "stardist_dsb_512"
    pair = (tifffile.imread(stardist / f"{name}2d.tif") for name in ("img", "mask"))
    yield "stardist", *pair


def counted(image: np.ndarray, truth: np.ndarray, **parameters: object) -> Score:
    """Score the function itself on one image."""
    _, _, masks = count_cells_single_channel(image[None], **parameters)
    return score(truth, masks[0])


def image_scores(folder: Path) -> dict[str, list[Score]]:
    """Score each image by its group, and those of dsb2018 together."""
    groups: dict[str, list[Score]] = {}
    for group, image, truth in annotated_images(folder):
        groups.setdefault(group, []).append(counted(image, truth))
    every = [s for name, scores in groups.items() if name.startswith("dsb2018") for s in scores]
    return {**groups, "dsb2018, all": every}


def diameter(truth: np.ndarray) -> float:
    """Diameter of the disc with the median nucleus's area, in pixels."""
    _, areas = np.unique(truth[truth > 0], return_counts=True)
    return float(np.sqrt(4 / np.pi * np.median(areas)))


def csv_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def print_plate(defaults: dict[str, Score], otsu: dict[str, Score]) -> None:
    print("| well | annotated | counted | deviation | F1 | global Otsu | deviation | F1 |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for well, found in defaults.items():
        cells = [f"{s.found} | {s.percent:+.1f} % | {s.f1:.3f}" for s in (found, otsu[well])]
        print(f"| {well} | {found.annotated} | {' | '.join(cells)} |")


def print_images(groups: dict[str, list[Score]]) -> None:
    print("| images | | annotated | counted | deviation | median of an image | F1 |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for name, scores in groups.items():
        s = together(scores)
        middle = np.median([abs(one.percent) for one in scores])
        cells = f"{s.images} | {s.annotated} | {s.found} | {s.percent:+.1f} % | {middle:.1f} %"
        print(f"| {name} | {cells} | {s.f1:.3f} |")


def print_variants(folder: Path) -> None:
    """Change one parameter at a time, on images of small, middling and large nuclei."""
    by_size: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {name: [] for name in SIZES}
    for _, image, truth in annotated_images(folder):
        size = next(n for n, (low, high) in SIZES.items() if low <= diameter(truth) < high)
        by_size[size].append((image, truth))
    print("| parameter |" + "".join(f" {n} ({len(by_size[n])}) | F1 |" for n in SIZES))
    print("|---" + "|--:" * 2 * len(SIZES) + "|")
    for parameters in VARIANTS:
        scores = [together(counted(*pair, **parameters) for pair in by_size[n]) for n in SIZES]
        cells = "".join(f" {s.percent:+.1f} % | {s.f1:.3f} |" for s in scores)
        name = ", ".join(f"`{key}: {value}`" for key, value in parameters.items())
        print(f"| {name or 'defaults'} |{cells}")


def main(data: Path) -> int:
    """Print the tables; 1 where a target is missed."""
    with tempfile.TemporaryDirectory() as folder:
        run_plates(data / "derived_plate_nuclei/DSBDEV", Path(folder))
        results = {name: plate_scores(data, Path(folder, "results", name)) for name in PIPELINES}
    wells = {
        name: {**scores, "plate": together(scores.values())} for name, scores in results.items()
    }
    packages = ("openhcs-core", "scikit-image", "scipy", "numpy")
    print(", ".join(f"{name} {version(name)}" for name in packages), end="\n\n")
    print_plate(wells["defaults"], wells["otsu"])
    print()
    print_images(image_scores(data / "nuclei_truth"))
    print()
    print_variants(data / "nuclei_truth")
    missed = [
        f"{well} {s.percent:+.1f} %"
        for well, s in wells["defaults"].items()
        if abs(s.percent) > (PLATE_TARGET if well == "plate" else WELL_TARGET)
    ]
    verdict = f"missed by {', '.join(missed)}" if missed else "met"
    print(f"\nTargets (plate ± {PLATE_TARGET:g} %, each well ± {WELL_TARGET:g} %): {verdict}")
    return 1 if missed else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    sys.exit(main(Path(sys.argv[1])))
