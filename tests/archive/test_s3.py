"""Jobs from and to object storage, on a server of this machine that speaks the S3 protocol."""

from __future__ import annotations

import functools
import gc
import json
import uuid
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import fsspec
import numpy as np
import pytest
import xarray as xr
import zarr

from scatdask import Job, Scattering1D
from scatdask.archive import source, store, stores
from scatdask.archive.libraries import FSSPEC_BYTES, ICECHUNK_BYTES
from scatdask.archive.memory import PROCESS_BYTES
from scatdask.errors import MissingChunksError, OutputBusyError, OutputExistsError, StorageError
from tests.archive.object_server import Proxy, object_server

pytestmark = pytest.mark.s3

S = Scattering1D(J=6, Q=2)
SAMPLES = np.random.default_rng(0).standard_normal((2, 20_011)).astype("f4")
SECRET = {"access_key_id": "testing", "secret_access_key": "testing"}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Run an S3 server, of which the environment tells nothing."""
    s3fs = pytest.importorskip("s3fs")
    pytest.importorskip("moto")
    with object_server() as url, pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.delenv(name, raising=False)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        s3fs.S3FileSystem.clear_instance_cache()
        yield url
        s3fs.S3FileSystem.clear_instance_cache()
        for cached in (stores._readable, stores._writable, source._opened_before, store._opened):
            cached.cache_clear()
        with warnings.catch_warnings():  # s3fs leaves sessions to be closed by their end
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


@dataclass(frozen=True)
class Bucket:
    """A bucket with an archive ``in.zarr`` in it, and how to get at it."""

    name: str
    endpoint: str
    client: str = "s3fs"

    @property
    def options(self) -> dict[str, Any]:
        """Return what s3fs has to be told."""
        return {
            "endpoint_url": self.endpoint,
            "key": "testing",
            "secret": "testing",
            "config_kwargs": {"read_timeout": 1, "retries": {"max_attempts": 1}},
        }

    def job(self) -> Job:
        """Return the job from ``in.zarr`` to ``out.zarr``."""
        if self.client == "s3fs":
            return Job(
                f"s3://{self.name}/in.zarr",
                f"s3://{self.name}/out.zarr",
                S,
                dim="time",
                source_options=self.options,
                target_options=self.options,
            )
        given = zarr.storage.ObjectStore(self.store("in.zarr"))
        return Job(given, self.store("out.zarr"), S, dim="time")

    def store(self, name: str) -> Any:
        """Return obstore's store of an archive."""
        from obstore.store import S3Store

        return S3Store(
            self.name,
            prefix=name,
            endpoint=self.endpoint,
            region="us-east-1",
            virtual_hosted_style_request=False,
            client_options={"allow_http": True, "timeout": "1s"},
            retry_config={"max_retries": 0},
            **SECRET,
        )

    def files(self) -> fsspec.AbstractFileSystem:
        """Return a file system that shares no cache with those of jobs."""
        return fsspec.filesystem("s3", use_listings_cache=False, **self.options)

    def output(self) -> np.ndarray:
        """Return the coefficients."""
        with xr.open_zarr(f"s3://{self.name}/out.zarr", storage_options=self.options) as out:
            return out.v.values


def make_bucket(server: str, client: str = "s3fs", endpoint: str | None = None) -> Bucket:
    """Make a bucket with an archive, and say at which endpoint jobs reach it."""
    direct = Bucket(f"test-{uuid.uuid4().hex}", server)
    direct.files().mkdir(direct.name)
    dataset = xr.Dataset({"v": (("channel", "time"), SAMPLES)})
    dataset.v.encoding["chunks"] = (1, 7_000)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=zarr.errors.ZarrUserWarning)
        dataset.to_zarr(f"s3://{direct.name}/in.zarr", storage_options=direct.options)
    return Bucket(direct.name, endpoint or server, client)


@pytest.fixture
def new_bucket(server: str) -> Callable[..., Bucket]:
    return functools.partial(make_bucket, server)


@pytest.fixture(params=["s3fs", "obstore"])
def client(request: pytest.FixtureRequest) -> str:
    return pytest.importorskip(request.param).__name__


@pytest.fixture
def proxy(server: str) -> Iterator[Proxy]:
    with Proxy(server) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def undisturbed(server: str) -> np.ndarray:
    """What a run without trouble writes."""
    bucket = make_bucket(server)
    bucket.job().run()
    return bucket.output()


@pytest.mark.parametrize("workers", [None, 1], ids=["threads", "cluster"])
def test_job_on_object_storage(new_bucket, client, workers):
    bucket = new_bucket(client)
    job = bucket.job()
    report = job.run(workers=workers)
    assert report.computed == report.blocks
    assert job.status().is_complete
    assert job.verify().is_good
    assert bucket.job().run().found_done == report.blocks
    np.testing.assert_allclose(bucket.output(), S(SAMPLES), rtol=1e-4, atol=1e-6)


