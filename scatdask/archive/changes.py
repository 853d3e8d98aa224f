"""What the objects of a source were when a job began, and which are others now."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from scatdask.archive.layout import Layout, StoredArray
from scatdask.transforms import Transform

# What file systems call that of an object which is another when it was written anew.
_MARKS = ("ETag", "etag", "e_tag", "md5Hash", "checksum", "generation", "mtime", "LastModified")


def digests(
    entries: Mapping[str, Mapping[str, Any]], keys: Iterable[str], counts: tuple[int, ...]
) -> np.ndarray:
    """Return a number for each object of an array, another one if it was written anew.

    Parameters
    ----------
    entries : mapping of str to mapping
        What a listing says of each key.
    keys : iterable of str
        Of the objects, in the order of the grid.
    counts : tuple of int
        Objects along each axis.

    Returns
    -------
    array of uint64, shape `counts`
        Zero for what does not exist.
    """
    flat = (_digest(entries[key]) if key in entries else 0 for key in keys)
    return np.fromiter(flat, dtype=np.uint64).reshape(counts)


def _digest(entry: Mapping[str, Any]) -> int:
    mark = next((entry[name] for name in _MARKS if entry.get(name) is not None), None)
    return digest(f"{entry.get('size')} {mark}".encode())


def digest(content: bytes | memoryview) -> int:
    """Return a number of 64 bits, another one for other content."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def to_bytes(by_variable: Mapping[str, np.ndarray]) -> bytes:
    """Return the digests of variables as the content of a file."""
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {f"v{n}": array for n, array in enumerate(by_variable.values())}
    np.savez_compressed(buffer, names=np.array(list(by_variable), dtype=np.str_), **arrays)
    return buffer.getvalue()


def from_bytes(content: bytes) -> dict[str, np.ndarray]:
    """Rebuild digests from `to_bytes`."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return {str(name): arrays[f"v{n}"] for n, name in enumerate(arrays["names"])}


def changed(
    old: np.ndarray,
    new: np.ndarray,
    stored: StoredArray,
    former_sizes: Mapping[str, int],
) -> np.ndarray:
    """Return the indices of objects that are others than they were, shape (n, ndim).

    Where an axis is longer now, the objects that held its former end had to be written anew, and
    are left out.

    Parameters
    ----------
    old, new : array of uint64
        Digests; `new` has at least as many along each axis.
    stored : StoredArray
        The variable as it is now.
    former_sizes : mapping of str to int
        Lengths of the axes before.
    """
    differs = old != new[tuple(map(slice, old.shape))]
    for axis, (dim, chunk) in enumerate(stored.chunks.items()):
        before = former_sizes[dim]
        if stored.sizes[dim] > before and before % chunk:
            differs[(slice(None),) * axis + (slice(-1, None),)] = False
    return np.argwhere(differs)


def touched(
    transform: Transform, layout: Layout, stored: StoredArray, objects: np.ndarray
) -> np.ndarray:
    """Return which blocks read from some objects of the source, or may do so.

    Parameters
    ----------
    transform : Transform
    layout : Layout
    stored : StoredArray
    objects : array of int, shape (n, ndim)
        Their indices.

    Returns
    -------
    array of bool, shape (blocks,)
    """
    counts = (*layout.batch_counts, *layout.grid.counts)
    found = np.zeros(counts, dtype=bool)
    dims = (*layout.batch_dims, *layout.dims)
    sizes = (*layout.batch_block, *layout.lengths)
    order = list(stored.chunks)
    for index in objects:
        ranges = []
        for axis, (dim, size) in enumerate(zip(dims, sizes, strict=True)):
            chunk = stored.chunks[dim]
            low = int(index[order.index(dim)]) * chunk
            high = min(low + chunk, stored.sizes[dim])
            if axis < len(layout.batch_dims):
                ranges.append(np.arange(low // size, (high - 1) // size + 1))
                continue
            low, high = low - transform.halo, high + transform.halo + transform.alignment
            periodic = transform.boundaries[axis - len(layout.batch_dims)] == "periodic"
            pieces = _pieces(low, high, layout.sizes[dim], periodic=periodic)
            parts = [np.arange(a // size, (b - 1) // size + 1) for a, b in pieces]
            ranges.append(np.unique(np.concatenate(parts)))
        found[np.ix_(*ranges)] = True
    return found.ravel()


def _pieces(low: int, high: int, n: int, *, periodic: bool) -> list[tuple[int, int]]:
    """Return where within ``[0, n)`` the samples ``[low, high)`` lie."""
    if not periodic:
        return [(min(max(low, 0), n - 1), max(min(high, n), 1))]
    if high - low >= n:
        return [(0, n)]
    first, last = low % n, (high - 1) % n + 1
    return [(first, last)] if first < last else [(first, n), (0, last)]
