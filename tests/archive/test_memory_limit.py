"""An archive many times larger than a worker that would be killed for taking too much."""

from __future__ import annotations

import os
from pathlib import Path

import distributed
import numpy as np
import pytest
import zarr

from scatdask import Job, Scattering1D
from scatdask.archive.memory import PROCESS_BYTES
from scatdask.archive.worker_memory import find_room

# A low-pass alone: what is cheapest. Others are held to their plans by tests/benchmarks.
S = Scattering1D(J=3, max_order=1).select(lambda path: path.order == 0)
# Of a worker of one thread, and what each further thread adds.
LIMIT, MORE = 300 * 2**20, 60 * 2**20
CHUNK = 2**16


def write_archive(path: Path, n_chunks: int) -> None:
    """Write an archive whose chunks are all the same file."""
    array = zarr.create_group(path).create_array(
        "v", shape=(n_chunks * CHUNK,), chunks=(CHUNK,), dtype="f8", dimension_names=("time",)
    )
    array[:CHUNK] = np.arange(CHUNK) % 1000
    for i in range(1, n_chunks):
        os.link(path / "v" / "c" / "0", path / "v" / "c" / str(i))


def peak_bytes() -> int:
    """Return the peak resident memory of this process."""
    status = Path("/proc/self/status").read_text().splitlines()
    (line,) = (entry for entry in status if entry.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux only")
@pytest.mark.parametrize(
    ("times", "whole", "threads"),
    [
        (10, False, 1),
        pytest.param(50, False, 1, marks=pytest.mark.slow),
        pytest.param(50, False, 4, marks=pytest.mark.slow),
        pytest.param(50, True, 1, marks=[pytest.mark.slow, pytest.mark.timeout(3600)]),
    ],
)
def test_archive_many_times_larger_than_the_limit_of_a_worker(tmp_path, times, whole, threads):
    # A worker that comes to 95 % of its limit is killed. So many times larger than what it has
    # beside the process itself, or than all of it. Its cluster is as a user starts one, with all
    # that dask does by default.
    limit = LIMIT + (threads - 1) * MORE
    with (
        distributed.LocalCluster(
            n_workers=1,
            threads_per_worker=threads,
            memory_limit=limit,
            dashboard_address="127.0.0.1:0",
            host="127.0.0.1",
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        pids = client.run(os.getpid)
        larger_than = limit if whole else threads * (find_room(client).memory - PROCESS_BYTES)
        n_chunks = times * larger_than // (8 * CHUNK) + 1
        write_archive(tmp_path / "in.zarr", n_chunks)
        job = Job(tmp_path / "in.zarr", tmp_path / "out.zarr", S, dim="time")
        plan = job.plan(client)
        assert plan.bytes_read > times * larger_than
        assert job.run(client).computed == plan.blocks
        (peak,) = client.run(peak_bytes).values()
        planned = plan.peak_memory + (threads - 1) * plan.block_memory
        assert 0.6 * planned < peak < 1.1 * planned
        (worker,) = client.scheduler_info(n_workers=-1)["workers"].values()
        assert set(worker["metrics"]["spilled_bytes"].values()) == {0}
        assert client.run(os.getpid) == pids
    written = zarr.open_group(tmp_path / "out.zarr", mode="r")["v"]
    assert written.shape == (1, n_chunks * CHUNK // 8)
    np.testing.assert_allclose(
        written[0, 2000:3000], S((np.arange(CHUNK) % 1000).astype("f8"))[0, 2000:3000], rtol=1e-5
    )
