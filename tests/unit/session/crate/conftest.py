"""A plate with results, made in this process."""

import pytest

PIPELINE = """steps:
  - {name: smooth, func: {skimage:filters.gaussian: {sigma: 1}}}
  - {name: count, func: {openhcs:count_cells_single_channel: {min_area: 20}}}
overrides:
  - {wells: [A02], set: {count: {min_area: 30}}}
"""


@pytest.fixture(scope="package")
def finished(finish):
    return finish(PIPELINE)


@pytest.fixture
def folder(finished, work_in_copy):
    """The working directory: a copy that a test may change."""
    return work_in_copy(finished)
