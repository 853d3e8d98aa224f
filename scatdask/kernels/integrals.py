"""The last step of scattering volumes: sums over the kept samples, or local averages.

Either is a vector along each axis for each output, and works on a few planes at a time.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from scatdask.arrays import AnyArray, array_namespace, from_numpy, matmul, widest_float
from scatdask.kernels.keep import Keep


class Sums:
    """Sum over the kept samples.

    Attributes
    ----------
    span : tuple of slice
        Samples along each axis that count.
    """

    def __init__(self, keep: tuple[Keep, ...], dtype: str, *, like: AnyArray) -> None:
        self.span = tuple(slice(part.start, part.stop) for part in keep)
        self._ones = from_numpy(np.ones(keep[2].stop - keep[2].start, dtype), like=like)

    def add(self, total: AnyArray, values: AnyArray, planes: slice) -> AnyArray:
        """Return a total with some planes of the span added.

        Parameters
        ----------
        total : object
            What the last call returned; None for the first planes.
        values : array, shape (rows, planes, lines, n)
            All lines of the span, and whole lines.
        planes : slice
            Which planes of the volume.
        """
        # Line by line first, which a matrix product does fastest: sums of millions of samples in
        # float32 would lose three digits.
        lines = matmul(values[..., self.span[2]], self._ones)
        return [lines] if total is None else [*total, lines]

    def finish(self, total: AnyArray) -> AnyArray:
        """Return what has added up, shape (rows, 1, 1, 1)."""
        xp = array_namespace(total[0])
        lines = total[0] if len(total) == 1 else xp.concat(total, axis=1)
        return xp.sum(xp.astype(lines, widest_float(lines)), axis=(1, 2))[:, None, None, None]


class Averages:
    """Average by a Gaussian around every `stride`-th of the kept samples.

    Attributes
    ----------
    span : tuple of slice
        Samples along each axis that any output sees.
    """

    def __init__(
        self,
        sigma: float,
        stride: int,
        shape: tuple[int, ...],
        keep: tuple[Keep, ...],
        dtype: str,
        *,
        like: AnyArray,
    ) -> None:
        axes = [
            gaussian_matrix(sigma, stride, n, *part.outputs(stride), dtype)
            for n, part in zip(shape, keep, strict=True)
        ]
        self.span = tuple(span for span, _ in axes)
        self._z, self._y, self._x = (from_numpy(matrix, like=like) for _, matrix in axes)

    def add(self, total: AnyArray, values: AnyArray, planes: slice) -> AnyArray:
        """Return a total with some planes of the span added; as for `Sums`."""
        xp = array_namespace(values)
        averaged = matmul(values[..., self.span[2]], xp.matrix_transpose(self._x))
        averaged = matmul(self._y, averaged)
        rows, n_planes, *outputs = averaged.shape
        flat = xp.reshape(averaged, (rows, n_planes, math.prod(outputs)))
        first = self.span[0].start
        weights = self._z[:, planes.start - first : planes.stop - first]
        part = xp.reshape(matmul(weights, flat), (rows, weights.shape[0], *outputs))
        return part if total is None else total + part

    def finish(self, total: AnyArray) -> AnyArray:
        """Return what has added up, shape (rows, *outputs)."""
        return total


@lru_cache(maxsize=64)
def gaussian_matrix(
    sigma: float, stride: int, n: int, first: int, last: int, dtype: str
) -> tuple[slice, np.ndarray]:
    """Sample a Gaussian around samples `stride` apart of a periodic signal.

    Parameters
    ----------
    sigma : float
        Width in samples.
    stride, n : int
    first, last : int
        Outputs [first, last).
    dtype : str

    Returns
    -------
    slice, array of shape (last - first, samples)
        The samples that have a weight, and the weights; those of an output add up to one.
    """
    reach = math.ceil(sigma * math.sqrt(-2 * math.log(np.finfo(dtype).eps / 10)))
    centre = np.arange(first, last) * stride
    start, stop = int(centre[0]) - reach, int(centre[-1]) + reach + 1
    if start < 0 or stop > n:  # around the period, perhaps several times
        start, stop = 0, n
    times = -(-reach // n) if (start, stop) == (0, n) else 0
    lag = np.arange(start, stop) - centre[:, None]
    weights = np.zeros(lag.shape)
    for turn in range(-times - 1, times + 2):
        weights += np.exp(-(((lag + turn * n) / sigma) ** 2) / 2)
    return slice(start, stop), (weights / weights.sum(axis=1, keepdims=True)).astype(dtype)
