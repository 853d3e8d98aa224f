"""GPUs and CPUs in one run; a GPU is stood in for by another array library."""

from __future__ import annotations

import os
import signal
import threading
import tracemalloc
from dataclasses import replace
from pathlib import Path

import dask
import distributed
import numpy as np
import pytest
import xarray as xr

from scatdask import Job, Scattering1D
from scatdask.archive import gpu, request
from scatdask.archive import work as work_module
from scatdask.archive.gpu import BLOCKS_UNDER_WAY
from scatdask.archive.ledger import Ledger
from scatdask.archive.pools import TASKS_PER_THREAD, ThreadPool
from scatdask.archive.work import Task
from scatdask.archive.worker_memory import Room
from scatdask.arrays import accelerators, from_numpy
from scatdask.errors import (
    BlocksFailedError,
    DeviceFailedWarning,
    DeviceLostWarning,
    DeviceMemoryWarning,
    NoWorkersWarning,
    WorkersLostError,
    WorkerVersionError,
)
from tests.archive.common import PROMISE, begin, worst_difference
from tests.archive.stand_in import NAME, StandIn, find_none, find_stand_in

S = Scattering1D(J=5)
CHANNELS, N = 64, 2_000


@pytest.fixture(autouse=True)
def one_task_a_block(monkeypatch):
    monkeypatch.setattr("scatdask.archive.plan._TASK_SECONDS", 0.0)
    monkeypatch.setattr("scatdask.archive.plan._SCHEDULER_SECONDS", 0.0)
    monkeypatch.setattr("scatdask.archive.client_pool._TASK_SECONDS", 0.0)


@pytest.fixture
def channels(write_archive) -> Path:
    """An archive of one block a channel, of samples in the byte order of other machines."""
    samples = np.random.default_rng(0).standard_normal((CHANNELS, N)).astype(">f4")
    return write_archive(xr.Dataset({"v": (("channel", "time"), samples)}), chunks={"channel": 1})


def make_job(source: Path) -> Job:
    return Job(source, source.parent / "out.zarr", S, dim="time")


def check_output(source: Path) -> None:
    with xr.open_zarr(source) as archive, xr.open_zarr(source.parent / "out.zarr") as out:
        expected = S(archive.v.values.astype("f4"))
        assert worst_difference(out.v.values, expected, 1) < PROMISE["float32"]


def blocks_by_device(job: Job) -> dict[str, int]:
    """Return how many blocks each device has computed, as the ledger tells."""
    ledger = Ledger(job.request.target)
    environments = ledger.environments()
    counts = {"cpu": 0, "gpu": 0}
    for row in ledger.history(ledger.read()["output"], CHANNELS):
        where = environments[row["environment"]]
        assert (where["device_name"] == NAME) == (where["device"] == "gpu")
        assert ("array_api_strict" in where) == (where["device"] == "gpu")
        counts[where["device"]] += row["last"] - row["first"] + 1
    return counts


@pytest.fixture
def gpu_here(monkeypatch):
    monkeypatch.setattr(accelerators, "find_accelerator", find_stand_in)


@pytest.mark.parametrize("scheduler", ["threads", "synchronous"])
@pytest.mark.parametrize("device", ["auto", "gpu"])
def test_gpu_of_this_process_computes(channels, gpu_here, scheduler, device):
    job = make_job(channels)
    job.run(scheduler=scheduler, device=device)
    assert blocks_by_device(job) == {"cpu": 0, "gpu": CHANNELS}
    assert Ledger(job.request.target).runs()[-1]["pool"].endswith("with a GPU")
    check_output(channels)


def test_device_cpu_never_touches_the_gpu(channels, monkeypatch):
    def touched():
        raise AssertionError("the GPU was touched")

    monkeypatch.setattr(accelerators, "find_accelerator", touched)
    job = make_job(channels)
    job.run(device="cpu")
    assert blocks_by_device(job) == {"cpu": CHANNELS, "gpu": 0}


