"""What runs in Dask's worker processes: it is sent there by name, never as code."""

import asyncio
from typing import Any

from openhcs_core.workers.pilot import Pilot, facts
from openhcs_core.workers.policy import WorkerLimits

_LOOK_S = 60.0
_IDLE_S = 600.0


async def join(run: str, limits: str, dask_worker: Any) -> str:
    """Let a worker do jobs of a run; return what it is (``PilotFacts``), as JSON."""
    found = facts().model_dump_json()
    plugin = _plugin(Pilot(WorkerLimits.model_validate_json(limits)))
    await dask_worker.plugin_add(plugin, name=run, catch_errors=False)
    return found


async def leave(run: str, dask_worker: Any) -> None:
    """Let a worker do no other job of a run."""
    if run in dask_worker.plugins:
        await dask_worker.plugin_remove(name=run)


def do_job(run: str, key: str, text: str) -> str:
    """Do a job: a Dask task."""
    from distributed import get_worker

    pilot: Pilot = get_worker().plugins[run].pilot
    return pilot.do(key, text)


def _plugin(pilot: Pilot) -> Any:
    """Return what ties a pilot to the Dask worker that it is in."""
    from distributed import WorkerPlugin

    class PilotPlugin(WorkerPlugin):
        """Ends jobs that Dask has given up.

        Dask lets a task run on when nobody waits for it any more, or when the worker loses its
        scheduler. Here the job's process is killed instead, so that nothing is written for a run
        that is dead or for one that does the same work elsewhere.
        """

        def __init__(self) -> None:
            self.pilot = pilot

        def setup(self, worker: Any) -> None:
            self._watch = asyncio.create_task(_rest(pilot))

        def teardown(self, worker: Any) -> None:
            self._watch.cancel()
            pilot.close()

        def transition(self, key: Any, start: str, finish: str, **_: Any) -> None:
            if start in ("executing", "long-running") and finish == "released":
                pilot.stop(str(key))

    return PilotPlugin()


async def _rest(pilot: Pilot) -> None:
    """Let a pilot without work give up its memory: its main process may be dead."""
    while True:
        await asyncio.sleep(_LOOK_S)
        pilot.rest(_IDLE_S)
