"""Files that xarray opens as one dataset, such as netCDF and GRIB, as the source of a job."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import numpy as np
import xarray as xr

from scatdask.archive import changes
from scatdask.archive.files import Folder
from scatdask.archive.layout import Layout, StoredArray
from scatdask.archive.locations import Location, check_apart
from scatdask.transforms import Transform

_GRIB = {".grib", ".grib2", ".grb", ".grb2"}
# What xarray opens by other means than Zarr.
_SUFFIXES = {".nc", ".nc3", ".nc4", ".cdf", ".h5", ".hdf5", ".he5", *_GRIB}
# Samples along the last dimension that are read at a time where a file has no chunks.
_CONTIGUOUS = 2**18


# Bytes of decoded chunks that netCDF keeps of a variable in an open file: by default it is 64 MiB.
KEPT_CHUNKS = 2**20
# Letters of names that go with every task; more are read from the ledger.
_SHORT = 2000
# Held while files are opened, however many threads ask for them.
_opening = threading.Lock()


class _KeptChunks:
    """netCDF keeps little of what it decodes, in files that this process opens meanwhile.

    It has one setting for all that are opened, and xarray opens some anew when they are read: the
    first of those who open or read sets it, and the last restores it.
    """

    def __init__(self) -> None:
        self._lock, self._users = threading.Lock(), 0
        self._before: tuple[Any, ...] = ()

    def __enter__(self) -> None:
        import netCDF4

        with self._lock:
            if self._users == 0:
                self._before = netCDF4.get_chunk_cache()
                netCDF4.set_chunk_cache(KEPT_CHUNKS)
            self._users += 1

    def __exit__(self, *error: object) -> None:
        import netCDF4

        with self._lock:
            self._users -= 1
            if self._users == 0:
                netCDF4.set_chunk_cache(*self._before)


_kept_chunks = _KeptChunks()


def _reading(engine: str | None) -> AbstractContextManager[None]:
    """Return what holds while files are opened or read that may be netCDF."""
    is_netcdf = engine in (None, "netcdf4") and find_spec("netCDF4") is not None
    return _kept_chunks if is_netcdf else nullcontext()


def is_file_name(path: str) -> bool:
    """Say whether a path has the suffix of files that are not Zarr."""
    return Path(path).suffix.lower() in _SUFFIXES


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

    @classmethod
    def of(
        cls,
        url: str,
        files: Sequence[str],
        engine: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Self:
        """Return a source of files, with what an engine has to be told unless it is given.

        Of GRIB no index is written beside the files, as cfgrib would: inputs are never written to.
        """
        told = dict(options or {})
        if engine is None and Path(files[0]).suffix.lower() in _GRIB:
            engine = "cfgrib"
        if engine == "cfgrib":
            told = {"indexpath": "", **told}
        return cls(url, tuple(files), engine, told)

    def open(self, *, decode_times: bool) -> xr.Dataset:
        """Open all files, lazily.

        Times are decoded in any case where there are several: each may count from another day.

        Raises
        ------
        ImportError
            If they are GRIB, and what reads it is not installed.
        """
        if self.engine == "cfgrib" and self.engine not in xr.backends.list_engines():
            raise ImportError('GRIB is read by cfgrib and ecCodes: pip install "scatdask[grib]"')
        with self.reading():
            if len(self.files) == 1 and self.engine != "cfgrib":
                return self._open_one(decode_times)
            with _opening:
                return _opened(self, decode_times or len(self.files) > 1, str(self._entries()))

    def reading(self) -> AbstractContextManager[None]:
        """Return what holds while it is read."""
        return _reading(self.engine)

    def _open_one(self, decode_times: bool) -> xr.Dataset:
        return xr.open_dataset(
            self.files[0],
            engine=self.engine,
            chunks=None,
            cache=False,
            decode_times=decode_times,
            **self.options,
        )

    def _open_together(self) -> xr.Dataset:
        return xr.open_mfdataset(self.files, engine=self.engine, **self._together())

    def _together(self) -> dict[str, Any]:
        """Return how xarray is to put files together."""
        return {
            "combine": "nested" if "concat_dim" in self.options else "by_coords",
            "data_vars": "minimal",
            "coords": "minimal",
            "compat": "override",
            "join": "outer" if "concat_dim" in self.options else "exact",
            "chunks": {},
            **self.options,
        }

    def _entries(self) -> dict[str, dict[str, Any]]:
        """Return what tells a file from one that was written anew, by path."""
        found = {path: Path(path).stat() for path in self.files}
        return {path: {"size": s.st_size, "mtime": s.st_mtime_ns} for path, s in found.items()}

    def opened(self) -> Self:
        """Return itself."""
        return self

    def survey(self, array: xr.DataArray, missing_chunks: str) -> tuple[StoredArray, np.ndarray]:
        """Return how a variable is stored, and what tells whether it is what it was.

        That is an array of shape (1 + files, 2): the digest of the labels, and zero; then those
        of the path, and of size and time, of each file.
        """
        sizes = {str(dim): n for dim, n in array.sizes.items()}
        stored = StoredArray(
            sizes,
            self._chunks(array, sizes),
            np.dtype(array.encoding.get("dtype", array.dtype)).itemsize,
            array.dtype.itemsize,
        )
        written = changes.digests(self._entries(), self.files, (len(self.files),))
        paths = [changes.digest(path.encode()) for path in self.files]
        files = np.stack([np.array(paths, dtype=np.uint64), written], axis=1)
        where = np.array([[_labels(array.coords, sizes), 0]], dtype=np.uint64)
        return stored, np.concatenate([where, files])

    def _chunks(self, array: xr.DataArray, sizes: dict[str, int]) -> dict[str, int]:
        """Return what is decoded as one piece: a message, or little where there are no chunks."""
        if array.chunks is not None:
            return {dim: max(parts) for dim, parts in zip(sizes, array.chunks, strict=True)}
        preferred = array.encoding.get("preferred_chunks") or {}
        *others, last = sizes
        if (points := array.attrs.get("GRIB_numberOfPoints")) is not None:
            return _of_message(sizes, int(points))
        contiguous = {**dict.fromkeys(others, 1), last: min(sizes[last], _CONTIGUOUS)}
        return {dim: max(int(preferred.get(dim, contiguous[dim])), 1) for dim in sizes}

    def mark(self, coord: xr.DataArray) -> None:
        """Return None: labels of files are read to tell them from others."""

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

        A file that got longer is one of them: nobody knows whether it begins as it did. So are
        files that came in before others, and all if it cannot be said which.
        """
        everything = np.arange(len(self.files))
        if old.ndim != new.ndim:  # a record of before paths were kept
            return everything[:, np.newaxis]
        is_other, named = self._compare(old[1:], new[1:], is_longer=stored.sizes != former)
        if not is_other:
            lengths = {dim: former[dim] for dim in stored.sizes}
            labels = _labels(self.open(decode_times=True).coords, lengths)
            is_other = labels != int(old[0, 0])
        if not is_other:
            return np.empty((0, 1), dtype=int)
        return (named if len(named) else everything)[:, np.newaxis]

    def _compare(
        self, old: np.ndarray, new: np.ndarray, *, is_longer: bool
    ) -> tuple[bool, np.ndarray]:
        """Say whether other files than before may lie where those lay, and name them."""
        together = self._together()
        if together["combine"] == "nested":  # one after the other, as they are listed
            n = min(len(old), len(new))
            differs = np.flatnonzero((old[:n] != new[:n]).any(axis=1))
            is_merged = len(new) > n and not is_longer
            return len(differs) > 0 or n < len(old) or is_merged, differs
        before = {tuple(file) for file in old.tolist()}
        now = [tuple(file) for file in new.tolist()]
        added = np.array([file not in before for file in now])
        # Files that are added leave alone what there was only if all are joined exactly.
        is_beyond = is_longer and together["join"] == "exact"
        rewritten = added & np.isin(new[:, 0], old[:, 0])
        named = np.flatnonzero(rewritten if rewritten.any() else added)
        return not before <= set(now) or (bool(added.any()) and not is_beyond), named

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

    def strict(self) -> Self:
        """Return itself: files have no chunks that might be missing."""
        return self

    def to_send(self, ledger: Folder, output: str) -> FileSource | ListedFiles:
        """Return it for tasks; many names are kept in a ledger, and read there once a process."""
        if sum(map(len, self.files)) <= _SHORT:
            return self
        content = json.dumps(self.files).encode()
        name = f"files.{hashlib.sha256(content).hexdigest()[:16]}.{output}.json"
        ledger.write(name, content)
        return ListedFiles(self.url, ledger, name, self.engine, self.options)

    def check_apart(self, target: Location) -> None:
        """Raise ValueError if an output would replace one of the files, or hold one."""
        # One of a folder tells whether the output would hold it; it can only be what has its name.
        by_folder = {Path(path).parent: path for path in self.files}.values()
        namesakes = (path for path in self.files if Path(path).name in target.parts)
        for path in {*by_folder, *namesakes}:
            check_apart(Location.of(path), target)


