"""What a job can read: a Zarr group, or files that xarray opens, such as netCDF and GRIB."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from glob import has_magic
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import dask
import fsspec
import numpy as np
import xarray as xr
import zarr

from scatdask.archive import changes
from scatdask.archive import source as arrays
from scatdask.archive.layout import Layout, StoredArray
from scatdask.archive.locations import Location, check_apart
from scatdask.transforms import Transform

if TYPE_CHECKING:
    from scatdask.archive.locations import Place

# What xarray opens by other means than Zarr.
_SUFFIXES = {
    ".nc",
    ".nc3",
    ".nc4",
    ".cdf",
    ".h5",
    ".hdf5",
    ".he5",
    ".grib",
    ".grib2",
    ".grb",
    ".grb2",
}
# Samples along the last dimension that are read at a time where a file has no chunks.
_CONTIGUOUS = 2**18


class Source(Hashable, Protocol):
    """What a job reads."""

    @property
    def url(self) -> str:
        """What it is called."""

    def open(self, *, decode_times: bool) -> xr.Dataset:
        """Open it lazily."""

    def survey(self, array: xr.DataArray, missing_chunks: str) -> tuple[StoredArray, np.ndarray]:
        """Return how a variable is stored, and the digests of its objects."""

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

    def undecodable(self, variable: str, selection: Mapping[str, slice]) -> str:
        """Say what of a selection cannot be read; nothing if all can."""

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
        ``"*.nc"``, or an engine is named, or the suffix is one of netCDF, HDF5 and GRIB.
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
        return FileSource(f"{files[0]} and others", tuple(files), engine, dict(options or {}))
    if isinstance(place, str | PathLike):
        text = fspath(place)
        if has_magic(text) and "://" not in text:
            pattern = str(Path(text).absolute())
            if not (found := sorted(fsspec.filesystem("file").glob(pattern))):
                raise FileNotFoundError(f"no file has a name like {text!r}")
            return FileSource(pattern, tuple(found), engine, dict(options or {}))
        is_file = engine not in (None, "zarr") or Path(text).suffix.lower() in _SUFFIXES
        if is_file and "://" in text:
            raise ValueError(
                f"{text!r} is the URL of a file: only Zarr is read from object stores, or files by "
                "references to their chunks (reference://); fetch the file, or make references"
            )
        if is_file:
            path = str(Path(text).absolute())
            return FileSource(path, (path,), engine, dict(options or {}))
    return ZarrSource(Location.of(place, options))


@dataclass(frozen=True)
class ZarrSource:
    """A Zarr group.

    Attributes
    ----------
    location : Location
    """

    location: Location

    @property
    def url(self) -> str:
        """Path or URL; of references to chunks of other files, with where they are."""
        references = self.location.options.get("fo")
        return f"{self.location.url}{references or ''}"

    def open(self, *, decode_times: bool) -> xr.Dataset:
        """Open it lazily, without dask and without loading coordinates."""
        return arrays.open_source(self.location, decode_times=decode_times)

    def survey(self, array: xr.DataArray, missing_chunks: str) -> tuple[StoredArray, np.ndarray]:
        """Return how a variable is stored, and the digests of its objects.

        Raises
        ------
        MissingChunksError
            If `missing_chunks` is "error" and some do not exist.
        """
        on_disk = arrays.stored_array(self.location, str(array.name))
        entries = arrays.listing(self.location, on_disk)
        if missing_chunks == "error":
            arrays.check_chunks(self.location, on_disk, entries)
        dims = [str(dim) for dim in array.dims]
        stored = StoredArray(
            dict(zip(dims, array.shape, strict=True)),
            dict(zip(dims, arrays.chunk_shape(on_disk), strict=True)),
            np.dtype(on_disk.dtype).itemsize,
            array.dtype.itemsize,
            dict(zip(dims, (max(size, 1) for size in on_disk.chunks), strict=True)),
        )
        keys = arrays.chunk_keys(on_disk, (slice(None),) * on_disk.ndim)
        return stored, changes.digests(entries, keys, stored.counts)

    def fingerprint(self, variables: tuple[str, ...], dims: tuple[str, ...]) -> str:
        """Return a SHA-256 of types, chunks, codecs, attributes, and where axes begin."""
        return arrays.fingerprint(self.location, variables, dims)

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
        metadata = arrays.stored_array(self.location, variable).metadata
        return [metadata.encode_chunk_key(tuple(index)) for index in objects.tolist()]

    def undecodable(self, variable: str, selection: Mapping[str, slice]) -> str:
        """Say which chunks of a selection cannot be read, each by itself."""
        array: zarr.Array = arrays.stored_array(self.location, variable)
        return arrays.undecodable(array, tuple(selection.values()))

    def strict(self) -> Source:
        """Return it so that a chunk that does not exist is an error."""
        return ZarrSource(replace(self.location, is_complete=True))

    def check_apart(self, target: Location) -> None:
        """Raise ValueError if an output would lie in it, or hold it."""
        check_apart(self.location, target)


@dataclass(frozen=True)
class FileSource:
    """Files that xarray opens as one dataset.

    Attributes
    ----------
    url : str
        Path or pattern.
    files : tuple of str
    engine : str or None
    options : mapping
        For `xarray.open_dataset` or `xarray.open_mfdataset`.
    """

    url: str
    files: tuple[str, ...]
    engine: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def open(self, *, decode_times: bool) -> xr.Dataset:
        """Open all files, lazily.

        Times are decoded in any case where there are several: each may count from another day.
        """
        if len(self.files) == 1:
            return xr.open_dataset(
                self.files[0],
                engine=self.engine,
                chunks=None,
                cache=False,
                decode_times=decode_times,
                **self.options,
            )
        together: dict[str, Any] = {
            "combine": "nested" if "concat_dim" in self.options else "by_coords",
            "data_vars": "minimal",
            "coords": "minimal",
            "compat": "override",
            "join": "outer" if "concat_dim" in self.options else "exact",
            "chunks": {},
            **self.options,
        }
        # Reading is the task's own: no threads beside it.
        with dask.config.set(scheduler="synchronous"):
            return xr.open_mfdataset(self.files, engine=self.engine, **together)

    def survey(self, array: xr.DataArray, missing_chunks: str) -> tuple[StoredArray, np.ndarray]:
        """Return how a variable is stored, and the digests of the files."""
        sizes = {str(dim): n for dim, n in array.sizes.items()}
        stored = StoredArray(
            sizes,
            self._chunks(array, sizes),
            np.dtype(array.encoding.get("dtype", array.dtype)).itemsize,
            array.dtype.itemsize,
        )
        entries = {}
        for path in self.files:
            status = Path(path).stat()
            entries[path] = {"size": status.st_size, "mtime": status.st_mtime_ns}
        return stored, changes.digests(entries, self.files, (len(self.files),))

    def _chunks(self, array: xr.DataArray, sizes: Mapping[str, int]) -> dict[str, int]:
        """Return what is decoded as one piece: little where a file has no chunks."""
        if array.chunks is not None:
            return {dim: max(parts) for dim, parts in zip(sizes, array.chunks, strict=True)}
        preferred = array.encoding.get("preferred_chunks") or {}
        *others, last = sizes
        contiguous = {**dict.fromkeys(others, 1), last: min(sizes[last], _CONTIGUOUS)}
        return {dim: max(int(preferred.get(dim, contiguous[dim])), 1) for dim in sizes}

    def fingerprint(self, variables: tuple[str, ...], dims: tuple[str, ...]) -> str:
        """Return a SHA-256 of types, attributes, and where axes begin."""
        dataset = self.open(decode_times=True)
        record: dict[str, Any] = {}
        for name in variables:
            array = dataset[name]
            record[name] = [str(array.dtype), list(map(str, array.dims)), array.attrs.get("units")]
        first = [dataset[dim].isel({dim: slice(1)}).values for dim in dims if dim in dataset.coords]
        record["first"] = [str(label) for labels in first for label in labels]
        return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()

    def changed(
        self, old: np.ndarray, new: np.ndarray, stored: StoredArray, former: Mapping[str, int]
    ) -> np.ndarray:
        """Return the numbers of files that are others than they were, shape (n, 1).

        Where the archive got longer, the file that held its end may have.
        """
        n = min(len(old), len(new))
        differs = old[:n] != new[:n]
        if stored.sizes != former and n:
            differs[-1] = False
        return np.argwhere(differs)

    def touched(
        self, transform: Transform, layout: Layout, stored: StoredArray, objects: np.ndarray
    ) -> np.ndarray:
        """Return which blocks may read from some files: any, since xarray put them together."""
        return np.full(layout.n_blocks, bool(len(objects)))

    def object_names(self, variable: str, objects: np.ndarray) -> list[str]:
        """Return the paths of files."""
        return [self.files[number] for number in objects[:, 0].tolist()]

    def undecodable(self, variable: str, selection: Mapping[str, slice]) -> str:
        """Say nothing: the error of the library names the file, if it can."""
        return ""

    def strict(self) -> Source:
        """Return itself: files have no chunks that might be missing."""
        return self

    def check_apart(self, target: Location) -> None:
        """Raise ValueError if an output would replace one of the files, or hold one."""
        for path in {str(Path(path).parent) for path in self.files}:
            check_apart(Location.of(f"{path}/{Path(self.files[0]).name}"), target)
