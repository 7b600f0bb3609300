#!/usr/bin/env python3
"""A Slurm cluster for tests, on one machine: no systemd, no cgroups, nothing outside one folder.

    eval "$(tests/slurm/cluster.py up)"     # prints what to export; starts what is not running
    sinfo
    tests/slurm/cluster.py down             # cancels the jobs, ends the daemons, removes the folder

Needs the daemons (Debian, Ubuntu: ``apt install slurmctld slurmd slurm-client munge``) and Python,
nothing else. The folder is SLURM_STATE, or ``openhcs-slurm-<user id>`` in the folder for temporary
files; clusters in several folders may run at a time, each on ports of its own.
"""

import argparse
import fcntl
import getpass
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd", "sbatch")
PACKAGES = "slurmctld slurmd slurm-client munge"
_SEARCH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
# below the range that the kernel gives to clients, so that none of these takes a port meanwhile
_PORTS = range(20000, 32000)

_CONF = """\
ClusterName=openhcs
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={state}/munge.sock
CredType=cred/munge
StateSaveLocation={state}/saved
SlurmdSpoolDir={state}/spool-%n
SlurmctldPidFile={state}/slurmctld.pid
SlurmdPidFile={state}/slurmd-%n.pid
SlurmctldLogFile={state}/slurmctld.log
SlurmdLogFile={state}/slurmd-%n.log
MpiDefault=none
SwitchType=switch/none
# no cgroups in a container: processes are found by their parents, memory is watched every second
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
# a node has what is declared, whatever the machine has
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
GresTypes=gpu
ReturnToService=2
SlurmdTimeout=30
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
# squeue tells of an ended job for this many seconds
MinJobAge=600
KillWait=2
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,sched_min_interval=0,bf_interval=5
{nodes}
PartitionName=cpu Nodes={names} Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes={names} MaxTime=INFINITE State=UP
"""


@dataclass(frozen=True)
class Size:
    """What the cluster declares; it need not be there."""

    nodes: int = 2
    cpus: int = 4
    mem_mb: int = 16000
    gpus: int = 2

    @property
    def names(self):
        return [f"n{number}" for number in range(1, self.nodes + 1)]


