"""A stream a thread and device."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from openhcs_core.memory.thread_streams import ThreadStreams


def test_each_thread_has_one_for_each_device_and_keeps_it():
    streams = ThreadStreams(lambda gpu_id: [gpu_id])
    together = Barrier(4)

    def work():
        mine = [streams.get(0), streams.get(1)]
        together.wait()
        assert streams.get(0) is mine[0]
        assert streams.get(1) is mine[1]
        return mine

    with ThreadPoolExecutor(4) as pool:
        found = [future.result() for future in [pool.submit(work) for _ in range(4)]]
    assert [mine == [[0], [1]] for mine in found] == [True] * 4
    assert len({id(stream) for mine in found for stream in mine}) == 8
