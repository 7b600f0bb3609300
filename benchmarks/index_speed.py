"""Time to index a plate of many files, against a bare walk that looks at each file once.

python benchmarks/index_speed.py [--files 1000 69120] [--repeats 7] [--microscope imagexpress]
                                [--again]

Files are TIFFs of 4 x 6 px, so that indexing costs names, sizes, times and lists: of ImageXpress in
five ZStep folders; of Opera Phenix with the lists of Harmony V5 (1.6 kB an image) and V7 (0.7 kB);
of a CellVoyager with its list (0.3 kB); and told by their names alone.
With --again, what a plate costs that was indexed before and has not changed, as compiling asks for
it: with sizes and times of all files (raw: checked), and by names alone (raw: immutable).
CPU seconds (user + system) tell more than wall time on a machine with other work.
"""

import argparse
import io
import os
import tempfile
import time
from collections.abc import Callable
from itertools import islice, product
from pathlib import Path

import numpy as np
import tifffile

from openhcs_core.config import GenericConfig, PlateConfig
from openhcs_core.microscopes import load_handler
from openhcs_core.session.kept_indices import index_plate, keep_index
from openhcs_core.testing.harmony_plates import ListedPlane, write_list

Z_PLANES, CHANNELS, SITES = 5, 4, 9


RECORD = (
    '<bts:MeasurementRecord bts:Type="IMG" bts:Time="2023-09-18T13:58:44.438+02:00" '
    'bts:Column="{column}" bts:Row="{row}" bts:TimePoint="1" bts:FieldIndex="{site}" '
    'bts:ZIndex="{z}" bts:TimelineIndex="1" bts:ActionIndex="1" bts:Action="3D" '
    'bts:X="-567.1" bts:Y="402.9" bts:Z="{z}.0" bts:Ch="{channel}">{name}'
    "</bts:MeasurementRecord>\n"
)


def image() -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.zeros((4, 6), np.uint16), metadata=None)
    return buffer.getvalue()


def planes(count: int) -> list[tuple[int, int, int, int, int]]:
    """Return row, column, site, channel and z of `count` images, well after well."""
    ranges = [range(1, n + 1) for n in (16, 24, SITES, CHANNELS, Z_PLANES)]
    return list(islice(product(*ranges), count))


def write_plate(folder: Path, microscope: str, count: int) -> None:
    """Write a plate of `count` images, and what the instrument says of them."""
    content, names = image(), []
    for row, column, site, channel, z in planes(count):
        well = f"{chr(64 + row)}{column:02d}"
        names.append(
            {
                "imagexpress": f"TimePoint_1/ZStep_{z}/P_{well}_s{site}_w{channel}.TIF",
                "generic": f"P_{well}_s{site}_w{channel}_z{z}.tif",
                "cv8000": f"P_{well}_T0001F{site:03d}L01A01Z{z:02d}C{channel:02d}.tif",
            }.get(microscope, ListedPlane(row, column, site, z, 1, channel).file_name)
        )
    for sub in {str(Path(name).parent) for name in names}:
        (folder / sub).mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(content)
    if microscope in {"V5", "V7"}:
        listed = [ListedPlane(r, c, s, z, 1, ch) for r, c, s, ch, z in planes(count)]
        write_list(folder / "Index.xml", microscope, listed)
    if microscope == "cv8000":
        records = (
            RECORD.format(row=row, column=column, site=site, channel=channel, z=z, name=name)
            for (row, column, site, channel, z), name in zip(planes(count), names, strict=True)
        )
        (folder / "MeasurementData.mlf").write_text(
            '<?xml version="1.0" encoding="utf-8"?>\n<bts:MeasurementData bts:Version="1.0" '
            'xmlns:bts="http://www.yokogawa.co.jp/BTS/BTSSchema/1.0">\n'
            f"{''.join(records)}</bts:MeasurementData>"
        )


def walk(folder: str) -> int:
    """Ask for size and time of every file: what any index must do."""
    count = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                count += walk(entry.path)
            else:
                entry.stat()
                count += 1
    return count


def least(work: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Return the least wall and CPU seconds of several runs."""
    wall, cpu = [], []
    for _ in range(repeats):
        start, start_cpu = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - start_cpu)
    return min(wall), min(cpu)


def settings_of(microscope: str, plate: Path, raw: str = "checked") -> PlateConfig:
    """Return a plate's section of the config."""
    generic = None
    if microscope == "generic":
        generic = GenericConfig(pattern="P_{well}_s{site}_w{channel}_z{z_index}.tif")
    name = {"V5": "opera_phenix", "V7": "opera_phenix"}.get(microscope, microscope)
    return PlateConfig.model_validate(
        {"path": str(plate), "microscope": name, "generic": generic, "raw": raw}
    )


def measure_again(microscope: str, plate: Path, repeats: int) -> str:
    """Return what a plate costs that is indexed again, by what counts as a change."""
    said = []
    with tempfile.TemporaryDirectory() as results:
        for raw in ("checked", "immutable"):
            settings = settings_of(microscope, plate, raw)
            found = index_plate("p", settings, Path(results), settled_s=0)
            keep_index("p", settings, Path(results), found, {raw: raw})
            wall, cpu = least(
                lambda settings=settings: index_plate("p", settings, Path(results)).index.wells,
                repeats,
            )
            assert index_plate("p", settings, Path(results)).digests
            said.append(f"{raw} {wall * 1e3:.1f} ms ({cpu * 1e3:.1f} ms CPU)")
    return ", ".join(said)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, nargs="+", default=[1000, 69120])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument(
        "--microscope",
        default="imagexpress",
        choices=["imagexpress", "V5", "V7", "cv8000", "generic"],
    )
    parser.add_argument("--again", action="store_true")
    arguments = parser.parse_args()
    for count in arguments.files:
        with tempfile.TemporaryDirectory() as folder:
            plate = Path(folder, "plate")
            write_plate(plate, arguments.microscope, count)
            settings = settings_of(arguments.microscope, plate)
            handler = load_handler(settings.microscope, settings)
            assert len(handler.index(plate).images) == count
            wall, cpu = least(lambda plate=plate: walk(str(plate)), arguments.repeats)
            index_wall, index_cpu = least(
                lambda plate=plate, handler=handler: handler.index(plate), arguments.repeats
            )
            again = measure_again(arguments.microscope, plate, 7) if arguments.again else ""
        print(
            f"{count} files: indexed in {index_wall * 1e3:.1f} ms ({index_cpu * 1e3:.1f} ms CPU), "
            f"bare walk {wall * 1e3:.1f} ms ({cpu * 1e3:.1f} ms CPU), {index_cpu / cpu:.1f} x"
        )
        if again:
            print(f"{count} files again, unchanged: {again}")


if __name__ == "__main__":
    main()
