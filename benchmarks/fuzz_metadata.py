"""Read damaged files for a while: each is read or refused by name, in bounded time and memory.

    python benchmarks/fuzz_metadata.py --minutes 10 --out /tmp/fuzz
    python benchmarks/fuzz_metadata.py --replay tests/data/fuzz

Case N of a target is the same file on every machine. Whatever ends in another exception than an
OpenHCSError, takes more CPU time or memory than allowed, or ends the process, is kept in --out
with its traceback. --replay reads kept files again; folders are named as targets.
"""

import argparse
import json
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parent))
from fuzz_targets import TARGETS, Target

from openhcs_core.errors import ErrorGroup, OpenHCSError

MOST_CPU_S, MOST_SILENT_CPU_S, MOST_MB = 10.0, 60.0, 600
_ADDRESS_SPACE_BYTES = 12 << 30


class TooSlowError(BaseException):
    """A file took more CPU time than it may."""


def _stop(*_: object) -> None:
    raise TooSlowError


def try_content(target: Target, content: bytes) -> tuple[str, str]:
    """Read a content; return ``ok``, ``refused``, or what is wrong, and the error or traceback."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    signal.signal(signal.SIGPROF, _stop)
    signal.setitimer(signal.ITIMER_PROF, MOST_CPU_S)
    try:
        target.read(content)
        outcome = "ok", ""
    except (OpenHCSError, ErrorGroup) as error:
        outcome = "refused", type(error).__name__
    except TooSlowError:
        outcome = f"over {MOST_CPU_S} s", traceback.format_exc()
    except BaseException as error:  # noqa: BLE001  # what this looks for
        outcome = type(error).__name__, traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    if grown_mb > MOST_MB:
        outcome = f"over {MOST_MB} MB", f"{grown_mb:.0f} MB, then {outcome}"
    return outcome


def make_target(name: str, folder: Path) -> Target:
    """Return a target in a new folder, which becomes the working directory."""
    os.chdir(folder)
    return TARGETS[name](folder)


def run_child(name: str, first: int, out: Path) -> None:
    """Try cases from `first` on until stopped; a line a case."""
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE_BYTES, _ADDRESS_SPACE_BYTES))
    with tempfile.TemporaryDirectory() as folder:
        target = make_target(name, Path(folder))
        for number in range(first, 1 << 60):
            content = target.damage(Random(f"{name}:{number}"))
            (out / f".{name}.last").write_bytes(content)
            print(json.dumps(["start", number]), flush=True)
            cpu = time.process_time()
            kind, text = try_content(target, content)
            if kind not in {"ok", "refused"}:
                (out / f".{name}.found").write_bytes(content)
            line = ["end", number, kind, text, time.process_time() - cpu]
            print(json.dumps(line), flush=True)
            if os.getppid() == 1:
                return


def _wait_for_line(child: "subprocess.Popen[bytes]") -> bool:
    """Wait as long as the child uses no CPU time: a busy machine gives it none."""
    assert child.stdout is not None
    used_s = _used_s(child.pid)
    while not select.select([child.stdout], [], [], 5.0)[0]:
        if _used_s(child.pid) - used_s > MOST_SILENT_CPU_S:
            return False
    return True


def _used_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Campaign:
    """What came of the cases of one target."""

    def __init__(self, name: str, out: Path, first: int = 0) -> None:
        self.name, self.out = name, out
        self.next, self.kinds, self.signatures = first, Counter[str](), Counter[str]()
        self.slowest_s, self.cpu_s = 0.0, 0.0
        self._child: subprocess.Popen[bytes] | None = None
        self._started = False

    def run(self, seconds: float, most_cases: int | None = None) -> None:
        """Try cases for a time; a process that ends or hangs is a finding, and the next goes on."""
        end = time.monotonic() + seconds
        stop_at = None if most_cases is None else self.next + most_cases
        while time.monotonic() < end and (stop_at is None or self.next < stop_at):
            child = self._continue()
            if not self._follow(child, end, stop_at):
                self.close()
        if self._child is not None:  # to begin anew costs seconds: it waits for its next turn
            self._child.send_signal(signal.SIGSTOP)

    def _continue(self) -> "subprocess.Popen[bytes]":
        if self._child is not None:
            self._child.send_signal(signal.SIGCONT)
            return self._child
        command = [sys.executable, __file__, "--child", self.name, str(self.next), str(self.out)]
        self._child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return self._child

    def close(self) -> None:
        """End its process."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None

    def _follow(self, child: "subprocess.Popen[bytes]", end: float, stop_at: int | None) -> bool:
        """Note what the child says until the end of the turn; return whether it can go on."""
        assert child.stdout is not None
        while True:
            if not _wait_for_line(child):
                self._note(f"over {MOST_SILENT_CPU_S} s of CPU, deaf to signals", "")
                return False
            line = child.stdout.readline()
            if not line:
                if self._started:
                    self._started = False
                    self._note(f"process ended with {child.wait()}", "")
                    return False
                raise SystemExit(f"target {self.name} cannot be made")
            event, number, *rest = json.loads(line)
            self._started = event == "start"
            self.next = number
            if event == "end":
                kind, text, seconds = rest
                self.cpu_s += seconds
                self.slowest_s = max(self.slowest_s, seconds)
                self._note(kind, text)
                if time.monotonic() > end or (stop_at is not None and self.next >= stop_at):
                    return True

    def _note(self, kind: str, text: str) -> None:
        self.kinds[f"refused {text}" if kind == "refused" else kind] += 1
        if kind not in {"ok", "refused"}:
            frames = [line.strip() for line in text.splitlines() if "openhcs_core/" in line]
            signature = f"{kind}: {frames[-1] if frames else ''} {text.splitlines()[-1:]}"[:300]
            self.signatures[signature] += 1
            if self.signatures[signature] <= 3:
                found = self.out / f".{self.name}.{'found' if text else 'last'}"
                content = found.read_bytes()
                place = self.out / self.name
                place.mkdir(exist_ok=True)
                (place / str(self.next)).write_bytes(content)
                (place / f"{self.next}.txt").write_text(f"{kind}\n{text}", errors="replace")
        self.next += 1

    @property
    def cases(self) -> int:
        """How many were tried."""
        return sum(self.kinds.values())

    def summary(self) -> dict[str, object]:
        """Return counts."""
        return {
            "cases": self.cases,
            "kinds": dict(self.kinds.most_common()),
            "findings": dict(self.signatures.most_common()),
            "slowest_s": round(self.slowest_s, 3),
            "cpu_s": round(self.cpu_s, 1),
        }


