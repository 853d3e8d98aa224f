"""Jobs from and to object storage, on a server of this machine that speaks the S3 protocol."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator

import fsspec
import numpy as np
import pytest
import xarray as xr
import zarr

from scatdask import Job, Scattering1D
from scatdask.errors import MissingChunksError, OutputExistsError

pytestmark = pytest.mark.s3

S = Scattering1D(J=6, Q=2)
SAMPLES = np.random.default_rng(0).standard_normal((2, 20_011)).astype("f4")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(url: str, server: subprocess.Popen) -> None:
    for _ in range(300):
        assert server.poll() is None, "the S3 server has ended"
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(url)


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    """Run an S3 server to which the environment points every client."""
    s3fs = pytest.importorskip("s3fs")
    pytest.importorskip("moto")
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", url)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", url.rpartition(":")[2]],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ.copy(),
        )
        try:
            wait_for(f"{url}/moto-api/", process)
            s3fs.S3FileSystem.clear_instance_cache()
            yield
        finally:
            s3fs.S3FileSystem.clear_instance_cache()
            process.terminate()
            process.wait(10)


@pytest.fixture
def bucket(server: None) -> str:
    """Return a new bucket with an archive ``in.zarr`` in it."""
    bucket = f"s3://test-{uuid.uuid4().hex}"
    fsspec.filesystem("s3").mkdir(bucket)
    dataset = xr.Dataset({"v": (("channel", "time"), SAMPLES)})
    dataset.v.encoding["chunks"] = (1, 7_000)
    with pytest.warns(zarr.errors.ZarrUserWarning, match="Consolidated"):
        dataset.to_zarr(f"{bucket}/in.zarr")
    return bucket


@pytest.fixture
def remove_elsewhere() -> Callable[[str], None]:
    """Return a function that removes as another process would: caches here do not hear of it."""

    def remove(location: str) -> None:
        fsspec.filesystem("s3", skip_instance_cache=True).rm(location, recursive=True)

    return remove


def make_job(bucket: str) -> Job:
    return Job(f"{bucket}/in.zarr", f"{bucket}/out.zarr", S, dim="time")


@pytest.mark.parametrize("workers", [None, 1], ids=["threads", "cluster"])
def test_job_on_object_storage(bucket, workers):
    job = make_job(bucket)
    report = job.run(workers=workers)
    assert report.computed == report.blocks
    assert job.status().is_complete
    assert job.verify().is_good
    assert job.run().found_done == report.blocks
    with xr.open_zarr(f"{bucket}/out.zarr") as out:
        np.testing.assert_allclose(out.v, S(SAMPLES), rtol=1e-4, atol=1e-6)


def test_chunk_that_was_lost_since_the_last_look(bucket, remove_elsewhere):
    make_job(bucket).plan()
    fsspec.filesystem("s3").ls(f"{bucket}/in.zarr/v/c/0")
    remove_elsewhere(f"{bucket}/in.zarr/v/c/0/1")
    with pytest.raises(MissingChunksError, match="1 of 6 chunks"):
        make_job(bucket).plan()


def test_output_that_was_removed_since_the_last_look(bucket, remove_elsewhere):
    blocks = make_job(bucket).run().blocks
    for folder in ("", "/out.zarr", "/out.zarr.ledger"):
        fsspec.filesystem("s3").ls(bucket + folder)
    remove_elsewhere(f"{bucket}/out.zarr")
    assert make_job(bucket).run().computed == blocks


def test_ledger_that_was_removed_since_the_last_look(bucket, remove_elsewhere):
    make_job(bucket).run()
    for folder in ("", "/out.zarr.ledger"):
        fsspec.filesystem("s3").ls(bucket + folder)
    remove_elsewhere(f"{bucket}/out.zarr.ledger")
    with pytest.raises(OutputExistsError, match="no ledger"):
        make_job(bucket).run()
    remove_elsewhere(f"{bucket}/out.zarr")
    make_job(bucket).run()
