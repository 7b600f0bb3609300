"""Plate tables, held against pandas: the tables of wells below each other, the plate map joined."""

import tracemalloc

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openhcs_core.errors import InputDataError, PlanChangedError
from openhcs_core.materialization import table_text
from openhcs_core.plan import TablePlan, digest_bytes, encode_plan, readable_json
from openhcs_core.runtime import Job, Location, gather_table, is_joined_table, tables

CELLS = st.sampled_from(
    ["", "1", "1.50", "NA", "nan", "a,b", 'q"x', "two\nlines", "µm", " x ", '"']
)
COLUMNS = st.lists(st.sampled_from(["a", "b", "c d", "µ"]), unique=True)
PLATE_MAP = '\ufeffwell,dose,treatment\r\nA02,1,"x\ny"\r\nA01,,NA\r\n'
WELLS = ("A01", "A02", "A03")


@st.composite
def well_tables(draw):
    """Give the text of each well's table; one without rows and columns is an empty file."""
    texts = []
    for well in WELLS:
        columns, rows = draw(COLUMNS), draw(st.integers(0, 3))
        cells = st.lists(CELLS, min_size=rows, max_size=rows)
        table = {"well": [well] * rows} | {column: draw(cells) for column in columns}
        texts.append(draw(st.sampled_from([table_text(table), ""])))
    return texts


def _gather(folder, texts, plate_map=None):
    files = {
        f"tables/count/{well}.cells.csv": text for well, text in zip(WELLS, texts, strict=True)
    }
    location = Location(plate_path="plate", cache_dir=str(folder / "cache"))
    digest = None
    if plate_map is not None:
        files["map.csv"] = plate_map
        digest = digest_bytes(plate_map.encode())
        location = location.model_copy(update={"plate_map": str(folder / "map.csv")})
    files["workspace/location.json"] = readable_json(location.model_dump())
    plan = TablePlan(
        step_name="count",
        output="cells",
        suffix=".csv",
        groups=(None,),
        wells=WELLS,
        plate_map=digest,
    )
    files["plan/count/cells.csv.json"] = encode_plan(plan)
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text.encode())
    gather_table(Job(folder, "count"), "cells.csv")
    return (folder / "tables/count/cells.csv").read_bytes().decode()


def _by_pandas(folder, plate_map):
    def read(path):
        if path.stat().st_size == 0:
            return pd.DataFrame()
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")

    tables = [read(folder / f"tables/count/{well}.cells.csv") for well in WELLS]
    table = pd.concat(tables, ignore_index=True).fillna("")
    if plate_map is not None and "well" in table.columns:
        table = table.merge(read(folder / "map.csv"), on="well", how="left").fillna("")
    return table.to_csv(index=False, lineterminator="\n")


@pytest.mark.parametrize("plate_map", [None, PLATE_MAP])
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(texts=well_tables())
def test_it_is_what_pandas_makes(tmp_path, plate_map, texts):
    assert _gather(tmp_path, texts, plate_map) == _by_pandas(tmp_path, plate_map)


def test_memory_does_not_grow_with_the_rows(tmp_path):
    peaks = []
    for rows in (200, 20_000):
        text = "well,area\n" + "".join(f"A01,{number}.25\n" for number in range(rows))
        tracemalloc.start()
        joined = _gather(tmp_path, [text, "", text], PLATE_MAP)
        peaks.append(tracemalloc.get_traced_memory()[1] - len(text) - 2 * len(joined))
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 200_000


@pytest.mark.parametrize("altered", ["well,a\nA01,2\n", "well,a\nA01,1\nA01,2\n", "", None])
def test_another_table_than_what_wells_give_is_told(tmp_path, altered):
    _gather(tmp_path, ["well,a\nA01,1\n", "", ""])
    path = tmp_path / "tables/count/cells.csv"
    plan = TablePlan.model_validate_json((tmp_path / "plan/count/cells.csv.json").read_bytes())
    assert is_joined_table(Job(tmp_path, "count"), plan)
    path.unlink() if altered is None else path.write_text(altered)
    assert not is_joined_table(Job(tmp_path, "count"), plan)


def test_a_table_that_changes_while_it_is_read_is_no_part_of_another(tmp_path, monkeypatch):
    def headers_first(path):
        header = read_header(path)
        path.write_text("other\n1\n")
        return header

    read_header = tables._header
    monkeypatch.setattr(tables, "_header", headers_first)
    with pytest.raises(PlanChangedError, match=r"A01\.cells\.csv changed while it was read"):
        _gather(tmp_path, ["well,a\nA01,1\n", "", ""])
    assert not (tmp_path / "tables/count/cells.csv").exists()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("well,a\nA01,1,2\n", "its header has 2 columns, but a row has 3: A01, 1, 2"),
        ('well,a\nA01,"1\n', "unexpected end of data"),
    ],
)
def test_what_is_no_table_is_named(tmp_path, text, found):
    with pytest.raises(InputDataError, match=r"A02\.cells\.csv is not a CSV table: ") as caught:
        _gather(tmp_path, ["", text, ""])
    assert found in str(caught.value)
