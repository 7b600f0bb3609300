"""What runs in Dask's worker processes: it is sent there by name, never as code.

Beside Dask's tasks, not as one: a task may be run again elsewhere, run on when nobody waits for
it any more, or wait for a worker that is gone. A call is done once by the worker that it names,
and takes a quarter of the time.
"""

import asyncio
from typing import Any

from openhcs_core.workers.pilot import Pilot, facts
from openhcs_core.workers.policy import WorkerLimits

_LOOK_S = 1.0


async def join(run: str, limits: str, dask_worker: Any) -> str:
    """Let a worker do jobs of a run; return what it is (``PilotFacts``), as JSON."""
    found = facts().model_dump_json()
    plugin = _plugin(Pilot(WorkerLimits.model_validate_json(limits)))
    await dask_worker.plugin_add(plugin, name=run, catch_errors=False)
    return found


async def leave(run: str, dask_worker: Any) -> None:
    """End what a worker does for a run, and let it do nothing more."""
    if run in dask_worker.plugins:
        await dask_worker.plugin_remove(name=run)


async def see(run: str, dask_worker: Any) -> None:
    """Let a worker know that the main process of a run lives."""
    if run in dask_worker.plugins:
        dask_worker.plugins[run].pilot.see()


async def do_job(run: str, key: str, text: str, dask_worker: Any) -> str:
    """Do a job (``PilotTask``); return what became of it (``PilotAnswer``), both as JSON."""
    pilot: Pilot = dask_worker.plugins[run].pilot
    return await asyncio.get_running_loop().run_in_executor(None, pilot.do, key, text)


def _plugin(pilot: Pilot) -> Any:
    """Return what ties a pilot to the Dask worker that it is in."""
    from distributed import WorkerPlugin

    class PilotPlugin(WorkerPlugin):
        """Kills the job's process when the worker closes, or its main process is not heard of.

        So nothing is written for a run that is dead, or for one that does the work elsewhere.
        """

        def __init__(self) -> None:
            self.pilot = pilot

        def setup(self, worker: Any) -> None:
            self._watch = asyncio.create_task(_look(pilot))

        def teardown(self, worker: Any) -> None:
            self._watch.cancel()
            pilot.close()

    return PilotPlugin()


async def _look(pilot: Pilot) -> None:
    """End jobs of a main process that is dead, where that does not end the worker itself."""
    while True:
        await asyncio.sleep(_LOOK_S)
        pilot.end_unseen()
