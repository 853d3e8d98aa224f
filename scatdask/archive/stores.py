"""The Zarr stores of locations: one a process, patient, and strict where zarr is lenient.

Zarr takes a chunk that is not there for one of fill values, and an empty one too where it is a
shard that is read whole. What reads a source, or writes an output, should know better.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, Self, TypeVar

from zarr.abc.buffer import Buffer, BufferPrototype
from zarr.abc.store import ByteRequest, Store
from zarr.buffer import default_buffer_prototype
from zarr.storage import FsspecStore, LocalStore, ObjectStore, WrapperStore

from scatdask.archive.faults import Fault, fault_of, storage_error
from scatdask.archive.locations import Location
from scatdask.archive.retries import MOST_TRIES, tally, try_again_async
from scatdask.errors import ChunkError, MissingChunksError

T = TypeVar("T")

_METADATA = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")
# What a writer leaves that is killed while it writes a file: zarr renames it at the end.
_PARTIAL = re.compile(r"\.[0-9a-f]{32}\.partial$")
_lock = threading.Lock()


class PatientStore(WrapperStore[Store]):
    """A store whose requests are tried again, and whose chunks are not empty.

    Parameters
    ----------
    store : zarr.abc.store.Store
    place : str
        What errors call it.

    Raises
    ------
    ChunkError
        When a chunk is read that is empty: no writer means that.
    ConnectionError
        When a request failed again and again.
    StorageError
        When the store refuses, be it for lack of space or of permission.
    """

    def __init__(self, store: Store, place: str) -> None:
        super().__init__(store)
        self.place = place

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.place!r})"

    __str__ = __repr__

    def _with_store(self, store: Store) -> Self:
        return type(self)(store, self.place)

    async def _ask(
        self, call: Callable[[], Awaitable[T]], key: str, *, is_known_to_exist: bool = False
    ) -> T:
        """Make a request, again if need be, and say where it was that it failed."""
        try:
            return await try_again_async(call, is_known_to_exist=is_known_to_exist)
        except Exception as error:
            fault = fault_of(error)
            if fault is Fault.FATAL:
                raise storage_error(error, self.place) from error
            if fault is Fault.TRANSIENT:
                raise ConnectionError(
                    f"{key!r} in {self.place!r} failed {MOST_TRIES} times, at last with "
                    f"{type(error).__name__}: {error}"
                ) from error
            raise

    async def get(
        self,
        key: str,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """Read an object, or a part of it; None if it does not exist."""
        # xarray names no prototype where it looks for the dimensions of NCZarr.
        value = await self._read(key, prototype or default_buffer_prototype(), byte_range)
        if value is not None and not len(value) and is_chunk(key):
            raise ChunkError(f"chunk {key!r} in {self.place!r} is empty")
        return value

    async def _read(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None
    ) -> Buffer | None:
        return await self._ask(lambda: self._store.get(key, prototype, byte_range), key)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Read parts of objects, one after the other."""
        return [await self.get(key, prototype, part) for key, part in key_ranges]

    async def exists(self, key: str) -> bool:
        """Say whether there is an object."""
        return await self._ask(lambda: self._store.exists(key), key)

    async def set(self, key: str, value: Buffer) -> None:
        """Write an object."""
        await self._ask(lambda: self._store.set(key, value), key, is_known_to_exist=True)
        if is_chunk(key):
            tally().stored += len(value)

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Write an object, unless there is one."""
        await self._ask(
            lambda: self._store.set_if_not_exists(key, value), key, is_known_to_exist=True
        )

    async def is_empty(self, prefix: str) -> bool:
        """Say whether no object has a key that begins with a prefix."""
        return await self._ask(lambda: self._store.is_empty(prefix), prefix)

    async def delete(self, key: str) -> None:
        """Remove an object."""
        await self._ask(lambda: self._store.delete(key), key)

    async def delete_dir(self, prefix: str) -> None:
        """Remove all objects whose keys begin with a prefix."""
        await self._ask(lambda: self._store.delete_dir(prefix), prefix)

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Yield the names in a folder."""

        async def names() -> list[str]:
            return [name async for name in self._store.list_dir(prefix)]

        for name in await self._ask(names, prefix):
            yield name


class CompleteStore(PatientStore):
    """A store to read from that lacks no chunk that it is asked for.

    Raises
    ------
    MissingChunksError
        When a chunk is read that does not exist, even when asked for again.
    """

    async def _read(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None
    ) -> Buffer | None:
        if not is_chunk(key):
            return await super()._read(key, prototype, byte_range)

        async def read() -> Buffer:
            value = await self._store.get(key, prototype, byte_range)
            if value is None:
                raise FileNotFoundError(key)
            return value

        try:
            return await self._ask(read, key, is_known_to_exist=True)
        except FileNotFoundError as error:
            raise MissingChunksError(
                f"chunk {key!r} is not in {self.place!r} any more: zarr would read fill values"
            ) from error


class OverwritingStore(PatientStore):
    """A store to write whole chunks to: what was there before is not read.

    Zarr reads a shard before it writes it, even as a whole, and could not if it were torn.
    """

    async def _read(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None
    ) -> Buffer | None:
        return None if is_chunk(key) else await super()._read(key, prototype, byte_range)


def is_chunk(key: str) -> bool:
    """Say whether the object of a key is a chunk, or a shard, and not metadata."""
    return key.rpartition("/")[2] not in _METADATA


def readable_store(location: Location) -> Store:
    """Return the store of a location for reading, one a process or session of a repository."""
    if location.repository is not None:
        return _reader(location, location.repository.store())
    with _lock:
        return _readable(location)


def writable_store(location: Location) -> Store:
    """Return the store of a location for writing whole chunks, one a process or session."""
    if location.repository is not None:
        return OverwritingStore(location.repository.store(), location.name)
    with _lock:
        return _writable(location)


@lru_cache(maxsize=32)
def _readable(location: Location) -> PatientStore:
    return _reader(location, _bare(location, read_only=True))


def _reader(location: Location, store: Store) -> PatientStore:
    kind = CompleteStore if location.is_complete else PatientStore
    return kind(store, location.name)


@lru_cache(maxsize=32)
def _writable(location: Location) -> PatientStore:
    return OverwritingStore(_bare(location, read_only=False), location.name)


def _bare(location: Location, *, read_only: bool) -> Store:
    """Return zarr's own store of a location."""
    if location.store is not None:
        return ObjectStore(location.store, read_only=read_only)
    if location.is_local:
        return LocalStore(location.path, read_only=read_only)
    options: dict[str, Any] = dict(location.options)
    return FsspecStore.from_url(location.url, storage_options=options, read_only=read_only)


def sweep_partial(location: Location) -> int:
    """Remove what killed writers left half written; return how many files.

    Only while nobody writes: one that is under way would be removed too. In object stores there
    is nothing of this kind.
    """
    if not location.is_local:
        return 0
    swept = 0
    for folder, _, names in os.walk(location.path):
        for name in filter(_PARTIAL.search, names):
            Path(folder, name).unlink(missing_ok=True)
            swept += 1
    return swept
