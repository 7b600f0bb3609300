"""Plates in a table of tab-separated values are as if they stood in the config."""

from pathlib import Path

import pytest

from openhcs_core.config import WorkflowConfig, load_config, validate
from openhcs_core.errors import ConfigError, ErrorGroup, render_error


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text("results: out\nplates: plates.tsv\n")


def _read(table, encoding="utf-8"):
    Path("plates.tsv").write_text(table, encoding=encoding)
    document = load_config("config.yaml")
    return validate(WorkflowConfig, document), document


def _message(table):
    with pytest.raises((ConfigError, ErrorGroup)) as caught:
        _read(table)
    return render_error(caught.value)


def test_a_table_gives_what_the_same_mapping_gives():
    table = (
        "plate\tpath\twells\texclude_wells\tmissing_images\tplate_map\tdefaults.keep\t"
        "storage.zarr.compression_level\tdefaults.resources.mem_mb\n"
        "# comments and empty lines say nothing\n"
        "\n"
        "007\tdata/a b\tall\t\tallow\tmaps/a.csv\ttrue\t3\t2000\n"
        "1e3\t s3://bucket/b \tA01:C12\tA01, B02;C03\t\t\t\t\t\n"
        "ü\tc\tB02\n"
    )
    found, _ = _read(table)
    Path("mapping.yaml").write_text(
        "results: out\n"
        "plates:\n"
        "  '007': {path: data/a b, missing_images: allow, plate_map: maps/a.csv,\n"
        "          defaults: {keep: true, resources: {mem_mb: 2000}},\n"
        "          storage: {zarr: {compression_level: 3}}}\n"
        "  '1e3': {path: 's3://bucket/b', wells: 'A01:C12', exclude_wells: [A01, B02, C03]}\n"
        "  ü: {path: c, wells: [B02]}\n"
    )
    expected = validate(WorkflowConfig, load_config("mapping.yaml"))
    assert found.model_dump_json() == expected.model_dump_json()
    assert list(found.plates) == ["007", "1e3", "ü"]


def test_tables_that_spreadsheets_write_are_read():
    found, _ = _read('plate\tpath\r\n"a"\t"data/a"\r\n', encoding="utf-8-sig")
    assert found.plates["a"].path == "data/a"


def test_a_value_is_named_by_its_line_and_column():
    _, document = _read("plate\tpath\twells\na\tx\tA01\nb\ty\tA02\n")
    assert document.where(("plates", "b", "wells")) == "plates.tsv:3 wells"
    assert document.where(("plates", "b")) == "plates.tsv:3 b"
    assert document.where(("results",)) == "config.yaml:1 results"


def test_all_mistakes_are_reported_at_once_with_their_lines():
    text = _message(
        "plate\tpath\twells\tmissing_images\tdefaults.keep\n"
        "a\tx\tA1\n"
        "\ty\n"
        "a\tz\n"
        "b\t\n"
        "c\tx\t\tperhaps\n"
        "d\tx\t\t\tmaybe\n"
        "e\tx\t\t\t\tmore\n"
        "f{\tx\n"
    )
    for part in (
        "plates.tsv:2 wells",
        "not wells: A1",
        "plates.tsv:3",
        "no name stands under 'plate'",
        "'a' stands twice, first in line 2",
        "plates.tsv:5",
        "required key 'path' is missing",
        "plates.tsv:6 missing_images",
        "plates.tsv:7 defaults.keep",
        "6 cells for 5 columns",
        "plates.tsv:9",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("plate\tpaht\na\tx\n", "unknown column 'paht'; did you mean 'path'?"),
        ("plate\na\n", "no column 'path'; the first line names the columns"),
        ("path\nx\n", "no column 'plate'"),
        ("plate\tpath\tpath\na\tx\ty\n", "columns stand twice: path"),
        ("plate\tpath\n", "no plate is listed"),
        ("", "no column 'plate'"),
        ('plate\tpath\n"a\tx\n', "no table of tab-separated values"),
        ("plate\tpath\tstorage.cache_gb\na\tx\t3\n", "unknown key 'cache_gb'"),
        ("plate\tpath\tdefaults.keep\na\tx\t[\n", "'[' is no YAML value"),
    ],
)
def test_what_is_no_table_of_plates_is_refused_with_a_remedy(table, expected):
    assert expected in _message(table)


def test_a_table_that_is_not_there_is_named_with_the_line_that_names_it():
    with pytest.raises(ConfigError) as caught:
        load_config("config.yaml")
    text = render_error(caught.value)
    assert "plates.tsv: No such file" in text
    assert "config.yaml:2 plates" in text


def test_a_table_of_other_bytes_is_refused():
    Path("plates.tsv").write_bytes(b"plate\tpath\na\t\xff\n")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_config("config.yaml")
