"""The page on the Python API: its examples run and give what it says."""

import doctest
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_examples_of_the_page_run(monkeypatch):
    monkeypatch.chdir(ROOT)
    page = str(ROOT / "docs/python_api.md")
    failed, tried = doctest.testfile(page, module_relative=False)
    assert (failed, tried > 10) == (0, True)
