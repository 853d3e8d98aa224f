"""Quantiles of more numbers than fit in memory: counts in bins of a logarithmic grid.

A sketch has so many bins on either side of zero, counted down from the largest magnitude it has
seen; smaller magnitudes count as zero. Bins are places on one absolute grid. So two sketches merge
exactly, in any order: what was too small beside the largest of a part is so beside that of all.
The grid is that of Masson, Rim and Lee (2019), see the references in the documentation.
"""

from __future__ import annotations

import numpy as np

# Bins in each octave of magnitude, and octaves below the largest magnitude.
PER_OCTAVE, OCTAVES = 16, 16
# Bins on one side of zero; and all, in the order of their values, with zero in the middle.
SIDE = PER_OCTAVE * OCTAVES
BINS = 2 * SIDE + 1
_RATIO = 2 ** (1 / PER_OCTAVE)
# How far a quantile may be off, as a share of it, and of the largest magnitude.
RELATIVE_ACCURACY = (_RATIO - 1) / (_RATIO + 1)
ABSOLUTE_ACCURACY = 2.0**-OCTAVES
# Shares at which sketches are compared.
_SHARES = tuple(place / 16 for place in range(17))
# Sketches that are compared at once.
_ROWS = 2**12
# The grid's place of a sketch that has seen nothing but zeros.
NOTHING = np.iinfo(np.int32).min // 2


def count_bins(values: np.ndarray, counted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count numbers in bins.

    Parameters
    ----------
    values : array of float64, shape (rows, frames)
    counted : array of bool, shape (rows, frames)
        Which of them count; these must be finite.

    Returns
    -------
    top : array of int32, shape (rows,)
        The grid's place of the largest magnitude.
    counts : array of uint32, shape (rows, BINS)
    """
    magnitude = np.abs(values)
    lasting = counted & (magnitude > 0)
    places = np.full(values.shape, NOTHING, dtype=np.int64)
    np.log2(magnitude, out=magnitude, where=lasting)
    places[lasting] = np.ceil(magnitude[lasting] * PER_OCTAVE).astype(np.int64)
    top = places.max(axis=1, initial=NOTHING)
    below = np.minimum(top[:, np.newaxis] - places, SIDE)
    below[~lasting] = SIDE
    bins = np.where(values < 0, below, BINS - 1 - below)
    bins += BINS * np.arange(len(values))[:, np.newaxis]
    counts = np.bincount(bins[counted], minlength=BINS * len(values))
    return top.astype(np.int32), counts.reshape(-1, BINS).astype(np.uint32)


def lowered(counts: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Count the same numbers from a top that is higher by some places.

    Parameters
    ----------
    counts : array, shape (..., BINS)
    by : array of int, shape (...)
        Not negative.
    """
    result = np.empty_like(counts)
    for shift in np.unique(by):
        rows, n = by == shift, min(int(shift), SIDE)
        before = counts[rows]
        after = np.zeros_like(before)
        after[:, n:SIDE] = before[:, : SIDE - n]
        after[:, SIDE] = before[:, SIDE - n : SIDE + n + 1].sum(axis=1)
        after[:, SIDE + 1 : BINS - n] = before[:, SIDE + 1 + n :]
        result[rows] = after
    return result


def quantiles_of(top: np.ndarray, counts: np.ndarray, shares: tuple[float, ...]) -> np.ndarray:
    """Return quantiles, NaN where nothing was counted.

    Parameters
    ----------
    top : array of int, shape (...)
    counts : array of int, shape (..., BINS)
    shares : tuple of float
        Between 0 and 1.

    Returns
    -------
    array of float64, shape (quantile, ...)
        Within RELATIVE_ACCURACY of the number of that rank (the lower one of two), or within
        ABSOLUTE_ACCURACY of the largest magnitude.
    """
    total = counts.cumsum(axis=-1, dtype=np.int64)
    number = total[..., -1]
    found = np.empty((len(shares), *top.shape))
    for share, into in zip(shares, found, strict=True):
        rank = np.floor(share * (number - 1)).astype(np.int64)
        bins = np.minimum((total <= rank[..., np.newaxis]).sum(axis=-1), BINS - 1)
        below = np.where(bins < SIDE, bins, BINS - 1 - bins)
        middle = 2 / (_RATIO + 1) * np.exp2((top - below) / PER_OCTAVE)
        into[...] = np.where(bins == SIDE, 0.0, np.where(bins < SIDE, -middle, middle))
        into[number == 0] = np.nan
    return found


def differences(
    top: np.ndarray, counts: np.ndarray, expected_top: np.ndarray, expected_counts: np.ndarray
) -> np.ndarray:
    """Return by how much numbers that were counted must be off those of other sketches.

    Compared are numbers of the same rank, seventeen of them from the least to the largest. What
    the accuracy of sketches explains is taken off.

    Parameters
    ----------
    top, expected_top : array of int, shape (...)
    counts, expected_counts : array of int, shape (..., BINS)

    Returns
    -------
    array of float64, shape (...)
        Infinite where there are not as many numbers.
    """
    found = np.empty(top.size)
    first = (top.reshape(-1), counts.reshape(-1, BINS))
    second = (expected_top.reshape(-1), expected_counts.reshape(-1, BINS))
    for start in range(0, top.size, _ROWS):
        rows = slice(start, start + _ROWS)
        found[rows] = _differences(*(part[rows] for part in (*first, *second)))
    return found.reshape(top.shape)


def _differences(
    top: np.ndarray, counts: np.ndarray, expected_top: np.ndarray, expected_counts: np.ndarray
) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):  # places that no float has
        found = quantiles_of(top, counts, _SHARES)
        expected = quantiles_of(expected_top, expected_counts, _SHARES)
        # Quantiles are middles of bins: relative to them, numbers may be off by a little more.
        explained = RELATIVE_ACCURACY / (1 - RELATIVE_ACCURACY) * (abs(found) + abs(expected))
        explained += 2 * ABSOLUTE_ACCURACY * np.exp2(expected_top / PER_OCTAVE)
        off = np.maximum(abs(found - expected) - explained, 0.0)
    off[np.isnan(off)] = np.inf
    off[np.isnan(found) & np.isnan(expected)] = 0.0
    numbers = (one.sum(axis=-1, dtype=np.int64) for one in (counts, expected_counts))
    return np.where(np.equal(*numbers), off.max(axis=0), np.inf)
