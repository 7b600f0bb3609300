"""What can be wrong with results, said in one line."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from openhcs_core.storage import Finding

Kind = Literal["altered", "missing", "stale", "leftover"]
PLAN_AGAIN = "run 'snakemake -n', which writes plans again, then verify again"
RUN = "run snakemake"


@dataclass(frozen=True)
class Problem:
    """A file that is not what the run left.

    Attributes
    ----------
    kind : str
        ``altered``: another content than a job wrote; ``missing``: not there; ``stale``: of an
        earlier config or input, and snakemake will make it again; ``leftover``: of an earlier
        config, and nothing will touch it any more.
    path : str
        The file or folder.
    expected, found : str
        For people.
    mend : str
        What to do.
    """

    kind: Kind
    path: str
    expected: str
    found: str
    mend: str

    def __str__(self) -> str:
        """Return the problem as one line."""
        what = f"expected {self.expected}, found {self.found}" if self.expected else self.found
        return f"{self.kind:<8} {self.path}: {what}; {self.mend}"

    @property
    def is_bad(self) -> bool:
        """Whether results cannot be trusted: more than an edit that has not been run yet."""
        return self.kind in ("altered", "missing")


def make_again(manifest: Path) -> str:
    """Return how a job's outputs are restored."""
    return f"delete {manifest} and {RUN}"


def of_findings(findings: Sequence[Finding], mend: str) -> list[Problem]:
    """Return what storage found as problems."""
    return [
        Problem(found.kind, str(found.path), found.expected, found.found, mend)
        for found in findings
    ]


@dataclass(frozen=True)
class Verification:
    """What came of verifying results.

    Attributes
    ----------
    problems : tuple of Problem
        Empty when everything is what it should be.
    notes : tuple of str
        What could not be looked at.
    wells : int
        Wells that were looked at.
    size_bytes : int
        Bytes that were read.
    """

    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    wells: int
    size_bytes: int

    @property
    def is_bad(self) -> bool:
        """Whether something is altered or missing."""
        return any(problem.is_bad for problem in self.problems)

    def count(self) -> dict[str, int]:
        """Return how many problems there are of each kind that there is."""
        return dict(Counter(problem.kind for problem in self.problems))