@dataclass(frozen=True)
class ListedFiles:
    """Files whose names a ledger keeps, for tasks: thousands of names do not go with each.

    Attributes
    ----------
    url : str
    ledger : Folder
    name : str
        Of the list in it.
    engine : str or None
    options : mapping
    """

    url: str
    ledger: Folder
    name: str
    engine: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def open(self, *, decode_times: bool) -> xr.Dataset:
        """Open all files, lazily."""
        files = tuple(json.loads(self.ledger.read(self.name)))
        source = FileSource(self.url, files, self.engine, self.options)
        return source.open(decode_times=decode_times)

    def reading(self) -> AbstractContextManager[None]:
        """Return what holds while it is read."""
        return _reading(self.engine)

    def undecodable(self, variable: str, selection: Mapping[str, slice]) -> str:
        """Say nothing: the error of the library names the file, if it can."""
        return ""

    def to_send(self, ledger: Folder, output: str) -> Self:
        """Return itself, which is small."""
        return self


@lru_cache(maxsize=4)
def _opened(source: FileSource, decode_times: bool, entries: str) -> xr.Dataset:
    """Open files that take long, once a process as long as they are what they were.

    Thousands of files do, and a file of GRIB, which is read through to find its messages.
    """
    if len(source.files) == 1:
        return source._open_one(decode_times)
    return source._open_together()


def _labels(coords: Mapping[Any, xr.DataArray], sizes: Mapping[str, int]) -> int:
    """Return a digest of the first labels of each axis, which say where samples of files lie."""
    kept = {dim: _digest_of(coords[dim], n) for dim, n in sizes.items() if dim in coords}
    return changes.digest(json.dumps(kept).encode())


def _digest_of(labels: xr.DataArray, n: int) -> int:
    """Return a digest of the first labels of an axis, however they are held in memory."""
    values = labels.values[:n]
    if values.dtype.kind in "OSU":
        return changes.digest("\0".join(map(str, values.tolist())).encode())
    if values.dtype.kind == "M":
        values = values.astype("M8[ns]", copy=False)
    return changes.digest(np.ascontiguousarray(values).view(np.uint8).data)


def _of_message(sizes: dict[str, int], points: int) -> dict[str, int]:
    """Return the part of a variable that one message of GRIB holds: its last dimensions."""
    chunks = dict.fromkeys(sizes, 1)
    for dim in reversed(sizes):
        if points == 1:
            break
        chunks[dim], points = sizes[dim], points // sizes[dim]
    return chunks
