"""A handler of another distribution: planes named <row>-<column>.scan.tif in one folder."""

import re

from openhcs_core.errors import InputDataError
from openhcs_core.microscopes import (
    ChannelInfo,
    FilenameParts,
    ImageFile,
    MicroscopeHandler,
    PlateIndex,
)
from openhcs_core.microscopes.completeness import find_missing
from openhcs_core.planes import PlaneKey

_NAME = re.compile(r"([A-H])-(\d+)-(\d+)\.scan\.tif")


class LineScannerHandler(MicroscopeHandler):
    """Reads ``A-1-2.scan.tif``: row, column, site; 8 x 6 px uint16, one channel."""

    name = "line_scanner"
    parser_name = "LineScannerFilenameParser"

    def parse_filename(self, name):
        match = _NAME.fullmatch(name)
        return match and FilenameParts(f"{match[1]}{int(match[2]):02d}", int(match[3]))

    def find_evidence(self, source):
        names = sorted(entry.name for entry in source.list_folder(""))
        found = [name for name in names if self.parse_filename(name)]
        return f"the image {found[0]}" if found else None

    def looked_for(self):
        return "images such as A-1-1.scan.tif"

    def read_index(self, source):
        images, surplus = [], []
        for entry in source.list_folder(""):
            parts = self.parse_filename(entry.name)
            if parts is None:
                surplus += [entry.name] if entry.name.endswith(".tif") else []
                continue
            status = entry.stat()
            key = PlaneKey(parts.well, parts.site, "1", 1, 1)
            images.append(ImageFile(key, entry.name, status.st_size, status.st_mtime_ns))
        if not images:
            raise InputDataError(f"{source.name} has no scans; looked for {self.looked_for()}")
        images.sort()
        return PlateIndex(
            source.name,
            self.name,
            self.parser_name,
            tuple(images),
            (ChannelInfo("1", "scan", "uint16", (8, 6)),),
            find_missing(images, (), ()),
            surplus=tuple(sorted(surplus)),
        )
