"""Rows and columns of sites from stage positions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openhcs_core.microscopes.site_grid import site_grid


def test_a_rectangle_has_dimensions_and_rows_follow_y():
    positions = {1: (-300.0, -200.0), 2: (0.0, -200.0), 3: (-300.0, 0.0), 4: (0.0, 0.0)}
    assert site_grid(positions) == ({1: (0, 0), 2: (0, 1), 3: (1, 0), 4: (1, 1)}, (2, 2))


def test_other_outlines_and_gaps_keep_their_places_and_have_no_dimensions():
    cross = {1: (0, -10), 2: (-10, 0), 3: (0, 0), 4: (10, 0), 5: (0, 10)}
    grid, dimensions = site_grid(cross)
    assert grid == {1: (0, 1), 2: (1, 0), 3: (1, 1), 4: (1, 2), 5: (2, 1)}
    assert dimensions is None
    assert site_grid({1: (0, 0), 2: (10, 0), 3: (40, 0)})[0] == {1: (0, 0), 2: (0, 1), 3: (0, 4)}


def test_one_site_is_a_grid_and_none_or_two_in_one_place_are_not():
    assert site_grid({7: (3.0, 4.0)}) == ({7: (0, 0)}, (1, 1))
    assert site_grid({}) == ({}, None)
    assert site_grid({1: (0, 0), 2: (0, 0)}) == ({}, None)


@given(
    st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)), min_size=1),
    st.floats(100, 1000),
    st.data(),
)
def test_any_places_come_back_through_a_jittering_stage(places, step, data):
    rows = {row for row, _ in places}
    columns = {column for _, column in places}
    # every row and column up to the last has a site, or empty ones at the edge could not be seen
    places |= {(row, 0) for row in range(max(rows) + 1)}
    places |= {(0, column) for column in range(max(columns) + 1)}
    jitter = st.floats(-0.01 * step, 0.01 * step)
    positions = {
        number: (column * step + data.draw(jitter), row * step + data.draw(jitter))
        for number, (row, column) in enumerate(sorted(places))
    }
    grid, _ = site_grid(positions)
    assert [grid[number] for number in sorted(grid)] == sorted(places)


@pytest.mark.parametrize("offset", [-1e5, 0.0, 1e5])
def test_where_the_stage_has_its_zero_is_no_matter(offset):
    positions = {1: (offset, offset), 2: (offset + 315.2, offset), 3: (offset, offset - 315.4)}
    assert site_grid(positions)[0] == {1: (1, 0), 2: (1, 1), 3: (0, 0)}
