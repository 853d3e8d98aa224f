"""The last step of a scattering cascade on images: low-pass and decimation along both axes.

The low-pass is separable, and only the kept outputs are needed: small matrix products give them.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from scatdask.arrays import AnyArray, Like, array_namespace, from_numpy, is_numpy, matmul
from scatdask.filters import gaussian, low_pass_taps
from scatdask.kernels.keep import Keep
from scatdask.transforms import Scattering2D
from scatdask.transforms.cost2d import GROUPS


@dataclass(frozen=True, eq=False)
class AxisSmoother:
    """Low-pass and decimation along one axis: small matrices, one for a group of outputs.

    Attributes
    ----------
    groups : tuple of tuple of (int, int, array)
        For each group of outputs the ranges of samples that it needs, two where it goes around a
        periodic image, and for each of them a matrix: (outputs, samples) along the second last
        axis, (samples, outputs) along the last.
    axis : {-2, -1}
    """

    groups: tuple[tuple[tuple[int, int, AnyArray], ...], ...]
    axis: int

    @property
    def span(self) -> slice:
        """The range of samples that any group needs."""
        ranges = [part[:2] for group in self.groups for part in group]
        return slice(min(start for start, _ in ranges), max(stop for _, stop in ranges))

    def within(self, part: slice) -> AxisSmoother:
        """Return the same for the samples of a range that covers the span."""
        first = part.start
        groups = tuple(tuple((a - first, b - first, m) for a, b, m in g) for g in self.groups)
        return AxisSmoother(groups, self.axis)

    def __call__(self, samples: AnyArray) -> AnyArray:
        """Return the outputs of images, shape (batch, height, width)."""
        if not is_numpy(samples):
            xp = array_namespace(samples)
            parts = [
                functools.reduce(operator.add, (self._product(samples, *part) for part in group))
                for group in self.groups
            ]
            return parts[0] if len(parts) == 1 else xp.concat(parts, axis=self.axis)
        counts = [group[0][2].shape[self.axis] for group in self.groups]
        shape = list(samples.shape)
        shape[self.axis] = sum(counts)
        outputs = np.empty(shape, samples.dtype)
        last = 0
        for count, (part, *rest) in zip(counts, self.groups, strict=True):
            first, last = last, last + count
            out = outputs[:, first:last] if self.axis == -2 else outputs[:, :, first:last]
            self._product(samples, *part, out=out)
            for other in rest:
                out += self._product(samples, *other)
        return outputs

    def _product(
        self, samples: AnyArray, a: int, b: int, matrix: AnyArray, out: np.ndarray | None = None
    ) -> AnyArray:
        """Multiply samples [a, b) by a matrix."""
        if self.axis == -2:
            return matmul(matrix, samples[:, a:b, :], out)
        return matmul(samples[:, :, a:b], matrix, out)


def axis_smoother(
    taps: np.ndarray,
    step: int,
    n: int,
    outputs: tuple[int, int],
    axis: int,
    dtype: str,
    *,
    like: AnyArray,
) -> AxisSmoother:
    """Build the matrices that average along one axis of periodic images.

    Parameters
    ----------
    taps : array of float64, shape (2 * m + 1,)
        The low-pass at samples ``-m, ..., m``.
    step : int
        Samples per output.
    n : int
        Samples of the period.
    outputs : (int, int)
        The outputs [first, last) that are wanted.
    axis : {-2, -1}
    dtype : {"float32", "float64"}
    like : array
        Where the matrices are to live.
    """
    first, last = outputs
    half = len(taps) // 2
    n_groups = -(-(last - first) // max(GROUPS[axis], 2 * half // step))
    edges = [first + (last - first) * group // n_groups for group in range(n_groups + 1)]
    groups = []
    for start, stop in itertools.pairwise(edges):
        low, high = start * step - half, (stop - 1) * step + half + 1
        matrix = np.zeros((stop - start, high - low))
        for row in range(stop - start):
            matrix[row, row * step : row * step + len(taps)] = taps
        group = []
        for a, b, part in _around(matrix, low, n):
            values = np.array(part if axis == -2 else part.T, dtype, order="C")
            group.append((a, b, from_numpy(values, like=like)))
        groups.append(tuple(group))
    return AxisSmoother(tuple(groups), axis)


def _around(matrix: np.ndarray, low: int, n: int) -> list[tuple[int, int, np.ndarray]]:
    """Cut columns, which stand for samples from `low` on, where they leave one period."""
    high = low + matrix.shape[1]
    if high - low >= n:
        whole = np.pad(matrix, ((0, 0), (low % n, -high % n)))
        return [(0, n, whole.reshape(len(matrix), -1, n).sum(axis=1))]
    cut = -low if low < 0 < high else n - low if low < n < high else high - low
    ranges = [(0, cut), (cut, high - low)]
    return [((low + a) % n, (low + a) % n + b - a, matrix[:, a:b]) for a, b in ranges if b > a]


@dataclass(frozen=True, eq=False)
class Average:
    """Low-pass and decimation of images of one shape."""

    along_y: AxisSmoother
    along_x: AxisSmoother

    @cached_property
    def _columns(self) -> tuple[slice, AxisSmoother]:
        """The columns that any output needs, and what averages those."""
        columns = self.along_x.span
        return columns, self.along_x.within(columns)

    def __call__(self, samples: AnyArray) -> AnyArray:
        """Return the wanted outputs of images, shape (batch, height, width)."""
        columns, along_x = self._columns
        return along_x(self.along_y(samples[:, :, columns]))


def averages(
    transform: Scattering2D, shape: tuple[int, ...], keep: tuple[Keep, ...], like: AnyArray
) -> dict[int, Average]:
    """Build what averages images of each subsampling, or return the kept ones.

    Parameters
    ----------
    transform : Scattering2D
    shape : (int, int)
        Padded shape of the images before they are subsampled.
    keep : (Keep, Keep)
        The samples whose outputs are wanted.
    like : array
        Where the matrices are to live.
    """
    return _averages(transform, shape, keep, Like(like))


@lru_cache(maxsize=64)
def _averages(
    transform: Scattering2D, shape: tuple[int, ...], keep: tuple[Keep, ...], like: Like
) -> dict[int, Average]:
    stride = transform.alignment

    def along(axis: int, rate: int) -> AxisSmoother:
        n = shape[axis]
        return axis_smoother(
            _taps(transform, n, rate),
            stride // rate,
            n // rate,
            keep[axis].outputs(stride),
            axis,
            transform.dtype,
            like=like.array,
        )

    return {rate: Average(along(-2, rate), along(-1, rate)) for rate in {1, *transform.rates}}


def _taps(transform: Scattering2D, n: int, rate: int) -> np.ndarray:
    """Return the low-pass along an axis of `n` samples that are `rate` apart afterwards."""
    sigma = 1 / (2 * math.pi * transform.low_pass)
    eps = float(np.finfo(transform.dtype).eps)
    if transform.sampling == "space" or rate == 1:
        return low_pass_taps(sigma, rate=rate, tolerance=eps)
    # Cut off at the Nyquist frequency: then it goes all around.
    length = n // rate
    taps = np.fft.irfft(gaussian(np.arange(length // 2 + 1) / n, sigma), length)
    taps = np.concatenate([taps[length // 2 + 1 :], taps[: length // 2 + 1]])
    if length % 2 == 0:  # the same sample on either side: half for each
        taps = np.append(taps[-1:] / 2, [*taps[:-1], taps[-1] / 2])
    return taps
