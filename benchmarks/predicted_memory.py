"""Memory and CPU time that jobs are predicted to take, against what they took.

python benchmarks/predicted_memory.py [--sizes 256 1080] [--sites 4] [--channels 2] [--z 3]
    [--pipelines nuclei counts]

Each step of a well is done in a process of its own, as a run does it.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from synthetic_plate import write_plate

_NUCLEI = """
steps:
  - name: clean
    func:
      "1":
        - openhcs:stack_percentile_normalize: {low_percentile: 1.0, high_percentile: 99.9}
        - skimage:filters.gaussian: {sigma: 1}
    passthrough: [{others}]
    output_dtype: uint16
  - {name: flatten, func: openhcs:max_projection, variable_components: [z_index]}
  - name: count
    func:
      "1": openhcs:count_cells_single_channel
      {measured}
    keep: true
"""
_COUNTS = """
steps:
  - {name: flat, func: {openhcs:tophat: {selem_radius: 30}}}
  - {name: smooth, func: {skimage:filters.gaussian: {sigma: 2}}}
  - {name: count, func: {openhcs:count_cells_single_channel: {threshold_method: otsu}}}
"""


def _pipelines(channels: int) -> dict[str, str]:
    others = [f'"{channel}"' for channel in range(2, channels + 1)]
    measured = "\n      ".join(f"{other}: openhcs:measure_intensity" for other in others)
    nuclei = _NUCLEI.replace("{others}", ", ".join(others)).replace("{measured}", measured)
    return {"nuclei": nuclei, "counts": _COUNTS}


def _openhcs(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "openhcs_core", *arguments]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit(run.stderr)
    return run.stdout


def measure(folder: Path, pipeline: str):
    """Yield each step's name, its prediction and what a job took."""
    (folder / "config").mkdir(exist_ok=True)
    (folder / "config/config.yaml").write_text("plates:\n  p: {path: plate}\n")
    (folder / "config/pipeline.yaml").write_text(pipeline)
    (plate,) = json.loads(_openhcs(folder, "compile", "--json"))
    for step in plate["steps"]:
        place = ("--plate-dir", "results/p", "--step", step["name"], "--well", "A01")
        _openhcs(folder, "run-step", *place)
        record = folder / f"results/p/benchmarks/{step['name']}/A01.json"
        yield step, json.loads(record.read_bytes())


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 1080])
    parser.add_argument("--sites", type=int, default=4)
    parser.add_argument("--channels", type=int, default=2)
    parser.add_argument("--z", type=int, default=3)
    parser.add_argument("--pipelines", nargs="+", default=["nuclei", "counts"])
    options = parser.parse_args()
    print("| pipeline, image | step | predicted MB | measured MB | ratio | asks for MB | CPU s |")
    print("|---|---|---|---|---|---|---|")
    for size in options.sizes:
        for name in options.pipelines:
            with tempfile.TemporaryDirectory() as folder:
                shape = {
                    "sites": options.sites,
                    "channels": options.channels,
                    "z_planes": options.z,
                }
                write_plate(Path(folder, "plate"), 1, size, **shape)
                for step, took in measure(Path(folder), _pipelines(options.channels)[name]):
                    predicted, peak = step["predicted"], took["peak_mb"]
                    print(
                        f"| {name}, {size}² | {step['name']} | {predicted['peak_mb']} | {peak} | "
                        f"{predicted['peak_mb'] / peak:.2f} | {step['mem_mb']} | "
                        f"{predicted['cpu_s']} / {took['cpu_s']} |",
                        flush=True,
                    )


if __name__ == "__main__":
    _main()
