"""Special outputs of all kinds, from declaration to files, tables, rules and manifest."""

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile

from openhcs_core.compiler import CompileRequest, compile_plate
from openhcs_core.config import PipelineConfig, VFSConfig, load_yaml, validate
from openhcs_core.constants import MemoryType
from openhcs_core.emission import emit_plan_files, emit_plan_index, emit_rules
from openhcs_core.errors import ErrorGroup, StepFunctionError
from openhcs_core.materialization import (
    CsvOptions,
    JsonOptions,
    MaterializationSpec,
    ROIOptions,
    TextOptions,
    TiffOptions,
)
from openhcs_core.microscopes import get_handler
from openhcs_core.pipeline import ProcessingContract
from openhcs_core.plan import CompiledPipeline, SpecialOutputPlan, digest_bytes
from openhcs_core.planes import PlaneKey
from openhcs_core.registry import FunctionMetadata
from openhcs_core.runtime import Job, Manifest, execute_step, gather_table, read_manifest
from openhcs_core.runtime.cache import ImageCache
from openhcs_core.runtime.manifest import write_manifest

PLATE = Path(__file__).parents[3] / "data/demo/9987_Plate_3434"
PIPELINE = "steps:\n  - {name: first, func: 't:same'}\n  - {name: look, func: 't:look'}\n"
REPORT = MaterializationSpec(
    JsonOptions(source="summary", filename_suffix=".counts.json"),
    CsvOptions(source="details", filename_suffix="_details.csv"),
    CsvOptions(source="details", filename_suffix=".details.csv", fields=("area",)),
    CsvOptions(source="summary"),
    ROIOptions(source="labels"),
    TiffOptions(source="labels"),
    TextOptions(source="note"),
)
LABELS = np.array([[[0, 1, 1], [0, 0, 2]]], np.int32)


class _Catalogue:
    """Functions that only this test has."""

    def __init__(self, **outputs):
        self._outputs = {"same": {}, **outputs}

    def find(self, ref):
        name = ref.partition(":")[2]
        return FunctionMetadata(
            ref=ref,
            module="t",
            attribute=name,
            input_memory_type=MemoryType.NUMPY,
            output_memory_type=MemoryType.NUMPY,
            contract=ProcessingContract.PURE_2D,
            special_outputs=tuple(
                SpecialOutputPlan(name=output, spec=spec)
                for output, spec in self._outputs[name].items()
            ),
        )


def _look(stack):
    site = int(stack[0, 0, 0])
    details = [{"label": 1, "area": site + 0.5}, {"label": 2, "area": 1.0}]
    report = {
        "summary": {"count": 2, "site_brightness": float(site)},
        "details": details,
        "labels": LABELS,
        "note": f"saw {site}",
    }
    return stack, report


@pytest.fixture(scope="module")
def index():
    return get_handler("imagexpress", PLATE).index(PLATE)


@pytest.fixture
def compile_with(tmp_path, index):
    def compile_(pipeline=PIPELINE, **outputs):
        path = tmp_path / "pipeline.yaml"
        path.write_text(pipeline)
        document = load_yaml(path)
        plate = compile_plate(
            CompileRequest(
                plate="demo",
                index=index,
                wells=index.wells,
                pipeline=validate(PipelineConfig, document),
                document=document,
                storage=VFSConfig(materialization="disk"),
                functions=_Catalogue(**outputs),
            )
        )
        return CompiledPipeline(results=str(tmp_path / "results"), plates=(plate,))

    return compile_


@pytest.fixture
def run(compile_with, tmp_path):
    """Run the step ``look`` on two sites of two wells, as its jobs would."""

    def run_(function=_look, spec=REPORT):
        compiled = compile_with(look={"report": spec})
        folder = tmp_path / "results/demo"
        location = {"plate_path": str(PLATE), "cache_dir": str(tmp_path / "cache")}
        files = emit_plan_files(compiled.plates[0])
        for path, text in {**files, "workspace/location.json": json.dumps(location)}.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        for well in compiled.plates[0].wells:
            keys = [PlaneKey(well, site, "1", 1, 1) for site in (1, 2)]
            planes = [np.full((2, 3), 10 * key.site, np.uint16) for key in keys]
            images = (ImageCache(tmp_path / "cache").put(planes, keys),)
            manifest = Manifest(
                digest="0", step="first", well=well, inputs={}, functions={}, images=images
            )
            write_manifest(manifest, folder)
            execute_step(Job(folder, "look"), well, lambda _: function)
        return folder, compiled

    return run_


def _read(path):
    return list(csv.reader(io.StringIO(path.read_text(), newline="")))


def test_every_file_is_declared_asked_for_and_recorded(run):
    folder, compiled = run()
    made = {
        str(path.relative_to(folder))
        for kind in ("tables", "json", "rois", "tiff", "text")
        for path in (folder / kind).rglob("*")
        if path.is_file()
    }
    ends = [
        "json/look/{}.report.counts.json",
        "tables/look/{}.report_details.csv",
        "tables/look/{}.report.details.csv",
        "tables/look/{}.report.csv",
        "rois/look/{}.report.roi.zip",
        "tiff/look/{}.report.tif",
        "text/look/{}.report.txt",
    ]
    assert made == {end.format(well) for end in ends for well in ("B02", "B03")}
    for well in ("B02", "B03"):
        records = read_manifest(folder / f"manifests/look/{well}.json").files
        assert set(records) == {end.format(well) for end in ends}
        for path, record in records.items():
            assert record.digest == digest_bytes((folder / path).read_bytes())
    targets = json.loads(emit_plan_index(compiled))["targets"]
    assert {f"{folder}/{path}" for path in made} <= set(targets)
    rules = emit_rules(compiled)
    declared = rules.partition("rule look:")[2].partition("    output:")[2].partition("    log:")[0]
    outputs = re.findall(r"^        (\w+)=\"(.*)\",$", declared, re.M)
    assert len({name for name, _ in outputs}) == len(outputs)
    assert {end.format("{well}") for end in ends} <= {
        path.partition("/{plate}/")[2] for _, path in outputs
    }


