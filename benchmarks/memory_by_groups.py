"""Most memory of a job by the number of stacks of its well: it has to stay the same.

python benchmarks/memory_by_groups.py [--z 2 8 32] [--size 768] [--sites 2] [--channels 2] [--fused]

One well with as many z planes as given; stacks are the sites of a channel and z plane. With
``--z 54 --size 1080 --sites 1 --channels 1`` a field is a file of nearly ``max_shard_mb``.
Normalised and smoothed, not kept; then counted, with labels, outlines and tables, kept as
OME-Zarr. Each step is a process of its own; with ``--fused`` both are one.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from synthetic_plate import write_plate

PIPELINE = """steps:
  - name: clean
    func:
      - openhcs:stack_percentile_normalize: {low_percentile: 1.0, high_percentile: 99.9}
      - skimage:filters.gaussian: {sigma: 1}
    output_dtype: uint16
  - {name: count, func: openhcs:count_cells_single_channel, keep: true}
"""
STEPS = ("clean", "count")


def openhcs(folder: Path, *arguments: str) -> str:
    """Run the command; return what it said."""
    command = [sys.executable, "-m", "openhcs_core", *arguments]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit(run.stderr)
    return run.stdout


def measure(
    z_planes: int, size: int, sites: int, channels: int, *, fused: bool
) -> dict[str, tuple[int, int]]:
    """Return predicted and measured memory of each step, in MB."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_plate(folder / "plate", 1, size, sites=sites, channels=channels, z_planes=z_planes)
        (folder / "config").mkdir()
        (folder / "config/config.yaml").write_text("plates:\n  p: {path: plate}\n")
        (folder / "config/pipeline.yaml").write_text(PIPELINE)
        (plate,) = json.loads(openhcs(folder, "compile", "--json"))
        predicted = {step["name"]: step["predicted"]["peak_mb"] for step in plate["steps"]}
        job = ("run-step", "--plate-dir", "results/p", "--well", "A01")
        for steps in [STEPS] if fused else [(step,) for step in STEPS]:
            openhcs(folder, *job, *(word for step in steps for word in ("--step", step)))
        records = {name: folder / f"results/p/benchmarks/{name}/A01.json" for name in STEPS}
        return {
            name: (predicted[name], json.loads(path.read_bytes())["peak_mb"])
            for name, path in records.items()
        }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--z", type=int, nargs="+", default=[2, 8, 32])
    parser.add_argument("--size", type=int, default=768)
    parser.add_argument("--sites", type=int, default=2)
    parser.add_argument("--channels", type=int, default=2)
    parser.add_argument("--fused", action="store_true", help="both steps in one process")
    given = parser.parse_args()
    print("| stacks | MB a stack | MB a well | step | predicted MB | measured MB |")
    print("|---|---|---|---|---|---|")
    for z_planes in given.z:
        stack_mb = given.sites * given.size**2 * 2 / 2**20
        stacks = given.channels * z_planes
        form = (z_planes, given.size, given.sites, given.channels)
        for name, (predicted, peak) in measure(*form, fused=given.fused).items():
            sizes = f"{stacks} | {stack_mb:.1f} | {stacks * stack_mb:.0f}"
            print(f"| {sizes} | {name} | {predicted} | {peak} |", flush=True)


if __name__ == "__main__":
    main()