def is_of_a_chunk(path: str) -> bool:
    return "/v/c/" in path


@pytest.mark.parametrize("trouble", [503, "drop", "stall", 404])
def test_trouble_at_a_rate_changes_no_number(new_bucket, client, proxy, undisturbed, trouble):
    bucket = new_bucket(client, proxy.url)
    every = 60 if trouble == "stall" else 20

    def some(method, path, number):
        if trouble == 404:  # of what is there: half of the first requests for a chunk
            is_asked = method in ("GET", "HEAD") and is_of_a_chunk(path)
            return 404 if is_asked and number % 2 and proxy.answers[404] < 3 else None
        return None if number % every else trouble

    proxy.trouble = some
    report = bucket.job().run()
    assert report.computed == report.blocks
    assert proxy.answers[trouble] > 0
    proxy.trouble = lambda *request: None
    np.testing.assert_array_equal(bucket.output(), undisturbed)


def test_plan_opens_the_source_once(new_bucket, client, proxy):
    job = new_bucket(client, proxy.url).job()
    asked: list[tuple[str, str]] = []
    proxy.trouble = lambda method, path, number: asked.append((method, path.partition("?")[0]))
    for has_begun in (False, True):
        asked.clear()
        job.plan()
        metadata = [request for request in asked if request[1].endswith("in.zarr/zarr.json")]
        assert metadata.count(("GET", metadata[0][1])) == 1
        assert len(asked) < 16
        if not has_begun:
            job.init()


@pytest.mark.filterwarnings("ignore:Object at v is not recognized")
def test_plan_finds_an_array_that_the_store_did_not_find_at_first(new_bucket, client, proxy):
    bucket = new_bucket(client, proxy.url)
    root = fsspec.FSMap(f"{bucket.name}/in.zarr", bucket.files())
    metadata = json.loads(root["zarr.json"])
    del metadata["consolidated_metadata"]
    root["zarr.json"] = json.dumps(metadata).encode()
    proxy.trouble = lambda method, path, number: (
        404 if path.endswith("in.zarr/v/zarr.json") and proxy.answers[404] < 2 else None
    )
    assert bucket.job().plan().variables == ("v",)
    assert proxy.answers[404] == 2


def test_retries_are_reported(new_bucket, proxy):
    pytest.importorskip("obstore")
    bucket = new_bucket("obstore", proxy.url)
    proxy.trouble = lambda method, path, number: (
        503 if "/v/c/" in path and proxy.answers[503] < 3 else None
    )
    assert bucket.job().run().retries == 3


def test_expired_credentials_end_a_run_at_once_and_the_next_goes_on(
    new_bucket, client, proxy, undisturbed
):
    bucket = new_bucket(client, proxy.url)
    written = []

    def expired(method, path, number):
        if method == "PUT" and "out.zarr/v/c/" in path:
            written.append(path)
        return 403 if len(written) > 1 else None

    proxy.trouble = expired
    with pytest.raises(StorageError, match=r"access is refused to 's3://.*renew the credentials"):
        bucket.job().run()
    assert proxy.answers[403] < 20
    proxy.trouble = lambda *request: None
    bucket.job().run()
    np.testing.assert_array_equal(bucket.output(), undisturbed)


def test_source_that_stays_away_is_named(new_bucket, client, proxy, monkeypatch):
    from scatdask.archive import retries

    monkeypatch.setattr(retries, "_FIRST_WAIT", 0.0)
    bucket = new_bucket(client, proxy.url)
    job = bucket.job()
    job.plan()
    proxy.trouble = lambda method, path, number: 503 if "in.zarr" in path else None
    with pytest.raises((ConnectionError, OSError), match=r"503|Service Unavailable|SlowDown"):
        job.run()


def test_chunk_that_was_lost_since_the_last_look(new_bucket, client):
    bucket = new_bucket(client)
    job = bucket.job()
    job.plan()
    bucket.files().rm(f"{bucket.name}/in.zarr/v/c/0/1")
    with pytest.raises(MissingChunksError, match="1 of 6 chunks"):
        job.plan()


def test_output_that_was_removed_since_the_last_look(new_bucket, client):
    bucket = new_bucket(client)
    blocks = bucket.job().run().blocks
    bucket.files().rm(f"{bucket.name}/out.zarr", recursive=True)
    assert bucket.job().run().computed == blocks


def test_ledger_that_was_removed_since_the_last_look(new_bucket, client):
    bucket = new_bucket(client)
    bucket.job().run()
    bucket.files().rm(f"{bucket.name}/out.zarr.ledger", recursive=True)
    with pytest.raises(OutputExistsError, match="no ledger"):
        bucket.job().run()
    bucket.files().rm(f"{bucket.name}/out.zarr", recursive=True)
    bucket.job().run()