def test_content_is_what_the_function_gave_with_its_components(run):
    folder, _ = run()
    (first, second) = json.loads((folder / "json/look/B03.report.counts.json").read_text())
    assert first == {
        "well": "B03", "site": 1, "channel": "1", "z_index": 1, "timepoint": 1,
        "count": 2, "site_brightness": 10.0,
    }  # fmt: skip
    assert second["site"] == 2
    assert _read(folder / "tables/look/B02.report_details.csv")[1:] == [
        ["B02", "1", "1", "1", "1", "1", "10.5"],
        ["B02", "1", "1", "1", "1", "2", "1.0"],
        ["B02", "2", "1", "1", "1", "1", "20.5"],
        ["B02", "2", "1", "1", "1", "2", "1.0"],
    ]
    np.testing.assert_array_equal(
        tifffile.imread(folder / "tiff/look/B02.report.tif"), np.concatenate([LABELS, LABELS])
    )
    text = (folder / "text/look/B02.report.txt").read_text()
    assert text == "# s001_w1_z001_t001\nsaw 10\n# s002_w1_z001_t001\nsaw 20\n"
    # labels beside the kept images
    (labels,) = (folder / "images/look/B02/labels").iterdir()
    assert labels.name == "report_w1"


def test_each_csv_option_has_its_own_plate_table(run):
    folder, compiled = run()
    files = [table.file for table in compiled.plates[0].tables]
    assert files == ["report_details.csv", "report.details.csv", "report.csv"]
    names = re.findall(r"^rule (.*):$", emit_rules(compiled), re.M)
    assert len(set(names)) == len(names) == 5
    for file in files:
        gather_table(Job(folder, "look"), file)
    rows = _read(folder / "tables/look/report.details.csv")
    assert rows[0] == ["well", "site", "channel", "z_index", "timepoint", "area"]
    assert [row[-1] for row in rows[1:]] == ["10.5", "1.0", "20.5", "1.0"] * 2
    assert len(_read(folder / "tables/look/report.csv")) == 5


def test_the_same_input_gives_the_same_bytes(run):
    def contents():
        folder, _ = run()
        return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    assert contents() == contents()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            MaterializationSpec(CsvOptions(source="labels")),
            r"step 'look', well B02: output 'report' \(tables/look/B02.report.csv\) "
            r"is ndarray int32 \[1, 2, 3\]; a table is a dict",
        ),
        (
            MaterializationSpec(ROIOptions(source="masks")),
            "step 'look', well B02: output 'report' source 'masks': no 'masks' in summary",
        ),
        (
            MaterializationSpec(ROIOptions(source="note")),
            r"\(rois/look/B02.report.roi.zip\) is str; ROIs come from a label image",
        ),
    ],
)
def test_a_value_that_no_writer_takes_names_step_well_output_and_type(run, spec, message):
    with pytest.raises(StepFunctionError, match=message):
        run(spec=spec)


CHAIN = "steps:\n  - {name: s, func: ['t:a', 't:b']}\n"
GROUPS = "steps:\n  - {name: s, func: {'1': 't:a', '2': 't:b'}, passthrough: ['3']}\n"
LONG = MaterializationSpec(CsvOptions(filename_suffix="_b.csv"))
PLAIN = MaterializationSpec(CsvOptions())
_AB = {"a": {"x": LONG}, "b": {"x_b": PLAIN}}


@pytest.mark.parametrize(
    ("pipeline", "outputs", "message"),
    [
        (CHAIN, _AB, "two functions would write tables/s/WELL."),
        (CHAIN, {"a": {"x": LONG, "x_b": PLAIN}, "b": {}}, "two outputs of t:a would write tables"),
        (GROUPS, _AB, "outputs 'x' and 'x_b' would write tables"),
        (
            CHAIN,
            {
                "a": {"m": MaterializationSpec(ROIOptions())},
                "b": {"m": MaterializationSpec(ROIOptions(filename_suffix=".zip"))},
            },
            "two functions would write label images 'm'",
        ),
    ],
)  # fmt: skip
def test_two_outputs_that_would_write_one_file_do_not_compile(
    compile_with, pipeline, outputs, message
):
    with pytest.raises(ErrorGroup) as caught:
        compile_with(pipeline, **outputs)
    assert [message in str(error) for error in caught.value.exceptions] == [True]


def test_files_of_different_kinds_or_functions_stand_beside_each_other(compile_with):
    compiled = compile_with(
        CHAIN,
        a={"x": PLAIN},
        b={"x": MaterializationSpec(JsonOptions()), "y": MaterializationSpec(JsonOptions())},
    )
    assert [table.file for table in compiled.plates[0].tables] == ["x.csv"]