def test_gpu_that_is_not_there_is_an_error_before_work(channels, monkeypatch):
    monkeypatch.setattr(accelerators, "find_accelerator", find_none)
    job = make_job(channels)
    for place in ({}, {"workers": 2}):
        with pytest.raises(ValueError, match='device="gpu", but no device is plugged in'):
            job.run(device="gpu", **place)
    with pytest.raises(ValueError, match='"auto", "cpu" or "gpu", got \'tpu\''):
        job.run(device="tpu")
    assert not (channels.parent / "out.zarr").exists()


def test_one_thread_computes_while_others_read_and_write(channels, gpu_here, monkeypatch):
    work = begin(make_job(channels))
    read, computing, threads = threading.Barrier(2), threading.Barrier(2), set()
    real_read, real_transform = work_module.read_block, gpu.transform_block
    real_write, counts = work_module.store.write, {"read": 0, "computed": 0}

    def reading(*arguments):
        counts["read"] += 1
        if counts["read"] == 2:
            read.wait(60)
        return real_read(*arguments)

    def transforming(*arguments):
        threads.add(threading.get_ident())
        counts["computed"] += 1
        if counts["computed"] == 1:
            read.wait(60)  # for the second block to be read
        if counts["computed"] == 2:
            computing.wait(60)  # for the first one to be written
        return real_transform(*arguments)

    def writing(*arguments):
        if not computing.broken and counts.setdefault("written", 0) == 0:
            counts["written"] = 1
            computing.wait(60)
        return real_write(*arguments)

    monkeypatch.setattr(work_module, "read_block", reading)
    monkeypatch.setattr(gpu, "transform_block", transforming)
    monkeypatch.setattr(work_module.store, "write", writing)
    pool = ThreadPool(BLOCKS_UNDER_WAY, "gpu")
    outcomes = [outcome for _, outcome in pool(work, iter([Task(i, i) for i in range(6)]))]
    assert [outcome.failures for outcome in outcomes] == [[]] * 6
    assert len(threads) == 1


def test_host_takes_no_more_than_planned_while_all_blocks_are_written(
    write_archive, gpu_here, monkeypatch
):
    samples = np.random.default_rng(0).standard_normal((6 * 8, 2**16)).astype("f4")
    source = write_archive(xr.Dataset({"v": (("channel", "time"), samples)}), chunks={"channel": 8})
    job = make_job(source)
    plan = job.plan()
    assert plan.blocks == 6
    real_write, together = work_module.store.write, threading.Barrier(BLOCKS_UNDER_WAY)

    def writing(*arguments):
        together.wait(60)
        return real_write(*arguments)

    def on_device(transform, block, shape, pieces):
        # Only what is moved: the device of a stand-in is the host's memory too.
        arrays = [
            np.zeros((8, *output.shape, *output.core_shape(shape)), "f4")
            for output in transform.outputs
        ]
        return [from_numpy(array, like=find_stand_in().like) for array in arrays]

    monkeypatch.setattr(work_module.store, "write", writing)
    monkeypatch.setattr(gpu, "transform_block", on_device)
    work = begin(job)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        pool = ThreadPool(BLOCKS_UNDER_WAY, "gpu")
        outcomes = [outcome for _, outcome in pool(work, iter([Task(i, i) for i in range(6)]))]
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert [outcome.failures for outcome in outcomes] == [[]] * 6
    parts = plan.gpu_host_parts()
    blocks = sum(parts[name] for name in ("slab", "source chunks", "output", "output chunks"))
    assert blocks / 3 < peak <= blocks + parts["staging"]


