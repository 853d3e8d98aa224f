from __future__ import annotations

import re

import dask
import distributed
import pytest
from dask.utils import parse_bytes

from scatdask.archive.memory import PROCESS_BYTES
from scatdask.archive.worker_memory import parsed_memory, worker_limit, worker_memory
from tests.archive.conftest import make_job

GB = 10**9


@pytest.fixture
def machine(monkeypatch):
    """A machine of 16 GB and 4 cores."""
    monkeypatch.setattr("distributed.system.MEMORY_LIMIT", 16 * GB)
    monkeypatch.setattr("scatdask.archive.worker_memory.CPU_COUNT", 4)


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
        assert worker_memory(client) == PROCESS_BYTES + (18 * GB // 10 - PROCESS_BYTES) // 2
        with dask.config.set({"distributed.worker.memory.target": 0.4}):
            assert worker_memory(client) == PROCESS_BYTES + (12 * GB // 10 - PROCESS_BYTES) // 2


def test_threads_of_this_process_share_this_machine(machine):
    assert worker_memory() == PROCESS_BYTES + int(0.6 * 16 * GB - PROCESS_BYTES) // 4


def test_processes_of_this_machine_share_it(machine):
    assert worker_memory(processes=8) == int(0.6 * 2 * GB)


def test_no_measures_of_dask_leave_some_room(machine):
    names = ("target", "spill", "pause", "terminate")
    with dask.config.set({f"distributed.worker.memory.{name}": False for name in names}):
        assert worker_memory(processes=1) == int(0.9 * 16 * GB)


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
    assert worker_memory(Scheduler((8 * GB, 1), (2 * GB, 1), (16 * GB, 4))) == int(0.6 * 2 * GB)
    many_threads = PROCESS_BYTES + int(0.6 * 16 * GB - PROCESS_BYTES) // 32
    assert worker_memory(Scheduler((2 * GB, 1), (16 * GB, 32))) == many_threads


def test_workers_without_any_limit():
    assert worker_memory(Scheduler((2 * GB, 1), (0, 1))) == int(0.6 * 2 * GB)
    with pytest.raises(ValueError, match=r"no memory limit: .*memory=\"4GB\""):
        worker_memory(Scheduler((None, 1), (0, 1)))
    assert worker_limit(Scheduler((None, 1))) is None


def test_limits_are_those_at_which_workers_are_killed(machine):
    assert worker_limit(Scheduler((2 * GB, 1), (4 * GB, 1))) == 2 * GB
    assert worker_limit(Scheduler((2 * GB, 4))) == PROCESS_BYTES + (2 * GB - PROCESS_BYTES) // 4
    assert worker_limit(processes=4) == 4 * GB
    assert worker_limit() == 16 * GB  # in threads, as few as fit


def test_before_there_are_workers_this_machine_counts(machine):
    assert worker_memory(Scheduler()) == worker_memory()


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
    with pytest.raises(MemoryError, match=r"killed at 133 MiB .* smaller memory=, or"):
        make_job(archive, memory="1 GiB").run(workers=3)
    assert not (archive.parent / "out.zarr").exists()
