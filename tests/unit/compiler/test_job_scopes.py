"""Which wells one job does: batches of a row, or of whole rows."""

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openhcs_core.compiler.job_scopes import batch_wells
from openhcs_core.planes import split_well, well_order

PLATE_96 = [f"{row}{column:02d}" for row in "ABCDEFGH" for column in range(1, 13)]
_wells = st.sets(st.sampled_from(PLATE_96), min_size=1).map(lambda s: sorted(s, key=well_order))


def test_a_well_a_job_is_no_batch():
    assert batch_wells(PLATE_96, 1) == ()


@pytest.mark.parametrize(
    ("size", "sizes"),
    [(4, [4] * 24), (5, [5, 5, 2] * 8), (12, [12] * 8), (24, [24] * 4), (40, [36, 36, 24])],
)
def test_batches_of_a_whole_plate(size, sizes):
    batches = batch_wells(PLATE_96, size)
    assert [len(batch) for batch in batches] == sizes


def test_rows_that_are_short_are_put_together():
    wells = ["B02", "B03", "C02", "C03", "D02", "D03"]
    assert batch_wells(wells, 4) == (("B02", "B03", "C02", "C03"), ("D02", "D03"))
    assert batch_wells(wells, 3) == (("B02", "B03"), ("C02", "C03"), ("D02", "D03"))


def test_what_is_left_of_a_row_stays_alone():
    assert batch_wells(["A01", "A02", "A03", "B01"], 2) == (("A01", "A02"), ("A03",), ("B01",))


@given(_wells, st.integers(2, 96))
def test_every_well_is_in_one_batch_of_a_row_or_of_whole_rows(wells, size):
    batches = batch_wells(wells, size)
    assert list(chain(*batches)) == wells
    rows = {row: {well for well in wells if split_well(well)[0] == row} for row in "ABCDEFGH"}
    for batch in batches:
        assert 1 <= len(batch) <= size
        touched = {split_well(well)[0] for well in batch}
        assert len(touched) == 1 or set(batch) == set().union(*(rows[row] for row in touched))


@given(_wells, st.sampled_from(PLATE_96), st.integers(2, 12))
def test_a_well_more_changes_batches_of_its_row_alone(wells, added, size):
    full = [len([well for well in wells if well[0] == row]) >= size for row in "ABCDEFGH"]
    if not all(full):
        return  # rows put together may be parted
    grown = sorted({*wells, added}, key=well_order)
    changed = set(batch_wells(wells, size)) ^ set(batch_wells(grown, size))
    assert {well[0] for batch in changed for well in batch} <= {added[0]}
