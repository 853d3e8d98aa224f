from __future__ import annotations

import json
import math
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace

import dask.array
import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.storage import LocalStore

from scatdask.archive import retries
from scatdask.archive import source as sources
from scatdask.archive.locations import Location
from scatdask.archive.source_kinds import ZarrSource
from scatdask.archive.stores import PatientStore, is_chunk
from scatdask.blocks import Slab
from scatdask.errors import ChunkError, MissingChunksError
from tests.archive.conftest import make_job


def remove_chunk(path, variable: str, index: tuple[int, ...]) -> str:
    array = zarr.open_group(path, mode="r")[variable]
    key = array.metadata.encode_chunk_key(index)
    (path / variable / key).unlink()
    return key


def test_no_group_says_where_it_looked(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no Zarr group at .*nowhere\.zarr"):
        sources.open_arrays(Location.of(tmp_path / "nowhere.zarr"))


def test_engines_that_others_add_to_xarray_are_not_imported_into_workers(
    write_archive, tmp_path, monkeypatch
):
    path = write_archive(xr.Dataset({"v": ("time", np.zeros(10))}), chunks={"time": 5})
    installed = tmp_path / "engine-1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: engine\nVersion: 1\n")
    (installed / "entry_points.txt").write_text("[xarray.backends]\nslow = slow_engine:Engine\n")
    (tmp_path / "slow_engine.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    xr.backends.refresh_engines()
    try:
        with pytest.warns(RuntimeWarning, match="slow"):
            xr.backends.list_engines()
        xr.backends.refresh_engines()
        assert "v" in ZarrSource(Location.of(path)).open(decode_times=True)  # and no warning
    finally:
        monkeypatch.undo()
        xr.backends.refresh_engines()


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("consolidated", [True, False])
def test_slab_is_read_in_rows_whatever_the_order_of_dims(write_archive, zarr_format, consolidated):
    values = np.arange(60.0).reshape(10, 2, 3)
    dataset = xr.Dataset({"v": (("time", "a", "b"), values)})
    path = write_archive(
        dataset, chunks={"time": 3}, zarr_format=zarr_format, consolidated=consolidated
    )
    batch = {"a": slice(0, 2), "b": slice(1, 3)}
    block = (Slab(0, 4, -3, 5, ((7, 10), (0, 2)), 8),)
    first, second = sources.read_block(ZarrSource(Location.of(path)), "v", ("time",), block, batch)
    expected = values[:, :, 1:].transpose(1, 2, 0).reshape(4, 10)
    np.testing.assert_array_equal(first, expected[:, 7:])
    np.testing.assert_array_equal(second, expected[:, :2])


def test_what_dask_reads_is_read_by_this_thread_and_leaves_the_scheduler_alone():
    seen = []

    def note(samples):
        seen.append((threading.get_ident(), dask.config.get("scheduler", None)))
        return samples

    samples = dask.array.ones((2, 12), chunks=(1, 4)).map_blocks(note, meta=np.ones((0, 0)))
    dataset = xr.Dataset({"v": (("channel", "time"), samples)})
    source = SimpleNamespace(open=lambda *, decode_times: dataset, reading=nullcontext)
    block = (Slab(0, 12, 0, 12, ((0, 12),), 12),)
    (read,) = sources.read_block(source, "v", ("time",), block, {"channel": slice(0, 2)})
    np.testing.assert_array_equal(read, np.ones((2, 12)))
    assert seen == [(threading.get_ident(), None)] * 6


def test_packed_integers_are_decoded_and_their_fill_value_is_missing(write_archive):
    values = np.array([[1.0, 2.5, np.nan, -3.0]])
    dataset = xr.Dataset({"v": (("channel", "time"), values)})
    dataset.v.encoding = {"dtype": "i2", "scale_factor": 0.5, "_FillValue": -999}
    path = write_archive(dataset)
    assert zarr.open_group(path, mode="r")["v"].dtype == np.int16
    block = (Slab(0, 4, 0, 4, ((0, 4),), 4),)
    (read,) = sources.read_block(
        ZarrSource(Location.of(path)), "v", ("time",), block, {"channel": slice(0, 1)}
    )
    np.testing.assert_array_equal(read, values)


def check_chunks(path, variable: str) -> None:
    location = Location.of(path)
    array = sources.stored_array(location, variable)
    sources.check_chunks(location, array, sources.listing(location, array))


def test_complete_archive_passes(archive):
    check_chunks(archive, "velocity")


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_missing_chunk_is_named(write_archive, zarr_format):
    path = write_archive(zarr_format=zarr_format)
    key = remove_chunk(path, "velocity", (1, 2))
    with pytest.raises(MissingChunksError, match=rf"1 of 6 chunks .*velocity.*{key}.*fill"):
        check_chunks(path, "velocity")


def test_missing_shard_is_named(tmp_path):
    path = tmp_path / "sharded.zarr"
    group = zarr.open_group(path, mode="w")
    array = group.create_array("v", shape=(40,), chunks=(5,), shards=(20,), dtype="f4")
    array[:20] = 1.0
    with pytest.raises(MissingChunksError, match=r"1 of 2 chunks .*c/1"):
        check_chunks(path, "v")


def read_all(path, *, is_complete=True):
    location = Location(str(path), is_complete=is_complete)
    block = (Slab(0, 40, 0, 40, ((0, 40),), 40),)
    return sources.read_block(ZarrSource(location), "v", ("time",), block, {}, run="0")


@pytest.fixture
def sharded(tmp_path):
    """An archive of 40 ones in two shards of four chunks."""
    path = tmp_path / "sharded.zarr"
    group = zarr.open_group(path, mode="w")
    array = group.create_array(
        "v", shape=(40,), chunks=(5,), shards=(20,), dtype="f4", dimension_names=["time"]
    )
    array[:] = 1.0
    return path


def test_corrupt_chunk_is_named(write_archive):
    path = write_archive(xr.Dataset({"v": ("time", np.ones(40))}), chunks={"time": 5})
    for index in (2, 6):
        (path / "v" / "c" / str(index)).write_bytes(b"not what a codec wrote")
    with pytest.raises(
        ChunkError, match=r"chunk c/2 of variable 'v' cannot be decoded: .*; chunk c/6 "
    ):
        read_all(path)


@pytest.mark.parametrize("left", [0, 1, 30, 100])
def test_torn_shard_is_named(sharded, left):
    shard = sharded / "v" / "c" / "1"
    shard.write_bytes(shard.read_bytes()[:left])
    with pytest.raises(ChunkError, match="c/1"):
        read_all(sharded)


def test_chunk_that_goes_during_a_run_is_named(sharded, monkeypatch):
    monkeypatch.setattr(retries, "_FIRST_WAIT", 0.0)
    np.testing.assert_array_equal(read_all(sharded), np.ones((1, 1, 40)))
    key = remove_chunk(sharded, "v", (1,))
    with pytest.raises(MissingChunksError, match=f"chunk 'v/{key}' is not in"):
        read_all(sharded)
    (read,) = read_all(sharded, is_complete=False)
    assert read.sum() == 20


def test_error_that_is_no_chunks_fault_is_left_alone(sharded):
    block = (Slab(0, 40, 0, 40, ((0, 40),), 40),)
    with pytest.raises(ValueError, match="channel"):
        sources.read_block(
            ZarrSource(Location.of(sharded)), "v", ("time",), block, {"channel": slice(0, 1)}
        )


def test_fingerprint_knows_the_source_by_its_metadata(write_archive):
    one = write_archive(name="one.zarr")
    same = write_archive(name="same.zarr")
    other = write_archive(name="other.zarr", chunks={"channel": 1, "time": 500})
    marks = [
        ZarrSource(Location.of(p)).fingerprint(("velocity",), ("time",)) for p in (one, same, other)
    ]
    assert marks[0] == marks[1] != marks[2]


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """Return a list of the keys that stores are asked for."""
    keys: list[str] = []
    read = PatientStore._read

    async def counting(self, key, *arguments):
        keys.append(key)
        return await read(self, key, *arguments)

    monkeypatch.setattr(PatientStore, "_read", counting)
    return keys


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("consolidated", [True, False])
def test_plan_asks_for_metadata_once(write_archive, asked, zarr_format, consolidated):
    job = make_job(write_archive(zarr_format=zarr_format, consolidated=consolidated))
    for has_begun in (False, True):
        asked.clear()
        job.plan()
        metadata = [key for key in asked if not is_chunk(key)]
        assert len(metadata) > 0
        assert max(Counter(metadata).values()) == 1
        if not has_begun:
            job.init()


@pytest.fixture
def forget(monkeypatch) -> Callable[..., list[str]]:
    """Return a function that has stores not find a key, and returns those that were not found."""
    monkeypatch.setattr(retries, "_FIRST_WAIT", 0.0)
    read = PatientStore._read

    def forget(key: str, times: float = 1) -> list[str]:
        failed: list[str] = []

        async def forgetful(self, asked, *arguments):
            if asked == key and len(failed) < times:
                failed.append(key)
                return None
            return await read(self, asked, *arguments)

        monkeypatch.setattr(PatientStore, "_read", forgetful)
        return failed

    return forget


@pytest.mark.filterwarnings("ignore:Object at velocity is not recognized")
@pytest.mark.parametrize("key", ["velocity/.zattrs", "velocity/.zarray", ".zgroup"])
def test_metadata_that_a_store_does_not_find_once(write_archive, forget, key):
    path = write_archive(zarr_format=2, consolidated=False)
    failed = forget(key)
    source, block = ZarrSource(Location.of(path)), (Slab(0, 4, 0, 4, ((0, 4),), 4),)
    batch = {"channel": slice(0, 1)}
    (samples,) = sources.read_block(source, "velocity", ("time",), block, batch, str(path))
    assert failed
    with xr.open_zarr(path, consolidated=False) as archive:
        np.testing.assert_array_equal(samples, archive.velocity[:1, :4])


@pytest.mark.filterwarnings("ignore:Object at (w|notes) is not recognized")
@pytest.mark.parametrize("variable", [None, "w"])
@pytest.mark.parametrize(("zarr_format", "key"), [(2, "w/.zarray"), (3, "w/zarr.json")])
def test_plan_does_without_no_array_whose_metadata_is_listed(
    write_archive, forget, variable, zarr_format, key
):
    noise = np.random.default_rng(0).standard_normal((2, 9_000))
    both = xr.Dataset(dict.fromkeys("vw", (("channel", "time"), noise)))
    path = write_archive(both, zarr_format=zarr_format, consolidated=False)
    (path / "notes").mkdir()  # is no array
    job = make_job(path, variable=variable)
    expected = ("w",) if variable else ("v", "w")
    assert forget(key, times=2) == []
    assert set(job.plan().variables) == set(expected)
    failed = forget(key, times=math.inf)
    with pytest.raises(FileNotFoundError, match=r"lists the metadata of 'w', and says"):
        job.plan()
    assert 2 < len(failed) < 9


@pytest.mark.filterwarnings("ignore:Object at v is not recognized")
@pytest.mark.parametrize(
    ("trouble", "error", "times"),
    [(None, FileNotFoundError, 4), (ConnectionResetError, ConnectionError, 8)],
)
def test_task_does_not_multiply_tries(write_archive, monkeypatch, trouble, error, times):
    monkeypatch.setattr(retries, "_FIRST_WAIT", 0.0)
    asked = []
    get = LocalStore.get

    async def answering(self, key, *arguments):
        if key != "v/zarr.json":
            return await get(self, key, *arguments)
        asked.append(key)
        if trouble is not None:
            raise trouble
        return None

    path = write_archive(xr.Dataset({"v": ("time", np.ones(40))}), consolidated=False)
    monkeypatch.setattr(LocalStore, "get", answering)
    with pytest.raises(error, match="v"):
        read_all(path)
    assert len(asked) == times


def test_order_in_which_arrays_are_listed_is_no_matter(write_archive):
    noise = np.random.default_rng(0).standard_normal((2, 9_000))
    path = write_archive(xr.Dataset(dict.fromkeys("vw", (("channel", "time"), noise))))
    blocks = make_job(path).run().computed
    metadata = json.loads((path / "zarr.json").read_text())
    listed = metadata["consolidated_metadata"]["metadata"]
    metadata["consolidated_metadata"]["metadata"] = dict(reversed(listed.items()))
    (path / "zarr.json").write_text(json.dumps(metadata))
    assert list(ZarrSource(Location.of(path)).open(decode_times=True)) == ["w", "v"]
    assert make_job(path).run().found_done == blocks


def test_array_without_names_of_dimensions(tmp_path):
    zarr.create_group(tmp_path / "in.zarr", zarr_format=2).create_array("v", data=np.zeros(100))
    with pytest.raises(KeyError, match="_ARRAY_DIMENSIONS"):
        ZarrSource(Location.of(tmp_path / "in.zarr")).open(decode_times=True)