@pytest.fixture(scope="module")
def cluster():
    """A cluster of two workers, "gpu" and "cpu", of one thread each."""
    worker = {"cls": distributed.Nanny, "options": {"nthreads": 1, "host": "127.0.0.1"}}
    options = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    scheduler = {"cls": distributed.Scheduler, "options": options}
    with (
        # Else it closes a worker some seconds after it was started anew.
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1 hour"}),
        distributed.SpecCluster({"gpu": worker, "cpu": worker}, scheduler) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def plug_in(cluster, tmp_path, monkeypatch):
    """Return a function that plugs a stand-in into the worker "gpu", and returns its file."""
    monkeypatch.setattr("scatdask.archive.crew._POLL_SECONDS", 0.1)
    monkeypatch.setattr("scatdask.archive.client_pool._RESULT_SECONDS", 1.0)
    cluster.wait_for_workers(2)

    def plug_in(**options: float) -> Path:
        socket = tmp_path / "socket"
        socket.touch()
        cluster.register_plugin(StandIn(socket, **options))
        return socket

    yield plug_in
    cluster.unregister_worker_plugin(StandIn.name)


def address_of(client: distributed.Client, name: str) -> str:
    workers = client.scheduler_info(n_workers=-1)["workers"]
    return next(address for address, worker in workers.items() if worker["name"] == name)


def kill(client: distributed.Client, name: str) -> None:
    address = address_of(client, name)
    os.kill(client.run(os.getpid, workers=[address])[address], signal.SIGKILL)


def killing_gpu(client, monkeypatch, socket: Path, then=lambda: None) -> None:
    """Kill the worker "gpu" once it has computed some blocks, the first ones of them for good."""
    from scatdask.archive import client_pool

    real, killed = client_pool._outcome, []

    def outcome(*arguments):
        if not killed and socket.stat().st_size > BLOCKS_UNDER_WAY + 1:
            killed.append(True)
            then()
            kill(client, "gpu")
        return real(*arguments)

    monkeypatch.setattr(client_pool, "_outcome", outcome)


def test_faster_device_takes_more_blocks(channels, cluster, plug_in):
    """While one does ten blocks, and the other one, they get blocks in this proportion."""
    # So many tasks are under way when the last is given out: they may end in any order.
    last = TASKS_PER_THREAD * (BLOCKS_UNDER_WAY + 1)
    rounds = (CHANNELS - last) // 11
    plug_in(times_faster=10, blocks=11 * rounds)
    job = make_job(channels)
    job.run(cluster)
    cpu = blocks_by_device(job)["cpu"]
    assert rounds <= cpu <= rounds + TASKS_PER_THREAD + 1
    assert f"1 threads of dask workers, 1 GPUs ({NAME}, 1.00 GiB)" in str(
        Ledger(job.request.target).runs()[-1]["pool"]
    )
    check_output(channels)


@pytest.mark.parametrize(("device", "count"), [("gpu", CHANNELS), ("cpu", 0)])
def test_only_the_device_that_is_asked_for_computes(channels, cluster, plug_in, device, count):
    plug_in()
    job = make_job(channels)
    job.run(cluster, device=device)
    assert blocks_by_device(job) == {"gpu": count, "cpu": CHANNELS - count}
    check_output(channels)


def test_plan_for_a_cluster_knows_who_has_a_gpu(channels, cluster, plug_in, monkeypatch):
    plug_in()
    given, real = [], request.find_room
    monkeypatch.setattr(
        request, "find_room", lambda *_, **how: given.append(how) or real(*_, **how)
    )
    make_job(channels).plan(cluster)
    assert given == [{"gpus": {address_of(cluster, "gpu")}, "only_gpus": False}]


def test_host_of_a_gpu_that_is_smaller_than_the_plan_is_refused(channels):
    room = Room(None, None, gpu_limit=500 * 2**20)
    job = make_job(channels)
    with pytest.raises(MemoryError, match=r"with a GPU takes \d+ MiB of its host, .* at 500 MiB"):
        replace(job.request, memory=2**30, room=room).consider(None)


def test_cluster_without_the_gpu_that_is_asked_for_is_an_error_before_work(
    channels, cluster, plug_in
):
    plug_in().unlink()
    cluster.register_plugin(StandIn(Path("no such file")))
    with pytest.raises(ValueError, match="none of the 2 workers has one: no device is plugged in"):
        make_job(channels).run(cluster, device="gpu")
    assert not (channels.parent / "out.zarr").exists()


def test_blocks_of_the_last_gpu_go_to_cpus(channels, cluster, plug_in, monkeypatch):
    socket = plug_in(seconds=0.1)
    monkeypatch.setattr("scatdask.archive.crew._GRACE_SECONDS", 0.0)
    killing_gpu(cluster, monkeypatch, socket, socket.unlink)
    job = make_job(channels)
    with pytest.warns(DeviceLostWarning, match="CPUs compute its blocks"):
        job.run(cluster)
    counts = blocks_by_device(job)
    assert counts["gpu"] >= 1
    assert sum(counts.values()) == CHANNELS
    check_output(channels)


@pytest.mark.parametrize(
    ("failure", "warning", "words"),
    [
        ("CUDARuntimeError", DeviceFailedWarning, "cudaErrorIllegalAddress.*start that worker"),
        ("OutOfMemoryError", DeviceMemoryWarning, "too little free memory for a block"),
    ],
)
def test_blocks_of_a_gpu_that_fails_go_to_its_cpu_and_the_client_says_so_once(
    channels, cluster, plug_in, failure, warning, words
):
    plug_in(failure=failure)
    job = make_job(channels)
    with pytest.warns(warning, match=words) as told:
        job.run(cluster, device="gpu")
    assert len(told) == 1
    assert blocks_by_device(job) == {"gpu": 0, "cpu": CHANNELS}
    check_output(channels)


def test_block_that_fails_of_another_reason_fails(channels, gpu_here, monkeypatch):
    def failing(*arguments):
        raise ValueError("not the GPU's")

    monkeypatch.setattr(gpu, "transform_block", failing)
    with pytest.raises(BlocksFailedError, match="ValueError: not the GPU's"):
        make_job(channels).run(device="gpu")


def test_lost_gpu_ends_a_run_that_asked_for_one(channels, cluster, plug_in, monkeypatch):
    socket = plug_in()
    monkeypatch.setattr("scatdask.archive.crew._GRACE_SECONDS", 1.0)
    with monkeypatch.context() as patch:
        killing_gpu(cluster, patch, socket, socket.unlink)
        with pytest.raises(WorkersLostError, match=r"no worker has had a GPU .*scatdask-gpu"):
            make_job(channels).run(cluster, device="gpu")
    assert 2 <= make_job(channels).status().done < CHANNELS
    make_job(channels).run(cluster)
    check_output(channels)


def test_gpu_worker_that_was_started_anew_goes_on(channels, cluster, plug_in, monkeypatch):
    killing_gpu(cluster, monkeypatch, plug_in())
    job = make_job(channels)
    job.run(cluster, device="gpu")
    assert blocks_by_device(job) == {"gpu": CHANNELS, "cpu": 0}
    check_output(channels)


def _have_other_versions() -> None:
    from scatdask.archive import abilities

    real = abilities.environment
    abilities.environment = lambda: {**real(), "zarr": "3.0.1"}


def _have_no_scatdask() -> None:
    import sys

    for name in list(sys.modules):
        if name.partition(".")[0] == "scatdask":
            sys.modules[name] = None  # an import of it raises then


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_have_other_versions, r"has zarr 3\.0\.1, and this process zarr"),
        (_have_no_scatdask, r"ModuleNotFoundError\(.*scatdask.*install scatdask"),
    ],
)
def test_worker_of_another_version_is_named_before_work(channels, cluster, spoil, message):
    cluster.wait_for_workers(2)
    worker = address_of(cluster, "cpu")
    cluster.run(spoil, workers=[worker])
    try:
        with pytest.raises(WorkerVersionError, match=f"worker {worker} .*{message}"):
            make_job(channels).run(cluster)
        assert not (channels.parent / "out.zarr").exists()
    finally:
        cluster.restart_workers([worker])


def test_cluster_without_workers_is_told_at_once(channels):
    with (
        distributed.LocalCluster(
            n_workers=0, dashboard_address="127.0.0.1:0", host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster) as client,
        pytest.warns(NoWorkersWarning, match="no workers yet: the run waits"),
        pytest.raises(FileNotFoundError),
    ):
        make_job(channels).run(client, blocks=(0, 1))


@pytest.mark.gpu
def test_real_gpu_computes_what_the_cpu_does(channels):
    job = make_job(channels)
    job.run(device="gpu")
    gpu = accelerators.find_accelerator()
    (environment,) = Ledger(job.request.target).environments().values()
    assert (environment["device"], environment["device_name"]) == ("gpu", gpu.name)
    check_output(channels)
