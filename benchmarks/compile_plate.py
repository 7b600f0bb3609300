"""Compile a large plate from its index: seconds, by number of wells and steps.

python benchmarks/compile_plate.py [WELLS] [STEPS] [FUNCTIONS]

With FUNCTIONS the first step has functions by well, so many different ones.
"""

import sys
import tempfile
import time
from pathlib import Path
from string import ascii_uppercase

from openhcs_core.compiler import CompileRequest, compile_plate
from openhcs_core.config import PipelineConfig, VFSConfig, load_yaml, validate
from openhcs_core.emission import emit_plan_files, emit_plan_index, emit_rules
from openhcs_core.microscopes import ChannelInfo, ImageFile, PlateIndex
from openhcs_core.plan import CompiledPipeline
from openhcs_core.planes import PlaneKey
from openhcs_core.registry import RegistryService

SITES, CHANNELS = 4, 3


def make_index(well_count: int) -> PlateIndex:
    """Return the index of a plate that exists on paper only."""
    rows = [*ascii_uppercase, *(f"A{letter}" for letter in "ABCDEF")]
    columns = 24 if well_count <= 384 else 48
    wells = [f"{rows[i // columns]}{i % columns + 1:02d}" for i in range(well_count)]
    images = tuple(
        ImageFile(PlaneKey(well, site, str(channel), 1, 1), f"{well}_{site}_{channel}.tif", 1, 1)
        for well in wells
        for site in range(1, SITES + 1)
        for channel in range(1, CHANNELS + 1)
    )
    channels = tuple(
        ChannelInfo(str(i), f"C{i}", "uint16", (1080, 1080)) for i in range(1, CHANNELS + 1)
    )
    return PlateIndex(Path("plate"), "imagexpress", "imagexpress", images, channels)


def pipeline_text(step_count: int, by_well: dict[str, int] | None = None) -> str:
    """Return a pipeline of Gaussians that ends in a count; the first by well where asked for."""
    steps = [
        f"  - {{name: s{i}, func: {{skimage:filters.gaussian: {{sigma: {i + 1}}}}}}}"
        for i in range(step_count - 1)
    ]
    if by_well is not None:
        entries = [
            f"      {well}: {{openhcs:tophat: {{selem_radius: {radius}}}}}"
            for well, radius in by_well.items()
        ]
        steps[0] = "\n".join(["  - name: s0\n    group_by: well\n    func:", *entries])
    steps.append("  - {name: count, func: openhcs:count_cells_single_channel}")
    return "steps:\n" + "\n".join(steps) + "\n"


def main(well_count: int = 384, step_count: int = 10, function_count: int = 0) -> None:
    """Print the time of each part."""
    index = make_index(well_count)
    by_well = None
    if function_count:
        by_well = {well: 1 + i % function_count for i, well in enumerate(index.wells)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pipeline.yaml")
        path.write_text(pipeline_text(step_count, by_well))
        started = time.perf_counter()
        document = load_yaml(path)
        request = CompileRequest(
            plate="plate",
            index=index,
            wells=index.wells,
            pipeline=validate(PipelineConfig, document),
            document=document,
            storage=VFSConfig(),
            functions=RegistryService(),
        )
    read = time.perf_counter()
    plan = compile_plate(request)
    planned = time.perf_counter()
    compiled = CompiledPipeline(results="results", plates=(plan,))
    emit_plan_files(plan), emit_plan_index(compiled), emit_rules(compiled)
    emitted = time.perf_counter()
    print(f"{well_count} wells x {step_count} steps: {emitted - started:.3f} s", end=" ")
    print(f"(read {read - started:.3f}, plan {planned - read:.3f}, emit {emitted - planned:.3f})")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