def replay(root: Path) -> int:
    """Read kept files; return how many are neither read nor refused."""
    wrong = 0
    for place in sorted(path for path in root.iterdir() if path.name in TARGETS):
        with tempfile.TemporaryDirectory() as folder:
            target = make_target(place.name, Path(folder))
            for path in sorted(place.iterdir()):
                if path.suffix == ".txt":
                    continue
                kind, text = try_content(target, path.read_bytes())
                wrong += kind not in {"ok", "refused"}
                print(f"{place.name}/{path.name}: {kind} {text}")
    return wrong


def main() -> None:
    """Fuzz, or replay."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="for all targets together")
    parser.add_argument("--rounds", type=int, default=1, help="turns of each target, on average")
    parser.add_argument("--cases", type=int, help="at most so many of each target")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--targets", nargs="*", default=sorted(TARGETS), choices=sorted(TARGETS))
    parser.add_argument("--out", type=Path, default=Path("/tmp/fuzz"))
    parser.add_argument("--replay", type=Path, help="read the files kept here instead")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        run_child(options.child[0], int(options.child[1]), Path(options.child[2]))
        return
    if options.replay:
        sys.exit(1 if replay(options.replay.resolve()) else 0)
    options.out.mkdir(parents=True, exist_ok=True)
    options.out = options.out.resolve()
    campaigns = [Campaign(name, options.out, options.first) for name in options.targets]
    seconds = 60 * options.minutes / options.rounds / len(campaigns)
    try:
        report = _take_turns(campaigns, seconds, options)
    finally:
        for campaign in campaigns:
            campaign.close()
    print(json.dumps(report, indent=1))
    sys.exit(1 if any(one.signatures for one in campaigns) else 0)


def _take_turns(
    campaigns: list[Campaign], seconds: float, options: argparse.Namespace
) -> dict[str, object]:
    """Let the reader with the fewest cases go on, for a time; return counts.

    Readers differ fortyfold in what a case costs.
    """
    report: dict[str, object] = {}
    for turn in range(options.rounds * len(campaigns)):
        campaign = min(campaigns, key=lambda one: (one.cases, one.name))
        if options.cases is not None and campaign.cases >= options.cases:
            break
        campaign.run(seconds, None if options.cases is None else options.cases - campaign.cases)
        report = {"turn": turn + 1, **{one.name: one.summary() for one in campaigns}}
        (options.out / "stats.json").write_text(json.dumps(report, indent=1))
    return report


if __name__ == "__main__":
    main()
