from __future__ import annotations

import errno
import pickle
import uuid
from pathlib import Path

import fsspec
import numpy as np
import pytest
import zarr
from zarr.storage import FsspecStore, LocalStore, MemoryStore, WrapperStore, ZipStore

from scatdask.archive import retries, stores
from scatdask.archive.locations import Location
from scatdask.archive.retries import retries_so_far, tally
from scatdask.archive.stores import (
    CompleteStore,
    OverwritingStore,
    PatientStore,
    readable_store,
    sweep_partial,
    writable_store,
)
from scatdask.errors import ChunkError, MissingChunksError, StorageError


class TroubledStore(WrapperStore):
    """A store that raises, or says that there is nothing, in answer to requests for chunks."""

    def __init__(self, store, troubles=()):
        super().__init__(store)
        self.troubles = list(troubles)
        self.asked = []

    def _with_store(self, store):
        return self

    def _trouble(self, what, key):
        if not stores.is_chunk(key):
            return False
        self.asked.append((what, key))
        trouble = self.troubles.pop(0) if self.troubles else False
        if isinstance(trouble, Exception):
            raise trouble
        return trouble is None

    async def get(self, key, prototype, byte_range=None):
        is_absent = self._trouble("get", key)
        return None if is_absent else await super().get(key, prototype, byte_range)

    async def set(self, key, value):
        self._trouble("set", key)
        await super().set(key, value)


VALUES = np.arange(1.0, 13.0)


@pytest.fixture(autouse=True)
def no_waits(monkeypatch):
    monkeypatch.setattr(retries, "_FIRST_WAIT", 0.0)


@pytest.fixture
def troubled():
    """A store with an array ``v`` of three chunks that gives trouble when told to."""
    group = zarr.open_group(store := TroubledStore(MemoryStore()), mode="w")
    group.create_array("v", shape=(12,), chunks=(4,), dtype="f8", fill_value=0.0)[:] = VALUES
    store.asked.clear()
    return store


def array_of(store):
    return zarr.open_group(store, mode="r+")["v"]


@pytest.mark.parametrize("kind", [PatientStore, CompleteStore])
def test_reading_outlasts_trouble_and_counts_it(troubled, kind):
    array = array_of(kind(troubled, "place"))
    troubled.troubles = [TimeoutError(), False, ConnectionResetError(), OSError(errno.EBUSY, "")]
    before = retries_so_far()
    np.testing.assert_array_equal(array[:], VALUES)
    assert retries_so_far() - before == 3
    assert len(troubled.asked) == 6


def test_writing_outlasts_trouble_and_counts_bytes_as_stored(troubled):
    array = array_of(OverwritingStore(troubled, "place"))
    troubled.troubles = [TimeoutError(), FileNotFoundError("no such bucket, just now")]
    before = tally().stored
    array[:] = -VALUES
    stored = sum(len(value) for key, value in troubled._store._store_dict.items() if "v/c" in key)
    assert tally().stored - before == stored
    np.testing.assert_array_equal(array_of(troubled)[:], -VALUES)


def test_making_arrays_outlasts_trouble_with_every_request(monkeypatch):
    asked = set()
    names = ("get", "set", "set_if_not_exists", "exists", "is_empty", "delete", "delete_dir")
    for name in names:
        real = getattr(MemoryStore, name)

        async def at_the_second_try(self, key, *rest, name=name, real=real, **options):
            if (name, key) not in asked:
                asked.add((name, key))
                raise TimeoutError
            return await real(self, key, *rest, **options)

        monkeypatch.setattr(MemoryStore, name, at_the_second_try)
    store = PatientStore(MemoryStore(), "place")
    for _ in range(2):
        group = zarr.open_group(store, mode="w")
        group.create_array("a/v", data=VALUES, overwrite=True)
    np.testing.assert_array_equal(zarr.open_group(store, mode="r")["a/v"][:], VALUES)
    assert {name for name, _ in asked} >= {"get", "set", "set_if_not_exists", "delete_dir"}


def test_trouble_without_end_names_the_key_and_the_place(troubled):
    array = array_of(PatientStore(troubled, "s3://bucket/in.zarr"))
    troubled.troubles = [TimeoutError("no answer")] * 8
    with pytest.raises(ConnectionError, match=r"'v/c/0' in 's3://bucket/in.zarr' failed 8 times"):
        array[:4]


def test_refusal_is_told_at_once(troubled):
    array = array_of(PatientStore(troubled, "s3://bucket/in.zarr"))
    troubled.troubles = [PermissionError("the token has expired")]
    with pytest.raises(StorageError, match=r"s3://bucket/in.zarr.*token has expired"):
        array[:4]
    assert len(troubled.asked) == 1


def test_absent_chunk_is_asked_for_again_and_never_made_up(troubled):
    array = array_of(CompleteStore(troubled, "place"))
    troubled.troubles = [None, None]
    np.testing.assert_array_equal(array[:4], VALUES[:4])
    troubled.troubles = [None] * 4
    with pytest.raises(MissingChunksError, match="'v/c/1' is not in 'place' any more"):
        array[4:8]


def test_absent_chunk_may_be_fill_values_where_that_is_meant(troubled):
    array = array_of(PatientStore(troubled, "place"))
    troubled.troubles = [None]
    assert not array[:4].any()


def test_absent_metadata_is_just_absent():
    with pytest.raises(FileNotFoundError):
        zarr.open_group(CompleteStore(MemoryStore(read_only=True), "place"), mode="r")