@dataclass(frozen=True)
class Cluster:
    """A cluster in a folder; all that it has lies there."""

    state: Path

    @property
    def environment(self):
        """What a process needs to talk to it."""
        path = os.environ.get("PATH", os.defpath)
        shims = str(self.state / "bin")
        inside = path if shims in path.split(os.pathsep) else shims + os.pathsep + path
        conf = str(self.state / "slurm.conf")
        return {"SLURM_STATE": str(self.state), "SLURM_CONF": conf, "PATH": inside}

    def call(self, *command, check=True):
        """Run a command of Slurm's and return what it prints."""
        run = subprocess.run(
            command,
            env=_clean_environment() | self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if check and run.returncode != 0:
            raise SystemExit(f"{shlex.join(command)}: {run.stderr.strip()}")
        return run.stdout.strip()

    def pid(self, daemon):
        """Return the process of a daemon of this cluster's, if it lives."""
        file = self.state / f"{daemon}.pid"
        try:
            pid = int(file.read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
        except (OSError, ValueError):
            return None
        return pid if f"{self.state}/" in command else None

    def start(self, daemon):
        """Start a daemon that does not run: ``munged``, ``slurmctld`` or ``slurmd-<node>``."""
        if self.pid(daemon) is not None:
            return
        conf = str(self.state / "slurm.conf")
        if daemon == "munged":
            (self.state / "munge.sock").unlink(missing_ok=True)
            _run_daemon("munged", *self._munge_options())
        elif daemon == "slurmctld":
            _run_daemon("slurmctld", "-f", conf)
        else:
            _run_daemon("slurmd", "-f", conf, "-N", daemon.removeprefix("slurmd-"))

    def stop(self, daemon):
        """End a daemon and wait until it has gone."""
        pid = self.pid(daemon)
        for sign in (signal.SIGTERM, signal.SIGKILL):
            if pid is not None:
                os.kill(pid, sign)
                _until(lambda: self.pid(daemon) is None, seconds=15)
                pid = self.pid(daemon)

    def _munge_options(self):
        here = self.state
        return [
            f"--key-file={here}/munge.key",
            f"--socket={here}/munge.sock",
            f"--pid-file={here}/munged.pid",
            f"--log-file={here}/munged.log",
            f"--seed-file={here}/munge.seed",
        ]


def missing():
    """Return the daemons that are not installed here."""
    return [name for name in DAEMONS if shutil.which(name, path=_SEARCH) is None]


def up(state, size=None):
    """Start what is not running in a folder and wait until all nodes take jobs."""
    if absent := missing():
        raise SystemExit(
            f"Slurm is not installed here ({', '.join(absent)}): apt install {PACKAGES}"
        )
    size = size or Size()
    state.mkdir(parents=True, exist_ok=True)
    state.chmod(0o755)  # munged looks whether others can reach its socket
    cluster = Cluster(state.resolve())
    daemons = ["munged", "slurmctld", *(f"slurmd-{name}" for name in size.names)]
    with _locked(cluster.state):
        if all(cluster.pid(daemon) is None for daemon in daemons):
            _prepare(cluster, size)
        for daemon in daemons:
            cluster.start(daemon)
        if not _until(lambda: _usable(cluster) >= size.nodes, seconds=45):
            logs = "\n".join(_tail(path) for path in sorted(cluster.state.glob("slurm*.log")))
            raise SystemExit(f"the nodes do not take jobs:\n{logs}")
    return cluster


def down(state, *, keep=False):
    """Cancel the jobs of the cluster in a folder, end its daemons, remove the folder."""
    if not state.is_dir():
        return
    cluster = Cluster(state.resolve())
    with _locked(cluster.state):
        if cluster.pid("slurmctld") is not None:
            cluster.call("scancel", f"--user={getpass.getuser()}", check=False)
            _until(lambda: not _unfinished(cluster), seconds=20)
        of_nodes = [path.stem for path in cluster.state.glob("slurmd-*.pid")]
        for daemon in ("slurmctld", *of_nodes, "munged"):
            cluster.stop(daemon)
    if not keep:
        shutil.rmtree(cluster.state, ignore_errors=True)


def _prepare(cluster, size):
    """Write the configuration, with ports that nothing listens on now."""
    state = cluster.state
    for old in (state / "saved", *state.glob("spool-*")):
        shutil.rmtree(old, ignore_errors=True)
    (state / "saved").mkdir()
    key = state / "munge.key"
    key.unlink(missing_ok=True)
    key.touch(mode=0o400)
    key.chmod(0o600)
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    ports = _free_ports(size.nodes + 1)
    host = socket.gethostname().split(".")[0]
    nodes, gres = [], []
    for name, port in zip(size.names, ports[1:], strict=True):
        (state / f"spool-{name}").mkdir()
        gpus = f" Gres=gpu:fake:{size.gpus}" if size.gpus else ""
        nodes.append(
            f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port}"
            f" CPUs={size.cpus} RealMemory={size.mem_mb}{gpus} State=UNKNOWN"
        )
        if size.gpus:
            gres.append(f"NodeName={name} Name=gpu Type=fake File={_devices(state, name, size)}")
    text = _CONF.format(
        host=host,
        ports=ports,
        user=getpass.getuser(),
        state=state,
        nodes="\n".join(nodes),
        names=",".join(size.names),
    )
    (state / "slurm.conf").write_text(text)
    (state / "gres.conf").write_text("".join(f"{line}\n" for line in gres))
    _write_shim(state)


def _devices(state, name, size):
    """Make links to a character device: of a plain file Slurm makes a GPU without a number."""
    folder = state / f"devices-{name}"
    folder.mkdir(exist_ok=True)
    for number in range(size.gpus):
        device = folder / f"gpu{number}"
        device.unlink(missing_ok=True)
        device.symlink_to("/dev/null")
    return f"{folder}/gpu[0-{size.gpus - 1}]"


def _write_shim(state):
    """Let ``srun`` inside jobs find this cluster.

    Snakemake's plugin takes SLURM_CONF out of a job's environment, which does no harm where the
    configuration is in /etc/slurm.
    """
    shim = state / "bin" / "srun"
    shim.parent.mkdir(exist_ok=True)
    real = shutil.which("srun", path=_SEARCH)
    shim.write_text(f'#!/bin/sh\nexport SLURM_CONF={state}/slurm.conf\nexec {real} "$@"\n')
    shim.chmod(0o755)


def _free_ports(number):
    found = []
    candidates = list(_PORTS)
    while len(found) < number:
        port = secrets.choice(candidates)
        candidates.remove(port)
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
        found.append(port)
    return found


def _run_daemon(name, *options):
    command = [shutil.which(name, path=_SEARCH) or name, *options]
    run = subprocess.run(
        command,
        env=_clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        check=False,
    )
    if run.returncode != 0:
        raise SystemExit(f"{shlex.join(command)} ended with {run.returncode}")


def _clean_environment():
    """Return the environment without settings of another cluster, or of a job of one."""
    return {key: value for key, value in os.environ.items() if not key.startswith("SLURM")}


def _usable(cluster):
    states = cluster.call("sinfo", "-h", "-N", "-p", "cpu", "-o", "%t", check=False).split()
    return sum(state in {"idle", "mix", "alloc", "comp", "drain", "drng"} for state in states)


def _unfinished(cluster):
    return cluster.call("squeue", "-h", "-o", "%i", check=False)


def _until(condition, *, seconds):
    deadline = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return met


def _tail(path, lines=8):
    return "\n".join([f"{path}:", *path.read_text(errors="replace").splitlines()[-lines:]])


@contextmanager
def _locked(state):
    """One command at a time; daemons do not inherit the lock."""
    lock = state / "lock"
    with lock.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=["up", "down"])
    parser.add_argument("--nodes", type=int, default=Size.nodes)
    parser.add_argument("--cpus", type=int, default=Size.cpus, help="of a node")
    parser.add_argument("--mem-mb", type=int, default=Size.mem_mb, help="of a node")
    parser.add_argument("--gpus", type=int, default=Size.gpus, help="of a node")
    parser.add_argument("--keep", action="store_true", help="down: leave the folder, with its logs")
    given = parser.parse_args()
    default = Path(tempfile.gettempdir()) / f"openhcs-slurm-{os.getuid()}"
    state = Path(os.environ.get("SLURM_STATE", default))
    if given.what == "down":
        down(state, keep=given.keep)
        return
    cluster = up(state, Size(given.nodes, given.cpus, given.mem_mb, given.gpus))
    for key, value in cluster.environment.items():
        sys.stdout.write(f"export {key}={shlex.quote(value)}\n")


if __name__ == "__main__":
    _main()
