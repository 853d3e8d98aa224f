"""The archive that a job reads: opened once a run, read slab by slab, decoded by xarray."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import posixpath
import threading
from collections.abc import Container, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import xarray as xr
import zarr

from scatdask.archive.faults import Fault, fault_of
from scatdask.archive.locations import Location
from scatdask.archive.retries import patient, try_again
from scatdask.archive.stores import readable_store
from scatdask.blocks import Block
from scatdask.blocks.function import Pieces
from scatdask.errors import ChunkError, MissingChunksError, ScatdaskError

if TYPE_CHECKING:
    from scatdask.archive.source_kinds import Readable


# Held while a source is opened: thousands of files take a while.
_opening = threading.Lock()
# What the folder of an array or group holds.
_NODE = {"zarr.json", ".zarray", ".zgroup"}
# Attributes that say what stored numbers mean.
_DECODING = {
    "scale_factor",
    "add_offset",
    "_FillValue",
    "missing_value",
    "_Unsigned",
    "units",
    "calendar",
    "_ARRAY_DIMENSIONS",
}


def open_arrays(location: Location) -> xr.backends.ZarrStore:
    """Open a Zarr group and all arrays in it.

    Raises
    ------
    FileNotFoundError
        If there is no Zarr group at `location`, or metadata is listed there that cannot be read.
    """
    try:
        group = _group(location)
    except (FileNotFoundError, zarr.errors.GroupNotFoundError) as error:
        raise FileNotFoundError(f"no Zarr group at {location.url!r}") from error

    def open_all() -> xr.backends.ZarrStore:
        has_mask = group.metadata.zarr_format == 2  # xarray's own rule
        arrays = xr.backends.ZarrStore(group, mode="r", use_zarr_fill_value_as_mask=has_mask)
        if group.metadata.consolidated_metadata is None:
            _check_members(location, arrays)
        return arrays

    return try_again(open_all, is_known_to_exist=True)


def _check_members(location: Location, arrays: xr.backends.ZarrStore) -> None:
    """Raise FileNotFoundError if a group holds an array that zarr has left out.

    Zarr does so, with a warning at most, where a store says that it does not have the metadata of
    an array that it lists.
    """
    for entry in _entries(location, location.path):
        folder = entry["name"].rstrip("/")
        name = posixpath.basename(folder)
        if entry["type"] != "directory" or name in arrays.members:
            continue
        if _NODE & {posixpath.basename(entry["name"]) for entry in _entries(location, folder)}:
            raise FileNotFoundError(
                f"{location.url!r} lists the metadata of {name!r}, and says that it does not exist "
                "where it is read: try again, or remove that folder"
            )


def _entries(location: Location, folder: str) -> list[dict[str, Any]]:
    """List a folder as it is, and have nobody else go by that later."""
    filesystem = location.filesystem
    filesystem.invalidate_cache(folder)
    entries: list[dict[str, Any]] = filesystem.ls(folder, detail=True)
    filesystem.invalidate_cache(folder)
    return entries


def as_dataset(arrays: xr.backends.ZarrStore, *, decode_times: bool) -> xr.Dataset:
    """Return arrays as a Dataset, lazily, without dask and without loading coordinates."""
    # To guess an engine, or find it by name, xarray imports all that are installed into workers.
    return xr.open_dataset(
        arrays,
        engine=xr.backends.StoreBackendEntrypoint,
        chunks=None,
        decode_times=decode_times,
        create_default_indexes=False,
    )


def _opened(source: Readable, run: str) -> xr.Dataset:
    """Open a source once a process, however many threads ask for it at the same time."""
    with _opening:
        return _opened_before(source, run)


@lru_cache(maxsize=16)
def _opened_before(source: Readable, run: str) -> xr.Dataset:
    """Open a source; `run` keeps one that was written anew from being taken for the old."""

    def open_it() -> xr.Dataset:
        try:
            return source.open(decode_times=False)
        except KeyError as error:  # an array without attributes: it had them when the run began
            raise FileNotFoundError(f"metadata of the source is missing: {error}") from error

    return try_again(open_it, is_known_to_exist=True)


def read_block(
    source: Readable,
    variable: str,
    dims: tuple[str, ...],
    block: Block,
    batch: dict[str, slice],
    run: str | None = None,
) -> Pieces:
    """Read what a block needs of some signals.

    Parameters
    ----------
    source : Readable
    variable : str
        Name of the variable.
    dims : tuple of str
        Core dimensions.
    block : tuple of Slab
        Ranges along these.
    batch : dict of str to slice
        Ranges along the other dimensions, in the order of the variable.
    run : str, optional
        Identity of the run, which opens the source once; by default it is opened afresh.

    Returns
    -------
    list of array, each of shape (rows, *samples)
        Nested once for each core dimension, as `transform_block` takes them. Packed integers are
        decoded, and their fill value is NaN.

    Raises
    ------
    ChunkError
        If a chunk cannot be decoded.
    MissingChunksError
        If one does not exist, in a location that is complete.
    """
    dataset = source.open(decode_times=False) if run is None else _opened(source, run)
    array = dataset[variable].variable
    rows = math.prod(part.stop - part.start for part in batch.values())

    def read(ranges: dict[str, slice]) -> Pieces:
        axis = len(ranges)
        if axis < len(dims):
            pieces = block[axis].pieces
            return [read({**ranges, dims[axis]: slice(*piece)}) for piece in pieces]
        selection = {**batch, **ranges}
        try:
            # What is not Zarr may be read through dask: by this thread alone.
            computed = array.isel(selection).compute(scheduler="synchronous")
            part = computed.transpose(*batch, *dims).values
        except Exception as error:
            if fault_of(error) is not Fault.BLOCK or isinstance(error, ScatdaskError):
                raise
            ordered = {str(dim): selection[str(dim)] for dim in array.dims}
            if found := source.undecodable(variable, ordered):
                raise ChunkError(found) from error
            raise
        return part.reshape(rows, *part.shape[len(batch) :])

    with source.reading():
        return read({})


def undecodable(array: zarr.Array, region: tuple[slice, ...]) -> str:
    """Say which chunks of a region cannot be read, each by itself; nothing if all can."""
    found = []
    for index in touched_chunks(array, region):
        place = tuple(
            slice(i * size, min((i + 1) * size, n))
            for i, size, n in zip(index, chunk_shape(array), array.shape, strict=True)
        )
        try:
            array[place]
        except Exception as error:
            key = array.metadata.encode_chunk_key(index)
            found.append(
                f"chunk {key} of variable {array.basename!r} cannot be decoded: "
                f"{type(error).__name__}: {error}"
            )
    return "; ".join(found)


def _group(location: Location) -> zarr.Group:
    return zarr.open_group(readable_store(location), mode="r")


def stored_array(location: Location, variable: str) -> zarr.Array:
    """Open the Zarr array of a variable, to ask for its chunks."""
    array = _group(location)[variable]
    assert isinstance(array, zarr.Array)
    return array


def array_of(arrays: xr.backends.ZarrStore, variable: str) -> zarr.Array:
    """Return one of the arrays of a group that was opened, to ask for its chunks."""
    array = arrays.members[variable]
    assert isinstance(array, zarr.Array)
    return array


def chunk_shape(array: zarr.Array) -> tuple[int, ...]:
    """Return the shape of what is one object in the store: a shard, or else a chunk."""
    return tuple(max(size, 1) for size in array.shards or array.chunks)


@patient
def listing(location: Location, array: zarr.Array) -> dict[str, dict[str, Any]]:
    """Return what one listing of the store says of the objects of an array, by their keys."""
    filesystem, root = location.filesystem, location.path.rstrip("/")
    base = "/".join(part for part in (root, array.path) if part)
    filesystem.invalidate_cache(base)
    return {
        key[len(base) + 1 :]: entry for key, entry in filesystem.find(base, detail=True).items()
    }


def touched_chunks(array: zarr.Array, region: tuple[slice, ...]) -> Iterator[tuple[int, ...]]:
    """Yield the indices of the chunks that a region of an array touches."""
    touched = []
    for part, n, size in zip(region, array.shape, chunk_shape(array), strict=True):
        start, stop, _ = part.indices(n)
        touched.append(range(start // size, -(-stop // size)))
    return itertools.product(*touched)


def chunk_keys(array: zarr.Array, region: tuple[slice, ...]) -> Iterator[str]:
    """Yield the keys of the chunks that a region of an array touches."""
    return map(array.metadata.encode_chunk_key, touched_chunks(array, region))


def check_chunks(location: Location, array: zarr.Array, present: Container[str]) -> None:
    """Raise MissingChunksError unless every chunk of a variable is in the store.

    Zarr reads a chunk that does not exist as fill values, without a word; whoever lost a chunk
    would get coefficients of zeros. Of a sharded array it is shards that must be there: a chunk
    that is missing from a shard is not found out, which would mean reading from every shard.
    """
    missing = (key for key in chunk_keys(array, (slice(None),) * array.ndim) if key not in present)
    first = list(itertools.islice(missing, 5))
    if first:
        n_missing = len(first) + sum(1 for _ in missing)
        total = math.prod(-(-n // c) for n, c in zip(array.shape, chunk_shape(array), strict=True))
        raise MissingChunksError(
            f"{n_missing} of {total} chunks of variable {array.basename!r} are not in "
            f"{location.url!r}, among them {', '.join(first)}: zarr would read them as the "
            f"fill value {array.fill_value!r}. Restore them; or, if they were left out because "
            'they hold nothing but the fill value, say missing_chunks="fill"'
        )


def fingerprint(
    arrays: xr.backends.ZarrStore, variables: tuple[str, ...], dims: tuple[str, ...]
) -> str:
    """Return a SHA-256 of what the source is: types, chunks, codecs, attributes, where axes begin.

    How long it is is no part of it: archives grow.
    """
    record: dict[str, Any] = {}
    dataset = as_dataset(arrays, decode_times=False)
    along = [dim for dim in dims if dim in dataset.coords]
    for name in (*variables, *along):
        array = array_of(arrays, name)
        metadata = array.metadata.to_dict()
        record[name] = {key: metadata[key] for key in sorted(metadata) if key != "shape"}
        # Others may tell how far the archive goes by now.
        attributes = dict(array.attrs)
        record[name]["attributes"] = {key: attributes[key] for key in _DECODING & {*attributes}}
    first = [dataset[dim].isel({dim: slice(1)}).values for dim in along]
    if first:
        record["first"] = [str(label) for labels in first for label in labels]
    return hashlib.sha256(json.dumps(record, sort_keys=True, default=str).encode()).hexdigest()
