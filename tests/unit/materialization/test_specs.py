"""What a materialization can be asked for."""

import pytest

from openhcs_core.errors import CompileError
from openhcs_core.materialization import (
    CsvOptions,
    JsonOptions,
    MaterializationSpec,
    ROIOptions,
    TextOptions,
    TiffOptions,
)
from openhcs_core.pipeline import special_outputs

ALL = (CsvOptions(), JsonOptions(), ROIOptions(), TextOptions(), TiffOptions())


def test_a_specification_comes_back_from_its_json():
    spec = MaterializationSpec(
        JsonOptions(source="summary", filename_suffix=".json"),
        CsvOptions(source="details", filename_suffix="_details.csv", fields=("area",)),
        primary=0,
    )
    assert MaterializationSpec.model_validate_json(spec.model_dump_json()) == spec
    assert MaterializationSpec(*ALL).options == ALL


@pytest.mark.parametrize("primary", [1, "csv", "_details.csv"])
def test_the_main_file_is_named_by_position_kind_or_suffix(primary):
    details = CsvOptions(filename_suffix="_details.csv")
    spec = MaterializationSpec(JsonOptions(), details, primary=primary)
    assert (spec.primary, spec.primary_options) == (1, details)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (MaterializationSpec, "at least 1 item"),
        (lambda: MaterializationSpec(CsvOptions(), primary=1), "primary 1 is none of the 1"),
        (lambda: MaterializationSpec(CsvOptions(), primary=-1), "primary -1 is none"),
        (lambda: MaterializationSpec(CsvOptions(), primary="json"), "names 0 of the options"),
        (
            lambda: MaterializationSpec(
                CsvOptions(), CsvOptions(filename_suffix="_b.csv"), primary="csv"
            ),
            "names 2 of the options; expected one of .csv, _b.csv",
        ),
        (
            lambda: MaterializationSpec(CsvOptions(source="a"), CsvOptions(source="b")),
            "two csv options would write one file",
        ),
        (lambda: CsvOptions(fields=("a", "a")), "field 'a' stands twice"),
        (lambda: CsvOptions(filename_suffix=".json"), "CsvOptions has to end with .csv"),
        (lambda: CsvOptions(filename_suffix="details.csv"), "has to begin with"),
        (lambda: CsvOptions(filename_suffix="/../x.csv"), "has to begin with"),
        (lambda: CsvOptions(filename_suffix=".{a}.csv"), "has to begin with"),
        (lambda: CsvOptions(filename_suffix=".partial.csv"), "marks tables of runs with failed"),
        (lambda: ROIOptions(filename_suffix=".roi"), "has to end with .roi.zip or .zip"),
        (lambda: JsonOptions(source=""), "at least 1 character"),
    ],
)
def test_what_cannot_be_asked_for(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_functions_declare_outputs_in_memory_and_files_of_every_kind():
    names = ("table", "record", "outlines", "note", "image")
    declared = tuple(
        (name, MaterializationSpec(option)) for name, option in zip(names, ALL, strict=True)
    )

    @special_outputs("positions", *declared)
    def function(image_stack):
        return (image_stack, None, *names)

    assert function.special_outputs == (("positions", None), *declared)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ((("cells", CsvOptions()),), "expected a name, or a name and a MaterializationSpec"),
        ((3,), "special output 3: expected a name"),
        (("a b",), "Python identifiers"),
        (("B02",), "none that a well could have"),
        (("a", ("a", MaterializationSpec(CsvOptions()))), "'a' is declared twice"),
    ],
)
def test_outputs_that_cannot_be_declared(outputs, message):
    with pytest.raises(CompileError, match=message):
        special_outputs(*outputs)
