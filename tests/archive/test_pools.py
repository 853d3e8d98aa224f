"""Interruptions of every kind, with real processes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dask
import distributed
import numpy as np
import pytest
import xarray as xr

from scatdask import Job, Scattering1D
from scatdask.archive.memory import PROCESS_BYTES
from scatdask.archive.places import check_place, choose_pool
from scatdask.archive.pools import ThreadPool
from scatdask.archive.receipts import Receipt
from scatdask.archive.work import Outcome, Task, Work
from scatdask.errors import BlocksFailedError, NoWorkersWarning

# One block a channel and one task a block, so that there is something to interrupt.
S = Scattering1D(J=8, Q=8, dtype="float64")
CHANNELS, N = 16, 60_000


@pytest.fixture(autouse=True)
def one_task_a_block(monkeypatch):
    monkeypatch.setattr("scatdask.archive.plan._TASK_SECONDS", 0.0)
    monkeypatch.setattr("scatdask.archive.plan._SCHEDULER_SECONDS", 0.0)


def noise(n: int) -> xr.Dataset:
    samples = np.random.default_rng(0).standard_normal((CHANNELS, n)).astype("f4")
    return xr.Dataset({"v": (("channel", "time"), samples)})


@pytest.fixture
def long_archive(write_archive) -> Path:
    return write_archive(noise(N), chunks={"channel": 1})


@pytest.fixture
def short_archive(write_archive) -> Path:
    return write_archive(noise(N // 8), chunks={"channel": 1})


def make_job(source: Path) -> Job:
    return Job(source, source.parent / "out.zarr", S, dim="time")


def output(source: Path) -> np.ndarray:
    with xr.open_zarr(source.parent / "out.zarr") as out:
        return out.v.values


def check(source: Path) -> None:
    """Compare two signals of the output with what the transform gives at once."""
    with xr.open_zarr(source) as given:
        expected = S(given.v.values[:2])
    np.testing.assert_allclose(output(source)[:2], expected, rtol=1e-9)


SCRIPT = """
import sys
from scatdask import Job, Scattering1D
from scatdask.archive import plan
if __name__ == "__main__":
    plan._TASK_SECONDS = plan._SCHEDULER_SECONDS = 0.0
    S = Scattering1D(J=8, Q=8, dtype="float64")
    job = Job(sys.argv[1], sys.argv[2], S, dim="time")
    job.run(workers=int(sys.argv[3]) or None)
