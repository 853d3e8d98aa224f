from __future__ import annotations

import re
from dataclasses import replace

import dask
import distributed
import pytest
from dask.utils import parse_bytes

from scatdask.archive.memory import PROCESS_BYTES
from scatdask.archive.worker_memory import deadly_limits, find_room, parsed_memory
from tests.archive.conftest import make_job

GB = 10**9


@pytest.fixture
def machine(monkeypatch):
    """A machine of 16 GB and 4 cores."""
    monkeypatch.setattr("distributed.system.MEMORY_LIMIT", 16 * GB)
    monkeypatch.setattr("scatdask.archive.worker_memory.CPU_COUNT", 4)


def one_of(threads: int, memory: int) -> int:
    """Return the memory of one of the threads of a process, the process included."""
    return PROCESS_BYTES + (memory - PROCESS_BYTES) // threads


def test_limits_and_threads_are_those_of_the_workers():
    with (
        distributed.LocalCluster(
            n_workers=1,
            threads_per_worker=2,
            memory_limit="3GB",
            processes=False,
            dashboard_address="127.0.0.1:0",
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        room = find_room(client)
        assert room.memory == one_of(2, 18 * GB // 10)
        assert room.limit == one_of(2, 285 * GB // 100)
        assert room.origin == "60% of the 2.79 GiB of the worker, shared by 2 threads"
        with dask.config.set({"distributed.worker.memory.target": 0.4}):
            assert find_room(client).memory == one_of(2, 12 * GB // 10)


def test_threads_of_this_process_share_this_machine(machine):
    room = find_room()
    assert room.memory == one_of(4, int(0.6 * 16 * GB))
    assert room.limit == 16 * GB  # as few as fit
    assert "60% of the 14.90 GiB of this machine (" in room.origin
    assert room.gpu_memory is None


def test_processes_of_this_machine_share_it(machine):
    room = find_room(processes=8)
    assert (room.memory, room.limit) == (int(0.6 * 2 * GB), int(0.95 * 2 * GB))
    assert "1.86 GiB of one of 8 processes on this machine (" in room.origin


def test_no_measures_of_dask_leave_some_room(machine):
    names = ("target", "spill", "pause", "terminate")
    with dask.config.set({f"distributed.worker.memory.{name}": False for name in names}):
        room = find_room(processes=1)
        assert (room.memory, room.limit) == (int(0.9 * 16 * GB), 16 * GB)


class Scheduler:
    """A client of workers that are only described."""

    def __init__(self, *workers: tuple[int, int]) -> None:
        self.workers = workers

    def scheduler_info(self, n_workers: int) -> dict:
        assert n_workers == -1  # or a few of them are listed only
        return {
            "workers": {
                f"tcp://10.0.0.{i}:1": {"memory_limit": limit, "nthreads": threads}
                for i, (limit, threads) in enumerate(self.workers)
            }
        }


def test_the_least_of_the_workers_counts():
    room = find_room(Scheduler((8 * GB, 1), (2 * GB, 1), (16 * GB, 4)))
    assert (room.memory, room.limit) == (int(0.6 * 2 * GB), int(0.95 * 2 * GB))
    assert room.origin == "60% of the 1.86 GiB of the least of 3 workers"
    many_threads = find_room(Scheduler((2 * GB, 1), (16 * GB, 32)))
    assert many_threads.memory == one_of(32, int(0.6 * 16 * GB))


def test_limits_of_the_threads_of_each_worker():
    workers = Scheduler((2 * GB, 1), (0, 1), (16 * GB, 4), (8 * GB, 4))
    assert deadly_limits(workers, gpus=["tcp://10.0.0.3:1"]) == {
        "tcp://10.0.0.0:1": int(0.95 * 2 * GB),
        "tcp://10.0.0.2:1": one_of(4, int(0.95 * 16 * GB)),
        "tcp://10.0.0.3:1": int(0.95 * 8 * GB),
    }


def test_workers_without_any_limit(archive):
    assert find_room(Scheduler((2 * GB, 1), (0, 1))).memory == int(0.6 * 2 * GB)
    room = find_room(Scheduler((None, 1), (0, 1)))
    assert (room.memory, room.limit) == (None, None)
    request = replace(make_job(archive).request, room=room)
    with pytest.raises(ValueError, match=r"no memory limit: .*memory=\"4GB\""):
        request.consider(None)
    assert replace(request, memory=GB).consider(None).plan.peak_memory <= GB


def test_before_there_are_workers_this_machine_counts(machine):
    assert find_room(Scheduler()).memory == find_room().memory


def test_blocks_of_a_gpu_share_what_its_worker_has_whatever_threads_it_has(machine):
    workers = Scheduler((8 * GB, 4), (32 * GB, 64))
    gpu = "tcp://10.0.0.1:1"
    room = find_room(workers, gpus=[gpu])
    assert room.memory == one_of(4, int(0.6 * 8 * GB))
    assert (room.gpu_memory, room.gpu_limit) == (int(0.6 * 32 * GB), int(0.95 * 32 * GB))
    alone = find_room(workers, gpus=[gpu], only_gpus=True)
    assert alone.memory == alone.gpu_memory == room.gpu_memory
    assert alone.limit == room.gpu_limit
    here = find_room(gpus=["here"])
    assert here.memory == here.gpu_memory == int(0.6 * 16 * GB)
    assert here.limit == here.gpu_limit == 16 * GB
    of_two = find_room(processes=2, gpus=["here"])
    assert of_two.memory == of_two.gpu_memory == int(0.6 * 8 * GB)


@pytest.mark.parametrize(
    ("given", "meant"),
    [("4GB", 4 * GB), ("2 GiB", 2**31), (123_456_789, 123_456_789), (1e9, GB), (None, None)],
)
def test_memory_as_it_is_given(given, meant):
    assert parsed_memory(given) == meant


@pytest.mark.parametrize("given", ["lots", "4 GO", 0, -1, "-4GB"])
def test_memory_that_is_no_size(given):
    with pytest.raises(ValueError, match=r"memory=.* is not a size in bytes, such as"):
        parsed_memory(given)


# Jobs


def test_less_memory_than_a_process_takes_says_how_much_would_do(archive):
    job = make_job(archive, memory="100 MiB")
    with pytest.raises(MemoryError, match=r"memory allows 100\.0 MiB: .*memory=\"1\d\d MiB\"") as e:
        job.plan()
    least = re.search(r'memory="(\d+ MiB)"', str(e.value)).group(1)
    assert make_job(archive, memory=least).plan().peak_memory <= parse_bytes(least)


def test_blocks_follow_from_what_memory_the_machine_has(archive, monkeypatch):
    monkeypatch.setattr("scatdask.archive.worker_memory.CPU_COUNT", 1)
    monkeypatch.setattr("distributed.system.MEMORY_LIMIT", 4 * 2**30)
    plenty = make_job(archive).plan()
    monkeypatch.setattr("distributed.system.MEMORY_LIMIT", 256 * 2**20)
    scarce = make_job(archive).plan()
    assert scarce.layouts != plenty.layouts
    assert scarce.peak_memory <= 0.6 * 256 * 2**20


def test_workers_that_are_smaller_than_the_plan_are_refused_before_any_work(archive, monkeypatch):
    monkeypatch.setattr("distributed.system.MEMORY_LIMIT", 400 * 2**20)
    with pytest.raises(MemoryError, match=r"killed at 126 MiB .* smaller memory=, or"):
        make_job(archive, memory="1 GiB").run(workers=3)
    assert not (archive.parent / "out.zarr").exists()


def test_job_that_has_begun_is_held_to_what_workers_are_killed_at(archive, monkeypatch):
    def machine_of(memory: float) -> None:
        monkeypatch.setattr("distributed.system.MEMORY_LIMIT", int(memory))

    monkeypatch.setattr("scatdask.archive.worker_memory.CPU_COUNT", 1)
    machine_of(320 * 2**20)
    plan = make_job(archive).init()
    assert plan.memory_origin.startswith("192.00 MiB, 60% of the 320.00 MiB of this machine (")
    assert plan.memory_origin in str(plan)
    machine_of(plan.peak_memory + 2**20)  # far less is found, and it fits
    assert make_job(archive).run(blocks=(0, 1)).computed == 1
    machine_of(plan.peak_memory - 2**20)
    with pytest.raises(MemoryError, match="would be killed at"):
        make_job(archive).run()