def test_output_is_made_anew_where_that_is_asked_for(new_bucket, client):
    bucket = new_bucket(client)
    blocks = bucket.job().run().blocks
    assert bucket.job().run(overwrite=True).computed == blocks


def test_lock_holds_on_object_storage(new_bucket, client):
    from scatdask.archive.files import Folder
    from scatdask.archive.lock import Lock

    bucket = new_bucket(client)
    ledger = Folder(bucket.job().request.target.beside(".ledger"))
    with Lock(ledger, "one") as lock:
        lock.acquire()
        with pytest.raises(OutputBusyError):
            bucket.job().run()
    bucket.job().run()


def test_output_beside_the_source_and_not_inside_it(new_bucket, client):
    bucket = new_bucket(client)
    inside = bucket.store("in.zarr/out.zarr")
    with pytest.raises(ValueError, match="lies inside the source"):
        Job(f"s3://{bucket.name}/in.zarr", inside, S, dim="time")


def test_store_of_a_whole_bucket_leaves_no_room_beside_it(server):
    whole = pytest.importorskip("obstore.store").S3Store("bucket", region="us-east-1", **SECRET)
    with pytest.raises(TypeError, match="'s3://bucket' is a whole bucket"):
        Job(whole, "out.zarr", S, dim="time")


def test_store_of_obstore_in_memory_is_refused():
    memory = pytest.importorskip("obstore.store").MemoryStore()
    with pytest.raises(TypeError, match="must be one of S3Store"):
        Job(memory, "out.zarr", S, dim="time")


def icechunk_job(bucket: Bucket, endpoint: str) -> tuple[Job, Any]:
    """Return a job to an Icechunk repository in a bucket, and the repository."""
    icechunk = pytest.importorskip("icechunk")
    repository = icechunk.Repository.open_or_create(
        icechunk.s3_storage(
            bucket=bucket.name,
            prefix="out",
            endpoint_url=endpoint,
            region="us-east-1",
            access_key_id="testing",
            secret_access_key="testing",
            allow_http=True,
            force_path_style=True,
        )
    )
    job = Job(
        f"s3://{bucket.name}/in.zarr",
        repository,
        S,
        dim="time",
        memory=PROCESS_BYTES + FSSPEC_BYTES + ICECHUNK_BYTES + 6 * 2**20,
        ledger=f"s3://{bucket.name}/out.ledger",
        source_options=bucket.options,
        target_options=bucket.options,
    )
    return job, repository


def published(repository: Any) -> np.ndarray:
    store = repository.readonly_session("main").store
    with xr.open_zarr(store, consolidated=False) as out:
        return out.v.values


@pytest.mark.parametrize("workers", [None, 1], ids=["threads", "cluster"])
def test_icechunk_repository(server, new_bucket, workers):
    bucket = new_bucket()
    job, repository = icechunk_job(bucket, server)
    report = job.run(workers=workers)
    assert report.computed == report.blocks > 1
    assert job.status().is_complete
    assert job.verify().is_good
    assert repository.list_branches() == {"main"}
    np.testing.assert_allclose(published(repository), S(SAMPLES), rtol=1e-4, atol=1e-5)


def test_icechunk_repository_of_which_the_environment_tells(server, new_bucket, monkeypatch):
    pytest.importorskip("icechunk")
    bucket = new_bucket()
    for name, value in {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    target = f"icechunk+s3://{bucket.name}/out"
    job = Job(f"s3://{bucket.name}/in.zarr", target, S, dim="time", source_options=bucket.options)
    job.run()
    _, repository = icechunk_job(bucket, server)
    np.testing.assert_allclose(published(repository), S(SAMPLES), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("trouble", [503, "drop"])
def test_trouble_on_the_way_to_a_repository_changes_no_number(new_bucket, proxy, trouble):
    bucket = new_bucket()
    job, repository = icechunk_job(bucket, proxy.url)
    proxy.trouble = lambda method, path, number: None if number % 10 else trouble
    job.run()
    assert proxy.answers[trouble] > 0
    proxy.trouble = lambda *request: None
    np.testing.assert_allclose(published(repository), S(SAMPLES), rtol=1e-4, atol=1e-5)


def test_expired_credentials_of_a_repository_end_a_run_and_the_next_goes_on(new_bucket, proxy):
    bucket = new_bucket()
    job, repository = icechunk_job(bucket, proxy.url)
    proxy.trouble = lambda method, path, number: (
        403 if method == "PUT" and "/out/chunks/" in path else None
    )
    with pytest.raises(StorageError, match="access is refused to"):
        job.run()
    assert 0 < proxy.answers[403] < 20
    proxy.trouble = lambda *request: None
    job.run()
    np.testing.assert_allclose(published(repository), S(SAMPLES), rtol=1e-4, atol=1e-5)
