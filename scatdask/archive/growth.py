"""Archives that get longer: which blocks of a job keep their numbers, and where they go.

Blocks stay where they are on longer axes. A block is as it was if nothing that it needs has
changed: along a core axis, if it needs no sample past the former end; along another axis, if it
holds the same signals.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scatdask.archive.layout import Layout
from scatdask.archive.receipts import HISTORY, SUMS, share
from scatdask.transforms import Transform


def extended(transform: Transform, old: Layout, sizes: dict[str, int]) -> Layout | None:
    """Return the same blocks on longer axes; None where a block is a whole signal, uncut.

    Parameters
    ----------
    transform : Transform
    old : Layout
    sizes : dict of str to int
        New lengths of all dimensions.
    """
    shape = tuple(sizes[dim] for dim in old.dims)
    lengths = old.lengths
    if shape != old.shape:
        if transform.parameters().get("sampling") == "frequency":
            return None
        if transform.outputs[0].stride is None:  # a block is whole signals, part by part
            unit = transform.alignment
            lengths = tuple(-(-n // unit) * unit for n in shape)
    batch_shape = tuple(sizes[dim] for dim in old.batch_dims)
    return replace(old, shape=shape, batch_shape=batch_shape, lengths=lengths)


def new_numbers(transform: Transform, old: Layout, new: Layout) -> np.ndarray:
    """Return the number that each old block has among the new ones, -1 where it must go.

    Parameters
    ----------
    transform : Transform
    old, new : Layout
        Of the same dimensions; other blocks altogether keep nothing.
    """
    gone = np.full(old.n_blocks, -1)
    if (old.batch_block, old.lengths, old.at_once) != (new.batch_block, new.lengths, new.at_once):
        return gone
    if old.shape != new.shape and transform.outputs[0].stride is None:
        return gone
    stays = []
    for n, size, longer in zip(old.batch_shape, old.batch_block, new.batch_shape, strict=True):
        stop = np.arange(0, n, size) + size
        stays.append((stop <= n) | (longer == n))
    for axis, (n, size, longer) in enumerate(zip(old.shape, old.lengths, new.shape, strict=True)):
        start = np.arange(0, n, size)
        inside = np.minimum(start + size, n) + transform.halo <= n
        if transform.boundaries[axis] == "periodic":
            unit = transform.alignment
            inside &= start >= -(-transform.halo // unit) * unit
        stays.append(inside | (longer == n))
    old_counts = (*old.batch_counts, *old.grid.counts)
    new_counts = (*new.batch_counts, *new.grid.counts)
    places = np.unravel_index(np.arange(old.n_blocks), old_counts)
    numbers = np.ravel_multi_index(places, new_counts)
    kept = np.ones(old.n_blocks, dtype=bool)
    for place, one in zip(places, stays, strict=True):
        kept &= one[place]
    return np.where(kept, numbers, -1)


def renumbered(rows: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Return a history in new numbers; rows are cut where blocks go or lie apart.

    Parameters
    ----------
    rows : structured array
        A history in old numbers.
    numbers : array of int
        The new number of each old block, -1 where it must go.
    """
    parts = []
    for row in rows:
        new = numbers[int(row["first"]) : int(row["last"]) + 1]
        cuts = np.flatnonzero((np.diff(new) != 1) | (new[1:] < 0) | (new[:-1] < 0)) + 1
        for run in np.split(new, cuts):
            if run[0] < 0:
                continue
            part = row.copy()
            part["first"], part["last"] = run[0], run[-1]
            for name in SUMS:
                part[name] = share(row[name], len(run), len(new))
            parts.append(part)
    return np.array(parts, dtype=HISTORY)