@pytest.mark.parametrize("kind", [PatientStore, CompleteStore])
@pytest.mark.parametrize("shards", [None, (8,)], ids=["chunks", "shards"])
@pytest.mark.parametrize("region", [slice(0, 8), slice(0, 2)], ids=["whole", "part"])
def test_empty_chunk_is_no_chunk(tmp_path, kind, shards, region):
    group = zarr.open_group(tmp_path, mode="w")
    group.create_array("v", shape=(8,), chunks=(4,), shards=shards, dtype="f8")[:] = 1.0
    (tmp_path / "v" / "c" / "0").write_bytes(b"")
    with pytest.raises(ChunkError, match="'v/c/0' in 'place' is empty"):
        array_of(kind(LocalStore(tmp_path), "place"))[region]


def test_torn_shard_is_overwritten_without_being_read(tmp_path):
    group = zarr.open_group(tmp_path, mode="w")
    group.create_array("v", shape=(8,), chunks=(2,), shards=(8,), dtype="f8")[:] = 1.0
    shard = tmp_path / "v" / "c" / "0"
    shard.write_bytes(shard.read_bytes()[:-5])
    with pytest.raises(ValueError, match="checksum"):
        zarr.open_group(tmp_path, mode="r+")["v"][:] = 2.0
    inner = TroubledStore(LocalStore(tmp_path))
    array_of(OverwritingStore(inner, "place"))[:] = 2.0
    assert inner.asked == [("set", "v/c/0")]
    assert (zarr.open_group(tmp_path, mode="r")["v"][:] == 2.0).all()


def test_every_request_goes_through(tmp_path):
    store = writable_store(Location.of(tmp_path / "a.zarr"))
    group = zarr.open_group(store, mode="w")
    group.create_array("v", shape=(4,), chunks=(2,), dtype="f8")[:] = 1.0
    group.create_group("g")
    assert sorted(group) == ["g", "v"]
    assert group["v"].nchunks_initialized == 2
    del group["v"]
    assert sorted(zarr.open_group(store, mode="r")) == ["g"]
    assert not list(zarr.open_group(store, mode="w"))


def test_one_store_a_process_and_location(tmp_path):
    location = Location.of(tmp_path)
    again = pickle.loads(pickle.dumps(location))
    assert readable_store(location) is readable_store(again)
    assert writable_store(location) is writable_store(again)
    assert readable_store(location).read_only
    assert not writable_store(location).read_only
    url = "memory://archive.zarr"
    assert readable_store(Location.of(url)) is readable_store(Location.of(url, {}))
    assert readable_store(Location.of(url)) is not readable_store(Location.of(url, {"a": 1}))


def test_store_reaches_workers_whole(tmp_path):
    group = zarr.open_group(writable_store(Location.of(tmp_path)), mode="w")
    array = group.create_array("v", shape=(4,), chunks=(2,), dtype="f8")
    array[:] = 1.0
    again = pickle.loads(pickle.dumps(array))
    assert isinstance(again.store, OverwritingStore)
    again[:] = 2.0
    assert (zarr.open_group(tmp_path, mode="r")["v"][:] == 2.0).all()


def test_given_stores_are_known_by_their_place(tmp_path):
    assert Location.of(LocalStore(tmp_path)) == Location.of(tmp_path)
    remote = FsspecStore.from_url("memory://a/in.zarr")
    assert Location.of(remote) == Location.of("memory:///a/in.zarr")
    github = fsspec.filesystem("file", auto_mkdir=True)
    wrapped = FsspecStore.from_mapper(fsspec.FSMap(str(tmp_path), github))
    assert Location.of(wrapped) == Location.of(f"file://{tmp_path}", {"auto_mkdir": True})


@pytest.mark.parametrize("kind", ["memory", "zip", "wrapper", "number"])
def test_store_that_no_worker_could_open_is_refused(tmp_path, kind):
    store = {
        "memory": MemoryStore(),
        "zip": ZipStore(tmp_path / "a.zip", mode="w"),
        "wrapper": WrapperStore(MemoryStore()),
        "number": 5,
    }[kind]
    with pytest.raises(TypeError, match="cannot be opened by other processes"):
        Location.of(store)


def test_option_that_cannot_be_sent_is_refused_by_name():
    with pytest.raises(TypeError, match=r"option 'session' of .* cannot be sent"):
        Location.of("s3://b/in.zarr", {"key": "k", "session": lambda: None})


def test_options_are_for_urls(tmp_path):
    with pytest.raises(TypeError, match="options are for URLs"):
        Location.of(tmp_path, {"anon": True})
    with pytest.raises(TypeError, match="has its own"):
        Location.of(LocalStore(tmp_path), {"anon": True})


def test_options_are_not_shown():
    location = Location.of("s3://b/in.zarr", {"secret": "do not tell"})
    assert "do not tell" not in f"{location} {location!r}"


def test_what_killed_writers_left_is_swept(tmp_path):
    location = Location.of(tmp_path / "out.zarr")
    chunks = tmp_path / "out.zarr" / "v" / "c"
    chunks.mkdir(parents=True)
    for name in ("0", f"0.{uuid.uuid4().hex}.partial", "notes.partial"):
        (chunks / name).write_bytes(b"half")
    assert sweep_partial(location) == 1
    assert sorted(path.name for path in chunks.iterdir()) == ["0", "notes.partial"]
    assert sweep_partial(Location.of("memory://out.zarr")) == 0


def test_what_zarr_leaves_half_written_has_the_name_that_is_swept(tmp_path, monkeypatch):
    def killed(path, target):
        raise OSError(path.name)

    group = zarr.open_group(tmp_path, mode="w")
    array = group.create_array("v", shape=(4,), chunks=(2,), dtype="f8")
    monkeypatch.setattr(Path, "replace", killed)
    monkeypatch.setattr(Path, "unlink", lambda path, missing_ok=False: None)
    with pytest.raises(OSError, match="partial"):
        array[:2] = 1.0
    monkeypatch.undo()
    assert sweep_partial(Location.of(tmp_path)) == 1