"""


@contextlib.contextmanager
def started_run(source: Path, workers: int) -> Iterator[subprocess.Popen]:
    """Run a job in a process of its own, which is gone at the end."""
    script = source.parent / "run.py"
    script.write_text(SCRIPT)
    target = source.parent / "out.zarr"
    arguments = [sys.executable, str(script), str(source), str(target), str(workers)]
    with subprocess.Popen(
        arguments, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            yield process
        finally:  # workers of a killed client would live on for a while
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


class Deadly(distributed.WorkerPlugin):
    """Have workers die of a block."""

    def __init__(self, block: int) -> None:
        self.block = block

    def setup(self, worker: distributed.Worker) -> None:
        from scatdask.archive import work as module

        real = module.run_block

        def deadly(work: Work, block: int) -> Receipt:
            if block == self.block:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(work, block)

        module.run_block = deadly


def wait_for_receipts(source: Path, count: int, process: subprocess.Popen) -> None:
    folder = source.parent / "out.zarr.ledger" / "receipts"
    for _ in range(6000):
        if len(list(folder.glob("*.json"))) >= count:
            return
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.01)
    raise AssertionError("the run made no progress")


def test_killed_client_loses_nothing_that_was_finished(long_archive):
    with started_run(long_archive, 0) as process:
        wait_for_receipts(long_archive, 3, process)
        process.kill()
    job = make_job(long_archive)
    done = job.status().done
    assert 3 <= done < CHANNELS
    report = job.run()
    assert report.found_done >= done
    assert report.computed + report.found_done == report.blocks
    assert job.status().is_complete
    check(long_archive)


def test_interrupt_from_the_keyboard_leaves_a_job_that_goes_on(long_archive):
    with started_run(long_archive, 0) as process:
        wait_for_receipts(long_archive, 2, process)
        process.send_signal(signal.SIGINT)
        _, message = process.communicate(timeout=60)
        assert process.returncode != 0
    assert "KeyboardInterrupt" in message
    done = make_job(long_archive).status().done
    assert 2 <= done < CHANNELS
    assert make_job(long_archive).run().found_done == done
    check(long_archive)


def test_cluster_gives_the_same_bits_as_threads(short_archive, cluster):
    make_job(short_archive).run(cluster)
    on_cluster = output(short_archive)
    make_job(short_archive).run(overwrite=True)
    np.testing.assert_array_equal(output(short_archive), on_cluster)


def test_failing_blocks_on_a_cluster_are_reported(short_archive, cluster):
    (short_archive / "v" / "c" / "3" / "0").write_bytes(b"rubbish")
    with pytest.raises(BlocksFailedError, match="1 of 16 blocks failed, first block 3"):
        make_job(short_archive).run(cluster)
    assert make_job(short_archive).status().done == CHANNELS - 1


def test_block_that_kills_its_workers_is_found_and_the_others_are_done(short_archive, monkeypatch):
    from scatdask.archive import job as module

    monkeypatch.setattr(module.Plan, "blocks_per_task", lambda plan, threads=1: 2)
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.register_plugin(Deadly(5))
        with pytest.raises(BlocksFailedError, match=r"1 of 16 .*block 5: every worker .* died"):
            make_job(short_archive).run(client)
    status = make_job(short_archive).status()
    assert status.done == CHANNELS - 1
    assert [failure.block for failure in status.failures] == [5]
    assert make_job(short_archive).run().computed == 1
    check(short_archive)


def test_window_of_tasks_is_bounded(monkeypatch):
    from scatdask.archive import pools

    drawn, finished = [], []

    def work(_, task):
        time.sleep(0.001)
        finished.append(task)
        return Outcome([], [])

    def tasks():
        for i in range(200):
            drawn.append(i)
            assert len(drawn) - len(finished) <= 3 * 2 + 1
            yield Task(i, i)

    monkeypatch.setattr(pools, "run_task", work)
    assert len(list(ThreadPool(3)(None, tasks()))) == 200


def test_threads_of_the_process_are_as_before_when_a_run_is_over(archive, two_threads):
    Job(archive, archive.parent / "out.zarr", Scattering1D(J=4), dim="time").run()
    assert two_threads() == {2}
    with (
        distributed.LocalCluster(
            n_workers=1, processes=False, dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        Job(archive, archive.parent / "other.zarr", Scattering1D(J=4), dim="time").run(client)
    assert two_threads() == {2}


def test_client_and_number_of_workers_exclude_each_other(cluster):
    with pytest.raises(ValueError, match="only one of these"):
        check_place(cluster, 2, None, "auto")


def test_workers_that_are_still_in_the_queue_are_waited_for(archive, monkeypatch):
    monkeypatch.setattr("scatdask.archive.crew._POLL_SECONDS", 0.1)
    monkeypatch.setattr("scatdask.archive.crew._GRACE_SECONDS", 0.0)
    with (
        distributed.LocalCluster(
            n_workers=0, threads_per_worker=1, dashboard_address="127.0.0.1:0", host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster) as client,
        pytest.warns(NoWorkersWarning, match=r"waits for them\. .* of this machine .* memory="),
    ):
        starter = threading.Timer(1.0, cluster.scale, [1])
        starter.start()
        job = Job(archive, archive.parent / "out.zarr", Scattering1D(J=4), dim="time")
        assert job.run(client).computed == job.plan().blocks
        starter.join()


@pytest.mark.parametrize(("blocks_that_fit", "threads"), [(0.5, 1), (3.5, 3), (100, 8)])
def test_threads_are_as_many_as_memory_holds_blocks(monkeypatch, blocks_that_fit, threads):
    block_memory = 10**9
    memory = PROCESS_BYTES + int(blocks_that_fit * block_memory)
    monkeypatch.setattr("distributed.system.MEMORY_LIMIT", memory)
    monkeypatch.setattr("scatdask.archive.places.CPU_COUNT", 8)
    with choose_pool(None, None, None, block_memory) as pool:
        assert pool.threads == threads
