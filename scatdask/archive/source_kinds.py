"""What a job can read: a Zarr group, or files that xarray opens, such as netCDF and GRIB."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from glob import has_magic
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import fsspec
import numpy as np
import xarray as xr
import zarr

from scatdask.archive import changes, source
from scatdask.archive.file_source import FileSource, is_file_name
from scatdask.archive.files import Folder
from scatdask.archive.layout import Layout, StoredArray
from scatdask.archive.locations import Location, check_apart
from scatdask.transforms import Transform

if TYPE_CHECKING:
    from scatdask.archive.locations import Place


class Readable(Hashable, Protocol):
    """What a worker has to know of a source."""

    def open(self, *, decode_times: bool) -> xr.Dataset:
        """Open it lazily."""

    def reading(self) -> AbstractContextManager[None]:
        """Return what holds while it is read."""

    def undecodable(self, variable: str, selection: Mapping[str, slice]) -> str:
        """Say what of a selection cannot be read; nothing if all can."""

    def to_send(self, ledger: Folder, output: str) -> Readable:
        """Return it for tasks, small however long it is; a ledger may keep the rest of it."""


class Source(Readable, Protocol):
    """What a job reads."""

    @property
    def url(self) -> str:
        """What it is called."""

    def opened(self) -> Source:
        """Return it as it is now, for several questions."""

    def survey(self, array: xr.DataArray, missing_chunks: str) -> tuple[StoredArray, np.ndarray]:
        """Return how a variable is stored, and the digests of its objects."""

    def mark(self, coord: xr.DataArray) -> str | None:
        """Return what tells labels as they are stored from any others; None if nothing does."""

    def fingerprint(self, variables: tuple[str, ...], dims: tuple[str, ...]) -> str:
        """Return a SHA-256 of what it is, whatever its length."""

    def changed(
        self, old: np.ndarray, new: np.ndarray, stored: StoredArray, former: Mapping[str, int]
    ) -> np.ndarray:
        """Return the indices of objects that are others than they were, shape (n, ndim)."""

    def touched(
        self, transform: Transform, layout: Layout, stored: StoredArray, objects: np.ndarray
    ) -> np.ndarray:
        """Return which blocks read from some objects, or may do so."""

    def object_names(self, variable: str, objects: np.ndarray) -> list[str]:
        """Return what objects of a variable are called."""

    def strict(self) -> Source:
        """Return it so that a chunk that does not exist is an error."""

    def check_apart(self, target: Location) -> None:
        """Raise ValueError if an output would lie in it, or hold it."""


def source_of(
    place: Place | Sequence[str | PathLike[str]],
    options: Mapping[str, Any] | None = None,
    engine: str | None = None,
) -> Source:
    """Return the source at a place.

    Parameters
    ----------
    place : path, URL, store, or sequence of paths
        A Zarr group; or files that xarray opens, if there are several, or a pattern such as
        ``"*.nc"`` that is not itself the name of something, or an engine is named, or the suffix is
        one of netCDF, HDF5 and GRIB.
    options : mapping, optional
        For the file system of a Zarr group, or for `xarray.open_dataset` or `open_mfdataset`.
    engine : str, optional
        Of xarray, such as "h5netcdf" or "cfgrib"; by default xarray finds one.

    Raises
    ------
    FileNotFoundError
        If no file has such a name.
    """
    if isinstance(place, Sequence) and not isinstance(place, str):
        files = [str(Path(path).absolute()) for path in place]
        if not files:
            raise FileNotFoundError("the list of files to read is empty")
        return FileSource.of(f"{files[0]} and others", files, engine, options)
    if isinstance(place, str | PathLike):
        text = fspath(place)
        if has_magic(text) and "://" not in text and not Path(text).exists():
            pattern = str(Path(text).absolute())
            if not (found := sorted(fsspec.filesystem("file").glob(pattern))):
                raise FileNotFoundError(f"no file has a name like {text!r}")
            return FileSource.of(pattern, found, engine, options)
        is_file = engine not in (None, "zarr") or is_file_name(text)
        if is_file and "://" in text:
            raise ValueError(
                f"{text!r} is the URL of a file: only Zarr is read from object stores, or files by "
                "references to their chunks (reference://); fetch the file, or make references"
            )
        if is_file:
            path = str(Path(text).absolute())
            return FileSource.of(path, [path], engine, options)
    location = Location.of(place, options)
    if location.repository is not None:
        raise TypeError(
            f"{place!r} is an Icechunk repository, which can only be a target: write what it holds "
            "to plain Zarr first"
        )
    return ZarrSource(location)


@dataclass(frozen=True)
class ZarrSource:
    """A Zarr group.

    Attributes
    ----------
    location : Location
    arrays : ZarrStore, optional
        Those of the group, where it was opened.
    """

    location: Location
    arrays: xr.backends.ZarrStore | None = field(default=None, compare=False, repr=False)

    @property
    def url(self) -> str:
        """Path or URL; of references to chunks of other files, with where they are."""
        references = self.location.options.get("fo")
        return f"{self.location.url}{references or ''}"

    def open(self, *, decode_times: bool) -> xr.Dataset:
        """Open it lazily, without dask and without loading coordinates."""
        return source.as_dataset(self._open(), decode_times=decode_times)

    def reading(self) -> AbstractContextManager[None]:
        """Return what holds while it is read: nothing."""
        return nullcontext()

    def opened(self) -> Source:
        """Return it with its arrays opened, of which several things can be asked then."""
        return replace(self, arrays=self._open())

    def _open(self) -> xr.backends.ZarrStore:
        return source.open_arrays(self.location) if self.arrays is None else self.arrays

    def survey(self, array: xr.DataArray, missing_chunks: str) -> tuple[StoredArray, np.ndarray]:
        """Return how a variable is stored, and the digests of its objects.

        Raises
        ------
        MissingChunksError
            If `missing_chunks` is "error" and some do not exist.
        """
        on_disk = source.array_of(self._open(), str(array.name))
        entries = source.listing(self.location, on_disk)
        if missing_chunks == "error":
            source.check_chunks(self.location, on_disk, entries)
        dims = [str(dim) for dim in array.dims]
        stored = StoredArray(
            dict(zip(dims, array.shape, strict=True)),
            dict(zip(dims, source.chunk_shape(on_disk), strict=True)),
            np.dtype(on_disk.dtype).itemsize,
            array.dtype.itemsize,
            dict(zip(dims, (max(size, 1) for size in on_disk.chunks), strict=True)),
        )
        keys = source.chunk_keys(on_disk, (slice(None),) * on_disk.ndim)
        return stored, changes.digests(entries, keys, stored.counts)

    def mark(self, coord: xr.DataArray) -> str | None:
        """Return a SHA-256 of the metadata and objects of all labels; None if those are more."""
        array = source.array_of(self._open(), str(coord.name))
        if array.shape != coord.shape:
            return None
        digests = self.survey(coord, "fill")[1]
        metadata = json.dumps(array.metadata.to_dict(), sort_keys=True, default=str)
        return hashlib.sha256(metadata.encode() + digests.tobytes()).hexdigest()

    def fingerprint(self, variables: tuple[str, ...], dims: tuple[str, ...]) -> str:
        """Return a SHA-256 of types, chunks, codecs, attributes, and where axes begin."""
        return source.fingerprint(self._open(), variables, dims)

    def changed(
        self, old: np.ndarray, new: np.ndarray, stored: StoredArray, former: Mapping[str, int]
    ) -> np.ndarray:
        """Return the indices of chunks that are others than they were, shape (n, ndim)."""
        return changes.changed(old, new, stored, former)

    def touched(
        self, transform: Transform, layout: Layout, stored: StoredArray, objects: np.ndarray
    ) -> np.ndarray:
        """Return which blocks read from some chunks, or may do so."""
        return changes.touched(transform, layout, stored, objects)

    def object_names(self, variable: str, objects: np.ndarray) -> list[str]:
        """Return the keys of chunks."""
        metadata = source.stored_array(self.location, variable).metadata
        return [metadata.encode_chunk_key(tuple(index)) for index in objects.tolist()]

    def undecodable(self, variable: str, selection: Mapping[str, slice]) -> str:
        """Say which chunks of a selection cannot be read, each by itself."""
        array: zarr.Array = source.stored_array(self.location, variable)
        return source.undecodable(array, tuple(selection.values()))

    def strict(self) -> Source:
        """Return it so that a chunk that does not exist is an error."""
        return ZarrSource(replace(self.location, is_complete=True))

    def to_send(self, ledger: Folder, output: str) -> Self:
        """Return itself, which is small."""
        return self

    def check_apart(self, target: Location) -> None:
        """Raise ValueError if an output would lie in it, or hold it."""
        check_apart(self.location, target)
