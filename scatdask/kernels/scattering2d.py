"""The 2-D scattering cascade on padded images, depth first.

One pass takes a few images and a few directions of one scale at a time, so that what lies between
an inverse FFT and the average it ends in stays in the cache as far as it can. Filters are sampled
once for each (transform, shape, precision, device) and kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

from scatdask.arrays import (
    AnyArray,
    Like,
    Scratch,
    array_namespace,
    batch_bytes,
    complex_dtype,
    fft_of,
)
from scatdask.filters import sample_morlet2d
from scatdask.kernels.averages2d import averages
from scatdask.kernels.keep import Keep
from scatdask.kernels.operations2d import (
    AXES,
    Filter2D,
    filtered_modulus2d,
    fold_filter2d,
    laid_out_spectrum,
)
from scatdask.kernels.writer import Writer
from scatdask.transforms import Scattering2D
from scatdask.transforms.cost2d import wavelets_at_once
from scatdask.transforms.scattering2d import Branch2D

Filters = dict[tuple[int, int], Filter2D]


def sampled_filters(transform: Scattering2D, shape: tuple[int, ...], like: AnyArray) -> Filters:
    """Sample the wavelets of a transform for images of a shape, or return the kept ones.

    Parameters
    ----------
    transform : Scattering2D
    shape : (int, int)
    like : array
        Where they are to live.

    Returns
    -------
    dict
        From the subsampling of the image and the index of the wavelet to the filter.
    """
    return _sampled_filters(transform, shape, Like(like))


@lru_cache(maxsize=16)
def _sampled_filters(transform: Scattering2D, shape: tuple[int, ...], like: Like) -> Filters:
    height, width = shape
    filters = {}
    for rate, n in transform.filters:
        wavelet, tolerance = transform.wavelets[n], transform.filter_tolerance
        subsampled = height // rate, width // rate
        if transform.sampling == "space":
            sampled = sample_morlet2d(wavelet, subsampled, rate=rate, tolerance=tolerance)
        else:
            sampled = sample_morlet2d(wavelet, (height, width), tolerance=tolerance)
            sampled = sampled.cropped(subsampled)
        step = transform.rate(wavelet.j)
        filters[rate, n] = fold_filter2d(
            sampled,
            (height // step, width // step),
            transform.dtype,
            like=like.array,
        )
    return filters


def scattering2d(
    transform: Scattering2D, x: AnyArray, offset: AnyArray, keep: tuple[Keep, ...]
) -> list[AnyArray]:
    """Compute the scattering of padded images.

    Parameters
    ----------
    transform : Scattering2D
    x : array, shape (rows, height, width)
        Samples in float64, one period of periodic images; the sides are multiples of the
        transform's alignment.
    offset : array of float64, shape (rows,)
        Constant that was taken out of each image; it goes back into order 0.
    keep : (Keep, Keep)
        For each axis the samples whose outputs are wanted, from a multiple of the alignment on.

    Returns
    -------
    list of array
        One array, shape ``(rows, path, y, x)``.
    """
    xp = array_namespace(x)
    dtype = getattr(xp, transform.dtype)
    cascade = _Cascade(transform, x, keep)
    if () in transform.path_of:
        order0 = cascade.averages[1](xp.astype(x, dtype)) + xp.reshape(offset, (-1, 1, 1))
        cascade.writer.put((transform.path_of[()],), xp.astype(order0, dtype))
    if transform.branches:
        # The one FFT in float64 whatever the transform's dtype, as for signals in time.
        half = fft_of(x).rfftn(x, axes=AXES)
        half = xp.astype(half, complex_dtype(xp, transform.dtype))
        for branch in transform.branches:
            cascade.follow(branch, half)
    return cascade.writer.arrays()


class _Cascade:
    """What the steps of one walk through the cascade share."""

    def __init__(self, transform: Scattering2D, x: AnyArray, keep: tuple[Keep, ...]) -> None:
        self.transform = transform
        self.rows, *shape = x.shape
        self.shape = tuple(shape)
        self.writer, self.scratch = Writer(transform, x, keep), Scratch(x)
        self.filters = sampled_filters(transform, self.shape, x)
        self.averages = averages(transform, self.shape, keep, x)
        self.budget = batch_bytes(x)

    def follow(self, branch: Branch2D, half: AnyArray) -> None:
        """Follow a branch from half spectra down to its first- and second-order outputs."""
        transform, path_of = self.transform, self.transform.path_of
        rate = transform.rate(branch.j)
        filters = {n1: self.filters[1, n1] for n1 in branch.wavelets}
        blocks = self.blocks(half, self.shape[1], filters, "blocks")
        for members in self._batches(branch.wavelets, self.rows, rate):
            some = [filters[n1] for n1 in members]
            modulus1 = filtered_modulus2d(blocks, some, self.scratch, "modulus1")
            paths = [path_of.get((n1,)) for n1 in members]
            if any(path is not None for path in paths):
                self.writer.put(paths, self.averages[rate](modulus1))
            if branch.children:
                half1 = fft_of(modulus1).rfftn(modulus1, axes=AXES)
                for j2, children in branch.children:
                    self._follow_children(members, rate, half1, j2, children)
                del half1

    def _follow_children(
        self,
        parents: Sequence[int],
        rate1: int,
        half: AnyArray,
        j2: int,
        children: tuple[int, ...],
    ) -> None:
        """Filter first-order images by the wavelets of one scale."""
        path_of, rate2 = self.transform.path_of, self.transform.rate(j2)
        filters = {n2: self.filters[rate1, n2] for n2 in children}
        blocks = self.blocks(half, self.shape[1] // rate1, filters, "blocks1")
        for members in self._batches(children, half.shape[0], rate2):
            some = [filters[n2] for n2 in members]
            modulus2 = filtered_modulus2d(blocks, some, self.scratch, "modulus2")
            paths = [path_of[n1, n2] for n2 in members for n1 in parents]
            self.writer.put(paths, self.averages[rate2](modulus2))

    def blocks(
        self, half: AnyArray, width: int, filters: dict[int, Filter2D], name: str
    ) -> AnyArray:
        """Lay half spectra out for some filters."""
        return laid_out_spectrum(half, width, list(filters.values()), self.scratch, name)

    def _batches(
        self, members: tuple[int, ...], batch: int, rate: int
    ) -> Iterator[tuple[int, ...]]:
        """Cut wavelets that a batch of images goes through into batches that fit the cache."""
        size = wavelets_at_once(self.transform, len(members), batch, self.shape, rate, self.budget)
        for start in range(0, len(members), size):
            yield members[start : start + size]
