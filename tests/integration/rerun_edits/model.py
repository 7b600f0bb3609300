"""A row of the table, and the sets of jobs that rows name."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

NOTHING = frozenset()


def wells(*steps, of=("A01", "A02")):
    """Return the jobs of some steps, a well each."""
    return frozenset(product(steps, of))


def named(*jobs):
    """Return jobs written as ``count store``."""
    return frozenset(tuple(job.split()) for job in jobs)


LEVELS = named("clean levels.csv")
TABLES = named("count cell_counts.csv", "count intensities.csv")
STORE = named("count store")
OTHER = named("top A01", "top store")
COUNT = wells("count") | TABLES
COUNT_A01 = wells("count", of=["A01"]) | TABLES
COUNT_A02 = wells("count", of=["A02"]) | TABLES
FLATTEN = wells("flatten") | COUNT
ALL = wells("clean") | LEVELS | FLATTEN
ALL_A01 = wells("clean", "flatten", of=["A01"]) | LEVELS | COUNT_A01


@dataclass(frozen=True)
class Edit:
    """A row of the table.

    Attributes
    ----------
    name : str
        For pytest.
    title : str
        For people: what is edited.
    do : callable
        Edits a project's folder.
    jobs : frozenset
        (step, well or table or ``store``) of what has to run, in every condition.
    note : str
        What one may wonder at.
    before : callable or None
        An edit that is run first.
    arguments : tuple of str
        Of snakemake.
    is_compared : bool
        Results are compared with those of a fresh project.
    """

    name: str
    title: str
    do: Callable
    jobs: frozenset = NOTHING
    note: str = ""
    before: Callable | None = None
    arguments: tuple = ()
    is_compared: bool = False
